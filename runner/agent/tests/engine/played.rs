//! What is left of a turn to look at.

use std::time::Duration;

use membrane_agent::{PermissionAsk, TurnReport};
use membrane_proto::v1::{
    BlockKind, Delta, ModelRetry, TurnOutcome, Usage, event_payload::Kind, tool_content,
};

/// How a turn went.
pub struct Played {
    pub report: TurnReport,
    /// What the turn stored, in order.
    pub events: Vec<Kind>,
    pub deltas: Vec<Delta>,
    pub asks: Vec<PermissionAsk>,
    /// On the clock that is moved by hand.
    pub took: Duration,
}

impl Default for Played {
    fn default() -> Self {
        Self {
            report: TurnReport {
                outcome: TurnOutcome::Unspecified,
                usage: Usage::default(),
                error: None,
            },
            events: Vec::new(),
            deltas: Vec::new(),
            asks: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

impl Played {
    /// The events in a short form.
    pub fn read(&self) -> Vec<String> {
        self.events.iter().map(in_short).collect()
    }

    /// The reason of the error that ended the turn.
    pub fn reason(&self) -> &str {
        let error = self.report.error.as_ref();
        error.map_or("", |error| error.reason.as_str())
    }

    /// What the deltas of each block add up to, in order of the blocks' beginnings.
    pub fn blocks(&self) -> Vec<(String, BlockKind, String)> {
        let mut blocks: Vec<(String, BlockKind, String)> = Vec::new();
        for delta in &self.deltas {
            let known = |block: &&mut (String, BlockKind, String)| {
                block.0 == delta.block_id && block.1 == delta.kind()
            };
            let block = match blocks.iter_mut().find(known) {
                Some(block) => block,
                None => {
                    blocks.push((delta.block_id.clone(), delta.kind(), String::new()));
                    blocks.last_mut().expect("a block")
                }
            };
            assert_eq!(usize::try_from(delta.offset), Ok(block.2.len()), "no gap");
            block.2.push_str(&delta.text);
        }
        blocks
    }

    /// The delays of all retries.
    pub fn delays(&self) -> Vec<Duration> {
        self.events.iter().filter_map(retry_delay).collect()
    }
}

fn in_short(kind: &Kind) -> String {
    match kind {
        Kind::AgentText(text) => format!("text: {}", text.text),
        Kind::AgentThinking(thinking) => format!("thinking: {}", thinking.text),
        Kind::ToolCall(call) => format!("call {}", call.name),
        Kind::ToolResult(result) => {
            let error = if result.is_error { " error" } else { "" };
            format!("result{error}: {}", result_text(kind))
        }
        Kind::TodosUpdated(todos) => format!("todos: {}", todos.todos.len()),
        Kind::ModelUsage(usage) => format!("usage: {}", usage.stop_reason),
        Kind::ModelRetry(retry) => {
            let error = retry.error.as_ref().expect("an error");
            format!("retry {}: {}", retry.attempt, error.reason)
        }
        Kind::Notice(notice) => format!("notice: {}", notice.reason),
        other => format!("{other:?}"),
    }
}

/// The words of a tool's answer.
pub fn result_text(kind: &Kind) -> String {
    let Kind::ToolResult(result) = kind else {
        panic!("a tool result, not {kind:?}");
    };
    let texts = result
        .content
        .iter()
        .filter_map(|content| match &content.kind {
            Some(tool_content::Kind::Text(text)) => Some(text.as_str()),
            _ => None,
        });
    texts.collect()
}

/// How long until the next attempt, if this is a failed one.
pub fn retry_delay(kind: &Kind) -> Option<Duration> {
    let Kind::ModelRetry(ModelRetry { delay, .. }) = kind else {
        return None;
    };
    delay.and_then(|delay| delay.try_into().ok())
}
