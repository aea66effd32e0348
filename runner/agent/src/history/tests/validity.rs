//! The rules of the Messages API, and that any log whatsoever obeys them.

use std::collections::HashSet;

use membrane_proto::v1::{TodosUpdated, TurnOutcome, event_payload::Kind};

use super::log::{Log, MODEL};
use crate::{
    history::is_thinking,
    model::types::{Block, Message, ResultBlock, Role},
};

/// The rules of the Messages API for a conversation.
pub(super) fn assert_valid(messages: &[Message]) {
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
    let results: usize = messages.iter().map(count_results).sum();
    assert_eq!(results, ids.len(), "no answer without a call");
}

fn assert_block_valid(block: &Block, role: Role, ids: &mut HashSet<String>) {
    match block {
        Block::Text { text, .. } => assert!(!text.trim().is_empty(), "no text is blank"),
        Block::Thinking { signature, .. } => assert!(!signature.is_empty(), "thinking is signed"),
        Block::RedactedThinking { data } => assert!(!data.is_empty(), "redacted thinking has data"),
        Block::Image { source } => assert!(!source.data.is_empty(), "an image has data"),
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
