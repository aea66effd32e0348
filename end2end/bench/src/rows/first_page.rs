//! Row 10: the first page: bytes, time to the first byte, pages a second.

use anyhow::ensure;
use async_trait::async_trait;
use futures::future::try_join_all;
use reqwest::Client;

use super::{free_port, start_binary};
use crate::{
    Settings,
    http::{client, get, until_answered},
    measure::{now, percentile_ms},
    rounds::{self, Figures, Part, Row},
};

/// What a browser loads beside the page.
const FILES: [&str; 4] = [
    "membrane_bg.wasm",
    "membrane.js",
    "membrane.css",
    "theme.js",
];
const ONE_BY_ONE: usize = 200;
const CONNECTIONS: usize = 8;
const EACH: usize = 100;

const ROW: Row = Row {
    title: "10: first page",
    compared: "GET /sign-in, rendered on the server, 200 one by one over one connection, then 800 \
        over 8; against a static file of the same server, asked for in the same way. Time to \
        interactive is not measured",
    persisted: "nothing",
    goal: "at most 350 kB with brotli; first byte within 5 ms; at least 0.3 times the static file",
};

struct Page {
    name: String,
    url: String,
    client: Client,
}

#[async_trait]
impl Part for Page {
    fn name(&self) -> &str {
        &self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let mut first_bytes = Vec::new();
        for _ in 0..ONE_BY_ONE {
            first_bytes.push(get(&self.client, &self.url).await?.0);
        }
        let begun = now();
        try_join_all((0..CONNECTIONS).map(|_| self.ask_again_and_again())).await?;
        let seconds = (now() - begun) as f64 / 1e9;
        Ok(vec![
            ("first byte p50 ms", percentile_ms(&mut first_bytes, 50)),
            ("p99 ms", percentile_ms(&mut first_bytes, 99)),
            ("pages/s", (CONNECTIONS * EACH) as f64 / seconds),
        ])
    }
}

impl Page {
    async fn ask_again_and_again(&self) -> anyhow::Result<()> {
        for _ in 0..EACH {
            get(&self.client, &self.url).await?;
        }
        Ok(())
    }
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let directory = tempfile::tempdir_in(&settings.data)?;
    let port = free_port()?;
    let _process = start_binary(settings, directory.path(), port)?;
    let (client, origin) = (client()?, format!("http://127.0.0.1:{port}"));
    until_answered(&client, &format!("{origin}/health"), now()).await?;
    print_bytes(&client, &origin).await?;
    let page = |name: &str, path: &str| -> Box<dyn Part> {
        Box::new(Page {
            name: format!("{name} {path}"),
            url: format!("{origin}{path}"),
            client: client.clone(),
        })
    };
    let mut parts = [page("page", "/sign-in"), page("file", "/pkg/membrane.css")];
    rounds::run(settings, ROW, &mut parts, &[]).await
}

async fn print_bytes(client: &Client, origin: &str) -> anyhow::Result<()> {
    let (mut whole, mut sizes) = (0, Vec::new());
    for file in FILES {
        let (_, length) = get(client, &format!("{origin}/pkg/{file}")).await?;
        sizes.push(format!("{file} {:.1}", length as f64 / 1e3));
        whole += length;
    }
    ensure!(whole > 0, "there is no bundle");
    let (_, page) = get(client, &format!("{origin}/sign-in")).await?;
    println!(
        "row 10, bytes: {:.1} kB with brotli ({}), and a page of {:.1} kB",
        whole as f64 / 1e3,
        sizes.join(", "),
        page as f64 / 1e3
    );
    Ok(())
}
