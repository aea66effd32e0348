//! What a preview looks like: the server says what a file is, and here it becomes HTML. Not views,
//! of which a long file would need very many. All text of a file is escaped, and what hides in it
//! gets a sign.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use membrane_proto::v1::{self as pb, CodeKind, notebook_output, preview::Kind};
use serde::{Deserialize, Serialize};

use crate::{format, text};

/// How a file is shown. HTML and sources don't travel inside the page, which has them already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Content {
    /// As lines of text.
    Text {
        /// The first of them.
        part: Part,
        /// Their language; empty if it is not known.
        language: String,
    },
    /// As a table.
    Table(Part),
    /// As a document.
    Markdown {
        /// Its Markdown.
        #[serde(skip)]
        source: String,
    },
    /// As a notebook.
    Notebook {
        /// Its cells.
        cells: Vec<Cell>,
        /// Whether there are more.
        truncated: bool,
    },
    /// As an image.
    Image {
        /// Width and height in pixels, if they are known.
        size: Option<(i32, i32)>,
        /// Whether it has a source that is text.
        drawn: bool,
    },
    /// As what a browser may open by itself.
    Pdf,
    /// As its first bytes.
    Binary {
        /// What it is, if that is known.
        media_type: String,
        /// The bytes.
        #[serde(skip)]
        html: String,
    },
    /// Not at all.
    None,
}

/// Some of the lines of a text, or of the rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The lines.
    #[serde(skip)]
    pub html: String,
    /// How many there are.
    pub count: i64,
    /// Token of those that follow; empty at the end.
    pub next: String,
}

/// A cell of a notebook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// Markdown.
    Markdown {
        /// Its source.
        #[serde(skip)]
        source: String,
    },
    /// Anything else.
    Other {
        /// All of it.
        #[serde(skip)]
        html: String,
    },
}

impl Content {
    /// What to show of a file.
    pub fn of(preview: pb::Preview) -> Self {
        match preview.kind {
            Some(Kind::Text(text)) => Self::Text {
                language: text.language.clone(),
                part: Part::lines(text),
            },
            Some(Kind::Table(table)) => Self::Table(Part::rows(table)),
            Some(Kind::Markdown(markdown)) => Self::Markdown {
                source: markdown.source,
            },
            Some(Kind::Notebook(notebook)) => Self::Notebook {
                truncated: notebook.truncated,
                cells: notebook.cells.into_iter().map(cell).collect(),
            },
            Some(Kind::Image(image)) => Self::Image {
                size: (image.width > 0 && image.height > 0).then_some((image.width, image.height)),
                drawn: image.media_type == "image/svg+xml",
            },
            Some(Kind::Pdf(_)) => Self::Pdf,
            Some(Kind::Binary(binary)) => Self::Binary {
                html: hexadecimal(&binary.head),
                media_type: binary.media_type,
            },
            None => Self::None,
        }
    }

    /// What it is called.
    pub fn words(&self) -> &str {
        match self {
            Self::Text { language, .. } if !language.is_empty() => language,
            Self::Text { .. } => "Text",
            Self::Table(_) => "Table",
            Self::Markdown { .. } => "Markdown",
            Self::Notebook { .. } => "Notebook",
            Self::Image { .. } => "Image",
            Self::Pdf => "PDF document",
            Self::Binary { media_type, .. } if !media_type.is_empty() => media_type,
            Self::Binary { .. } | Self::None => "File",
        }
    }

    /// Whether it stands for text that can be looked at and edited as such.
    pub fn is_text(&self) -> bool {
        match self {
            Self::Image { drawn, .. } => *drawn,
            Self::Pdf | Self::Binary { .. } | Self::None => false,
            _ => true,
        }
    }

    /// Whether it is shown as something else than its text.
    pub fn is_rendered(&self) -> bool {
        self.is_text() && !matches!(self, Self::Text { .. })
    }
}

impl Part {
    /// Numbered lines, each with an address.
    pub fn lines(text: pb::TextPreview) -> Self {
        let mut html = String::new();
        for (number, line) in (text.first_line..).zip(&text.lines) {
            let _ = write!(
                html,
                "<div class=\"line\" id=\"L{number}\"><a href=\"#L{number}\">{number}</a><code>"
            );
            code(line, &mut html);
            html.push_str("</code></div>");
        }
        Self {
            html,
            count: text.lines.len() as i64,
            next: text.next_page_token,
        }
    }

    /// Rows of a table. The first one of the file is its head.
    pub fn rows(table: pb::TablePreview) -> Self {
        let mut html = String::new();
        for (number, row) in (table.first_row..).zip(&table.rows) {
            let tag = if number == 1 { "th" } else { "td" };
            let _ = write!(html, "<tr><td class=\"row-number\">{number}</td>");
            for cell in &row.cells {
                let _ = write!(html, "<{tag}>");
                text::html(cell, &mut html);
                let _ = write!(html, "</{tag}>");
            }
            if row.cut {
                html.push_str("<td class=\"quiet\">…</td>");
            }
            html.push_str("</tr>");
        }
        Self {
            html,
            count: table.rows.len() as i64,
            next: table.next_page_token,
        }
    }
}

/// A line with its colours.
fn code(line: &pb::CodeLine, html: &mut String) {
    let mut rest = line.text.as_str();
    for span in &line.spans {
        let length = usize::try_from(span.length).unwrap_or_default();
        let Some((piece, after)) = rest.split_at_checked(length) else {
            break;
        };
        match class(span.kind()) {
            "" => text::html(piece, html),
            class => {
                let _ = write!(html, "<span class=\"{class}\">");
                text::html(piece, html);
                html.push_str("</span>");
            }
        }
        rest = after;
    }
    text::html(rest, html);
    if line.cut {
        html.push_str(
            "<span class=\"line-cut\" title=\"The rest of this line is not shown\">…</span>",
        );
    }
}

fn class(kind: CodeKind) -> &'static str {
    match kind {
        CodeKind::Unspecified => "",
        CodeKind::Comment => "tok-comment",
        CodeKind::Keyword => "tok-keyword",
        CodeKind::String => "tok-string",
        CodeKind::Number => "tok-number",
        CodeKind::Type => "tok-type",
        CodeKind::Name => "tok-name",
    }
}

fn cell(cell: pb::NotebookCell) -> Cell {
    let kind = cell.kind();
    if kind == pb::NotebookCellKind::Markdown {
        let source = cell.source;
        return Cell::Markdown { source };
    }
    let mut html = String::from("<div class=\"cell-source\"><span class=\"cell-number\">");
    if cell.execution_count > 0 {
        let _ = write!(html, "[{}]", cell.execution_count);
    }
    html.push_str("</span><pre tabindex=\"0\"><code>");
    for line in &cell.lines {
        code(line, &mut html);
        html.push('\n');
    }
    lines(&cell.source, &mut html);
    html.push_str("</code></pre></div>");
    for output in cell.outputs.into_iter().filter_map(|output| output.kind) {
        html.push_str("<div class=\"cell-output\">");
        put_output(output, &mut html);
        html.push_str("</div>");
    }
    Cell::Other { html }
}

fn put_output(output: notebook_output::Kind, html: &mut String) {
    match output {
        notebook_output::Kind::Text(text) => {
            html.push_str("<pre tabindex=\"0\">");
            lines(&text, html);
            html.push_str("</pre>");
        }
        notebook_output::Kind::Error(text) => {
            html.push_str("<pre class=\"cell-error\" tabindex=\"0\">");
            lines(&text, html);
            html.push_str("</pre>");
        }
        notebook_output::Kind::Image(image) => {
            html.push_str("<img alt=\"Output\" src=\"data:");
            format::escape(&image.media_type, html);
            let _ = write!(html, ";base64,{}\">", BASE64.encode(&image.data));
        }
        notebook_output::Kind::Hidden(media_type) => {
            html.push_str("<p class=\"quiet\">An output of the type ");
            format::escape(&media_type, html);
            html.push_str(" is not shown: it could contain scripts.</p>");
        }
    }
}

/// Text of several lines.
fn lines(source: &str, html: &mut String) {
    for line in source.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => {
                text::html(line.trim_end_matches('\r'), html);
                html.push('\n');
            }
            None => text::html(line, html),
        }
    }
}

/// Bytes, sixteen a line, and the letters among them.
fn hexadecimal(bytes: &[u8]) -> String {
    let mut html = String::new();
    for (row, bytes) in bytes.chunks(16).enumerate() {
        let _ = write!(html, "<span class=\"hex-at\">{:06x}</span>  ", row * 16);
        for at in 0..16 {
            match bytes.get(at) {
                Some(byte) => drop(write!(html, "{byte:02x} ")),
                None => html.push_str("   "),
            }
        }
        html.push(' ');
        let letter = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        let letters: String = bytes.iter().map(letter).collect();
        format::escape(&letters, &mut html);
        html.push('\n');
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, spans: &[(i32, CodeKind)]) -> pb::CodeLine {
        let span = |(length, kind): &(i32, CodeKind)| pb::CodeSpan {
            length: *length,
            kind: (*kind).into(),
        };
        pb::CodeLine {
            text: text.to_owned(),
            spans: spans.iter().map(span).collect(),
            cut: false,
        }
    }

    #[test]
    fn text_becomes_lines_that_can_not_break_out() {
        let part = Part::lines(pb::TextPreview {
            lines: vec![line("a <b>", &[]), line("</code>\"\u{202e}", &[])],
            first_line: 7,
            ..Default::default()
        });
        assert_eq!(part.count, 2);
        assert!(part.html.starts_with(
            "<div class=\"line\" id=\"L7\"><a href=\"#L7\">7</a><code>a &lt;b&gt;</code></div>"
        ));
        assert!(
            part.html
                .contains("<code>&lt;/code&gt;&quot;<span class=\"odd\"")
        );
    }

    #[test]
    fn pieces_have_their_colours_and_wrong_ones_do_no_harm() {
        let mut html = String::new();
        code(
            &line(
                "fn <",
                &[(2, CodeKind::Keyword), (1, CodeKind::Unspecified)],
            ),
            &mut html,
        );
        assert_eq!(html, "<span class=\"tok-keyword\">fn</span> &lt;");
        for wrong in [-1, 1, 99] {
            html.clear();
            code(&line("é", &[(wrong, CodeKind::Name)]), &mut html);
            assert!(html.ends_with('é'), "{html}");
        }
    }

    #[test]
    fn a_notebook_can_not_break_out() {
        let output = |kind| pb::NotebookOutput { kind: Some(kind) };
        let other = cell(pb::NotebookCell {
            kind: pb::NotebookCellKind::Code.into(),
            lines: vec![line("</pre><script>", &[])],
            outputs: vec![
                output(notebook_output::Kind::Text("</pre><img>".to_owned())),
                output(notebook_output::Kind::Hidden("\"><script>".to_owned())),
                output(notebook_output::Kind::Image(pb::NotebookImage {
                    media_type: "\" onload=\"x".to_owned(),
                    data: vec![0].into(),
                })),
            ],
            ..Default::default()
        });
        let Cell::Other { html } = other else {
            panic!("not code");
        };
        assert!(
            !html.contains("<script") && !html.contains("onload=\"") && !html.contains("<img>")
        );
    }

    #[test]
    fn bytes_are_shown_sixteen_a_line() {
        let html = hexadecimal(b"\0<script>01234567");
        assert!(html.starts_with("<span class=\"hex-at\">000000</span>  00 3c 73"));
        assert!(html.contains(" .&lt;script&gt;0123456\n"));
        assert_eq!(html.lines().count(), 2);
    }
}
