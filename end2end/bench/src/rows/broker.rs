//! Row 16: what the model broker costs a streamed token, against a connection to the provider.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use futures::future::try_join_all;
use membrane_agent::{
    egress::EgressGuard,
    meter::{Limits, Meter},
    model::{ModelClient, ModelConfig, Provider},
    redact::Redactor,
    sandbox::OpenDoor,
};
use membrane_server::{
    broker::{Broker, Commission},
    clock::Clock,
    config::Config,
    id::{SessionId, TurnId, WorkspaceId},
    server::Server,
    settings::Settings as WorkspaceSettings,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Settings,
    measure::{now, percentile_ms},
    rounds::{self, Figures, Part, Row},
};

/// Streams at the same time.
const STREAMS: usize = 4;
/// Tokens of one stream that are sent as fast as they are read.
const BURST: usize = 20_000;
/// Tokens of one stream that are sent at a pace, and their distance.
const PACED: usize = 400;
const PACE: Duration = Duration::from_millis(5);

const ROW: Row = Row {
    title: "16: the model broker, for a streamed token",
    compared: "4 streams of 20,000 tokens as fast as they are read, and 4 of 400 tokens each 5 ms, \
        from the moment a token was to be sent until its line is read: through the broker, which \
        reads along, counts and tells of each request; and from the same provider directly. A \
        token is an event of about 130 B in a chunk of its own",
    persisted: "one event a request: SQLite, WAL, synchronous FULL; directly nothing",
    goal: "at least 0.3 times the tokens a second, p99 at most 1 ms more",
};

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let provider = TcpListener::bind("127.0.0.1:0").await?;
    let address = provider.local_addr()?;
    tokio::spawn(provide(provider));
    let mut parts: Vec<Box<dyn Part>> = vec![
        Box::new(Way::through_broker(settings, address).await?),
        Box::new(Way::direct(address)),
    ];
    rounds::run(settings, ROW, &mut parts, &[]).await
}

struct Way {
    name: &'static str,
    url: String,
    token: String,
    client: reqwest::Client,
    _kept: Option<Kept>,
}

struct Kept {
    _stop: DropGuard,
    _keeping: JoinSet<()>,
    _directory: TempDir,
}

impl Way {
    fn direct(provider: SocketAddr) -> Self {
        Self {
            name: "directly",
            url: format!("http://{provider}"),
            token: "none".to_owned(),
            client: reqwest::Client::new(),
            _kept: None,
        }
    }

    async fn through_broker(settings: &Settings, provider: SocketAddr) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(&settings.data)?;
        let port = TcpListener::bind("127.0.0.1:0").await?;
        let config = Config::for_directory(directory.path(), port.local_addr()?)?;
        let server = Server::start(config, Clock::system(), Redactor::default()).await?;
        let log = server.app.log.clone();
        let redaction = server
            .app
            .redactions
            .in_workspace(WorkspaceId::new())
            .await?;
        let stop = CancellationToken::new();
        let mut keeping = JoinSet::new();
        let ended = stop.clone();
        keeping.spawn(async move {
            // A server that fails makes the figures impossible, which is seen.
            let _ = server.serve(port, ended).await;
        });
        let guard = EgressGuard::new(vec![provider.into()]);
        let model = ModelConfig::new(Provider::Custom, "none".to_owned().into(), guard);
        let model = ModelClient::new(model.with_base_url(format!("http://{provider}")))?;
        let broker = Broker::new(Commission {
            session: SessionId::new(),
            turn: TurnId::new(),
            model: Arc::new(model),
            meter: Meter::new(Limits::default(), Default::default()),
            settings: WorkspaceSettings::default(),
            log,
            redaction,
        })?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let environment = broker.environment(listener.local_addr()?.port());
        let door = OpenDoor {
            listener,
            tool_call_id: "call".to_owned(),
            closing: stop.clone(),
        };
        keeping.spawn(broker.door().keeper.serve(door));
        let value = |name: &str| {
            let found = environment.iter().find(|(one, _)| one == name);
            found.map(|(_, value)| value.clone()).context("a variable")
        };
        Ok(Self {
            name: "through the broker",
            url: value("ANTHROPIC_BASE_URL")?,
            token: value("ANTHROPIC_API_KEY")?,
            client: reqwest::Client::new(),
            _kept: Some(Kept {
                _stop: stop.drop_guard(),
                _keeping: keeping,
                _directory: directory,
            }),
        })
    }

    /// Reads a stream and answers how long each token took.
    async fn stream(&self, model: &str, tokens: usize) -> anyhow::Result<Vec<u64>> {
        let body = json!({ "model": model, "max_tokens": tokens, "stream": true, "messages": [] });
        let request = self.client.post(format!("{}/v1/messages", self.url));
        let mut answer = request
            .header("x-api-key", &self.token)
            .json(&body)
            .send()
            .await?
            .error_for_status()?;
        let mut took = Vec::with_capacity(tokens);
        let mut line = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            for byte in piece {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                took.extend(moment(&line).map(|moment| now().saturating_sub(moment)));
                line.clear();
            }
        }
        ensure!(took.len() == tokens, "{} of {tokens} tokens", took.len());
        Ok(took)
    }

    async fn streams(&self, model: &str, tokens: usize) -> anyhow::Result<Vec<u64>> {
        let streams = (0..STREAMS).map(|_| self.stream(model, tokens));
        Ok(try_join_all(streams).await?.concat())
    }
}

#[async_trait]
impl Part for Way {
    fn name(&self) -> &str {
        self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let begun = now();
        let read = self.streams("burst", BURST).await?.len();
        let seconds = (now() - begun) as f64 / 1e9;
        let mut took = self.streams("paced", PACED).await?;
        Ok(vec![
            ("tokens/s", read as f64 / seconds),
            ("p50 ms", percentile_ms(&mut took, 50)),
            ("p99 ms", percentile_ms(&mut took, 99)),
        ])
    }
}

/// When the token in this line was to be sent.
fn moment(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, rest) = text.split_once("\"text\":\"at ")?;
    rest.split_once('"')?.0.parse().ok()
}

/// A provider that can do nothing else, and nothing faster.
async fn provide(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            // Whoever reads sees what is missing.
            let _ = converse(stream).await;
        });
    }
}

async fn converse(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let request = read(&mut stream).await?;
        let asked: serde_json::Value = serde_json::from_slice(&request)?;
        let tokens = asked["max_tokens"].as_u64().context("a count")?;
        let paced = asked["model"] == "paced";
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let begin = json!({ "type": "message_start", "message": { "model": "bench", "usage": { "input_tokens": 1 } } });
        send(&mut stream, &begin.to_string()).await?;
        let open = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } });
        send(&mut stream, &open.to_string()).await?;
        let mut next = tokio::time::Instant::now();
        for _ in 0..tokens {
            let mut wanted = now();
            if paced {
                next += PACE;
                let late = next.saturating_duration_since(tokio::time::Instant::now());
                wanted += u64::try_from(late.as_nanos())?;
                tokio::time::sleep_until(next).await;
            }
            let event = format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"at {wanted}"}}}}"#
            );
            send(&mut stream, &event).await?;
        }
        let end = json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": tokens } });
        send(&mut stream, &end.to_string()).await?;
        send(&mut stream, r#"{"type":"message_stop"}"#).await?;
        stream.write_all(b"0\r\n\r\n").await?;
    }
}

async fn send(stream: &mut TcpStream, data: &str) -> std::io::Result<()> {
    let text = format!("event: e\ndata: {data}\n\n");
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    stream.write_all(chunk.as_bytes()).await
}

/// Reads a request and answers its body.
async fn read(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .context("a length")?;
    let mut body = vec![0; length.trim().parse()?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}
