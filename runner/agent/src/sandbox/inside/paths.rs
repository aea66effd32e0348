//! Landlock: a second lock on files. The mounts already show nothing else; should one of them show
//! too much or turn out to be writable, this still holds.

use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};

/// The newest rights that are asked for. A kernel that knows fewer enforces what it knows.
const NEWEST: ABI = ABI::V7;

/// Lets this process, and all that it starts, read and execute only beneath `readable`, change only
/// beneath `writable`, list directories everywhere, and signal or connect to nobody outside. What
/// does not exist is left out.
pub(super) fn restrict(readable: &[PathBuf], writable: &[PathBuf]) -> io::Result<()> {
    let all = AccessFs::from_all(NEWEST);
    let rules = Ruleset::default()
        .handle_access(all)
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/"], AccessFs::ReadDir)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(readable, reading())))
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/dev"], devices())))
        .and_then(|rules| rules.add_rules(path_beneath_rules(writable, all & !making_devices())))
        .map_err(io::Error::other)?;
    rules.restrict_self().map_err(io::Error::other)?;
    Ok(())
}

fn reading() -> BitFlags<AccessFs> {
    AccessFs::Execute | AccessFs::ReadFile | AccessFs::ReadDir
}

fn devices() -> BitFlags<AccessFs> {
    AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::IoctlDev
}

fn making_devices() -> BitFlags<AccessFs> {
    AccessFs::MakeChar | AccessFs::MakeBlock
}
