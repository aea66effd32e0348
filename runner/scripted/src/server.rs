//! The server's life: bind, serve, shut down; and what its routes share. Which answer a request
//! gets is not decided here.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::serve::ListenerExt;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::error::ApiError;
use crate::play::Player;
use crate::record::{Record, Recorded};
use crate::scenario::{Pace, Scenario, Step};
use crate::validate::Dialect;
use crate::{routes, validate};

/// How the server checks and keeps requests.
#[derive(Clone)]
pub struct Options {
    /// The key a request must bring, as `x-api-key` or as a bearer token. None: any key.
    pub key: Option<String>,
    /// Models that exist; asking for another is an error of status 404. Empty: all of them.
    pub models: Vec<String>,
    /// Where the agent's files are, for relative paths in directives, unless the system prompt
    /// names a working directory.
    pub root: String,
    /// How many requests to keep for [`Handle::requests`]; 0 where prompts must not be kept.
    pub keep_requests: usize,
    /// A file to which the body of every request for a message is appended, one a line.
    pub bodies: Option<PathBuf>,
    /// Serve `/_scripted/`, which shows requests and takes scenarios from anybody.
    pub control: bool,
}

/// The server before it is bound.
#[derive(Debug, Clone, Copy)]
pub struct Server;

/// A running server. Cheap to clone; the server ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Handle {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>>,
    _stop: Arc<DropGuard>,
}

/// What the handle and the routes share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    player: Mutex<Player>,
    pub(crate) record: Record,
    pub(crate) stop: CancellationToken,
}

impl Default for Options {
    /// Any key, any model, files in `/workspace`, the last 1000 requests kept, no control.
    fn default() -> Self {
        Self {
            key: None,
            models: Vec::new(),
            root: "/workspace".to_owned(),
            keep_requests: 1000,
            bodies: None,
            control: false,
        }
    }
}

impl fmt::Debug for Options {
    /// Everything but the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("models", &self.models)
            .field("root", &self.root)
            .field("keep_requests", &self.keep_requests)
            .field("bodies", &self.bodies)
            .field("control", &self.control)
            .finish()
    }
}

impl Server {
    /// Binds an address (port 0: any free port) and serves until the handle is dropped or
    /// [`Handle::shutdown`] is called. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the address can't be bound.
    pub async fn bind(
        address: SocketAddr,
        scenario: Scenario,
        options: Options,
    ) -> io::Result<Handle> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            player: Mutex::new(Player::new(scenario, &options.root)),
            record: Record::new(options.keep_requests),
            options,
            stop: stop.clone(),
        });
        let task = tokio::spawn(serve(listener, routes::router(&shared), stop.clone()));
        Ok(Handle {
            address,
            shared,
            task: Arc::new(Mutex::new(Some(task))),
            _stop: Arc::new(stop.drop_guard()),
        })
    }
}

impl Handle {
    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What clients take as the API's base URL.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, oldest first, at most [`Options::keep_requests`].
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.record.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.record.clear();
    }

    /// Plays another scenario from its beginning. Answers on their way are not affected.
    pub fn set_scenario(&self, scenario: Scenario) {
        self.shared.set_scenario(scenario);
    }

    /// Ends all streams and the server; returns when it has ended.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            // It only fails if it panicked or was cancelled, and has ended then as well.
            let _ = task.await;
        }
    }
}

impl Shared {
    pub(crate) fn set_scenario(&self, scenario: Scenario) {
        *self.player() = Player::new(scenario, &self.options.root);
    }

    fn player(&self) -> MutexGuard<'_, Player> {
        self.player.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the headers that every request must bring.
    pub(crate) fn check_head(&self, request: &Recorded) -> Result<Dialect, ApiError> {
        validate::key(request, self.options.key.as_deref())?;
        validate::dialect(request)
    }

    /// The step that answers a request for a message, and its pace.
    pub(crate) fn answer(&self, request: &Recorded) -> Result<(Step, Pace), ApiError> {
        let dialect = self.check_head(request)?;
        validate::message_request(&request.body, dialect, &self.options.models)?;
        self.player().answer(&request.body)
    }

    /// The models to list: those that exist, or a stand-in when all do.
    pub(crate) fn models(&self) -> Vec<String> {
        match self.options.models.as_slice() {
            [] => vec!["scripted".to_owned()],
            models => models.to_vec(),
        }
    }

    /// Appends a body to the file for them, if there is one.
    pub(crate) async fn append_body(&self, body: &Value) {
        let Some(path) = &self.options.bodies else {
            return;
        };
        if let Err(error) = append(path, body).await {
            tracing::warn!(%error, "a request body could not be appended");
        }
    }
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    // Without this, small events wait for the acknowledgement of those before.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the scripted model ended");
    }
}

async fn append(path: &Path, body: &Value) -> io::Result<()> {
    let mut file = tokio::fs::OpenOptions::new();
    let mut file = file.create(true).append(true).open(path).await?;
    file.write_all(format!("{body}\n").as_bytes()).await?;
    file.flush().await
}
