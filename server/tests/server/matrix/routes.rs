//! F1 and F2 for plain HTTP routes that are about a workspace.

use reqwest::{Client, Response, StatusCode};
use tonic::Code;
use uuid::Uuid;

use super::{Allowed, cast, expected, place};
use crate::fixture::{Caller, TestServer};

/// Path, who gets through, and a query that succeeds for them.
const ROUTES: [(&str, Allowed, &str); 2] = [
    ("/workspaces/{id}/files/raw", Allowed::Viewers, "path=file"),
    ("/workspaces/{id}/files/archive", Allowed::Viewers, "path="),
];

async fn get(server: &TestServer, caller: &Caller, path: &str) -> Response {
    let mut request = Client::new().get(server.url(path));
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
        let listed = ROUTES.iter().any(|(route, ..)| *route == path);
        assert!(listed || !path.contains('{'), "{path} is not in the matrix");
    }
    for (route, allowed, query) in ROUTES {
        for (name, caller) in &cast.callers {
            let place = place(&server, &cast, caller).await;
            let path = format!("{}?{query}", route.replace("{id}", &place.workspace));
            let answer = get(&server, caller, &path).await;
            let wanted = status(expected(allowed, name));
            assert_eq!(answer.status(), wanted, "{route} by {name}");
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
    for (route, _, query) in ROUTES {
        let mut seen = Vec::new();
        for id in [place.workspace.as_str(), &absent, "nonsense"] {
            let path = format!("{}?{query}", route.replace("{id}", id));
            let answer = get(&server, stranger, &path).await;
            seen.push((answer.status(), answer.text().await.expect("a body")));
        }
        assert!(
            seen.iter().all(|answer| *answer == seen[0]),
            "{route}: {seen:?}"
        );
    }
}
