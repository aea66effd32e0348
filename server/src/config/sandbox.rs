//! What of the configuration is about the sandbox.

use std::path::{Path, PathBuf};

use membrane_agent::sandbox::{
    Limits, SandboxConfig, SandboxMode,
    toolchains::{self, Toolchain},
};

use super::{Given, SandboxChoice, variable};

/// The sandbox as these settings say.
pub(super) fn config(given: &Given, data_dir: &Path) -> SandboxConfig {
    let config = SandboxConfig {
        mode: match given.sandbox.unwrap_or(SandboxChoice::Required) {
            SandboxChoice::Required => SandboxMode::Required,
            SandboxChoice::None => SandboxMode::None,
        },
        etc: Some(data_dir.join("sandbox")),
        ro_binds: directories(given.sandbox_ro_binds.as_deref()),
        path: directories(given.sandbox_path.as_deref()),
        limits: limits(given),
        toolchains: extra_toolchains(given.sandbox_extra_toolchains.as_deref()),
        ..SandboxConfig::default()
    };
    match (given.sandbox_toolchains, variable("PATH"), variable("HOME")) {
        (Some(true), Some(path), Some(home)) => {
            config.with_toolchains(&toolchains::detect(&path, Path::new(&home)))
        }
        _ => config,
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

fn limits(given: &Given) -> Limits {
    const MIB: u64 = 1 << 20;
    let default = Limits::default();
    let bytes = |mib: Option<u64>| mib.map(|mib| mib.saturating_mul(MIB));
    Limits {
        memory_bytes: bytes(given.sandbox_memory_mib).unwrap_or(default.memory_bytes),
        processes: given.sandbox_processes.unwrap_or(default.processes),
        disk_bytes: bytes(given.sandbox_disk_mib).unwrap_or(default.disk_bytes),
        disk_entries: given.sandbox_disk_entries.unwrap_or(default.disk_entries),
    }
}

fn directories(list: Option<&str>) -> Vec<PathBuf> {
    list.unwrap_or_default()
        .split(':')
        .filter(|directory| !directory.is_empty())
        .map(PathBuf::from)
        .collect()
}
