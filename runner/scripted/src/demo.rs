//! The demonstration: a short story in acts, told anew from the conversation for each request. An
//! act is left out when its tool is not offered or when an earlier act it builds on went wrong.

mod words;

use serde_json::{Value, json};

use crate::conversation::{Call, Conversation};
use crate::puppet;
use crate::scenario::{Block, Step};

/// The file that the demonstration writes.
const FILE: &str = "MEMBRANE.md";

/// The line before which later notes are put; it must occur once in the file.
const MARK: &str = "<!-- The next note goes above this line. -->";

/// The answer to this request.
pub(crate) fn answer(conversation: &Conversation, root: &str) -> Vec<Step> {
    if puppet::is_program(conversation.prompt()) {
        return puppet::answer(conversation, root);
    }
    if conversation.tools.is_empty() || words::asks_for_summary(conversation.prompt()) {
        return vec![Step::text(&words::summary(conversation))];
    }
    vec![tell(conversation, root)]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Sees what is there, with two tools at once.
    Look,
    /// Makes a list.
    List,
    /// Reads the file, if there is one.
    Read,
    /// Writes the file.
    Write,
    /// Runs a command.
    Run,
    /// Changes the file.
    Edit,
    /// Adds a note to the file.
    Note,
    /// Ticks the list off.
    Tick,
}

/// What is told to the first prompt of a session.
const FIRST: &[Act] = &[
    Act::Look,
    Act::List,
    Act::Read,
    Act::Write,
    Act::Run,
    Act::Edit,
    Act::Tick,
];

/// What is told to later ones.
const LATER: &[Act] = &[Act::Read, Act::Note, Act::Run];

/// The story so far.
#[derive(Debug)]
struct Story<'a> {
    conversation: &'a Conversation,
    root: &'a str,
    done: Vec<(Act, &'a [Call])>,
}

fn tell(conversation: &Conversation, root: &str) -> Step {
    let acts = if conversation.turns.len() > 1 {
        LATER
    } else {
        FIRST
    };
    let mut story = Story {
        conversation,
        root: conversation.directory.as_deref().unwrap_or(root),
        done: Vec::new(),
    };
    let mut rounds = conversation.rounds().iter();
    for act in acts {
        if !story.has_room_for(*act) {
            continue;
        }
        match rounds.next() {
            Some(calls) => story.done.push((*act, calls)),
            None => return story.perform(*act),
        }
    }
    story.end()
}

impl Story<'_> {
    fn has_room_for(&self, act: Act) -> bool {
        let offers = |tool| self.conversation.offers(tool);
        match act {
            Act::Look => offers("Glob") || offers("Grep"),
            Act::List => offers("TodoWrite"),
            Act::Read => offers("Read") && (self.is_later() || self.found_file()),
            Act::Write => offers("Write"),
            Act::Run => offers("Bash"),
            Act::Edit => offers("Edit") && self.went_well(Act::Write),
            Act::Note => offers("Edit") && self.has_mark(),
            Act::Tick => self.went_well(Act::List),
        }
    }

    fn perform(&self, act: Act) -> Step {
        let mut content = Vec::new();
        if self.conversation.thinking {
            content.push(Block::thinking(words::thought(act)));
        }
        let mut text = self.reaction();
        text.push_str(words::announcement(act, self.is_later()));
        content.push(Block::text(&text));
        content.extend(self.calls(act));
        Step::content(content)
    }

    fn end(&self) -> Step {
        let mut text = self.reaction();
        text.push_str(&words::ending(self));
        let thought = self.conversation.thinking;
        let thought = thought.then(|| Block::thinking("That was the last step. I sum up."));
        Step::content(thought.into_iter().chain([Block::text(&text)]))
    }

    fn calls(&self, act: Act) -> Vec<Block> {
        match act {
            Act::Look => self.look(),
            Act::List => vec![self.list(false)],
            Act::Tick => vec![self.list(true)],
            Act::Read => vec![Block::tool("Read", json!({"file_path": self.path()}))],
            Act::Write => vec![Block::tool("Write", self.file())],
            Act::Run => vec![Block::tool("Bash", self.command())],
            Act::Edit => vec![self.replace(words::OPEN_STEP, words::DONE_STEP)],
            Act::Note => {
                let note = words::note(self.conversation.prompt());
                vec![self.replace(MARK, &format!("{note}\n{MARK}"))]
            }
        }
    }

    fn look(&self) -> Vec<Block> {
        let both = [
            ("Glob", json!({"pattern": "**/*"})),
            (
                "Grep",
                json!({"pattern": "TODO|FIXME", "output_mode": "files_with_matches"}),
            ),
        ];
        let offered = both
            .into_iter()
            .filter(|(tool, _)| self.conversation.offers(tool));
        offered
            .map(|(tool, input)| Block::tool(tool, input))
            .collect()
    }

    /// The list; at the end, what did not happen stays open.
    fn list(&self, end: bool) -> Block {
        let items = [
            (Act::Look, "Look at what is in the workspace"),
            (Act::Write, "Write a small file"),
            (Act::Run, "Run a harmless command"),
            (Act::Edit, "Edit the file"),
        ];
        let todos: Vec<Value> = items
            .into_iter()
            .map(|(act, content)| {
                let status = match act {
                    act if self.went_well(act) => "completed",
                    Act::Write if !end => "in_progress",
                    _ => "pending",
                };
                json!({"content": content, "status": status, "activeForm": content})
            })
            .collect();
        Block::tool("TodoWrite", json!({"todos": todos}))
    }

    fn file(&self) -> Value {
        let content = words::file(self.conversation.prompt(), self.files_found());
        json!({"file_path": self.path(), "content": content})
    }

    fn command(&self) -> Value {
        let command = if self.went_well(Act::Write) || self.went_well(Act::Read) {
            format!("ls -la && wc -l {FILE}")
        } else {
            "ls -la".to_owned()
        };
        json!({"command": command, "description": "List the files and count lines"})
    }

    fn replace(&self, old: &str, new: &str) -> Block {
        let input = json!({"file_path": self.path(), "old_string": old, "new_string": new});
        Block::tool("Edit", input)
    }

    fn path(&self) -> String {
        format!("{}/{FILE}", self.root.trim_end_matches('/'))
    }

    fn is_later(&self) -> bool {
        self.conversation.turns.len() > 1
    }

    fn found_file(&self) -> bool {
        let found = self
            .call(Act::Look, "Glob")
            .map_or("", |c| c.output.as_str());
        found.lines().any(|line| line.trim().ends_with(FILE))
    }

    fn has_mark(&self) -> bool {
        let read = self.call(Act::Read, "Read");
        read.is_some_and(|call| call.output.matches(MARK).count() == 1)
    }

    /// How many files there are; none if that is not known.
    fn files_found(&self) -> Option<usize> {
        let output = &self.call(Act::Look, "Glob")?.output;
        let lines = output.lines().filter(|line| line.contains(['/', '.']));
        Some(lines.filter(|line| !line.contains(' ')).count())
    }

    fn went_well(&self, act: Act) -> bool {
        self.calls_of(act)
            .is_some_and(|calls| calls.iter().all(|call| !call.failed))
    }

    fn calls_of(&self, act: Act) -> Option<&[Call]> {
        let done = self.done.iter().find(|(done, _)| *done == act);
        done.map(|(_, calls)| *calls)
    }

    /// A call that did not fail.
    fn call(&self, act: Act, tool: &str) -> Option<&Call> {
        let calls = self.calls_of(act)?;
        calls.iter().find(|call| call.name == tool && !call.failed)
    }

    /// A sentence about what went wrong last, if something did.
    fn reaction(&self) -> String {
        let last = self.done.last().map_or(&[][..], |(_, calls)| calls);
        let failed = last.iter().find(|call| call.failed);
        failed.map_or_else(String::new, words::reaction)
    }
}

#[cfg(test)]
mod tests;
