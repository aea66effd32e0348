//! Turns: queueing, interrupting, answering, restarting.

use membrane_proto::v1::{
    self as proto, PermissionDecision, TurnOutcome, event_payload::Kind, tool_content,
};
use tonic::Code;

use crate::fixture::{Caller, TestServer, reason};

pub fn result_of(events: &[proto::Event]) -> Vec<(String, bool)> {
    let results =
        events
            .iter()
            .filter_map(|event| match event.payload.as_ref()?.kind.as_ref()? {
                Kind::ToolResult(result) => Some(result),
                _ => None,
            });
    results
        .map(|result| {
            let texts = result
                .content
                .iter()
                .filter_map(|content| match &content.kind {
                    Some(tool_content::Kind::Text(text)) => Some(text.as_str()),
                    _ => None,
                });
            (texts.collect::<String>(), result.is_error)
        })
        .collect()
}

async fn answer(
    user: &Caller,
    session: &str,
    decision: PermissionDecision,
    reason: &str,
) -> Result<(), tonic::Status> {
    let asked = user
        .until(session, |kind| matches!(kind, Kind::PermissionRequested(_)))
        .await;
    let Some(Kind::PermissionRequested(asked)) = asked.payload.and_then(|payload| payload.kind)
    else {
        panic!("not a question");
    };
    let request = proto::ResolvePermissionRequest {
        session_id: session.to_owned(),
        permission_request_id: asked.permission_request_id,
        decision: decision.into(),
        reason: reason.to_owned(),
    };
    user.sessions()
        .resolve_permission(request)
        .await
        .map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspaces_variables_are_in_its_commands() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    user.bypass_permissions(&workspace).await;
    let variable = proto::EnvironmentVariable {
        name: "GREETING".to_owned(),
        value: "hello from settings".to_owned(),
    };
    let request = proto::UpdateWorkspaceRequest {
        workspace: Some(proto::Workspace {
            id: workspace.clone(),
            settings: Some(proto::WorkspaceSettings {
                environment: vec![variable.clone()],
                ..Default::default()
            }),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["settings.environment".to_owned()],
        }),
        ..Default::default()
    };
    let updated = user.workspaces().update_workspace(request).await;
    let updated = updated.expect("an update").into_inner().workspace;
    let settings = updated.and_then(|workspace| workspace.settings);
    assert_eq!(settings.expect("settings").environment, [variable]);
    let session = user.new_session(&workspace).await;
    user.say(&session, "!bash echo said: $GREETING")
        .await
        .expect("sent");
    user.until_turn_ended(&session, 1).await;
    let results = result_of(&user.history(&session).await);
    assert!(
        results[0].0.contains("said: hello from settings"),
        "{results:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_becomes_tool_calls_and_an_end() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    user.bypass_permissions(&workspace).await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "!bash echo from-the-sandbox")
        .await
        .expect("sent");
    let ended = user.until_turn_ended(&session, 1).await;
    assert_eq!(ended.outcome(), TurnOutcome::Completed, "{ended:?}");
    let history = user.history(&session).await;
    let sequences: Vec<i64> = history.iter().map(|event| event.sequence).collect();
    assert_eq!(
        sequences,
        (1..=i64::try_from(history.len()).expect("few")).collect::<Vec<_>>()
    );
    let results = result_of(&history);
    assert!(
        results[0].0.contains("from-the-sandbox") && !results[0].1,
        "{results:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_waits_and_an_allowed_call_runs() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "!bash echo allowed")
        .await
        .expect("sent");
    answer(&user, &session, PermissionDecision::Allow, "")
        .await
        .expect("answered");
    user.until_turn_ended(&session, 1).await;
    assert!(
        result_of(&user.history(&session).await)[0]
            .0
            .contains("allowed")
    );
    let again = answer(&user, &session, PermissionDecision::Deny, "")
        .await
        .expect_err("refused");
    assert_eq!(reason(&again), "PERMISSION_ALREADY_RESOLVED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_does_not_run_and_the_agent_is_told_why() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "!bash touch /workspace/made")
        .await
        .expect("sent");
    answer(&user, &session, PermissionDecision::Deny, "not on a Friday")
        .await
        .expect("answered");
    user.until_turn_ended(&session, 1).await;
    let results = result_of(&user.history(&session).await);
    assert!(
        results[0].1 && results[0].0.contains("not on a Friday"),
        "{results:?}"
    );
    let made = server
        .directory
        .path()
        .join("workspaces")
        .join(workspace)
        .join("files/made");
    assert!(!made.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_through_another_session_finds_nothing() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let (session, other) = (
        user.new_session(&workspace).await,
        user.new_session(&workspace).await,
    );
    user.say(&session, "!bash true").await.expect("sent");
    let asked = user
        .until(&session, |kind| {
            matches!(kind, Kind::PermissionRequested(_))
        })
        .await;
    let Some(Kind::PermissionRequested(asked)) = asked.payload.and_then(|payload| payload.kind)
    else {
        panic!("not a question");
    };
    let request = proto::ResolvePermissionRequest {
        session_id: other,
        permission_request_id: asked.permission_request_id,
        decision: PermissionDecision::Allow.into(),
        reason: String::new(),
    };
    let error = user
        .sessions()
        .resolve_permission(request)
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_turn_and_its_question() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "!bash true").await.expect("sent");
    user.until(&session, |kind| {
        matches!(kind, Kind::PermissionRequested(_))
    })
    .await;
    let busy = user.say(&session, "hello?").await.expect_err("refused");
    assert_eq!(reason(&busy), "SESSION_BUSY");
    let request = proto::InterruptSessionRequest {
        session_id: session.clone(),
    };
    let first = user
        .sessions()
        .interrupt_session(request.clone())
        .await
        .expect("an answer");
    assert!(first.into_inner().interrupted);
    let ended = user.until_turn_ended(&session, 1).await;
    assert_eq!(ended.outcome(), TurnOutcome::Interrupted);
    let second = user
        .sessions()
        .interrupt_session(request)
        .await
        .expect("an answer");
    assert!(!second.into_inner().interrupted);
    let history = user.history(&session).await;
    let resolved = history.iter().any(|event| {
        matches!(
            event
                .payload
                .as_ref()
                .and_then(|payload| payload.kind.as_ref()),
            Some(Kind::PermissionResolved(_))
        )
    });
    assert!(resolved, "the question has a last word");
    user.say(&session, "!say still here")
        .await
        .expect("it goes on");
    assert_eq!(
        user.until_turn_ended(&session, 2).await.outcome(),
        TurnOutcome::Completed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_of_one_workspace_wait_for_each_other() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let (first, second) = (
        user.new_session(&workspace).await,
        user.new_session(&workspace).await,
    );
    user.say(&first, "!bash true").await.expect("sent");
    user.until(&first, |kind| matches!(kind, Kind::PermissionRequested(_)))
        .await;
    user.say(&second, "!say my turn").await.expect("sent");
    let queued = user
        .until(&second, |kind| matches!(kind, Kind::TurnQueued(_)))
        .await;
    assert_eq!(queued.sequence, 2);
    assert_eq!(user.history(&second).await.len(), 2, "nothing runs yet");
    answer(&user, &first, PermissionDecision::Allow, "")
        .await
        .expect("answered");
    assert_eq!(
        user.until_turn_ended(&second, 1).await.outcome(),
        TurnOutcome::Completed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_turn_can_be_interrupted() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let (first, second) = (
        user.new_session(&workspace).await,
        user.new_session(&workspace).await,
    );
    user.say(&first, "!bash true").await.expect("sent");
    user.until(&first, |kind| matches!(kind, Kind::PermissionRequested(_)))
        .await;
    user.say(&second, "!say never").await.expect("sent");
    user.until(&second, |kind| matches!(kind, Kind::TurnQueued(_)))
        .await;
    let request = proto::InterruptSessionRequest {
        session_id: second.clone(),
    };
    user.sessions()
        .interrupt_session(request)
        .await
        .expect("an answer");
    assert_eq!(
        user.until_turn_ended(&second, 1).await.outcome(),
        TurnOutcome::Interrupted
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_says_so_and_the_session_goes_on() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "!bash true").await.expect("sent");
    user.until(&session, |kind| {
        matches!(kind, Kind::PermissionRequested(_))
    })
    .await;
    let directory = server.stop().await;
    let server = TestServer::start_in(directory).await;
    let user = Caller::stranger(&server.channel, user.authorization());
    assert_eq!(
        user.until_turn_ended(&session, 1).await.outcome(),
        TurnOutcome::Abandoned
    );
    user.say(&session, "!say back again").await.expect("sent");
    assert_eq!(
        user.until_turn_ended(&session, 2).await.outcome(),
        TurnOutcome::Completed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_ends_its_watchers() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    let cursor = proto::StreamCursor {
        stream: format!("sessions/{session}"),
        after_sequence: 0,
    };
    let request = proto::WatchRequest {
        cursors: vec![cursor],
        ..Default::default()
    };
    let mut watch = user
        .events()
        .watch(request)
        .await
        .expect("a watch")
        .into_inner();
    user.sessions()
        .delete_session(proto::DeleteSessionRequest {
            session_id: session,
        })
        .await
        .expect("deleted");
    let mut last = None;
    while let Some(message) = watch.message().await.expect("no error") {
        last = message.kind;
    }
    let Some(proto::watch_response::Kind::End(end)) = last else {
        panic!("no end: {last:?}");
    };
    assert_eq!(end.reason(), proto::EndReason::Deleted);
}
