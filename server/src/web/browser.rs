//! What keeps a browser safe: only our own host names are answered, every answer says what may be
//! done with it, and gRPC takes nothing that a foreign page's form could send.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use url::Url;

use crate::server::App;

/// Refuses a request that is addressed to a host name which is not ours: 421. This stops pages of
/// other sites whose name was made to point here.
pub async fn check_host(State(app): State<App>, request: Request, next: Next) -> Response {
    match host_of(request.headers(), request.uri()) {
        Some(host) if is_ours(&app, host) => next.run(request).await,
        _ => (
            StatusCode::MISDIRECTED_REQUEST,
            "This server does not answer to that host name; the operator sets MEMBRANE_PUBLIC_URL.\n",
        )
            .into_response(),
    }
}

fn host_of<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    uri.authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| headers.get(header::HOST)?.to_str().ok())
}

fn is_ours(app: &App, host: &str) -> bool {
    let public = authority_of(&app.config.public_url);
    let port = app.config.listen.port();
    host.eq_ignore_ascii_case(&public)
        || host == app.config.listen.to_string()
        || ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .any(|name| host.eq_ignore_ascii_case(&format!("{name}:{port}")))
}

fn authority_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Headers of every answer. Pages set their own content policy, with a nonce; everything else gets
/// one that allows nothing.
pub async fn security_headers(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    set(headers, "x-content-type-options", "nosniff");
    set(headers, "x-frame-options", "DENY");
    set(headers, "referrer-policy", "no-referrer");
    set(headers, "cross-origin-opener-policy", "same-origin");
    set(headers, "cross-origin-resource-policy", "same-origin");
    set(
        headers,
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    );
    if app.config.is_secure() {
        set(headers, "strict-transport-security", "max-age=31536000");
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        set(
            headers,
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        );
    }
    response
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.insert(
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    );
}

/// Refuses whatever is not gRPC or grpc-web: 415. tonic itself looks at no content type, so a
/// form's "simple" POST with a cookie would otherwise reach a handler.
pub async fn require_grpc(request: Request, next: Next) -> Response {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_grpc = content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_grpc);
    if is_grpc {
        return next.run(request).await;
    }
    (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Send gRPC (application/grpc) or grpc-web (application/grpc-web).\n",
    )
        .into_response()
}

/// Whether a content type is one of gRPC's.
#[must_use]
pub fn is_grpc(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type
        .strip_prefix("application/grpc")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('+') || rest.starts_with("-web"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_content_types_are_grpc() {
        for yes in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc-web+proto",
            "application/grpc-web-text",
        ] {
            assert!(is_grpc(yes), "{yes}");
        }
        for no in [
            "text/plain",
            "application/json",
            "application/grpcx",
            "multipart/form-data",
            "",
        ] {
            assert!(!is_grpc(no), "{no}");
        }
    }
}
