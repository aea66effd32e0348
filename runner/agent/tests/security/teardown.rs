//! Seconds after any end, also of a server that is killed, nothing of a command is left.

use std::fs;

use crate::host;
use crate::support::{processes_named, processes_with, until};

/// A command with a daemon that has a session, a parent and streams of its own, and with files in
/// memory and in the host's tmp, if it could reach that.
fn stubborn(marker: &str) -> String {
    format!(
        "trap '' TERM INT HUP; touch /tmp/{marker} /dev/shm/{marker}
        (setsid bash -c 'trap \"\" TERM INT HUP; exec -a {marker} sleep 600' </dev/null >/dev/null 2>&1 &)
        exec -a {marker} sleep 600"
    )
}

/// What of a command the host still has.
fn left(marker: &str) -> Vec<String> {
    let files = ["/tmp", "/dev/shm"].map(|place| format!("{place}/{marker}"));
    let mut left: Vec<String> = files
        .into_iter()
        .filter(|path| fs::exists(path).unwrap_or(true))
        .collect();
    left.extend(processes_with(marker).iter().map(i32::to_string));
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    left.extend(mounts.contains(marker).then(|| "a mount".to_owned()));
    left
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_nothing() {
    let data = tempfile::tempdir().expect("a directory");
    let marker = format!("membrane-security-killed-{}", std::process::id());
    let mut server = host::start(data.path(), &stubborn(&marker), "");
    until("it runs", || processes_named(&marker).len() == 2).await;
    server.kill().expect("it is killed");
    server.wait().expect("it is gone");
    until("nothing is left", || left(&marker).is_empty()).await;
}

#[tokio::test]
async fn a_server_that_is_killed_while_it_sets_up_leaves_nothing() {
    let data = tempfile::tempdir().expect("a directory");
    let marker = format!("membrane-security-early-{}", std::process::id());
    for pause in 0..30 {
        let mut server = host::start(data.path(), &stubborn(&marker), "");
        tokio::time::sleep(std::time::Duration::from_millis(pause * 4)).await;
        server.kill().expect("it is killed");
        server.wait().expect("it is gone");
    }
    until("nothing is left", || left(&marker).is_empty()).await;
}

#[tokio::test]
async fn without_the_lifeline_processes_would_stay() {
    let data = tempfile::tempdir().expect("a directory");
    let marker = format!("membrane-security-stays-{}", std::process::id());
    let mut server = host::start(data.path(), &stubborn(&marker), "Lifeline");
    until("it runs", || processes_named(&marker).len() == 2).await;
    server.kill().expect("it is killed");
    server.wait().expect("it is gone");
    assert_eq!(processes_named(&marker).len(), 2, "nobody ends them");
    for pid in processes_with(&marker) {
        let pid = rustix::process::Pid::from_raw(pid).expect("a number");
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    until("nothing is left", || left(&marker).is_empty()).await;
}
