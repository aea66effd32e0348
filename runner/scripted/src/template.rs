//! Placeholders such as `{{user_text}}` in what a step answers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::scenario::Block;

/// What placeholders stand for in one request.
#[derive(Debug, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// Sets what `{{key}}` stands for.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_owned(), value.to_owned());
    }

    /// Fills in a block of content. Ids and names of tools are taken literally.
    pub(crate) fn fill_block(&self, block: &mut Block) {
        match block {
            Block::Text { text } => *text = self.fill(text),
            Block::Thinking { thinking, .. } => *thinking = self.fill(thinking),
            Block::ToolUse { input, .. } => self.fill_value(input),
            Block::RedactedThinking { .. } => {}
        }
    }

    fn fill_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.fill(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill_value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|item| self.fill_value(item)),
            _ => {}
        }
    }

    /// Replaces in one pass, so that a placeholder inside a replacement stays as it is: what a
    /// command printed must never be read as part of the script.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            let (before, open) = rest.split_at(start);
            filled.push_str(before);
            let Some(end) = open.find("}}") else {
                rest = open;
                break;
            };
            match self.0.get(open[2..end].trim()) {
                Some(value) => filled.push_str(value),
                None => filled.push_str(&open[..end + 2]),
            }
            rest = &open[end + 2..];
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::Values;

    fn values() -> Values {
        let mut values = Values::default();
        values.set("user_text", "say {{user_text}}");
        values.set("1", "ls");
        values
    }

    #[test]
    fn a_placeholder_is_replaced_once() {
        assert_eq!(
            values().fill("you: {{ user_text }}; {{1}}!"),
            "you: say {{user_text}}; ls!"
        );
    }

    #[test]
    fn what_is_unknown_or_unclosed_stays() {
        assert_eq!(values().fill("{{nobody}} {{1"), "{{nobody}} {{1");
    }
}
