use membrane_proto::v1::tool_content::Kind;
use serde_json::json;

use crate::support::{Bench, bad, file_read, good, text};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

fn numbered(count: usize) -> String {
    (1..=count)
        .map(|number| format!("line {number}\n"))
        .collect()
}

#[tokio::test]
async fn lines_are_numbered() {
    let bench = Bench::without_sandbox();
    bench.put("a.txt", "one\ntwo\n\nfour");
    for path in [
        "/workspace/a.txt",
        "a.txt",
        "./x/../a.txt",
        "/workspace/../workspace/a.txt",
    ] {
        let output = bench.read(path).await;
        assert_eq!(
            good(&output),
            "     1\tone\n     2\ttwo\n     3\t\n     4\tfour\n",
            "{path}"
        );
        let detail = file_read(&output);
        assert_eq!(detail.path, "/workspace/a.txt");
        assert_eq!(
            (detail.first_line, detail.line_count, detail.total_lines),
            (1, 4, 4)
        );
    }
}

#[tokio::test]
async fn files_in_home_are_read_by_their_own_path() {
    let bench = Bench::without_sandbox();
    std::fs::write(bench.home("notes"), "mine\n").expect("a file");
    assert_eq!(
        good(&bench.read("/home/agent/notes").await),
        "     1\tmine\n"
    );
}

#[tokio::test]
async fn over_two_thousand_lines_the_first_page_comes_with_a_partial_notice() {
    let bench = Bench::without_sandbox();
    bench.put("long.txt", numbered(2500));
    let output = bench.read("long.txt").await;
    let text = good(&output);
    assert!(
        text.starts_with(
            "PARTIAL: lines 1 to 2000 of 2500. Go on with offset 2001.\n     1\tline 1\n"
        ),
        "{}",
        &text[..200]
    );
    assert!(text.ends_with("  2000\tline 2000\n"));
    assert_eq!(file_read(&output).total_lines, 2500);
}

#[tokio::test]
async fn offset_and_limit_choose_the_lines() {
    let bench = Bench::without_sandbox();
    bench.put("long.txt", numbered(50));
    let page = json!({ "file_path": "long.txt", "offset": 10, "limit": 2 });
    let output = bench.call("Read", page).await;
    assert_eq!(
        good(&output),
        "PARTIAL: lines 10 to 11 of 50. Go on with offset 12.\n    10\tline 10\n    11\tline 11\n"
    );
    let last = json!({ "file_path": "long.txt", "offset": 50 });
    assert_eq!(
        good(&bench.call("Read", last).await),
        "PARTIAL: lines 50 to 50 of 50.\n    50\tline 50\n"
    );
    let beyond = json!({ "file_path": "long.txt", "offset": 51 });
    assert!(bad(&bench.call("Read", beyond).await).contains("has only 50 lines"));
}

#[tokio::test]
async fn a_page_is_bounded_in_characters_too() {
    let bench = Bench::without_sandbox();
    bench.put("wide.txt", format!("{}\n", "w".repeat(1500)).repeat(1000));
    let text = good(&bench.read("wide.txt").await);
    assert!(text.chars().count() <= 100_100, "{}", text.chars().count());
    assert!(
        text.starts_with("PARTIAL: lines 1 to 66 of 1000. Go on with offset 67."),
        "{}",
        &text[..100]
    );
}

#[tokio::test]
async fn long_lines_are_cut_and_say_so() {
    let bench = Bench::without_sandbox();
    bench.put("one.txt", format!("{}\nnext\n", "é".repeat(500_000)));
    let text = good(&bench.read("one.txt").await);
    assert_eq!(text.matches('é').count(), 2000);
    assert!(
        text.contains("[cut: the line has 1000000 bytes]\n     2\tnext\n"),
        "{}",
        &text[4000..]
    );
}

#[tokio::test]
async fn carriage_returns_at_line_ends_are_not_shown() {
    let bench = Bench::without_sandbox();
    bench.put("dos.txt", "one\r\ntwo\r\n");
    assert_eq!(
        good(&bench.read("dos.txt").await),
        "     1\tone\n     2\ttwo\n"
    );
}

#[tokio::test]
async fn an_empty_file_says_that_it_is_empty() {
    let bench = Bench::without_sandbox();
    bench.put("none", "");
    assert_eq!(good(&bench.read("none").await), "/workspace/none is empty.");
}

#[tokio::test]
async fn what_is_not_a_text_file_is_an_error_that_says_what_it_is() {
    let bench = Bench::without_sandbox();
    bench.put("dir/file", "x");
    bench.put("data.bin", b"abc\0def");
    bench.put("paper.pdf", b"%PDF-1.7\nplain so far");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bench.file("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .expect("a fifo");
    let _socket = std::os::unix::net::UnixListener::bind(bench.file("sock")).expect("a socket");
    for (path, words) in [
        ("dir", "is a directory"),
        (".", "/workspace is a directory"),
        ("data.bin", "is a binary file (of unknown type)"),
        ("paper.pdf", "is a binary file (application/pdf)"),
        ("pipe", "is not a regular file"),
        ("sock", "/workspace/sock could not be used"),
        ("missing", "/workspace/missing does not exist"),
        (
            "dir/file/below",
            "is below something that is not a directory",
        ),
        (
            "/etc/passwd",
            "/etc/passwd is outside of /workspace and /home/agent",
        ),
        ("../../etc/passwd", "/etc/passwd is outside"),
        ("/workspacefoo", "is outside"),
        ("", "is empty"),
        ("a\0b", "NUL"),
    ] {
        let said = bad(&bench.read(path).await);
        assert!(said.contains(words), "{path}: {said}");
    }
}

#[tokio::test]
async fn images_are_shown_as_images_whatever_their_name() {
    let bench = Bench::without_sandbox();
    bench.put("picture", PNG);
    bench.put("moving.gif", b"GIF89a\x01\0\x01\0\0\0\0;");
    bench.put("photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0");
    bench.put("modern.webp", b"RIFF\x1a\0\0\0WEBPVP8 ");
    for (path, media_type) in [
        ("picture", "image/png"),
        ("moving.gif", "image/gif"),
        ("photo.jpg", "image/jpeg"),
        ("modern.webp", "image/webp"),
    ] {
        let output = bench.read(path).await;
        good(&output);
        let Some(Kind::Image(image)) = &output.content[0].kind else {
            panic!("{path} is not an image: {output:?}");
        };
        assert_eq!(image.media_type, media_type);
        assert_eq!(
            image.data,
            std::fs::read(bench.file(path)).expect("the file")
        );
        assert_eq!(file_read(&output).path, format!("/workspace/{path}"));
    }
}

#[tokio::test]
async fn an_image_over_the_limit_is_an_error() {
    let bench = Bench::without_sandbox();
    let mut image = PNG.to_vec();
    image.resize(3_750_000, 0);
    bench.put("fits.png", &image);
    good(&bench.read("fits.png").await);
    image.push(0);
    bench.put("large.png", &image);
    assert!(bad(&bench.read("large.png").await).contains("over 3.75 MB"));
}

#[tokio::test]
async fn notebooks_are_read_cell_by_cell_with_their_output() {
    let bench = Bench::without_sandbox();
    let notebook = json!({ "cells": [
        { "cell_type": "markdown", "source": ["# Title\n", "words"] },
        { "cell_type": "code", "source": "plot()", "outputs": [
            { "output_type": "stream", "text": ["drawn\n"] },
            { "output_type": "display_data", "data": { "image/png": "iVBORw0KGgo=\n", "text/plain": "<fig>" } },
            { "output_type": "error", "traceback": ["Boom"] },
        ] },
    ] });
    bench.put("n.ipynb", notebook.to_string());
    let output = bench.read("n.ipynb").await;
    let said = good(&output);
    assert!(
        said.starts_with("[cell 1: markdown]\n# Title\nwords\n[cell 2: code]\nplot()\n"),
        "{said}"
    );
    assert!(
        said.contains("drawn\n") && said.contains("<fig>") && said.contains("Boom"),
        "{said}"
    );
    let images = output
        .content
        .iter()
        .filter(|content| matches!(content.kind, Some(Kind::Image(_))));
    assert_eq!(images.count(), 1);
    let second = bench
        .call("Read", json!({ "file_path": "n.ipynb", "offset": 2 }))
        .await;
    assert!(
        text(&second).starts_with("PARTIAL: cells 2 to 2 of 2.\n[cell 2: code]"),
        "{}",
        text(&second)
    );
    bench.put("broken.ipynb", "{");
    assert!(bad(&bench.read("broken.ipynb").await).contains("not valid JSON"));
}

#[tokio::test]
async fn hostile_names_are_shown_escaped() {
    let bench = Bench::without_sandbox();
    bench.put("a\nb\u{202e}c", "x\n");
    let output = bench.read("a\nb\u{202e}c").await;
    good(&output);
    assert_eq!(
        file_read(&output).path,
        "$'/workspace/a\\x0ab\\xe2\\x80\\xaec'"
    );
}

#[tokio::test]
async fn input_that_is_not_as_declared_is_an_error_that_names_the_field() {
    let bench = Bench::without_sandbox();
    for (input, field) in [
        (json!({}), "file_path"),
        (json!({ "file_path": 1 }), "expected a string"),
        (json!({ "file_path": "a", "pages": "1" }), "pages"),
        (json!({ "file_path": "a", "offset": -1 }), "-1"),
        (json!(null), "null"),
    ] {
        let said = bad(&bench.call("Read", input.clone()).await);
        assert!(said.contains(field), "{input}: {said}");
    }
}
