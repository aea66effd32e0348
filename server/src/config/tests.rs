use super::*;

fn resolve(given: Given) -> Result<Config, ConfigError> {
    Config::resolve(Given {
        data_dir: Some("/tmp/membrane".into()),
        ..given
    })
}

#[test]
fn what_was_given_wins_over_the_file_and_the_file_over_defaults() {
    let file = "listen = \"127.0.0.1:1\"\nlog = \"debug\"\nsandbox_processes = 7";
    let file = parse(file).expect("valid");
    let flags = Given {
        listen: "127.0.0.1:2".parse().ok(),
        ..Given::default()
    };
    let config = resolve(merge(flags, file)).expect("valid");
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.log, "debug");
    assert!(config.byok_required);
    assert_eq!(config.sandbox.limits.processes, 7);
}

#[test]
fn an_unknown_key_in_the_file_is_an_error() {
    for text in [
        "lisen = \"127.0.0.1:1\"",
        "master_keys = \"1:x\"",
        "sandbox_memory = 1",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn only_an_origin_is_a_public_url() {
    for text in [
        "https://a.example/x",
        "ftp://a.example",
        "https://u:p@a.example",
        "a.example",
    ] {
        let given = Given {
            public_url: Some(text.to_owned()),
            ..Given::default()
        };
        assert!(
            matches!(resolve(given), Err(ConfigError::PublicUrl)),
            "{text}"
        );
    }
}

#[test]
fn an_object_store_is_found_by_its_address_and_the_usual_variables() {
    let variables = |without: &'static str| {
        move |name: &str| {
            let value = match name {
                "AWS_ENDPOINT_URL" => "http://127.0.0.1:9000",
                "AWS_ACCESS_KEY_ID" => "swordfish-id",
                "AWS_SECRET_ACCESS_KEY" => "swordfish",
                "AWS_SESSION_TOKEN" => "swordfish-token",
                _ => return None,
            };
            (name != without).then(|| value.into())
        }
    };
    let place = |url, without| blob_store::place(url, variables(without));
    for url in [None, Some("file:")] {
        assert!(matches!(place(url, ""), Ok(None)), "{url:?}");
    }
    let found = place(Some("s3://bucket/some/prefix/"), "");
    let found = found.expect("valid").expect("a place");
    assert_eq!((&*found.bucket, &*found.prefix), ("bucket", "some/prefix"));
    assert_eq!(found.keys.secrets().count(), 3);
    let shown = format!("{found:?}");
    assert!(!shown.contains("sword"), "{shown}");
    for url in [
        "s3:",
        "s3:///x",
        "s3://b?x",
        "s3://u:p@b",
        "gs://b",
        "/x",
        "file:/x",
        "",
    ] {
        let refused = place(Some(url), "");
        assert!(matches!(refused, Err(ConfigError::BlobStore(_))), "{url}");
    }
    for name in [
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        let refused = place(Some("s3://bucket"), name);
        assert!(matches!(refused, Err(ConfigError::BlobStore(_))), "{name}");
    }
    assert!(place(Some("s3://bucket"), "AWS_SESSION_TOKEN").is_ok());
}

#[test]
fn secrets_are_masked_whole() {
    let config = resolve(Given {
        master_keys: Some("1:swordfish".to_owned().into()),
        database_url: Some("postgres://user:swordfish@host/db".to_owned()),
        ..Given::default()
    });
    let shown = format!("{:?}", config.expect("valid"));
    assert!(!shown.contains("sword"), "{shown}");
}
