//! B: cursors, gaps, doubles, slow readers, and the right to read.

use futures::StreamExt as _;
use membrane_proto::v1::{
    self as proto, AgentText, Delta, EventPayload, event_payload::Kind, watch_response,
};
use membrane_server::{authz::Role, db::NewEvent, id::WorkspaceId};
use uuid::Uuid;

use crate::fixture::{CAP, Caller, TestServer};

fn text(stream: &str, block: &str, text: &str) -> NewEvent {
    NewEvent {
        stream: stream.to_owned(),
        turn_id: "t".to_owned(),
        payload: EventPayload {
            kind: Some(Kind::AgentText(AgentText {
                block_id: block.to_owned(),
                text: text.to_owned(),
            })),
            ..EventPayload::default()
        },
    }
}

fn delta(stream: &str, block: &str, offset: usize, text: &str) -> Delta {
    Delta {
        stream: stream.to_owned(),
        block_id: block.to_owned(),
        kind: proto::BlockKind::Text.into(),
        offset: i64::try_from(offset).expect("small"),
        text: text.to_owned(),
        turn_id: "t".to_owned(),
        tool_name: String::new(),
    }
}

async fn watch(
    user: &Caller,
    stream: &str,
    after_sequence: i64,
) -> tonic::Streaming<proto::WatchResponse> {
    let cursor = proto::StreamCursor {
        stream: stream.to_owned(),
        after_sequence,
    };
    let request = proto::WatchRequest {
        cursors: vec![cursor],
        ..Default::default()
    };
    user.events()
        .watch(request)
        .await
        .expect("a watch")
        .into_inner()
}

async fn next(watch: &mut tonic::Streaming<proto::WatchResponse>) -> watch_response::Kind {
    let message = tokio::time::timeout(CAP, watch.message())
        .await
        .expect("in time");
    message
        .expect("no error")
        .expect("no end")
        .kind
        .expect("a kind")
}

/// B6: history is read while live events arrive, a hundred times.
#[tokio::test(flavor = "multi_thread")]
async fn history_and_live_events_join_without_gap_or_double() {
    const EVENTS: i64 = 400;
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    let stream = format!("sessions/{session}");
    let writer = {
        let (log, stream) = (server.app.log.clone(), stream.clone());
        tokio::spawn(async move {
            for number in 0..EVENTS {
                let block = number.to_string();
                log.delta(delta(&stream, &block, 0, "so "));
                log.delta(delta(&stream, &block, 3, "far"));
                log.append(text(&stream, &block, "so far"))
                    .await
                    .expect("stored");
            }
        })
    };
    let readers = (0..100).map(|number| {
        let (user, stream) = (user.clone(), stream.clone());
        async move {
            let mut watch = watch(&user, &stream, 0).await;
            let mut seen = 0;
            let mut stored: Vec<String> = Vec::new();
            while seen < EVENTS {
                match next(&mut watch).await {
                    watch_response::Kind::Event(event) => {
                        seen += 1;
                        assert_eq!(event.sequence, seen, "reader {number}");
                        stored.push((seen - 1).to_string());
                    }
                    watch_response::Kind::Delta(delta) => {
                        assert!(
                            !stored.contains(&delta.block_id),
                            "a delta of a stored block"
                        );
                    }
                    _ => {}
                }
            }
        }
    });
    // At most 64 watches of one user are open at once.
    futures::stream::iter(readers)
        .for_each_concurrent(50, |reader| reader)
        .await;
    writer.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_reader_gets_the_open_block_then_its_stored_form() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    let stream = format!("sessions/{session}");
    server.app.log.delta(delta(&stream, "b", 0, "once "));
    server.app.log.delta(delta(&stream, "b", 5, "upon "));
    let mut watch = watch(&user, &stream, 0).await;
    let watch_response::Kind::Delta(open) = next(&mut watch).await else {
        panic!("not the open block");
    };
    assert_eq!((open.offset, open.text.as_str()), (0, "once upon "));
    assert!(matches!(
        next(&mut watch).await,
        watch_response::Kind::CaughtUp(_)
    ));
    server.app.log.delta(delta(&stream, "b", 10, "a time"));
    let watch_response::Kind::Delta(more) = next(&mut watch).await else {
        panic!("not a delta");
    };
    assert_eq!((more.offset, more.text.as_str()), (10, "a time"));
    server
        .app
        .log
        .append(text(&stream, "b", "once upon a time"))
        .await
        .expect("stored");
    assert!(matches!(
        next(&mut watch).await,
        watch_response::Kind::Event(_)
    ));
}

/// B3 in first form: one reader stops reading; it is told, and misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_told_and_catches_up() {
    const EVENTS: usize = 5_000;
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    let stream = format!("sessions/{session}");
    let mut slow = watch(&user, &stream, 0).await;
    assert!(matches!(
        next(&mut slow).await,
        watch_response::Kind::CaughtUp(_)
    ));
    let filler = "x".repeat(2_000);
    for _ in 0..EVENTS / 500 {
        let events = (0..500).map(|_| text(&stream, "b", &filler)).collect();
        let stored = server
            .app
            .database
            .append_events(events, 0)
            .await
            .expect("stored");
        let stored = stored.into_iter().flatten();
        server.app.log.publish(stored.collect());
    }
    let (mut seen, mut lagged) = (0, false);
    while seen < EVENTS {
        match next(&mut slow).await {
            watch_response::Kind::Event(event) => {
                seen += 1;
                assert_eq!(event.sequence, i64::try_from(seen).expect("few"));
            }
            watch_response::Kind::Lag(lag) => {
                assert_eq!(lag.after_sequence, i64::try_from(seen).expect("few"));
                lagged = true;
            }
            _ => {}
        }
    }
    assert!(lagged, "it was never told");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_streams_come_through_one_watch() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let sessions = [
        user.new_session(&workspace).await,
        user.new_session(&workspace).await,
    ];
    let cursors = sessions
        .iter()
        .map(|session| proto::StreamCursor {
            stream: format!("sessions/{session}"),
            after_sequence: 0,
        })
        .collect();
    let request = proto::WatchRequest {
        cursors,
        ..Default::default()
    };
    let mut watch = user
        .events()
        .watch(request)
        .await
        .expect("a watch")
        .into_inner();
    for session in &sessions {
        let stream = format!("sessions/{session}");
        server
            .app
            .log
            .append(text(&stream, "b", "x"))
            .await
            .expect("stored");
    }
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if let watch_response::Kind::Event(event) = next(&mut watch).await {
            seen.push(event.stream);
        }
    }
    seen.sort();
    let mut wanted: Vec<String> = sessions
        .iter()
        .map(|session| format!("sessions/{session}"))
        .collect();
    wanted.sort();
    assert_eq!(seen, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_leaves_stops_reading() {
    let server = TestServer::start().await;
    let owner = server.user("owner").await;
    let viewer = server.user("viewer").await;
    let workspace = owner.new_workspace().await;
    server.set_role(&workspace, &viewer, Role::Viewer).await;
    let session = owner.new_session(&workspace).await;
    let mut watch = watch(&viewer, &format!("sessions/{session}"), 0).await;
    let id = WorkspaceId(Uuid::parse_str(&workspace).expect("an id"));
    server
        .app
        .database
        .remove_member(id, viewer.id)
        .await
        .expect("removed");
    loop {
        if let watch_response::Kind::End(end) = next(&mut watch).await {
            assert_eq!(end.reason(), proto::EndReason::AccessLost);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_ends_every_watch() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    let mut watches = Vec::new();
    for _ in 0..50 {
        watches.push(watch(&user, &format!("sessions/{session}"), 0).await);
    }
    let stopping = tokio::spawn(server.stop());
    for watch in &mut watches {
        let mut last = None;
        while let Some(message) = watch.message().await.expect("no error") {
            last = message.kind;
        }
        let Some(watch_response::Kind::End(end)) = last else {
            panic!("no end: {last:?}");
        };
        assert_eq!(end.reason(), proto::EndReason::ServerStopping);
    }
    stopping.await.expect("it stops");
}
