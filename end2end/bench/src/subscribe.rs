//! Subscribers of every kind. Each checks that nothing is missing and nothing out of order, and
//! keeps how late everything came.

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, future::try_join_all};
use membrane_proto::v1::{
    StreamCursor, WatchRequest, WatchResponse, event_payload::Kind as PayloadKind,
    event_service_client::EventServiceClient, watch_response::Kind,
};
use prost::Message as _;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, client::IntoClientRequest as _},
};
use tonic::{Request, Streaming, transport::Endpoint};

use crate::{
    measure::now,
    plan::{Ready, due},
};

/// One reader may hold so many watches.
pub const WATCHES: usize = 60;

/// A reader on a connection of its own.
pub struct Subscriber {
    source: Source,
    last: i64,
}

enum Source {
    Grpc(Streaming<WatchResponse>),
    Web(Web),
    Socket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
}

/// grpc-web over HTTP/1.1, as browsers do it.
struct Web {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

/// What a peer's subscriber is sent.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    sequence: i64,
    #[serde(default)]
    text: String,
}

/// What came to one subscriber.
pub struct Arrived {
    /// From when each event was meant to be sent to when it was decoded, in nanoseconds.
    pub latencies: Vec<u64>,
    /// When the last one was decoded.
    pub end: u64,
}

/// Everything of one or the other kind.
enum Next {
    Event(i64, String),
    CaughtUp,
    Other,
}

impl Subscriber {
    /// Over gRPC.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn grpc(ready: &Ready, session: usize, reader: usize) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{}", ready.address))?;
        let mut subscriber = Self::on(endpoint, ready, session, reader).await?;
        subscriber.until_caught_up(ready).await?;
        Ok(subscriber)
    }

    /// One that reads nothing and takes next to nothing in.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn stalled(ready: &Ready, reader: usize) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{}", ready.address))?;
        Self::on(endpoint.initial_stream_window_size(1_024), ready, 0, reader).await
    }

    async fn on(
        endpoint: Endpoint,
        ready: &Ready,
        session: usize,
        reader: usize,
    ) -> anyhow::Result<Self> {
        let mut client = EventServiceClient::new(endpoint.connect().await?);
        let request = authorised(cursor(ready, session), &ready.tokens[reader])?;
        let stream = client.watch(request).await?.into_inner();
        Ok(Self {
            source: Source::Grpc(stream),
            last: 0,
        })
    }

    /// Over grpc-web.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn web(ready: &Ready, session: usize) -> anyhow::Result<Self> {
        let message = cursor(ready, session).encode_to_vec();
        let mut body = vec![0];
        body.extend(u32::try_from(message.len())?.to_be_bytes());
        body.extend(message);
        let path = "membrane.v1.EventService/Watch";
        let request = reqwest::Client::builder()
            .http1_only()
            .build()?
            .post(format!("http://{}/{path}", ready.address))
            .header("content-type", "application/grpc-web+proto")
            .header("x-grpc-web", "1")
            .bearer_auth(&ready.tokens[0])
            .body(body);
        let web = Web {
            response: request.send().await?.error_for_status()?,
            buffer: Vec::new(),
        };
        let mut subscriber = Self {
            source: Source::Web(web),
            last: 0,
        };
        subscriber.until_caught_up(ready).await?;
        Ok(subscriber)
    }

    /// Over the peer's WebSocket.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn socket(ready: &Ready, session: usize) -> anyhow::Result<Self> {
        let url = format!("ws://{}/sessions/{session}/events", ready.address);
        let request = url.into_client_request()?;
        let (socket, _) = connect_async_with_config(request, None, true).await?;
        let mut subscriber = Self {
            source: Source::Socket(Box::new(socket)),
            last: 0,
        };
        while !matches!(subscriber.next().await?, Next::CaughtUp) {}
        Ok(subscriber)
    }

    async fn until_caught_up(&mut self, ready: &Ready) -> anyhow::Result<()> {
        // tonic by itself subscribes before it answers, and says nothing of it.
        while ready.streams[0] != "raw" && !matches!(self.next().await?, Next::CaughtUp) {}
        Ok(())
    }

    async fn next(&mut self) -> anyhow::Result<Next> {
        match &mut self.source {
            Source::Grpc(stream) => {
                let message = stream.message().await?;
                next_of(message.context("the stream ended")?)
            }
            Source::Web(web) => next_of(web.message().await?),
            Source::Socket(socket) => {
                let message = socket.next().await.context("the socket closed")??;
                let tungstenite::Message::Text(text) = message else {
                    return Ok(Next::Other);
                };
                let sent: Sent = serde_json::from_str(&text)?;
                Ok(match sent.sequence {
                    0 => Next::CaughtUp,
                    sequence => Next::Event(sequence, sent.text),
                })
            }
        }
    }

    /// Takes the next so many events.
    async fn take(mut self, count: u64) -> anyhow::Result<(Self, Arrived)> {
        let mut latencies = Vec::with_capacity(count as usize);
        while (latencies.len() as u64) < count {
            let Next::Event(sequence, text) = self.next().await? else {
                continue;
            };
            let due = due(&text).context("not one of our events")?;
            latencies.push(now().saturating_sub(due));
            ensure!(
                sequence == self.last + 1,
                "after event {} came {sequence}",
                self.last
            );
            self.last = sequence;
        }
        let end = now();
        Ok((self, Arrived { latencies, end }))
    }
}

impl Web {
    async fn message(&mut self) -> anyhow::Result<WatchResponse> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(message);
            }
            let chunk = self.response.chunk().await?.context("the stream ended")?;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    fn buffered(&mut self) -> anyhow::Result<Option<WatchResponse>> {
        let Some((head, rest)) = self.buffer.split_first_chunk::<5>() else {
            return Ok(None);
        };
        ensure!(head[0] == 0, "trailers: the stream ended");
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let Some(message) = rest.get(..length) else {
            return Ok(None);
        };
        let message = WatchResponse::decode(message)?;
        self.buffer.drain(..5 + length);
        Ok(Some(message))
    }
}

/// What subscribers do while something is produced.
pub struct Gathering {
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<(Subscriber, Arrived)>>>,
}

impl Gathering {
    /// Each of them takes so many events.
    #[must_use]
    pub fn begin(subscribers: &mut Vec<Subscriber>, count: u64) -> Self {
        let tasks = subscribers.drain(..);
        Self {
            tasks: tasks
                .map(|subscriber| tokio::spawn(subscriber.take(count)))
                .collect(),
        }
    }

    /// Gives the subscribers back, and what came to each, in their order.
    ///
    /// # Errors
    /// When something was lost or reordered.
    pub async fn end(self, subscribers: &mut Vec<Subscriber>) -> anyhow::Result<Vec<Arrived>> {
        let mut arrived = Vec::new();
        for taken in try_join_all(self.tasks).await? {
            let (subscriber, came) = taken?;
            subscribers.push(subscriber);
            arrived.push(came);
        }
        Ok(arrived)
    }
}

/// A request with a credential.
///
/// # Errors
/// When the token is no header value.
pub fn authorised<T>(message: T, token: &str) -> anyhow::Result<Request<T>> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse()?;
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}

fn cursor(ready: &Ready, session: usize) -> WatchRequest {
    WatchRequest {
        cursors: vec![StreamCursor {
            stream: ready.streams[session].clone(),
            after_sequence: 0,
        }],
        ..Default::default()
    }
}

fn next_of(message: WatchResponse) -> anyhow::Result<Next> {
    match message.kind {
        Some(Kind::Event(event)) => match event.payload.and_then(|payload| payload.kind) {
            Some(PayloadKind::AgentText(text)) => Ok(Next::Event(event.sequence, text.text)),
            other => bail!("not one of our events: {other:?}"),
        },
        Some(Kind::CaughtUp(_)) => Ok(Next::CaughtUp),
        Some(Kind::End(end)) => bail!("the stream ended: {end:?}"),
        _ => Ok(Next::Other),
    }
}
