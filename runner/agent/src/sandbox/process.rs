//! One process and everything that it starts: watched until nothing of it is left, also when
//! nobody is interested in it any more.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, recvmsg};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::doors::{DOORS_MAX, Doors, Serving};
use super::guards::Guard;
use super::inside::{EXCEEDED, READY};
use super::limits::Limit;

/// How long the first process inside may take to report that it is there.
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
    /// What came through the side channel: complaints of bubblewrap and of the first process, and
    /// what the command wrote to descriptor 3. Not to be trusted.
    pub(crate) side: Vec<u8>,
}

impl Exit {
    /// The limit for which it was ended. The command could say so as well, and fool its caller into
    /// a wrong reason for its own end.
    pub(crate) fn exceeded(&self) -> Option<Limit> {
        let limit = |part: &[u8]| {
            let name = std::str::from_utf8(part).ok()?.strip_prefix(EXCEEDED)?;
            Limit::named(name.trim_start())
        };
        self.side
            .split(|&byte| byte == 0)
            .filter_map(limit)
            .next_back()
    }
}

impl Process {
    /// Starts a command, with a watcher. `confined` says that it is bubblewrap; only then there may
    /// be doors.
    pub(super) fn start(mut command: Command, confined: bool, doors: Doors) -> io::Result<Self> {
        let (output, output_end) = io::pipe()?;
        let (side, side_end) = std::os::unix::net::UnixStream::pair()?;
        side.set_nonblocking(true)?;
        command.stdout(output_end).stderr(OwnedFd::from(side_end));
        let (tell, ended) = oneshot::channel();
        let stop = CancellationToken::new();
        let watcher = Watcher {
            side: Side::new(UnixStream::from_std(side)?),
            started: false,
            doors,
            serving: Serving::default(),
            stop: stop.clone(),
            confined,
        };
        let output = Receiver::from_owned_fd(output.into())?;
        let child = command.spawn()?;
        // This process's copies of what is the child's.
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

/// Holds the other end of the side channel, which is the lifeline as well: the first process ends,
/// and everything inside with it, when it is closed. The kernel does that when this process dies.
struct Watcher {
    side: Side,
    /// Whether the first process was let go on.
    started: bool,
    /// What is to be opened then.
    doors: Doors,
    serving: Serving,
    stop: CancellationToken,
    confined: bool,
}

impl Watcher {
    /// Inside, the first process is the first of a pid namespace: when it is gone, the kernel has
    /// killed and reaped everything in there, and only then does bubblewrap end.
    async fn watch(mut self, mut child: Child) -> Exit {
        let group = child.id();
        let status = self.until_ended(&mut child).await;
        if status.is_none() {
            self.end(&mut child).await;
        }
        if !self.confined {
            kill_group(group);
        }
        std::mem::take(&mut self.serving).close().await;
        self.exit(status.and_then(|status| status.code())).await
    }

    /// The end of the child by itself; none if it is to be stopped, or does not get ready.
    async fn until_ended(&mut self, child: &mut Child) -> Option<ExitStatus> {
        let mut open = true;
        let late = sleep(START_TIME_MAX);
        tokio::pin!(late);
        loop {
            self.release_if_ready().await.ok()?;
            tokio::select! {
                status = child.wait() => return status.ok(),
                () = self.stop.cancelled() => return None,
                () = &mut late, if !self.started => return None,
                more = self.side.read(), if open => open = more,
            }
        }
    }

    /// Lets the first process go on, once it has said that it is there, and opens the doors.
    /// Nothing was written before, so this does not wait. The command will hold the side channel:
    /// no descriptor is taken from there any more.
    async fn release_if_ready(&mut self) -> io::Result<()> {
        let wanted = !self.started && !self.stop.is_cancelled();
        if !wanted || !contains(&self.side.seen, READY) {
            return Ok(());
        }
        let sockets = self.side.sockets.take().unwrap_or_default();
        if !self.doors.guards.has(Guard::LateDescriptors) {
            self.side.sockets = Some(Vec::new());
        }
        self.serving = std::mem::take(&mut self.doors).open(sockets)?;
        self.started = self.side.stream.write_all(b"\n").await.is_ok();
        Ok(())
    }

    /// Ends everything. Bubblewrap is given the time to see that it is gone: killed itself while
    /// it sets up, it would leave a process behind.
    async fn end(&mut self, child: &mut Child) {
        let group = child.id();
        let _ = self.side.stream.shutdown().await;
        if timeout(KILL_TIME_MAX, child.wait()).await.is_err() {
            if let Some(first) = group.and_then(first_process) {
                let _ = pidfd_send_signal(first, Signal::KILL);
            }
            kill_group(group);
            let _ = child.wait().await;
        }
    }

    async fn exit(mut self, code: Option<i32>) -> Exit {
        let rest = async { while self.side.read().await {} };
        let _ = timeout(DRAIN_TIME, rest).await;
        Exit {
            code,
            started: self.started || self.stop.is_cancelled(),
            side: self.side.seen,
        }
    }
}

/// The outer end of the side channel.
struct Side {
    stream: UnixStream,
    /// What was said.
    seen: Vec<u8>,
    /// The descriptors that were sent; none when no more are taken.
    sockets: Option<Vec<OwnedFd>>,
}

impl Side {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            seen: Vec::new(),
            sockets: Some(Vec::new()),
        }
    }

    /// Reads the next piece; false at the end. It is read even when there is no room for it, so
    /// that whoever writes is not held up. Safe to drop.
    async fn read(&mut self) -> bool {
        let mut piece = [0; 1024];
        let received = loop {
            if self.stream.ready(Interest::READABLE).await.is_err() {
                return false;
            }
            let received = self.receive(&mut piece);
            let again = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
            if !received.as_ref().is_err_and(again) {
                break received;
            }
        };
        let Ok(length @ 1..) = received else {
            return false;
        };
        let room = SIDE_BYTES_MAX.saturating_sub(self.seen.len());
        self.seen.extend_from_slice(&piece[..length.min(room)]);
        true
    }

    /// Takes what is there. The kernel closes descriptors for which there is no space.
    fn receive(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DOORS_MAX))];
        let length = self.sockets.as_ref().map_or(0, |_| space.len());
        let mut descriptors = RecvAncillaryBuffer::new(&mut space[..length]);
        let stream = &self.stream;
        let RecvMsg { bytes, .. } = stream.try_io(Interest::READABLE, || {
            let pieces = &mut [IoSliceMut::new(piece)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            Ok(recvmsg(stream, pieces, &mut descriptors, flags)?)
        })?;
        for message in descriptors.drain() {
            if let (RecvAncillaryMessage::ScmRights(sent), Some(sockets)) =
                (message, &mut self.sockets)
            {
                sockets.extend(sent);
            }
        }
        Ok(bytes)
    }
}

/// A handle of bubblewrap's only child. Its number is read first and its parent afterwards: numbers
/// are used again, handles are not.
fn first_process(bubblewrap: u32) -> Option<OwnedFd> {
    let path = format!("/proc/{bubblewrap}/task/{bubblewrap}/children");
    let children = std::fs::read_to_string(path).ok()?;
    let pid: u32 = children.split_whitespace().next()?.parse().ok()?;
    let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let handle = pidfd_open(raw, PidfdFlags::empty()).ok()?;
    (parent(pid)? == bubblewrap).then_some(handle)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

fn contains(seen: &[u8], words: &[u8]) -> bool {
    seen.windows(words.len()).any(|window| window == words)
}

fn kill_group(group: Option<u32>) {
    let group = group.and_then(|group| i32::try_from(group).ok());
    if let Some(group) = group.and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}
