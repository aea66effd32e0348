//! Files prepared for being shown, by what they are. Whatever is in a workspace was written by
//! anybody, so everything here is bounded: in bytes, in time, and in how much is done at once.

use std::{sync::Arc, time::Duration};

use membrane_files::{
    TreePath, is_text,
    root::{self, Entry, Etag, Reader},
};
use membrane_proto::v1::{BinaryPreview, MarkdownPreview, PdfPreview, Preview, preview::Kind};
use tokio::{sync::Semaphore, time::timeout};

use crate::{error::Error, files::Files, id::WorkspaceId};

mod highlight;
mod notebook;
mod picture;
mod table;
mod text;

pub use text::TAG as PLACE;

/// Previews that are made at the same time on the whole server; each holds a thread.
const RUNNING_MAX: usize = 4;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a file is opened again that changes while it is read.
const TRIES: usize = 3;
/// Bytes at the beginning by which a kind of file is known.
const HEAD: usize = 8_192;
/// Bytes of a binary file that are shown.
const BINARY_HEAD: usize = 1_024;
/// Largest Markdown document, in bytes.
const MARKDOWN_MAX: u64 = 1 << 20;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The file.
    pub path: TreePath,
    /// Whether its source is wanted rather than what it stands for.
    pub source: bool,
    /// Where a later part begins.
    pub place: Option<Place>,
}

/// Where a part of a file begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whether it is a part of a table; otherwise it is one of a text.
    pub table: bool,
    /// In bytes.
    pub offset: u64,
    /// Number of its first line or row, from 1.
    pub number: u64,
    /// The file's version that the part before it was of.
    pub etag: Etag,
}

/// Makes previews. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Previews {
    files: Files,
    turns: Arc<Semaphore>,
}

impl Previews {
    /// Previews of these files.
    #[must_use]
    pub fn new(files: Files) -> Self {
        Self {
            files,
            turns: Arc::new(Semaphore::new(RUNNING_MAX)),
        }
    }

    /// What can be shown of a file, and the file as it was read.
    ///
    /// # Errors
    /// [`Error::NotFound`], `NOT_A_FILE`, [`Error::StaleEtag`] for a place in another version,
    /// [`Error::Exhausted`] when others keep the server busy.
    pub async fn preview(
        &self,
        id: WorkspaceId,
        wanted: Wanted,
    ) -> Result<(Entry, Preview), Error> {
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(busy)?;
        let made = self.files.read(id, move |root| {
            let _turn = turn;
            let mut made = Err(root::Error::Stale);
            for _ in 0..TRIES {
                let reader = root.read(&wanted.path)?;
                made = show(&reader, &wanted).map(|kind| (reader.entry, kind));
                if !matches!(made, Err(root::Error::Stale)) || wanted.place.is_some() {
                    break;
                }
            }
            made
        });
        let (entry, kind) = made.await?;
        Ok((entry, Preview { kind: Some(kind) }))
    }
}

fn busy() -> Error {
    Error::Exhausted {
        reason: "PREVIEWS",
        message: "the server is busy with other previews; try again".to_owned(),
    }
}

fn show(reader: &Reader, wanted: &Wanted) -> Result<Kind, root::Error> {
    let name = wanted.path.split().map(|(_, name)| name.to_string_lossy());
    let name = name.unwrap_or_default();
    if let Some(place) = &wanted.place {
        if place.etag != reader.entry.etag {
            return Err(root::Error::Stale);
        }
        if place.table {
            return table_or_text(reader, &name, Some(place));
        }
        return Ok(Kind::Text(text::text(reader, &name, Some(place))?));
    }
    let head = reader.read_at(0, HEAD)?;
    match form(&name, &head, reader.entry.size, wanted.source) {
        Form::Text => Ok(Kind::Text(text::text(reader, &name, None)?)),
        Form::Markdown => markdown(reader),
        Form::Image(media_type) => Ok(Kind::Image(picture::image(media_type, &head))),
        Form::Pdf => Ok(Kind::Pdf(PdfPreview {})),
        Form::Notebook => match notebook::notebook(reader)? {
            Some(notebook) => Ok(Kind::Notebook(notebook)),
            None => Ok(Kind::Text(text::text(reader, &name, None)?)),
        },
        Form::Table => table_or_text(reader, &name, None),
        Form::Binary(media_type) => Ok(Kind::Binary(BinaryPreview {
            media_type: media_type.to_owned(),
            head: head[..head.len().min(BINARY_HEAD)].to_vec().into(),
        })),
    }
}

/// What only calls itself a table is shown as text.
fn table_or_text(reader: &Reader, name: &str, place: Option<&Place>) -> Result<Kind, root::Error> {
    match table::table(reader, name, place)? {
        Some(table) => Ok(Kind::Table(table)),
        None => Ok(Kind::Text(text::text(reader, name, place)?)),
    }
}

fn markdown(reader: &Reader) -> Result<Kind, root::Error> {
    let bytes = reader.read_at(0, usize::try_from(MARKDOWN_MAX).unwrap_or(usize::MAX))?;
    let source = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Kind::Markdown(MarkdownPreview { source }))
}

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Text,
    Markdown,
    Image(&'static str),
    Pdf,
    Notebook,
    Table,
    /// With its media type, if that is known.
    Binary(&'static str),
}

fn form(name: &str, head: &[u8], size: u64, source: bool) -> Form {
    let known = infer::get(head).map(|known| known.mime_type());
    let text = is_readable(head);
    match known {
        Some("application/pdf") => return Form::Pdf,
        // Two letters make a bitmap, and may just as well begin a text.
        Some(known) if picture::is_shown(known) && !text => return Form::Image(known),
        _ if !text => return Form::Binary(known.unwrap_or_default()),
        _ => {}
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        _ if source => Form::Text,
        "md" | "markdown" if size <= MARKDOWN_MAX => Form::Markdown,
        "svg" if picture::is_svg(head) => Form::Image("image/svg+xml"),
        "ipynb" if size <= notebook::MAX => Form::Notebook,
        "csv" | "tsv" | "tab" if size > 0 => Form::Table,
        _ => Form::Text,
    }
}

/// Whether somebody could read what begins so: there is no NUL, and little that is no letter.
fn is_readable(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let is_odd = |letter: &char| match letter {
        '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}' => false,
        '\u{fffd}' => true,
        letter => letter.is_control(),
    };
    let odd = text.chars().filter(is_odd).count();
    is_text(head) && odd * 10 <= text.chars().count() + 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_before_the_name() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        let cases: [(&str, &[u8], Form); 14] = [
            ("a.rs", b"fn main() {}", Form::Text),
            ("a.md", b"# Title", Form::Markdown),
            ("README.MARKDOWN", b"", Form::Markdown),
            ("a.md", png, Form::Image("image/png")),
            ("a.png", b"BMW is no bitmap", Form::Text),
            ("a.svg", b"<?xml?><svg>", Form::Image("image/svg+xml")),
            ("a.svg", b"none", Form::Text),
            ("a.txt", b"%PDF-1.7", Form::Pdf),
            ("a.html", b"<html><script>", Form::Text),
            ("a.csv", b"a,b", Form::Table),
            ("a.ipynb", b"{}", Form::Notebook),
            ("a.txt", b"a\0b", Form::Binary("")),
            ("a.txt", &[0xff; 40], Form::Binary("")),
            ("a.gz", b"\x1f\x8b\x08\0", Form::Binary("application/gzip")),
        ];
        for (name, head, wanted) in cases {
            assert_eq!(form(name, head, 9, false), wanted, "{name}");
        }
    }

    #[test]
    fn the_source_of_a_document_is_text() {
        for (name, head) in [("a.md", "# a"), ("a.svg", "<svg>"), ("a.csv", "a,b")] {
            assert_eq!(form(name, head.as_bytes(), 9, true), Form::Text, "{name}");
        }
    }

    #[test]
    fn a_letter_that_is_cut_in_two_makes_no_text_unreadable() {
        assert!(is_readable(&"é".as_bytes()[..1]));
        assert!(is_readable(b"caf\xe9 in another encoding"));
    }
}
