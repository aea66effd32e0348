//! The console: pages rendered on the server with the request's own identity, and the files of the
//! browser bundle.

use std::path::Path;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Redirect, Response},
    routing::get_service,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use leptos::{context::provide_context, nonce::use_nonce, prelude::use_context};
use leptos_axum::ResponseOptions;
use membrane_app::{Bundle, api::InProcess};
use tonic::service::Routes;
use tower::ServiceBuilder;
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

use super::{api, browser::is_grpc, log::RequestId, rpc};
use crate::server::App;

/// The only page that needs no sign-in.
const SIGN_IN: &str = "/sign-in";

#[derive(Clone)]
struct Console {
    app: App,
    routes: Routes,
    bundle: Bundle,
}

/// Pages and files: everything that no other route answers.
pub fn router(app: &App) -> Router {
    let site = &app.config.site_dir;
    let files = ServiceBuilder::new()
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            kept_for_ever,
        ))
        .service(ServeDir::new(site.join("pkg")).precompressed_br());
    let console = Console {
        app: app.clone(),
        routes: api::inside(app),
        bundle: bundle(site),
    };
    let pages = pages();
    tracing::debug!(pages.count = pages.len(), "the console is ready");
    Router::new()
        .nest_service("/pkg", get_service(files))
        .route_service(
            "/favicon.svg",
            get_service(tower_http::services::ServeFile::new(
                site.join("favicon.svg"),
            )),
        )
        .fallback(page)
        .with_state(console)
}

/// What pages load. Without it they are read, and nothing on them reacts.
fn bundle(site: &Path) -> Bundle {
    let listing = site.join("bundle.json");
    let read = std::fs::read(&listing).map_err(|error| error.to_string());
    let bundle = read.and_then(|json| Bundle::read(&json).map_err(|error| error.to_string()));
    bundle.unwrap_or_else(|error| {
        tracing::warn!(file = %listing.display(), error, "there is no bundle for browsers");
        Bundle::default()
    })
}

/// The directory of a bundle is named after what is in it, so what has been loaded never changes.
/// That something is not there may.
fn kept_for_ever<B>(answer: &http::Response<B>) -> Option<HeaderValue> {
    let value = match answer.status() {
        StatusCode::NOT_FOUND => "no-store",
        _ => "public, max-age=31536000, immutable",
    };
    Some(HeaderValue::from_static(value))
}

/// Paths of all pages, in axum's form. Asking for them also sets up the executor that rendering
/// needs, once for the process.
#[must_use]
pub fn pages() -> Vec<String> {
    leptos_axum::generate_route_list(membrane_app::App)
        .iter()
        .map(|route| route.path().to_owned())
        .collect()
}

async fn page(State(console): State<Console>, request: Request) -> Response {
    if let Some(answer) = not_a_page(&request) {
        return answer;
    }
    let principal = console.app.authenticator.principal(request.headers()).await;
    let path = request.uri().path();
    if !matches!(principal, Ok(Some(_))) && path != SIGN_IN {
        return Redirect::to(&sign_in_then(&request)).into_response();
    }
    let context = {
        let headers = identity(request.headers());
        let routes = console.routes.clone();
        let id = request.extensions().get::<RequestId>();
        let request_id = id.map(|RequestId(id)| id.clone());
        move || {
            provide_context(InProcess {
                routes: routes.clone(),
                headers: headers.clone(),
                request_id: request_id.clone(),
            });
            set_content_policy();
        }
    };
    let bundle = console.bundle;
    let render =
        leptos_axum::render_app_async_with_context(context, move || membrane_app::shell(&bundle));
    let mut response = render(request).await;
    // Pages hold what only this user may see.
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An unknown gRPC method gets gRPC's own answer; whatever else is no GET, none at all.
fn not_a_page(request: &Request<Body>) -> Option<Response> {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_grpc)
    {
        return Some(rpc::unknown_method());
    }
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    (!is_get).then(|| StatusCode::METHOD_NOT_ALLOWED.into_response())
}

fn sign_in_then(request: &Request<Body>) -> String {
    let wanted = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    format!("{SIGN_IN}?next={next}")
}

/// What a page may pass on: the caller's identity and nothing else.
fn identity(headers: &HeaderMap) -> HeaderMap {
    let mut identity = HeaderMap::new();
    for name in [header::COOKIE, header::AUTHORIZATION] {
        for value in headers.get_all(&name) {
            identity.append(name.clone(), value.clone());
        }
    }
    identity
}

fn set_content_policy() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else {
        return;
    };
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic' 'wasm-unsafe-eval'; \
         style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}
