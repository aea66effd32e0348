//! tonic with nothing around it: the limit for whoever streams with it. One hop, or two with a
//! relay between, which stores each event in a commit of its own before it passes it on.

use std::{path::PathBuf, pin::Pin};

use anyhow::Context as _;
use clap::Args;
use membrane_proto::v1::{
    AgentText, Event, EventPayload, ListEventsRequest, ListEventsResponse, WatchRequest,
    WatchResponse,
    event_payload::Kind as PayloadKind,
    event_service_client::EventServiceClient,
    event_service_server::{EventService, EventServiceServer},
    watch_response::Kind,
};
use tokio::{net::TcpListener, sync::broadcast, task::block_in_place};
use tokio_stream::{Stream, StreamExt as _, wrappers::BroadcastStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

use crate::{
    measure::now,
    plan::{Command, Plan, Produced, Ready, commands, say, text},
    store::Store,
};

/// Messages that a subscriber may be behind before it loses some.
const RING: usize = 8_192;
const STREAM: &str = "raw";

/// How it is started.
#[derive(Debug, Args)]
pub struct Options {
    /// Where the database is.
    #[arg(long)]
    directory: PathBuf,
    /// Whether events are stored.
    #[arg(long)]
    store: bool,
    /// Whether there is a hop between the producer and the store.
    #[arg(long)]
    relay: bool,
}

/// Sends what is produced to whoever watches.
struct Raw {
    messages: broadcast::Sender<WatchResponse>,
}

#[tonic::async_trait]
impl EventService for Raw {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn list_events(
        &self,
        _request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        Err(Status::unimplemented("only watching is measured"))
    }

    async fn watch(
        &self,
        _request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        // What a slow reader lost is missing from its sequences, which it checks.
        let messages = BroadcastStream::new(self.messages.subscribe());
        let messages = messages.filter_map(|message| message.ok().map(Ok));
        Ok(Response::new(Box::pin(messages)))
    }
}

/// The producer's end.
struct Producer {
    messages: broadcast::Sender<WatchResponse>,
    store: Option<Store>,
    sequence: i64,
}

impl Producer {
    fn send(&mut self, text: String) -> anyhow::Result<()> {
        self.sequence += 1;
        if let Some(store) = &self.store {
            store.insert(STREAM, self.sequence, &text)?;
        }
        // An error means that nobody watches.
        let _ = self.messages.send(message(self.sequence, text));
        Ok(())
    }

    fn produce(&mut self, plan: Plan) -> anyhow::Result<()> {
        if plan.interval > 0 {
            return plan.pace(|_, text| self.send(text));
        }
        (0..plan.count).try_for_each(|index| self.send(text(now(), index, plan.bytes)))
    }
}

/// Serves, and produces as the driver says, until it says no more.
///
/// # Errors
/// When something can't be opened or stored.
pub async fn serve(options: Options) -> anyhow::Result<()> {
    let store = Store::open(&options.directory.join("raw.db"))?;
    let (mut address, messages) = listen().await?;
    let mut producer = Producer {
        messages,
        store: None,
        sequence: 0,
    };
    if options.relay {
        let upstream = Endpoint::from_shared(format!("http://{address}"))?;
        let upstream = EventServiceClient::new(upstream.connect().await?);
        let (front, messages) = listen().await?;
        let store = options.store.then_some(store);
        tokio::spawn(relay(upstream, messages, store).await?);
        address = front;
    } else {
        producer.store = options.store.then_some(store);
    }
    say(&Ready {
        address,
        streams: vec![STREAM.to_owned()],
        tokens: vec!["none".to_owned()],
    })?;
    let mut commands = commands();
    while let Some(Command::Produce(plan)) = commands.recv().await {
        let begun = now();
        block_in_place(|| producer.produce(plan))?;
        let seconds = (now() - begun) as f64 / 1e9;
        say(&Produced { seconds })?;
    }
    Ok(())
}

async fn listen() -> anyhow::Result<(String, broadcast::Sender<WatchResponse>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let messages = broadcast::Sender::new(RING);
    let service = EventServiceServer::new(Raw {
        messages: messages.clone(),
    });
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = Server::builder().add_service(service);
    tokio::spawn(serving.serve_with_incoming(incoming));
    Ok((address, messages))
}

/// Subscribes; the future that comes back passes on what arrives.
async fn relay(
    mut upstream: EventServiceClient<Channel>,
    messages: broadcast::Sender<WatchResponse>,
    store: Option<Store>,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
    let mut arriving = upstream.watch(WatchRequest::default()).await?.into_inner();
    let mut producer = Producer {
        messages,
        store,
        sequence: 0,
    };
    Ok(async move {
        loop {
            let text = next_text(&mut arriving).await?;
            block_in_place(|| producer.send(text))?;
        }
    })
}

async fn next_text(arriving: &mut Streaming<WatchResponse>) -> anyhow::Result<String> {
    let message = arriving.message().await?.context("the producer ended")?;
    let Some(Kind::Event(event)) = message.kind else {
        anyhow::bail!("not an event");
    };
    match event.payload.and_then(|payload| payload.kind) {
        Some(PayloadKind::AgentText(text)) => Ok(text.text),
        _ => anyhow::bail!("not a text"),
    }
}

/// The same message as the server's.
fn message(sequence: i64, text: String) -> WatchResponse {
    let text = AgentText {
        block_id: String::new(),
        text,
    };
    let event = Event {
        stream: STREAM.to_owned(),
        sequence,
        create_time: None,
        turn_id: String::new(),
        payload: Some(EventPayload {
            kind: Some(PayloadKind::AgentText(text)),
            ..EventPayload::default()
        }),
    };
    WatchResponse {
        kind: Some(Kind::Event(event)),
    }
}
