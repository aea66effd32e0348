//! Looks every tick at what all processes inside use together, where the kernel has no limit for
//! that. It sees exactly them, since it is the first process of their namespace.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::statvfs;

use super::super::limits::{Limit, Limits};
use super::disk::Disk;

const MEMORY_PLACES: [&str; 2] = ["/tmp", "/dev/shm"];

/// Watches.
#[derive(Debug)]
pub(super) struct Watchdog {
    limits: Limits,
    disk: Disk,
}

/// What processes use.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Use {
    /// Bytes of memory that are not in any file.
    memory: u64,
    threads: u64,
}

impl Watchdog {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            disk: Disk::new(limits),
        }
    }

    /// The limit that is exceeded, if one is.
    pub(super) fn exceeded(&mut self) -> Option<Limit> {
        let processes = processes().unwrap_or_default();
        // A fork bomb leaves little time for a closer look.
        if processes.len() as u64 > self.limits.processes {
            return Some(Limit::Processes);
        }
        let used = sum(&processes, status_use);
        if used.threads > self.limits.processes {
            return Some(Limit::Processes);
        }
        let memory = used.memory + in_memory_files();
        // What processes share was counted for each. The exact number takes longer.
        if memory > self.limits.memory_bytes {
            let exact = sum(&processes, exact_use).memory + in_memory_files();
            if exact > self.limits.memory_bytes {
                return Some(Limit::Memory);
            }
        }
        self.disk.exceeded()
    }
}

/// The directories of all processes inside.
fn processes() -> io::Result<Vec<String>> {
    let entries = fs::read_dir("/proc")?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect())
}

fn sum(processes: &[String], of: fn(&Path) -> Option<Use>) -> Use {
    let mut all = Use::default();
    for process in processes {
        // One that has ended meanwhile uses nothing.
        let used = of(&Path::new("/proc").join(process)).unwrap_or_default();
        all.memory += used.memory;
        all.threads += used.threads;
    }
    all
}

/// Quick. Memory that was not written since a fork counts for both.
fn status_use(process: &Path) -> Option<Use> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    Some(Use {
        memory: field(&status, "RssAnon:") * 1024,
        threads: field(&status, "Threads:"),
    })
}

/// Slow: the kernel walks all pages. What is shared counts in parts. A process that can't be looked
/// at counts as it does otherwise.
fn exact_use(process: &Path) -> Option<Use> {
    let Ok(pages) = fs::read_to_string(process.join("smaps_rollup")) else {
        return status_use(process);
    };
    Some(Use {
        memory: field(&pages, "Pss_Anon:") * 1024,
        threads: 0,
    })
}

/// The number after a name at the beginning of a line; 0 if there is none.
fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// Bytes of files that are in memory.
fn in_memory_files() -> u64 {
    let used = |place: &&str| {
        let found = statvfs(*place).ok()?;
        Some(found.f_blocks.saturating_sub(found.f_bfree) * found.f_frsize)
    };
    MEMORY_PLACES.iter().filter_map(used).sum()
}

#[test]
fn fields_are_numbers_after_their_names() {
    let status = "Name:\tbash\nRssAnon:\t    132 kB\nThreads:\t3\n";
    assert_eq!(field(status, "RssAnon:"), 132);
    assert_eq!(field(status, "Threads:"), 3);
    assert_eq!(field(status, "Pss_Anon:"), 0);
}
