//! The sandbox as an operator sets it, the same for every program that runs agents: flags, variables
//! and keys of a file, and what they come to. Reads neither the environment nor a file itself.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{
    Limits, SandboxConfig, SandboxMode,
    toolchains::{self, Toolchain},
};

/// Whether agents' processes run in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxChoice {
    /// They do, or are refused.
    Required,
    /// They don't: a command then has the rights of the program that starts it.
    None,
}

/// What can be set.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxOptions {
    /// Whether agents' processes run in a sandbox. Default: required.
    #[arg(long, env = "MEMBRANE_SANDBOX", global = true, value_enum)]
    pub sandbox: Option<SandboxChoice>,

    /// More directories that are visible read-only inside, separated by colons.
    #[arg(
        long,
        env = "MEMBRANE_SANDBOX_RO_BINDS",
        global = true,
        value_name = "DIRECTORIES"
    )]
    pub sandbox_ro_binds: Option<String>,

    /// Directories for the PATH inside, before the system's, separated by colons.
    #[arg(
        long,
        env = "MEMBRANE_SANDBOX_PATH",
        global = true,
        value_name = "DIRECTORIES"
    )]
    pub sandbox_path: Option<String>,

    /// Whether the toolchains on this process's PATH (cargo, rustup, node, python) are offered
    /// inside. Default: false.
    #[arg(
        long,
        env = "MEMBRANE_SANDBOX_TOOLCHAINS",
        global = true,
        value_name = "BOOL"
    )]
    pub sandbox_toolchains: Option<bool>,

    /// More toolchains to offer inside, `<name>=<directory>` with more directories after colons,
    /// separated by semicolons. Each directory is shown read-only; its `bin`, or itself if it has
    /// none, is put on the PATH.
    #[arg(
        long,
        env = "MEMBRANE_SANDBOX_EXTRA_TOOLCHAINS",
        global = true,
        value_name = "TOOLCHAINS"
    )]
    pub sandbox_extra_toolchains: Option<String>,

    /// Memory in MiB that the processes of one command may use together. Default: half of the
    /// machine's.
    #[arg(
        long,
        env = "MEMBRANE_SANDBOX_MEMORY_MIB",
        global = true,
        value_name = "MIB"
    )]
    pub sandbox_memory_mib: Option<u64>,

    /// Processes and threads that one command may have at a time. Default: 2048.
    #[arg(
        long,
        env = "MEMBRANE_SANDBOX_PROCESSES",
        global = true,
        value_name = "NUMBER"
    )]
    pub sandbox_processes: Option<u64>,

    /// MiB that a workspace's files and HOME may take up when a command adds to them. Default:
    /// 10240.
    #[arg(
        long,
        env = "MEMBRANE_SANDBOX_DISK_MIB",
        global = true,
        value_name = "MIB"
    )]
    pub sandbox_disk_mib: Option<u64>,

    /// Files, directories and links that they may have then. Default: 1000000.
    #[arg(
        long,
        env = "MEMBRANE_SANDBOX_DISK_ENTRIES",
        global = true,
        value_name = "NUMBER"
    )]
    pub sandbox_disk_entries: Option<u64>,
}

impl SandboxOptions {
    /// These, and of `under` what these do not say.
    #[must_use]
    pub fn or(self, under: Self) -> Self {
        Self {
            sandbox: self.sandbox.or(under.sandbox),
            sandbox_ro_binds: self.sandbox_ro_binds.or(under.sandbox_ro_binds),
            sandbox_path: self.sandbox_path.or(under.sandbox_path),
            sandbox_toolchains: self.sandbox_toolchains.or(under.sandbox_toolchains),
            sandbox_extra_toolchains: self
                .sandbox_extra_toolchains
                .or(under.sandbox_extra_toolchains),
            sandbox_memory_mib: self.sandbox_memory_mib.or(under.sandbox_memory_mib),
            sandbox_processes: self.sandbox_processes.or(under.sandbox_processes),
            sandbox_disk_mib: self.sandbox_disk_mib.or(under.sandbox_disk_mib),
            sandbox_disk_entries: self.sandbox_disk_entries.or(under.sandbox_disk_entries),
        }
    }

    /// The sandbox as these say, with the files of its /etc below `data_dir`. Toolchains are looked
    /// for on `path`, those of the user whose home is `home`.
    #[must_use]
    pub fn config(
        &self,
        data_dir: &Path,
        path: Option<&OsStr>,
        home: Option<&OsStr>,
    ) -> SandboxConfig {
        let config = SandboxConfig {
            mode: match self.sandbox.unwrap_or(SandboxChoice::Required) {
                SandboxChoice::Required => SandboxMode::Required,
                SandboxChoice::None => SandboxMode::None,
            },
            etc: Some(data_dir.join("sandbox")),
            ro_binds: directories(self.sandbox_ro_binds.as_deref()),
            path: directories(self.sandbox_path.as_deref()),
            limits: self.limits(),
            toolchains: extra_toolchains(self.sandbox_extra_toolchains.as_deref()),
            ..SandboxConfig::default()
        };
        match (self.sandbox_toolchains, path, home) {
            (Some(true), Some(path), Some(home)) => {
                config.with_toolchains(&toolchains::detect(path, Path::new(home)))
            }
            _ => config,
        }
    }

    /// The same as flags, for another program that has these options.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<String> {
        let choice = self.sandbox.map(|choice| match choice {
            SandboxChoice::Required => "required".to_owned(),
            SandboxChoice::None => "none".to_owned(),
        });
        let number = |given: Option<u64>| given.map(|number| number.to_string());
        let toolchains = self.sandbox_toolchains.map(|offered| offered.to_string());
        let given = [
            ("", choice),
            ("-ro-binds", self.sandbox_ro_binds.clone()),
            ("-path", self.sandbox_path.clone()),
            ("-toolchains", toolchains),
            ("-extra-toolchains", self.sandbox_extra_toolchains.clone()),
            ("-memory-mib", number(self.sandbox_memory_mib)),
            ("-processes", number(self.sandbox_processes)),
            ("-disk-mib", number(self.sandbox_disk_mib)),
            ("-disk-entries", number(self.sandbox_disk_entries)),
        ];
        let argument = |(name, value): (&str, Option<String>)| {
            value.map(|value| format!("--sandbox{name}={value}"))
        };
        given.into_iter().filter_map(argument).collect()
    }

    fn limits(&self) -> Limits {
        const MIB: u64 = 1 << 20;
        let default = Limits::default();
        let bytes = |mib: Option<u64>| mib.map(|mib| mib.saturating_mul(MIB));
        Limits {
            memory_bytes: bytes(self.sandbox_memory_mib).unwrap_or(default.memory_bytes),
            processes: self.sandbox_processes.unwrap_or(default.processes),
            disk_bytes: bytes(self.sandbox_disk_mib).unwrap_or(default.disk_bytes),
            disk_entries: self.sandbox_disk_entries.unwrap_or(default.disk_entries),
        }
    }
}

/// Toolchains that the operator names. What is no name and directories is left out; a start logs
/// what there is.
fn extra_toolchains(list: Option<&str>) -> Vec<Toolchain> {
    let named = list.unwrap_or_default().split(';');
    let toolchain = |one: &str| {
        let (name, places) = one.trim().split_once('=')?;
        let ro_binds = directories(Some(places));
        let program_directory = |place: &PathBuf| {
            let programs = place.join("bin");
            if programs.is_dir() {
                programs
            } else {
                place.clone()
            }
        };
        Some(Toolchain {
            name: name.trim().to_owned(),
            path: ro_binds.iter().map(program_directory).collect(),
            ro_binds,
            env: Vec::new(),
        })
    };
    named.filter_map(toolchain).collect()
}

fn directories(list: Option<&str>) -> Vec<PathBuf> {
    list.unwrap_or_default()
        .split(':')
        .filter(|directory| !directory.is_empty())
        .map(PathBuf::from)
        .collect()
}
