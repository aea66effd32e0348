//! Row 10: the first page: bytes, time to the first byte, pages a second.

use std::collections::BTreeSet;

use anyhow::Context as _;
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

const PAGE: &str = "/sign-in";
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
    let files = files_of(&client, &format!("{origin}{PAGE}")).await?;
    print_bytes(&client, &origin, &files).await?;
    let page = |name: &str, path: &str| -> Box<dyn Part> {
        Box::new(Page {
            name: format!("{name} {path}"),
            url: format!("{origin}{path}"),
            client: client.clone(),
        })
    };
    let style = files.iter().find(|file| file.ends_with(".css"));
    let style = style.context("there is no bundle")?;
    let mut parts = [page("page", PAGE), page("file", style)];
    rounds::run(settings, ROW, &mut parts, &[]).await
}

/// What a browser loads beside a page: whatever of the bundle its elements refer to.
async fn files_of(client: &Client, page: &str) -> anyhow::Result<BTreeSet<String>> {
    let page = client.get(page).send().await?.error_for_status()?;
    let page = page.text().await?;
    let after = ["href=\"/pkg/", "src=\"/pkg/"].map(|start| page.split(start).skip(1));
    let files = after
        .into_iter()
        .flatten()
        .filter_map(|rest| rest.split('"').next());
    Ok(files.map(|file| format!("/pkg/{file}")).collect())
}

async fn print_bytes(
    client: &Client,
    origin: &str,
    files: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let (mut whole, mut sizes) = (0, Vec::new());
    for file in files {
        let (_, length) = get(client, &format!("{origin}{file}")).await?;
        let name = file.rsplit('/').next().unwrap_or_default();
        sizes.push(format!("{name} {:.1}", length as f64 / 1e3));
        whole += length;
    }
    let (_, page) = get(client, &format!("{origin}{PAGE}")).await?;
    println!(
        "row 10, bytes: {:.1} kB with brotli ({}), and a page of {:.1} kB",
        whole as f64 / 1e3,
        sizes.join(", "),
        page as f64 / 1e3
    );
    Ok(())
}
