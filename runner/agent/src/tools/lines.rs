//! One page of a text file's lines, read without holding more than the page.

use std::io::{self, Read};

use tokio_util::sync::CancellationToken;

/// Lines over so many characters are cut.
const LINE_CHARS_MAX: usize = 2000;
/// No character of UTF-8 has more than four bytes.
const LINE_BYTES_MAX: usize = LINE_CHARS_MAX * 4;
/// A page has at most so many characters.
pub(super) const PAGE_CHARS_MAX: usize = 100_000;
/// Lines are counted in at most so much of a file.
const SCANNED_BYTES_MAX: usize = 256 * 1024 * 1024;
const PIECE_BYTES: usize = 64 * 1024;

/// Some lines of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The lines, numbered.
    pub(super) text: String,
    /// How many lines that are.
    pub(super) count: usize,
    /// How many the file has; none if it is too large to count.
    pub(super) total: Option<usize>,
}

/// Reads `limit` lines from the `first` on, counted from 1.
pub(super) fn page(
    reader: &mut impl Read,
    first: usize,
    limit: usize,
    cancel: &CancellationToken,
) -> io::Result<Page> {
    let mut collector = Collector::new(first, limit);
    let mut piece = vec![0; PIECE_BYTES];
    let mut scanned = 0;
    while scanned < SCANNED_BYTES_MAX {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = reader.read(&mut piece)?;
        if length == 0 {
            return Ok(collector.finish(true));
        }
        collector.feed(&piece[..length]);
        scanned += length;
    }
    Ok(collector.finish(false))
}

struct Collector {
    first: usize,
    limit: usize,
    /// Number of the line that is being read.
    number: usize,
    /// Its beginning, and how long it is.
    line: Vec<u8>,
    line_bytes: usize,
    page: Page,
    page_chars: usize,
    full: bool,
}

impl Collector {
    fn new(first: usize, limit: usize) -> Self {
        Self {
            first,
            limit,
            number: 1,
            line: Vec::new(),
            line_bytes: 0,
            page: Page::default(),
            page_chars: 0,
            full: false,
        }
    }

    fn feed(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            self.extend(text);
            if ends {
                self.end_line();
            }
        }
    }

    fn extend(&mut self, text: &[u8]) {
        self.line_bytes += text.len();
        if self.is_wanted() {
            let room = (LINE_BYTES_MAX + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
        }
    }

    fn end_line(&mut self) {
        if self.is_wanted() {
            self.keep_line();
        }
        self.number += 1;
        self.line.clear();
        self.line_bytes = 0;
    }

    fn is_wanted(&self) -> bool {
        !self.full && self.number >= self.first && self.page.count < self.limit
    }

    fn keep_line(&mut self) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let text = String::from_utf8_lossy(line);
        let cut = text
            .char_indices()
            .nth(LINE_CHARS_MAX)
            .map(|(index, _)| index);
        let mut shown = format!("{:>6}\t{}", self.number, &text[..cut.unwrap_or(text.len())]);
        if cut.is_some() {
            shown.push_str(&format!(" … [cut: the line has {} bytes]", self.line_bytes));
        }
        shown.push('\n');
        self.page_chars += shown.chars().count();
        self.full = self.page_chars > PAGE_CHARS_MAX && self.page.count > 0;
        if !self.full {
            self.page.text.push_str(&shown);
            self.page.count += 1;
        }
    }

    fn finish(mut self, whole: bool) -> Page {
        if whole && self.line_bytes > 0 {
            self.end_line();
        }
        self.page.total = whole.then_some(self.number - 1);
        self.page
    }
}
