//! The conversation in a request, as scenarios see it: prompts, and the rounds of tool calls that
//! followed each. Everything the built-in scenarios know comes from here, which is why they
//! survive restarts and serve any number of sessions at once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What engines add to a message on their own account; not what a person wrote.
#[allow(clippy::unwrap_used, reason = "a literal, and every test compiles it")]
static NOT_A_PERSON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)<system-reminder>.*?</system-reminder>|\[Request interrupted by user[^\]]*\]")
        .unwrap()
});

#[allow(clippy::unwrap_used, reason = "a literal, and every test compiles it")]
static WORKING_DIRECTORY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)working directory:\s*`?(/[^\s`]*)").unwrap());

/// A request's conversation.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// The model asked for.
    pub(crate) model: String,
    /// Names of the tools offered.
    pub(crate) tools: Vec<String>,
    /// Whether thinking is enabled.
    pub(crate) thinking: bool,
    /// The agent's working directory, if the request mentions it.
    pub(crate) directory: Option<String>,
    /// What people wrote and what was done about it.
    pub(crate) turns: Vec<Turn>,
    /// The same for a retry of the same request, and for nothing else one can tell apart.
    pub(crate) fingerprint: u64,
}

/// A prompt and what was done about it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// What a person wrote.
    pub(crate) prompt: String,
    /// One for each answer that called tools; never empty.
    pub(crate) rounds: Vec<Vec<Call>>,
}

/// A call of a tool and its result.
#[derive(Debug, Default)]
pub(crate) struct Call {
    id: String,
    /// The tool's name.
    pub(crate) name: String,
    /// What the tool answered; empty until it did.
    pub(crate) output: String,
    /// Whether it answered with an error.
    pub(crate) failed: bool,
}

impl Conversation {
    /// Reads a request body. What is malformed is left out: validation comes before.
    pub(crate) fn read(body: &Value) -> Self {
        let mut conversation = Self {
            model: text_of(&body["model"]),
            tools: items(&body["tools"])
                .map(|tool| text_of(&tool["name"]))
                .collect(),
            thinking: matches!(
                body["thinking"]["type"].as_str(),
                Some("enabled" | "adaptive")
            ),
            directory: directory(body),
            turns: Vec::new(),
            fingerprint: fingerprint(body),
        };
        for message in items(&body["messages"]) {
            conversation.add(message);
        }
        conversation
    }

    /// Whether the request offers this tool.
    pub(crate) fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|name| name == tool)
    }

    /// The last text a person wrote.
    pub(crate) fn prompt(&self) -> &str {
        self.turns.last().map_or("", |turn| turn.prompt.as_str())
    }

    /// The rounds of tool calls since that text.
    pub(crate) fn rounds(&self) -> &[Vec<Call>] {
        self.turns.last().map_or(&[], |turn| turn.rounds.as_slice())
    }

    /// The last tool result since that text.
    pub(crate) fn last_result(&self) -> Option<&str> {
        let call = self.rounds().last()?.last()?;
        Some(&call.output)
    }

    fn add(&mut self, message: &Value) {
        match message["role"].as_str() {
            Some("assistant") => self.add_calls(&message["content"]),
            Some("user") => self.add_user(&message["content"]),
            _ => {}
        }
    }

    fn add_calls(&mut self, content: &Value) {
        let calls: Vec<Call> = items(content)
            .filter(|block| block["type"] == "tool_use")
            .map(|block| Call {
                id: text_of(&block["id"]),
                name: text_of(&block["name"]),
                ..Call::default()
            })
            .collect();
        if calls.is_empty() {
            return;
        }
        if self.turns.is_empty() {
            self.turns.push(Turn::default());
        }
        if let Some(turn) = self.turns.last_mut() {
            turn.rounds.push(calls);
        }
    }

    fn add_user(&mut self, content: &Value) {
        for block in items(content) {
            self.add_result(block);
        }
        // The last text alone: earlier ones are an engine's context, or a prompt that was never
        // answered and to which a later one was added.
        let texts = content
            .as_str()
            .into_iter()
            .chain(items(content).filter_map(|block| block["text"].as_str()));
        let texts = texts.map(|text| NOT_A_PERSON.replace_all(text, ""));
        let prompt = texts.filter(|text| !text.trim().is_empty()).last();
        let Some(prompt) = prompt else { return };
        self.turns.push(Turn {
            prompt: prompt.trim().to_owned(),
            rounds: Vec::new(),
        });
    }

    fn add_result(&mut self, block: &Value) {
        if block["type"] != "tool_result" {
            return;
        }
        let rounds = self
            .turns
            .last_mut()
            .and_then(|turn| turn.rounds.last_mut());
        let call = rounds.and_then(|calls| {
            let id = block["tool_use_id"].as_str()?;
            calls.iter_mut().find(|call| call.id == id)
        });
        let Some(call) = call else { return };
        call.output = text_of(&block["content"]);
        call.failed = block["is_error"] == true;
    }
}

/// The text of a string, of a text block, or of a list of them.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn directory(body: &Value) -> Option<String> {
    let first = text_of(&body["messages"][0]["content"]);
    [text_of(&body["system"]), first].iter().find_map(|text| {
        let found = WORKING_DIRECTORY.captures(text)?;
        Some(found[1].trim_end_matches('.').to_owned())
    })
}

/// Clients resend messages and metadata as they are, but may change the rest when they retry.
fn fingerprint(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    body["messages"].to_string().hash(&mut hasher);
    body["metadata"].to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Conversation;

    fn call(id: &str) -> Value {
        json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": id, "name": "Bash", "input": {}},
        ]})
    }

    fn result(id: &str, more: &str) -> Value {
        let result =
            json!({"type": "tool_result", "tool_use_id": id, "content": "no", "is_error": true});
        if more.is_empty() {
            return json!({"role": "user", "content": [result]});
        }
        json!({"role": "user", "content": [result, {"type": "text", "text": more}]})
    }

    fn read(messages: &[Value]) -> Conversation {
        Conversation::read(&json!({"messages": messages}))
    }

    #[test]
    fn results_belong_to_the_last_prompt() {
        let talk = read(&[
            json!({"role": "user", "content": "go"}),
            call("a"),
            result("a", ""),
        ]);
        assert_eq!(talk.prompt(), "go");
        assert_eq!(talk.last_result(), Some("no"));
        assert!(talk.rounds()[0][0].failed);
    }

    #[test]
    fn a_text_beside_a_result_is_a_new_prompt() {
        let talk = read(&[
            json!({"role": "user", "content": "go"}),
            call("a"),
            result("a", "[Request interrupted by user] no, this"),
        ]);
        assert_eq!(talk.prompt(), "no, this");
        assert!(talk.rounds().is_empty());
        assert!(talk.turns[0].rounds[0][0].failed);
    }

    #[test]
    fn a_reminder_is_not_a_prompt() {
        let reminder = "<system-reminder>be\nkind</system-reminder>";
        let talk = read(&[
            json!({"role": "user", "content": [
                {"type": "text", "text": reminder},
                {"type": "text", "text": "go"},
                {"type": "text", "text": reminder},
            ]}),
            call("a"),
            result("a", reminder),
        ]);
        assert_eq!(talk.prompt(), "go");
        assert_eq!(talk.rounds().len(), 1);
    }

    #[test]
    fn the_working_directory_is_read_from_the_system_prompt() {
        let body =
            json!({"system": [{"type": "text", "text": "Primary working directory: /tmp/a\n"}]});
        assert_eq!(
            Conversation::read(&body).directory.as_deref(),
            Some("/tmp/a")
        );
    }
}
