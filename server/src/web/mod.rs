//! Everything on the one port: gRPC and grpc-web, health, sign-in, upload, the console and its
//! files, and around all of it what keeps a browser safe.

use axum::{
    Router, middleware,
    routing::{get, post, put},
};
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer};

use crate::server::App;

mod api;
mod auth;
mod browser;
mod console;
mod files;
mod health;
mod import;
mod log;
mod mcp;
mod models;
mod problem;
mod rpc;
mod snapshots;

pub use console::pages;
pub use problem::Problem;

/// Every plain HTTP route beside the console's pages and files: method and path. The authorisation
/// matrix covers each of them.
pub const ROUTES: [(&str, &str); 12] = [
    ("GET", "/health"),
    ("POST", "/auth/exchange"),
    ("POST", "/auth/sign-out"),
    ("POST", "/workspaces/import"),
    ("GET", "/workspaces/{id}/files/raw"),
    ("GET", "/workspaces/{id}/files/archive"),
    ("PUT", "/workspaces/{id}/snapshots/archive"),
    ("GET", "/workspaces/{id}/snapshots/{snapshot}/archive"),
    ("POST", "/runs/{run}/attempts/{attempt}/v1/messages"),
    (
        "POST",
        "/runs/{run}/attempts/{attempt}/v1/messages/count_tokens",
    ),
    ("GET", "/runs/{run}/attempts/{attempt}/v1/models"),
    ("POST", "/runs/{run}/attempts/{attempt}/mcp"),
];

/// An attempt at a run, below which its runner asks the model and calls the built-in MCP server.
const ATTEMPT: &str = "/runs/{run}/attempts/{attempt}";

/// The whole of the port.
pub fn router(app: &App) -> Router {
    let runners = match app.config.runner_listen {
        None => Router::new().nest(ATTEMPT, of_an_attempt()),
        Some(_) => Router::new(),
    };
    let plain = runners
        .route("/health", get(health::health))
        .route("/auth/exchange", post(auth::exchange))
        .route("/auth/sign-out", post(auth::sign_out))
        .route("/workspaces/import", post(import::import))
        .route("/workspaces/{id}/files/raw", get(files::raw))
        .route("/workspaces/{id}/files/archive", get(files::archive))
        .route(
            "/workspaces/{id}/snapshots/archive",
            put(snapshots::receive),
        )
        .route(
            "/workspaces/{id}/snapshots/{snapshot}/archive",
            get(snapshots::archive),
        )
        .layer(axum::extract::DefaultBodyLimit::disable())
        .fallback_service(console::router(app))
        .with_state(app.clone());
    plain
        .merge(api::outside(app))
        .layer(CatchPanicLayer::new())
        .layer(CsrfLayer::new())
        .layer(middleware::from_fn_with_state(
            app.clone(),
            browser::check_host,
        ))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            browser::security_headers,
        ))
        .layer(middleware::from_fn(log::log_request))
}

/// The whole of the port of runners, where they have one. No browser has anything to do there: it
/// takes no cookie, so it may be called by any name.
pub fn runner_router(app: &App) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .nest(ATTEMPT, of_an_attempt())
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(app.clone())
        .merge(api::for_runners(app))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn(log::log_request))
}

/// The Messages API as far as runners need it, and the tools of the built-in MCP server.
fn of_an_attempt() -> Router<App> {
    Router::new()
        .route("/v1/messages", post(models::ask))
        .route("/v1/messages/count_tokens", post(models::ask))
        .route("/v1/models", get(models::ask))
        .route("/mcp", post(mcp::call))
}
