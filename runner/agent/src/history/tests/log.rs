//! Writing logs and reading conversations in a short form.

use membrane_proto::v1::{
    AgentText, AgentThinking, Attachment, Event, EventPayload, Image, ModelRetry, ModelUsage,
    ToolCall, ToolContent, ToolResult, TurnEnded, TurnOutcome, TurnQueued, TurnStarted,
    UserMessage, event_payload::Kind, tool_content,
};

use super::validity::assert_valid;
use crate::{
    history,
    model::types::{Block, Message, ResultBlock, Role},
};

/// The model that is asked.
pub(super) const MODEL: &str = "scripted";

/// Writes a log.
#[derive(Default)]
pub(super) struct Log {
    pub(super) events: Vec<Event>,
    turn: String,
}

impl Log {
    pub(super) fn turn(mut self, turn: &str) -> Self {
        turn.clone_into(&mut self.turn);
        self
    }

    pub(super) fn event(mut self, kind: Kind) -> Self {
        self.events.push(Event {
            turn_id: self.turn.clone(),
            payload: Some(EventPayload {
                kind: Some(kind),
                ..EventPayload::default()
            }),
            ..Event::default()
        });
        self
    }

    pub(super) fn says(self, text: &str) -> Self {
        self.event(Kind::UserMessage(UserMessage {
            text: text.to_owned(),
            ..UserMessage::default()
        }))
    }

    pub(super) fn shows(self, text: &str, attachments: &[(&str, Option<&str>)]) -> Self {
        let attachments = attachments.iter().map(|(path, media_type)| Attachment {
            path: (*path).to_owned(),
            size: 4,
            image: media_type.map(|media_type| Image {
                media_type: media_type.to_owned(),
                data: b"data"[..].into(),
            }),
        });
        self.event(Kind::UserMessage(UserMessage {
            text: text.to_owned(),
            attachments: attachments.collect(),
            ..UserMessage::default()
        }))
    }

    pub(super) fn queued(self) -> Self {
        self.event(Kind::TurnQueued(TurnQueued { ahead: 1 }))
    }

    pub(super) fn starts(self, model: &str) -> Self {
        self.event(Kind::TurnStarted(TurnStarted {
            model: model.to_owned(),
            ..TurnStarted::default()
        }))
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.event(Kind::AgentText(AgentText {
            text: text.to_owned(),
            ..AgentText::default()
        }))
    }

    pub(super) fn thinking(self, text: &str, signature: &str) -> Self {
        self.event(Kind::AgentThinking(AgentThinking {
            text: text.to_owned(),
            signature: signature.to_owned(),
            ..AgentThinking::default()
        }))
    }

    pub(super) fn calls(self, id: &str) -> Self {
        self.calls_with(id, r#"{"file_path":"a.txt"}"#)
    }

    pub(super) fn calls_with(self, id: &str, input: &str) -> Self {
        self.event(Kind::ToolCall(ToolCall {
            tool_call_id: id.to_owned(),
            name: "Read".to_owned(),
            input_json: input.to_owned(),
        }))
    }

    pub(super) fn result(self, id: &str, text: &str) -> Self {
        self.event(Kind::ToolResult(ToolResult {
            tool_call_id: id.to_owned(),
            content: vec![ToolContent {
                kind: Some(tool_content::Kind::Text(text.to_owned())),
            }],
            ..ToolResult::default()
        }))
    }

    pub(super) fn image(self, id: &str, is_error: bool) -> Self {
        let image = Image {
            media_type: "image/png".to_owned(),
            data: vec![1, 2, 3].into(),
        };
        self.event(Kind::ToolResult(ToolResult {
            tool_call_id: id.to_owned(),
            content: vec![ToolContent {
                kind: Some(tool_content::Kind::Image(image)),
            }],
            is_error,
            ..ToolResult::default()
        }))
    }

    pub(super) fn usage(self) -> Self {
        self.event(Kind::ModelUsage(ModelUsage::default()))
    }

    pub(super) fn retry(self) -> Self {
        self.event(Kind::ModelRetry(ModelRetry::default()))
    }

    pub(super) fn ends(self, outcome: TurnOutcome) -> Self {
        self.event(Kind::TurnEnded(TurnEnded {
            outcome: outcome.into(),
            ..TurnEnded::default()
        }))
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        let messages = history::messages(&self.events, Some(MODEL));
        assert_valid(&messages);
        messages
    }

    /// The conversation in a short form.
    pub(super) fn read(&self) -> Vec<String> {
        self.messages().iter().map(in_short).collect()
    }
}

pub(super) fn in_short(message: &Message) -> String {
    let blocks: Vec<String> = message.content.iter().map(block_in_short).collect();
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    format!("{role}: {}", blocks.join(" | "))
}

fn block_in_short(block: &Block) -> String {
    match block {
        Block::Text { text, .. } => text.clone(),
        Block::Thinking {
            thinking,
            signature,
        } => format!("thinking({thinking}, {signature})"),
        Block::RedactedThinking { data } => format!("redacted({data})"),
        Block::Image { source } => format!("image({})", source.media_type),
        Block::ToolUse { id, .. } => format!("call {id}"),
        Block::ToolResult {
            tool_use_id,
            content,
            is_error,
            ..
        } => {
            let text = match content.first() {
                Some(ResultBlock::Text { text }) => text.as_str(),
                Some(ResultBlock::Image { .. }) => "image",
                None => "nothing",
            };
            let error = if *is_error { " error" } else { "" };
            format!("result {tool_use_id}{error}: {text}")
        }
    }
}
