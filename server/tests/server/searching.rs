//! FindFiles and SearchFiles: what they find, each of their named errors, and that a search nobody
//! reads ends.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use membrane_proto::v1::{self as proto, search_files_response::Part};
use membrane_server::id::WorkspaceId;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use crate::fixture::{Caller, TestServer};

/// A workspace whose files are written from outside, as an agent does.
struct Library {
    user: Caller,
    workspace: String,
    top: PathBuf,
}

impl Library {
    async fn new(server: &TestServer) -> Self {
        let user = server.user("user").await;
        let workspace = user.new_workspace().await;
        let id = WorkspaceId(Uuid::parse_str(&workspace).expect("an id"));
        let top = server.app.places.place(id).files;
        Self {
            user,
            workspace,
            top,
        }
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.top.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(path, text).expect("written");
    }

    fn request(&self, pattern: &str) -> proto::SearchFilesRequest {
        proto::SearchFilesRequest {
            workspace_id: self.workspace.clone(),
            pattern: pattern.to_owned(),
            ..Default::default()
        }
    }

    async fn begin(
        &self,
        request: proto::SearchFilesRequest,
    ) -> Result<Streaming<proto::SearchFilesResponse>, Status> {
        Ok(self.user.files().search_files(request).await?.into_inner())
    }

    /// Each line that has a match as `path:number:text`, sorted, and the summary.
    async fn search(
        &self,
        request: proto::SearchFilesRequest,
    ) -> Result<(Vec<String>, proto::SearchSummary), Status> {
        let mut parts = self.begin(request).await?;
        let mut lines = Vec::new();
        loop {
            let part = parts.message().await?.and_then(|answer| answer.part);
            match part.expect("a summary at the end") {
                Part::Summary(summary) => {
                    lines.sort();
                    return Ok((lines, summary));
                }
                Part::File(file) => {
                    let matched = file.lines.iter().filter(|line| line.matched);
                    let shown = |line: &proto::SearchLine| {
                        format!("{}:{}:{}", file.path, line.number, line.text)
                    };
                    lines.extend(matched.map(shown));
                }
            }
        }
    }

    async fn find(&self, query: &str, include_ignored: bool) -> Vec<String> {
        let request = proto::FindFilesRequest {
            workspace_id: self.workspace.clone(),
            query: query.to_owned(),
            include_ignored,
            max_results: 0,
        };
        let answer = self.user.files().find_files(request).await;
        let files = answer.expect("an answer").into_inner().files;
        files.into_iter().map(|file| file.path).collect()
    }
}

#[tokio::test]
async fn a_search_streams_what_it_finds_and_ends_with_a_summary() {
    let server = TestServer::start().await;
    let library = Library::new(&server).await;
    library.put("src/one.rs", "fn needle() {}\n");
    library.put("src/two.txt", "no\nthe Needle\n");
    library.put("target/three.rs", "needle\n");
    library.put(".gitignore", "target/\n");

    let (lines, summary) = library
        .search(library.request("needle"))
        .await
        .expect("found");
    assert_eq!(
        lines,
        ["src/one.rs:1:fn needle() {}", "src/two.txt:2:the Needle"]
    );
    assert_eq!((summary.match_count, summary.truncated), (2, false));

    let narrow = proto::SearchFilesRequest {
        regex: true,
        include: vec!["*.rs".to_owned()],
        include_ignored: true,
        ..library.request("^n.+e$")
    };
    let (lines, _) = library.search(narrow).await.expect("found");
    assert_eq!(lines, ["target/three.rs:1:needle"]);
}

#[tokio::test]
async fn what_can_not_be_understood_is_named() {
    let server = TestServer::start().await;
    let library = Library::new(&server).await;
    let fine = library.request("a");
    let globs = |glob: &str| vec![glob.to_owned()];
    let cases = [
        ("pattern", library.request("")),
        (
            "pattern",
            proto::SearchFilesRequest {
                regex: true,
                ..library.request("(")
            },
        ),
        ("pattern", library.request(&"a".repeat(1_001))),
        (
            "include",
            proto::SearchFilesRequest {
                include: globs("{a"),
                ..fine.clone()
            },
        ),
        (
            "exclude",
            proto::SearchFilesRequest {
                exclude: globs("!a"),
                ..fine.clone()
            },
        ),
        (
            "path",
            proto::SearchFilesRequest {
                path: "../a".to_owned(),
                ..fine.clone()
            },
        ),
        (
            "context_lines",
            proto::SearchFilesRequest {
                context_lines: 11,
                ..fine.clone()
            },
        ),
        (
            "max_matches",
            proto::SearchFilesRequest {
                max_matches: -1,
                ..fine.clone()
            },
        ),
    ];
    for (field, request) in cases {
        let status = library.begin(request).await.expect_err(field);
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        assert!(status.message().starts_with(field), "{}", status.message());
    }
    let nowhere = proto::SearchFilesRequest {
        path: "nowhere".to_owned(),
        ..fine
    };
    let status = library.search(nowhere).await.expect_err("nothing is there");
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn nothing_outside_is_read_and_nothing_in_git_is_started() {
    let server = TestServer::start().await;
    let library = Library::new(&server).await;
    let outside = server.directory.path().join("outside");
    std::fs::create_dir(&outside).expect("a directory");
    std::fs::write(outside.join("secret"), "needle").expect("a file");
    symlink(&outside, library.top.join("away")).expect("a link");
    symlink(outside.join("secret"), library.top.join("file")).expect("a link");
    let touch = format!("touch {}", outside.join("started").display());
    library.put(
        ".git/config",
        format!("[core]\n\tfsmonitor = {touch}\n[diff \"x\"]\n\ttextconv = {touch}\n"),
    );
    library.put(".gitattributes", "* diff=x filter=x\n");
    library.put("notes.md", "needle\n");

    let (lines, _) = library
        .search(library.request("needle"))
        .await
        .expect("found");
    assert_eq!(lines, ["notes.md:1:needle"]);
    for path in ["away", "file"] {
        let led_out = proto::SearchFilesRequest {
            path: path.to_owned(),
            ..library.request("needle")
        };
        let status = library.search(led_out).await.expect_err("it leads out");
        assert_eq!(status.code(), Code::NotFound, "{path}");
    }
    assert_eq!(library.find("secret", true).await, [""; 0]);
    assert!(!outside.join("started").exists());
}

#[tokio::test]
async fn entries_are_found_by_parts_of_their_paths() {
    let server = TestServer::start().await;
    let library = Library::new(&server).await;
    library.put("server/src/main.rs", "");
    library.put("server/main/readme.md", "");
    library.put("node_modules/main.rs", "");
    library.put(".git/main.rs", "");
    assert_eq!(library.find("mainrs", false).await[0], "server/src/main.rs");
    assert!(
        !library
            .find("main", false)
            .await
            .contains(&"node_modules/main.rs".to_owned())
    );
    assert!(
        library
            .find("main", true)
            .await
            .contains(&".git/main.rs".to_owned())
    );
    assert_eq!(library.find(" ", true).await, [""; 0]);
}

/// More searches than may run at the same time are begun and left; each has more to say than fits
/// into any buffer. If they went on, the last would wait for ever.
#[tokio::test]
async fn a_search_that_nobody_reads_ends() {
    let server = TestServer::start().await;
    let library = Library::new(&server).await;
    for number in 0..20 {
        library.put(
            &format!("file{number}"),
            format!("{}\n", "a".repeat(499)).repeat(500),
        );
    }
    let endless = proto::SearchFilesRequest {
        max_matches: 10_000,
        regex: true,
        ..library.request("a+")
    };
    for _ in 0..12 {
        let mut parts = library.begin(endless.clone()).await.expect("begun");
        let first = tokio::time::timeout(crate::fixture::CAP, parts.message()).await;
        assert!(first.expect("in time").expect("no error").is_some());
    }
}
