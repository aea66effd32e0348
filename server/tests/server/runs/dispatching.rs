//! Push dispatch: who is called while runs wait, with what, and how often.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::AtomicBool, atomic::Ordering::SeqCst},
    time::Duration,
};

use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use membrane_server::dispatch::Endpoint;
use tokio::{net::TcpListener, time::Instant};

use super::{Desk, claim};
use crate::fixture::{CAP, TestServer};

const TOKEN: &str = "who calls, not who is called";

/// Somebody who is called.
#[derive(Clone, Default)]
struct Called {
    /// The token and the body of each call, and when it came.
    calls: Arc<Mutex<Vec<(String, String, Instant)>>>,
    fails: Arc<AtomicBool>,
}

impl Called {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new()
            .route("/invoke", post(invoked))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn all(&self) -> Vec<(String, String, Instant)> {
        self.calls.lock().expect("a lock").clone()
    }

    async fn until(&self, count: usize) -> Vec<(String, String, Instant)> {
        let waited = async {
            while self.all().len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(CAP, waited).await.expect("calls");
        self.all()
    }
}

async fn invoked(State(called): State<Called>, headers: HeaderMap, body: String) -> StatusCode {
    let token = headers["authorization"].to_str().expect("text").to_owned();
    let call = (token, body, Instant::now());
    called.calls.lock().expect("a lock").push(call);
    if called.fails.load(SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::NO_CONTENT
}

async fn server_that_calls(called: &Called) -> TestServer {
    let address = called.start().await;
    TestServer::start_with(|config| {
        // Only what the operator names as the endpoint is reached, no other address of this machine.
        config.egress_allow_private.clear();
        config.dispatch = Some(Endpoint {
            url: format!("http://{address}/invoke").parse().expect("a URL"),
            token: TOKEN.to_owned().into(),
        });
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_is_called_for_a_run_that_waits() {
    let called = Called::default();
    let server = server_that_calls(&called).await;
    let desk = Desk::new(&server).await;
    let run = desk.queue("wakes somebody").await;
    let (token, body, _) = called.until(1).await.remove(0);
    assert_eq!(token, format!("Bearer {TOKEN}"));
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["runId"], run.id);
    assert_eq!(body["workspaceId"], desk.workspace);
    // What is claimed waits no more.
    claim(&desk.runner).await.expect("a run");
    let other = desk.queue("wakes somebody again").await;
    let calls = called.until(2).await;
    assert!(calls[1].1.contains(&other.id), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_is_made_again_after_a_pause_that_grows() {
    let called = Called::default();
    called.fails.store(true, SeqCst);
    let server = server_that_calls(&called).await;
    let desk = Desk::new(&server).await;
    desk.queue("wakes nobody").await;
    let calls = called.until(3).await;
    let pauses = [calls[1].2 - calls[0].2, calls[2].2 - calls[1].2];
    assert!(pauses[0] >= Duration::from_secs(1), "{pauses:?}");
    assert!(pauses[1] >= Duration::from_secs(2), "{pauses:?}");
}
