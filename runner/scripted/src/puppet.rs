//! The puppet: a prompt made of directives is a program, and each request that follows it plays
//! the next round. How many rounds were played is counted in the conversation. The directives are
//! listed at [`crate::Scenario::puppet`].

use crate::conversation::Conversation;
use crate::directive::{self, Directive, Root};
use crate::scenario::{Block, ErrorReply, Fault, Pace, Step, StopReason, TokenUsage};

/// The alternatives for this request: those with `times` for its first attempts, then the last.
pub(crate) fn answer(conversation: &Conversation, root: &str) -> Vec<Step> {
    let root = Root(conversation.directory.as_deref().unwrap_or(root));
    if !is_program(conversation.prompt()) {
        return vec![Step::text(&plain(conversation))];
    }
    let mut rounds = match compile(conversation.prompt(), root) {
        Ok(rounds) => rounds,
        Err(sentence) => return vec![Step::text(&sentence)],
    };
    let done = conversation.rounds().len();
    let mut round = if done < rounds.len() {
        rounds.swap_remove(done)
    } else {
        Round::default()
    };
    if conversation.tools.is_empty() {
        round.drop_calls();
    }
    if round.content.is_empty() {
        round.content.push(Block::text(&sum_up(conversation)));
    }
    round.steps()
}

/// Whether a prompt is made of directives.
pub(crate) fn is_program(prompt: &str) -> bool {
    prompt.starts_with('!')
}

/// One answer of the program.
#[derive(Debug, Default)]
struct Round {
    content: Vec<Block>,
    breaks: Vec<(Option<u32>, Break)>,
    pace: Option<Pace>,
    stop_reason: Option<StopReason>,
    usage: TokenUsage,
}

#[derive(Debug, Clone)]
enum Break {
    Error(ErrorReply),
    Fault(Fault),
}

impl Round {
    fn drop_calls(&mut self) {
        let before = self.content.len();
        self.content
            .retain(|block| !matches!(block, Block::ToolUse { .. }));
        if self.content.len() < before {
            self.content.push(Block::text("No tool is offered here."));
        }
    }

    fn steps(self) -> Vec<Step> {
        let usual = Step {
            content: self.content,
            pace: self.pace,
            stop_reason: self.stop_reason,
            usage: self.usage,
            ..Step::default()
        };
        let broken = self.breaks.into_iter().map(|(times, how)| {
            let mut step = usual.clone();
            step.times = times;
            match how {
                Break::Error(error) => step.error = Some(error),
                Break::Fault(fault) => step.fault = Some(fault),
            }
            step
        });
        let mut steps: Vec<Step> = broken.collect();
        steps.push(usual);
        steps
    }
}

/// Reads a program as its rounds. A call ends a round unless it is in a parallel group.
fn compile(program: &str, root: Root<'_>) -> Result<Vec<Round>, String> {
    let mut rounds = vec![Round::default()];
    let mut parallel = false;
    for directive in directive::parse(program) {
        let Some(round) = rounds.last_mut() else {
            break;
        };
        let ends = match directive.name.as_str() {
            "parallel" => {
                parallel = true;
                false
            }
            "end" => std::mem::take(&mut parallel),
            _ => match directive.call(root) {
                Some(call) => {
                    round.content.push(call?);
                    !parallel
                }
                None => {
                    round.direct(&directive)?;
                    false
                }
            },
        };
        if ends {
            rounds.push(Round::default());
        }
    }
    Ok(rounds)
}

impl Round {
    /// Follows a directive that is not a call.
    fn direct(&mut self, directive: &Directive) -> Result<(), String> {
        match directive.name.as_str() {
            "say" => self.content.push(Block::text(&directive.text())),
            "think" => self.content.push(Block::thinking(&directive.text())),
            "sleep-ms" => self.pace().head_ms = directive.number()?,
            "chunk-ms" => self.pace().chunk_ms = directive.number()?,
            "chunk-chars" => {
                self.pace().chunk_chars = usize::try_from(directive.number()?).unwrap_or(usize::MAX)
            }
            "stop" => self.stop_reason = Some(stop_reason(&directive.argument)?),
            "usage" => self.usage = usage(&directive.argument),
            _ => self.breaks.push(broken(directive)?),
        }
        Ok(())
    }

    fn pace(&mut self) -> &mut Pace {
        self.pace.get_or_insert_default()
    }
}

fn broken(directive: &Directive) -> Result<(Option<u32>, Break), String> {
    let words = Words::read(&directive.argument);
    let after = words.after.or(words.number).unwrap_or(4);
    let fault = match directive.name.as_str() {
        "error" => return Ok((words.times, Break::Error(words.error(529)?))),
        "cut" => Fault::Cut { after },
        "finish" => Fault::End { after },
        "malformed" => Fault::Malformed { after },
        "stall" => Fault::Stall { after },
        "stream-error" => Fault::Error {
            after: words.after.unwrap_or(4),
            error: words.error(529)?,
        },
        name => return Err(format!("`!{name}` is not a directive I know.")),
    };
    Ok((words.times, Break::Fault(fault)))
}

/// `529 x2 after=3 retry-after=1 some text`
#[derive(Debug, Default)]
struct Words {
    number: Option<usize>,
    times: Option<u32>,
    after: Option<usize>,
    retry_after: Option<u64>,
    text: Vec<String>,
}

impl Words {
    fn read(argument: &str) -> Self {
        let mut words = Self::default();
        for word in argument.split_whitespace() {
            words.add(word);
        }
        words
    }

    fn add(&mut self, word: &str) {
        let number = |prefix: &str| word.strip_prefix(prefix)?.parse::<usize>().ok();
        if let Some(times) = number("x") {
            self.times = u32::try_from(times).ok();
        } else if let Some(after) = number("after=") {
            self.after = Some(after);
        } else if let Some(seconds) = number("retry-after=") {
            self.retry_after = Some(seconds as u64);
        } else if let (Some(number), None) = (number(""), self.number) {
            self.number = Some(number);
        } else {
            self.text.push(word.to_owned());
        }
    }

    fn error(&self, usual: u16) -> Result<ErrorReply, String> {
        let status = self.number.map_or(Ok(usual), u16::try_from);
        let status = status.ok().filter(|status| (400..600).contains(status));
        let status = status.ok_or("An error has a status between 400 and 599.")?;
        Ok(ErrorReply {
            retry_after: self.retry_after,
            message: (!self.text.is_empty()).then(|| self.text.join(" ")),
            ..ErrorReply::status(status)
        })
    }
}

fn stop_reason(name: &str) -> Result<StopReason, String> {
    let name = serde_json::Value::from(name.trim());
    serde_json::from_value(name).map_err(|error| format!("`!stop`: {error}."))
}

fn usage(argument: &str) -> TokenUsage {
    let mut numbers = argument.split_whitespace().map(|word| word.parse().ok());
    let mut next = || numbers.next().flatten();
    TokenUsage {
        input_tokens: next(),
        output_tokens: next(),
        cache_read_input_tokens: next(),
        cache_creation_input_tokens: next(),
    }
}

fn plain(conversation: &Conversation) -> String {
    format!("You said: {}", conversation.prompt())
}

/// What was called and what the last call printed, so that a test can look for it.
fn sum_up(conversation: &Conversation) -> String {
    const LONGEST: usize = 2000;
    let calls: Vec<_> = conversation.rounds().iter().flatten().collect();
    let failed = calls.iter().filter(|call| call.failed).count();
    let mut text = format!("Done: {} tool calls, {failed} failed.", calls.len());
    if let Some(output) = conversation.last_result() {
        let output: String = output.chars().take(LONGEST).collect();
        text.push_str(&format!("\n\n~~~\n{output}\n~~~"));
    }
    text
}

#[cfg(test)]
mod tests;
