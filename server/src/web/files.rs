//! `GET /workspaces/{id}/files/raw` and `…/archive`: files as a browser shows or saves them. What
//! is in a workspace was written by anybody, so nothing of it may run: only images and PDF are
//! shown, under a policy that allows no script, and everything else is saved.

use axum::{
    body::Body,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, stream::once};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use membrane_files::TreePath;
use serde::Deserialize;

use super::Problem;
use crate::{
    authz::Operation,
    error::Error,
    files::{Chunks, Download, parse_path},
    id::WorkspaceId,
    server::App,
};

/// What may happen in a file that is opened as a page: nothing but showing it.
const POLICY: &str = "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'";
/// Bytes at the beginning by which a kind of file is known.
const HEAD: usize = 8_192;

/// What is asked for.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    path: String,
    /// `1` to save the file in any case.
    #[serde(default)]
    download: String,
}

/// Sends a file's bytes: 200, 206 for one range, 304 for an etag that the caller has, 416.
pub async fn raw(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let workspace = permit(&app, &headers, &id).await?;
    let path = parse_path("path", &wanted.path)?;
    let download = app.files.open(workspace, path.clone(), None).await?;
    let etag = format!("\"{}\"", download.entry().etag);
    if given(&headers, header::IF_NONE_MATCH).is_some_and(|known| knows(known, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let size = download.entry().size;
    let range = match range(&headers, &etag, size) {
        Wants::All => None,
        Wants::Part(first, last) => Some((first, last)),
        Wants::Nothing => return Ok(not_satisfiable(size)),
    };
    let kind = kind(&download, &path).await?;
    let save = wanted.download == "1" || !kind.is_shown();
    let disposition = disposition(if save { "attachment" } else { "inline" }, &name(&path));
    let mut response = body(download, range, size);
    let answer = response.headers_mut();
    set(answer, header::CONTENT_TYPE, &kind.0);
    set(answer, header::CONTENT_DISPOSITION, &disposition);
    set(answer, header::ETAG, &etag);
    set(answer, header::ACCEPT_RANGES, "bytes");
    careful(answer);
    Ok(response)
}

/// Sends a directory as a zip archive to be saved.
pub async fn archive(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let workspace = permit(&app, &headers, &id).await?;
    let path = parse_path("path", &wanted.path)?;
    let chunks = app.files.export(workspace, path.clone())?;
    let stem = if path.is_top() {
        "workspace".to_owned()
    } else {
        name(&path)
    };
    Ok(send_archive(chunks, &format!("{stem}.zip")).await?)
}

/// Sends a zip archive to be saved under a name. What can't even be begun is told in the head of
/// the answer.
pub async fn send_archive(mut chunks: Chunks, name: &str) -> Result<Response, Error> {
    let first = chunks.next().await.unwrap_or(Ok(bytes::Bytes::new()))?;
    let chunks = once(async { Ok(first) }).chain(chunks);
    let mut response = Response::new(Body::from_stream(chunks));
    let answer = response.headers_mut();
    set(answer, header::CONTENT_TYPE, "application/zip");
    set(
        answer,
        header::CONTENT_DISPOSITION,
        &disposition("attachment", name),
    );
    careful(answer);
    Ok(response)
}

async fn permit(app: &App, headers: &HeaderMap, id: &str) -> Result<WorkspaceId, Error> {
    let caller = app.authenticator.principal(headers).await?;
    let permit = app
        .permit_in(caller.as_ref(), Operation::ReadFiles, id)
        .await?;
    Ok(permit.workspace)
}

fn body(download: Download, range: Option<(u64, u64)>, size: u64) -> Response {
    let (first, length) = match range {
        None => (0, size),
        Some((first, last)) => (first, last - first + 1),
    };
    let mut response = Response::new(Body::from_stream(download.chunks(first, length)));
    set(
        response.headers_mut(),
        header::CONTENT_LENGTH,
        &length.to_string(),
    );
    if let Some((first, last)) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let part = format!("bytes {first}-{last}/{size}");
        set(response.headers_mut(), header::CONTENT_RANGE, &part);
    }
    response
}

fn not_satisfiable(size: u64) -> Response {
    let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
    (StatusCode::RANGE_NOT_SATISFIABLE, range).into_response()
}

fn careful(headers: &mut HeaderMap) {
    set(headers, header::CONTENT_SECURITY_POLICY, POLICY);
    set(headers, header::CACHE_CONTROL, "no-store");
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn given(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a list of etags has this one.
fn knows(known: &str, etag: &str) -> bool {
    let mut tags = known.split(',').map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// What of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wants {
    All,
    /// First and last byte.
    Part(u64, u64),
    Nothing,
}

/// Reads a header with one range. Several, and what is malformed, mean the whole file.
fn range(headers: &HeaderMap, etag: &str, size: u64) -> Wants {
    if given(headers, header::IF_RANGE).is_some_and(|known| known != etag) {
        return Wants::All;
    }
    let range = given(headers, header::RANGE).and_then(|range| range.strip_prefix("bytes="));
    range
        .and_then(|range| parse_range(range, size))
        .unwrap_or(Wants::All)
}

fn parse_range(range: &str, size: u64) -> Option<Wants> {
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let length = number(last)?.min(size);
        return Some(match length {
            0 => Wants::Nothing,
            length => Wants::Part(size - length, size - 1),
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < first {
        return None;
    }
    Some(match first < size {
        true => Wants::Part(first, last.min(size - 1)),
        false => Wants::Nothing,
    })
}

/// A media type.
struct MediaType(String);

impl MediaType {
    /// Whether a browser shows it here instead of saving it.
    fn is_shown(&self) -> bool {
        self.0.starts_with("image/") || self.0 == "application/pdf"
    }
}

/// What a file is: by its first bytes, or, if they say nothing, by its name.
async fn kind(download: &Download, path: &TreePath) -> Result<MediaType, Error> {
    let head = download.piece(0, HEAD).await?;
    let known = infer::get(&head).filter(|known| !known.mime_type().starts_with("text/"));
    if let Some(known) = known {
        return Ok(MediaType(known.mime_type().to_owned()));
    }
    let guess = mime_guess::from_path(name(path)).first_or_octet_stream();
    let text = match guess.type_() {
        mime_guess::mime::TEXT => format!("{guess}; charset=utf-8"),
        _ => guess.to_string(),
    };
    Ok(MediaType(text))
}

/// A file's name as text that is harmless in a list of downloads.
fn name(path: &TreePath) -> String {
    let name = path
        .split()
        .map(|(_, name)| name.to_string_lossy().into_owned());
    let harmless = |character: char| match character {
        '/'
        | '\\'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => '_',
        character if character.is_control() => '_',
        character => character,
    };
    name.unwrap_or_default().chars().map(harmless).collect()
}

/// RFC 6266: a name in ASCII for old programs, and in UTF-8 for all others.
fn disposition(how: &str, name: &str) -> String {
    let plain = |character: char| match character {
        '"' | '%' => '_',
        character if character.is_ascii() => character,
        _ => '_',
    };
    let ascii: String = name.chars().map(plain).collect();
    let encoded: String = name.bytes().map(encode).collect();
    format!("{how}; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// RFC 5987: everything but letters, digits and a few signs as `%` and two digits.
fn encode(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
        return char::from(byte).to_string();
    }
    format!("%{byte:02X}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_others_mean_everything() {
        let cases = [
            ("0-3", Some(Wants::Part(0, 3))),
            ("4-", Some(Wants::Part(4, 9))),
            ("-4", Some(Wants::Part(6, 9))),
            ("-99", Some(Wants::Part(0, 9))),
            ("5-99999999999999999999999", Some(Wants::Part(5, 9))),
            ("10-", Some(Wants::Nothing)),
            ("-0", Some(Wants::Nothing)),
            ("3-2", None),
            ("0-1,3-4", None),
            ("+1-2", None),
            ("-", None),
            ("x", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_range(text, 10), wanted, "{text}");
        }
    }

    #[test]
    fn a_hostile_name_can_not_leave_its_header() {
        let path = TreePath::from_bytes("d/a\"b\r\n\u{202e}é%;.txt".as_bytes()).expect("a path");
        let header = disposition("attachment", &name(&path));
        assert_eq!(
            header,
            "attachment; filename=\"a_b_____;.txt\"; filename*=UTF-8''a%22b___%C3%A9%25%3B.txt"
        );
    }
}
