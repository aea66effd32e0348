//! One answer of the model: streamed, shown while it grows, stored block by block, and tried again
//! when it fails.

use std::{collections::HashMap, pin::pin};

use futures::future::{Either, select};
use membrane_proto::v1::{
    AgentText, AgentThinking, BlockKind, Delta, ModelRetry, ToolCall, event_payload::Kind,
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Call, Stop, Turn, limits::Asking, request};
use crate::{
    history,
    host::HostGone,
    model::{Assembler, BlockDone, ModelError, ModelErrorReason, Step, types::MessagesRequest},
};

/// A complete answer, or as much of one as can be worked with. Its blocks are in the log.
pub(super) struct Answer {
    /// The tool calls in it, in order.
    pub calls: Vec<Call>,
    /// Why it ended, in the API's words.
    pub stop_reason: String,
    /// Whether a limit of the session left it less room than the model allows.
    pub confined: bool,
}

/// An answer while it is read.
#[derive(Default)]
struct Reading {
    assembler: Assembler,
    /// Blocks that have begun and not ended, by their index.
    shown: HashMap<u32, Shown>,
    calls: Vec<Call>,
}

/// A block as people see it grow.
#[derive(Clone)]
struct Shown {
    id: String,
    kind: BlockKind,
    tool_name: String,
    offset: usize,
    begun: Instant,
}

/// Why reading an answer stopped before its end.
enum Cut {
    Stopped(Stop),
    Model(ModelError),
}

impl From<HostGone> for Cut {
    fn from(gone: HostGone) -> Self {
        Self::Stopped(gone.into())
    }
}

impl From<ModelError> for Cut {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl Turn<'_> {
    /// Asks the model until it answers, within the bounds of the retry policy.
    pub(super) async fn ask_model(&mut self) -> Result<Answer, Stop> {
        let mut attempt = 1;
        loop {
            let error = match self.attempt().await? {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if self.is_about_thinking(&error) {
                self.give_thinking_up().await?;
                continue;
            }
            if !error.reason.is_transient() || attempt >= self.model.retry().max_attempts {
                return Err(Stop::Failed(error.detail()));
            }
            self.back_off(attempt, &error).await?;
            attempt += 1;
        }
    }

    /// One request and its answer.
    async fn attempt(&mut self) -> Result<Result<Answer, ModelError>, Stop> {
        if self.cancel.is_cancelled() {
            return Err(self.stopped().await);
        }
        let mut request = self.request();
        let asking = self.reserve(&mut request).await?;
        let mut reading = Reading::default();
        let result = self.read(&request, &mut reading).await;
        let stop_reason = reading.assembler.stop_reason.clone();
        match (result, stop_reason) {
            (Err(Cut::Stopped(stop)), _) => {
                self.keep_what_was_seen(&mut reading).await?;
                self.count(asking, &reading.assembler, "interrupted")
                    .await?;
                Err(stop)
            }
            (Ok(()), stop_reason) => {
                let stop_reason = stop_reason.unwrap_or_default();
                Ok(Ok(self.complete(asking, reading, &stop_reason).await?))
            }
            // All that is missing is the stream's own end.
            (Err(Cut::Model(error)), Some(stop_reason))
                if error.reason == ModelErrorReason::StreamCut =>
            {
                Ok(Ok(self.complete(asking, reading, &stop_reason).await?))
            }
            (Err(Cut::Model(error)), _) => self.failed(asking, reading, error).await,
        }
    }

    fn request(&self) -> MessagesRequest {
        let thinking_of = self.with_thinking.then_some(self.spec.model.as_str());
        let messages = history::messages(&self.log, thinking_of);
        let allowed = &self.spec.allowed_tools;
        let mut tools = self.tools.definitions(allowed);
        tools.extend(self.mcp.definitions(allowed));
        request::build(&self.spec, tools, messages, self.with_thinking)
    }

    async fn complete(
        &mut self,
        asking: Asking,
        reading: Reading,
        stop_reason: &str,
    ) -> Result<Answer, HostGone> {
        let confined = asking.confined;
        self.count(asking, &reading.assembler, stop_reason).await?;
        Ok(Answer {
            calls: reading.calls,
            stop_reason: stop_reason.to_owned(),
            confined,
        })
    }

    /// An answer that broke off: with complete tool calls there is something to go on with.
    async fn failed(
        &mut self,
        asking: Asking,
        reading: Reading,
        error: ModelError,
    ) -> Result<Result<Answer, ModelError>, Stop> {
        let confined = asking.confined;
        if reading.assembler.begun || error.reason.may_have_cost() {
            self.count(asking, &reading.assembler, "error").await?;
        } else {
            asking.reservation.release();
        }
        if reading.calls.is_empty() || !error.reason.is_transient() {
            return Ok(Err(error));
        }
        let message = format!(
            "{} The tool calls that had arrived were run, and the work went on.",
            error.message
        );
        self.notice(error.reason.as_str(), &message).await?;
        Ok(Ok(Answer {
            calls: reading.calls,
            stop_reason: "tool_use".to_owned(),
            confined,
        }))
    }

    /// Reads the answer to its end. Storing is never cut short by a cancellation: only waiting for
    /// the model is.
    async fn read(&mut self, request: &MessagesRequest, reading: &mut Reading) -> Result<(), Cut> {
        let mut stream = self.unless_stopped(self.model.stream(request)).await??;
        while let Some(event) = self.unless_stopped(stream.next()).await? {
            let step = reading.assembler.apply(event?)?;
            self.take(step, reading).await?;
        }
        Ok(())
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Cut> {
        match select(pin!(self.stopped()), pin!(work)).await {
            Either::Left((stop, _)) => Err(Cut::Stopped(stop)),
            Either::Right((done, _)) => Ok(done),
        }
    }

    async fn take(&mut self, step: Step, reading: &mut Reading) -> Result<(), Cut> {
        match step {
            Step::Nothing => {}
            Step::Opened { index, block } => {
                let shown = self.open(&block);
                let text = words(&block).to_owned();
                reading.shown.insert(index, shown);
                self.show(reading, index, &text).await?;
            }
            Step::Grew { index, text } => self.show(reading, index, &text).await?,
            Step::Closed { index, block } => {
                if let Some(shown) = reading.shown.remove(&index) {
                    self.store(block, &shown, reading).await?;
                }
            }
        }
        Ok(())
    }

    fn open(&self, block: &BlockDone) -> Shown {
        let (kind, id, tool_name) = match block {
            BlockDone::Text { .. } => (BlockKind::Text, block_id(), ""),
            BlockDone::Thinking { .. } | BlockDone::Redacted { .. } => {
                (BlockKind::Thinking, block_id(), "")
            }
            BlockDone::ToolUse { id, name, .. } => {
                (BlockKind::ToolInput, self.call_id(id), name.as_str())
            }
        };
        Shown {
            id,
            kind,
            tool_name: tool_name.to_owned(),
            offset: 0,
            begun: Instant::now(),
        }
    }

    /// The id of a new call: the model's, unless it is not one that the API would take back.
    fn call_id(&self, id: &str) -> String {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let valid = !id.is_empty() && id.len() <= 64 && id.bytes().all(allowed);
        if valid && !self.call_ids.contains(id) {
            return id.to_owned();
        }
        format!("toolu_{}", Uuid::new_v4().simple())
    }

    /// Shows the next piece of an open block. The first piece of a call is empty as a rule, and
    /// says which tool it is.
    async fn show(&self, reading: &mut Reading, index: u32, text: &str) -> Result<(), HostGone> {
        let Some(shown) = reading.shown.get_mut(&index) else {
            return Ok(());
        };
        if text.is_empty() && shown.kind != BlockKind::ToolInput {
            return Ok(());
        }
        let delta = Delta {
            block_id: shown.id.clone(),
            kind: shown.kind.into(),
            offset: i64::try_from(shown.offset).unwrap_or(i64::MAX),
            text: text.to_owned(),
            tool_name: shown.tool_name.clone(),
            ..Delta::default()
        };
        shown.offset += text.len();
        self.host.delta(delta).await
    }

    /// Stores a complete block.
    async fn store(
        &mut self,
        block: BlockDone,
        shown: &Shown,
        reading: &mut Reading,
    ) -> Result<(), HostGone> {
        let block_id = shown.id.clone();
        let duration = shown.begun.elapsed().try_into().ok();
        let kind = match block {
            BlockDone::Text { text } if text.trim().is_empty() => return Ok(()),
            BlockDone::Text { text } => Kind::AgentText(AgentText { block_id, text }),
            BlockDone::Thinking { text, signature } => Kind::AgentThinking(AgentThinking {
                block_id,
                text,
                signature,
                redacted_data: String::new(),
                duration,
            }),
            BlockDone::Redacted { data } => Kind::AgentThinking(AgentThinking {
                block_id,
                redacted_data: data,
                duration,
                ..AgentThinking::default()
            }),
            BlockDone::ToolUse {
                name, input_json, ..
            } => {
                let call = call(block_id, name, &input_json);
                reading.calls.push(call.clone());
                Kind::ToolCall(ToolCall {
                    tool_call_id: call.id,
                    name: call.name,
                    input_json: input_json_of(call.input, &input_json),
                })
            }
        };
        self.append(kind).await
    }

    /// Stores the words of blocks that an interrupt left open. A half tool call is nothing.
    async fn keep_what_was_seen(&mut self, reading: &mut Reading) -> Result<(), HostGone> {
        for (index, block) in reading.assembler.take_open() {
            let Some(shown) = reading.shown.remove(&index) else {
                continue;
            };
            if !matches!(block, BlockDone::ToolUse { .. }) && !words(&block).is_empty() {
                self.store(block, &shown, reading).await?;
            }
        }
        Ok(())
    }

    /// Whether the provider does not take back the thinking of this conversation: some bind it to
    /// things that no client can know.
    fn is_about_thinking(&self, error: &ModelError) -> bool {
        let message = error.message.to_ascii_lowercase();
        self.with_thinking
            && error.reason == ModelErrorReason::RequestInvalid
            && (message.contains("thinking") || message.contains("signature"))
    }

    async fn give_thinking_up(&mut self) -> Result<(), HostGone> {
        self.with_thinking = false;
        // The next request has less of one thing and more of another.
        self.known = None;
        let message = "The provider did not take the conversation's earlier thinking back. This turn goes on without it.";
        self.notice("MODEL_THINKING_DROPPED", message).await
    }

    async fn back_off(&mut self, attempt: u32, error: &ModelError) -> Result<(), Stop> {
        let policy = self.model.retry();
        let delay = policy.delay(attempt, error.retry_after);
        let retry = ModelRetry {
            attempt: i32::try_from(attempt).unwrap_or(i32::MAX),
            max_attempts: i32::try_from(policy.max_attempts).unwrap_or(i32::MAX),
            delay: delay.try_into().ok(),
            error: Some(error.detail()),
        };
        self.append(Kind::ModelRetry(retry)).await?;
        match select(pin!(self.stopped()), pin!(sleep(delay))).await {
            Either::Left((stop, _)) => Err(stop),
            Either::Right(_) => Ok(()),
        }
    }
}

/// What people see of a block.
fn words(block: &BlockDone) -> &str {
    match block {
        BlockDone::Text { text } | BlockDone::Thinking { text, .. } => text,
        BlockDone::ToolUse { input_json, .. } => input_json,
        BlockDone::Redacted { .. } => "",
    }
}

fn block_id() -> String {
    format!("block_{}", Uuid::new_v4().simple())
}

/// A call with its input, if that is a JSON object. No text at all is an empty object.
fn call(id: String, name: String, input_json: &str) -> Call {
    let input = match input_json.trim() {
        "" => Some(Map::new()),
        text => serde_json::from_str(text).ok(),
    };
    Call { id, name, input }
}

/// The input as the log keeps it: always a JSON object.
fn input_json_of(input: Option<Map<String, Value>>, raw: &str) -> String {
    match input {
        Some(input) => Value::Object(input).to_string(),
        None => json!({ history::INVALID_JSON: raw }).to_string(),
    }
}
