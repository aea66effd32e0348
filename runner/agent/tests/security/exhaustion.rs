//! Whoever uses more than their share is ended within seconds, and told by which limit.

use std::time::Duration;

use membrane_agent::sandbox::{Guard, Limits};
use membrane_proto::v1::tool_result::Detail;
use serde_json::json;
use tokio::time::timeout;

use crate::support::Scene;

/// An offender is ended within ten seconds; a busy disk may hold this test up for longer.
const TIME_MAX: Duration = Duration::from_secs(40);

fn small() -> Limits {
    Limits {
        memory_bytes: 200 << 20,
        processes: 100,
        disk_bytes: 100 << 20,
        disk_entries: 2_000,
    }
}

/// What is said of an offender.
async fn ended(command: &str) -> String {
    let scene = Scene::limited(small(), &[]);
    let said = timeout(TIME_MAX, scene.bash(command)).await;
    said.unwrap_or_else(|_| panic!("it went on: {command}"))
}

/// The result names the limit as well, for who does not read sentences.
#[tokio::test]
async fn a_result_names_the_limit() {
    let scene = Scene::limited(small(), &[]);
    let output = scene.call("Bash", json!({ "command": MEMORY })).await;
    let Some(Detail::Command(command)) = output.detail else {
        panic!("not a command: {output:?}");
    };
    assert_eq!(command.exceeded_limit, "200 MiB of memory");
}

/// Takes 300 MiB, and would say so after a while.
pub const MEMORY: &str =
    "python3 -c 'import time; a = bytearray(300 << 20); time.sleep(4); print(len(a))'";

#[tokio::test]
async fn a_process_that_takes_all_memory_is_ended() {
    let said = ended(MEMORY).await;
    assert!(
        said.contains("(Killed: it used more than 200 MiB of memory"),
        "{said}"
    );
}

#[tokio::test]
async fn many_processes_count_together_and_so_do_files_in_memory() {
    let parts = "for i in 1 2 3 4 5 6; do python3 -c 'import time; a = bytearray(50 << 20); time.sleep(60)' & done; wait";
    let said = ended(parts).await;
    assert!(said.contains("200 MiB of memory"), "{said}");
    let files = "head -c 300M /dev/zero > /tmp/large; sleep 60";
    let said = ended(files).await;
    assert!(said.contains("200 MiB of memory"), "{said}");
}

#[tokio::test]
async fn memory_that_is_shared_after_a_fork_counts_once() {
    let shared = r#"python3 -c '
import os, time
a = bytearray(90 << 20)
for _ in range(4):
    if os.fork() == 0:
        time.sleep(2); os._exit(0)
while True:
    try: os.wait()
    except ChildProcessError: break
print("all done")'"#;
    let said = ended(shared).await;
    assert!(said.contains("all done"), "{said}");
}

#[tokio::test]
async fn a_fork_bomb_is_ended() {
    let said = ended("bomb() { bomb | bomb & }; bomb; sleep 60").await;
    assert!(said.contains("100 processes and threads"), "{said}");
}

#[tokio::test]
async fn a_huge_file_is_ended() {
    let said = ended("head -c 400M /dev/zero > huge; sleep 60").await;
    assert!(said.contains("100 MiB of files"), "{said}");
}

#[tokio::test]
async fn very_many_files_are_ended() {
    let many = "mkdir d; cd d; python3 -c 'import time\nfor i in range(9000): open(str(i), \"w\")\ntime.sleep(60)'";
    let said = ended(many).await;
    assert!(said.contains("2000 files"), "{said}");
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_the_answer_stays_small() {
    let scene = Scene::new().await;
    let said = scene
        .bash("timeout 2 yes; head -c 50M /dev/zero | tr '\\0' x")
        .await;
    assert!(said.len() < 100_000, "{} bytes", said.len());
}

#[tokio::test]
async fn without_the_watchdog_nobody_is_ended() {
    let scene = Scene::limited(small(), &[Guard::Watchdog]);
    assert_eq!(scene.bash(MEMORY).await, "314572800\n(Exit code 0.)");
}
