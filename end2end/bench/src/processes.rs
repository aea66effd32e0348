//! What /proc says of processes.

use std::fs;

use anyhow::Context as _;

/// Numbers of a process's children.
///
/// # Errors
/// When there is no /proc.
pub fn children(parent: u32) -> std::io::Result<Vec<u32>> {
    let numbers = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(numbers
        .filter(|&number| parent_of(number) == Some(parent))
        .collect())
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// Resident bytes of a process and its children.
///
/// # Errors
/// When one of them ends meanwhile.
pub fn resident(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let own = kilobytes.context("no VmRSS")?.parse::<u64>()? * 1024;
    let children = children(process)?.into_iter().map(resident);
    Ok(own + children.sum::<anyhow::Result<u64>>()?)
}

/// What a process was started with.
///
/// # Errors
/// When it has ended.
pub fn arguments(process: u32) -> std::io::Result<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{process}/cmdline"))?;
    Ok(line.split_terminator('\0').map(str::to_owned).collect())
}
