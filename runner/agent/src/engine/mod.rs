//! The native engine: the loop on the Messages API. It builds a request from the log, streams the
//! answer, runs the tools that the answer calls, and goes on until the model ends its turn, a limit,
//! an interrupt or an error. It knows its host only as a channel, and stores nothing itself.
//!
//! **The log is the history.** Every request is built from the stored events by
//! [`history::messages`], those of this turn included; an event is durable before the engine goes
//! on. So what a restart rebuilds is what the model was shown.
//!
//! **A block is an event as soon as it is complete**, not when its answer is. An answer that is cut
//! off therefore leaves its complete blocks in the log, and its open block nowhere:
//! - with a complete tool call among them, the cut is taken as the end of the answer: the calls run,
//!   and a notice says so;
//! - otherwise the request is tried again, visibly. Words that were complete stay in the
//!   conversation, followed by a user's note that asks to continue, since models that think refuse
//!   a conversation that ends with their own words. Signed thinking that nothing follows is left
//!   out of it by the history's own rules.
//!
//! An interrupt keeps the words of the open block too, because a person has seen them. Whatever
//! ends a turn, every tool call in the log has a result when the turn is over, unless the host is
//! gone.

mod answer;
mod calls;
mod limits;
mod mcp;
mod prompt;
mod request;

use std::{collections::HashSet, pin::pin};

use futures::future::select;
use membrane_proto::v1::{
    ErrorDetail, Event, EventPayload, Notice, NoticeLevel, ToolResult, TurnOutcome,
    event_payload::Kind,
};
use tokio_util::sync::CancellationToken;

use crate::{
    history,
    host::{Host, HostGone},
    mcp::McpTools,
    model::ModelClient,
    tools::{ToolOutput, Toolbox},
    turn::{TurnReport, TurnSpec},
};

use answer::Answer;
use calls::Call;
use limits::Known;

/// Runs one turn and returns how it went. It never fails otherwise: the caller stores the report as
/// the turn's last event.
///
/// The caller stores the turn's first events (`user_message`, `turn_started`) before, serves the
/// other end of `host` all along, and may cancel at any moment: the turn then ends within seconds
/// with a log that can be continued.
pub async fn run_turn(
    spec: TurnSpec,
    model: &ModelClient,
    tools: &Toolbox,
    host: Host,
    cancel: CancellationToken,
) -> TurnReport {
    let mut turn = Turn::new(spec, model, tools, host, cancel);
    let stop = turn.run().await.err().unwrap_or(Stop::Completed);
    let stop = match turn.answer_open_calls(&stop).await {
        Ok(()) => stop,
        Err(HostGone) => Stop::HostGone,
    };
    turn.report(stop)
}

/// Why a turn ends.
#[derive(Debug)]
enum Stop {
    Completed,
    Interrupted,
    LimitReached(ErrorDetail),
    HostGone,
    Failed(ErrorDetail),
}

impl From<HostGone> for Stop {
    fn from(_: HostGone) -> Self {
        Self::HostGone
    }
}

/// One turn at work.
struct Turn<'turn> {
    spec: TurnSpec,
    model: &'turn ModelClient,
    tools: &'turn Toolbox,
    /// The tools of MCP servers.
    mcp: McpTools,
    host: Host,
    cancel: CancellationToken,
    /// Id that the host gave the turn: that of the message to answer.
    turn_id: String,
    /// The session's events, those of this turn included.
    log: Vec<Event>,
    /// Ids of all tool calls in the log.
    call_ids: HashSet<String>,
    /// Calls in the log that have no result yet, in order.
    open_calls: Vec<String>,
    /// Whether earlier thinking is sent back, and new thinking asked for with a budget.
    with_thinking: bool,
    /// The last request whose tokens the provider has counted.
    known: Option<Known>,
}

impl<'turn> Turn<'turn> {
    fn new(
        mut spec: TurnSpec,
        model: &'turn ModelClient,
        tools: &'turn Toolbox,
        host: Host,
        cancel: CancellationToken,
    ) -> Self {
        let log = std::mem::take(&mut spec.history);
        let turn_id = history::current_turn(&log).to_owned();
        Self {
            call_ids: history::tool_call_ids(&log),
            spec,
            model,
            tools,
            mcp: McpTools::default(),
            host,
            cancel,
            turn_id,
            log,
            open_calls: Vec::new(),
            with_thinking: true,
            known: None,
        }
    }

    async fn run(&mut self) -> Result<(), Stop> {
        self.connect().await?;
        let most = self.spec.max_requests.max(1);
        for _ in 0..most {
            let answer = self.ask_model().await?;
            if self.is_last(&answer).await? {
                return Ok(());
            }
            self.run_calls(answer.calls).await?;
        }
        let message = format!(
            "The agent made {most} model requests, which is as many as one turn may make. Send a message to let it go on."
        );
        Err(Stop::LimitReached(detail("LIMIT_TURN_REQUESTS", &message)))
    }

    /// Whether the turn is over with this answer.
    async fn is_last(&mut self, answer: &Answer) -> Result<bool, Stop> {
        match answer.stop_reason.as_str() {
            "refusal" => Err(Stop::Failed(detail(
                "MODEL_REFUSED",
                "The model declined to answer this conversation. Ask in another way, or start a new session.",
            ))),
            "model_context_window_exceeded" if answer.calls.is_empty() => {
                Err(Stop::Failed(detail(
                    "MODEL_REQUEST_TOO_LARGE",
                    "The conversation is too long for this model. Start a new session, or choose a model with a larger context.",
                )))
            }
            "max_tokens" if answer.calls.is_empty() && answer.confined => {
                Err(Stop::LimitReached(detail(
                    "LIMIT_OUTPUT",
                    "The answer was cut off where a limit of the session leaves no more room. Raise the limit in the workspace's settings, or start a new session.",
                )))
            }
            "max_tokens" if answer.calls.is_empty() => {
                let message =
                    "The answer was cut off at the model's output limit. Ask to continue.";
                self.notice("MODEL_MAX_TOKENS", message).await?;
                Ok(true)
            }
            // The provider wants to be asked again with the same conversation.
            "pause_turn" => Ok(false),
            _ => Ok(answer.calls.is_empty()),
        }
    }

    /// Gives every call that has no result one that says why, so that the log stays a conversation.
    async fn answer_open_calls(&mut self, stop: &Stop) -> Result<(), HostGone> {
        let why = match stop {
            Stop::HostGone => return Err(HostGone),
            Stop::Interrupted => calls::INTERRUPTED,
            _ => "The call was not run: the turn ended before.",
        };
        for tool_call_id in std::mem::take(&mut self.open_calls) {
            let output = ToolOutput::error(why);
            let result = ToolResult {
                tool_call_id,
                content: output.content,
                is_error: true,
                ..ToolResult::default()
            };
            self.append(Kind::ToolResult(result)).await?;
        }
        Ok(())
    }

    /// Returns when there is no more reason to go on: an interrupt, or a host that is gone.
    async fn stopped(&self) -> Stop {
        let interrupted = pin!(self.cancel.cancelled());
        select(interrupted, pin!(self.host.gone())).await;
        if self.host.is_gone() {
            return Stop::HostGone;
        }
        Stop::Interrupted
    }

    /// Stores an event, and remembers it for the next request as it was stored.
    async fn append(&mut self, kind: Kind) -> Result<(), HostGone> {
        let stored = self.host.append(kind).await?;
        self.remember(stored);
        Ok(())
    }

    /// Remembers an event that is stored.
    fn remember(&mut self, kind: Kind) {
        match &kind {
            Kind::ToolCall(call) => {
                self.call_ids.insert(call.tool_call_id.clone());
                self.open_calls.push(call.tool_call_id.clone());
            }
            Kind::ToolResult(result) => self.open_calls.retain(|id| *id != result.tool_call_id),
            _ => {}
        }
        self.log.push(Event {
            turn_id: self.turn_id.clone(),
            payload: Some(EventPayload {
                kind: Some(kind),
                ..EventPayload::default()
            }),
            ..Event::default()
        });
    }

    async fn notice(&mut self, reason: &str, message: &str) -> Result<(), HostGone> {
        let notice = Notice {
            level: NoticeLevel::Warning.into(),
            reason: reason.to_owned(),
            message: message.to_owned(),
        };
        self.append(Kind::Notice(notice)).await
    }

    fn report(self, stop: Stop) -> TurnReport {
        let (outcome, error) = match stop {
            Stop::Completed => (TurnOutcome::Completed, None),
            Stop::Interrupted => (TurnOutcome::Interrupted, None),
            Stop::LimitReached(limit) => (TurnOutcome::LimitReached, Some(limit)),
            Stop::HostGone => (TurnOutcome::Abandoned, None),
            Stop::Failed(error) => (TurnOutcome::Failed, Some(error)),
        };
        TurnReport {
            outcome,
            usage: self.spec.meter.spent(),
            error,
        }
    }
}

fn detail(reason: &str, message: &str) -> ErrorDetail {
    ErrorDetail {
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}
