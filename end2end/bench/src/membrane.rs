//! Membrane as a child process: the whole server, and a producer that holds its event log as a live
//! session does.

use std::{collections::VecDeque, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use futures::future::try_join_all;
use membrane_agent::redact::Redactor;
use membrane_proto::v1::{
    self as proto, AgentText, EventPayload, event_payload::Kind,
    session_service_client::SessionServiceClient, workspace_service_client::WorkspaceServiceClient,
};
use membrane_server::{
    authz::Role,
    clock::Clock,
    config::Config,
    credentials::new_api_token,
    db::NewEvent,
    events::EventLog,
    id::{UserId, WorkspaceId},
    server::{App, Server},
};
use tokio::{net::TcpListener, runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use crate::{
    measure::now,
    plan::{BYTES, Command, Plan, Produced, Ready, commands, say, text},
    subscribe::authorised,
};

/// How it is started.
#[derive(Debug, Args)]
pub struct Options {
    /// Its data directory.
    #[arg(long)]
    directory: PathBuf,
    /// Sessions to make.
    #[arg(long, default_value_t = 1)]
    sessions: usize,
    /// Readers to make, each with a token; one may hold 64 watches.
    #[arg(long, default_value_t = 1)]
    readers: usize,
}

/// Serves, and produces as the driver says, until it says no more.
///
/// # Errors
/// When something can't be opened or stored.
pub async fn serve(options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let config = Config::for_directory(&options.directory, address)?;
    let server = Server::start(config, Clock::system(), Redactor::default()).await?;
    let app = server.app.clone();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.serve(listener, stop.clone()));
    let ready = prepare(&app, address.to_string(), &options).await?;
    say(&ready)?;
    let mut commands = commands();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Produce(plan) => {
                let begun = now();
                produce(&app.log, &ready.streams, plan).await?;
                let seconds = (now() - begun) as f64 / 1e9;
                say(&Produced { seconds })?;
            }
            Command::Acknowledge => acknowledge(&app.log, &ready.streams[0]).await?,
        }
    }
    stop.cancel();
    serving.await?
}

/// A workspace of one owner, its sessions, and readers.
async fn prepare(app: &App, address: String, options: &Options) -> anyhow::Result<Ready> {
    let (_, token) = reader(app, "owner").await?;
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
    let request = proto::CreateWorkspaceRequest {
        name: "bench".to_owned(),
        ..Default::default()
    };
    let mut workspaces = WorkspaceServiceClient::new(channel.clone());
    let made = workspaces.create_workspace(authorised(request, &token)?);
    let workspace = made.await?.into_inner().workspace.context("a workspace")?;
    let mut streams = Vec::new();
    for _ in 0..options.sessions {
        let request = proto::CreateSessionRequest {
            workspace_id: workspace.id.clone(),
            ..Default::default()
        };
        let mut sessions = SessionServiceClient::new(channel.clone());
        let made = sessions.create_session(authorised(request, &token)?);
        let session = made.await?.into_inner().session.context("a session")?;
        streams.push(format!("sessions/{}", session.id));
    }
    let workspace = WorkspaceId(workspace.id.parse()?);
    let mut tokens = Vec::new();
    for number in 0..options.readers {
        let (user, token) = reader(app, &format!("reader {number}")).await?;
        let now = app.clock.now();
        app.database
            .set_member(workspace, user, Role::Viewer, now)
            .await?;
        tokens.push(token);
    }
    Ok(Ready {
        address,
        streams,
        tokens,
    })
}

async fn reader(app: &App, name: &str) -> anyhow::Result<(UserId, String)> {
    let now = app.clock.now();
    let user = UserId(app.database.create_user(name, false, now).await?.id);
    let (_, token) = new_api_token(&app.database, user, "bench".to_owned(), 0, now).await?;
    Ok((user, token))
}

/// Returns when everything is stored.
async fn produce(log: &EventLog, streams: &[String], plan: Plan) -> anyhow::Result<()> {
    if plan.interval > 0 {
        return produce_on_time(log.clone(), streams.to_vec(), plan).await;
    }
    let each = plan.count / plan.sessions as u64;
    let bursts = streams[..plan.sessions]
        .iter()
        .map(|stream| tokio::spawn(burst(log.clone(), stream.clone(), each, plan)));
    for burst in try_join_all(bursts).await? {
        burst?;
    }
    Ok(())
}

async fn produce_on_time(log: EventLog, streams: Vec<String>, plan: Plan) -> anyhow::Result<()> {
    let runtime = Handle::current();
    let pacing = tokio::task::spawn_blocking(move || {
        let mut waiting = Vec::new();
        plan.pace(|session, text| {
            let (stored, done) = oneshot::channel();
            waiting.push(done);
            Ok(runtime.block_on(log.enqueue(event(&streams[session], text), stored))?)
        })?;
        anyhow::Ok(waiting)
    });
    for done in pacing.await?? {
        done.await.context("an event was not stored")?;
    }
    Ok(())
}

async fn burst(log: EventLog, stream: String, count: u64, plan: Plan) -> anyhow::Result<()> {
    let mut waiting = VecDeque::with_capacity(plan.window);
    for index in 0..count {
        if waiting.len() == plan.window
            && let Some(oldest) = waiting.pop_front()
        {
            receive(oldest).await?;
        }
        let (stored, done) = oneshot::channel();
        let event = event(&stream, text(now(), index, plan.bytes));
        log.enqueue(event, stored).await?;
        waiting.push_back(done);
    }
    for done in waiting {
        receive(done).await?;
    }
    Ok(())
}

async fn receive(done: oneshot::Receiver<()>) -> anyhow::Result<()> {
    done.await.context("an event was not stored")
}

/// Until it is killed.
async fn acknowledge(log: &EventLog, stream: &str) -> anyhow::Result<()> {
    for number in 1_u64.. {
        log.append(event(stream, text(now(), number, BYTES)))
            .await?;
        say(&number)?;
    }
    Ok(())
}

fn event(stream: &str, text: String) -> NewEvent {
    NewEvent {
        stream: stream.to_owned(),
        turn_id: String::new(),
        payload: EventPayload {
            kind: Some(Kind::AgentText(AgentText {
                block_id: String::new(),
                text,
            })),
            ..EventPayload::default()
        },
    }
}
