//! Bad input: each a precise status, with the field or the reason, and nothing internal.

use membrane_proto::v1 as proto;
use tokio::time::{Duration, timeout};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    fixture::{CAP, TestServer, reason},
    wire,
};

pub fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_details_bad_request().expect("a BadRequest");
    details
        .field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

#[tokio::test]
async fn names_are_checked() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    for name in ["", "  ", "a\nb", &"x".repeat(101)] {
        let request = proto::CreateWorkspaceRequest {
            name: name.to_owned(),
            ..Default::default()
        };
        let error = user
            .workspaces()
            .create_workspace(request)
            .await
            .expect_err("refused");
        assert_eq!(fields(&error), ["name"]);
    }
}

#[tokio::test]
async fn settings_are_checked_all_at_once() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let request = proto::CreateWorkspaceRequest {
        name: "name".to_owned(),
        settings: Some(proto::WorkspaceSettings {
            provider: proto::Provider::Custom.into(),
            base_url: "ftp://example.com".to_owned(),
            thinking_budget_tokens: 5,
            allowed_tools: vec!["Telepathy".to_owned()],
            limits: Some(proto::UsageLimits {
                max_tokens: -1,
                ..Default::default()
            }),
            allowed_models: vec!["twice".to_owned(), "twice".to_owned()],
            environment: vec![proto::EnvironmentVariable {
                name: "PATH".to_owned(),
                value: "/evil".to_owned(),
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let error = user
        .workspaces()
        .create_workspace(request)
        .await
        .expect_err("refused");
    assert_eq!(
        fields(&error),
        [
            "settings.model",
            "settings.allowed_models",
            "settings.limits.max_tokens",
            "settings.thinking_budget_tokens",
            "settings.allowed_tools",
            "settings.environment",
            "settings.base_url"
        ]
    );
}

#[tokio::test]
async fn page_sizes_and_tokens_are_checked() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let bad = [
        (-1, "", "page_size"),
        (0, "nonsense", "page_token"),
        (0, "AAAA", "page_token"),
    ];
    for (page_size, page_token, field) in bad {
        let request = proto::ListWorkspacesRequest {
            page_size,
            page_token: page_token.to_owned(),
        };
        let error = user
            .workspaces()
            .list_workspaces(request)
            .await
            .expect_err("refused");
        assert_eq!(fields(&error), [field]);
        let request = proto::ListSessionsRequest {
            workspace_id: workspace.clone(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let error = user
            .sessions()
            .list_sessions(request)
            .await
            .expect_err("refused");
        assert_eq!(fields(&error), [field]);
    }
}

#[tokio::test]
async fn pages_hold_everything_once() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let mut made: Vec<String> = Vec::new();
    for _ in 0..7 {
        made.push(user.new_workspace().await);
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListWorkspacesRequest {
            page_size: 3,
            page_token,
        };
        let page = user
            .workspaces()
            .list_workspaces(request)
            .await
            .expect("a page")
            .into_inner();
        seen.extend(page.workspaces.into_iter().map(|workspace| workspace.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    made.reverse();
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_stale_etag_is_aborted() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let id = user.new_workspace().await;
    let update = |name: &str, etag: &str| proto::UpdateWorkspaceRequest {
        workspace: Some(proto::Workspace {
            id: id.clone(),
            name: name.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["name".to_owned()],
        }),
        etag: etag.to_owned(),
    };
    let first = user
        .workspaces()
        .update_workspace(update("first", "1"))
        .await
        .expect("updated");
    assert_eq!(first.into_inner().workspace.expect("a workspace").etag, "2");
    for stale in ["1", "nonsense"] {
        let error = user
            .workspaces()
            .update_workspace(update("second", stale))
            .await
            .expect_err("refused");
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::Aborted, "STALE_ETAG")
        );
    }
    let delete = proto::DeleteWorkspaceRequest {
        workspace_id: id.clone(),
        etag: "1".to_owned(),
    };
    let error = user
        .workspaces()
        .delete_workspace(delete)
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::Aborted);
}

#[tokio::test]
async fn a_mask_names_fields_that_exist() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let id = user.new_workspace().await;
    for paths in [
        vec![],
        vec!["nonsense"],
        vec!["settings.nonsense"],
        vec!["etag"],
    ] {
        let request = proto::UpdateWorkspaceRequest {
            workspace: Some(proto::Workspace {
                id: id.clone(),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.into_iter().map(str::to_owned).collect(),
            }),
            etag: String::new(),
        };
        let error = user
            .workspaces()
            .update_workspace(request)
            .await
            .expect_err("refused");
        assert_eq!(fields(&error), ["update_mask"]);
    }
}

#[tokio::test]
async fn what_is_no_id_looks_like_an_unknown_one() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    for id in [
        "nonsense",
        "../../etc",
        "00000000-0000-0000-0000-000000000000",
    ] {
        let request = proto::GetWorkspaceRequest {
            workspace_id: id.to_owned(),
        };
        let error = user
            .workspaces()
            .get_workspace(request)
            .await
            .expect_err("refused");
        assert_eq!(
            (error.code(), error.message()),
            (Code::NotFound, "workspace not found")
        );
    }
}

#[tokio::test]
async fn an_oversized_message_is_refused() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    let error = user
        .say(&session, &"x".repeat(200_001))
        .await
        .expect_err("refused");
    assert_eq!(fields(&error), ["text"]);
    let error = user
        .say(&session, &"x".repeat(5 << 20))
        .await
        .expect_err("refused");
    assert_eq!(
        error.code(),
        Code::OutOfRange,
        "over the limit of the transport"
    );
    assert_eq!(reason(&error), "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn the_transports_own_errors_have_a_reason() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let cases = [
        (
            "WorkspaceService/GetNothing",
            Code::Unimplemented,
            "UNKNOWN_METHOD",
        ),
        (
            "NoService/GetNothing",
            Code::Unimplemented,
            "UNKNOWN_METHOD",
        ),
        (
            "WorkspaceService/GetWorkspace",
            Code::Internal,
            "MALFORMED_MESSAGE",
        ),
        ("EventService/Watch", Code::Internal, "MALFORMED_MESSAGE"),
    ];
    for (method, code, expected) in cases {
        let path = format!("/membrane.v1.{method}");
        let nonsense = vec![bytes::Bytes::from_static(b"\xff\xff\xff")];
        let error = wire::call(&user, &path, nonsense)
            .await
            .expect_err("refused");
        assert_eq!(
            (error.code(), reason(&error)),
            (code, expected.to_owned()),
            "{method}"
        );
    }
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    let mut request = Request::new(proto::WatchRequest {
        cursors: vec![proto::StreamCursor {
            stream: format!("sessions/{session}"),
            after_sequence: 0,
        }],
        ..Default::default()
    });
    request.set_timeout(Duration::from_millis(300));
    let mut stream = user
        .events()
        .watch(request)
        .await
        .expect("a watch")
        .into_inner();
    let ended = timeout(CAP, async {
        loop {
            if let Err(error) = stream
                .message()
                .await
                .map(|message| message.expect("no quiet end"))
            {
                return error;
            }
        }
    });
    let error = ended.await.expect("an end");
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert_eq!(reason(&error), "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn cursors_are_checked() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    let stream = format!("sessions/{session}");
    let cursor = |stream: &str, after_sequence| proto::StreamCursor {
        stream: stream.to_owned(),
        after_sequence,
    };
    let cases = [
        (vec![], Code::InvalidArgument),
        (
            vec![cursor(&stream, 0), cursor(&stream, 0)],
            Code::InvalidArgument,
        ),
        (vec![cursor(&stream, -1)], Code::InvalidArgument),
        (vec![cursor(&stream, 1)], Code::NotFound),
        (vec![cursor("nonsense", 0)], Code::NotFound),
        (vec![cursor(&stream.to_uppercase(), 0)], Code::NotFound),
        (
            (0..65).map(|_| cursor(&stream, 0)).collect(),
            Code::InvalidArgument,
        ),
    ];
    for (cursors, code) in cases {
        let error = user
            .events()
            .watch(proto::WatchRequest {
                cursors: cursors.clone(),
                ..Default::default()
            })
            .await
            .expect_err("refused");
        assert_eq!(error.code(), code, "{cursors:?}");
    }
}

#[tokio::test]
async fn a_session_needs_its_providers_key() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let request = proto::CreateWorkspaceRequest {
        name: "keyless".to_owned(),
        settings: Some(proto::WorkspaceSettings {
            provider: proto::Provider::Anthropic.into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = user
        .workspaces()
        .create_workspace(request)
        .await
        .expect("created");
    let workspace_id = answer.into_inner().workspace.expect("a workspace").id;
    let request = proto::CreateSessionRequest {
        workspace_id,
        ..Default::default()
    };
    let error = user
        .sessions()
        .create_session(request)
        .await
        .expect_err("refused");
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::FailedPrecondition, "PROVIDER_KEY_REQUIRED")
    );
}

#[tokio::test]
async fn the_last_owner_and_the_last_administrator_stay() {
    let server = TestServer::start().await;
    let owner = server.user("owner").await;
    let workspace_id = owner.new_workspace().await;
    let leave = proto::RemoveMemberRequest {
        workspace_id,
        user_id: owner.id.to_string(),
    };
    let error = owner
        .workspaces()
        .remove_member(leave)
        .await
        .expect_err("refused");
    assert_eq!(reason(&error), "LAST_OWNER");
    let administrator = server.administrator("administrator").await;
    let step_down = proto::UpdateUserRequest {
        user_id: administrator.id.to_string(),
        administrator: Some(false),
        ..Default::default()
    };
    let error = administrator
        .accounts()
        .update_user(step_down)
        .await
        .expect_err("refused");
    assert_eq!(reason(&error), "LAST_ADMINISTRATOR");
}

#[tokio::test]
async fn a_disabled_user_is_locked_out_at_once() {
    let server = TestServer::start().await;
    let administrator = server.administrator("administrator").await;
    let user = server.user("user").await;
    let browser = server.in_browser(&user).await;
    let disable = proto::UpdateUserRequest {
        user_id: user.id.to_string(),
        disabled: Some(true),
        ..Default::default()
    };
    administrator
        .accounts()
        .update_user(disable)
        .await
        .expect("disabled");
    for caller in [&user, &browser] {
        let error = caller
            .accounts()
            .get_me(proto::GetMeRequest {})
            .await
            .expect_err("refused");
        assert_eq!(error.code(), Code::Unauthenticated);
    }
}
