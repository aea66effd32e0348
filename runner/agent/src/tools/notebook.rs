//! Jupyter notebooks, cell by cell.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cap_std::fs::File;
use membrane_proto::v1::{Image, ToolContent, tool_content};
use serde_json::Value;

use super::failure::{Answer, Failure};
use super::lines::PAGE_CHARS_MAX;
use super::read::{Span, answer, partial, whole};
use super::text_content;
use crate::images;

const NOTEBOOK_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Output of one cell over so many characters is cut.
const OUTPUT_CHARS_MAX: usize = 10_000;

/// Reads the cells of a span: offset and limit count cells.
pub(super) fn read(beginning: Vec<u8>, file: File, span: Span, shown: &str) -> Answer {
    let data = whole(beginning, file, NOTEBOOK_BYTES_MAX, shown)?;
    let data = data.ok_or_else(|| Failure::new(format!("{shown} is larger than 32 MiB.")))?;
    let notebook: Value = serde_json::from_slice(&data)
        .map_err(|_| Failure::new(format!("{shown} is not a notebook: it is not valid JSON.")))?;
    let cells = notebook.get("cells").and_then(Value::as_array);
    let cells = cells.ok_or_else(|| Failure::new(format!("{shown} has no list of cells.")))?;

    let mut pages = Pages::default();
    let mut next = span.first;
    for cell in cells.iter().skip(span.first - 1).take(span.limit) {
        if !pages.add_cell(next, cell) {
            break;
        }
        next += 1;
    }
    if next == span.first {
        return Err(Failure::new(format!(
            "{shown} has only {} cells.",
            cells.len()
        )));
    }
    let mut output = answer(String::new(), 0, 0, 0);
    output.content = pages.finish();
    if span.first > 1 || next <= cells.len() {
        let notice = partial("cells", span.first, next, Some(cells.len()));
        output.content.insert(0, text_content(notice));
    }
    Ok(output)
}

/// Text and images in the order of the cells, within bounds.
#[derive(Default)]
struct Pages {
    content: Vec<ToolContent>,
    text: String,
    chars: usize,
    image_bytes: usize,
}

impl Pages {
    /// Adds a cell; false if there is no room for it. There is always room for one.
    fn add_cell(&mut self, number: usize, cell: &Value) -> bool {
        if self.chars > PAGE_CHARS_MAX {
            return false;
        }
        let kind = cell
            .get("cell_type")
            .and_then(Value::as_str)
            .unwrap_or("unknown");
        let source = joined(cell.get("source"));
        self.push(&format!("[cell {number}: {kind}]\n"));
        self.push(&cut(&source, PAGE_CHARS_MAX));
        self.push("\n");
        let outputs = cell.get("outputs").and_then(Value::as_array);
        for output in outputs.into_iter().flatten() {
            self.add_output(number, output);
        }
        true
    }

    fn add_output(&mut self, number: usize, output: &Value) {
        let data = output.get("data");
        let text = match output.get("output_type").and_then(Value::as_str) {
            Some("stream") => joined(output.get("text")),
            Some("error") => joined(output.get("traceback")),
            _ => joined(data.and_then(|data| data.get("text/plain"))),
        };
        if !text.is_empty() {
            self.push(&format!("[output of cell {number}]\n"));
            self.push(&cut(&text, OUTPUT_CHARS_MAX));
            self.push("\n");
        }
        for media_type in ["image/png", "image/jpeg"] {
            let encoded = joined(data.and_then(|data| data.get(media_type)));
            self.add_image(media_type, &encoded);
        }
    }

    fn add_image(&mut self, media_type: &str, encoded: &str) {
        let encoded: String = encoded.split_whitespace().collect();
        let Ok(data) = STANDARD.decode(encoded) else {
            return;
        };
        if data.is_empty() {
            return;
        }
        if self.image_bytes + data.len() > images::MAX_BYTES {
            self.push("[an image is left out: more than 3.75 MB of images]\n");
            return;
        }
        self.image_bytes += data.len();
        self.flush();
        self.content.push(ToolContent {
            kind: Some(tool_content::Kind::Image(Image {
                media_type: media_type.to_owned(),
                data: data.into(),
            })),
        });
    }

    fn push(&mut self, text: &str) {
        self.chars += text.chars().count();
        self.text.push_str(text);
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.content
                .push(text_content(std::mem::take(&mut self.text)));
        }
    }

    fn finish(mut self) -> Vec<ToolContent> {
        self.flush();
        self.content
    }
}

/// Text is a string or a list of strings.
fn joined(text: Option<&Value>) -> String {
    match text {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((index, _)) => format!("{} … [cut]", &text[..index]),
        None => text.to_owned(),
    }
}
