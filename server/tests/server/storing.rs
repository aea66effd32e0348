//! H1 and H2 in first form: many writers, many readers, one long read; nobody meets BUSY.

use futures::future::join_all;
use membrane_proto::v1::{AgentText, EventPayload, event_payload::Kind};
use membrane_server::{clock::Clock, db::NewEvent, events::EventLog};
use tokio_util::sync::CancellationToken;

use crate::storage;

/// What an agent says.
pub fn event(stream: &str, text: String) -> NewEvent {
    NewEvent {
        stream: stream.to_owned(),
        turn_id: String::new(),
        payload: EventPayload {
            kind: Some(Kind::AgentText(AgentText {
                block_id: String::new(),
                text,
            })),
            ..EventPayload::default()
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_readers_never_meet_busy() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = storage::database(directory.path()).await;
    let (log, service) = EventLog::new(database.clone(), Clock::system());
    let stop = CancellationToken::new();
    let writing = tokio::spawn(service.run(stop.clone()));
    let long_read = {
        let database = database.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                database.events_after("s0", 0, 10_000).await.expect("read");
            }
        })
    };
    let writers = (0..20).map(|writer| {
        let (log, database) = (log.clone(), database.clone());
        tokio::spawn(async move {
            let stream = format!("s{writer}");
            for number in 0..50 {
                log.append(event(&stream, format!("{number}")))
                    .await
                    .expect("stored");
                database.last_sequence(&stream).await.expect("read");
                if number % 10 == 0 {
                    let name = format!("{writer} {number}");
                    database
                        .create_user(&name, false, 0)
                        .await
                        .expect("written beside");
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("no panic");
    }
    long_read.await.expect("no panic");
    stop.cancel();
    writing.await.expect("no panic");
    for writer in 0..20 {
        let events = database
            .events_after(&format!("s{writer}"), 0, 1_000)
            .await
            .expect("read");
        let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (1..=50).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_arrived_before_the_stop_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = storage::database(directory.path()).await;
    let (log, service) = EventLog::new(database.clone(), Clock::system());
    let stop = CancellationToken::new();
    let (stored, waiting) = tokio::sync::oneshot::channel();
    log.enqueue(event("s", "last words".to_owned()), stored)
        .await
        .expect("taken");
    stop.cancel();
    service.run(stop).await;
    waiting.await.expect("stored");
    assert_eq!(database.last_sequence("s").await.expect("read"), 1);
    assert!(log.append(event("s", "too late".to_owned())).await.is_err());
}

#[tokio::test]
async fn two_processes_can_open_one_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let (first, second) = (
        storage::database(directory.path()).await,
        storage::database(directory.path()).await,
    );
    let both = join_all((0..20).map(|number| {
        let database = if number % 2 == 0 {
            first.clone()
        } else {
            second.clone()
        };
        async move {
            database
                .create_user(&format!("user {number}"), false, 0)
                .await
        }
    }));
    for made in both.await {
        made.expect("no BUSY");
    }
}
