//! Change sets: what turns and people changed, how it is shown, and how it is undone.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use membrane_proto::v1::{
    self as proto, ChangeSetKind, ChangeSide, ChangeStatus, DiffLineKind, change_scope::Of,
};
use tonic::{Code, Status};

use crate::fixture::{Caller, TestServer, reason};

/// A user with a workspace, a session in it, and the way to its files.
struct Desk {
    user: Caller,
    workspace: String,
    session: String,
    files: PathBuf,
    turns: usize,
}

impl Desk {
    async fn new(server: &TestServer) -> Self {
        let user = server.user("user").await;
        let workspace = user.new_workspace().await;
        user.bypass_permissions(&workspace).await;
        let session = user.new_session(&workspace).await;
        let root = server.directory.path().join("workspaces");
        Self {
            files: root.join(&workspace).join("files"),
            user,
            workspace,
            session,
            turns: 0,
        }
    }

    /// Has the agent run a command, and answers how the turn ended.
    async fn run(&mut self, command: &str) -> proto::TurnEnded {
        self.begin(command).await;
        self.user.until_turn_ended(&self.session, self.turns).await
    }

    async fn begin(&mut self, command: &str) {
        let message = format!("!bash {command}");
        self.user.say(&self.session, &message).await.expect("sent");
        self.turns += 1;
    }

    async fn sets(&self) -> Vec<proto::ChangeSet> {
        let request = proto::ListChangeSetsRequest {
            workspace_id: self.workspace.clone(),
            ..Default::default()
        };
        let answer = self.user.changes().list_change_sets(request).await;
        answer.expect("change sets").into_inner().change_sets
    }

    async fn changes(&self, scope: &Of) -> Vec<proto::Change> {
        let request = proto::ListChangesRequest {
            workspace_id: self.workspace.clone(),
            scope: scope_of(scope),
            ..Default::default()
        };
        let answer = self.user.changes().list_changes(request).await;
        answer.expect("changes").into_inner().changes
    }

    async fn diff(&self, scope: &Of, path: &str) -> Result<proto::GetFileDiffResponse, Status> {
        let request = proto::GetFileDiffRequest {
            workspace_id: self.workspace.clone(),
            scope: scope_of(scope),
            path: path.to_owned(),
            context_lines: 1,
        };
        let answer = self.user.changes().get_file_diff(request).await?;
        Ok(answer.into_inner())
    }

    async fn contents(&self, scope: &Of, path: &str, side: ChangeSide) -> Result<Vec<u8>, Status> {
        let request = proto::ReadChangedFileRequest {
            workspace_id: self.workspace.clone(),
            scope: scope_of(scope),
            path: path.to_owned(),
            side: side.into(),
        };
        let answer = self.user.changes().read_changed_file(request).await?;
        let mut parts = answer.into_inner();
        let mut bytes = Vec::new();
        while let Some(part) = parts.message().await? {
            bytes.extend_from_slice(&part.data);
        }
        Ok(bytes)
    }

    async fn discard(
        &self,
        scope: &Of,
        paths: &[&str],
        hunk_ids: Vec<String>,
        etag: &str,
    ) -> Result<proto::DiscardChangesResponse, Status> {
        let request = proto::DiscardChangesRequest {
            workspace_id: self.workspace.clone(),
            scope: scope_of(scope),
            paths: paths.iter().map(ToString::to_string).collect(),
            hunk_ids,
            context_lines: 1,
            etag: etag.to_owned(),
        };
        let answer = self.user.changes().discard_changes(request).await?;
        Ok(answer.into_inner())
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.files.join(path)).expect("a file")
    }
}

fn scope_of(of: &Of) -> Option<proto::ChangeScope> {
    Some(proto::ChangeScope {
        of: Some(of.clone()),
    })
}

fn set_of(ended: &proto::TurnEnded) -> Of {
    assert!(!ended.change_set_id.is_empty(), "{ended:?}");
    Of::ChangeSetId(ended.change_set_id.clone())
}

fn shown(changes: &[proto::Change]) -> Vec<(ChangeStatus, String, i32, i32)> {
    let shown = changes.iter().map(|change| {
        let path = if change.old_path.is_empty() {
            change.path.clone()
        } else {
            format!("{} -> {}", change.old_path, change.path)
        };
        (
            change.status(),
            path,
            change.lines_added,
            change.lines_removed,
        )
    });
    shown.collect()
}

/// Signs and texts of a diff's lines, with marks around changed words.
fn lines(diff: &proto::GetFileDiffResponse) -> Vec<String> {
    let lines = diff.hunks.iter().flat_map(|hunk| &hunk.lines);
    let shown = lines.map(|line| {
        let sign = match line.kind() {
            DiffLineKind::Added => "+",
            DiffLineKind::Removed => "-",
            _ => " ",
        };
        let spans = line.spans.iter().map(|span| match span.changed {
            true => format!("[{}]", span.text),
            false => span.text.clone(),
        });
        format!("{sign}{}", spans.collect::<String>())
    });
    shown.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turns_changes_are_what_its_commands_did() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    let first = desk
        .run("mkdir src; printf 'one\\ntwo\\nthree\\n' > src/a; seq 50 > b; echo x > run; echo gone > d")
        .await;
    let summary = first.changes.expect("a summary");
    assert_eq!((summary.file_count, summary.lines_added), (4, 55));
    let second = desk
        .run("sed -i s/two/2/ src/a; mv b c; chmod +x run; rm d; printf '\\0\\1' > bin; ln -s src/a link; mkdir empty")
        .await;
    let scope = set_of(&second);
    let changes = desk.changes(&scope).await;
    use ChangeStatus::{Added, Deleted, Mode, Modified, Renamed};
    assert_eq!(
        shown(&changes),
        [
            (Added, "bin".to_owned(), 0, 0),
            (Renamed, "b -> c".to_owned(), 0, 0),
            (Deleted, "d".to_owned(), 0, 1),
            (Added, "empty".to_owned(), 0, 0),
            (Added, "link".to_owned(), 0, 0),
            (Mode, "run".to_owned(), 0, 0),
            (Modified, "src/a".to_owned(), 1, 1),
        ]
    );
    assert!(changes.iter().all(|change| change.current));
    assert_eq!(changes.iter().filter(|change| change.binary).count(), 1);
    let diff = desk.diff(&scope, "src/a").await.expect("a diff");
    assert_eq!(lines(&diff), [" one", "-[two]", "+[2]", " three"]);
    let before = desk.contents(&scope, "src/a", ChangeSide::Before).await;
    assert_eq!(before.expect("contents"), b"one\ntwo\nthree\n");
    let deleted = desk.contents(&scope, "d", ChangeSide::After).await;
    assert_eq!(deleted.expect_err("gone").code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_changes_nothing_has_no_change_set() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    let ended = desk.run("true").await;
    assert_eq!(ended.change_set_id, "");
    assert_eq!(ended.changes, Some(proto::ChangeSummary::default()));
    assert_eq!(desk.sets().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_change_is_a_set_of_its_own() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    fs::write(desk.files.join("brought"), "along\n").expect("written");
    desk.run("echo theirs > agents").await;
    fs::write(desk.files.join("between"), "turns\n").expect("written");
    desk.begin("while ! test -e go; do sleep 0.05; done; echo more >> agents")
        .await;
    desk.user
        .until(&desk.session, |kind| {
            use proto::event_payload::Kind;
            matches!(kind, Kind::ToolCall(call) if call.input_json.contains("test -e go"))
        })
        .await;
    for path in ["meanwhile", "go"] {
        let request = proto::WriteFileRequest {
            workspace_id: desk.workspace.clone(),
            path: path.to_owned(),
            content: bytes::Bytes::from_static(b"written by a person\n"),
            ..Default::default()
        };
        desk.user
            .files()
            .write_file(request)
            .await
            .expect("written");
    }
    let ended = desk.user.until_turn_ended(&desk.session, 2).await;
    assert_eq!(ended.changes.expect("a summary").file_count, 1);
    let mut found = Vec::new();
    for set in desk.sets().await {
        let changes = desk.changes(&Of::ChangeSetId(set.id.clone())).await;
        let paths: Vec<String> = changes.into_iter().map(|change| change.path).collect();
        found.push((set.kind(), paths.join(" ")));
    }
    // What was brought along before the first turn is nobody's change.
    assert_eq!(
        found,
        [
            (ChangeSetKind::Turn, "agents".to_owned()),
            (ChangeSetKind::People, "go meanwhile".to_owned()),
            (ChangeSetKind::People, "between".to_owned()),
            (ChangeSetKind::Turn, "agents".to_owned()),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_changes_go_from_its_first_turn_to_its_last() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    fs::write(desk.files.join("kept"), "1\n2\n3\n").expect("written");
    desk.run("sed -i s/1/one/ kept; echo a > passing").await;
    desk.run("sed -i s/3/three/ kept; rm passing; echo b > new")
        .await;
    let scope = Of::SessionId(desk.session.clone());
    let changes = desk.changes(&scope).await;
    assert_eq!(
        shown(&changes),
        [
            (ChangeStatus::Modified, "kept".to_owned(), 2, 2),
            (ChangeStatus::Added, "new".to_owned(), 1, 0),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_hunks_and_whole_turns_are_discarded() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    fs::write(desk.files.join("text"), "a\nb\nc\nd\ne\nf\ng\nh\n").expect("written");
    fs::write(desk.files.join("old"), "moved\n".repeat(9)).expect("written");
    fs::write(desk.files.join("tool"), "#!/bin/sh\n").expect("written");
    let ended = desk
        .run("sed -i 's/a/A/; s/h/H/' text; mv old new; chmod +x tool; mkdir -p deep/er; echo x > deep/er/file")
        .await;
    let scope = set_of(&ended);
    let diff = desk.diff(&scope, "text").await.expect("a diff");
    let change = diff.change.expect("a change");
    let first = vec![diff.hunks[0].id.clone()];
    let stale = desk.discard(&scope, &["text"], first.clone(), "0000").await;
    assert_eq!(stale.expect_err("stale").code(), Code::Aborted);
    let none = desk
        .discard(&scope, &["text"], vec!["9+9-9+9".to_owned()], "")
        .await;
    assert_eq!(none.expect_err("no such hunk").code(), Code::NotFound);
    let done = desk.discard(&scope, &["text"], first, &change.etag).await;
    assert_eq!(done.expect("discarded").discarded_paths, ["text"]);
    assert_eq!(desk.read("text"), "a\nb\nc\nd\ne\nf\ng\nH\n");
    let diff = desk.diff(&scope, "text").await.expect("a diff");
    let current: Vec<bool> = diff.hunks.iter().map(|hunk| hunk.current).collect();
    assert_eq!(current, [false, true]);
    let hunk = |index: usize| vec![diff.hunks[index].id.clone()];
    let again = desk.discard(&scope, &["text"], hunk(0), "").await;
    assert_eq!(again.expect("an answer").conflicting_paths, ["text"]);
    fs::write(desk.files.join("text"), "a\nb\nc\nd!\ne\nf\ng\nH\n").expect("written");
    let second = desk.discard(&scope, &["text"], hunk(1), "").await;
    assert_eq!(second.expect("discarded").discarded_paths, ["text"]);
    assert_eq!(desk.read("text"), "a\nb\nc\nd!\ne\nf\ng\nh\n");
    let done = desk
        .discard(&scope, &[], Vec::new(), "")
        .await
        .expect("discarded");
    assert_eq!(done.conflicting_paths, ["text"], "it has changed since");
    assert_eq!(done.discarded_paths, ["deep/er/file", "new", "tool"]);
    assert_eq!(desk.read("old"), "moved\n".repeat(9));
    assert!(!desk.files.join("new").exists());
    assert!(!desk.files.join("deep").exists(), "it came with its file");
    let mode = fs::metadata(desk.files.join("tool"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o111, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_discarded_under_a_working_agent() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    let ended = desk.run("echo a > a").await;
    desk.begin("sleep 600").await;
    let refused = desk.discard(&set_of(&ended), &[], Vec::new(), "").await;
    let refused = refused.expect_err("refused");
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::FailedPrecondition, "TURN_RUNNING".to_owned())
    );
    assert_eq!(desk.read("a"), "a\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_off_turn_changed_is_recorded_at_the_next_start() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    let workspace = desk.workspace.clone();
    desk.run("echo 1 > before").await;
    let changes = server.app.changes.clone();
    let parse = |id: &str| id.parse().expect("an id");
    let begun = changes
        .begin(
            membrane_server::id::WorkspaceId(parse(&workspace)),
            membrane_server::id::SessionId(parse(&desk.session)),
            membrane_server::id::TurnId::new(),
        )
        .await;
    begun.expect("begun");
    fs::write(desk.files.join("half"), "done\n").expect("written");
    let directory = server.stop().await;
    let server = TestServer::start_in(directory).await;
    desk.user = Caller::stranger(&server.channel, desk.user.authorization());
    let sets = desk.sets().await;
    let changes = desk.changes(&Of::ChangeSetId(sets[0].id.clone())).await;
    assert_eq!(
        shown(&changes),
        [(ChangeStatus::Added, "half".to_owned(), 1, 0)]
    );
    assert_eq!(sets.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_turn_without_an_end_began_is_not_taken_for_the_next_ones() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    desk.run("echo 1 > before").await;
    let parse = |id: &str| id.parse().expect("an id");
    let (workspace, session) = (parse(&desk.workspace), parse(&desk.session));
    let begun = server.app.changes.begin(
        membrane_server::id::WorkspaceId(workspace),
        membrane_server::id::SessionId(session),
        membrane_server::id::TurnId::new(),
    );
    begun.await.expect("begun");
    fs::write(desk.files.join("half"), "done\n").expect("written");
    desk.run("echo 2 > after").await;
    let directory = server.stop().await;
    let server = TestServer::start_in(directory).await;
    desk.user = Caller::stranger(&server.channel, desk.user.authorization());
    let mut found = Vec::new();
    for set in desk.sets().await {
        let changes = desk.changes(&Of::ChangeSetId(set.id.clone())).await;
        found.push((set.kind(), changes[0].path.clone(), changes.len()));
    }
    assert_eq!(
        found,
        [
            (ChangeSetKind::Turn, "after".to_owned(), 1),
            (ChangeSetKind::People, "half".to_owned(), 1),
            (ChangeSetKind::Turn, "before".to_owned(), 1),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_sensitive_files_and_caches_are_told() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    let ended = desk
        .run(concat!(
            "printf x > $'new\\nline'; printf x > $'\\xff\\\\'; printf x > '<b>'; ",
            "mkdir -p .git/hooks target node_modules; echo x > .git/hooks/pre-commit; ",
            "printf 'Signature: 8a477f597d28d172789f06886806bc55' > target/CACHEDIR.TAG; ",
            "echo x > target/out; echo x > node_modules/dep",
        ))
        .await;
    let changes = desk.changes(&set_of(&ended)).await;
    let paths: Vec<&str> = changes.iter().map(|change| &*change.path).collect();
    assert_eq!(
        paths,
        [".git/hooks/pre-commit", "<b>", "new\nline", "\\xff\\\\"]
    );
    assert_eq!(changes[0].sensitive_reason, "git runs this by itself");
    assert_eq!(changes[1].sensitive_reason, "");
    let sets = desk.sets().await;
    assert_eq!(sets[0].skipped_paths, ["node_modules", "target"]);
    let undone = desk
        .discard(&set_of(&ended), &["\\xff\\\\"], Vec::new(), "")
        .await;
    assert_eq!(undone.expect("discarded").discarded_paths, ["\\xff\\\\"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_of_others_are_not_found() {
    let server = TestServer::start().await;
    let mut desk = Desk::new(&server).await;
    let ended = desk.run("echo a > a").await;
    let other = desk.user.new_workspace().await;
    let absent = Of::ChangeSetId(uuid::Uuid::nil().to_string());
    for scope in [set_of(&ended), Of::SessionId(desk.session.clone()), absent] {
        let request = proto::ListChangesRequest {
            workspace_id: other.clone(),
            scope: scope_of(&scope),
            ..Default::default()
        };
        let refused = desk.user.changes().list_changes(request).await;
        assert_eq!(refused.expect_err("refused").code(), Code::NotFound);
    }
    let get = |workspace: &str| {
        let request = proto::GetChangeSetRequest {
            workspace_id: workspace.to_owned(),
            change_set_id: ended.change_set_id.clone(),
        };
        let mut changes = desk.user.changes();
        async move { changes.get_change_set(request).await }
    };
    let foreign = get(&other).await.expect_err("refused");
    assert_eq!(foreign.code(), Code::NotFound);
    let own = get(&desk.workspace).await.expect("it").into_inner();
    assert_eq!(own.change_set, desk.sets().await.pop());
    let missing = desk.diff(&set_of(&ended), "not/there").await;
    assert_eq!(missing.expect_err("refused").code(), Code::NotFound);
}
