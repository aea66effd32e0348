//! Toolchains that the operator names: which there are, and what a workspace makes of them.

use std::{fs, os::unix::fs::PermissionsExt as _};

use membrane_agent::sandbox::toolchains::Toolchain;
use membrane_proto::v1::{self as proto, event_payload::Kind};
use tonic::Code;

use crate::fixture::{Caller, TestServer};

async fn hide(user: &Caller, workspace: &str, names: &[&str]) -> Result<(), tonic::Status> {
    let request = proto::UpdateWorkspaceRequest {
        workspace: Some(proto::Workspace {
            id: workspace.to_owned(),
            settings: Some(proto::WorkspaceSettings {
                hidden_toolchains: names.iter().map(ToString::to_string).collect(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["settings.hidden_toolchains".to_owned()],
        }),
        ..Default::default()
    };
    user.workspaces().update_workspace(request).await.map(drop)
}

/// What a command of a new session says.
async fn said(user: &Caller, workspace: &str) -> String {
    let session = user.new_session(workspace).await;
    user.say(&session, "!bash say-so 2>&1").await.expect("sent");
    let result = user.until(&session, |kind| matches!(kind, Kind::ToolResult(_)));
    let said = format!("{:?}", result.await);
    user.until_turn_ended(&session, 1).await;
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_sees_what_is_offered_but_for_what_it_hides() {
    let place = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let programs = place.path().join("bin");
    fs::create_dir(&programs).expect("made");
    let program = programs.join("say-so");
    fs::write(&program, "#!/bin/sh\necho offered and seen\n").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
    let server = TestServer::start_with(|config| {
        config.sandbox.toolchains = vec![Toolchain {
            name: "sayings".to_owned(),
            ro_binds: vec![place.path().to_owned()],
            path: vec![programs.clone()],
            env: Vec::new(),
        }];
    })
    .await;
    let user = server.user("user").await;
    let (one, other) = (user.new_workspace().await, user.new_workspace().await);
    for workspace in [&one, &other] {
        user.bypass_permissions(workspace).await;
    }
    let listed = user
        .workspaces()
        .list_toolchains(proto::ListToolchainsRequest {})
        .await;
    let listed = listed.expect("a list").into_inner().toolchains;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].name, "sayings");
    hide(&user, &other, &["sayings", "one that is not offered"])
        .await
        .expect("hidden");
    assert!(said(&user, &one).await.contains("offered and seen"));
    let hidden = said(&user, &other).await;
    assert!(hidden.contains("say-so: command not found"), "{hidden}");
    let refused = hide(&user, &one, &[""]).await.expect_err("no name");
    assert_eq!(refused.code(), Code::InvalidArgument);
}
