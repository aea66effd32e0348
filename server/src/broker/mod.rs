//! The model as somebody without its key may ask it: programs inside the sandbox during one turn,
//! or a runner during one attempt at a run. They speak the Messages API and show a token that is good
//! for this turn or attempt only; the broker removes it, adds the workspace's key, and sends the
//! request on to the workspace's provider. It reserves and counts every request in a meter, and tells
//! of it in the log.
//!
//! It knows no process and no port: of a turn it keeps a door that somebody opens, and a runner's
//! requests are brought to it.

mod body;
mod exchange;
mod refusal;
mod routes;
mod serve;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use axum::{extract::Request, response::Response};
use membrane_agent::{
    meter::{Exceeded, Meter},
    model::{ModelClient, inside},
    sandbox::Door,
};
use membrane_proto::v1::{InsideRequest, LimitKind, event_payload::Kind};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use crate::{
    credentials::{digest_of, new_secret},
    db::{Database, NewEvent},
    error::Error,
    events::EventLog,
    id::{RunId, SessionId, TurnId},
    redaction::Redaction,
    settings::Settings,
};

use serve::AtDoor;

pub use refusal::Refusal;

/// Requests that are worked on at the same time.
const AT_ONCE: usize = 8;
/// Requests of one turn or attempt, refused ones included.
const PER_TURN: u32 = 1_000;

/// On whose account requests are made.
#[derive(Debug, Clone)]
pub enum Account {
    /// A turn's; what it has used is stored when it ends.
    Turn(SessionId, TurnId),
    /// A run's; what it has used is stored there with each request.
    Run(RunId, Database),
}

/// What a broker is made of.
#[derive(Debug)]
pub struct Commission {
    /// On whose account.
    pub account: Account,
    /// The workspace's provider, with its key.
    pub model: Arc<ModelClient>,
    /// What may still be used.
    pub meter: Meter,
    /// Which models may be asked.
    pub settings: Settings,
    /// Where requests are told of.
    pub log: EventLog,
    /// What masks them, and the token from now on.
    pub redaction: Arc<Redaction>,
}

/// The broker of one turn or attempt.
#[derive(Debug)]
pub struct Broker {
    commission: Commission,
    token: SecretString,
    digest: [u8; 32],
    places: Arc<Semaphore>,
    left: AtomicU32,
    /// Limits that were told of.
    told: Mutex<Vec<LimitKind>>,
    closed: CancellationToken,
    tasks: TaskTracker,
}

impl Broker {
    /// A broker with a token of its own.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system has no randomness.
    pub fn new(commission: Commission) -> Result<Arc<Self>, Error> {
        let token = new_secret("mbi_")?;
        Ok(Self::for_token(commission, token.into()))
    }

    /// A broker for whoever shows this token.
    #[must_use]
    pub fn for_token(commission: Commission, token: SecretString) -> Arc<Self> {
        commission.redaction.add(&token);
        Arc::new(Self {
            commission,
            digest: digest_of(token.expose_secret()),
            token,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            left: AtomicU32::new(PER_TURN),
            told: Mutex::default(),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Answers a request that came another way than through a door, for a tool call or none.
    pub async fn answer(self: Arc<Self>, tool_call_id: &str, request: Request) -> Response {
        let router = routes::router(self, tool_call_id.into());
        match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The way to this broker from inside.
    #[must_use]
    pub fn door(self: &Arc<Self>) -> Door {
        Door {
            port: inside::PORT,
            environment: self.environment(inside::PORT),
            keeper: Arc::new(AtDoor(self.clone())),
        }
    }

    /// What programs inside find in their environment when the broker answers at this port.
    #[must_use]
    pub fn environment(&self, port: u16) -> Vec<(String, String)> {
        inside::environment(port, self.token.expose_secret())
    }

    /// Ends every request and refuses new ones; returns when the last is counted and told of.
    pub async fn close(&self) {
        self.closed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether this is the token of this broker, and it is not closed.
    fn admits(&self, token: &str) -> bool {
        !self.closed.is_cancelled() && digest_of(token) == self.digest
    }

    /// A place among the requests that are worked on, until it is dropped.
    fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let take_one = |left: u32| left.checked_sub(1);
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one);
        if left.is_err() {
            return Err(Refusal::forbidden(format!(
                "Programs have made {PER_TURN} model requests in this turn, which is as many as they may."
            )));
        }
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| Refusal::busy(AT_ONCE))
    }

    /// Refuses a model that is not on the workspace's list.
    fn check_model(&self, model: &str) -> Result<(), Refusal> {
        if self.commission.settings.allows_model(model) {
            return Ok(());
        }
        Err(Refusal::forbidden(format!(
            "This workspace does not allow the model {model:?}. It allows {}.",
            self.commission.settings.allowed_models.join(", ")
        )))
    }

    /// Tells of a limit that a program met, once.
    async fn tell_of_limit(&self, exceeded: &Exceeded) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.contains(&exceeded.kind) {
                return;
            }
            told.push(exceeded.kind);
        }
        self.tell(Kind::LimitMet(exceeded.event(true))).await;
    }

    /// Tells of a request that was sent, and puts it to a run's account. An engine on a runner tells
    /// of its own requests.
    async fn tell_of_request(&self, told: InsideRequest) {
        if let Account::Run(run, database) = &self.commission.account {
            let usage = told.usage.unwrap_or_default();
            if let Err(error) = database.add_run_usage(*run, &usage).await {
                error.log();
            }
            if told.tool_call_id.is_empty() {
                return;
            }
        }
        self.tell(Kind::InsideRequest(told)).await;
    }

    async fn tell(&self, kind: Kind) {
        let Commission {
            account,
            log,
            redaction,
            ..
        } = &self.commission;
        let kind = redaction.redactor().mask_kind(kind);
        let event = match account {
            Account::Turn(session, turn) => NewEvent::of_turn(*session, *turn, kind),
            Account::Run(run, _) => NewEvent::of_run(*run, kind),
        };
        let stream = event.stream.clone();
        if let Err(error) = log.append(event).await {
            tracing::error!(error.message = %error, stream, "a model request from inside could not be told of");
        }
    }
}
