//! The tree: listing, reading, changing, throwing away and bringing back.

use std::collections::HashSet;

use membrane_proto::v1 as proto;
use tonic::Code;

use super::{Desk, on_disk, refused};
use crate::fixture::TestServer;

#[tokio::test]
async fn a_file_is_written_listed_read_and_looked_at() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let written = desk
        .write("src/main.rs", "fn main() {}")
        .await
        .expect("written");
    assert_eq!((written.size, written.path.as_str()), (12, "src/main.rs"));
    assert_eq!(desk.get("src/main.rs").await.expect("a file"), written);
    assert_eq!(desk.list("src").await.expect("a list"), ["src/main.rs"]);
    assert_eq!(
        desk.read("src/main.rs").await.expect("bytes"),
        b"fn main() {}"
    );
    let part = desk.read_part("src/main.rs", 3, 4, &written.etag).await;
    assert_eq!(part.expect("bytes"), b"main");
    assert_eq!(
        desk.read_part("src/main.rs", 99, 0, "")
            .await
            .expect("nothing"),
        b""
    );
}

#[tokio::test]
async fn a_large_file_comes_in_pieces() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let text = "0123456789".repeat(100_000);
    desk.write("large", &text).await.expect("written");
    assert_eq!(desk.read("large").await.expect("bytes"), text.as_bytes());
}

#[tokio::test]
async fn reading_is_refused_with_a_reason() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("d/file", "x").await.expect("written");
    refused(desk.list("absent").await, Code::NotFound, "NOT_FOUND");
    refused(
        desk.list("d/file").await,
        Code::FailedPrecondition,
        "NOT_A_DIRECTORY",
    );
    refused(desk.get("absent").await, Code::NotFound, "NOT_FOUND");
    refused(desk.read("absent").await, Code::NotFound, "NOT_FOUND");
    refused(desk.read("d").await, Code::FailedPrecondition, "NOT_A_FILE");
    refused(
        desk.export("d/file").await,
        Code::FailedPrecondition,
        "NOT_A_DIRECTORY",
    );
    refused(desk.export("absent").await, Code::NotFound, "NOT_FOUND");
    let stale = desk.read_part("d/file", 0, 0, "0000").await;
    refused(stale, Code::Aborted, "STALE_ETAG");
    let negative = desk.read_part("d/file", -1, 0, "").await;
    refused(negative, Code::InvalidArgument, "INVALID_FIELDS");
    for path in [
        "/etc",
        "a/../b",
        "a//b",
        "a/",
        ".",
        "a\\b",
        "\\x41",
        ".membrane-commit/x",
    ] {
        refused(
            desk.list(path).await,
            Code::InvalidArgument,
            "INVALID_FIELDS",
        );
        refused(
            desk.get(path).await,
            Code::InvalidArgument,
            "INVALID_FIELDS",
        );
        refused(
            desk.write(path, "x").await,
            Code::InvalidArgument,
            "INVALID_FIELDS",
        );
    }
    refused(
        desk.page("", -1, "").await,
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    for token in ["x", "!", "BgU"] {
        refused(
            desk.page("", 0, token).await,
            Code::InvalidArgument,
            "INVALID_FIELDS",
        );
    }
}

#[tokio::test]
async fn writing_is_refused_with_a_reason() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let first = desk.write("file", "1").await.expect("written");
    let second = desk
        .write_if("file", "2", &first.etag, false)
        .await
        .expect("written");
    assert_ne!(first.etag, second.etag);
    refused(
        desk.write_if("file", "3", &first.etag, false).await,
        Code::Aborted,
        "STALE_ETAG",
    );
    refused(
        desk.write_if("file", "3", "", true).await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
    desk.create("d").await.expect("made");
    refused(
        desk.write("d", "x").await,
        Code::FailedPrecondition,
        "NOT_A_FILE",
    );
    refused(
        desk.write("file/x", "x").await,
        Code::FailedPrecondition,
        "NOT_A_DIRECTORY",
    );
    refused(
        desk.create("d").await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
    refused(
        desk.create("file/d").await,
        Code::FailedPrecondition,
        "NOT_A_DIRECTORY",
    );
    let large = "x".repeat((3 << 20) + 1);
    refused(
        desk.write("large", &large).await,
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    assert_eq!(desk.read("file").await.expect("bytes"), b"2");
    assert_eq!(desk.list("").await.expect("a list"), ["d", "file"]);
}

#[tokio::test]
async fn things_are_moved_and_copied_and_replace_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("a/file", "x").await.expect("written");
    desk.write("b", "y").await.expect("written");
    desk.rename("a", "new/a").await.expect("moved");
    desk.copy("new/a", "copy").await.expect("copied");
    assert_eq!(desk.read("copy/file").await.expect("bytes"), b"x");
    refused(
        desk.rename("b", "copy").await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
    refused(
        desk.copy("b", "copy").await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
    refused(
        desk.rename("absent", "c").await,
        Code::NotFound,
        "NOT_FOUND",
    );
    refused(desk.copy("absent", "c").await, Code::NotFound, "NOT_FOUND");
    refused(
        desk.rename("new", "new/x").await,
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    refused(
        desk.copy("new", "new/x").await,
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    refused(
        desk.rename("", "x").await,
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    let stale = proto::MoveFileRequest {
        workspace_id: desk.workspace.clone(),
        path: "b".to_owned(),
        new_path: "c".to_owned(),
        etag: "0000".to_owned(),
    };
    refused(
        desk.user.files().move_file(stale).await,
        Code::Aborted,
        "STALE_ETAG",
    );
}

#[tokio::test]
async fn what_was_deleted_comes_back_also_after_a_restart() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("d/file", "x").await.expect("written");
    let item = desk.delete("d").await.expect("deleted");
    assert_eq!(item.file.as_ref().expect("a file").path, "d");
    refused(desk.get("d").await, Code::NotFound, "NOT_FOUND");
    refused(desk.delete("d").await, Code::NotFound, "NOT_FOUND");
    refused(
        desk.delete("").await,
        Code::InvalidArgument,
        "INVALID_FIELDS",
    );
    let workspace = desk.workspace.clone();
    let directory = server.stop().await;
    let server = TestServer::start_in(directory).await;
    let user = server.user("another").await;
    server
        .set_role(&workspace, &user, membrane_server::authz::Role::Editor)
        .await;
    let desk = Desk { user, workspace };
    desk.write("d", "in the way").await.expect("written");
    refused(
        desk.restore(&item.id, "").await,
        Code::AlreadyExists,
        "ALREADY_EXISTS",
    );
    desk.restore(&item.id, "e").await.expect("restored");
    assert_eq!(desk.read("e/file").await.expect("bytes"), b"x");
    for id in [&item.id, "nonsense", "../../d", ""] {
        refused(desk.restore(id, "f").await, Code::NotFound, "NOT_FOUND");
    }
}

#[tokio::test]
async fn the_trash_is_listed_in_pages_and_emptied() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    for n in 0..5 {
        desk.write(&format!("{n}"), "x").await.expect("written");
        desk.delete(&format!("{n}")).await.expect("deleted");
    }
    let mut request = proto::ListTrashRequest {
        workspace_id: desk.workspace.clone(),
        page_size: 2,
        page_token: String::new(),
    };
    let mut seen = Vec::new();
    loop {
        let page = desk.user.files().list_trash(request.clone()).await;
        let page = page.expect("a page").into_inner();
        let files = page.items.into_iter().filter_map(|item| item.file);
        seen.extend(files.map(|file| file.path));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 5, "{seen:?}");
    request.page_token = "x".to_owned();
    let error = desk.user.files().list_trash(request).await;
    refused(error, Code::InvalidArgument, "INVALID_FIELDS");
    let empty = || proto::EmptyTrashRequest {
        workspace_id: desk.workspace.clone(),
    };
    for removed in [5, 0] {
        let answer = desk.user.files().empty_trash(empty()).await;
        assert_eq!(answer.expect("emptied").into_inner().removed_count, removed);
    }
}

#[tokio::test]
async fn a_directory_is_exported_as_an_archive() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.write("d/file", "hello").await.expect("written");
    desk.write("d/README", "1").await.expect("written");
    desk.write("d/readme", "2").await.expect("written");
    desk.create("d/empty").await.expect("made");
    let bytes = desk.export("d").await.expect("an archive");
    let archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("an archive");
    let names = archive
        .file_names()
        .map(|name| name.expect("a name").into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["README", "empty/", "file", "readme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_who_read_the_same_one_wins() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let read = desk.write("file", "read by all").await.expect("written");
    let texts: Vec<String> = (0..20).map(|n| format!("writer {n}")).collect();
    let writes = texts
        .iter()
        .map(|text| desk.write_if("file", text, &read.etag, false));
    let written = futures::future::join_all(writes).await;
    let winners: Vec<usize> = (0..20).filter(|n| written[*n].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let text = desk.read("file").await.expect("bytes");
    assert_eq!(text, texts[winners[0]].as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_made_for_a_few_at_a_time_and_for_nobody_who_left() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(8 << 20)
    .collect();
    std::fs::write(on_disk(&server, &desk.workspace).join("noise"), noise).expect("a file");
    let request = || proto::ExportFilesRequest {
        workspace_id: desk.workspace.clone(),
        path: String::new(),
    };
    let mut waiting = Vec::new();
    for _ in 0..16 {
        waiting.push(
            desk.user
                .files()
                .export_files(request())
                .await
                .expect("begun"),
        );
    }
    let one_more = desk.user.files().export_files(request()).await;
    refused(one_more.map(|_| ()), Code::ResourceExhausted, "EXPORTS");
    drop(waiting);
    let again = async {
        while desk.export("").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let made = tokio::time::timeout(crate::fixture::CAP, again).await;
    made.expect("the threads of those who left are free");
}

#[tokio::test]
async fn twenty_thousand_entries_are_listed_without_gap_or_duplicate() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    let many = on_disk(&server, &desk.workspace).join("many");
    std::fs::create_dir(&many).expect("a directory");
    for n in 0..20_000 {
        std::fs::File::create(many.join(format!("{n}"))).expect("a file");
    }
    let (mut seen, mut token) = (HashSet::new(), String::new());
    loop {
        let (files, next) = desk.page("many", 3_000, &token).await.expect("a page");
        assert!(files.len() <= 2_000);
        for file in files {
            assert!(seen.insert(file.path), "twice");
        }
        token = next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 20_000);
}
