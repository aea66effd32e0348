//! Live sessions: which turn runs where, who waits for whom, and how one is stopped.
//!
//! A turn is stored before it is started. At most one turn at a time works in a workspace; the
//! others wait in line. What a turn does goes to the event log; here is only what can't be stored:
//! its cancellation, the answers it waits for, and the tools' memory between turns.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use membrane_agent::{
    PermissionAnswer, cost,
    egress::EgressGuard,
    sandbox::{Sandbox, SandboxState},
    tools::Toolbox,
};
use membrane_entity::{session, turn};
use membrane_proto::v1::{
    EndReason, Notice, NoticeLevel, PermissionDecision, PermissionResolved, TurnEnded, TurnOutcome,
    Usage, UserMessage, event_payload::Kind,
};
use tokio::sync::{oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    authz::Principal,
    changes::Changes,
    clock::Clock,
    db::{Database, NewEvent, NewTurn, RequestKey, Stored},
    error::Error,
    events::EventLog,
    files::Files,
    id::{PermissionRequestId, ServerId, SessionId, TurnId, WorkspaceId},
    mcp::BuiltIn,
    providers::Providers,
    redaction::{Redaction, Redactions},
    settings::{Permissions, Settings},
    tasks::to_the_end,
    workspaces::Places,
};

mod attachments;
mod elsewhere;
mod host;
mod lane;
mod turns;

use lane::{Alone, Lanes};

/// Longest title taken from a first message, in characters.
const TITLE: usize = 80;

/// What a person says.
#[derive(Debug, Clone)]
pub struct Said {
    /// In words.
    pub text: String,
    /// With files of the workspace, by their spelling on the wire.
    pub attachment_paths: Vec<String>,
    /// By which a repeated call is known.
    pub request_id: Option<uuid::Uuid>,
}

/// What live sessions need.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// Which server this is.
    pub server: ServerId,
    /// What is stored.
    pub database: Database,
    /// Where turns tell what they do.
    pub log: EventLog,
    /// The time.
    pub clock: Clock,
    /// Workspaces' directories.
    pub places: Places,
    /// Workspaces' files as people use them.
    pub files: Files,
    /// What turns change in them.
    pub changes: Changes,
    /// Keys and model clients.
    pub providers: Providers,
    /// What masks secrets.
    pub redactions: Redactions,
    /// Where tools run.
    pub sandbox: Sandbox,
    /// Which addresses their processes may reach.
    pub guard: EgressGuard,
}

/// All live sessions of this server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    dependencies: Arc<Dependencies>,
    state: Arc<Mutex<State>>,
    lanes: Lanes,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    /// Turns that have not ended.
    live: HashMap<SessionId, Live>,
    /// What tools remember between turns.
    toolboxes: HashMap<SessionId, Arc<Toolbox>>,
    /// Whether no turn may begin: the other servers take this one for dead, or soon will.
    is_suspended: bool,
}

/// A turn that has not ended.
#[derive(Debug)]
struct Live {
    turn: TurnId,
    cancel: CancellationToken,
    /// Becomes true when the turn has ended.
    ended: watch::Receiver<bool>,
    /// What masks what is said in it.
    redaction: Arc<Redaction>,
    /// Who waits for which answer.
    answers: HashMap<PermissionRequestId, oneshot::Sender<PermissionAnswer>>,
    /// Whether it is stopped because this server is, or soon will be, taken for dead.
    is_suspended: bool,
}

impl Sessions {
    /// Live sessions; none is live yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            lanes: Lanes::new(dependencies.database.clone(), dependencies.server),
            dependencies: Arc::new(dependencies),
            state: Arc::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Ends the turns that a server that is gone left unfinished, so that their sessions read well and
    /// can go on. To be called before the first message is accepted.
    ///
    /// # Errors
    /// The database's own.
    pub async fn recover(&self) -> Result<usize, Error> {
        let unfinished = self.dependencies.database.orphaned_turns().await?;
        let count = unfinished.len();
        for row in unfinished {
            self.abandon(row).await?;
        }
        Ok(count)
    }

    async fn abandon(&self, row: turn::Model) -> Result<(), Error> {
        let (turn, session) = (TurnId(row.id), SessionId(row.session_id));
        let mut last = self
            .unanswered(turn, "the server was restarted before anyone answered")
            .await?;
        last.push(Kind::Notice(Notice {
            level: NoticeLevel::Warning.into(),
            reason: "SERVER_RESTARTED".to_owned(),
            message: "The server was restarted while this turn was running. What had been done so far is kept; send a message to continue.".to_owned(),
        }));
        let usage = self.usage_in_log(&row).await?;
        last.push(Kind::TurnEnded(TurnEnded {
            outcome: TurnOutcome::Abandoned.into(),
            usage: Some(usage),
            ..TurnEnded::default()
        }));
        let last = last
            .into_iter()
            .map(|kind| NewEvent::of_turn(session, turn, kind))
            .collect();
        let now = self.dependencies.clock.now();
        let ended = self
            .dependencies
            .database
            .end_turn(turn, &usage, last, now)
            .await?;
        self.dependencies.log.publish(ended);
        Ok(())
    }

    /// What the log says that an unfinished turn has used. A request that was under way when the
    /// server stopped is not in it: nobody knows.
    async fn usage_in_log(&self, row: &turn::Model) -> Result<Usage, Error> {
        let stream = SessionId(row.session_id).stream();
        let database = &self.dependencies.database;
        let events = database
            .all_events_after(&stream, row.message_sequence)
            .await?;
        let turn = TurnId(row.id).to_string();
        let mut total = Usage::default();
        for event in events.into_iter().filter(|event| event.turn_id == turn) {
            let used = match event.payload.and_then(|payload| payload.kind) {
                Some(Kind::ModelUsage(used)) => used.usage,
                Some(Kind::InsideRequest(used)) => used.usage,
                _ => None,
            };
            if let Some(used) = used {
                cost::add(&mut total, &used);
            }
        }
        Ok(total)
    }

    /// The last word on requests of a turn that nobody has answered.
    async fn unanswered(&self, turn: TurnId, reason: &str) -> Result<Vec<Kind>, Error> {
        let pending = self
            .dependencies
            .database
            .pending_permission_requests(turn)
            .await?;
        let resolved = pending.into_iter().map(|request| {
            Kind::PermissionResolved(PermissionResolved {
                permission_request_id: request.id.to_string(),
                tool_call_id: request.tool_call_id,
                decision: PermissionDecision::Unspecified.into(),
                reason: reason.to_owned(),
                ..PermissionResolved::default()
            })
        });
        Ok(resolved.collect())
    }

    /// Whether a session can be started in a workspace with these settings.
    ///
    /// # Errors
    /// [`Error::Precondition`] with PROVIDER_KEY_REQUIRED or SANDBOX_UNAVAILABLE;
    /// [`Error::Unavailable`] while the server stops.
    pub async fn check_ready(
        &self,
        workspace: WorkspaceId,
        settings: &Settings,
    ) -> Result<(), Error> {
        if self.stopping.is_cancelled() {
            return Err(Error::Unavailable("stopping"));
        }
        if self.state().is_suspended {
            return Err(Error::Unavailable("out of touch with its database"));
        }
        if let SandboxState::Unavailable { reason, fix } = self.dependencies.sandbox.state() {
            return Err(Error::Precondition {
                reason: "SANDBOX_UNAVAILABLE",
                message: format!("the sandbox is not available: {reason}. {fix}"),
            });
        }
        self.refuse_bypass(settings)?;
        self.dependencies
            .providers
            .check_ready(workspace, settings)
            .await
    }

    fn refuse_bypass(&self, settings: &Settings) -> Result<(), Error> {
        let enforced = self.dependencies.sandbox.state() == SandboxState::Enforced;
        if enforced || settings.permission_mode != Permissions::BypassPermissions {
            return Ok(());
        }
        Err(Error::Precondition {
            reason: "BYPASS_NEEDS_SANDBOX",
            message: "permission prompts can only be bypassed where the sandbox is enforced; choose another permission mode".to_owned(),
        })
    }

    /// Stores a message and starts the turn that answers it, with the tools of the built-in MCP
    /// server. Answers the turn and the message's sequence.
    ///
    /// # Errors
    /// Those of [`Self::check_ready`], [`Error::Precondition`] with SESSION_BUSY, and
    /// [`Error::Invalid`] for what can't be attached.
    pub async fn send_message(
        &self,
        principal: &Principal,
        row: &session::Model,
        settings: Settings,
        said: Said,
        mcp: BuiltIn,
    ) -> Result<(TurnId, i64), Error> {
        let (session, workspace) = (SessionId(row.id), WorkspaceId(row.workspace_id));
        self.check_ready(workspace, &settings).await?;
        let turn = TurnId::new();
        let key = RequestKey {
            user_id: principal.user_id,
            request_id: said.request_id,
            method: "SendMessage",
        };
        let redaction = self.dependencies.redactions.in_workspace(workspace).await?;
        let title = title_of(&redaction.redactor().mask(&said.text));
        let files = &self.dependencies.files;
        let message = Kind::UserMessage(UserMessage {
            attachments: attachments::read(files, workspace, &said.attachment_paths).await?,
            text: said.text,
            user_id: principal.user_id.to_string(),
            user_name: principal.user_name.clone(),
        });
        let message = redaction.redactor().mask_kind(message);
        let event = NewEvent::of_turn(session, turn, message);
        let now = self.dependencies.clock.now();
        let new = NewTurn {
            id: turn,
            session,
            server: self.dependencies.server,
            message: event,
            title,
        };
        let sessions = self.clone();
        // A turn that is stored is started.
        to_the_end(async move {
            let database = &sessions.dependencies.database;
            match database.create_turn(new, key, now).await? {
                Stored::Earlier(turn, sequence) => Ok((turn, sequence)),
                Stored::New(event) => {
                    let sequence = event.sequence;
                    sessions.dependencies.log.publish(vec![*event]);
                    sessions.start(turns::Run {
                        cancel: sessions.stopping.child_token(),
                        sessions: sessions.clone(),
                        turn,
                        session,
                        workspace,
                        settings,
                        mcp,
                        redaction,
                    });
                    Ok((turn, sequence))
                }
            }
        })
        .await
    }

    fn start(&self, run: turns::Run) {
        let (done, ended) = watch::channel(false);
        let live = Live {
            turn: run.turn,
            cancel: run.cancel.clone(),
            ended,
            redaction: run.redaction.clone(),
            answers: HashMap::new(),
            is_suspended: false,
        };
        self.state().live.insert(run.session, live);
        self.tasks.spawn(async move {
            run.run().await;
            // An error means that nobody waits for the end.
            let _ = done.send(true);
        });
    }

    /// Keeps turns out of a workspace as long as the answer lives.
    ///
    /// # Errors
    /// [`Error::Precondition`] with TURN_RUNNING.
    pub async fn alone_in(&self, workspace: WorkspaceId) -> Result<Alone, Error> {
        let alone = self.lanes.alone(workspace).await?;
        alone.ok_or_else(|| Error::Precondition {
            reason: "TURN_RUNNING",
            message: "an agent works in this workspace; wait for its turn or interrupt it"
                .to_owned(),
        })
    }

    /// Stops a session's turn and waits until it has ended. Answers whether there was one.
    ///
    /// # Errors
    /// The database's own; [`Error::Unavailable`] when another server does not stop it.
    pub async fn interrupt(&self, session: SessionId) -> Result<bool, Error> {
        let Some(ended) = self.cancel_live(session) else {
            return self.interrupt_elsewhere(session).await;
        };
        wait_for_end(ended).await;
        Ok(true)
    }

    /// Stops a turn of this server; answers what becomes true when it has ended.
    fn cancel_live(&self, session: SessionId) -> Option<watch::Receiver<bool>> {
        let state = self.state();
        let live = state.live.get(&session)?;
        live.cancel.cancel();
        Some(live.ended.clone())
    }

    /// Stops a session's turn, forgets the session, and ends its stream. Its row is already gone,
    /// or about to go.
    pub async fn forget(&self, session: SessionId) {
        if let Some(ended) = self.cancel_live(session) {
            wait_for_end(ended).await;
        }
        self.state().toolboxes.remove(&session);
        self.dependencies
            .log
            .hub
            .end(&session.stream(), EndReason::Deleted);
    }

    /// Stores an answer and hands it to the turn that waits.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Precondition`] with PERMISSION_ALREADY_RESOLVED.
    pub async fn resolve_permission(
        &self,
        principal: &Principal,
        session: SessionId,
        id: PermissionRequestId,
        answer: PermissionAnswer,
    ) -> Result<(), Error> {
        let row = self
            .dependencies
            .database
            .permission_request(session, id)
            .await?
            .ok_or(Error::NotFound("permission request"))?;
        let resolved = Kind::PermissionResolved(PermissionResolved {
            permission_request_id: id.to_string(),
            tool_call_id: row.tool_call_id,
            decision: answer.decision.into(),
            reason: answer.reason.clone(),
            user_id: principal.user_id.to_string(),
            user_name: principal.user_name.clone(),
        });
        let redaction = match self.redaction_of(session) {
            Some(redaction) => redaction,
            // Its turn is another server's.
            None => self.redaction_in_workspace_of(session).await?,
        };
        let resolved = redaction.redactor().mask_kind(resolved);
        let state = match answer.decision {
            PermissionDecision::Allow => "allowed",
            PermissionDecision::Deny | PermissionDecision::Unspecified => "denied",
        };
        let event = NewEvent::of_turn(session, TurnId(row.turn_id), resolved);
        let now = self.dependencies.clock.now();
        let stored = self
            .dependencies
            .database
            .resolve_permission_request(id, state, principal.user_id, event, now)
            .await?;
        self.dependencies.log.publish(stored);
        self.hand_on(session, id, answer);
        Ok(())
    }

    /// What masks a session's turn; `None` when none is live.
    fn redaction_of(&self, session: SessionId) -> Option<Arc<Redaction>> {
        let state = self.state();
        state.live.get(&session).map(|live| live.redaction.clone())
    }

    async fn redaction_in_workspace_of(&self, session: SessionId) -> Result<Arc<Redaction>, Error> {
        let row = self.dependencies.database.session_row(session).await?;
        let workspace = WorkspaceId(row.ok_or(Error::NotFound("session"))?.workspace_id);
        self.dependencies.redactions.in_workspace(workspace).await
    }

    /// Stops every turn and waits until all have ended.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Forgets a turn that has ended. The session's next turn may already be there.
    fn leave(&self, session: SessionId, turn: TurnId) {
        let mut state = self.state();
        if state
            .live
            .get(&session)
            .is_some_and(|live| live.turn == turn)
        {
            state.live.remove(&session);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the maps is a single call, so a panic elsewhere leaves them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait_for_end(mut ended: watch::Receiver<bool>) {
    // An error means that the turn's task is gone, which is an end too.
    let _ = ended.wait_for(|ended| *ended).await;
}

/// The first line of a message, cut to a title.
fn title_of(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let clean = line.chars().filter(|c| !c.is_control());
    let mut title: String = clean.clone().take(TITLE).collect();
    if clean.count() > TITLE {
        title.push('…');
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_that_says_something() {
        assert_eq!(title_of("\n  fix the build \nnow"), "fix the build");
        assert_eq!(title_of(&"x".repeat(100)).chars().count(), TITLE + 1);
        assert_eq!(title_of(" \n "), "");
    }
}
