//! What a run made, and how it gets into the workspace.

use membrane_proto::v1::{self as proto, ApplyMode, ApplyState, RunOutcome};
use tonic::Status;

use super::{Desk, claim, finish, spec, start, upload};
use crate::fixture::{TestServer, reason};

/// A run that has made these files, from the queue to its end.
async fn ran(
    desk: &Desk,
    mode: ApplyMode,
    meanwhile: impl FnOnce(),
    made: &[(&str, &str)],
) -> proto::Run {
    let wanted = proto::RunSpec {
        apply_mode: mode.into(),
        ..spec("make something")
    };
    desk.create(wanted).await.expect("queued");
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    start(&desk.runner, &lease).await.expect("started");
    meanwhile();
    upload(&desk.runner, &lease, made).await.expect("sent");
    let ended = finish(&desk.runner, &lease, RunOutcome::Succeeded).await;
    ended.expect("ended")
}

async fn apply(
    desk: &Desk,
    run: &proto::Run,
    keep: &[&str],
) -> Result<proto::ApplyRunResponse, Status> {
    let request = proto::ApplyRunRequest {
        run_id: run.id.clone(),
        keep_paths: keep.iter().map(ToString::to_string).collect(),
    };
    let answer = desk.user.runs().apply_run(request).await?;
    Ok(answer.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_applied_by_itself_where_nothing_has_changed() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("kept", "kept");
    desk.write("changed", "old");
    desk.write("removed", "gone soon");
    let made = [
        ("kept", "kept"),
        ("changed", "new"),
        ("added/file", "added"),
    ];
    let run = ran(&desk, ApplyMode::IfUnchanged, || (), &made).await;
    assert_eq!(run.apply_state(), ApplyState::Applied);
    assert_eq!(desk.read("changed"), "new");
    assert_eq!(desk.read("added/file"), "added");
    assert!(!desk.files.join("removed").exists());
    // What it replaced can be had back.
    let request = proto::ListSnapshotsRequest {
        workspace_id: desk.workspace.clone(),
        ..Default::default()
    };
    let answer = desk.user.snapshots().list_snapshots(request).await;
    let kinds: Vec<_> = answer
        .expect("snapshots")
        .into_inner()
        .snapshots
        .iter()
        .map(proto::Snapshot::kind)
        .collect();
    use proto::SnapshotKind::{BeforeRestore, RunBase, RunResult};
    assert_eq!(kinds, [BeforeRestore, RunResult, RunBase]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_named_and_a_side_chosen_for_each_file() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    for name in ["mine", "theirs", "alone", "untouched"] {
        desk.write(name, "old");
    }
    let meanwhile = || {
        desk.write("mine", "a person's");
        desk.write("theirs", "a person's");
        desk.write("new", "a person's");
    };
    let made = [
        ("mine", "the run's"),
        ("theirs", "the run's"),
        ("alone", "the run's"),
        ("untouched", "old"),
    ];
    let run = ran(&desk, ApplyMode::IfUnchanged, meanwhile, &made).await;
    assert_eq!(run.apply_state(), ApplyState::Pending);
    assert_eq!(run.conflicting_paths, ["mine", "theirs"]);
    assert_eq!(desk.read("alone"), "old", "nothing happens by itself");

    let applied = apply(&desk, &run, &["mine"]).await.expect("applied");
    let now = applied.run.expect("a run");
    assert_eq!(now.apply_state(), ApplyState::Applied);
    assert!(!applied.before_snapshot_id.is_empty());
    assert_eq!(desk.read("mine"), "a person's");
    assert_eq!(desk.read("theirs"), "the run's");
    assert_eq!(desk.read("alone"), "the run's");
    assert_eq!(desk.read("new"), "a person's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_waits_if_that_is_wanted_and_nothing_is_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("file", "old");
    let run = ran(&desk, ApplyMode::Manual, || (), &[("file", "new")]).await;
    assert_eq!(run.apply_state(), ApplyState::Pending);
    assert!(run.conflicting_paths.is_empty());
    assert_eq!(desk.read("file"), "old");
    apply(&desk, &run, &[]).await.expect("applied");
    assert_eq!(desk.read("file"), "new");
    let same = ran(&desk, ApplyMode::IfUnchanged, || (), &[("file", "new")]).await;
    assert_eq!(same.apply_state(), ApplyState::Nothing);
    let refused = apply(&desk, &same, &[])
        .await
        .expect_err("nothing to apply");
    assert_eq!(reason(&refused), "NO_RESULT");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_run_has_sent_is_not_applied() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("file", "old");
    desk.queue("fails").await;
    let (_, lease) = claim(&desk.runner).await.expect("a run");
    upload(&desk.runner, &lease, &[("file", "half done")])
        .await
        .expect("sent");
    let ended = finish(&desk.runner, &lease, RunOutcome::Failed).await;
    assert_eq!(ended.expect("ended").apply_state(), ApplyState::Nothing);
    assert_eq!(desk.read("file"), "old");
}
