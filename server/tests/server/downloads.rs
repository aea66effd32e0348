//! Files as a browser gets them: bytes, ranges, and nothing that runs.

use reqwest::{Client, Response, StatusCode};

use crate::{
    files::Desk,
    fixture::{Caller, TestServer},
};

struct Browser {
    server: TestServer,
    desk: Desk,
    caller: Caller,
}

impl Browser {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let desk = Desk::new(&server).await;
        let caller = server.in_browser(&desk.user).await;
        Self {
            server,
            desk,
            caller,
        }
    }

    async fn get(&self, what: &str, query: &[(&str, &str)], headers: &[(&str, &str)]) -> Response {
        let path = format!("/workspaces/{}/files/{what}", self.desk.workspace);
        let mut url = reqwest::Url::parse(&self.server.url(&path)).expect("an address");
        url.query_pairs_mut().extend_pairs(query);
        let mut request = Client::new()
            .get(url)
            .header("cookie", self.caller.cookie().expect("a cookie"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    }

    async fn raw(&self, path: &str) -> Response {
        self.get("raw", &[("path", path)], &[]).await
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name).expect("a header");
    value.to_str().expect("text")
}

#[tokio::test]
async fn only_images_and_pdf_are_shown_and_nothing_runs() {
    let browser = Browser::new().await;
    let script = "<script>alert(1)</script>";
    let svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\">{script}</svg>");
    let png = "\u{0}PNG by its name only";
    let cases = [
        (
            "page.html",
            script,
            "text/html; charset=utf-8",
            "attachment",
        ),
        (
            "script.js",
            script,
            "text/javascript; charset=utf-8",
            "attachment",
        ),
        ("drawing.svg", &svg, "image/svg+xml", "inline"),
        ("picture.png", png, "image/png", "inline"),
        (
            "text.txt",
            script,
            "text/plain; charset=utf-8",
            "attachment",
        ),
        ("letter.bin", "%PDF-1.7", "application/pdf", "inline"),
        ("unknown", script, "application/octet-stream", "attachment"),
    ];
    for (name, text, kind, how) in cases {
        browser.desk.write(name, text).await.expect("written");
        let answer = browser.raw(name).await;
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        assert_eq!(header(&answer, "content-type"), kind, "{name}");
        assert!(
            header(&answer, "content-disposition").starts_with(how),
            "{name}"
        );
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(
            header(&answer, "cross-origin-resource-policy"),
            "same-origin"
        );
        assert_eq!(header(&answer, "cache-control"), "no-store");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.starts_with("sandbox; default-src 'none';") && !policy.contains("script"));
        assert_eq!(answer.text().await.expect("a body"), text);
        let saved = browser
            .get("raw", &[("path", name), ("download", "1")], &[])
            .await;
        assert!(
            header(&saved, "content-disposition").starts_with("attachment"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_part_is_sent_and_an_etag_saves_the_way() {
    let browser = Browser::new().await;
    browser
        .desk
        .write("file", "0123456789")
        .await
        .expect("written");
    let get =
        async |headers: &[(&str, &str)]| browser.get("raw", &[("path", "file")], headers).await;
    let part = get(&[("range", "bytes=2-4")]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), "bytes 2-4/10");
    assert_eq!(header(&part, "content-length"), "3");
    let etag = header(&part, "etag").to_owned();
    assert_eq!(part.text().await.expect("a body"), "234");
    let beyond = get(&[("range", "bytes=10-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&beyond, "content-range"), "bytes */10");
    let known = get(&[("if-none-match", &etag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    browser
        .desk
        .write("file", "abcdefghij")
        .await
        .expect("written");
    let changed = get(&[("if-none-match", &etag)]).await;
    assert_eq!(changed.text().await.expect("a body"), "abcdefghij");
    let resumed = get(&[("range", "bytes=2-4"), ("if-range", &etag)]).await;
    assert_eq!(
        resumed.status(),
        StatusCode::OK,
        "the part of another file is of no use"
    );
}

#[tokio::test]
async fn a_hostile_name_stays_in_its_header() {
    let browser = Browser::new().await;
    let name = "\"a\r\nset-cookie: x=1\u{202e}.txt";
    browser.desk.write(name, "x").await.expect("written");
    let answer = browser.raw(name).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().get("set-cookie").is_none());
    let disposition = header(&answer, "content-disposition");
    assert!(
        disposition.ends_with("filename*=UTF-8''%22a__set-cookie%3A%20x%3D1_.txt"),
        "{disposition}"
    );
}

#[tokio::test]
async fn what_can_not_be_sent_is_refused_with_a_reason() {
    let browser = Browser::new().await;
    browser.desk.write("d/file", "x").await.expect("written");
    let cases = [
        ("raw", "absent", StatusCode::NOT_FOUND, "NOT_FOUND"),
        ("raw", "d", StatusCode::BAD_REQUEST, "NOT_A_FILE"),
        ("raw", "../d", StatusCode::BAD_REQUEST, "INVALID_FIELDS"),
        ("archive", "absent", StatusCode::NOT_FOUND, "NOT_FOUND"),
        (
            "archive",
            "d/file",
            StatusCode::BAD_REQUEST,
            "NOT_A_DIRECTORY",
        ),
        ("archive", "/", StatusCode::BAD_REQUEST, "INVALID_FIELDS"),
    ];
    for (what, path, status, reason) in cases {
        let answer = browser.get(what, &[("path", path)], &[]).await;
        assert_eq!(answer.status(), status, "{what} {path}");
        assert!(
            answer.text().await.expect("a body").contains(reason),
            "{what} {path}"
        );
    }
}

#[tokio::test]
async fn a_directory_is_saved_as_an_archive() {
    let browser = Browser::new().await;
    browser
        .desk
        .write("d/file", "hello")
        .await
        .expect("written");
    for (path, name) in [("d", "d.zip"), ("", "workspace.zip")] {
        let answer = browser.get("archive", &[("path", path)], &[]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "content-type"), "application/zip");
        let wanted = format!("attachment; filename=\"{name}\"");
        assert!(header(&answer, "content-disposition").starts_with(&wanted));
        let bytes = answer.bytes().await.expect("a body").to_vec();
        let archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("an archive");
        assert!(!archive.is_empty());
    }
}
