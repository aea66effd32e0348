//! Jupyter notebooks: their cells and what these put out. What could contain scripts is named and
//! not handed on.

use std::{fmt, marker::PhantomData};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use membrane_files::root::{self, Reader};
use membrane_proto::v1::{
    self as proto, CodeLine, NotebookCellKind, NotebookImage, NotebookPreview,
    notebook_output::Kind,
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use super::{
    highlight::{Highlighter, paint},
    picture,
    text::code_line,
};

/// Largest notebook, in bytes.
pub(super) const MAX: u64 = 16 << 20;
/// Cells of a notebook that are shown.
const CELLS: usize = 1_000;
/// Outputs of a cell that are shown.
const OUTPUTS: usize = 50;
/// Bytes of all that is shown.
const ALL: usize = 4 << 20;
/// Bytes of a cell's source that are shown.
const SOURCE: usize = 256 << 10;
/// Bytes of an output that are shown.
const OUTPUT: usize = 64 << 10;
/// Bytes of a picture that is shown.
const PICTURE: usize = 1 << 20;

#[derive(Deserialize)]
struct Notebook {
    nbformat: u32,
    #[serde(default)]
    metadata: Metadata,
    #[serde(deserialize_with = "first::<CELLS, _, _>")]
    cells: Vec<Cell>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    language_info: Option<Language>,
}

#[derive(Deserialize)]
struct Language {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Cell {
    cell_type: String,
    #[serde(default)]
    source: Text,
    #[serde(default)]
    execution_count: Option<i64>,
    #[serde(default, deserialize_with = "first::<OUTPUTS, _, _>")]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    text: Text,
    #[serde(default)]
    data: Data,
    #[serde(default)]
    ename: String,
    #[serde(default)]
    evalue: String,
    #[serde(default, deserialize_with = "first::<200, _, _>")]
    traceback: Vec<String>,
}

/// What one output is in several forms.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    #[serde(rename = "text/plain")]
    plain: Option<Text>,
    #[serde(rename = "image/png")]
    png: Option<Text>,
    #[serde(rename = "image/jpeg")]
    jpeg: Option<Text>,
    #[serde(rename = "image/gif")]
    gif: Option<Text>,
    #[serde(rename = "image/webp")]
    webp: Option<Text>,
    #[serde(rename = "image/svg+xml")]
    svg: Option<IgnoredAny>,
    #[serde(rename = "text/html")]
    html: Option<IgnoredAny>,
    #[serde(rename = "application/javascript")]
    script: Option<IgnoredAny>,
}

/// A text, or its lines.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Lines(Vec<String>),
}

impl Default for Text {
    fn default() -> Self {
        Self::Whole(String::new())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Whole(text) => text,
            Text::Lines(lines) => lines.concat(),
        }
    }
}

/// A notebook; none where a file only calls itself one.
pub(super) fn notebook(reader: &Reader) -> Result<Option<NotebookPreview>, root::Error> {
    let bytes = reader.read_at(0, usize::try_from(MAX).unwrap_or(usize::MAX))?;
    // What is nested too deeply is an error, too.
    let parsed = serde_json::from_slice::<Notebook>(&bytes).ok();
    Ok(parsed.filter(|notebook| notebook.nbformat == 4).map(encode))
}

fn encode(notebook: Notebook) -> NotebookPreview {
    let language = notebook.metadata.language_info.map(|info| info.name);
    let language = language.unwrap_or_default();
    let mut painter = Highlighter::of_language(&language);
    let mut cells = Vec::new();
    let mut room = ALL;
    let mut truncated = notebook.cells.len() >= CELLS;
    for cell in notebook.cells {
        let cell = encode_cell(cell, painter.as_mut());
        let Some(left) = room.checked_sub(prost::Message::encoded_len(&cell)) else {
            truncated = true;
            break;
        };
        room = left;
        cells.push(cell);
    }
    NotebookPreview {
        cells,
        language: cut(language, 100),
        truncated,
    }
}

fn encode_cell(cell: Cell, painter: Option<&mut Highlighter>) -> proto::NotebookCell {
    let kind = match cell.cell_type.as_str() {
        "markdown" => NotebookCellKind::Markdown,
        "code" => NotebookCellKind::Code,
        _ => NotebookCellKind::Unspecified,
    };
    let mut source = cut(cell.source.into(), SOURCE);
    let mut lines = Vec::new();
    if kind == NotebookCellKind::Code {
        lines = source
            .lines()
            .map(|line| code_line(line.as_bytes()))
            .collect::<Vec<CodeLine>>();
        paint(&mut lines, painter);
        source.clear();
    }
    let count = cell
        .execution_count
        .and_then(|count| i32::try_from(count).ok());
    proto::NotebookCell {
        kind: kind.into(),
        source,
        lines,
        execution_count: count.unwrap_or_default(),
        outputs: cell.outputs.into_iter().filter_map(encode_output).collect(),
    }
}

fn encode_output(mut output: Output) -> Option<proto::NotebookOutput> {
    let kind = if !output.ename.is_empty() {
        let mut text = format!("{}: {}\n", output.ename, output.evalue);
        text.push_str(&output.traceback.join("\n"));
        Kind::Error(cut(without_escapes(&text), OUTPUT))
    } else if let Some(image) = output.data.picture() {
        Kind::Image(image)
    } else if let Some(plain) = output.data.plain {
        Kind::Text(cut(without_escapes(&String::from(plain)), OUTPUT))
    } else if let Some(hidden) = output.data.hidden() {
        Kind::Hidden(hidden.to_owned())
    } else {
        let text: String = output.text.into();
        (!text.is_empty()).then(|| Kind::Text(cut(without_escapes(&text), OUTPUT)))?
    };
    Some(proto::NotebookOutput { kind: Some(kind) })
}

impl Data {
    /// The first picture that is one.
    fn picture(&mut self) -> Option<NotebookImage> {
        let given = [&mut self.png, &mut self.jpeg, &mut self.gif, &mut self.webp];
        given.into_iter().find_map(|text| decode(text.take()?))
    }

    /// What is there and not shown.
    fn hidden(&self) -> Option<&'static str> {
        [
            (&self.html, "text/html"),
            (&self.svg, "image/svg+xml"),
            (&self.script, "application/javascript"),
        ]
        .into_iter()
        .find_map(|(given, media_type)| given.is_some().then_some(media_type))
    }
}

fn decode(text: Text) -> Option<NotebookImage> {
    let mut text = String::from(text);
    text.retain(|letter| !letter.is_ascii_whitespace());
    let data = BASE64_STANDARD.decode(text).ok()?;
    // Its bytes say what it is, whatever it calls itself.
    let media_type = infer::get(&data)?.mime_type();
    let fits = data.len() <= PICTURE && picture::is_shown(media_type);
    fits.then(|| NotebookImage {
        media_type: media_type.to_owned(),
        data: data.into(),
    })
}

/// At most so many bytes.
fn cut(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

/// Text without what tells a terminal to change its colours.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            plain.push(letter);
        } else if letters.next() == Some('[') {
            // Up to the letter that says what is to be done.
            letters.find(|letter| ('@'..='~').contains(letter));
        }
    }
    plain
}

/// The first elements of a list; what follows takes no memory.
fn first<'de, const MAX: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct First<const MAX: usize, T>(PhantomData<T>);

    impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for First<MAX, T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut first = Vec::new();
            while first.len() < MAX {
                match list.next_element()? {
                    Some(element) => first.push(element),
                    None => return Ok(first),
                }
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }

    deserializer.deserialize_seq(First::<MAX, T>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(json: serde_json::Value) -> Vec<Option<Kind>> {
        let notebook = serde_json::json!({
            "nbformat": 4,
            "cells": [{"cell_type": "code", "source": ["a = 1\n", "b"], "outputs": json}],
        });
        let notebook = serde_json::from_value(notebook).expect("a notebook");
        let cells = encode(notebook).cells;
        assert_eq!(cells[0].lines.len(), 2);
        let outputs = cells.into_iter().flat_map(|cell| cell.outputs);
        outputs.map(|output| output.kind).collect()
    }

    #[test]
    fn outputs_are_text_or_pictures_and_nothing_else() {
        let png = BASE64_STANDARD.encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        let found = outputs(serde_json::json!([
            {"output_type": "stream", "text": ["\u{1b}[31mred\u{1b}[0m ", "text"]},
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["at"]},
            {"output_type": "display_data", "data": {"text/html": "<script>", "text/plain": "<b>"}},
            {"output_type": "display_data", "data": {"text/html": "<script>"}},
            {"output_type": "display_data", "data": {"image/png": png}},
            {"output_type": "display_data", "data": {"image/png": "PHN2Zz4="}},
        ]));
        let text = |text: &str| Some(Kind::Text(text.to_owned()));
        assert_eq!(found[0], text("red text"));
        assert_eq!(found[1], Some(Kind::Error("E: v\nat".to_owned())));
        assert_eq!(found[2], text("<b>"));
        assert_eq!(found[3], Some(Kind::Hidden("text/html".to_owned())));
        assert!(matches!(&found[4], Some(Kind::Image(image)) if image.media_type == "image/png"));
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn very_many_cells_are_not_all_kept() {
        let cell = serde_json::json!({"cell_type": "raw", "source": "x"});
        let notebook = serde_json::json!({"nbformat": 4, "cells": vec![cell; CELLS + 5]});
        let notebook: Notebook = serde_json::from_value(notebook).expect("a notebook");
        let preview = encode(notebook);
        assert_eq!((preview.cells.len(), preview.truncated), (CELLS, true));
    }
}
