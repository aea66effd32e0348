//! What the processes of one call may use together. Whoever uses more is ended, and told why.

use std::fmt;

use membrane_files::root::Quota;
use rustix::system::sysinfo;
use serde::{Deserialize, Serialize};

/// The limits of one call. What one process may use by itself is beside the point: it can have
/// children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory in bytes that belongs to its processes alone, /tmp and /dev/shm included. Default:
    /// half of the machine's.
    pub memory_bytes: u64,
    /// Processes and threads. Default: 2,048.
    pub processes: u64,
    /// Bytes that the workspace's files and HOME take up together. Default: 10 GiB,
    /// as for what people put there.
    pub disk_bytes: u64,
    /// Files, directories and links in them. Default: a million.
    pub disk_entries: u64,
}

/// A limit, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::memory_bytes`].
    Memory,
    /// [`Limits::processes`].
    Processes,
    /// [`Limits::disk_bytes`].
    DiskBytes,
    /// [`Limits::disk_entries`].
    DiskEntries,
}

impl Default for Limits {
    fn default() -> Self {
        let quota = Quota::default();
        let machine = sysinfo();
        let memory = u64::from(machine.mem_unit).saturating_mul(machine.totalram);
        Self {
            memory_bytes: memory / 2,
            processes: 2_048,
            disk_bytes: quota.max_bytes,
            disk_entries: quota.max_entries,
        }
    }
}

impl Limits {
    /// What a limit is, in words.
    #[must_use]
    pub fn describe(&self, limit: Limit) -> String {
        match limit {
            Limit::Memory => format!("{} MiB of memory", self.memory_bytes >> 20),
            Limit::Processes => format!("{} processes and threads", self.processes),
            Limit::DiskBytes => format!("{} MiB of files", self.disk_bytes >> 20),
            Limit::DiskEntries => format!("{} files", self.disk_entries),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::DiskBytes => "disk-bytes",
            Self::DiskEntries => "disk-entries",
        })
    }
}

impl Limit {
    /// The limit that [`fmt::Display`] names so.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Memory,
            Self::Processes,
            Self::DiskBytes,
            Self::DiskEntries,
        ];
        all.into_iter().find(|limit| limit.to_string() == name)
    }
}
