//! F1 and F2 for plain HTTP routes that are about a workspace. Those of a run are about a lease, see
//! `runs::models` and `mcp::of_runs`.

use reqwest::{Client, Method, Response, StatusCode};
use tonic::Code;
use uuid::Uuid;

use super::{Allowed, cast, expected, place};
use crate::fixture::{Caller, TestServer};

/// Method, path, who gets through, and a query that succeeds for them.
const ROUTES: [(Method, &str, Allowed, &str); 4] = [
    (
        Method::GET,
        "/workspaces/{id}/files/raw",
        Allowed::Viewers,
        "path=file",
    ),
    (
        Method::GET,
        "/workspaces/{id}/files/archive",
        Allowed::Viewers,
        "path=",
    ),
    (
        Method::PUT,
        "/workspaces/{id}/snapshots/archive",
        Allowed::Editors,
        "title=sent",
    ),
    (
        Method::GET,
        "/workspaces/{id}/snapshots/{snapshot}/archive",
        Allowed::Viewers,
        "",
    ),
];

/// An archive without entries.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

async fn call(server: &TestServer, caller: &Caller, method: Method, path: &str) -> Response {
    let mut request = Client::new().request(method.clone(), server.url(path));
    if method == Method::PUT {
        request = request.body(EMPTY_ZIP);
    }
    let credentials = [
        ("authorization", caller.authorization()),
        ("cookie", caller.cookie()),
    ];
    for (name, value) in credentials {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.send().await.expect("an answer")
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        _ => StatusCode::NOT_FOUND,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_a_workspace_lets_through_exactly_whom_it_should() {
    let server = TestServer::start().await;
    let cast = cast(&server).await;
    for (_, path) in membrane_server::web::ROUTES {
        let listed = ROUTES.iter().any(|(_, route, ..)| *route == path);
        let is_of_a_run = path.starts_with("/runs/{run}/attempts/{attempt}/");
        assert!(
            listed || is_of_a_run || !path.contains('{'),
            "{path} is not in the matrix"
        );
    }
    for (method, route, allowed, query) in ROUTES {
        for (name, caller) in &cast.callers {
            let place = place(&server, &cast, caller).await;
            let path = route.replace("{id}", &place.workspace);
            let path = format!("{}?{query}", path.replace("{snapshot}", &place.snapshot));
            let answer = call(&server, caller, method.clone(), &path).await;
            let answered = match answer.status() {
                StatusCode::CREATED => StatusCode::OK,
                other => other,
            };
            let wanted = status(expected(allowed, name));
            assert_eq!(answered, wanted, "{method} {route} by {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_workspace_answers_a_route_exactly_like_an_absent_one() {
    let server = TestServer::start().await;
    let cast = cast(&server).await;
    let (_, stranger) = &cast.callers[4];
    let place = place(&server, &cast, stranger).await;
    let absent = Uuid::new_v4().to_string();
    for (method, route, _, query) in ROUTES {
        let mut seen = Vec::new();
        for id in [place.workspace.as_str(), &absent, "nonsense"] {
            let path = route.replace("{id}", id).replace("{snapshot}", &absent);
            let path = format!("{path}?{query}");
            let answer = call(&server, stranger, method.clone(), &path).await;
            seen.push((answer.status(), answer.text().await.expect("a body")));
        }
        assert!(
            seen.iter().all(|answer| *answer == seen[0]),
            "{route}: {seen:?}"
        );
    }
}
