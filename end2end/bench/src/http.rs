//! Plain HTTP/1.1 requests with their times.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, Response, header::ACCEPT_ENCODING};

use crate::measure::{ms_since, now};

/// A client that keeps connections and asks for brotli, as browsers do.
///
/// # Errors
/// When it can't be made.
pub fn client() -> reqwest::Result<Client> {
    Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(64)
        .build()
}

/// Asks and reads all; how long until the first byte of the body in nanoseconds, and its length.
///
/// # Errors
/// When the answer is not a success.
pub async fn get(client: &Client, url: &str) -> anyhow::Result<(u64, usize)> {
    let begun = now();
    let mut response = send(client, url).await?;
    let first = response.chunk().await?.context("an empty body")?;
    let took = now() - begun;
    let mut length = first.len();
    while let Some(chunk) = response.chunk().await? {
        length += chunk.len();
    }
    Ok((took, length))
}

async fn send(client: &Client, url: &str) -> anyhow::Result<Response> {
    let request = client.get(url).header(ACCEPT_ENCODING, "br");
    Ok(request.send().await?.error_for_status()?)
}

/// Asks again and again until there is an answer; milliseconds from `begun`.
///
/// # Errors
/// When there is none within half a minute.
pub async fn until_answered(client: &Client, url: &str, begun: u64) -> anyhow::Result<f64> {
    while send(client, url).await.is_err() {
        anyhow::ensure!(ms_since(begun) < 30_000.0, "{url} does not answer");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(ms_since(begun))
}
