//! Previews: what a file is, part by part, and what only pretends.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use membrane_proto::v1::{self as proto, CodeKind, preview::Kind};
use tonic::Code;

use super::{Desk, on_disk, refused};
use crate::fixture::TestServer;

/// A workspace, and where its files are.
async fn desk(server: &TestServer) -> (Desk, PathBuf) {
    let desk = Desk::new(server).await;
    let directory = on_disk(server, &desk.workspace);
    (desk, directory)
}

async fn text(desk: &Desk, path: &str, page_token: &str) -> proto::TextPreview {
    match desk.preview(path, page_token).await.expect("a preview") {
        Kind::Text(text) => text,
        other => panic!("not a text: {other:?}"),
    }
}

async fn table(desk: &Desk, path: &str, page_token: &str) -> proto::TablePreview {
    match desk.preview(path, page_token).await.expect("a preview") {
        Kind::Table(table) => table,
        other => panic!("not a table: {other:?}"),
    }
}

#[tokio::test]
async fn code_comes_in_lines_with_colours() {
    let server = TestServer::start().await;
    let (desk, _) = desk(&server).await;
    let source = "// é\r\nfn main() {}\n\nlast";
    desk.write("src/main.rs", source).await.expect("written");
    let text = text(&desk, "src/main.rs", "").await;
    let lines: Vec<&str> = text.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["// é", "fn main() {}", "", "last"]);
    assert_eq!((text.language.as_str(), text.first_line), ("Rust", 1));
    let comment = &text.lines[0].spans[0];
    assert_eq!((comment.length, comment.kind()), (5, CodeKind::Comment));
    assert_eq!(text.lines[1].spans[0].kind(), CodeKind::Keyword);
    assert_eq!(text.next_page_token, "");
}

#[tokio::test]
async fn a_large_text_comes_part_by_part() {
    let server = TestServer::start().await;
    let (desk, directory) = desk(&server).await;
    let lines: Vec<String> = (1..=200_000).map(|n| format!("line {n} ü")).collect();
    fs::write(directory.join("log"), lines.join("\n")).expect("written");
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let part = text(&desk, "log", &token).await;
        assert_eq!(part.first_line as usize, seen.len() + 1);
        assert!(part.lines.len() <= 5_000);
        seen.extend(part.lines.into_iter().map(|line| line.text));
        token = part.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert!(seen == lines, "a line is missing or comes twice");
}

#[tokio::test]
async fn colours_go_on_in_the_next_part() {
    let server = TestServer::start().await;
    let (desk, _) = desk(&server).await;
    let source = format!("/*\n{}*/\n", "a comment\n".repeat(6_000));
    desk.write("a.c", &source).await.expect("written");
    let first = text(&desk, "a.c", "").await;
    let second = text(&desk, "a.c", &first.next_page_token).await;
    assert_eq!(second.lines[0].spans[0].kind(), CodeKind::Comment);
}

#[tokio::test]
async fn a_huge_line_is_cut_and_passed_over() {
    let server = TestServer::start().await;
    let (desk, directory) = desk(&server).await;
    let bytes = [vec![b'a'; 70 << 20], b"\nend".to_vec()].concat();
    fs::write(directory.join("one-line.json"), bytes).expect("written");
    let (mut token, mut parts) = (String::new(), 0);
    let last = loop {
        let part = text(&desk, "one-line.json", &token).await;
        parts += 1;
        if part.next_page_token.is_empty() {
            break part;
        }
        let line = &part.lines[0];
        assert!(line.cut && line.text.len() == 10_000 && part.first_line == 1);
        token = part.next_page_token;
    };
    assert_eq!((last.lines[0].text.as_str(), last.first_line), ("end", 2));
    assert_eq!(parts, 3);
}

#[tokio::test]
async fn tables_have_rows_of_any_length() {
    let server = TestServer::start().await;
    let (desk, directory) = desk(&server).await;
    fs::write(
        directory.join("a.csv"),
        b"name,n\n\"a, \"\"b\"\"\nc\",1,2\n\xff\n",
    )
    .expect("written");
    let rows = table(&desk, "a.csv", "").await.rows;
    let cells: Vec<Vec<String>> = rows.into_iter().map(|row| row.cells).collect();
    assert_eq!(
        cells,
        [
            vec!["name", "n"],
            vec!["a, \"b\"\nc", "1", "2"],
            vec!["\u{fffd}"]
        ]
    );
}

#[tokio::test]
async fn a_large_table_comes_part_by_part() {
    let server = TestServer::start().await;
    let (desk, directory) = desk(&server).await;
    let rows: Vec<String> = (1..=1_234).map(|n| format!("{n};\"x\ny\"")).collect();
    fs::write(directory.join("a.csv"), rows.join("\r\n")).expect("written");
    let (mut seen, mut token) = (0, String::new());
    loop {
        let part = table(&desk, "a.csv", &token).await;
        for row in &part.rows {
            seen += 1;
            assert_eq!(row.cells, [seen.to_string(), "x\ny".to_owned()]);
        }
        assert_eq!(part.first_row, seen - part.rows.len() as i64 + 1);
        token = part.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, 1_234);
}

#[tokio::test]
async fn what_only_pretends_is_text_or_bytes() {
    let server = TestServer::start().await;
    let (desk, directory) = desk(&server).await;
    let quote = format!("a,b\n\"{}", "x".repeat(5 << 20));
    let deep = format!("{{\"nbformat\":4,\"cells\":{}", "[".repeat(1_000_000));
    let wrong = r#"{"nbformat": 4, "cells": "none"}"#;
    for (name, bytes) in [("deep.ipynb", deep.as_str()), ("wrong.ipynb", wrong)] {
        fs::write(directory.join(name), bytes).expect("written");
        let kind = desk.preview(name, "").await.expect("a preview");
        assert!(matches!(kind, Kind::Text(_)), "{name}: {kind:?}");
    }
    fs::write(directory.join("quote.csv"), quote).expect("written");
    let first = table(&desk, "quote.csv", "").await;
    assert_eq!(first.rows.len(), 1);
    // What follows is no row that one could show, so it goes on as text.
    let rest = text(&desk, "quote.csv", &first.next_page_token).await;
    assert_eq!(rest.first_line, 2);
    fs::write(directory.join("a.png"), b"\x7fELF\0\0").expect("written");
    let Kind::Binary(binary) = desk.preview("a.png", "").await.expect("a preview") else {
        panic!("not bytes");
    };
    assert_eq!(&binary.head[..], b"\x7fELF\0\0");
}

#[tokio::test]
async fn a_notebook_has_cells_and_no_markup() {
    let server = TestServer::start().await;
    let (desk, _) = desk(&server).await;
    let notebook = r##"{"nbformat": 4, "metadata": {"language_info": {"name": "python"}}, "cells": [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {"cell_type": "code", "source": "x = 1 # one", "execution_count": 3, "outputs": [
            {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>"}}]}]}"##;
    desk.write("a.ipynb", notebook).await.expect("written");
    let Kind::Notebook(notebook) = desk.preview("a.ipynb", "").await.expect("a preview") else {
        panic!("not a notebook");
    };
    assert_eq!(notebook.cells[0].source, "# Title\ntext");
    let code = &notebook.cells[1];
    assert_eq!(
        (code.execution_count, code.lines[0].text.as_str()),
        (3, "x = 1 # one")
    );
    assert!(
        code.lines[0]
            .spans
            .iter()
            .any(|span| span.kind() == CodeKind::Comment)
    );
    let hidden = proto::notebook_output::Kind::Hidden("text/html".to_owned());
    assert_eq!(code.outputs[0].kind, Some(hidden));
}

#[tokio::test]
async fn a_part_of_another_version_is_refused() {
    let server = TestServer::start().await;
    let (desk, _) = desk(&server).await;
    desk.write("a", &"x\n".repeat(6_000))
        .await
        .expect("written");
    let token = text(&desk, "a", "").await.next_page_token;
    desk.write("a", &"y\n".repeat(6_000))
        .await
        .expect("written");
    refused(desk.preview("a", &token).await, Code::Aborted, "STALE_ETAG");
    let foreign = desk.preview("a", "AAAA").await;
    assert_eq!(foreign.expect_err("refused").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn only_files_in_the_tree_have_one() {
    let server = TestServer::start().await;
    let (desk, directory) = desk(&server).await;
    desk.write("d/file", "text").await.expect("written");
    symlink("d/file", directory.join("inside")).expect("a link");
    symlink("/etc/hostname", directory.join("outside")).expect("a link");
    rustix::fs::mkfifoat(rustix::fs::CWD, directory.join("pipe"), 0o600.into()).expect("a pipe");
    assert_eq!(text(&desk, "inside", "").await.lines[0].text, "text");
    refused(
        desk.preview("outside", "").await,
        Code::NotFound,
        "NOT_FOUND",
    );
    refused(desk.preview("none", "").await, Code::NotFound, "NOT_FOUND");
    for path in ["d", "pipe"] {
        let refusal = desk.preview(path, "").await;
        refused(refusal, Code::FailedPrecondition, "NOT_A_FILE");
    }
}
