//! Limits that the kernel keeps for each process, and that leave language runtimes alone.

use std::fs;
use std::io;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use rustix::system::uname;

/// The largest file in bytes.
const FILE_BYTES_MAX: u64 = 8 << 30;
const DESCRIPTORS_MAX: u64 = 65_536;
/// How much sooner than others it is ended when the machine has no memory left; 1000 is the most.
const OUT_OF_MEMORY_SCORE: &str = "500";
/// How much the command steps back where the server, others, and whoever watches it want the
/// processors as well.
const NICE: i32 = 5;
/// Since this version of the kernel, processes are counted for each user namespace by itself.
const COUNTED_BY_NAMESPACE: (u32, u32) = (5, 14);
/// How many processes there may be for a moment, until they are ended for being too many.
const PROCESSES_ROOM: u64 = 64;

/// Lets the kernel end this process and what it starts before others. Only tried.
pub(super) fn give_way() {
    let _ = fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE);
}

/// No core files; files of at most 8 GiB; descriptors; and so many processes and threads, if this
/// is a sandbox and the kernel counts them for it alone. It does not hold that against a server that
/// is root.
pub(super) fn set(processes: Option<u64>) -> io::Result<()> {
    at_most(Resource::Core, 0)?;
    at_most(Resource::Fsize, FILE_BYTES_MAX)?;
    at_most(Resource::Nofile, DESCRIPTORS_MAX)?;
    match processes.filter(|_| kernel() >= COUNTED_BY_NAMESPACE) {
        Some(most) => at_most(Resource::Nproc, most.saturating_add(PROCESSES_ROOM)),
        None => Ok(()),
    }
}

/// The first two numbers of the kernel's version.
fn kernel() -> (u32, u32) {
    let release = uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map_while(|part| part.parse().ok());
    let mut next = || numbers.next().unwrap_or_default();
    (next(), next())
}

/// Lets the command step back. Only tried.
pub(super) fn step_back(command: Pid) {
    let _ = setpriority_process(Some(command), NICE);
}

/// Lowers both limits, or leaves what is lower already.
fn at_most(resource: Resource, most: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let lower = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
    let new = Rlimit {
        current: lower(now.maximum),
        maximum: lower(now.maximum),
    };
    Ok(setrlimit(resource, new)?)
}
