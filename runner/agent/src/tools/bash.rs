//! The tool Bash.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use membrane_proto::v1::CommandDetail;
use membrane_proto::v1::tool_result::Detail;
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::collect::{Collected, Collector};
use super::failure::{Answer, Failure};
use super::output::Utf8Pieces;
use super::paths::{Place, Root};
use super::{OutputSink, Shared, ToolOutput};
use crate::redact::Stream;
use crate::sandbox::{
    Door, Exit, Process, Progress, Sandbox, SpawnError, Task, WORKSPACE, WorkspacePlace,
};

const TIMEOUT_DEFAULT_MS: u64 = 120_000;
const TIMEOUT_MAX_MS: u64 = 600_000;
/// The kernel takes arguments of at most 128 KiB.
const COMMAND_BYTES_MAX: usize = 100_000;
const PIECE_BYTES: usize = 64 * 1024;
/// How long output is read, and shown, after the end. Without a sandbox a daemon may go on writing.
const REST_TIME_MAX: Duration = Duration::from_secs(2);

/// Runs the command and tells on descriptor 3 where it ended up. `shift` hides the command from
/// itself.
const SHELL: &str = r#"trap 'printf "\0cwd %s\0" "$(pwd -P)" >&3' EXIT; eval "shift; $1""#;

/// Input of Bash.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bash {
    command: String,
    timeout: Option<u64>,
    #[serde(rename = "description")]
    _description: Option<String>,
}

/// What Bash keeps between calls.
#[derive(Debug)]
pub(super) struct Shell {
    sandbox: Sandbox,
    place: WorkspacePlace,
    /// Relative to the workspace's files.
    cwd: Mutex<PathBuf>,
    /// The workspace's variables.
    env: Mutex<Arc<[(String, String)]>>,
    doors: Mutex<Arc<[Door]>>,
    hidden_toolchains: Mutex<Arc<[String]>>,
}

/// Why a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Itself,
    TimedOut,
    Interrupted,
}

/// A command under way.
struct Run<'run> {
    process: Process,
    collector: Collector,
    sink: OutputSink,
    /// Secrets are masked before output is cut to what an answer may have: half of one is not known.
    masking: Stream,
    pieces: Utf8Pieces,
    cancel: &'run CancellationToken,
}

impl Shell {
    pub(super) fn new(sandbox: Sandbox, place: WorkspacePlace) -> Self {
        Self {
            sandbox,
            place,
            cwd: Mutex::default(),
            env: Mutex::default(),
            doors: Mutex::default(),
            hidden_toolchains: Mutex::default(),
        }
    }

    pub(super) fn set_env(&self, env: &[(String, String)]) {
        *self.env.lock().unwrap_or_else(PoisonError::into_inner) = env.into();
    }

    pub(super) fn hide_toolchains(&self, names: &[String]) {
        let hidden = self.hidden_toolchains.lock();
        *hidden.unwrap_or_else(PoisonError::into_inner) = names.into();
    }

    pub(super) fn set_doors(&self, doors: &[Door]) {
        *self.doors.lock().unwrap_or_else(PoisonError::into_inner) = doors.into();
    }

    /// Runs a command.
    pub(super) async fn run(
        &self,
        shared: &Shared,
        id: &str,
        input: Bash,
        sink: OutputSink,
        cancel: &CancellationToken,
    ) -> Answer {
        check(&input)?;
        if cancel.is_cancelled() {
            return Err(Failure::interrupted());
        }
        let limit = Duration::from_millis(input.timeout.unwrap_or(TIMEOUT_DEFAULT_MS));
        let (cwd, lost) = self.usable_cwd(shared);
        let run = Run {
            process: self.start(&cwd, id, input.command)?,
            collector: Collector::new(shared.roots.clone(), id),
            masking: sink.masking(),
            sink,
            pieces: Utf8Pieces::default(),
            cancel,
        };
        let (ending, exit, collected) = run.finish(limit).await;
        if !exit.started {
            return Err(not_started(&exit));
        }
        let notice = self.follow(shared, &exit).or(lost);
        let exceeded = exit.exceeded().filter(|_| ending == Ending::Itself);
        let ended = Ended {
            ending,
            exceeded: exceeded.map(|limit| self.sandbox.limits().describe(limit)),
            code: exit
                .code
                .filter(|_| ending == Ending::Itself && exceeded.is_none()),
            limit,
            cwd: self.cwd_shown(),
        };
        Ok(ended.answer(collected, notice))
    }

    fn start(&self, cwd: &Path, id: &str, command: String) -> Result<Process, Failure> {
        let argv = ["/bin/bash", "-c", SHELL, "bash"].map(String::from);
        let env = kept(&self.env);
        let doors = kept(&self.doors);
        let hidden_toolchains = kept(&self.hidden_toolchains);
        let task = Task {
            place: Some(&self.place),
            cwd,
            env: &env,
            doors: &doors,
            tool_call_id: id,
            hidden_toolchains: &hidden_toolchains,
            argv: argv.into_iter().chain([command]).collect(),
        };
        self.sandbox.spawn(&task).map_err(|error| match error {
            SpawnError::Unavailable(why) => Failure::new(format!(
                "Nothing was run: {why} Without its sandbox no command is started."
            )),
            SpawnError::Io(_) => {
                Failure::new("Nothing was run: the server has no resources for another process.")
            }
        })
    }

    /// The working directory, or the workspace if it is gone by now.
    fn usable_cwd(&self, shared: &Shared) -> (PathBuf, Option<String>) {
        let mut cwd = self.cwd.lock().unwrap_or_else(PoisonError::into_inner);
        if is_directory(shared, &cwd) {
            return (cwd.clone(), None);
        }
        let notice = format!(
            "(The working directory {} is gone; it was reset to {WORKSPACE}.)",
            Place::new(Root::Files, &cwd).shown()
        );
        cwd.clear();
        (PathBuf::new(), Some(notice))
    }

    /// Keeps the directory that the command ended up in. Says so if it can't be kept.
    fn follow(&self, shared: &Shared, exit: &Exit) -> Option<String> {
        let ended_in = reported_cwd(&exit.side)?;
        let ended_in = Path::new(OsStr::from_bytes(ended_in));
        let relative = self.relative(ended_in);
        let mut cwd = self.cwd.lock().unwrap_or_else(PoisonError::into_inner);
        match relative.filter(|relative| is_directory(shared, relative)) {
            Some(relative) => {
                relative.clone_into(&mut cwd);
                None
            }
            None => {
                cwd.clear();
                Some(format!(
                    "(The working directory was outside of the workspace; it was reset to {WORKSPACE}.)"
                ))
            }
        }
    }

    /// A directory relative to the workspace. Without a sandbox the command sees the host's path.
    fn relative<'path>(&self, path: &'path Path) -> Option<&'path Path> {
        let inside = path.strip_prefix(WORKSPACE);
        inside
            .or_else(|_| path.strip_prefix(&self.place.files))
            .ok()
    }

    fn cwd_shown(&self) -> String {
        let cwd = self.cwd.lock().unwrap_or_else(PoisonError::into_inner);
        Place::new(Root::Files, &cwd).shown()
    }
}

fn kept<T>(values: &Mutex<Arc<[T]>>) -> Arc<[T]> {
    let values = values.lock().unwrap_or_else(PoisonError::into_inner);
    values.clone()
}

impl Run<'_> {
    /// Waits for the command's end and for everything that it started to be gone.
    async fn finish(mut self, limit: Duration) -> (Ending, Exit, Collected) {
        let mut stopped = pin!(stopped(self.cancel, limit));
        let mut piece = vec![0; PIECE_BYTES];
        let (ending, exit) = loop {
            let length = tokio::select! {
                progress = self.process.progress(&mut piece) => match progress {
                    Progress::Output(length) => length,
                    Progress::Ended(exit) => break (Ending::Itself, exit),
                },
                ending = &mut stopped => break (ending, self.process.stop().await),
            };
            // Not to be interrupted: what was read is kept.
            let text = self.take(&piece[..length]).await;
            tokio::select! {
                () = self.sink.write(&text) => {}
                ending = &mut stopped => break (ending, self.process.stop().await),
            }
        };
        self.take_rest(&mut piece).await;
        (ending, exit, self.collector.finish().await)
    }

    /// Takes what is left in the pipe. Showing it may fail: the answer has it.
    async fn take_rest(&mut self, piece: &mut [u8]) {
        let mut text = String::new();
        let all = async {
            while let length @ 1.. = self.process.rest(piece).await {
                text.push_str(&self.take(&piece[..length]).await);
            }
        };
        let _ = timeout(REST_TIME_MAX, all).await;
        let held = self.masking.finish_bytes();
        text.push_str(&self.keep(&held).await);
        let _ = timeout(REST_TIME_MAX, self.sink.write(&text)).await;
    }

    /// Masks and collects a piece, and returns what can be shown by now as text.
    async fn take(&mut self, piece: &[u8]) -> String {
        let masked = self.masking.push_bytes(piece);
        self.keep(&masked).await
    }

    async fn keep(&mut self, piece: &[u8]) -> String {
        self.collector.push(piece).await;
        self.pieces.next(piece)
    }
}

/// Returns when a command has to be stopped.
async fn stopped(cancel: &CancellationToken, limit: Duration) -> Ending {
    tokio::select! {
        () = cancel.cancelled() => Ending::Interrupted,
        () = sleep(limit) => Ending::TimedOut,
    }
}

/// How a command ended, to be told.
struct Ended {
    ending: Ending,
    /// The limit for which it was killed.
    exceeded: Option<String>,
    code: Option<i32>,
    limit: Duration,
    cwd: String,
}

impl Ended {
    fn answer(self, collected: Collected, notice: Option<String>) -> ToolOutput {
        let mut text = collected.text;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&self.sentence());
        if let Some(notice) = notice {
            text.push('\n');
            text.push_str(&notice);
        }
        ToolOutput {
            is_error: self.code != Some(0),
            truncation: collected.truncation,
            detail: Some(Detail::Command(CommandDetail {
                exit_code: self.code,
                timed_out: self.ending == Ending::TimedOut,
                interrupted: self.ending == Ending::Interrupted,
                cwd: self.cwd,
                exceeded_limit: self.exceeded.unwrap_or_default(),
            })),
            ..ToolOutput::text(text)
        }
    }

    fn sentence(&self) -> String {
        if let Some(limit) = &self.exceeded {
            return format!("(Killed: it used more than {limit}, which is the limit.)");
        }
        match (self.ending, self.code) {
            (Ending::TimedOut, _) => {
                format!(
                    "(Killed: the time limit of {} ms was reached.)",
                    self.limit.as_millis()
                )
            }
            (Ending::Interrupted, _) => "(Killed: the call was interrupted.)".to_owned(),
            (Ending::Itself, Some(code)) => format!("(Exit code {code}.)"),
            (Ending::Itself, None) => "(Killed by a signal.)".to_owned(),
        }
    }
}

fn check(input: &Bash) -> Result<(), Failure> {
    if input.command.contains('\0') {
        return Err(Failure::new("The command has a NUL character."));
    }
    if input.command.len() > COMMAND_BYTES_MAX {
        return Err(Failure::new(
            "The command is longer than 100000 bytes. Write it to a file and run that.",
        ));
    }
    match input.timeout {
        Some(0) => Err(Failure::new("timeout is 0; it is in milliseconds.")),
        Some(limit) if limit > TIMEOUT_MAX_MS => Err(Failure::new(
            "timeout is over 600000 milliseconds, which is the most there is.",
        )),
        _ => Ok(()),
    }
}

fn is_directory(shared: &Shared, relative: &Path) -> bool {
    let place = Place::new(Root::Files, relative);
    shared
        .roots
        .tree(Root::Files)
        .open_dir(place.relative)
        .is_ok()
}

/// The last directory that was reported. The command can write there as well: it is not to be
/// trusted with more than what `cd` could do.
fn reported_cwd(side: &[u8]) -> Option<&[u8]> {
    let parts = side.split(|&byte| byte == 0);
    parts
        .filter_map(|part| part.strip_prefix(b"cwd "))
        .next_back()
}

/// The reason is for the operator: it may name the host's paths.
fn not_started(exit: &Exit) -> Failure {
    let reason = String::from_utf8_lossy(&exit.side);
    tracing::error!(sandbox.reason = %reason.trim(), "a command could not be started in the sandbox");
    Failure::new(
        "Nothing was run: the sandbox could not be set up. The server's log has the reason.",
    )
}
