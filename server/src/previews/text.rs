//! Text, part by part: however large the file and however long its lines, a part costs little.

use membrane_files::root::{self, Etag, Reader};
use membrane_proto::v1::{CodeLine, TextPreview};

use super::{
    Place,
    highlight::{Highlighter, paint},
};
use crate::page;

/// Bytes of a part.
const PART: usize = 512 << 10;
/// Lines of a part.
const LINES: usize = 5_000;
/// Bytes of a line that are shown.
const LINE: usize = 10_000;
/// Largest file that has colours, in bytes: a later part needs all before it.
const COLOURED: u64 = 1 << 20;
/// Bytes of one line that are passed over for one part.
const SKIPPED: u64 = 64 << 20;
/// Bytes that are read at once for it.
const STEP: usize = 1 << 20;
/// Tag of page tokens.
pub const TAG: u8 = 10;

/// A part of a text.
pub(super) fn text(
    reader: &Reader,
    name: &str,
    place: Option<&Place>,
) -> Result<TextPreview, root::Error> {
    let (start, first) = place.map_or((0, 1), |place| (place.offset, place.number));
    let bytes = reader.read_at(start, PART)?;
    let is_last = start + bytes.len() as u64 >= reader.entry.size;
    let Part { mut lines, mut end } = split(&bytes, is_last);
    let mut next = first + lines.len() as u64;
    if end == bytes.len() as u64 && lines.len() == 1 && !is_last {
        let (skipped, ended) = skip(reader, start + end)?;
        end += skipped;
        // The same line goes on in the next part.
        next -= u64::from(!ended);
    }
    let language = colour(reader, name, start, &mut lines)?;
    let end = start + end;
    let next_page_token = match end < reader.entry.size {
        true => seal(false, end, next, &reader.entry.etag),
        false => String::new(),
    };
    Ok(TextPreview {
        lines,
        first_line: i64::try_from(first).unwrap_or(i64::MAX),
        language: language.to_owned(),
        next_page_token,
    })
}

/// Lines, and how many bytes they and their ends have.
struct Part {
    lines: Vec<CodeLine>,
    end: u64,
}

fn split(bytes: &[u8], is_last: bool) -> Part {
    let mut lines = Vec::new();
    let mut end = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n').take(LINES) {
        let whole = line.ends_with(b"\n") || is_last;
        // What is not whole begins the next part, unless it is all of this one.
        if !whole && !lines.is_empty() {
            break;
        }
        end += line.len() as u64;
        let mut line = code_line(line);
        line.cut |= !whole;
        lines.push(line);
    }
    Part { lines, end }
}

/// A line without its end, as far as it is shown.
pub(super) fn code_line(line: &[u8]) -> CodeLine {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut text = String::from_utf8_lossy(&line[..line.len().min(LINE)]).into_owned();
    let cut = line.len() > LINE;
    if cut || text.len() > LINE {
        text.truncate(text.floor_char_boundary(LINE));
    }
    CodeLine {
        text,
        spans: Vec::new(),
        cut,
    }
}

/// How many bytes from here on belong to the same line, and whether it ends there.
fn skip(reader: &Reader, from: u64) -> Result<(u64, bool), root::Error> {
    let mut skipped = 0;
    while skipped < SKIPPED {
        let bytes = reader.read_at(from + skipped, STEP)?;
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            return Ok((skipped + end as u64 + 1, true));
        }
        skipped += bytes.len() as u64;
        if bytes.len() < STEP {
            break;
        }
    }
    Ok((skipped, false))
}

/// Adds colours, and answers the language.
fn colour(
    reader: &Reader,
    name: &str,
    start: u64,
    lines: &mut [CodeLine],
) -> Result<&'static str, root::Error> {
    if reader.entry.size > COLOURED {
        return Ok("");
    }
    let before = reader.read_at(0, usize::try_from(start).unwrap_or_default())?;
    let mut before = before.split_inclusive(|byte| *byte == b'\n').map(code_line);
    let first = before.next();
    let first_line = first
        .as_ref()
        .or(lines.first())
        .map(|line| line.text.clone());
    let Some(mut highlighter) = Highlighter::of_file(name, &first_line.unwrap_or_default()) else {
        return Ok("");
    };
    for line in first.into_iter().chain(before) {
        highlighter.spans(&line.text);
    }
    paint(lines, Some(&mut highlighter));
    Ok(highlighter.language())
}

/// A token for a place.
pub(super) fn seal(table: bool, offset: u64, number: u64, etag: &Etag) -> String {
    let mut place = vec![u8::from(table)];
    place.extend(offset.to_be_bytes());
    place.extend(number.to_be_bytes());
    place.extend(etag.as_str().as_bytes());
    page::seal(TAG, &place)
}

impl Place {
    /// A place from the bytes of a token.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (table, rest) = bytes.split_first()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (number, etag) = rest.split_first_chunk()?;
        let offset = u64::from_be_bytes(*offset);
        // No file is larger, and sums of places stay small.
        (offset <= i64::MAX as u64).then_some(())?;
        Some(Self {
            table: *table == 1,
            offset,
            number: u64::from_be_bytes(*number) & (i64::MAX as u64),
            etag: Etag::new(std::str::from_utf8(etag).ok()?),
        })
    }
}
