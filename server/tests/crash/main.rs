//! H2: a process that writes is killed two hundred times at any moment. Whatever it had been told
//! was stored is there afterwards, without a gap, and the database is sound.
//!
//! Not an ordinary test, because the process to be killed is this program itself. Then the program
//! that changes the master key is killed (`rotating`), and a server that restores
//! (`restoring`). Last, parts of a process panic (`panicking`).

#![allow(
    clippy::disallowed_macros,
    reason = "parent and child talk over standard output"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "parent and child find each other by arguments"
)]

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use membrane_proto::v1::{AgentText, EventPayload, event_payload::Kind};
use membrane_server::{
    clock::Clock,
    db::{Database, NewEvent},
    events::EventLog,
};
use tokio_util::sync::CancellationToken;

mod panicking;
mod restoring;
mod rotating;

const KILLS: u64 = 200;
const STREAM: &str = "a stream";
/// Acknowledgements after which a child may be killed; spread, so that kills come at any moment.
const SPREAD: u64 = 40;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = env::args().collect();
    let child = |word: &str| {
        let place = arguments.iter().position(|argument| argument == word)?;
        arguments.get(place + 1..)
    };
    if let Some([directory, ..]) = child("write") {
        return write(Path::new(directory)).await;
    }
    if let Some(arguments) = child("restore") {
        return restoring::restore(arguments).await;
    }
    if let Some(arguments) = child("panic") {
        return panicking::panic(arguments).await;
    }
    kill_again_and_again().await;
    rotating::rotate_again_and_again().await;
    restoring::restore_again_and_again().await;
    panicking::panic_again_and_again();
    println!("4 passed, 0 failed");
}

async fn open(directory: &Path) -> Database {
    let url = Database::url_of(&directory.join("membrane.db"));
    Database::open(&url).await.expect("a sound database")
}

/// Appends for ever, from four tasks at once, and says what was acknowledged.
async fn write(directory: &Path) {
    let database = open(directory).await;
    let (log, service) = EventLog::new(database, Clock::system());
    tokio::spawn(service.run(CancellationToken::new()));
    let writers = (0..4).map(|_| {
        let log = log.clone();
        tokio::spawn(async move {
            loop {
                log.append(event()).await.expect("stored");
                let mut out = std::io::stdout().lock();
                writeln!(out, "stored").expect("told");
                out.flush().expect("told");
            }
        })
    });
    futures::future::join_all(writers).await;
}

fn event() -> NewEvent {
    let text = AgentText {
        block_id: String::new(),
        text: "x".repeat(500),
    };
    NewEvent {
        stream: STREAM.to_owned(),
        turn_id: String::new(),
        payload: EventPayload {
            kind: Some(Kind::AgentText(text)),
            ..EventPayload::default()
        },
    }
}

async fn kill_again_and_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        acknowledged += killed_after(directory.path(), 1 + kill % SPREAD);
        let database = open(directory.path()).await;
        let stored = database.last_sequence(STREAM).await.expect("read");
        assert!(
            stored >= acknowledged,
            "kill {kill}: {acknowledged} told, {stored} stored"
        );
        // What was stored and not told of is no loss; from now on it counts.
        acknowledged = stored;
        if kill % 20 == 19 {
            check(&database, stored).await;
        }
        database.close().await.expect("closed");
    }
    println!("killed {KILLS} times, {acknowledged} events stored, none lost");
}

/// Lets a child write, kills it after `acknowledgements`, and answers how many it made.
fn killed_after(directory: &Path, acknowledgements: u64) -> i64 {
    let mut child = spawn(directory);
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut told = 0;
    for _ in 0..acknowledgements {
        lines.next().expect("it goes on").expect("a line");
        told += 1;
    }
    // Not right after an acknowledgement: in the middle of the next commits.
    std::thread::sleep(Duration::from_micros(137 * (acknowledgements % 17)));
    child.kill().expect("killed");
    child.wait().expect("gone");
    told + i64::try_from(lines.map_while(Result::ok).count()).expect("few")
}

fn spawn(directory: &Path) -> Child {
    Command::new(env::current_exe().expect("this program"))
        .arg("write")
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

async fn check(database: &Database, stored: i64) {
    assert!(database.is_sound().await.expect("checked"));
    let mut last = 0;
    while last < stored {
        for event in database
            .events_after(STREAM, last, 1_000)
            .await
            .expect("read")
        {
            assert_eq!(event.sequence, last + 1);
            last += 1;
        }
    }
}
