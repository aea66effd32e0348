//! How scenarios are made: from files, from Rust, and the two built-in ones.

use std::path::Path;

use serde_json::Value;

use crate::LoadError;
use crate::scenario::{
    Block, ErrorReply, Fault, Otherwise, Pace, Scenario, Step, TokenUsage, When,
};

impl Scenario {
    /// A scenario of steps; more requests than steps are an error.
    pub fn steps(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The demonstration: it looks around, plans, writes, runs, edits and sums up, with a pace
    /// pleasant to watch. It needs no state but the conversation, and obeys directives.
    #[must_use]
    pub fn demo() -> Self {
        let pace = Pace {
            head_ms: 250,
            block_ms: 60,
            chunk_ms: 18,
            chunk_chars: 9,
        };
        Self {
            name: "demo".to_owned(),
            pace,
            otherwise: Otherwise::Demo,
            ..Self::default()
        }
    }

    /// The puppet: it does what the directives in the user's text say, without delays. A message
    /// that begins with `!` is a program; lines without `!` are remarks.
    ///
    /// | directive | what the model does |
    /// |---|---|
    /// | `!say text`, `!think text` | says it, thinks it, in the same answer as the next call |
    /// | `!bash ls -l` | calls Bash |
    /// | `!read path [offset [limit]]` | calls Read; relative paths are in the working directory |
    /// | `!write path content` | calls Write; `\n` ends a line |
    /// | `!edit path old => new` | calls Edit |
    /// | `!glob pattern [in path]`, `!grep pattern [in path]` | calls Glob, Grep |
    /// | `!todo [x] a; [~] b; c` | calls TodoWrite: done, in progress, pending |
    /// | `!fetch url prompt` | calls WebFetch |
    /// | `!task description => prompt` | calls Task; the prompt may hold directives after `\n` |
    /// | `!ask question \| option \| option` | calls AskUserQuestion |
    /// | `!plan text` | calls ExitPlanMode |
    /// | `!json {"name": …, "input": …}` | calls any tool |
    /// | `!parallel` … `!end` | puts the calls between them into one answer |
    /// | `!error 429 x2 retry-after=1 text` | answers twice (else: always) with this error first |
    /// | `!cut 5 x1`, `!finish 5`, `!malformed 5`, `!stream-error 529 after=5`, `!stall 5` | breaks the stream after five events, once (else: always) |
    /// | `!sleep-ms 200`, `!chunk-ms 5` | waits before this answer, before each of its pieces |
    /// | `!chunk-chars 40` | sends larger or smaller pieces |
    /// | `!stop max_tokens` | ends this answer for this reason |
    /// | `!usage 1200 80 [cache-read [cache-write]]` | reports these tokens for this answer |
    ///
    /// Whatever takes text may end with `<<END` and go on in the following lines until `END`.
    #[must_use]
    pub fn puppet() -> Self {
        Self {
            name: "puppet".to_owned(),
            otherwise: Otherwise::Puppet,
            ..Self::default()
        }
    }

    /// The same scenario with another pace.
    #[must_use]
    pub fn paced(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Reads a scenario from JSON.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] if it is not a scenario.
    pub fn from_json(json: &[u8]) -> Result<Self, LoadError> {
        serde_json::from_slice(json).map_err(LoadError::Invalid)
    }

    /// Reads a scenario file, or takes a built-in scenario by its name, `demo` or `puppet`.
    ///
    /// # Errors
    /// [`LoadError`] if the file can't be read or is not a scenario.
    pub async fn load(path: &Path) -> Result<Self, LoadError> {
        match path.to_str() {
            Some("demo") => return Ok(Self::demo()),
            Some("puppet") => return Ok(Self::puppet()),
            _ => {}
        }
        let json = tokio::fs::read(path).await;
        let json = json.map_err(|source| LoadError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::from_json(&json)
    }
}

impl Step {
    /// A step that answers with these blocks.
    pub fn content(content: impl IntoIterator<Item = Block>) -> Self {
        Self {
            content: content.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A step that answers with text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::content([Block::text(text)])
    }

    /// A step that calls one tool.
    #[must_use]
    pub fn tool(name: &str, input: Value) -> Self {
        Self::content([Block::tool(name, input)])
    }

    /// A step that answers with an error of this status.
    #[must_use]
    pub fn error(status: u16) -> Self {
        Self {
            error: Some(ErrorReply::status(status)),
            ..Self::default()
        }
    }

    /// The same step, for this many requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The same step, broken in this way.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// The same step, for these requests only.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when = Some(when);
        self
    }

    /// The same step with these tokens reported.
    #[must_use]
    pub fn usage(mut self, usage: TokenUsage) -> Self {
        self.usage = usage;
        self
    }
}

impl Block {
    /// Text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let text = text.to_owned();
        Self::Text { text }
    }

    /// Thinking with a signature made up for it.
    #[must_use]
    pub fn thinking(thinking: &str) -> Self {
        Self::Thinking {
            thinking: thinking.to_owned(),
            signature: None,
        }
    }

    /// A call of a tool with a random id.
    #[must_use]
    pub fn tool(name: &str, input: Value) -> Self {
        Self::ToolUse {
            id: None,
            name: name.to_owned(),
            input,
        }
    }
}

impl ErrorReply {
    /// The usual error of this status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}
