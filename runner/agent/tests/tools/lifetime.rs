//! Nothing that a command started outlives the call, however the call ends.

use std::time::Duration;

use membrane_agent::host::{Host, HostRequest};
use membrane_agent::tools::{OutputSink, ToolInvocation};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, HANG, command, good, invocation, processes_with, text};

/// A script that leaves a daemon behind, with a session, a parent and streams of its own, says
/// `begun` when the daemon is there, and goes on as `last`.
fn with_daemon(marker: &str, last: &str) -> String {
    format!(
        "(setsid bash -c 'touch /tmp/up; exec -a {marker} sleep 600' </dev/null >/dev/null 2>&1 &)
        until [ -e /tmp/up ]; do :; done; echo begun; {last}"
    )
}

/// A sink, and what completes when the command has said `begun`.
fn beginning() -> (OutputSink, impl Future<Output = ()>) {
    let (host, mut served) = Host::channel(8);
    let begun = async move {
        let first = timeout(HANG, served.recv()).await.expect("it begins");
        assert!(matches!(first, Some(HostRequest::Delta(delta)) if delta.text.contains("begun")));
    };
    (OutputSink::new(host, "call_1"), begun)
}

fn bash(script: &str, limit: u64) -> ToolInvocation {
    invocation("Bash", json!({ "command": script, "timeout": limit }))
}

async fn until_gone(marker: &str) {
    let polling = async {
        while !processes_with(marker).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANG, polling).await.expect("the process ends");
}

#[tokio::test]
async fn background_processes_end_with_the_command() {
    let bench = Bench::new().await;
    let marker = "membrane-marker-background";
    let last = format!("bash -c 'exec -a {marker} sleep 600' & echo done");
    let output = bench.bash(&with_daemon(marker, &last)).await;
    assert!(good(&output).starts_with("begun\ndone\n"));
    assert_eq!(processes_with(marker), Vec::<String>::new());
}

#[tokio::test]
async fn a_process_that_holds_the_output_open_does_not_hold_the_call_up() {
    let bench = Bench::new().await;
    let output = bench.bash("sleep 600 & setsid sleep 601 & echo done").await;
    assert!(good(&output).starts_with("done\n"));
}

#[tokio::test]
async fn a_time_limit_leaves_no_process() {
    let bench = Bench::new().await;
    let marker = "membrane-marker-time";
    let script = with_daemon(marker, "trap '' TERM INT HUP; sleep 600");
    let call = bash(&script, 2000);
    let cancel = CancellationToken::new();
    let output = bench.tools.call(call, OutputSink::discard(), cancel).await;
    assert!(text(&output).starts_with("begun\n"), "{}", text(&output));
    assert!(command(&output).timed_out);
    assert_eq!(processes_with(marker), Vec::<String>::new());
}

#[tokio::test]
async fn an_interrupt_leaves_no_process() {
    let bench = Bench::new().await;
    let marker = "membrane-marker-interrupt";
    let last = format!("trap '' TERM INT HUP; exec -a {marker} sleep 600");
    let (sink, begun) = beginning();
    let cancel = CancellationToken::new();
    let call = bash(&with_daemon(marker, &last), 60_000);
    let calling = bench.tools.call(call, sink, cancel.clone());
    let interrupting = async {
        begun.await;
        cancel.cancel();
    };
    let (output, ()) = tokio::join!(calling, interrupting);
    assert!(command(&output).interrupted);
    assert_eq!(command(&output).exit_code, None);
    assert_eq!(processes_with(marker), Vec::<String>::new());
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_no_process() {
    let bench = Bench::new().await;
    let marker = "membrane-marker-drop";
    let (sink, begun) = beginning();
    let call = bash(&with_daemon(marker, "sleep 600"), 60_000);
    tokio::select! {
        _ = bench.tools.call(call, sink, CancellationToken::new()) => panic!("it does not end"),
        () = begun => {}
    }
    until_gone(marker).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_time_leaves_no_process() {
    let bench = Bench::new().await;
    let marker = "membrane-marker-at-any-time";
    for time in 0..30 {
        let call = bash(&format!("exec -a {marker} sleep 600"), 60_000);
        let calling = bench
            .tools
            .call(call, OutputSink::discard(), CancellationToken::new());
        assert!(timeout(Duration::from_millis(time), calling).await.is_err());
    }
    until_gone(marker).await;
}

#[tokio::test]
async fn a_call_that_was_interrupted_before_it_began_starts_nothing() {
    let bench = Bench::new().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let output = bench
        .call_until("Bash", json!({ "command": "touch ran" }), cancel)
        .await;
    assert!(output.is_error);
    assert!(!bench.file("ran").exists());
}

/// A server as far as its processes can tell: when it is dropped, the threads that started and
/// watched them are gone, and nobody has told anybody.
struct Server {
    runtime: tokio::runtime::Runtime,
    bench: Bench,
}

impl Server {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let bench = runtime.block_on(Bench::new());
        Self { runtime, bench }
    }

    /// Dies in the middle of a call, when `moment` has come.
    fn die(self, call: ToolInvocation, sink: OutputSink, moment: impl Future<Output = ()>) {
        let Self { runtime, bench } = self;
        let mut calling = Box::pin(bench.tools.call(call, sink, CancellationToken::new()));
        runtime.block_on(async {
            tokio::select! {
                _ = &mut calling => panic!("it does not end"),
                () = moment => {}
            }
        });
        // First those who could kill, then what tells them to.
        runtime.shutdown_background();
        drop(calling);
    }
}

fn until_gone_after_all(marker: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(until_gone(marker));
}

#[test]
fn a_server_that_dies_leaves_no_process() {
    let marker = "membrane-marker-server-dies";
    let (sink, begun) = beginning();
    let call = bash(&with_daemon(marker, "sleep 600"), 60_000);
    Server::start().die(call, sink, begun);
    until_gone_after_all(marker);
}

/// Also when what it started was only being set up.
#[test]
fn a_server_that_dies_at_any_time_leaves_no_process() {
    let marker = "membrane-marker-server-any-time";
    for time in (0..80).map(|time| Duration::from_micros(500) * time) {
        let call = bash(&format!("exec -a {marker} sleep 600"), 60_000);
        let moment = async { tokio::time::sleep(time).await };
        Server::start().die(call, OutputSink::discard(), moment);
    }
    until_gone_after_all(marker);
}
