use serde_json::{Value, json};

use super::{FILE, MARK, answer};
use crate::conversation::Conversation;
use crate::scenario::Block;

/// A workspace of files in memory, and a loop that runs tools on it as an engine would.
struct Stage {
    tools: Vec<&'static str>,
    file: Option<String>,
    refused: &'static str,
    thinking: bool,
    messages: Vec<Value>,
}

const ALL: &[&str] = &["Glob", "Grep", "Read", "Write", "Edit", "Bash", "TodoWrite"];

impl Stage {
    fn new(tools: &[&'static str]) -> Self {
        Self {
            tools: tools.to_vec(),
            file: None,
            refused: "",
            thinking: false,
            messages: Vec::new(),
        }
    }

    /// Runs a turn: the names of the tools in each round, and the last text.
    fn turn(&mut self, prompt: &str) -> (Vec<Vec<String>>, String) {
        self.messages
            .push(json!({"role": "user", "content": prompt}));
        let mut rounds = Vec::new();
        for _ in 0..20 {
            let content = self.ask();
            let calls = calls(&content);
            let text = content
                .iter()
                .filter_map(text)
                .collect::<Vec<_>>()
                .join("\n");
            self.messages
                .push(json!({"role": "assistant", "content": content}));
            if calls.is_empty() {
                return (rounds, text);
            }
            rounds.push(calls.iter().map(|(_, name, _)| name.clone()).collect());
            let results: Vec<Value> = calls.iter().map(|call| self.result(call)).collect();
            self.messages
                .push(json!({"role": "user", "content": results}));
        }
        panic!("the turn did not end");
    }

    fn ask(&self) -> Vec<Value> {
        let tools: Vec<Value> = self
            .tools
            .iter()
            .map(|name| json!({"name": name}))
            .collect();
        let mut body = json!({"tools": tools, "messages": self.messages});
        if self.thinking {
            body["thinking"] = json!({"type": "enabled"});
        }
        let mut steps = answer(&Conversation::read(&body), "/workspace");
        assert_eq!(steps.len(), 1);
        let mut content = steps.remove(0).content;
        for (n, block) in content.iter_mut().enumerate() {
            if let Block::ToolUse { id, .. } = block {
                *id = Some(format!("t{}_{n}", self.messages.len()));
            }
        }
        let content = content.into_iter().map(serde_json::to_value);
        content.collect::<Result<_, _>>().expect("blocks are JSON")
    }

    fn result(&mut self, (id, name, input): &(String, String, Value)) -> Value {
        let (output, failed) = if name == self.refused {
            ("The user does not want this.".to_owned(), true)
        } else {
            self.run(name, input)
        };
        json!({"type": "tool_result", "tool_use_id": id, "content": output, "is_error": failed})
    }

    fn run(&mut self, name: &str, input: &Value) -> (String, bool) {
        let field = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        let file = self.file.clone();
        match (name, file) {
            ("Glob", Some(_)) => (format!("/workspace/a.rs\n/workspace/{FILE}"), false),
            ("Glob", None) => ("/workspace/a.rs".to_owned(), false),
            ("Read", Some(file)) => (file, false),
            ("Read" | "Edit", None) => ("No such file.".to_owned(), true),
            ("Write", _) => {
                self.file = Some(field("content"));
                (String::new(), false)
            }
            ("Edit", Some(file)) => {
                assert_eq!(file.matches(&field("old_string")).count(), 1);
                self.file = Some(file.replace(&field("old_string"), &field("new_string")));
                (String::new(), false)
            }
            _ => ("total 0".to_owned(), false),
        }
    }
}

fn calls(content: &[Value]) -> Vec<(String, String, Value)> {
    let calls = content.iter().filter(|block| block["type"] == "tool_use");
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    calls
        .map(|call| {
            (
                string(&call["id"]),
                string(&call["name"]),
                call["input"].clone(),
            )
        })
        .collect()
}

fn text(block: &Value) -> Option<&str> {
    block["text"].as_str()
}

#[test]
fn the_first_prompt_is_a_tour_of_all_tools() {
    let mut stage = Stage::new(ALL);
    let (rounds, text) = stage.turn("Please build me a castle");
    let expected: &[&[&str]] = &[
        &["Glob", "Grep"],
        &["TodoWrite"],
        &["Write"],
        &["Bash"],
        &["Edit"],
        &["TodoWrite"],
    ];
    assert_eq!(rounds, expected);
    assert!(text.contains("a script, not a model"), "{text}");
    assert!(text.contains("total 0"));
    let file = stage.file.expect("a file was written");
    assert!(file.contains("castle") && file.contains("- [x] edited"));
}

#[test]
fn a_later_prompt_is_added_to_the_notes() {
    let mut stage = Stage::new(ALL);
    stage.turn("one");
    let (rounds, text) = stage.turn("two");
    assert_eq!(rounds, [["Read"], ["Edit"], ["Bash"]]);
    assert!(text.contains("I added your message"), "{text}");
    stage.turn("three");
    let file = stage.file.expect("a file was written");
    assert!(file.contains(&format!("- You said: two\n- You said: three\n{MARK}")));
}

#[test]
fn an_existing_file_is_read_before_it_is_written() {
    let mut stage = Stage::new(ALL);
    stage.file = Some("mine".to_owned());
    let (rounds, _) = stage.turn("go");
    assert_eq!(rounds[2], ["Read"]);
    assert_eq!(rounds[3], ["Write"]);
}

#[test]
fn what_is_refused_is_said_and_left_out() {
    let mut stage = Stage::new(ALL);
    stage.refused = "Write";
    let (rounds, text) = stage.turn("go");
    assert!(!rounds.contains(&vec!["Edit".to_owned()]));
    assert!(
        text.contains("| Wrote the file | `Write` | did not go through |"),
        "{text}"
    );
    let said = Value::from(stage.messages).to_string();
    assert!(said.contains("`Write` did not go through (“The user does not want this.”)"));
}

#[test]
fn every_refusal_still_comes_to_an_end() {
    for refused in ALL {
        let mut stage = Stage::new(ALL);
        stage.refused = refused;
        stage.turn("go");
        stage.turn("on");
    }
}

#[test]
fn tools_that_are_not_offered_are_not_called() {
    let (rounds, text) = Stage::new(&["Read"]).turn("go");
    assert!(rounds.is_empty());
    assert!(text.contains("nothing for me to do"), "{text}");
    let (rounds, _) = Stage::new(&["Bash"]).turn("go");
    assert_eq!(rounds, [["Bash"]]);
}

#[test]
fn it_thinks_when_thinking_is_enabled() {
    let mut stage = Stage::new(ALL);
    stage.thinking = true;
    stage.turn("go");
    let answers = stage.messages.iter().filter(|m| m["role"] == "assistant");
    for answer in answers {
        assert_eq!(answer["content"][0]["type"], "thinking");
    }
}

#[test]
fn directives_are_obeyed() {
    let (rounds, _) = Stage::new(ALL).turn("!grep x\n!read a");
    assert_eq!(rounds, [["Grep"], ["Read"]]);
}

#[test]
fn without_tools_it_says_what_was_asked() {
    let mut stage = Stage::new(&[]);
    let (rounds, text) = stage.turn("Paint the shed");
    assert!(rounds.is_empty());
    assert_eq!(text, "Paint the shed");
    let (_, text) = stage.turn("Write a summary of the conversation");
    assert!(text.contains("Paint the shed"), "{text}");
}
