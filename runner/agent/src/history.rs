//! From the stored log to a conversation for the Messages API. A pure function, used for every
//! request of every turn, so that what the model sees is always what the log says, also after a
//! restart.
//!
//! Whatever the log holds, the result is valid: it begins and ends with a user's message, roles
//! alternate, every tool call is answered in the message right after it, no block is blank, and
//! thinking is only where the API takes it back: signed, from the same model, and not at the end of
//! a message. What cannot be told from the log is made up in a short sentence in square brackets.
//!
//! A `ModelUsage` event ends one answer of the model. A message that a person queued during a turn
//! belongs to the turn that answers it, wherever it is in the log.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use membrane_proto::v1::{
    AgentThinking, Attachment, Event, Image, ToolCall, ToolContent, ToolResult, TurnOutcome,
    event_payload::Kind, tool_content,
};
use serde_json::{Map, Value};

use crate::{
    images,
    model::types::{Block, ImageSource, Message, ResultBlock, Role},
    sandbox::WORKSPACE,
};

/// What stands for a tool's answer that the log does not have.
const NO_RESULT: &str =
    "The call was interrupted by a server restart. Whether it had an effect is not known.";

/// What asks the model to go on after an answer that was cut off. A user's message, since models
/// that think do not accept a conversation that ends with their own words.
const CONTINUE: &str = "[Your answer ends here although it was not finished. Continue where it stops, without repeating it.]";

/// What stands for a beginning that the log does not have.
const BEGINNING: &str = "[The beginning of the conversation is not available.]";

/// Key under which a call's input is kept when the model did not write a JSON object, as the API's
/// documentation on streamed tool input recommends.
pub(crate) const INVALID_JSON: &str = "INVALID_JSON";

/// The conversation that these events record, ascending, for a request. `thinking_of` is the model
/// that is asked: thinking of other models is left out, and all of it without one.
#[must_use]
pub fn messages(events: &[Event], thinking_of: Option<&str>) -> Vec<Message> {
    let mut builder = Builder::new(events, thinking_of);
    for kind in in_turn_order(events) {
        builder.take(kind);
    }
    builder.finish()
}

/// Ids of all tool calls in these events.
pub(crate) fn tool_call_ids(events: &[Event]) -> HashSet<String> {
    let calls = events.iter().filter_map(|event| match kind(event)? {
        Kind::ToolCall(call) => Some(call.tool_call_id.clone()),
        _ => None,
    });
    calls.collect()
}

/// The turn at work: the newest that has started and not ended, else that of the newest event.
/// Messages for later turns may come after its start.
pub(crate) fn current_turn(events: &[Event]) -> &str {
    let mut ended = HashSet::new();
    for event in events.iter().rev() {
        match kind(event) {
            Some(Kind::TurnEnded(_)) => {
                ended.insert(event.turn_id.as_str());
            }
            Some(Kind::TurnStarted(_)) if !ended.contains(event.turn_id.as_str()) => {
                return &event.turn_id;
            }
            _ => {}
        }
    }
    let mut turns = events.iter().rev().map(|event| event.turn_id.as_str());
    turns.find(|turn| !turn.is_empty()).unwrap_or_default()
}

/// The events at top level, with each person's message moved to where its turn begins. Messages
/// that still wait for a later turn, or that were taken back while they did, are left out.
fn in_turn_order(events: &[Event]) -> Vec<&Kind> {
    let begins = beginnings(events);
    let current = current_turn(events);
    let mut ordered: Vec<((usize, usize), &Kind)> = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let Some(kind) = kind(event) else { continue };
        let place = match begins.get(event.turn_id.as_str()) {
            _ if event.turn_id.is_empty() => index,
            Some(begin) if may_come_early(kind) => index.max(*begin),
            Some(_) => index,
            None if event.turn_id == current => usize::MAX,
            None => continue,
        };
        ordered.push(((place, index), kind));
    }
    ordered.sort_by_key(|(place, _)| *place);
    ordered.into_iter().map(|(_, kind)| kind).collect()
}

/// Where each turn's work begins.
fn beginnings(events: &[Event]) -> HashMap<&str, usize> {
    let mut begins = HashMap::new();
    for (index, event) in events.iter().enumerate() {
        if kind(event).is_some_and(is_work) {
            begins.entry(event.turn_id.as_str()).or_insert(index);
        }
    }
    begins
}

/// Whether an event may be stored while another turn is at work.
fn may_come_early(kind: &Kind) -> bool {
    matches!(kind, Kind::UserMessage(_) | Kind::TurnQueued(_))
}

/// Whether an event shows that its turn has begun, and was not taken back before.
fn is_work(kind: &Kind) -> bool {
    let taken_back =
        matches!(kind, Kind::TurnEnded(ended) if ended.outcome() == TurnOutcome::Interrupted);
    !may_come_early(kind) && !taken_back
}

/// What happened at top level; none for what happened in a sub-agent.
fn kind(event: &Event) -> Option<&Kind> {
    let payload = event.payload.as_ref()?;
    payload
        .parent_tool_call_id
        .is_empty()
        .then_some(payload.kind.as_ref())?
}

/// Puts messages together.
struct Builder<'events> {
    results: HashMap<&'events str, &'events ToolResult>,
    thinking_of: Option<&'events str>,
    /// The model that the current turn asked for; none when the log does not say.
    asked: Option<&'events str>,
    /// Ids of tool calls so far: the API wants them unique.
    calls: HashSet<&'events str>,
    /// The answer that is being read.
    answer: Vec<Block>,
    messages: Vec<Message>,
}

impl<'events> Builder<'events> {
    fn new(events: &'events [Event], thinking_of: Option<&'events str>) -> Self {
        let mut results = HashMap::new();
        for event in events {
            if let Some(Kind::ToolResult(result)) = kind(event) {
                results
                    .entry(result.tool_call_id.as_str())
                    .or_insert(result);
            }
        }
        Self {
            results,
            thinking_of,
            asked: None,
            calls: HashSet::new(),
            answer: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn take(&mut self, kind: &'events Kind) {
        match kind {
            Kind::AgentText(text) => self.answer_text(&text.text),
            Kind::AgentThinking(thinking) => self.answer.extend(self.thinking(thinking)),
            Kind::ToolCall(call) => self.call(call),
            Kind::ModelUsage(_) | Kind::ModelRetry(_) | Kind::ToolResult(_) => self.end_answer(),
            Kind::UserMessage(message) => {
                self.end_answer();
                for attachment in &message.attachments {
                    self.attach(attachment);
                }
                self.say(&message.text);
            }
            Kind::TurnStarted(started) => {
                self.end_answer();
                self.asked = Some(&started.model);
            }
            Kind::TurnEnded(ended) => {
                self.end_answer();
                self.say(note(ended.outcome()));
            }
            Kind::TurnQueued(_)
            | Kind::PermissionRequested(_)
            | Kind::PermissionResolved(_)
            | Kind::TodosUpdated(_)
            | Kind::EgressDecision(_)
            | Kind::EgressTotals(_)
            | Kind::LimitMet(_)
            | Kind::InsideRequest(_)
            | Kind::RunStateChanged(_)
            | Kind::RunOutput(_)
            | Kind::Notice(_) => {}
        }
    }

    fn answer_text(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.answer.push(Block::text(text));
        }
    }

    fn thinking(&self, thinking: &AgentThinking) -> Option<Block> {
        let model = self.thinking_of?;
        if self.asked.is_some_and(|asked| asked != model) {
            return None;
        }
        if !thinking.redacted_data.is_empty() {
            return Some(Block::RedactedThinking {
                data: thinking.redacted_data.clone(),
            });
        }
        (!thinking.signature.is_empty()).then(|| Block::Thinking {
            thinking: thinking.text.clone(),
            signature: thinking.signature.clone(),
        })
    }

    fn call(&mut self, call: &'events ToolCall) {
        if call.tool_call_id.is_empty() || !self.calls.insert(&call.tool_call_id) {
            return;
        }
        self.answer.push(Block::ToolUse {
            id: call.tool_call_id.clone(),
            name: tool_name(&call.name),
            input: input(&call.input_json),
        });
    }

    /// Ends the model's answer and answers the tool calls in it.
    fn end_answer(&mut self) {
        let mut blocks = std::mem::take(&mut self.answer);
        let end = blocks.iter().rposition(|block| !is_thinking(block));
        blocks.truncate(end.map_or(0, |end| end + 1));
        if blocks.is_empty() {
            return;
        }
        match self.messages.last().map(|message| message.role) {
            None => self.say(BEGINNING),
            Some(Role::Assistant) => self.say(CONTINUE),
            Some(Role::User) => {}
        }
        let answers: Vec<Block> = blocks
            .iter()
            .filter_map(|block| self.result(block))
            .collect();
        self.messages.push(Message {
            role: Role::Assistant,
            content: blocks,
        });
        for answer in answers {
            self.push_user(answer);
        }
    }

    fn result(&self, block: &Block) -> Option<Block> {
        let Block::ToolUse { id, .. } = block else {
            return None;
        };
        let (content, is_error) = match self.results.get(id.as_str()) {
            Some(result) => (result_blocks(result), result.is_error),
            None => (vec![text_block(NO_RESULT)], true),
        };
        Some(Block::ToolResult {
            tool_use_id: id.clone(),
            content,
            is_error,
            cache_control: None,
        })
    }

    /// A file that came with a message: seen if it is an image, and always named, so that tools can
    /// be used on it.
    fn attach(&mut self, attachment: &Attachment) {
        self.say(&format!("[Attached file: {WORKSPACE}/{}]", attachment.path));
        if let Some(source) = attachment.image.as_ref().and_then(image_source) {
            self.push_user(Block::Image { source });
        }
    }

    fn say(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.push_user(Block::text(text));
        }
    }

    fn push_user(&mut self, block: Block) {
        match self.messages.last_mut() {
            Some(message) if message.role == Role::User => message.content.push(block),
            _ => self.messages.push(Message {
                role: Role::User,
                content: vec![block],
            }),
        }
    }

    fn finish(mut self) -> Vec<Message> {
        self.end_answer();
        if self
            .messages
            .last()
            .is_some_and(|message| message.role == Role::Assistant)
        {
            self.say(CONTINUE);
        }
        self.messages
    }
}

/// What the model is told about a turn that did not end by itself.
fn note(outcome: TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Interrupted => "[The user interrupted you here.]",
        TurnOutcome::Failed => "[An error ended your work here.]",
        TurnOutcome::LimitReached => "[Your work ended here at the limit of requests per turn.]",
        TurnOutcome::Abandoned => "[A server restart interrupted you here.]",
        TurnOutcome::Completed | TurnOutcome::Unspecified => "",
    }
}

fn is_thinking(block: &Block) -> bool {
    matches!(
        block,
        Block::Thinking { .. } | Block::RedactedThinking { .. }
    )
}

/// A tool's name in the form that the API accepts; a model may have made another one up.
fn tool_name(name: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    let name: String = name
        .chars()
        .take(64)
        .map(|character| if allowed(character) { character } else { '_' })
        .collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

fn input(json: &str) -> Map<String, Value> {
    match serde_json::from_str(json) {
        Ok(Value::Object(input)) => input,
        _ => Map::from_iter([(INVALID_JSON.to_owned(), Value::from(json))]),
    }
}

/// A tool's answer. The API wants an error to have words, and nothing but words.
fn result_blocks(result: &ToolResult) -> Vec<ResultBlock> {
    let blocks = result.content.iter().filter_map(result_block);
    let blocks: Vec<ResultBlock> = blocks
        .filter(|block| !result.is_error || matches!(block, ResultBlock::Text { .. }))
        .collect();
    match (blocks.is_empty(), result.is_error) {
        (false, _) => blocks,
        (true, true) => vec![text_block("The tool failed without saying why.")],
        (true, false) => vec![text_block("(no output)")],
    }
}

fn result_block(content: &ToolContent) -> Option<ResultBlock> {
    match content.kind.as_ref()? {
        tool_content::Kind::Text(text) => (!text.trim().is_empty()).then(|| text_block(text)),
        tool_content::Kind::Image(image) => Some(image_block(image)),
    }
}

fn image_block(image: &Image) -> ResultBlock {
    match image_source(image) {
        Some(source) => ResultBlock::Image { source },
        None => text_block("(an image in a form that cannot be shown to you)"),
    }
}

/// An image in the API's form; `None` for a type that it does not take.
fn image_source(image: &Image) -> Option<ImageSource> {
    if !images::is_seen(&image.media_type) || image.data.is_empty() {
        return None;
    }
    Some(ImageSource {
        media_type: image.media_type.clone(),
        data: BASE64_STANDARD.encode(&image.data),
    })
}

fn text_block(text: &str) -> ResultBlock {
    ResultBlock::Text {
        text: text.to_owned(),
    }
}
