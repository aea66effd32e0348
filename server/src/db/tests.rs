use membrane_migration::{Migrator, MigratorTrait as _};
use membrane_proto::v1::{EventPayload, RunOutput, RunState, event_payload::Kind};
use sea_orm::ConnectionTrait as _;

use super::{Database, Ending, HeldLease, OpenError, sqlite};
use crate::id::{RunId, RunnerTokenId, SessionId, TurnId, WorkspaceId};

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = Database::url_of(&directory.path().join("membrane.db"));
    let database = Database::open(&url).await.expect("opened");
    database
        .writer
        .execute_unprepared("INSERT INTO seaql_migrations VALUES ('m9999_from_the_future', 0)")
        .await
        .expect("pretended");
    database.close().await.expect("closed");
    match Database::open(&url).await {
        Err(OpenError::Newer(name)) => assert_eq!(name, "m9999_from_the_future"),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn opening_twice_migrates_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = Database::url_of(&directory.path().join("membrane.db"));
    let (first, second) = tokio::join!(Database::open(&url), Database::open(&url));
    let (first, _second) = (first.expect("opened"), second.expect("opened"));
    let applied = Migrator::get_migration_models(&first.writer)
        .await
        .expect("read");
    assert_eq!(applied.len(), Migrator::migrations().len());
}

/// H4: an earlier version's database, in which a runner works on a run and a turn has not ended.
#[tokio::test]
async fn what_was_under_way_goes_on_after_a_migration() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = Database::url_of(&directory.path().join("membrane.db"));
    let earlier = sqlite::writer(&url).await.expect("opened");
    Migrator::up(&earlier, Some(8)).await.expect("migrated");
    let (run, token, turn) = (RunId::new(), RunnerTokenId::new(), TurnId::new());
    let (workspace, session) = (WorkspaceId::new(), SessionId::new());
    let digest = [7; 32];
    for statement in [
        format!(
            "INSERT INTO workspaces VALUES ({}, 'one', '{{}}', 1, 0, 0)",
            blob(workspace.0.as_bytes())
        ),
        format!(
            "INSERT INTO sessions VALUES ({}, {}, {}, 'one', 1, 0, 0)",
            blob(session.0.as_bytes()),
            blob(workspace.0.as_bytes()),
            blob(&[0; 16])
        ),
        format!(
            "INSERT INTO turns (id, session_id, state, create_time, message_sequence) \
             VALUES ({}, {}, 'running', 0, 1)",
            blob(turn.0.as_bytes()),
            blob(session.0.as_bytes())
        ),
        format!(
            "INSERT INTO runs (id, workspace_id, title, spec, base_snapshot_id, base_manifest, \
             priority, max_attempts, timeout, apply_mode, state, attempt, not_before, \
             cancel_requested, runner_token_id, runner_name, lease_digest, lease_expire_time, \
             deadline, reported, reason, message, apply_state, conflicts, create_time, start_time) \
             VALUES ({}, {}, 'one', '{{}}', {}, '', 0, 3, 1000, 'manual', 'running', 1, 0, \
             FALSE, {}, 'a runner', {}, 1000, 1000, 0, '', '', 'nothing', '[]', 0, 0)",
            blob(run.0.as_bytes()),
            blob(workspace.0.as_bytes()),
            blob(&[0; 16]),
            blob(token.0.as_bytes()),
            blob(&digest)
        ),
    ] {
        let inserted = earlier.execute_unprepared(&statement).await;
        inserted.expect("inserted");
    }
    earlier.close().await.expect("closed");

    let database = Database::open(&url).await.expect("migrated");
    let lease = HeldLease {
        run,
        attempt: 1,
        digest,
        token,
        workspace: None,
    };
    let told = EventPayload {
        kind: Some(Kind::RunOutput(RunOutput {
            text: "goes on".to_owned(),
        })),
        ..EventPayload::default()
    };
    let appended = database.append_run_events(&lease, 1, vec![told], 10).await;
    assert_eq!(appended.expect("the lease holds").0, 1);
    let ending = Ending {
        state: RunState::Succeeded,
        reason: "",
        message: String::new(),
    };
    let ended = database.finish_run(&lease, ending, 10).await;
    assert_eq!(ended.expect("ended").run.retry_of, None);
    let orphans = database.orphaned_turns().await.expect("read");
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].id, turn.0);
}

fn blob(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("X'{digits}'")
}

#[tokio::test]
async fn a_third_database_is_refused() {
    let opened = Database::open("mysql://localhost/membrane").await;
    assert!(matches!(opened, Err(OpenError::Unsupported)));
}
