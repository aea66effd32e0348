//! F6: what a browser could be made to send. And F7: where tokens are, and are not.

use reqwest::{Client, Method, StatusCode, redirect::Policy};

use crate::fixture::TestServer;

fn client() -> Client {
    Client::builder()
        .redirect(Policy::none())
        .build()
        .expect("a client")
}

/// Every route that takes something with a cookie, with a content type that it accepts.
const ROUTES: [(Method, &str, &str); 8] = [
    (Method::POST, "/auth/exchange", "application/json"),
    (
        Method::POST,
        "/auth/sign-out",
        "application/x-www-form-urlencoded",
    ),
    (
        Method::POST,
        "/workspaces/import",
        "multipart/form-data; boundary=x",
    ),
    (
        Method::PUT,
        "/workspaces/{id}/snapshots/archive",
        "application/zip",
    ),
    (
        Method::POST,
        "/runs/{run}/attempts/{attempt}/v1/messages",
        "application/json",
    ),
    (
        Method::POST,
        "/runs/{run}/attempts/{attempt}/v1/messages/count_tokens",
        "application/json",
    ),
    (
        Method::POST,
        "/runs/{run}/attempts/{attempt}/mcp",
        "application/json",
    ),
    (
        Method::POST,
        "/membrane.v1.WorkspaceService/CreateWorkspace",
        "application/grpc-web+proto",
    ),
];

#[tokio::test]
async fn every_plain_route_is_tested_here() {
    for (method, path) in membrane_server::web::ROUTES {
        let listed = method == "GET" || ROUTES.iter().any(|(_, route, _)| *route == path);
        assert!(listed, "{method} {path} is not in the table");
    }
}

#[tokio::test]
async fn a_foreign_host_name_is_misdirected() {
    let server = TestServer::start().await;
    for path in [
        "/",
        "/health",
        "/sign-in",
        "/pkg/membrane.js",
        "/membrane.v1.AccountService/GetMe",
    ] {
        for host in [
            "evil.example",
            "127.0.0.1",
            "localhost:1",
            "127.0.0.1.evil.example:3000",
        ] {
            let answer = client()
                .get(server.url(path))
                .header("host", host)
                .send()
                .await
                .expect("an answer");
            assert_eq!(
                answer.status(),
                StatusCode::MISDIRECTED_REQUEST,
                "{path} {host}"
            );
        }
    }
}

#[tokio::test]
async fn another_site_can_post_nothing() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let browser = server.in_browser(&user).await;
    for (method, path, content_type) in ROUTES {
        let foreign: [&[(&str, &str)]; 4] = [
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ];
        for headers in foreign {
            let mut request = client()
                .request(method.clone(), server.url(path))
                .header("cookie", browser.cookie().expect("a cookie"))
                .header("content-type", content_type);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
    }
    let mine = user
        .workspaces()
        .list_workspaces(membrane_proto::v1::ListWorkspacesRequest::default())
        .await;
    assert!(mine.expect("a list").into_inner().workspaces.is_empty());
}

#[tokio::test]
async fn a_form_can_not_speak_grpc() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let browser = server.in_browser(&user).await;
    for method in crate::wire::methods() {
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/json",
            "",
        ] {
            let answer = client()
                .post(server.url(&method))
                .header("cookie", browser.cookie().expect("a cookie"))
                .header("content-type", content_type)
                .body("x")
                .send()
                .await
                .expect("an answer");
            assert_eq!(
                answer.status(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{method} {content_type}"
            );
        }
    }
}

#[tokio::test]
async fn reading_changes_nothing() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let browser = server.in_browser(&user).await;
    let cookie = browser.cookie().expect("a cookie");
    for (_, path, _) in ROUTES {
        for method in [Method::GET, Method::HEAD] {
            let answer = client()
                .request(method, server.url(path))
                .header("cookie", cookie)
                .send()
                .await
                .expect("an answer");
            assert!(
                !answer.status().is_success() || path.starts_with("/workspaces"),
                "{path}"
            );
        }
    }
    let still = client()
        .get(server.url("/"))
        .header("cookie", cookie)
        .send()
        .await
        .expect("an answer");
    assert_eq!(still.status(), StatusCode::OK, "still signed in");
}

#[tokio::test]
async fn no_other_origin_is_let_in() {
    let server = TestServer::start().await;
    let answer = client()
        .request(
            Method::OPTIONS,
            server.url("/membrane.v1.AccountService/GetMe"),
        )
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST")
        .send()
        .await
        .expect("an answer");
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn every_page_asks_to_sign_in_first() {
    let server = TestServer::start().await;
    let pages = membrane_server::web::pages();
    assert!(pages.len() >= 6, "{pages:?}");
    for page in pages.iter().filter(|page| *page != "/sign-in") {
        let path = page.replace(['{', '}'], "");
        for cookie in ["", "membrane=nonsense"] {
            let answer = client()
                .get(server.url(&path))
                .header("cookie", cookie)
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
            let to = answer.headers()["location"].to_str().expect("text");
            assert!(to.starts_with("/sign-in?next="), "{to}");
        }
    }
}

#[tokio::test]
async fn a_page_says_what_may_run_in_it() {
    let server = TestServer::start().await;
    let answer = client()
        .get(server.url("/sign-in"))
        .send()
        .await
        .expect("an answer");
    let policy = answer.headers()["content-security-policy"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"),
        "{policy}"
    );
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .expect("a nonce")
        .to_owned();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    let html = answer.text().await.expect("a page");
    for script in html.split("<script").skip(1) {
        let tag = script.split('>').next().expect("a tag");
        assert!(tag.contains(&format!("nonce=\"{nonce}\"")), "{tag}");
    }
    assert!(!html.contains("style=\""), "an inline style");
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_a_missing_page_shows_it() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let browser = server.in_browser(&user).await;
    let cookie = browser.cookie().expect("a cookie");
    let ask = async |path: &str| {
        let request = client().get(server.url(path));
        let request = request.header("cookie", cookie);
        let request = request.header("x-request-id", "made-up");
        request.send().await.expect("an answer")
    };
    let id = |answer: &reqwest::Response| answer.headers()["x-request-id"].clone();
    let (first, second) = (ask("/health").await, ask("/nowhere").await);
    assert_ne!(id(&first), id(&second));
    let shown = id(&second).to_str().expect("text").to_owned();
    assert!(shown.len() == 12 && shown != "made-up", "{shown}");
    assert_eq!(second.status(), 404);
    let html = second.text().await.expect("a page");
    assert!(html.contains(&shown), "{shown} is not on the page");
    let foreign = ask("/workspaces/00000000-0000-4000-8000-000000000000").await;
    let shown = id(&foreign).to_str().expect("text").to_owned();
    let html = foreign.text().await.expect("a page");
    assert!(html.contains(&shown), "{shown} is not on the page");
}

#[tokio::test]
async fn a_sign_in_link_works_once_and_sets_a_careful_cookie() {
    use secrecy::ExposeSecret as _;
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let token = server
        .app
        .authenticator
        .create_login_token(user.id)
        .await
        .expect("a token");
    let exchange = || {
        client()
            .post(server.url("/auth/exchange"))
            .json(&serde_json::json!({ "token": token.expose_secret() }))
            .send()
    };
    let first = exchange().await.expect("an answer");
    assert_eq!(first.status(), StatusCode::NO_CONTENT);
    let cookie = first.headers()["set-cookie"].to_str().expect("text");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/"),
        "{cookie}"
    );
    let second = exchange().await.expect("an answer");
    assert_eq!(second.status(), StatusCode::UNAUTHORIZED);
    assert!(
        second
            .text()
            .await
            .expect("a body")
            .contains("UNAUTHENTICATED")
    );
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let browser = server.in_browser(&user).await;
    let cookie = browser.cookie().expect("a cookie");
    let before = client()
        .get(server.url("/"))
        .header("cookie", cookie)
        .send()
        .await
        .expect("an answer");
    assert_eq!(before.status(), StatusCode::OK);
    let out = client()
        .post(server.url("/auth/sign-out"))
        .header("cookie", cookie)
        .send()
        .await
        .expect("an answer");
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    let after = client()
        .get(server.url("/"))
        .header("cookie", cookie)
        .send()
        .await
        .expect("an answer");
    assert_eq!(after.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn health_is_for_everybody() {
    let server = TestServer::start().await;
    let answer = client()
        .get(server.url("/health"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let body: serde_json::Value = answer.json().await.expect("json");
    assert_eq!(body["status"], "healthy");
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let server = TestServer::start().await;
    let answer = client()
        .post(server.url("/membrane.v1.NoService/NoMethod"))
        .header("content-type", "application/grpc")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.headers()["grpc-status"], "12");
}
