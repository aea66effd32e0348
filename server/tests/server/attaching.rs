//! Files that go with a message: the model sees images, and is told where other files are.

use membrane_proto::v1::{self as proto, TurnOutcome, event_payload::Kind};
use membrane_scripted::{Scenario, Step};
use tonic::Status;

use crate::{
    errors::fields,
    fixture::{Caller, TestServer},
    providers::{KEY, model, workspace_with},
};

/// The smallest thing that is a PNG by its beginning.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

async fn put(user: &Caller, workspace: &str, path: &str, content: &[u8]) {
    let request = proto::WriteFileRequest {
        workspace_id: workspace.to_owned(),
        path: path.to_owned(),
        content: bytes::Bytes::copy_from_slice(content),
        ..Default::default()
    };
    user.files().write_file(request).await.expect("written");
}

async fn attach(user: &Caller, session: &str, paths: &[&str]) -> Result<(), Status> {
    let request = proto::SendMessageRequest {
        session_id: session.to_owned(),
        text: "What is this?".to_owned(),
        attachment_paths: paths.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    user.sessions().send_message(request).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_to_the_model_and_other_files_are_named() {
    let server = TestServer::start().await;
    let model = model(Scenario::steps([Step::text("An image.")])).await;
    let user = server.user("user").await;
    let workspace = workspace_with(&user, &model.base_url(), KEY).await;
    put(&user, &workspace, "shots/a.png", PNG).await;
    put(&user, &workspace, "notes.txt", b"some words").await;
    let session = user.new_session(&workspace).await;
    let sent = attach(&user, &session, &["shots/a.png", "notes.txt"]).await;
    sent.expect("sent");
    let ended = user.until_turn_ended(&session, 1).await;
    assert_eq!(ended.outcome(), TurnOutcome::Completed, "{ended:?}");
    let content = &model.requests()[0].body["messages"][0]["content"];
    let kinds: Vec<&str> = content
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| block["text"].as_str().unwrap_or("(image)"))
        .collect();
    assert_eq!(
        kinds,
        [
            "[Attached file: /workspace/shots/a.png]",
            "(image)",
            "[Attached file: /workspace/notes.txt]",
            "What is this?",
        ]
    );
    assert_eq!(content[1]["source"]["media_type"], "image/png");
    let first = user.history(&session).await.remove(0);
    let Some(Kind::UserMessage(message)) = first.payload.and_then(|payload| payload.kind) else {
        panic!("not a message");
    };
    let image = message.attachments[0].image.as_ref().expect("an image");
    assert_eq!(image.data, PNG);
    assert_eq!(
        (message.attachments[1].size, &message.attachments[1].image),
        (10, &None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_attached_is_named() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    put(&user, &workspace, "dir/file", b"text").await;
    let large = [PNG, &vec![0; 2_900_000]].concat();
    for number in 0..4 {
        put(&user, &workspace, &format!("{number}.png"), &large).await;
    }
    let place = server.directory.path().join("workspaces").join(&workspace);
    let huge = [PNG, &vec![0; 3_750_000]].concat();
    std::fs::write(place.join("files/huge.png"), huge).expect("written");
    std::os::unix::fs::symlink("/etc/passwd", place.join("files/out")).expect("a link");
    let four = ["0.png", "1.png", "2.png", "3.png"];
    let eleven = ["dir/file"; 11];
    let refused: [&[&str]; 7] = [
        &["absent"],
        &["dir"],
        &["../files/dir/file"],
        &["out"],
        &["huge.png"],
        &four,
        &eleven,
    ];
    for paths in refused {
        let error = attach(&user, &session, paths).await.expect_err("refused");
        assert_eq!(fields(&error), ["attachment_paths"], "{paths:?}");
        assert!(!error.message().contains("passwd"), "{error:?}");
    }
    assert!(user.history(&session).await.is_empty());
}
