//! A provider of one's own: the key goes out in the request and nowhere else, and whatever the
//! provider answers becomes words that people can act on.

use membrane_proto::v1::{self as proto, TurnOutcome, event_payload::Kind};
use membrane_scripted::{Handle, Options, Scenario, Server, Step};
use tonic::Code;

use crate::fixture::{Caller, TestServer, reason};

pub const KEY: &str = "canary-key-5b1c";

pub async fn model(scenario: Scenario) -> Handle {
    let options = Options {
        key: Some(KEY.to_owned()),
        ..Options::default()
    };
    let address = "127.0.0.1:0".parse().expect("an address");
    Server::bind(address, scenario, options)
        .await
        .expect("a model")
}

pub async fn workspace_with(user: &Caller, base_url: &str, key: &str) -> String {
    let request = proto::CreateWorkspaceRequest {
        name: "with its own model".to_owned(),
        settings: Some(proto::WorkspaceSettings {
            provider: proto::Provider::Custom.into(),
            base_url: base_url.to_owned(),
            model: "scripted".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let created = user
        .workspaces()
        .create_workspace(request)
        .await
        .expect("created");
    let workspace_id = created.into_inner().workspace.expect("a workspace").id;
    let request = proto::SetProviderKeyRequest {
        workspace_id: workspace_id.clone(),
        provider: proto::Provider::Custom.into(),
        key: key.to_owned(),
    };
    user.workspaces()
        .set_provider_key(request)
        .await
        .expect("stored");
    workspace_id
}

async fn test(user: &Caller, workspace_id: &str) -> proto::TestProviderResponse {
    let request = proto::TestProviderRequest {
        workspace_id: workspace_id.to_owned(),
    };
    user.workspaces()
        .test_provider(request)
        .await
        .expect("an answer")
        .into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_runs_against_a_model_of_ones_own() {
    let server = TestServer::start().await;
    let model = model(Scenario::steps([Step::text("Hello from the model.")])).await;
    let user = server.user("user").await;
    let workspace = workspace_with(&user, &model.base_url(), KEY).await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "hello").await.expect("sent");
    assert_eq!(
        user.until_turn_ended(&session, 1).await.outcome(),
        TurnOutcome::Completed
    );
    let requests = model.requests();
    let key = requests[0].key.as_ref().expect("a key");
    assert_eq!(key.value, KEY);
    for event in user.history(&session).await {
        assert!(!format!("{event:?}").contains(KEY), "{event:?}");
    }
    let keys = proto::ListProviderKeysRequest {
        workspace_id: workspace,
    };
    let listed = user
        .workspaces()
        .list_provider_keys(keys)
        .await
        .expect("a list")
        .into_inner();
    assert!(listed.provider_keys[0].last_use_time.is_some());
    assert!(!format!("{listed:?}").contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_can_be_tested() {
    let server = TestServer::start().await;
    let model = model(Scenario::puppet()).await;
    let user = server.user("user").await;
    let right = workspace_with(&user, &model.base_url(), KEY).await;
    assert!(test(&user, &right).await.ok);
    let wrong = workspace_with(&user, &model.base_url(), "not-it").await;
    let answer = test(&user, &wrong).await;
    assert_eq!(
        (answer.ok, answer.reason.as_str()),
        (false, "MODEL_AUTHENTICATION")
    );
    assert!(!answer.message.is_empty() && !answer.message.contains("not-it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_model_must_not_be_is_refused() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    for base_url in [
        "http://169.254.169.254/latest",
        "http://10.0.0.1",
        "http://[::ffff:169.254.169.254]",
        "http://0x0a000001",
    ] {
        let workspace = workspace_with(&user, base_url, KEY).await;
        let answer = test(&user, &workspace).await;
        assert_eq!(
            (answer.ok, answer.reason.as_str()),
            (false, "EGRESS_DENIED"),
            "{base_url}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_the_provider_ends_the_turn_in_words() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    for (status, wanted) in [
        (401, "MODEL_AUTHENTICATION"),
        (404, "MODEL_NOT_FOUND"),
        (400, "MODEL_REQUEST_INVALID"),
    ] {
        let model = model(Scenario::steps([Step::error(status)])).await;
        let workspace = workspace_with(&user, &model.base_url(), KEY).await;
        let session = user.new_session(&workspace).await;
        user.say(&session, "hello").await.expect("sent");
        let ended = user.until_turn_ended(&session, 1).await;
        assert_eq!(ended.outcome(), TurnOutcome::Failed, "{status}");
        let error = ended.error.expect("an error");
        assert_eq!(error.reason, wanted);
        assert!(error.message.len() > 20, "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_is_tried_again_visibly() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let scenario = Scenario::steps([Step::error(529).times(1), Step::text("Now it works.")]);
    let model = model(scenario).await;
    let workspace = workspace_with(&user, &model.base_url(), KEY).await;
    let session = user.new_session(&workspace).await;
    user.say(&session, "hello").await.expect("sent");
    assert_eq!(
        user.until_turn_ended(&session, 1).await.outcome(),
        TurnOutcome::Completed
    );
    let history = user.history(&session).await;
    let retried = history.iter().any(|event| {
        matches!(event.payload.as_ref().and_then(|payload| payload.kind.as_ref()), Some(Kind::ModelRetry(retry)) if retry.attempt == 1)
    });
    assert!(retried);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_is_not_used_again() {
    let server = TestServer::start().await;
    let model = model(Scenario::puppet()).await;
    let user = server.user("user").await;
    let workspace_id = workspace_with(&user, &model.base_url(), KEY).await;
    let request = proto::DeleteProviderKeyRequest {
        workspace_id: workspace_id.clone(),
        provider: proto::Provider::Custom.into(),
    };
    user.workspaces()
        .delete_provider_key(request)
        .await
        .expect("deleted");
    let request = proto::TestProviderRequest { workspace_id };
    let error = user
        .workspaces()
        .test_provider(request)
        .await
        .expect_err("refused");
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::FailedPrecondition, "PROVIDER_KEY_REQUIRED")
    );
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_is_refused() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace_id = user.new_workspace().await;
    let long = "x".repeat(4_097);
    let cases = [
        (proto::Provider::Anthropic, ""),
        (proto::Provider::Anthropic, "with space"),
        (proto::Provider::Anthropic, "with\nnewline"),
        (proto::Provider::Anthropic, long.as_str()),
        (proto::Provider::Demo, "any"),
        (proto::Provider::Unspecified, "any"),
    ];
    for (provider, key) in cases {
        let request = proto::SetProviderKeyRequest {
            workspace_id: workspace_id.clone(),
            provider: provider.into(),
            key: key.to_owned(),
        };
        let error = user
            .workspaces()
            .set_provider_key(request)
            .await
            .expect_err("refused");
        assert_eq!(error.code(), Code::InvalidArgument, "{provider:?}");
    }
}
