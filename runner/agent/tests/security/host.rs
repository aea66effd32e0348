//! A server as a process of its own, to be killed: the other program of these tests runs it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::beside;

/// Starts it with a command that runs until it is killed.
pub fn start(data: &Path, command: &str, without: &str) -> Child {
    Command::new(beside("membrane-inside"))
        .args(["host", &data.display().to_string(), command, without])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}
