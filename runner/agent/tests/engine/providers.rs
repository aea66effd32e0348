use std::{net::SocketAddr, sync::Arc};

use futures::future::BoxFuture;
use membrane_agent::{
    egress::{AllowRule, EgressGuard, Lookup},
    model::{ModelClient, ModelConfig, ModelErrorReason, Provider},
};
use membrane_scripted::{Options, Recorded, Server};
use secrecy::SecretString;
use serde_json::json;

use crate::stage::{KEY, Stage, client_at, config_at, install_crypto, puppet, scenario, steps};

/// The request that a client of this provider sends.
async fn request_of(provider: Provider, key: &str, path: &str) -> Recorded {
    install_crypto();
    let address = ([127, 0, 0, 1], 0).into();
    let model = Server::bind(address, puppet(), Options::default())
        .await
        .expect("a free port");
    let guard = EgressGuard::new(vec![model.addr().into()]);
    let config = ModelConfig::new(provider, SecretString::from(key), guard)
        .with_base_url(format!("{}{path}", model.base_url()));
    let client = ModelClient::new(config).expect("a client");
    // Only what is sent matters: the scripted model has nothing at some of these paths.
    let _ = client.probe("scripted").await;
    model.requests().pop().expect("a request")
}

#[tokio::test]
async fn each_provider_is_shown_the_key_in_its_own_way() {
    let bearer = format!("Bearer {KEY}");
    let table = [
        (Provider::Anthropic, Some(KEY), None),
        (Provider::OpenRouter, None, Some(bearer.as_str())),
        (Provider::Custom, Some(KEY), Some(bearer.as_str())),
        (Provider::Demo, Some(KEY), None),
    ];
    for (provider, api_key, authorization) in table {
        let request = request_of(provider, KEY, "").await;
        assert_eq!(request.header("x-api-key"), api_key, "{provider:?}");
        assert_eq!(
            request.header("authorization"),
            authorization,
            "{provider:?}"
        );
        assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(request.path, "/v1/messages");
    }
    let request = request_of(Provider::Custom, "", "").await;
    assert_eq!(
        (request.header("x-api-key"), request.header("authorization")),
        (None, None)
    );
}

#[tokio::test]
async fn a_base_url_may_have_a_path_a_version_and_slashes() {
    for (path, expected) in [
        ("/", "/v1/messages"),
        ("/v1", "/v1/messages"),
        ("/v1/", "/v1/messages"),
        ("/api", "/api/v1/messages"),
        ("/api/v1/", "/api/v1/messages"),
    ] {
        let request = request_of(Provider::Custom, KEY, path).await;
        assert_eq!(request.path, expected, "{path}");
    }
}

#[tokio::test]
async fn a_probe_costs_one_token_and_names_the_model() {
    let stage = Stage::new(puppet()).await;
    let probe = stage.client.probe("scripted").await.expect("an answer");
    assert_eq!(probe.model, "scripted");
    assert!(probe.latency.as_nanos() > 0);
    assert_eq!(stage.last_body()["max_tokens"], 1);
}

#[tokio::test]
async fn a_probe_says_what_is_wrong() {
    let wrong_key = {
        let stage = Stage::new(puppet()).await;
        let mut config = config_at(&stage.model.base_url());
        config.key = SecretString::from("another-key");
        let client = ModelClient::new(config).expect("a client");
        client.probe("scripted").await.expect_err("refused")
    };
    assert_eq!(wrong_key.reason, ModelErrorReason::Authentication);
    assert!(!wrong_key.message.contains("another-key"));

    let not_found = json!([{ "error": { "status": 404, "message": "model: nonsense" } }]);
    let stage = Stage::new(steps(not_found)).await;
    let error = stage.client.probe("nonsense").await.expect_err("refused");
    assert_eq!(error.reason, ModelErrorReason::NotFound);
    assert!(
        error.message.contains("model: nonsense"),
        "{}",
        error.message
    );

    let stage = Stage::new(scenario(json!({}))).await;
    stage.model.shutdown().await;
    let error = stage.client.probe("scripted").await.expect_err("refused");
    assert_eq!(error.reason, ModelErrorReason::Unreachable);
}

#[tokio::test]
async fn a_base_url_inside_the_network_is_refused_unless_it_is_allowed() {
    install_crypto();
    let config = |allow: Vec<AllowRule>, url: &str| {
        let guard = EgressGuard::new(allow);
        ModelConfig::new(Provider::Custom, SecretString::from(KEY), guard).with_base_url(url)
    };
    for url in [
        "http://127.0.0.1:1",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://[::1]",
        "ftp://host",
    ] {
        let error = ModelClient::new(config(vec![], url)).expect_err("refused");
        assert_eq!(error.reason, ModelErrorReason::EgressDenied, "{url}");
    }
    // A name is looked up when the request is sent.
    let client = ModelClient::new(config(vec![], "http://localhost:1")).expect("a client");
    let error = client.probe("scripted").await.expect_err("refused");
    assert_eq!(error.reason, ModelErrorReason::EgressDenied);

    let allow = vec!["10.0.0.0/8".parse().expect("a rule")];
    assert!(ModelClient::new(config(allow, "http://10.0.0.1")).is_ok());
}

struct NoNames;

impl Lookup for NoNames {
    fn lookup<'call>(&'call self, _: &'call str) -> BoxFuture<'call, Vec<SocketAddr>> {
        Box::pin(async { Vec::new() })
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_unreachable_and_not_forbidden() {
    install_crypto();
    let guard = EgressGuard::with_lookup(vec![], Arc::new(NoNames));
    let config = ModelConfig::new(Provider::Anthropic, SecretString::from(KEY), guard);
    let client = ModelClient::new(config).expect("a client");
    let error = client.probe("scripted").await.expect_err("no address");
    assert_eq!(error.reason, ModelErrorReason::Unreachable);
    assert!(
        error.message.contains("api.anthropic.com"),
        "{}",
        error.message
    );
}

#[test]
fn a_custom_provider_needs_a_base_url_and_a_key_needs_to_be_one() {
    install_crypto();
    let guard = EgressGuard::new(vec![]);
    let config = ModelConfig::new(Provider::Custom, SecretString::from(KEY), guard.clone());
    let error = ModelClient::new(config).expect_err("refused");
    assert_eq!(error.reason, ModelErrorReason::RequestInvalid);

    let config = ModelConfig::new(Provider::Anthropic, SecretString::from("two\nlines"), guard);
    let error = ModelClient::new(config).expect_err("refused");
    assert_eq!(error.reason, ModelErrorReason::Authentication);
    assert!(!error.message.contains("lines"));
}

#[test]
fn what_is_printed_of_a_client_does_not_contain_the_key() {
    let client = client_at("http://127.0.0.1:1");
    let printed = format!("{client:?}");
    assert!(
        !printed.contains(KEY) && !printed.contains("tests-0123"),
        "{printed}"
    );
}
