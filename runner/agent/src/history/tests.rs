use membrane_proto::v1::{
    AgentText, EventPayload, ModelRetry, ModelUsage, TodosUpdated, TurnEnded, TurnQueued,
    TurnStarted, UserMessage,
};
use serde_json::json;

use super::*;

const MODEL: &str = "scripted";

/// Writes a log.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    turn: String,
}

impl Log {
    fn turn(mut self, turn: &str) -> Self {
        turn.clone_into(&mut self.turn);
        self
    }

    fn event(mut self, kind: Kind) -> Self {
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

    fn says(self, text: &str) -> Self {
        self.event(Kind::UserMessage(UserMessage {
            text: text.to_owned(),
            ..UserMessage::default()
        }))
    }

    fn queued(self) -> Self {
        self.event(Kind::TurnQueued(TurnQueued { ahead: 1 }))
    }

    fn starts(self, model: &str) -> Self {
        self.event(Kind::TurnStarted(TurnStarted {
            model: model.to_owned(),
            ..TurnStarted::default()
        }))
    }

    fn text(self, text: &str) -> Self {
        self.event(Kind::AgentText(AgentText {
            text: text.to_owned(),
            ..AgentText::default()
        }))
    }

    fn thinking(self, text: &str, signature: &str) -> Self {
        self.event(Kind::AgentThinking(AgentThinking {
            text: text.to_owned(),
            signature: signature.to_owned(),
            ..AgentThinking::default()
        }))
    }

    fn calls(self, id: &str) -> Self {
        self.calls_with(id, r#"{"file_path":"a.txt"}"#)
    }

    fn calls_with(self, id: &str, input: &str) -> Self {
        self.event(Kind::ToolCall(ToolCall {
            tool_call_id: id.to_owned(),
            name: "Read".to_owned(),
            input_json: input.to_owned(),
        }))
    }

    fn result(self, id: &str, text: &str) -> Self {
        self.event(Kind::ToolResult(ToolResult {
            tool_call_id: id.to_owned(),
            content: vec![ToolContent {
                kind: Some(tool_content::Kind::Text(text.to_owned())),
            }],
            ..ToolResult::default()
        }))
    }

    fn image(self, id: &str, is_error: bool) -> Self {
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

    fn usage(self) -> Self {
        self.event(Kind::ModelUsage(ModelUsage::default()))
    }

    fn retry(self) -> Self {
        self.event(Kind::ModelRetry(ModelRetry::default()))
    }

    fn ends(self, outcome: TurnOutcome) -> Self {
        self.event(Kind::TurnEnded(TurnEnded {
            outcome: outcome.into(),
            ..TurnEnded::default()
        }))
    }

    fn messages(&self) -> Vec<Message> {
        let messages = messages(&self.events, Some(MODEL));
        assert_valid(&messages);
        messages
    }

    /// The conversation in a short form.
    fn read(&self) -> Vec<String> {
        self.messages().iter().map(in_short).collect()
    }
}

fn in_short(message: &Message) -> String {
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

/// The rules of the Messages API for a conversation.
fn assert_valid(messages: &[Message]) {
    let mut ids = HashSet::new();
    for (index, message) in messages.iter().enumerate() {
        let role = if index % 2 == 0 {
            Role::User
        } else {
            Role::Assistant
        };
        assert_eq!(message.role, role, "roles alternate, the user begins");
        assert!(!message.content.is_empty(), "no message is empty");
        for block in &message.content {
            assert_block_valid(block, role, &mut ids);
        }
        if role == Role::Assistant {
            let last = message.content.last().expect("a block");
            assert!(!is_thinking(last), "no answer ends with thinking");
            let next = messages
                .get(index + 1)
                .expect("an answer is never the last message");
            assert_eq!(
                calls_of(message),
                results_at_start_of(next),
                "calls are answered at once"
            );
        }
    }
    let results: usize = messages.iter().map(|message| count_results(message)).sum();
    assert_eq!(results, ids.len(), "no answer without a call");
}

fn assert_block_valid(block: &Block, role: Role, ids: &mut HashSet<String>) {
    match block {
        Block::Text { text, .. } => assert!(!text.trim().is_empty(), "no text is blank"),
        Block::Thinking { signature, .. } => assert!(!signature.is_empty(), "thinking is signed"),
        Block::RedactedThinking { data } => assert!(!data.is_empty(), "redacted thinking has data"),
        Block::ToolUse { id, .. } => assert!(ids.insert(id.clone()), "ids are unique"),
        Block::ToolResult {
            content, is_error, ..
        } => {
            let words = |block: &ResultBlock| matches!(block, ResultBlock::Text { .. });
            assert!(!content.is_empty(), "a result says something");
            assert!(
                !is_error || content.iter().all(words),
                "an error has words only"
            );
        }
    }
    let of_assistant = is_thinking(block) || matches!(block, Block::ToolUse { .. });
    let of_user = matches!(block, Block::ToolResult { .. });
    assert!(!of_assistant || role == Role::Assistant);
    assert!(!of_user || role == Role::User);
}

fn calls_of(message: &Message) -> Vec<&str> {
    let ids = message.content.iter().filter_map(|block| match block {
        Block::ToolUse { id, .. } => Some(id.as_str()),
        _ => None,
    });
    ids.collect()
}

fn results_at_start_of(message: &Message) -> Vec<&str> {
    let ids = message.content.iter().map_while(|block| match block {
        Block::ToolResult { tool_use_id, .. } => Some(tool_use_id.as_str()),
        _ => None,
    });
    ids.collect()
}

fn count_results(message: &Message) -> usize {
    let is_result = |block: &&Block| matches!(block, Block::ToolResult { .. });
    message.content.iter().filter(is_result).count()
}

#[test]
fn a_plain_conversation_reads_as_it_was() {
    let log = Log::default().says("Hello").text("Hi.").usage().says("Bye");
    assert_eq!(log.read(), ["user: Hello", "assistant: Hi.", "user: Bye"]);
}

#[test]
fn each_model_usage_ends_an_answer_and_results_follow_their_calls() {
    let log = Log::default()
        .says("Look")
        .thinking("hm", "s1")
        .text("Reading.")
        .calls("a")
        .calls("b")
        .usage()
        .result("b", "B")
        .result("a", "A")
        .thinking("so", "s2")
        .calls("c")
        .usage()
        .result("c", "C");
    assert_eq!(
        log.read(),
        [
            "user: Look",
            "assistant: thinking(hm, s1) | Reading. | call a | call b",
            "user: result a: A | result b: B",
            "assistant: thinking(so, s2) | call c",
            "user: result c: C",
        ]
    );
}

#[test]
fn a_call_that_a_crash_left_open_is_answered_with_an_error() {
    let log = Log::default()
        .says("Go")
        .calls("a")
        .calls("b")
        .usage()
        .result("a", "A")
        .ends(TurnOutcome::Abandoned)
        .says("Still there?");
    assert_eq!(
        log.read()[2],
        format!(
            "user: result a: A | result b error: {NO_RESULT} | [A server restart interrupted you here.] | Still there?"
        )
    );
}

#[test]
fn a_crash_before_the_usage_was_stored_loses_nothing() {
    let log = Log::default()
        .says("Go")
        .text("Doing it.")
        .calls("a")
        .ends(TurnOutcome::Abandoned)
        .says("And?");
    assert_eq!(log.read()[1], "assistant: Doing it. | call a");
    assert_eq!(log.read().len(), 3);
}

#[test]
fn an_interrupted_turn_leaves_a_note() {
    let log = Log::default()
        .says("Count")
        .text("1, 2,")
        .usage()
        .ends(TurnOutcome::Interrupted)
        .says("Stop. Sum up.");
    let expected = "user: [The user interrupted you here.] | Stop. Sum up.";
    assert_eq!(log.read()[2], expected);
}

#[test]
fn a_completed_turn_leaves_none() {
    let log = Log::default()
        .says("Count")
        .text("1")
        .usage()
        .ends(TurnOutcome::Completed)
        .says("More");
    assert_eq!(log.read()[2], "user: More");
}

#[test]
fn an_answer_that_was_cut_off_is_continued_by_request() {
    let log = Log::default()
        .says("Tell")
        .text("Once upon")
        .usage()
        .retry();
    let expected = format!("user: {CONTINUE}");
    assert_eq!(
        log.read(),
        ["user: Tell", "assistant: Once upon", expected.as_str()]
    );
    let log = log.text("a time.").usage().says("Thanks");
    assert_eq!(
        log.read()[2..],
        [expected.as_str(), "assistant: a time.", "user: Thanks"]
    );
}

#[test]
fn thinking_without_a_signature_is_left_out() {
    let log = Log::default()
        .says("Go")
        .thinking("hm", "")
        .text("Ok")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: Ok");
}

#[test]
fn thinking_that_the_provider_keeps_to_itself_goes_back_with_its_signature() {
    let log = Log::default()
        .says("Go")
        .thinking("", "s")
        .text("Ok")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: thinking(, s) | Ok");
}

#[test]
fn redacted_thinking_goes_back_as_it_came() {
    let redacted = Kind::AgentThinking(AgentThinking {
        redacted_data: "xyz".to_owned(),
        ..AgentThinking::default()
    });
    let log = Log::default()
        .says("Go")
        .event(redacted)
        .text("Ok")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: redacted(xyz) | Ok");
}

#[test]
fn thinking_at_the_end_of_an_answer_is_left_out() {
    let log = Log::default()
        .says("Go")
        .text("Ok")
        .thinking("hm", "s")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: Ok");
    let log = Log::default()
        .says("Go")
        .thinking("hm", "s")
        .usage()
        .retry();
    assert_eq!(log.read(), ["user: Go"]);
}

#[test]
fn thinking_of_another_model_is_left_out() {
    let log = Log::default()
        .turn("1")
        .starts("other")
        .says("Go")
        .thinking("hm", "s")
        .text("Ok")
        .usage()
        .turn("2")
        .starts(MODEL)
        .says("On")
        .thinking("so", "t")
        .text("Well")
        .usage()
        .says("!");
    assert_eq!(log.read()[1], "assistant: Ok");
    assert_eq!(log.read()[3], "assistant: thinking(so, t) | Well");
    let without = messages(&log.events, None);
    assert_eq!(in_short(&without[3]), "assistant: Well");
}

#[test]
fn messages_in_a_row_become_one() {
    let log = Log::default().says("One").says("Two");
    assert_eq!(log.read(), ["user: One | Two"]);
}

#[test]
fn a_queued_message_is_read_when_its_turn_begins() {
    let log = Log::default()
        .turn("1")
        .says("First")
        .starts(MODEL)
        .calls("a")
        .turn("2")
        .says("Second")
        .queued()
        .turn("1")
        .usage()
        .result("a", "A")
        .text("Done")
        .usage()
        .ends(TurnOutcome::Completed)
        .turn("2")
        .starts(MODEL);
    assert_eq!(
        log.read(),
        [
            "user: First",
            "assistant: call a",
            "user: result a: A",
            "assistant: Done",
            "user: Second"
        ]
    );
}

#[test]
fn a_message_whose_turn_has_not_begun_comes_last() {
    let log = Log::default()
        .turn("2")
        .says("Second")
        .turn("1")
        .says("First")
        .starts(MODEL)
        .text("Done")
        .usage();
    assert_eq!(
        log.read(),
        ["user: First", "assistant: Done", "user: Second"]
    );
}

#[test]
fn what_happens_in_a_sub_agent_is_not_part_of_the_conversation() {
    let mut log = Log::default().says("Go").calls("a").usage().text("inner");
    if let Some(payload) = log
        .events
        .last_mut()
        .and_then(|event| event.payload.as_mut())
    {
        "a".clone_into(&mut payload.parent_tool_call_id);
    }
    let log = log.result("a", "A");
    assert_eq!(
        log.read(),
        ["user: Go", "assistant: call a", "user: result a: A"]
    );
}

#[test]
fn input_that_is_no_json_object_is_kept_as_text() {
    for raw in ["{\"file", "[1]", ""] {
        let log = Log::default()
            .says("Go")
            .calls_with("a", raw)
            .usage()
            .result("a", "?");
        let Block::ToolUse { input, .. } = &log.messages()[1].content[0] else {
            panic!("a tool call");
        };
        assert_eq!(json!(input), json!({ "INVALID_JSON": raw }));
    }
}

#[test]
fn images_are_sent_unless_the_result_is_an_error() {
    let log = Log::default()
        .says("Go")
        .calls("a")
        .usage()
        .image("a", false);
    assert_eq!(log.read()[2], "user: result a: image");
    assert_eq!(
        json!(log.messages()[2])["content"][0]["content"][0]["source"]["data"],
        "AQID"
    );
    let log = Log::default()
        .says("Go")
        .calls("a")
        .usage()
        .image("a", true);
    assert_eq!(
        log.read()[2],
        "user: result a error: The tool failed without saying why."
    );
}

#[test]
fn the_wire_form_is_the_messages_apis() {
    let log = Log::default()
        .says("Go")
        .calls("a")
        .usage()
        .result("a", "A");
    assert_eq!(
        json!(log.messages()),
        json!([
            { "role": "user", "content": [{ "type": "text", "text": "Go" }] },
            { "role": "assistant", "content": [
                { "type": "tool_use", "id": "a", "name": "Read", "input": { "file_path": "a.txt" } }
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "a", "content": [{ "type": "text", "text": "A" }] }
            ] },
        ])
    );
}

/// Whatever happens in whatever order, the conversation is valid. Twenty thousand random logs.
#[test]
fn any_log_gives_a_valid_conversation() {
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let mut log = Log::default();
        for _ in 0..random.below(14) {
            log = random_event(log, &mut random);
        }
        log.messages();
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn random_event(log: Log, random: &mut Random) -> Log {
    let id = ["a", "b", "c", "d"][usize::try_from(random.below(4)).expect("small")];
    let turn = ["", "1", "2", "3"][usize::try_from(random.below(4)).expect("small")];
    let log = log.turn(turn);
    match random.below(17) {
        0 => log.says("Hello"),
        1 => log.says(" "),
        2 => log.text("Well"),
        3 => log.text("\n"),
        4 => log.thinking("hm", "s"),
        5 => log.thinking("hm", ""),
        6 | 7 => log.calls(id),
        8 | 9 => log.result(id, "done"),
        10 => log.image(id, random.below(2) == 0),
        11 | 12 => log.usage(),
        13 => log.retry(),
        14 => log.starts(if random.below(2) == 0 { MODEL } else { "other" }),
        15 => log.ends(TurnOutcome::Interrupted),
        _ => log.event(Kind::TodosUpdated(TodosUpdated::default())),
    }
}
