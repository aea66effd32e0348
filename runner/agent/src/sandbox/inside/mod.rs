//! The first process inside: our own program, executed again by bubblewrap. It locks itself up
//! further, starts the command, and ends when the command or the server does. As the first process
//! of its namespace it takes everything with it. It runs before any thread is started, on safe
//! interfaces only.

mod disk;
mod filter;
mod limits;
mod paths;
mod watchdog;

pub use disk::exceeded_by;

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_current_process_group,
    pidfd_open, set_dumpable_behavior, wait,
};
use serde::{Deserialize, Serialize};

use super::doors::DOORS_MAX;
use super::guards::{Guard, Guards};
use super::limits::Limits;
use watchdog::Watchdog;

/// The argument by which a program is asked to be this.
pub(super) const ASKED: &str = "inside-the-sandbox";
/// The program, wherever it is on the host: it is the first process's standard input.
pub(super) const PROGRAM: &str = "/proc/self/fd/0";
/// What is said on the side channel when everything is locked and the command may start.
pub(super) const READY: &[u8] = b"ready\n";
/// The side channel of the command.
const SIDE: RawFd = 3;
/// What is said on the side channel, between two NUL and before its name, of a limit that was
/// exceeded.
pub(super) const EXCEEDED: &str = "exceeded";
/// How often the processes inside are looked at.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};
/// The exit code of a command that was ended for a limit, as shells say that it was killed.
const KILLED: u8 = 137;
/// What shells answer for a program that is not there.
const NOT_FOUND: u8 = 127;

/// What the first process is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Orders {
    /// Whether there is a sandbox around it. Without one, only what the kernel limits for each
    /// process by itself is limited.
    pub(super) confined: bool,
    /// What all processes may use together.
    pub(super) limits: Limits,
    pub(super) guards: Guards,
    /// What may be read and executed.
    pub(super) readable: Vec<PathBuf>,
    /// What may be changed.
    pub(super) writable: Vec<PathBuf>,
}

/// What it starts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Start {
    /// Variables of the command; of equal names the last one.
    pub(super) variables: Vec<(String, String)>,
    /// Ports of the doors.
    pub(super) doors: Vec<u16>,
}

/// Does the work of the first process if the program's arguments ask for it. To be called first
/// thing in `main`, by every program whose sandbox has no other [`super::SandboxConfig::inside`].
pub fn run_if_asked(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != ASKED {
        return None;
    }
    let code = begin(arguments).unwrap_or_else(|error| {
        // Standard error is the side channel. Nobody may be left to read it.
        let _ = writeln!(io::stderr(), "the first process failed: {error}");
        1
    });
    Some(ExitCode::from(code))
}

fn begin(mut arguments: impl Iterator<Item = OsString>) -> io::Result<u8> {
    let orders = arguments.next().unwrap_or_default();
    let orders: Orders = serde_json::from_slice(orders.as_encoded_bytes())?;
    let start = arguments.next().unwrap_or_default();
    let start: Start = serde_json::from_slice(start.as_encoded_bytes())?;
    let guards = &orders.guards;
    if guards.has(Guard::Descriptors) {
        close_inherited()?;
    }
    let side = side_channel()?;
    let doors = open_doors(&start.doors)?;
    if guards.has(Guard::Neighbours) {
        limits::give_way();
    }
    if guards.has(Guard::KernelLimits) {
        limits::set(orders.confined.then_some(orders.limits.processes))?;
    }
    if orders.confined {
        lock(&orders)?;
    }
    report(&side, doors)?;
    let mut line = String::new();
    // End of file: the server is gone, or does not want it any more.
    if BufReader::new(&side).read_line(&mut line)? == 0 {
        return Ok(1);
    }
    let Some(child) = start_command(arguments, start.variables)? else {
        return Ok(NOT_FOUND);
    };
    if orders.guards.has(Guard::Neighbours) {
        limits::step_back(child);
    }
    watch(child, side, &orders)
}

/// Closes what was inherited by accident.
fn close_inherited() -> io::Result<()> {
    let open = fs::read_dir("/proc/self/fd")?.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<RawFd>().ok()
    });
    let inherited: Vec<RawFd> = open.filter(|&number| number >= SIDE).collect();
    for number in inherited {
        // Among them is the directory itself, which is closed by now.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

/// Opens the side channel, which standard error is as well, under the number by which commands know
/// it.
fn side_channel() -> io::Result<UnixStream> {
    let side: OwnedFd = rustix::io::dup(io::stderr().as_fd())?;
    if side.as_raw_fd() != SIDE {
        return Err(io::Error::other("the side channel got another number"));
    }
    Ok(side.into())
}

/// Makes the sockets of the doors. Only processes inside reach them.
fn open_doors(ports: &[u16]) -> io::Result<Vec<TcpListener>> {
    let open = |&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    ports.iter().map(open).collect()
}

/// Says that everything is locked and hands out the doors, of which nothing stays in here.
fn report(side: &UnixStream, doors: Vec<TcpListener>) -> io::Result<()> {
    let sockets: Vec<_> = doors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DOORS_MAX))];
    let mut sent = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !sent.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("there are too many doors"));
    }
    sendmsg(side, &[IoSlice::new(READY)], &mut sent, SendFlags::empty())?;
    Ok(())
}

/// Nothing can be undone after this, by nobody inside.
fn lock(orders: &Orders) -> io::Result<()> {
    // Others of the same user inside must not read this process's memory or descriptors.
    if orders.guards.has(Guard::Memory) {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    if orders.guards.has(Guard::Landlock) {
        paths::restrict(&orders.readable, &orders.writable)?;
    }
    if orders.guards.has(Guard::Seccomp) {
        filter::apply()?;
    }
    Ok(())
}

/// Starts the command; none if there is no such program, which it has been told.
fn start_command(
    mut argv: impl Iterator<Item = OsString>,
    variables: Vec<(String, String)>,
) -> io::Result<Option<Pid>> {
    let program = argv.next().unwrap_or_default();
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    let mut command = Command::new(&program);
    command.args(argv).envs(variables);
    command.stdin(Stdio::null()).stderr(output);
    match command.spawn() {
        Ok(child) => Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or_default())),
        Err(error) => {
            let mut output = io::stdout();
            writeln!(output, "{}: {error}", program.to_string_lossy())?;
            Ok(None)
        }
    }
}

/// Waits for the command's end or for the server's, and looks after everybody inside meanwhile.
fn watch(child: Pid, mut side: UnixStream, orders: &Orders) -> io::Result<u8> {
    let handle = pidfd_open(child, PidfdFlags::empty())?;
    let watched = orders.confined && orders.guards.has(Guard::Watchdog);
    let mut watchdog = watched.then(|| Watchdog::new(orders.limits));
    loop {
        if is_abandoned(&handle, &side)? && orders.guards.has(Guard::Lifeline) {
            return end_all(orders.confined);
        }
        if let Some(code) = bury(child)? {
            return Ok(code);
        }
        if let Some(limit) = watchdog.as_mut().and_then(Watchdog::exceeded) {
            side.write_all(format!("\0{EXCEEDED} {limit}\0").as_bytes())?;
            return Ok(KILLED);
        }
    }
}

/// Waits for a tick at most, or for something to happen; true if nobody is at the side channel's
/// other end any more.
fn is_abandoned(child: &OwnedFd, side: &UnixStream) -> io::Result<bool> {
    let mut events = [
        PollFd::new(child, PollFlags::IN),
        PollFd::new(side, PollFlags::RDHUP),
    ];
    match poll(&mut events, Some(&TICK)) {
        Ok(_) | Err(Errno::INTR) => Ok(!events[1].revents().is_empty()),
        Err(error) => Err(error.into()),
    }
}

/// Collects who has ended; the command's exit code if it is among them.
fn bury(child: Pid) -> io::Result<Option<u8>> {
    while let Some((pid, status)) = wait(WaitOptions::NOHANG)? {
        if pid == child {
            return Ok(Some(exit_code(status)));
        }
    }
    Ok(None)
}

/// The kernel ends everything inside together with this process. Without a sandbox there is only
/// the process group.
fn end_all(confined: bool) -> io::Result<u8> {
    if !confined {
        kill_current_process_group(Signal::KILL)?;
    }
    Ok(1)
}

/// As shells say it: a signal is 128 and its number.
fn exit_code(status: WaitStatus) -> u8 {
    let signal = || status.terminating_signal().map(|signal| 128 + signal);
    let code = status.exit_status().or_else(signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(u8::MAX)
}
