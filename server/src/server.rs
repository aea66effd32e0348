//! The server put together: storage, vault, sandbox, live sessions, services, web, and the order
//! in which they start and stop.

use std::{collections::HashSet, fs::File, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use membrane_agent::{
    egress::{self, EgressGuard},
    redact::{Known, Redactor},
    sandbox::{Sandbox, SandboxState, Unavailable},
};
use membrane_proto::v1::EndReason;
use membrane_scripted::Scenario;
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server as Transport, server::TcpIncoming},
};

use crate::{
    alone::{self, Alone},
    authz::Authority,
    changes::Changes,
    clock::Clock,
    config::Config,
    credentials::Authenticator,
    db::Database,
    dispatch::Dispatch,
    events::{EventLog, Watchers},
    files::{Files, Notices},
    id::ServerId,
    objects::Bucket,
    peers::{Peers, Taking},
    previews::Previews,
    providers::{self, Providers},
    redaction::Redactions,
    runs::{self, Runs},
    schedules::Schedules,
    searches::Searches,
    secrets::Secrets,
    sessions::{self, Sessions},
    snapshots::Snapshots,
    vault::Vault,
    web,
    workspaces::Places,
};

/// How long open requests may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// Streams on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// What handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The effective configuration.
    pub config: Arc<Config>,
    /// What is stored.
    pub database: Database,
    /// The event log.
    pub log: EventLog,
    /// The time.
    pub clock: Clock,
    /// Who is calling.
    pub authenticator: Authenticator,
    /// Who may do what.
    pub authority: Authority,
    /// Workspaces' directories.
    pub places: Places,
    /// Workspaces' files.
    pub files: Files,
    /// What tells that directories of them change.
    pub notices: Notices,
    /// What changes in them.
    pub changes: Changes,
    /// Pictures of them.
    pub snapshots: Snapshots,
    /// Jobs for runners.
    pub runs: Runs,
    /// What makes such jobs by the clock.
    pub schedules: Schedules,
    /// Previews of them.
    pub previews: Previews,
    /// Searches of them.
    pub searches: Searches,
    /// Keys and model clients.
    pub providers: Providers,
    /// Users' secrets.
    pub secrets: Secrets,
    /// What masks secrets.
    pub redactions: Redactions,
    /// Where tools run.
    pub sandbox: Sandbox,
    /// Live sessions.
    pub sessions: Sessions,
    /// Open watches.
    pub watchers: Watchers,
    /// Ends every stream when the server stops.
    pub stopping: CancellationToken,
}

/// A server that has been set up and does not listen yet.
#[derive(Debug)]
pub struct Server {
    /// What its handlers share.
    pub app: App,
    peers: Peers,
    peers_stop: CancellationToken,
    /// What calls runners, if they are called.
    dispatch: Option<Dispatch>,
    /// Held as long as this server uses the workspaces' directories.
    _volume: File,
    log: JoinHandle<()>,
    log_stop: CancellationToken,
    /// Held as long as this server lives.
    alone: Arc<Alone>,
    vault: Vault,
    /// What no log line shows as long as this server lives.
    _masked: Vec<Known>,
}

impl Server {
    /// Opens everything, ends what an earlier process left unfinished, and sweeps what it left
    /// behind. What `logs` masks is what this server has in hand.
    ///
    /// # Errors
    /// Whatever can't be opened, in words for an operator.
    pub async fn start(config: Config, clock: Clock, logs: Redactor) -> anyhow::Result<Self> {
        config.create_data_dir()?;
        let masked = mask_keys(&config, &logs);
        let alone = Arc::new(Alone::lock(&config.data_dir)?);
        let id = alone::identity(&config.data_dir)?;
        let database = Database::open(&config.database_url()).await?;
        let vault = open_vault(&config, &database, clock.clone()).await?;
        alone.tell(&vault.versions())?;
        let places = Places::open(&config.workspace_root())
            .context("cannot open the workspace directory")?;
        let sandbox = start_sandbox(&config).await;
        let guard = EgressGuard::new(config.egress_allow_private.clone())
            .deny_own(egress::own_addresses())
            .deny_own_port(config.listen.port());
        let (log, service) = EventLog::new(database.clone(), clock.clone());
        let log_stop = CancellationToken::new();
        let log_task = tokio::spawn(service.run(log_stop.clone()));
        let providers = open_providers(&config, &database, vault.clone(), &guard, &clock).await?;
        let secrets = Secrets::new(database.clone(), vault.clone(), clock.clone());
        let redactions =
            Redactions::new(database.clone(), providers.clone(), secrets.clone(), logs);
        let files = Files::new(places.clone(), clock.clone());
        let bucket = match &config.blob_store {
            Some(place) => Some(Bucket::open(place).await?),
            None => None,
        };
        let changes = Changes::new(database.clone(), places.clone(), clock.clone(), bucket);
        let sessions = Sessions::new(sessions::Dependencies {
            server: id,
            database: database.clone(),
            log: log.clone(),
            clock: clock.clone(),
            places: places.clone(),
            files: files.clone(),
            changes: changes.clone(),
            providers: providers.clone(),
            redactions: redactions.clone(),
            sandbox: sandbox.clone(),
            guard,
        });
        let for_runners = dispatch_guard(&config)?;
        let snapshots = Snapshots::new(
            database.clone(),
            changes.clone(),
            files.clone(),
            clock.clone(),
        );
        let runs = Runs::new(runs::Dependencies {
            database: database.clone(),
            log: log.clone(),
            clock: clock.clone(),
            snapshots: snapshots.clone(),
            sessions: sessions.clone(),
            redactions: redactions.clone(),
            providers: providers.clone(),
        });
        let app = App {
            authenticator: Authenticator::new(database.clone(), clock.clone(), config.is_secure()),
            authority: Authority::new(database.clone(), clock.clone()),
            watchers: Watchers::default(),
            stopping: CancellationToken::new(),
            config: Arc::new(config),
            snapshots,
            schedules: Schedules::new(database.clone(), runs.clone(), clock.clone()),
            runs,
            database,
            log,
            notices: Notices::open(),
            previews: Previews::new(files.clone()),
            searches: Searches::new(files.clone()),
            clock,
            places,
            files,
            changes,
            providers,
            secrets,
            redactions,
            sandbox,
            sessions,
        };
        let dispatch = match app.config.dispatch.clone() {
            None => None,
            Some(endpoint) => Some(Dispatch::new(
                endpoint,
                &for_runners,
                app.database.clone(),
                app.runs.clone(),
                app.clock.clone(),
            )?),
        };
        let peers = Peers {
            id,
            database: app.database.clone(),
            log: app.log.clone(),
            clock: app.clock.clone(),
            vault: vault.clone(),
            sessions: app.sessions.clone(),
            changes: app.changes.clone(),
            runs: app.runs.clone(),
            redactions: app.redactions.clone(),
            taking: Taking::default(),
        };
        let volume = app.tidy_up(&peers).await?;
        Ok(Self {
            app,
            peers,
            peers_stop: CancellationToken::new(),
            dispatch,
            _volume: volume,
            log: log_task,
            log_stop,
            alone,
            vault,
            _masked: masked,
        })
    }

    /// What reads the master keys again, for as long as this server lives.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader {
            id: self.peers.id,
            database: self.app.database.clone(),
            vault: self.vault.clone(),
            alone: self.alone.clone(),
        }
    }

    /// Serves until `stop`, then ends streams, turns and the log, in this order.
    ///
    /// # Errors
    /// The transport's own.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let router = web::router(&self.app);
        tokio::spawn(
            self.app
                .changes
                .clone()
                .keep_tidy(self.app.stopping.clone()),
        );
        let runs = self.app.runs.clone();
        tokio::spawn(runs.keep_leases(self.app.stopping.clone()));
        if let Some(dispatch) = self.dispatch.clone() {
            tokio::spawn(dispatch.keep(self.app.stopping.clone()));
        }
        let schedules = self.app.schedules.clone();
        tokio::spawn(schedules.keep(self.app.stopping.clone()));
        let snapshots = self.app.snapshots.clone();
        tokio::spawn(snapshots.keep_tidy(self.app.stopping.clone()));
        tokio::spawn(self.peers.clone().run(self.peers_stop.clone()));
        let notices = self.app.notices.clone();
        tokio::spawn(notices.run(self.app.stopping.clone()));
        let ended = stop.clone();
        let app = self.app.clone();
        let winding_down = async move {
            ended.cancelled().await;
            tracing::info!("the server stops: ending streams and turns");
            // Turns first: watchers still see how theirs ended.
            app.sessions.stop().await;
            app.stopping.cancel();
            app.log.hub.end_all(EndReason::ServerStopping);
        };
        let serving = transport()
            .add_routes(Routes::from(router))
            .serve_with_incoming_shutdown(incoming, winding_down);
        tokio::select! {
            served = serving => served.context("serving failed")?,
            () = cut_off(stop) => tracing::warn!("open requests were cut off after {} s", GRACE.as_secs()),
        }
        self.finish().await
    }

    /// Serves runners on a port of their own, until the server stops.
    pub fn serve_runners(&self, listener: TcpListener) {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let router = web::runner_router(&self.app);
        let stopping = self.app.stopping.clone();
        tokio::spawn(async move {
            let served = transport()
                .add_routes(Routes::from(router))
                .serve_with_incoming_shutdown(incoming, stopping.cancelled());
            if let Err(error) = served.await {
                tracing::error!(error.message = %error, "serving runners failed");
            }
        });
    }

    async fn finish(self) -> anyhow::Result<()> {
        self.app.stopping.cancel();
        self.app.sessions.stop().await;
        self.log_stop.cancel();
        self.log.await.context("the event log's writer failed")?;
        // Last, so that the others hear of everything.
        self.peers_stop.cancel();
        self.peers.leave().await?;
        self.app
            .database
            .close()
            .await
            .context("the database could not be closed")
    }
}

/// A port with what holds for all of them.
fn transport() -> Transport {
    Transport::builder()
        .accept_http1(true)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
}

async fn cut_off(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

impl App {
    /// Tidies up what is left in the workspaces' directories, unless somebody else uses them, and
    /// ends what was left unfinished. Answers what tells others that this server uses them.
    async fn tidy_up(&self, peers: &Peers) -> anyhow::Result<File> {
        match self.places.lock_alone()? {
            None => tracing::info!(
                "another server or command uses the workspaces' directories: they are not tidied up"
            ),
            Some(_alone) => self.tidy_directories().await?,
        }
        let volume = self.places.announce()?;
        self.runs.recover().await?;
        let ended = peers.recover().await?;
        if ended > 0 {
            tracing::info!(
                turns.ended = ended,
                "ended turns that an earlier process left unfinished"
            );
        }
        Ok(volume)
    }

    async fn tidy_directories(&self) -> anyhow::Result<()> {
        let known: HashSet<_> = self.database.workspace_ids().await?.into_iter().collect();
        let swept = self
            .places
            .sweep(&known)
            .context("cannot sweep the workspace directory")?;
        if swept > 0 {
            tracing::info!(
                workspaces.swept = swept,
                "removed directories that no workspace owns"
            );
        }
        let files = self.files.clone();
        Ok(tokio::task::spawn_blocking(move || files.recover(known)).await?)
    }
}

/// Masks what opens the object store, whatever a library of it may log.
fn mask_keys(config: &Config, logs: &Redactor) -> Vec<Known> {
    let places = config.blob_store.iter();
    let secrets = places.flat_map(|place| place.keys.secrets());
    secrets.map(|secret| logs.know(secret)).collect()
}

/// What guards calls of runners: the operator who names an address there means it, wherever it is.
fn dispatch_guard(config: &Config) -> anyhow::Result<EgressGuard> {
    let mut allowed = config.egress_allow_private.clone();
    let url = config.dispatch.as_ref().map(|dispatch| &dispatch.url);
    if let Some((host, port)) =
        url.and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)))
    {
        allowed.push(format!("{host}:{port}").parse()?);
    }
    Ok(EgressGuard::new(allowed))
}

/// The vault as the configuration says.
///
/// # Errors
/// Whatever is wrong with the master keys, in words for an operator.
pub async fn open_vault(
    config: &Config,
    database: &Database,
    clock: Clock,
) -> anyhow::Result<Vault> {
    let given = config.master_keys.as_ref().map(ExposeSecret::expose_secret);
    Ok(Vault::open(given, &config.master_key_file(), database, clock).await?)
}

/// Reads the master keys of a running server again.
#[derive(Debug)]
pub struct Reloader {
    id: ServerId,
    database: Database,
    vault: Vault,
    alone: Arc<Alone>,
}

impl Reloader {
    /// Reads them, and tells whoever rotates them what there is now.
    ///
    /// # Errors
    /// In words for an operator; the keys are then those from before.
    pub async fn reload(&self) -> anyhow::Result<()> {
        if !self.vault.reload().await? {
            bail!("they were given in MEMBRANE_MASTER_KEYS: restart the server with the new ones");
        }
        let versions = self.vault.versions();
        self.alone.tell(&versions)?;
        let told = self
            .database
            .set_master_versions(self.id, alone::words(&versions));
        told.await?;
        tracing::info!(?versions, "the master keys were read again");
        Ok(())
    }
}

/// A sandbox that can't be had does not keep the server from starting: it says so everywhere and
/// refuses sessions.
async fn start_sandbox(config: &Config) -> Sandbox {
    match Sandbox::start(config.sandbox.clone()).await {
        Ok(sandbox) => {
            if sandbox.state() == SandboxState::Disabled {
                tracing::warn!(
                    "the sandbox is switched off: agents have the rights of this server's user"
                );
            }
            sandbox
        }
        Err(unavailable) => {
            let Unavailable { reason, fix } = &unavailable;
            tracing::error!(sandbox.reason = %reason, sandbox.fix = %fix, "the sandbox is not available: sessions will be refused");
            Sandbox::unavailable(unavailable)
        }
    }
}

async fn open_providers(
    config: &Config,
    database: &Database,
    vault: Vault,
    guard: &EgressGuard,
    clock: &Clock,
) -> anyhow::Result<Providers> {
    let key = crate::credentials::new_secret("")?;
    let options = membrane_scripted::Options {
        key: Some(key.clone()),
        keep_requests: 0,
        ..membrane_scripted::Options::default()
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let demo = membrane_scripted::Server::bind(address, Scenario::demo(), options)
        .await
        .context("cannot start the scripted model of the demo provider")?;
    Ok(Providers::new(providers::Dependencies {
        database: database.clone(),
        vault,
        guard: guard.clone(),
        clock: clock.clone(),
        demo,
        demo_key: key.into(),
        byok_required: config.byok_required,
    }))
}
