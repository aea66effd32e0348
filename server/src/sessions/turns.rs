//! One turn from the line to its last event.

use std::{sync::Arc, time::Duration};

use membrane_agent::{
    Host, TurnReport, TurnSpec,
    egress::{EgressLimits, EgressProxy},
    engine,
    mcp::{self, McpServer, Transport},
    meter::Meter,
    model::ModelClient,
    sandbox::{Door, WorkspacePlace},
    tools::Toolbox,
};
use membrane_proto::v1::{
    ErrorDetail, Event, Notice, NoticeLevel, TurnEnded, TurnOutcome, TurnQueued, TurnStarted,
    Usage, event_payload::Kind,
};
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

use super::{Sessions, host};
use crate::{
    broker::{Account, Broker, Commission},
    changes::{Recorded, Recording},
    clock::Millis,
    db::NewEvent,
    error::Error,
    id::{SessionId, TurnId, WorkspaceId},
    mcp::BuiltIn,
    redaction::Redaction,
    settings::{Settings, encode_provider},
    time,
};

/// Requests of an engine that may wait for its host.
const HOST_BUFFER: usize = 64;
/// Bytes on their way between an engine and the built-in MCP server.
const PIPE: usize = 64 << 10;
/// Pause before the end of a turn is stored again, and how often a server that stops does so.
const PAUSE: Duration = Duration::from_secs(1);
const LAST_TRIES: u32 = 3;
/// Model requests in one turn.
const MAX_REQUESTS: u32 = 200;

/// A turn to run.
pub struct Run {
    pub sessions: Sessions,
    pub turn: TurnId,
    pub session: SessionId,
    pub workspace: WorkspaceId,
    pub settings: Settings,
    /// Serves the runs and schedules of the workspace as tools.
    pub mcp: BuiltIn,
    /// What masks whatever this turn says.
    pub redaction: Arc<Redaction>,
    pub cancel: CancellationToken,
}

/// How a turn went, and what it changed, if that was recorded.
struct Worked {
    report: TurnReport,
    recorded: Option<Recorded>,
}

impl From<TurnReport> for Worked {
    fn from(report: TurnReport) -> Self {
        Self {
            report,
            recorded: None,
        }
    }
}

impl Run {
    /// Waits in line, works, and ends, whatever happens on the way.
    pub async fn run(self) {
        let begun = self.now();
        let worked = match self.wait_and_work().await {
            Ok(worked) => worked,
            Err(error) => Worked::from(self.failed(&error)),
        };
        self.end(worked, begun).await;
        self.sessions.leave(self.session, self.turn);
    }

    async fn wait_and_work(&self) -> Result<Worked, Error> {
        let spot = self.sessions.lanes.join(self.workspace);
        if spot.ahead > 0 {
            let ahead = i32::try_from(spot.ahead).unwrap_or(i32::MAX);
            self.append(Kind::TurnQueued(TurnQueued { ahead })).await?;
        }
        let _working = tokio::select! {
            working = spot.enter() => working?,
            () = self.cancel.cancelled() => return Ok(self.stopped().into()),
        };
        self.tell_start().await?;
        let recording = self.record().await;
        let report = match self.work().await {
            Ok(report) => report,
            Err(error) => self.failed(&error),
        };
        Ok(Worked {
            report,
            recorded: self.recorded(recording).await,
        })
    }

    async fn tell_start(&self) -> Result<(), Error> {
        let dependencies = &self.sessions.dependencies;
        let started = TurnStarted {
            model: self.settings.model.clone(),
            provider: self.settings.provider.as_str().to_owned(),
        };
        let event = self.event(Kind::TurnStarted(started));
        let stored = dependencies
            .database
            .start_turn(self.turn, event, self.now())
            .await?;
        dependencies.log.publish(stored);
        Ok(())
    }

    /// Records the tree before the turn. A turn whose changes can't be recorded works all the same,
    /// and says so.
    async fn record(&self) -> Option<Recording> {
        let changes = &self.sessions.dependencies.changes;
        let begun = changes.begin(self.workspace, self.session, self.turn).await;
        match begun {
            Ok(recording) => Some(recording),
            Err(error) => {
                error.log();
                let notice = Notice {
                    level: NoticeLevel::Warning.into(),
                    reason: "CHANGES_NOT_RECORDED".to_owned(),
                    message: format!(
                        "What this turn changes in the files can't be shown or undone later: {}",
                        error.public_message()
                    ),
                };
                if let Err(error) = self.append(Kind::Notice(notice)).await {
                    error.log();
                }
                None
            }
        }
    }

    async fn recorded(&self, recording: Option<Recording>) -> Option<Recorded> {
        let dependencies = &self.sessions.dependencies;
        dependencies.files.refresh(self.workspace);
        match dependencies.changes.finish(recording?).await {
            Ok(recorded) => Some(recorded),
            Err(error) => {
                error.log();
                None
            }
        }
    }

    async fn work(&self) -> Result<TurnReport, Error> {
        let dependencies = &self.sessions.dependencies;
        let model = dependencies
            .providers
            .client(self.workspace, &self.settings)
            .await?;
        let model = Arc::new(model);
        let meter = self.meter().await?;
        let broker = self.broker(&model, &meter)?;
        let tools = self.toolbox()?;
        tools.set_environment(&self.settings.environment);
        tools.hide_toolchains(&self.settings.hidden_toolchains);
        let (host, requests) = Host::channel(HOST_BUFFER);
        let host = host.masked_by(self.redaction.redactor().clone());
        let serving = host::serve(self, requests);
        let (pipe, served) = tokio::io::duplex(PIPE);
        let spec = self.spec(meter.clone(), pipe).await?;
        tools.set_doors(&self.doors(&host, broker.as_ref()));
        let ended = CancellationToken::new();
        let running = async {
            let report = engine::run_turn(spec, &model, &tools, host, self.cancel.clone()).await;
            // What answers behind them holds the host, whose end is waited for.
            tools.set_doors(&[]);
            ended.cancel();
            report
        };
        let serving_tools = ended.run_until_cancelled(self.mcp.serve(served));
        let (report, (), _) = tokio::join!(running, serving, serving_tools);
        if let Some(broker) = broker {
            broker.close().await;
        }
        let report = TurnReport {
            usage: meter.spent(),
            ..report
        };
        if self.cancel.is_cancelled() && report.outcome == TurnOutcome::Interrupted {
            return Ok(TurnReport {
                outcome: self.stopped().outcome,
                ..report
            });
        }
        Ok(report)
    }

    /// The doors to the internet and to the model, as far as the workspace has them.
    fn doors(&self, host: &Host, broker: Option<&Arc<Broker>>) -> Vec<Door> {
        let way_out = EgressProxy::door(
            self.settings.egress.policy(),
            self.sessions.dependencies.guard.clone(),
            host.clone(),
            EgressLimits::default(),
        );
        way_out
            .into_iter()
            .chain(broker.map(Broker::door))
            .collect()
    }

    async fn spec(&self, meter: Meter, pipe: DuplexStream) -> Result<TurnSpec, Error> {
        let stream = self.session.stream();
        let database = &self.sessions.dependencies.database;
        Ok(TurnSpec {
            model: self.settings.model.clone(),
            thinking_budget_tokens: u32::try_from(self.settings.thinking_budget_tokens)
                .unwrap_or(0),
            system_prompt: self.settings.prompt(),
            allowed_tools: self.settings.allowed_tools.clone(),
            mcp_servers: vec![McpServer {
                name: mcp::BUILT_IN.to_owned(),
                transport: Transport::InProcess(pipe),
            }],
            takes_mcp: mcp::is_compatible(
                encode_provider(self.settings.provider),
                &self.settings.base_url,
            ),
            permission_mode: self.settings.permissions(),
            history: database.all_events_after(&stream, 0).await?,
            max_requests: MAX_REQUESTS,
            meter,
        })
    }

    /// The session's ledger: what it has used, and what it may use.
    async fn meter(&self) -> Result<Meter, Error> {
        let database = &self.sessions.dependencies.database;
        let session = database.session(self.session).await?;
        let session = session.ok_or(Error::NotFound("session"))?;
        Ok(Meter::new(self.settings.limits.metered(), session.usage))
    }

    /// The broker through which programs inside ask the model, where they may.
    fn broker(
        &self,
        model: &Arc<ModelClient>,
        meter: &Meter,
    ) -> Result<Option<Arc<Broker>>, Error> {
        if !self.settings.model_access {
            return Ok(None);
        }
        let commission = Commission {
            account: Account::Turn(self.session, self.turn),
            model: model.clone(),
            meter: meter.clone(),
            settings: self.settings.clone(),
            log: self.sessions.dependencies.log.clone(),
            redaction: self.redaction.clone(),
        };
        Broker::new(commission).map(Some)
    }

    fn toolbox(&self) -> Result<Arc<Toolbox>, Error> {
        if let Some(found) = self.sessions.state().toolboxes.get(&self.session) {
            return Ok(found.clone());
        }
        let place: WorkspacePlace = self.sessions.dependencies.places.place(self.workspace);
        let sandbox = self.sessions.dependencies.sandbox.clone();
        let toolbox = Toolbox::new(place, sandbox)
            .map_err(|error| Error::Internal(format!("the workspace can't be opened: {error}")))?;
        let toolbox = Arc::new(toolbox);
        self.sessions
            .state()
            .toolboxes
            .insert(self.session, toolbox.clone());
        Ok(toolbox)
    }

    /// The report of a turn that was stopped before it said anything.
    fn stopped(&self) -> TurnReport {
        let is_servers =
            self.sessions.stopping.is_cancelled() || self.sessions.is_turn_suspended(self.session);
        let outcome = if is_servers {
            TurnOutcome::Abandoned
        } else {
            TurnOutcome::Interrupted
        };
        TurnReport {
            outcome,
            usage: Usage::default(),
            error: None,
        }
    }

    fn failed(&self, error: &Error) -> TurnReport {
        error.log();
        TurnReport {
            outcome: TurnOutcome::Failed,
            usage: Usage::default(),
            error: Some(ErrorDetail {
                reason: error.reason().to_owned(),
                message: error.public_message(),
            }),
        }
    }

    async fn end(&self, worked: Worked, begun: Millis) {
        let Worked { report, recorded } = worked;
        let now = self.now();
        let mut usage = report.usage;
        // No request is no cost, and no unknown one.
        if usage.requests == 0 {
            usage.cost_micro_usd = Some(0);
        }
        let ended = TurnEnded {
            outcome: report.outcome.into(),
            usage: Some(usage),
            duration: Some(time::duration(now - begun)),
            error: report.error,
            change_set_id: recorded
                .as_ref()
                .and_then(|recorded| recorded.change_set)
                .map_or_else(String::new, |id| id.to_string()),
            changes: recorded.map(|recorded| recorded.summary),
        };
        let log = &self.sessions.dependencies.log;
        match self.keep_storing_end(&ended, &usage, now).await {
            Ok(stored) if stored.is_empty() => log.hub.wake(&self.session.stream()),
            Ok(stored) => log.publish(stored),
            // The next start finds it unfinished and ends it.
            Err(error) => error.log(),
        }
    }

    /// Stores the end, and tries again for as long as that can't be done: until then nobody can go
    /// on in the session. A server that stops tries a few times only.
    async fn keep_storing_end(
        &self,
        ended: &TurnEnded,
        usage: &Usage,
        now: Millis,
    ) -> Result<Vec<Event>, Error> {
        let mut last_tries = LAST_TRIES;
        loop {
            match self.store_end(ended.clone(), usage, now).await {
                Err(error) if last_tries > 0 => error.log(),
                stored => return stored,
            }
            if self.sessions.stopping.is_cancelled() {
                last_tries -= 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn store_end(
        &self,
        ended: TurnEnded,
        usage: &Usage,
        now: Millis,
    ) -> Result<Vec<Event>, Error> {
        let mut last = self
            .sessions
            .unanswered(self.turn, "the turn ended before anyone answered")
            .await?;
        last.push(Kind::TurnEnded(ended));
        let last = last.into_iter().map(|kind| self.event(kind)).collect();
        let database = &self.sessions.dependencies.database;
        Ok(database.end_turn(self.turn, usage, last, now).await?)
    }

    pub(super) async fn append(&self, kind: Kind) -> Result<(), Error> {
        self.sessions
            .dependencies
            .log
            .append(self.event(kind))
            .await
            .map_err(|error| Error::Internal(error.to_string()))
    }

    /// An event of this turn, masked: not only engines speak in it.
    fn event(&self, kind: Kind) -> NewEvent {
        let masked = self.redaction.redactor().mask_kind(kind);
        NewEvent::of_turn(self.session, self.turn, masked)
    }

    pub(super) fn now(&self) -> Millis {
        self.sessions.dependencies.clock.now()
    }
}
