//! What several servers share in PostgreSQL. Always tried there, whatever database the other tests
//! have.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use membrane_agent::redact::Redactor;
use membrane_server::{
    clock::Clock,
    config::Config,
    credentials::new_runner_token,
    db::{Claimant, Database},
    id::RunnerTokenId,
    server::Server,
};
use tempfile::TempDir;

use crate::{fixture::TestServer, runs::Desk, storage, storing::event};

mod together;

async fn open(directory: &TempDir) -> Database {
    let url = storage::postgres(directory.path());
    Database::open(&url).await.expect("a database")
}

async fn start() -> TestServer {
    TestServer::start_with(|config| {
        let url = storage::postgres(&config.data_dir);
        storage::configure_postgres(config, &url);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_migrate_once() {
    let directory = tempfile::tempdir().expect("a directory");
    storage::postgres(directory.path());
    let opened = join_all((0..4).map(|_| open(&directory))).await;
    for database in opened {
        assert!(database.is_sound().await.expect("an answer"));
    }
}

#[tokio::test]
async fn no_master_key_is_made_for_a_database_that_is_shared() {
    let directory = tempfile::tempdir().expect("a directory");
    let address = "127.0.0.1:0".parse().expect("an address");
    let mut config = Config::for_directory(directory.path(), address).expect("a configuration");
    config.database_url = Some(storage::postgres(directory.path()));
    let refused = Server::start(config, Clock::system(), Redactor::default()).await;
    let refused = format!("{:#}", refused.expect_err("refused"));
    assert!(refused.contains("MEMBRANE_MASTER_KEYS"), "{refused}");
    assert!(!directory.path().join("master.key").exists());
}

/// Many writers, of two servers, to few streams: numbers have no gaps, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread")]
async fn streams_have_no_gaps_whoever_writes_to_them() {
    const WRITERS: i64 = 16;
    const ROUNDS: i64 = 20;
    let directory = tempfile::tempdir().expect("a directory");
    let servers = [open(&directory).await, open(&directory).await];
    let writers = (0..WRITERS).map(|writer| {
        let database = servers[writer.rem_euclid(2) as usize].clone();
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                // In both orders, as groups of a log come.
                let mut group = vec![
                    event("a", format!("{writer} {round}")),
                    event("b", format!("{writer} {round}")),
                ];
                if writer % 2 == 0 {
                    group.reverse();
                }
                database.append_events(group, 0).await.expect("stored");
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("no panic");
    }
    for stream in ["a", "b"] {
        let events = servers[0].events_after(stream, 0, 1_000).await;
        let events = events.expect("read");
        let numbers: Vec<i64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(numbers, (1..=WRITERS * ROUNDS).collect::<Vec<_>>());
    }
}

/// As many claims at once as there are runs: each gets one, and none gets another's.
#[tokio::test(flavor = "multi_thread")]
async fn claims_of_two_servers_never_give_a_run_twice() {
    const RUNS: usize = 40;
    let server = start().await;
    let desk = Desk::new(&server).await;
    for number in 0..RUNS {
        desk.queue(&format!("{number}")).await;
    }
    let other = open(&server.directory).await;
    let made = new_runner_token(&other, "runner".to_owned(), None, 0).await;
    let token = RunnerTokenId(made.expect("a token").0.id);
    let now = server.app.clock.now();
    let claims = (0..RUNS + 5).map(|number| {
        let database = match number % 2 {
            0 => server.app.database.clone(),
            _ => other.clone(),
        };
        let claimant = Claimant {
            token,
            workspace: None,
            name: format!("{number}"),
            labels: BTreeMap::new(),
        };
        tokio::spawn(async move { database.claim_run(&claimant, [0; 32], now).await })
    });
    let mut claimed = BTreeSet::new();
    for claim in join_all(claims).await {
        let Some(changed) = claim.expect("no panic").expect("an answer") else {
            continue;
        };
        assert_eq!(changed.run.attempt, 1);
        assert!(claimed.insert(changed.run.id), "given twice");
    }
    assert_eq!(claimed.len(), RUNS);
}
