//! One process and everything that it starts: watched until nothing of it is left, also when
//! nobody is interested in it any more.

use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::plan::READY;

/// How long bubblewrap may take to report the process that it started.
const START_TIME_MAX: Duration = Duration::from_secs(20);
/// How long killed processes may take to disappear before bubblewrap itself is killed.
const KILL_TIME_MAX: Duration = Duration::from_secs(5);
/// How much the side channel may say; the rest is thrown away.
const SIDE_BYTES_MAX: usize = 64 * 1024;
/// How long a pipe is read after the end while nothing comes.
const DRAIN_TIME: Duration = Duration::from_millis(200);

/// A running process. Dropping it kills it and everything it started.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its standard output and standard error in one pipe.
    output: Receiver,
    output_open: bool,
    ended: oneshot::Receiver<Exit>,
    stop: CancellationToken,
    _guard: DropGuard,
}

/// What a process did next.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It wrote so many bytes, which are in the buffer.
    Output(usize),
    /// It ended. There may be output left, for [`Process::rest`].
    Ended(Exit),
}

/// How a process ended. Nothing that it started is left then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Exit status; none if it was killed from outside or never ran.
    pub(crate) code: Option<i32>,
    /// Whether it ran at all.
    pub(crate) started: bool,
    /// What came through the side channel: bubblewrap's status and complaints, and what the
    /// process wrote to descriptor 3. Not to be trusted.
    pub(crate) side: Vec<u8>,
}

impl Process {
    /// Starts a guardian, with a watcher. `confined` says that it guards bubblewrap.
    pub(super) fn start(mut command: Command, confined: bool) -> io::Result<Self> {
        let (output, output_end) = io::pipe()?;
        let (side, side_end) = io::pipe()?;
        let (lifeline_end, lifeline) = io::pipe()?;
        command
            .stdin(lifeline_end)
            .stdout(output_end)
            .stderr(side_end);
        let (tell, ended) = oneshot::channel();
        let stop = CancellationToken::new();
        let watcher = Watcher {
            side: Receiver::from_owned_fd(side.into())?,
            seen: Vec::new(),
            lifeline,
            released: false,
            stop: stop.clone(),
            confined,
        };
        let output = Receiver::from_owned_fd(output.into())?;
        let child = command.spawn()?;
        // The write ends that this process holds of the child's pipes.
        drop(command);
        tokio::spawn(async move {
            let _ = tell.send(watcher.watch(child).await);
        });
        Ok(Self {
            output,
            output_open: true,
            ended,
            _guard: stop.clone().drop_guard(),
            stop,
        })
    }

    /// Kills it and everything it started, and waits until that is done.
    pub(crate) async fn stop(&mut self) -> Exit {
        self.stop.cancel();
        (&mut self.ended).await.unwrap_or_default()
    }

    /// Waits for output or for the end. Safe to drop.
    pub(crate) async fn progress(&mut self, piece: &mut [u8]) -> Progress {
        loop {
            tokio::select! {
                read = self.output.read(piece), if self.output_open => match read {
                    Ok(length @ 1..) => return Progress::Output(length),
                    _ => self.output_open = false,
                },
                exit = &mut self.ended => return Progress::Ended(exit.unwrap_or_default()),
            }
        }
    }

    /// The rest of the output after the end; 0 when there is no more. Inside the sandbox nobody is
    /// left to hold the pipe open; without one, a daemon may be.
    pub(crate) async fn rest(&mut self, piece: &mut [u8]) -> usize {
        let read = timeout(DRAIN_TIME, self.output.read(piece)).await;
        read.map_or(0, |read| read.unwrap_or(0))
    }

    /// Everything it writes, at most `limit` bytes, and its end.
    pub(crate) async fn read_to_end(mut self, limit: usize) -> (Vec<u8>, Exit) {
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        let exit = loop {
            match self.progress(&mut piece).await {
                Progress::Output(length) => all.extend_from_slice(&piece[..length]),
                Progress::Ended(exit) => break exit,
            }
            all.truncate(limit);
        };
        while let length @ 1.. = self.rest(&mut piece).await {
            all.extend_from_slice(&piece[..length]);
        }
        all.truncate(limit);
        (all, exit)
    }
}

struct Watcher {
    side: Receiver,
    seen: Vec<u8>,
    /// Closing it ends the process, which happens also when this process is killed.
    lifeline: PipeWriter,
    released: bool,
    stop: CancellationToken,
    confined: bool,
}

impl Watcher {
    async fn watch(self, child: Child) -> Exit {
        if self.confined {
            return self.watch_confined(child).await;
        }
        self.watch_group(child).await
    }

    /// Bubblewrap's child is the first process of a pid namespace: when it is gone, the kernel has
    /// killed and reaped everything in there, and only then does bubblewrap end.
    async fn watch_confined(mut self, mut guardian: Child) -> Exit {
        let first = timeout(START_TIME_MAX, self.first_process(&guardian)).await;
        let first = first.ok().flatten();
        if first.is_none() && self.seen.is_empty() {
            kill_group(guardian.id());
        }
        let status = self.until_ended(&mut guardian).await;
        if let Some(code) = status.and_then(|status| status.code()) {
            return self.exit(Some(code)).await;
        }
        kill_confined(first.as_ref(), &mut guardian).await;
        self.exit(None).await
    }

    /// Without a namespace only the process group can be killed.
    async fn watch_group(mut self, mut guardian: Child) -> Exit {
        let group = guardian.id();
        let status = self.until_ended(&mut guardian).await;
        kill_group(group);
        if status.is_none() {
            let _ = guardian.wait().await;
        }
        self.exit(status.and_then(|status| status.code())).await
    }

    /// The end of the child by itself; none if it is to be stopped.
    async fn until_ended(&mut self, child: &mut Child) -> Option<ExitStatus> {
        let mut open = true;
        loop {
            self.release_if_ready();
            tokio::select! {
                status = child.wait() => return status.ok(),
                () = self.stop.cancelled() => return None,
                more = read_side(&mut self.side, &mut self.seen), if open => open = more,
            }
        }
    }

    /// Lets the first process go on, once it has said that it is there. The pipe is empty: this
    /// does not wait.
    fn release_if_ready(&mut self) {
        let wanted = !self.released && !self.stop.is_cancelled();
        if wanted && contains(&self.seen, READY) {
            self.released = true;
            let _ = self.lifeline.write_all(b"\n");
        }
    }

    /// A handle of the first process inside, once bubblewrap has told its number.
    async fn first_process(&mut self, guardian: &Child) -> Option<OwnedFd> {
        while !self.seen.contains(&b'\n') {
            if !read_side(&mut self.side, &mut self.seen).await {
                return None;
            }
        }
        open_first(reported_pid(&self.seen)?, guardian.id()?)
    }

    async fn exit(mut self, code: Option<i32>) -> Exit {
        let rest = async { while read_side(&mut self.side, &mut self.seen).await {} };
        let _ = timeout(DRAIN_TIME, rest).await;
        let started = !self.confined || self.stop.is_cancelled() || reports_exit(&self.seen);
        Exit {
            code,
            started,
            side: self.seen,
        }
    }
}

/// Reads the next piece; false at the end. It is read even when there is no room for it, so that
/// whoever writes is not held up.
async fn read_side(side: &mut Receiver, seen: &mut Vec<u8>) -> bool {
    let mut piece = [0; 1024];
    let Ok(length @ 1..) = side.read(&mut piece).await else {
        return false;
    };
    let room = SIDE_BYTES_MAX.saturating_sub(seen.len());
    seen.extend_from_slice(&piece[..length.min(room)]);
    true
}

/// The number in bubblewrap's first status line. It is written before the process inside may run,
/// so nothing in there can have forged it.
fn reported_pid(seen: &[u8]) -> Option<u32> {
    let line = seen.split(|&byte| byte == b'\n').next()?;
    let status: serde_json::Value = serde_json::from_slice(line).ok()?;
    u32::try_from(status.get("child-pid")?.as_u64()?).ok()
}

/// Opens the first process inside by its number, and makes sure afterwards that it is a grandchild
/// of the guardian: numbers are used again, handles are not.
fn open_first(pid: u32, guardian: u32) -> Option<OwnedFd> {
    let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let handle = pidfd_open(raw, PidfdFlags::empty()).ok()?;
    (parent(parent(pid)?)? == guardian).then_some(handle)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// Whether bubblewrap got as far as to run the command. A side channel that is full was filled by
/// the command.
fn reports_exit(seen: &[u8]) -> bool {
    seen.len() >= SIDE_BYTES_MAX || contains(seen, b"\"exit-code\"")
}

fn contains(seen: &[u8], words: &[u8]) -> bool {
    seen.windows(words.len()).any(|window| window == words)
}

/// Kills the first process inside, and lets bubblewrap see that everything is gone.
async fn kill_confined(first: Option<&OwnedFd>, guardian: &mut Child) {
    let killed = first.is_some_and(|first| pidfd_send_signal(first, Signal::KILL).is_ok());
    let gone = killed && timeout(KILL_TIME_MAX, guardian.wait()).await.is_ok();
    if !gone {
        kill_group(guardian.id());
        let _ = guardian.wait().await;
    }
}

fn kill_group(group: Option<u32>) {
    let group = group.and_then(|group| i32::try_from(group).ok());
    if let Some(group) = group.and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}
