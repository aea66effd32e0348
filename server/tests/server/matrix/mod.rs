//! F1: every method × every kind of caller. A method that is not listed fails the test.

use bytes::Bytes;
use membrane_entity::api_token;
use membrane_proto::v1 as proto;
use membrane_server::{
    authz::Role,
    credentials::{digest_of, new_runner_token, new_secret},
    id::{ApiTokenId, RunnerTokenId, SessionId},
    secrets::NewSecret,
};
use prost::Message;
use tonic::Code;
use uuid::Uuid;

use crate::{
    fixture::{Caller, TestServer},
    wire,
};

mod accounts;
mod activity;
mod changes;
mod files;
mod routes;
mod runs;
mod schedules;
mod secrets;
mod sessions;
mod snapshots;
mod workspaces;

/// Who gets through, said independently of the server's own table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// Every user.
    Users,
    /// Users in a browser.
    Browsers,
    /// Administrators.
    Administrators,
    /// Members.
    Viewers,
    /// Members who work.
    Editors,
    /// Members who manage.
    Owners,
    /// Runners.
    Runners,
}

/// A workspace with things in it that the calls are about.
struct Place {
    workspace: String,
    session: String,
    victim: String,
    token: String,
    /// A secret of the caller.
    secret: String,
    /// Something in the trash.
    trashed: String,
    /// An upload of which everything has arrived.
    upload: String,
    /// What a turn changed.
    change_set: String,
    /// A snapshot.
    snapshot: String,
    /// A schedule.
    schedule: String,
    /// Runs and what belongs to them, for calls that are about those.
    runs: runs::Things,
}

type Build = fn(&Place) -> Vec<Bytes>;

/// A method, who gets through, and a request that succeeds for them.
type Method = (&'static str, Allowed, Build);

fn one(message: impl Message) -> Vec<Bytes> {
    vec![message.encode_to_vec().into()]
}

fn mask(path: &str) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: vec![path.to_owned()],
    })
}

/// The whole matrix.
fn matrix() -> impl Iterator<Item = &'static Method> {
    let services = [
        accounts::METHODS,
        activity::METHODS,
        secrets::METHODS,
        workspaces::METHODS,
        sessions::METHODS,
        files::METHODS,
        changes::METHODS,
        snapshots::METHODS,
        runs::METHODS,
        schedules::METHODS,
    ];
    services.into_iter().flatten()
}

struct Cast {
    /// The token of the runner.
    runner: RunnerTokenId,
    callers: Vec<(&'static str, Caller)>,
    owner: Caller,
    viewer: Caller,
    editor: Caller,
    former: Caller,
}

async fn cast(server: &TestServer) -> Cast {
    let administrator = server.administrator("administrator").await;
    let owner = server.user("owner").await;
    let editor = server.user("editor").await;
    let viewer = server.user("viewer").await;
    let former = server.user("former member").await;
    let stranger = server.user("owner of another workspace").await;
    stranger.new_workspace().await;
    let expired = expired(server, &owner).await;
    let made = new_runner_token(&server.app.database, "runner".to_owned(), None, 0).await;
    let (token, secret) = made.expect("a token");
    let runner = Caller::stranger(&server.channel, Some(&format!("Bearer {secret}")));
    let callers = vec![
        ("anonymous", Caller::stranger(&server.channel, None)),
        (
            "garbage",
            Caller::stranger(&server.channel, Some("Bearer nonsense")),
        ),
        (
            "malformed",
            Caller::stranger(&server.channel, Some("Basic nonsense")),
        ),
        ("expired", expired),
        ("stranger", stranger),
        ("former", former.clone()),
        ("viewer", viewer.clone()),
        ("editor", editor.clone()),
        ("owner", owner.clone()),
        ("owner in a browser", server.in_browser(&owner).await),
        ("administrator", administrator),
        ("runner", runner),
    ];
    Cast {
        callers,
        runner: RunnerTokenId(token.id),
        owner,
        viewer,
        editor,
        former,
    }
}

async fn expired(server: &TestServer, owner: &Caller) -> Caller {
    let (secret, _) = insert_token(server, owner, Some(1)).await;
    Caller::stranger(&server.channel, Some(&format!("Bearer {secret}")))
}

/// Makes a token of somebody who may have any number of them; answers its secret and its id.
async fn insert_token(
    server: &TestServer,
    owner: &Caller,
    expire_time: Option<i64>,
) -> (String, String) {
    let secret = new_secret("").expect("a secret");
    let row = api_token::Model {
        id: ApiTokenId::new().0,
        user_id: owner.id.0,
        name: "own".to_owned(),
        digest: digest_of(&secret).to_vec(),
        create_time: 0,
        expire_time,
        last_use_time: None,
    };
    let id = row.id.to_string();
    let stored = server.app.database.create_api_token(row, 10_000).await;
    stored.expect("a token");
    (secret, id)
}

async fn place(server: &TestServer, cast: &Cast, caller: &Caller) -> Place {
    let workspace = cast.owner.new_workspace().await;
    server
        .set_role(&workspace, &cast.viewer, Role::Viewer)
        .await;
    server
        .set_role(&workspace, &cast.editor, Role::Editor)
        .await;
    server.set_role(&workspace, &cast.former, Role::Owner).await;
    let id = membrane_server::id::WorkspaceId(Uuid::parse_str(&workspace).expect("an id"));
    server
        .app
        .database
        .remove_member(id, cast.former.id)
        .await
        .expect("removed");
    let (trashed, upload) = files::furnish(server, id).await;
    let victim = server.user(&Uuid::new_v4().to_string()).await;
    server.set_role(&workspace, &victim, Role::Viewer).await;
    let session = cast.owner.new_session(&workspace).await;
    let own = SessionId(session.parse().expect("an id"));
    let change_set = changes::furnish(server, id, own).await;
    let snapshot = snapshots::furnish(server, id, cast.owner.id).await;
    Place {
        session,
        change_set,
        snapshot,
        schedule: schedules::furnish(server, cast, id).await,
        runs: runs::Things::default(),
        workspace,
        victim: victim.id.to_string(),
        token: token_of(server, caller).await,
        secret: secret_of(server, caller).await,
        trashed,
        upload,
    }
}

/// A token that this caller may delete, unless they are nobody.
async fn token_of(server: &TestServer, caller: &Caller) -> String {
    if caller.id.0.is_nil() {
        return Uuid::new_v4().to_string();
    }
    insert_token(server, caller, None).await.1
}

/// A secret that this caller may change, unless they are nobody.
async fn secret_of(server: &TestServer, caller: &Caller) -> String {
    let name = "own".to_owned();
    if caller.id.0.is_nil() {
        return name;
    }
    // One may be left of another call.
    let _ = server.app.database.delete_secret(caller.id, &name).await;
    let new = NewSecret {
        name: name.clone(),
        value: "canary-1f4b".to_owned().into(),
        request_id: None,
    };
    let stored = server.app.secrets.create(caller.id, new).await;
    stored.expect("a secret");
    name
}

fn expected(allowed: Allowed, caller: &str) -> Code {
    let is_nobody = ["anonymous", "garbage", "malformed", "expired"].contains(&caller);
    if is_nobody {
        return Code::Unauthenticated;
    }
    if caller == "runner" || allowed == Allowed::Runners {
        return match (caller, allowed) {
            ("runner", Allowed::Runners) => Code::Ok,
            _ => Code::PermissionDenied,
        };
    }
    let rank = match caller {
        "viewer" => 1,
        "editor" => 2,
        "owner" | "owner in a browser" => 3,
        _ => 0,
    };
    let role = |needed: i32| match rank {
        0 => Code::NotFound,
        rank if rank < needed => Code::PermissionDenied,
        _ => Code::Ok,
    };
    let only = |granted: bool| {
        if granted {
            Code::Ok
        } else {
            Code::PermissionDenied
        }
    };
    match allowed {
        Allowed::Users => Code::Ok,
        Allowed::Browsers => only(caller == "owner in a browser"),
        Allowed::Administrators => only(caller == "administrator"),
        Allowed::Viewers => role(1),
        Allowed::Editors => role(2),
        Allowed::Owners => role(3),
        Allowed::Runners => Code::PermissionDenied,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_lets_through_exactly_whom_it_should() {
    let server = TestServer::start().await;
    let cast = cast(&server).await;
    let listed: Vec<String> = matrix()
        .map(|(method, ..)| format!("/membrane.v1.{method}"))
        .collect();
    for method in wire::methods() {
        assert!(listed.contains(&method), "{method} is not in the matrix");
    }
    for (method, allowed, build) in matrix() {
        for (name, caller) in &cast.callers {
            let mut place = place(&server, &cast, caller).await;
            if method.starts_with("RunService/") {
                place.runs = runs::furnish(&server, &cast, &place.workspace).await;
            }
            let answer = wire::call(caller, &format!("/membrane.v1.{method}"), build(&place)).await;
            let code = answer
                .as_ref()
                .map_or_else(tonic::Status::code, |_| Code::Ok);
            let wanted = match (expected(*allowed, name), *method) {
                (Code::Ok, "SessionService/ResolvePermission") => Code::NotFound,
                (code, _) => code,
            };
            assert_eq!(code, wanted, "{method} by {name}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_id_answers_exactly_like_an_absent_one() {
    let server = TestServer::start().await;
    let cast = cast(&server).await;
    let (_, stranger) = &cast.callers[4];
    for (method, allowed, build) in matrix() {
        if !matches!(
            allowed,
            Allowed::Viewers | Allowed::Editors | Allowed::Owners
        ) {
            continue;
        }
        let mut place = place(&server, &cast, stranger).await;
        if method.starts_with("RunService/") {
            place.runs = runs::furnish(&server, &cast, &place.workspace).await;
        }
        let absent = Place {
            workspace: Uuid::new_v4().to_string(),
            session: Uuid::new_v4().to_string(),
            victim: place.victim.clone(),
            token: place.token.clone(),
            secret: place.secret.clone(),
            trashed: place.trashed.clone(),
            upload: place.upload.clone(),
            change_set: place.change_set.clone(),
            snapshot: place.snapshot.clone(),
            schedule: place.schedule.clone(),
            runs: place.runs.absent(),
        };
        let path = format!("/membrane.v1.{method}");
        let foreign = wire::call(stranger, &path, build(&place))
            .await
            .expect_err("refused");
        let absent = wire::call(stranger, &path, build(&absent))
            .await
            .expect_err("refused");
        assert_eq!(foreign.code(), absent.code(), "{method}");
        assert_eq!(foreign.message(), absent.message(), "{method}");
        assert_eq!(foreign.details(), absent.details(), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_is_written_down() {
    let server = TestServer::start().await;
    let owner = server.user("owner").await;
    let stranger = server.user("stranger").await;
    let workspace = owner.new_workspace().await;
    let request = proto::DeleteWorkspaceRequest {
        workspace_id: workspace.clone(),
        etag: String::new(),
    };
    stranger
        .workspaces()
        .delete_workspace(request.clone())
        .await
        .expect_err("refused");
    owner
        .workspaces()
        .delete_workspace(request)
        .await
        .expect("deleted");
    let rows = server.app.database.audit_rows().await.expect("rows");
    let seen: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row.operation.as_str(), row.outcome.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("CreateWorkspace", "permitted"),
            ("DeleteWorkspace", "not_found"),
            ("DeleteWorkspace", "permitted"),
        ]
    );
}
