//! Doors: the only ways out of a sandbox, each with somebody behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use membrane_agent::sandbox::{Door, Keeper, OpenDoor, SandboxConfig, SandboxMode};
use membrane_agent::tools::OutputSink;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, HANG, bad, good, invocation, sandbox};

const PORT: u16 = 20_900;
const SAY: &str = r#"exec 5<>/dev/tcp/127.0.0.1/$DOOR; echo "$1" >&5; head -n 1 <&5"#;

/// Answers each line with the name of the tool call and the line.
#[derive(Debug, Default)]
struct Echo {
    /// Doors that are open now, and connections of them.
    open: Arc<AtomicUsize>,
    /// Whether it goes on when the door closes.
    stubborn: bool,
}

/// Counts while it is there.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Keeper for Echo {
    fn serve(&self, door: OpenDoor) -> BoxFuture<'static, ()> {
        let (open, stubborn) = (self.open.clone(), self.stubborn);
        Box::pin(async move {
            let _this = Counted::new(&open);
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = door.listener.accept() => {
                        let (stream, _) = accepted.expect("a connection");
                        let counted = Counted::new(&open);
                        connections.spawn(echo(stream, door.tool_call_id.clone(), counted));
                    }
                    () = door.closing.cancelled(), if !stubborn => break,
                }
            }
            connections.shutdown().await;
        })
    }
}

async fn echo(stream: TcpStream, name: String, _counted: Counted) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let answer = format!("{name}: {line}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

fn door(keeper: Echo) -> (Door, Arc<AtomicUsize>) {
    let open = keeper.open.clone();
    let door = Door {
        port: PORT,
        environment: vec![("DOOR".to_owned(), PORT.to_string())],
        keeper: Arc::new(keeper),
    };
    (door, open)
}

fn say(what: &str) -> String {
    format!("set -- {what}; {SAY}")
}

#[tokio::test]
async fn a_process_reaches_who_answers_behind_its_door() {
    let bench = Bench::new().await;
    let (door, open) = door(Echo::default());
    bench.tools.set_doors(&[door]);
    let said = bench.bash(&say("hello")).await;
    assert!(good(&said).starts_with("call_1: hello\n"), "{said:?}");
    assert_eq!(open.load(Ordering::SeqCst), 0, "it closes with the process");

    bench.tools.set_doors(&[]);
    let said = bench
        .bash("echo [$DOOR]; (exec 5<>/dev/tcp/127.0.0.1/20900) || true")
        .await;
    assert!(good(&said).starts_with("[]\n"), "{said:?}");
    assert!(good(&said).contains("Connection refused"), "{said:?}");
}

#[tokio::test]
async fn a_door_wins_over_a_workspaces_variable() {
    let bench = Bench::new().await;
    let variable = ("DOOR".to_owned(), "1".to_owned());
    bench.tools.set_environment(&[variable]);
    let (door, _) = door(Echo::default());
    bench.tools.set_doors(&[door]);
    let said = bench.bash("echo $DOOR").await;
    assert!(good(&said).starts_with("20900\n"), "{said:?}");
}

#[tokio::test]
async fn each_process_has_a_door_of_its_own_at_the_same_port() {
    let bench = Bench::new().await;
    let (door, open) = door(Echo::default());
    bench.tools.set_doors(&[door]);
    let script = say("hello; sleep 0.2");
    let call = |id: &str| {
        let mut call = invocation("Bash", json!({ "command": script }));
        id.clone_into(&mut call.id);
        bench
            .tools
            .call(call, OutputSink::discard(), CancellationToken::new())
    };
    let (one, two) = tokio::join!(call("one"), call("two"));
    assert!(good(&one).starts_with("one: hello\n"), "{one:?}");
    assert!(good(&two).starts_with("two: hello\n"), "{two:?}");
    assert_eq!(open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_door_closes_when_its_call_is_dropped() {
    let bench = Bench::new().await;
    let (door, open) = door(Echo::default());
    bench.tools.set_doors(&[door]);
    let call = invocation(
        "Bash",
        json!({ "command": format!("{}; sleep 600", say("hello")) }),
    );
    let connected = async {
        while open.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = bench.tools.call(call, OutputSink::discard(), CancellationToken::new()) => panic!("it does not end"),
        reached = timeout(HANG, connected) => reached.expect("it connects"),
    }
    let closing = async {
        while open.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANG, closing).await.expect("the door closes");
}

#[tokio::test]
async fn a_keeper_that_does_not_end_is_ended() {
    let bench = Bench::new().await;
    let (door, open) = door(Echo {
        stubborn: true,
        ..Echo::default()
    });
    bench.tools.set_doors(&[door]);
    let said = bench.bash(&say("hello")).await;
    assert!(good(&said).starts_with("call_1: hello\n"), "{said:?}");
    assert_eq!(open.load(Ordering::SeqCst), 0);
}

/// The command holds the channel by which the doors were handed out. It sends the end of a pipe
/// there: whoever took it would hold the pipe open.
const SEND: &str = r#"
import array, os, select, socket
reading, writing = os.pipe()
side = socket.socket(fileno=os.dup(3))
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writing]))]
for text in [b"ready\n", b"x"]:
    side.sendmsg([text], rights)
os.close(writing)
print("closed" if select.select([reading], [], [], 10)[0] else "HELD")
"#;

#[tokio::test]
async fn nobody_takes_a_descriptor_that_a_command_sends() {
    let bench = Bench::new().await;
    let (door, _) = door(Echo::default());
    bench.put("send.py", SEND);
    for doors in [&[][..], &[door]] {
        bench.tools.set_doors(doors);
        let said = bench.bash("python3 send.py").await;
        assert!(good(&said).starts_with("closed\n"), "{said:?}");
    }
}

#[tokio::test]
async fn a_command_whose_doors_cannot_be_had_is_not_started() {
    let bench = Bench::new().await;
    let (door, open) = door(Echo::default());
    bench.tools.set_doors(&[door.clone(), door]);
    let said = bench.bash("touch ran").await;
    assert!(bad(&said).starts_with("Nothing was run: "), "{said:?}");
    assert!(!bench.file("ran").exists());
    assert_eq!(open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_a_sandbox_there_is_no_door() {
    let config = SandboxConfig {
        mode: SandboxMode::None,
        ..SandboxConfig::default()
    };
    let bench = Bench::with(sandbox(config).await);
    let (door, open) = door(Echo::default());
    bench.tools.set_doors(&[door]);
    let said = bench.bash("echo [$DOOR]").await;
    assert!(good(&said).starts_with("[]\n"), "{said:?}");
    assert_eq!(open.load(Ordering::SeqCst), 0);
}
