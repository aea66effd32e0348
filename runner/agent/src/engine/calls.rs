//! The tool calls of one answer: who may run, beside whom, and what the model is told.

use std::{pin::pin, time::Duration};

use futures::{StreamExt as _, future::Either, future::select, stream};
use membrane_proto::v1::{PermissionDecision, TodosUpdated, ToolResult, event_payload::Kind};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Stop, Turn};
use crate::{
    host::{HostGone, PermissionAnswer, PermissionAsk},
    mcp,
    permission::{self, Decision},
    tools::{OutputSink, ToolInvocation, ToolKind, ToolOutput},
};

/// What the model is told about a call that an interrupt stopped or never let begin. It does not say
/// by whom: that may be a person or a server that stops, and the turn's end tells.
pub(super) const INTERRUPTED: &str = "The call was interrupted before it was done.";

/// At most so many calls run at the same time.
const PARALLEL_MAX: usize = 8;

/// How long a tool may take to end itself after an interrupt. Then it is dropped, which ends it.
const GRACE: Duration = Duration::from_secs(5);

/// One call as the model made it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Its id in the log.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its input; none if it was not a JSON object.
    pub input: Option<Map<String, Value>>,
}

/// Whether a call may run.
enum Verdict {
    Run(ToolInvocation),
    Refuse(ToolOutput),
}

impl Turn<'_> {
    /// Runs the calls in order, reading ones that follow each other at the same time.
    pub(super) async fn run_calls(&mut self, calls: Vec<Call>) -> Result<(), Stop> {
        let mut calls = calls.into_iter().peekable();
        while let Some(first) = calls.next() {
            if self.cancel.is_cancelled() {
                return Err(Stop::Interrupted);
            }
            let mut batch = vec![first];
            while self.only_reads(&batch[0])
                && let Some(next) = calls.next_if(|call| self.only_reads(call))
            {
                batch.push(next);
            }
            self.run_batch(batch).await?;
        }
        if self.cancel.is_cancelled() {
            return Err(Stop::Interrupted);
        }
        Ok(())
    }

    fn only_reads(&self, call: &Call) -> bool {
        self.kind(&call.name) == Some(ToolKind::ReadOnly)
    }

    fn kind(&self, name: &str) -> Option<ToolKind> {
        let mcp = || self.mcp.has(name).then_some(ToolKind::Mcp);
        self.tools.kind(name).or_else(mcp)
    }

    /// Runs calls at the same time. Each result is stored as soon as it is there.
    async fn run_batch(&mut self, batch: Vec<Call>) -> Result<(), HostGone> {
        for kind in self.results_of(batch).await? {
            self.remember(kind);
        }
        Ok(())
    }

    async fn results_of(&self, batch: Vec<Call>) -> Result<Vec<Kind>, HostGone> {
        let running = stream::iter(batch).map(|call| self.run_call(call));
        let mut running = pin!(running.buffer_unordered(PARALLEL_MAX));
        let mut stored = Vec::new();
        while let Some(kinds) = running.next().await {
            stored.extend(kinds?);
        }
        Ok(stored)
    }

    /// Runs one call and stores its result; returns what was stored.
    async fn run_call(&self, call: Call) -> Result<Vec<Kind>, HostGone> {
        let id = call.id.clone();
        let verdict = self.judge(call).await?;
        let begun = Instant::now();
        let mut output = match verdict {
            Verdict::Refuse(output) => output,
            Verdict::Run(invocation) => self.execute(invocation).await,
        };
        let todos = output.todos.take();
        let result = Kind::ToolResult(ToolResult {
            tool_call_id: id,
            content: output.content,
            is_error: output.is_error,
            duration: begun.elapsed().try_into().ok(),
            truncation: output.truncation,
            detail: output.detail,
        });
        let mut stored = vec![self.host.append(result).await?];
        if let Some(todos) = todos {
            let updated = Kind::TodosUpdated(TodosUpdated { todos });
            stored.push(self.host.append(updated).await?);
        }
        Ok(stored)
    }

    /// Decides about a call, with a person's help where the mode wants it.
    async fn judge(&self, call: Call) -> Result<Verdict, HostGone> {
        let allowed = mcp::is_allowed(&self.spec.allowed_tools, &call.name);
        let Some(kind) = self.kind(&call.name).filter(|_| allowed) else {
            let text = format!("There is no tool named {} here.", call.name);
            return Ok(Verdict::Refuse(ToolOutput::error(text)));
        };
        let Some(input) = call.input else {
            let text = "The input is not a JSON object, so the tool was not called. It may have been cut off: send less at once.";
            return Ok(Verdict::Refuse(ToolOutput::error(text)));
        };
        let invocation = ToolInvocation {
            id: call.id,
            name: call.name,
            input: Value::Object(input),
        };
        match permission::decide(self.spec.permission_mode, kind) {
            Decision::Allow => Ok(Verdict::Run(invocation)),
            Decision::Ask { explanation } => self.ask(invocation, explanation).await,
        }
    }

    async fn ask(
        &self,
        invocation: ToolInvocation,
        explanation: &str,
    ) -> Result<Verdict, HostGone> {
        let ask = PermissionAsk {
            tool_call_id: invocation.id.clone(),
            tool_name: invocation.name.clone(),
            input_json: invocation.input.to_string(),
            explanation: explanation.to_owned(),
        };
        match select(pin!(self.stopped()), pin!(self.host.ask(ask))).await {
            Either::Left(_) => Ok(Verdict::Refuse(ToolOutput::error(INTERRUPTED))),
            Either::Right((Ok(answer), _)) => Ok(verdict(answer, invocation)),
            // A host that interrupts a turn may stop waiting for the answer first.
            Either::Right((Err(HostGone), _)) if self.cancel.is_cancelled() => {
                Ok(Verdict::Refuse(ToolOutput::error(INTERRUPTED)))
            }
            Either::Right((Err(gone), _)) => Err(gone),
        }
    }

    /// Runs a tool. After an interrupt it has a few seconds to end itself and say what it did.
    async fn execute(&self, invocation: ToolInvocation) -> ToolOutput {
        let cancel = self.cancel.child_token();
        let call = self.call(invocation, cancel.clone());
        match select(pin!(self.stopped()), pin!(call)).await {
            Either::Right((output, _)) => output,
            Either::Left((_, call)) => {
                cancel.cancel();
                let output = timeout(GRACE, call).await;
                output.unwrap_or_else(|_| ToolOutput::error(INTERRUPTED))
            }
        }
    }

    async fn call(&self, invocation: ToolInvocation, cancel: CancellationToken) -> ToolOutput {
        if self.mcp.has(&invocation.name) {
            return self.mcp.call(invocation, &cancel).await;
        }
        let sink = OutputSink::new(self.host.clone(), invocation.id.clone());
        self.tools.call(invocation, sink, cancel).await
    }
}

fn verdict(answer: PermissionAnswer, invocation: ToolInvocation) -> Verdict {
    if answer.decision == PermissionDecision::Allow {
        return Verdict::Run(invocation);
    }
    let reason = answer.reason.trim();
    let reason = if reason.is_empty() {
        "No reason was given.".to_owned()
    } else {
        format!("The reason given: {reason}")
    };
    Verdict::Refuse(ToolOutput::error(format!(
        "The user denied this call, so it was not run. {reason} Do not try to get the same effect in another way; go on without it, or ask what to do."
    )))
}
