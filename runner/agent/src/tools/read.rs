//! The tool Read.

use std::io::{Cursor, Read as _};

use cap_std::fs::File;
use membrane_proto::v1::tool_result::Detail;
use membrane_proto::v1::{FileReadDetail, Image, ToolContent, tool_content};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::failure::{Answer, Failure};
use super::paths::Place;
use super::{Shared, ToolOutput, lines, notebook, text_content};
use crate::images;

const LINES_DEFAULT: usize = 2000;
/// Enough to tell what a file is.
const BEGINNING_BYTES: u64 = 8 * 1024;

/// Input of Read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    file_path: String,
    offset: Option<usize>,
    limit: Option<usize>,
}

/// Which part of a file was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The first line or cell, counted from 1.
    pub(super) first: usize,
    /// At most so many.
    pub(super) limit: usize,
}

/// Reads a file.
pub(super) fn read(shared: &Shared, input: Read, cancel: &CancellationToken) -> Answer {
    let place = Place::parse(&input.file_path)?;
    let (mut file, metadata) = shared.roots.file(&place)?;
    let shown = place.shown();
    let mut beginning = Vec::new();
    let sniffed = (&mut file)
        .take(BEGINNING_BYTES)
        .read_to_end(&mut beginning);
    sniffed.map_err(|error| Failure::io(&shown, &error))?;

    let span = Span {
        first: input.offset.unwrap_or(1).max(1),
        limit: input.limit.unwrap_or(LINES_DEFAULT).max(1),
    };
    let mut output = if let Some(media_type) = images::media_type(&beginning) {
        image(media_type, beginning, file, &shown)?
    } else if shown.ends_with(".ipynb") {
        notebook::read(beginning, file, span, &shown)?
    } else if let Some(kind) = binary_kind(&beginning) {
        return Err(Failure::new(format!(
            "{shown} is a binary file ({kind}), not text."
        )));
    } else {
        text(beginning, file, span, &shown, cancel)?
    };
    if let Some(Detail::FileRead(detail)) = &mut output.detail {
        detail.path = shown;
    }
    let real = shared.roots.real(&place).unwrap_or(place);
    shared.seen.remember(real, (&metadata).into());
    Ok(output)
}

/// What kind of binary file it is; none for text.
fn binary_kind(beginning: &[u8]) -> Option<&'static str> {
    let known =
        infer::get(beginning).filter(|kind| kind.matcher_type() != infer::MatcherType::Text);
    let known = known.map(|kind| kind.mime_type());
    let binary = !membrane_files::is_text(beginning) || known == Some("application/pdf");
    binary.then(|| known.unwrap_or("of unknown type"))
}

fn image(media_type: &str, beginning: Vec<u8>, file: File, shown: &str) -> Answer {
    let data = whole(beginning, file, images::MAX_BYTES, shown)?;
    let data = data.ok_or_else(|| {
        Failure::new(format!(
            "{shown} is an image over 3.75 MB. Make it smaller with Bash first."
        ))
    })?;
    let image = Image {
        media_type: media_type.to_owned(),
        data: data.into(),
    };
    Ok(ToolOutput {
        content: vec![ToolContent {
            kind: Some(tool_content::Kind::Image(image)),
        }],
        detail: Some(Detail::FileRead(FileReadDetail::default())),
        ..ToolOutput::default()
    })
}

/// The whole of a file whose beginning is read already; none if it is over `limit` bytes.
pub(super) fn whole(
    beginning: Vec<u8>,
    file: File,
    limit: usize,
    shown: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut data = beginning;
    let room = (limit + 1).saturating_sub(data.len());
    file.take(room as u64)
        .read_to_end(&mut data)
        .map_err(|error| Failure::io(shown, &error))?;
    Ok((data.len() <= limit).then_some(data))
}

fn text(
    beginning: Vec<u8>,
    file: File,
    span: Span,
    shown: &str,
    cancel: &CancellationToken,
) -> Answer {
    let mut reader = Cursor::new(beginning).chain(file);
    let page = lines::page(&mut reader, span.first, span.limit, cancel)
        .map_err(|error| Failure::io(shown, &error))?;
    if page.total == Some(0) {
        return Ok(answer(format!("{shown} is empty."), 0, 0, 0));
    }
    if page.count == 0 {
        return Err(match page.total {
            Some(total) => Failure::new(format!("{shown} has only {total} lines.")),
            None => Failure::new(format!(
                "{shown} is too large to be read from that line on."
            )),
        });
    }
    let next = span.first + page.count;
    let total = page.total.unwrap_or(0);
    let text = match page.total {
        Some(total) if next > total && span.first == 1 => page.text,
        _ => partial("lines", span.first, next, page.total) + &page.text,
    };
    Ok(answer(text, span.first, page.count, total))
}

/// Says that there is more than what follows. `next` is the first line or cell that is not shown.
pub(super) fn partial(unit: &str, first: usize, next: usize, total: Option<usize>) -> String {
    let last = next - 1;
    let of = total.map_or("an unknown number".to_owned(), |total| total.to_string());
    let more = match total {
        Some(total) if next > total => String::new(),
        _ => format!(" Go on with offset {next}."),
    };
    format!("PARTIAL: {unit} {first} to {last} of {of}.{more}\n")
}

/// An answer of text; the path is added by the caller.
pub(super) fn answer(text: String, first: usize, count: usize, total: usize) -> ToolOutput {
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    ToolOutput {
        content: vec![text_content(text)],
        detail: Some(Detail::FileRead(FileReadDetail {
            path: String::new(),
            first_line: number(first),
            line_count: number(count),
            total_lines: number(total),
        })),
        ..ToolOutput::default()
    }
}
