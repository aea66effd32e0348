//! D4 in first form: when a server refuses to start, and what it sweeps when it does.

use std::{collections::HashSet, fs};

use membrane_agent::redact::Redactor;
use membrane_proto::v1 as proto;
use membrane_server::{
    clock::Clock, config::Config, id::WorkspaceId, server::Server, workspaces::Places,
};
use tempfile::TempDir;

use crate::fixture::TestServer;

async fn with_a_key() -> TempDir {
    let server = TestServer::start_embedded().await;
    let user = server.user("user").await;
    let workspace_id = user.new_workspace().await;
    let request = proto::SetProviderKeyRequest {
        workspace_id,
        provider: proto::Provider::Anthropic.into(),
        key: "canary-7f3a".to_owned(),
    };
    user.workspaces()
        .set_provider_key(request)
        .await
        .expect("stored");
    server.stop().await
}

async fn refusal(directory: &TempDir) -> String {
    let address = "127.0.0.1:0".parse().expect("an address");
    let config = Config::for_directory(directory.path(), address).expect("a configuration");
    let error = Server::start(config, Clock::system(), Redactor::default())
        .await
        .expect_err("refused");
    format!("{error:#}")
}

#[tokio::test]
async fn a_missing_master_key_is_never_made_anew() {
    let directory = with_a_key().await;
    let file = directory.path().join("master.key");
    fs::remove_file(&file).expect("removed");
    assert!(refusal(&directory).await.contains("never made anew"));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_wrong_master_key_is_refused() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let directory = with_a_key().await;
    let other = format!("1:{}", BASE64_STANDARD.encode([9_u8; 32]));
    fs::write(directory.path().join("master.key"), other).expect("written");
    assert!(refusal(&directory).await.contains("version 1"));
}

#[tokio::test]
async fn the_key_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = TestServer::start_embedded().await;
    let file = server.directory.path().join("master.key");
    let mode = fs::metadata(file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_stored_key_is_nowhere_in_the_clear() {
    let directory = with_a_key().await;
    let mut searched = 0;
    for entry in fs::read_dir(directory.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = fs::read(&path).expect("readable");
            searched += bytes.len();
            for spelling in ["canary-7f3a", "Y2FuYXJ5LTdmM2", "63616e6172792d37663361"] {
                let found = bytes
                    .windows(spelling.len())
                    .any(|window| window == spelling.as_bytes());
                assert!(!found, "{spelling} in {}", path.display());
            }
        }
    }
    assert!(searched > 10_000, "the database was searched");
}

#[tokio::test]
async fn directories_that_no_workspace_owns_are_swept() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let kept = user.new_workspace().await;
    let directory = server.stop().await;
    let root = directory.path().join("workspaces");
    let orphan = uuid::Uuid::new_v4().to_string();
    for name in [
        orphan.clone(),
        format!("{kept}.deleting"),
        "not a workspace".to_owned(),
    ] {
        fs::create_dir(root.join(name)).expect("made");
    }
    let server = TestServer::start_in(directory).await;
    let mut left = server.workspaces();
    left.sort();
    let mut wanted = [kept, "not a workspace".to_owned()];
    wanted.sort();
    assert_eq!(left, wanted);
}

#[tokio::test]
async fn a_directory_belongs_to_one_server() {
    let server = TestServer::start().await;
    assert!(refusal(&server.directory).await.contains("another server"));
}

#[tokio::test]
async fn nobody_sweeps_where_a_workspace_is_being_imported() {
    let directory = tempfile::tempdir().expect("a directory");
    let places = Places::open(&directory.path().join("workspaces")).expect("opened");
    let id = WorkspaceId::new();
    places.create(id).expect("made");
    let announced = places.announce().expect("announced");
    assert!(places.lock_alone().expect("an answer").is_none());
    drop(announced);
    let _alone = places.lock_alone().expect("an answer").expect("alone");
    assert_eq!(places.sweep(&HashSet::new()).expect("swept"), 1);
}
