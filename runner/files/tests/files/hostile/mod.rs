//! Hostile archives, and why each is refused. The server's tests try them, too.

mod headers;
mod links;
mod names;
mod structure;
mod tree;
mod zip64;

/// One hostile archive.
pub struct Case {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub reason: &'static str,
    /// What the message must show of the entry; empty where no entry is at fault.
    pub shows: &'static str,
}

fn case(name: &'static str, reason: &'static str, shows: &'static str, bytes: Vec<u8>) -> Case {
    Case {
        name,
        bytes,
        reason,
        shows,
    }
}

/// All of them.
pub fn all() -> Vec<Case> {
    [
        names::cases(),
        tree::cases(),
        links::cases(),
        structure::cases(),
        zip64::cases(),
        headers::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
