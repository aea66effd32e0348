//! F1: every method × every kind of caller. A method that is not listed fails the test.

use bytes::Bytes;
use membrane_entity::api_token;
use membrane_proto::v1 as proto;
use membrane_server::{
    authz::Role,
    credentials::{digest_of, new_secret},
    id::ApiTokenId,
};
use prost::Message;
use tonic::Code;
use uuid::Uuid;

use crate::{
    fixture::{Caller, TestServer},
    wire,
};

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
}

/// A workspace with things in it that the calls are about.
struct Place {
    workspace: String,
    session: String,
    victim: String,
    token: String,
}

type Build = fn(&Place) -> Vec<Bytes>;

fn one(message: impl Message) -> Vec<Bytes> {
    vec![message.encode_to_vec().into()]
}

fn workspace_of(place: &Place) -> proto::Workspace {
    proto::Workspace {
        id: place.workspace.clone(),
        name: "renamed".to_owned(),
        ..Default::default()
    }
}

fn mask(path: &str) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask {
        paths: vec![path.to_owned()],
    })
}

/// The whole matrix: method, who gets through, and a request that succeeds for them.
const MATRIX: &[(&str, Allowed, Build)] = &[
    ("AccountService/GetMe", Allowed::Users, |_| {
        one(proto::GetMeRequest {})
    }),
    ("AccountService/CreateApiToken", Allowed::Browsers, |_| {
        one(proto::CreateApiTokenRequest {
            name: "new".to_owned(),
            lifetime_days: 1,
        })
    }),
    ("AccountService/ListApiTokens", Allowed::Users, |_| {
        one(proto::ListApiTokensRequest::default())
    }),
    ("AccountService/DeleteApiToken", Allowed::Users, |place| {
        one(proto::DeleteApiTokenRequest {
            api_token_id: place.token.clone(),
        })
    }),
    ("AccountService/ListUsers", Allowed::Administrators, |_| {
        one(proto::ListUsersRequest::default())
    }),
    ("AccountService/CreateUser", Allowed::Administrators, |_| {
        one(proto::CreateUserRequest {
            name: Uuid::new_v4().to_string(),
            administrator: false,
        })
    }),
    (
        "AccountService/UpdateUser",
        Allowed::Administrators,
        |place| {
            one(proto::UpdateUserRequest {
                user_id: place.victim.clone(),
                disabled: Some(false),
                administrator: None,
            })
        },
    ),
    ("WorkspaceService/CreateWorkspace", Allowed::Users, |_| {
        one(proto::CreateWorkspaceRequest {
            name: "new".to_owned(),
            ..Default::default()
        })
    }),
    ("WorkspaceService/ImportWorkspace", Allowed::Users, |_| {
        use proto::import_workspace_request::Part;
        let header = proto::CreateWorkspaceRequest {
            name: "new".to_owned(),
            ..Default::default()
        };
        let parts = [Part::Header(header), Part::Chunk(EMPTY_ZIP.into())];
        parts
            .into_iter()
            .flat_map(|part| one(proto::ImportWorkspaceRequest { part: Some(part) }))
            .collect()
    }),
    ("WorkspaceService/GetWorkspace", Allowed::Viewers, |place| {
        one(proto::GetWorkspaceRequest {
            workspace_id: place.workspace.clone(),
        })
    }),
    ("WorkspaceService/ListWorkspaces", Allowed::Users, |_| {
        one(proto::ListWorkspacesRequest::default())
    }),
    (
        "WorkspaceService/UpdateWorkspace",
        Allowed::Editors,
        |place| {
            one(proto::UpdateWorkspaceRequest {
                workspace: Some(workspace_of(place)),
                update_mask: mask("name"),
                etag: String::new(),
            })
        },
    ),
    (
        "WorkspaceService/DeleteWorkspace",
        Allowed::Owners,
        |place| {
            one(proto::DeleteWorkspaceRequest {
                workspace_id: place.workspace.clone(),
                etag: String::new(),
            })
        },
    ),
    ("WorkspaceService/ListMembers", Allowed::Viewers, |place| {
        one(proto::ListMembersRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("WorkspaceService/SetMember", Allowed::Owners, |place| {
        one(proto::SetMemberRequest {
            workspace_id: place.workspace.clone(),
            user_id: place.victim.clone(),
            role: proto::Role::Viewer.into(),
        })
    }),
    ("WorkspaceService/RemoveMember", Allowed::Owners, |place| {
        one(proto::RemoveMemberRequest {
            workspace_id: place.workspace.clone(),
            user_id: place.victim.clone(),
        })
    }),
    (
        "WorkspaceService/ListProviderKeys",
        Allowed::Viewers,
        |place| {
            one(proto::ListProviderKeysRequest {
                workspace_id: place.workspace.clone(),
            })
        },
    ),
    (
        "WorkspaceService/SetProviderKey",
        Allowed::Owners,
        |place| {
            one(proto::SetProviderKeyRequest {
                workspace_id: place.workspace.clone(),
                provider: proto::Provider::Anthropic.into(),
                key: "a-key".to_owned(),
            })
        },
    ),
    (
        "WorkspaceService/DeleteProviderKey",
        Allowed::Owners,
        |place| {
            one(proto::DeleteProviderKeyRequest {
                workspace_id: place.workspace.clone(),
                provider: proto::Provider::Anthropic.into(),
            })
        },
    ),
    ("WorkspaceService/TestProvider", Allowed::Editors, |place| {
        one(proto::TestProviderRequest {
            workspace_id: place.workspace.clone(),
        })
    }),
    ("SessionService/CreateSession", Allowed::Editors, |place| {
        one(proto::CreateSessionRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("SessionService/GetSession", Allowed::Viewers, |place| {
        one(proto::GetSessionRequest {
            session_id: place.session.clone(),
        })
    }),
    ("SessionService/ListSessions", Allowed::Viewers, |place| {
        one(proto::ListSessionsRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("SessionService/UpdateSession", Allowed::Editors, |place| {
        one(proto::UpdateSessionRequest {
            session: Some(proto::Session {
                id: place.session.clone(),
                title: "renamed".to_owned(),
                ..Default::default()
            }),
            update_mask: mask("title"),
            etag: String::new(),
        })
    }),
    ("SessionService/DeleteSession", Allowed::Editors, |place| {
        one(proto::DeleteSessionRequest {
            session_id: place.session.clone(),
        })
    }),
    ("SessionService/SendMessage", Allowed::Editors, |place| {
        one(proto::SendMessageRequest {
            session_id: place.session.clone(),
            text: "!say hello".to_owned(),
            request_id: String::new(),
        })
    }),
    (
        "SessionService/InterruptSession",
        Allowed::Editors,
        |place| {
            one(proto::InterruptSessionRequest {
                session_id: place.session.clone(),
            })
        },
    ),
    // Allowed callers are told that there is no such request: there is none to answer.
    (
        "SessionService/ResolvePermission",
        Allowed::Editors,
        |place| {
            one(proto::ResolvePermissionRequest {
                session_id: place.session.clone(),
                permission_request_id: Uuid::new_v4().to_string(),
                decision: proto::PermissionDecision::Allow.into(),
                reason: String::new(),
            })
        },
    ),
    ("EventService/ListEvents", Allowed::Viewers, |place| {
        one(proto::ListEventsRequest {
            stream: format!("sessions/{}", place.session),
            ..Default::default()
        })
    }),
    ("EventService/Watch", Allowed::Viewers, |place| {
        let cursor = proto::StreamCursor {
            stream: format!("sessions/{}", place.session),
            after_sequence: 0,
        };
        one(proto::WatchRequest {
            cursors: vec![cursor],
        })
    }),
];

/// An archive with nothing in it.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

struct Cast {
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
    ];
    Cast {
        callers,
        owner,
        viewer,
        editor,
        former,
    }
}

async fn expired(server: &TestServer, owner: &Caller) -> Caller {
    let secret = new_secret("").expect("a secret");
    let row = api_token::Model {
        id: ApiTokenId::new().0,
        user_id: owner.id.0,
        name: "expired".to_owned(),
        digest: digest_of(&secret).to_vec(),
        create_time: 0,
        expire_time: Some(1),
        last_use_time: None,
    };
    server
        .app
        .database
        .create_api_token(row, 100)
        .await
        .expect("a token");
    Caller::stranger(&server.channel, Some(&format!("Bearer {secret}")))
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
    let victim = server.user(&Uuid::new_v4().to_string()).await;
    server.set_role(&workspace, &victim, Role::Viewer).await;
    Place {
        session: cast.owner.new_session(&workspace).await,
        workspace,
        victim: victim.id.to_string(),
        token: token_of(server, caller).await,
    }
}

/// A token that this caller may delete, unless they are nobody.
async fn token_of(server: &TestServer, caller: &Caller) -> String {
    if caller.id.0.is_nil() {
        return Uuid::new_v4().to_string();
    }
    let now = server.app.clock.now();
    let made = membrane_server::credentials::new_api_token(
        &server.app.database,
        caller.id,
        "own".to_owned(),
        0,
        now,
    );
    made.await.expect("a token").0.id.to_string()
}

fn expected(allowed: Allowed, caller: &str) -> Code {
    let is_nobody = ["anonymous", "garbage", "malformed", "expired"].contains(&caller);
    if is_nobody {
        return Code::Unauthenticated;
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
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_lets_through_exactly_whom_it_should() {
    let server = TestServer::start().await;
    let cast = cast(&server).await;
    let listed: Vec<String> = MATRIX
        .iter()
        .map(|(method, ..)| format!("/membrane.v1.{method}"))
        .collect();
    for method in wire::methods() {
        assert!(listed.contains(&method), "{method} is not in the matrix");
    }
    for (method, allowed, build) in MATRIX {
        for (name, caller) in &cast.callers {
            let place = place(&server, &cast, caller).await;
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
    for (method, allowed, build) in MATRIX {
        if !matches!(
            allowed,
            Allowed::Viewers | Allowed::Editors | Allowed::Owners
        ) {
            continue;
        }
        let place = place(&server, &cast, stranger).await;
        let absent = Place {
            workspace: Uuid::new_v4().to_string(),
            session: Uuid::new_v4().to_string(),
            victim: place.victim.clone(),
            token: place.token.clone(),
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
