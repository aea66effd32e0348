//! What the demonstration says and writes.

use std::fmt::Write;

use super::{Act, FILE, MARK, Story};
use crate::conversation::{Call, Conversation};

/// A line of the file, and what it is changed to.
pub(super) const OPEN_STEP: &str = "- [ ] edited by the agent";
pub(super) const DONE_STEP: &str = "- [x] edited by the agent";

const HONESTY: &str = "> I am a script, not a model: I do the same in every workspace, whatever \
you ask. Choose a provider and add your key to work with a model.";

/// Whether an engine asks for a summary rather than a person for work.
pub(super) fn asks_for_summary(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    prompt.contains("summar") && prompt.contains("conversation")
}

/// A summary of the conversation, for compaction and titles.
pub(super) fn summary(conversation: &Conversation) -> String {
    let turns = &conversation.turns;
    let asked: Vec<String> = turns.iter().map(|turn| quote(&turn.prompt, 60)).collect();
    match asked.as_slice() {
        [] => "Nothing was said yet.".to_owned(),
        [only] => only.clone(),
        [before @ .., _] => {
            let calls = turns.iter().flat_map(|turn| &turn.rounds).flatten().count();
            let asked = before.join("; ");
            format!("Scripted summary: asked so far: {asked}. Tool calls: {calls}.")
        }
    }
}

pub(super) fn thought(act: Act) -> &'static str {
    match act {
        Act::Look => "I should know what is here before I change anything.",
        Act::List => "Several steps: a list keeps them visible.",
        Act::Read => "An existing file has to be read before it is changed.",
        Act::Write => "A small file of my own disturbs nobody's work.",
        Act::Run => "A command that only lists files is harmless.",
        Act::Edit => "One line of the file can be ticked off now.",
        Act::Note => "The mark shows where the note belongs.",
        Act::Tick => "The list should show what was done.",
    }
}

pub(super) fn announcement(act: Act, later: bool) -> &'static str {
    match act {
        Act::Look => {
            "This is the **demo**: a script that shows what an agent does here. \
             First I look at what is in the workspace."
        }
        Act::List => "Now I make a list of what I am going to do.",
        Act::Read if later => "I read my notes from earlier.",
        Act::Read => "There is a `MEMBRANE.md` already, so I read it first.",
        Act::Write => "I write a small file, `MEMBRANE.md`.",
        Act::Run => "I run a command to see the result.",
        Act::Edit => "I edit one line of the file.",
        Act::Note => "I add what you said to `MEMBRANE.md`.",
        Act::Tick => "I bring the list up to date.",
    }
}

/// A sentence about a call that went wrong.
pub(super) fn reaction(call: &Call) -> String {
    let (name, said) = (&call.name, quote(&call.output, 160));
    format!("`{name}` did not go through (“{said}”), so I go on without it.\n\n")
}

/// The file that is written.
pub(super) fn file(prompt: &str, files: Option<usize>) -> String {
    let files = files.map_or_else(String::new, |files| format!("It found {files} files.\n\n"));
    format!(
        "# Notes of the demo\n\n\
         The scripted demo of Membrane was here. {files}\
         You asked: {}\n\n\
         - [x] written by the agent\n\
         {OPEN_STEP}\n\n\
         ## Later\n\n\
         {MARK}\n",
        quote(prompt, 120)
    )
}

/// The note on a later prompt.
pub(super) fn note(prompt: &str) -> String {
    format!("- You said: {}", quote(prompt, 120))
}

/// The last answer of a turn.
pub(super) fn ending(story: &Story<'_>) -> String {
    if story.is_later() {
        return later_ending(story);
    }
    let mut text = "## What I did\n\n| step | tools | outcome |\n|---|---|---|\n".to_owned();
    for (act, calls) in &story.done {
        let tools: Vec<String> = calls.iter().map(|c| format!("`{}`", c.name)).collect();
        let failed = calls.iter().any(|call| call.failed);
        let outcome = if failed { "did not go through" } else { "done" };
        let row = format!("| {} | {} | {outcome} |\n", title(*act), tools.join(", "));
        text.push_str(&row);
    }
    if story.done.is_empty() {
        text = "None of the tools I know is offered, so there is nothing for me to do.\n".into();
    }
    push_output(&mut text, story);
    if story.went_well(Act::Write) {
        let _ = writeln!(text, "\nYou find the result in `{FILE}`.");
    }
    format!("{text}\n{HONESTY}")
}

fn later_ending(story: &Story<'_>) -> String {
    let mut text = if story.went_well(Act::Note) {
        format!("I added your message to `{FILE}`.\n")
    } else {
        format!("I did not change `{FILE}`.\n")
    };
    push_output(&mut text, story);
    format!("{text}\n{HONESTY}")
}

fn push_output(text: &mut String, story: &Story<'_>) {
    let Some(call) = story.call(Act::Run, "Bash") else {
        return;
    };
    let lines: Vec<&str> = call.output.lines().take(20).collect();
    let lines = lines.join("\n");
    let _ = writeln!(text, "\nThe command printed:\n\n~~~text\n{lines}\n~~~");
}

fn title(act: Act) -> &'static str {
    match act {
        Act::Look => "Looked around",
        Act::List => "Made a list",
        Act::Read => "Read the file",
        Act::Write => "Wrote the file",
        Act::Run => "Ran a command",
        Act::Edit => "Edited the file",
        Act::Note => "Added a note",
        Act::Tick => "Ticked off the list",
    }
}

/// The first line of a text, shortened, with nothing in it that would end a comment or a code span.
fn quote(text: &str, longest: usize) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line
        .unwrap_or_default()
        .trim()
        .replace(['`', '<', '>'], "'");
    if line.chars().count() <= longest {
        return line;
    }
    let short: String = line.chars().take(longest).collect();
    format!("{short}…")
}
