//! A11: a repeated request id creates nothing twice. And imports: whole or not at all.

use std::collections::HashSet;

use futures::future::join_all;
use membrane_proto::v1::{self as proto, import_workspace_request::Part};
use tonic::Code;
use uuid::Uuid;

use crate::fixture::{Caller, TestServer, reason};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_with_one_request_id_create_one_workspace() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let request = proto::CreateWorkspaceRequest {
        name: "once".to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let calls = (0..100).map(|_| {
        let (mut client, request) = (user.workspaces(), request.clone());
        async move { client.create_workspace(request).await.expect("an answer") }
    });
    let answers = join_all(calls).await;
    let ids: HashSet<String> = answers
        .into_iter()
        .map(|answer| answer.into_inner().workspace.expect("a workspace").id)
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(server.workspaces(), ids.into_iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_with_one_request_id_create_one_session_and_one_turn() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let request = proto::CreateSessionRequest {
        workspace_id: workspace,
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let calls = (0..100).map(|_| {
        let (mut client, request) = (user.sessions(), request.clone());
        async move {
            client
                .create_session(request)
                .await
                .expect("an answer")
                .into_inner()
        }
    });
    let ids: HashSet<String> = join_all(calls)
        .await
        .into_iter()
        .map(|answer| answer.session.expect("a session").id)
        .collect();
    assert_eq!(ids.len(), 1);
    let session = ids.into_iter().next().expect("one");
    let message = proto::SendMessageRequest {
        session_id: session.clone(),
        text: "!say hello".to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let calls = (0..100).map(|_| {
        let (mut client, message) = (user.sessions(), message.clone());
        async move {
            client
                .send_message(message)
                .await
                .expect("an answer")
                .into_inner()
        }
    });
    let answers = join_all(calls).await;
    let turns: HashSet<String> = answers
        .iter()
        .map(|answer| answer.turn_id.clone())
        .collect();
    assert_eq!(turns.len(), 1);
    assert!(answers.iter().all(|answer| answer.sequence == 1));
    user.until_turn_ended(&session, 1).await;
}

#[tokio::test]
async fn a_request_id_belongs_to_one_method() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let request_id = Uuid::new_v4().to_string();
    let request = proto::CreateWorkspaceRequest {
        name: "once".to_owned(),
        request_id: request_id.clone(),
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
        request_id,
        ..Default::default()
    };
    let error = user
        .sessions()
        .create_session(request)
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::InvalidArgument);
}

async fn import(
    user: &Caller,
    archive: &[u8],
) -> Result<proto::ImportWorkspaceResponse, tonic::Status> {
    let header = proto::CreateWorkspaceRequest {
        name: "imported".to_owned(),
        ..Default::default()
    };
    let mut parts = vec![Part::Header(header)];
    parts.extend(
        archive
            .chunks(100)
            .map(|chunk| Part::Chunk(chunk.to_vec().into())),
    );
    let parts = parts
        .into_iter()
        .map(|part| proto::ImportWorkspaceRequest { part: Some(part) });
    let answer = user
        .workspaces()
        .import_workspace(tokio_stream::iter(parts))
        .await?;
    Ok(answer.into_inner())
}

fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in entries {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).expect("an entry");
        writer.write_all(text.as_bytes()).expect("written");
    }
    writer.finish().expect("an archive").into_inner()
}

#[tokio::test]
async fn a_zip_becomes_a_workspace() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let answer = import(
        &user,
        &archive(&[("README.md", "hello"), ("src/main.rs", "fn main() {}")]),
    )
    .await;
    let answer = answer.expect("imported");
    assert_eq!((answer.file_count, answer.total_bytes), (2, 17));
    let id = answer.workspace.expect("a workspace").id;
    let file = server
        .directory
        .path()
        .join("workspaces")
        .join(id)
        .join("files/src/main.rs");
    assert_eq!(
        std::fs::read_to_string(file).expect("a file"),
        "fn main() {}"
    );
}

#[tokio::test]
async fn a_refused_zip_leaves_nothing() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let hostile: [(&str, Vec<u8>); 3] = [
        (
            "ARCHIVE_PATH_TRAVERSAL",
            archive(&[("fine.txt", "x"), ("../escape.txt", "x")]),
        ),
        (
            "ARCHIVE_NOT_A_ZIP",
            b"this is not an archive, whatever its name says".to_vec(),
        ),
        ("ARCHIVE_PATH_ABSOLUTE", archive(&[("/etc/passwd", "x")])),
    ];
    for (wanted, bytes) in hostile {
        let error = import(&user, &bytes).await.expect_err("refused");
        assert_eq!(error.code(), Code::InvalidArgument, "{error:?}");
        assert_eq!(reason(&error), wanted);
    }
    assert!(server.workspaces().is_empty());
    let uploads = server.directory.path().join("workspaces/.uploads");
    assert_eq!(std::fs::read_dir(uploads).expect("a directory").count(), 0);
}

#[tokio::test]
async fn an_upload_that_stops_half_way_leaves_nothing() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let bytes = archive(&[("README.md", "hello")]);
    let error = import(&user, &bytes[..bytes.len() / 2])
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(server.workspaces().is_empty());
}

#[tokio::test]
async fn a_deleted_workspace_is_gone_from_disk() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace_id = user.new_workspace().await;
    assert_eq!(server.workspaces().len(), 1);
    let request = proto::DeleteWorkspaceRequest {
        workspace_id,
        ..Default::default()
    };
    user.workspaces()
        .delete_workspace(request)
        .await
        .expect("deleted");
    assert!(server.workspaces().is_empty());
}
