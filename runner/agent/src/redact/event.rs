//! What of an event is text that may hold a secret: all that people, models and tools have a say in.

use std::borrow::Cow;

use membrane_proto::v1::{
    AgentThinking, Attachment, ErrorDetail, EventPayload, Image, ToolContent, ToolResult,
    event_payload::Kind, tool_content, tool_result::Detail,
};
use serde_json::{Map, Value, json};

use super::{MASK, Redactor};

impl Redactor {
    /// Masks all text of an event.
    #[must_use]
    pub fn mask_payload(&self, mut payload: EventPayload) -> EventPayload {
        payload.kind = payload.kind.map(|kind| self.mask_kind(kind));
        payload
    }

    /// Masks all text of what happened. Ids, enums, numbers and opaque data of providers stay.
    #[must_use]
    pub fn mask_kind(&self, mut kind: Kind) -> Kind {
        match &mut kind {
            Kind::UserMessage(message) => {
                self.mask_text(&mut message.text);
                self.mask_text(&mut message.user_name);
                for attachment in &mut message.attachments {
                    self.mask_attachment(attachment);
                }
            }
            Kind::TurnStarted(started) => self.mask_text(&mut started.model),
            Kind::TurnEnded(ended) => self.mask_error(ended.error.as_mut()),
            Kind::AgentText(text) => self.mask_text(&mut text.text),
            Kind::AgentThinking(thinking) => self.mask_thinking(thinking),
            Kind::ToolCall(call) => {
                self.mask_text(&mut call.name);
                self.mask_json(&mut call.input_json);
            }
            Kind::ToolResult(result) => self.mask_result(result),
            Kind::PermissionRequested(asked) => {
                self.mask_text(&mut asked.tool_name);
                self.mask_json(&mut asked.input_json);
                self.mask_text(&mut asked.explanation);
            }
            Kind::PermissionResolved(resolved) => {
                self.mask_text(&mut resolved.reason);
                self.mask_text(&mut resolved.user_name);
            }
            Kind::TodosUpdated(updated) => {
                for todo in &mut updated.todos {
                    self.mask_text(&mut todo.content);
                    self.mask_text(&mut todo.active_form);
                }
            }
            Kind::ModelUsage(usage) => {
                self.mask_text(&mut usage.model);
                self.mask_text(&mut usage.stop_reason);
            }
            Kind::InsideRequest(request) => {
                self.mask_text(&mut request.model);
                self.mask_text(&mut request.stop_reason);
                self.mask_error(request.error.as_mut());
            }
            Kind::LimitMet(limit) => self.mask_error(limit.error.as_mut()),
            Kind::ModelRetry(retry) => self.mask_error(retry.error.as_mut()),
            // What a command asked for can hold anything.
            Kind::EgressDecision(decision) => {
                self.mask_text(&mut decision.host);
                self.mask_text(&mut decision.message);
            }
            Kind::Notice(notice) => self.mask_text(&mut notice.message),
            Kind::RunStateChanged(changed) => self.mask_text(&mut changed.message),
            Kind::RunOutput(output) => self.mask_text(&mut output.text),
            Kind::EgressTotals(_) | Kind::TurnQueued(_) => {}
        }
        kind
    }

    /// Masks a JSON object so that it stays one: in its strings, names and numbers. An object that
    /// can't be masked so is replaced as a whole.
    pub fn mask_json(&self, json: &mut String) {
        if !self.finds(json.as_bytes()) {
            return;
        }
        let masked = match serde_json::from_str(json) {
            Ok(value) => self.masked_value(value).to_string(),
            Err(_) => String::new(),
        };
        *json = if masked.is_empty() || self.finds(masked.as_bytes()) {
            json!({ "redacted": MASK }).to_string()
        } else {
            masked
        };
    }

    fn masked_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.mask(&text).into_owned().into(),
            Value::Number(number) if self.finds(number.to_string().as_bytes()) => MASK.into(),
            Value::Array(values) => values
                .into_iter()
                .map(|value| self.masked_value(value))
                .collect(),
            Value::Object(fields) => Value::Object(self.masked_fields(fields)),
            other => other,
        }
    }

    fn masked_fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        fields
            .into_iter()
            .map(|(name, value)| (self.mask(&name).into_owned(), self.masked_value(value)))
            .collect()
    }

    fn mask_text(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.mask(text) {
            *text = masked;
        }
    }

    fn mask_error(&self, error: Option<&mut ErrorDetail>) {
        if let Some(error) = error {
            self.mask_text(&mut error.message);
        }
    }

    /// What was signed is not what stands there now, and the provider would not take it back.
    fn mask_thinking(&self, thinking: &mut AgentThinking) {
        if let Cow::Owned(masked) = self.mask(&thinking.text) {
            thinking.text = masked;
            thinking.signature.clear();
        }
    }

    fn mask_attachment(&self, attachment: &mut Attachment) {
        self.mask_text(&mut attachment.path);
        if attachment
            .image
            .as_ref()
            .is_some_and(|image| self.finds_in(image))
        {
            attachment.image = None;
        }
    }

    fn mask_result(&self, result: &mut ToolResult) {
        for content in &mut result.content {
            self.mask_content(content);
        }
        if let Some(truncation) = &mut result.truncation {
            self.mask_text(&mut truncation.path);
        }
        match &mut result.detail {
            Some(Detail::Command(command)) => self.mask_text(&mut command.cwd),
            Some(Detail::FileChange(change)) => {
                self.mask_text(&mut change.path);
                self.mask_text(&mut change.unified_diff);
            }
            Some(Detail::FileRead(read)) => self.mask_text(&mut read.path),
            Some(Detail::Search(search)) => {
                for path in &mut search.paths {
                    self.mask_text(path);
                }
            }
            None => {}
        }
    }

    /// An image that has a secret among its bytes, as a comment may, is left out whole.
    fn mask_content(&self, content: &mut ToolContent) {
        match &mut content.kind {
            Some(tool_content::Kind::Text(text)) => self.mask_text(text),
            Some(tool_content::Kind::Image(image)) if self.finds_in(image) => {
                content.kind = Some(tool_content::Kind::Text(MASK.to_owned()));
            }
            Some(tool_content::Kind::Image(_)) | None => {}
        }
    }

    fn finds_in(&self, image: &Image) -> bool {
        self.finds(&image.data)
    }
}
