//! Signing in and out with a browser. The token of a sign-in link travels in the fragment, which
//! no browser sends, and comes here in a body.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header::SET_COOKIE};
use serde::Deserialize;

use super::Problem;
use crate::{error::Error, server::App};

/// What the sign-in page posts.
#[derive(Deserialize)]
pub struct Exchange {
    token: String,
}

/// Exchanges a sign-in link's token for a cookie: 204, or 401 with the reason.
pub async fn exchange(
    State(app): State<App>,
    body: Result<Json<Exchange>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, Problem> {
    let Ok(Json(exchange)) = body else {
        return Err(Error::invalid(
            "token",
            "must be in a JSON body of content type application/json",
        )
        .into());
    };
    let cookie = app.authenticator.exchange(&exchange.token).await?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

/// Ends the browser's session and leads to the sign-in page.
pub async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let cookie = app.authenticator.sign_out(&headers).await?;
    Ok(([(SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response())
}
