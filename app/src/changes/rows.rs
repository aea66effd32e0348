//! Lines of a hunk as rows of tables. They are made as HTML text and not as views: a diff may have
//! twenty thousand lines, nothing in a line is alive, and a browser takes text over at once.

use std::fmt::Write as _;

use membrane_proto::v1::{DiffLine, DiffLineKind};

use super::{Layout, pairs};
use crate::text;

/// Rows in one table, so that a browser can leave out tables that are not seen.
const ROWS: usize = 200;

/// The bodies of the tables, in order.
pub fn rows(lines: &[DiffLine], layout: Layout) -> Vec<String> {
    match layout {
        Layout::Unified => tables(lines, unified),
        Layout::Split => tables(&pairs(lines), |pair, html| {
            html.push_str("<tr>");
            side(pair.old, Side::Old, html);
            side(pair.new, Side::New, html);
            html.push_str("</tr>");
        }),
    }
}

fn tables<T>(rows: &[T], write: impl Fn(&T, &mut String)) -> Vec<String> {
    rows.chunks(ROWS)
        .map(|chunk| {
            let mut html = String::new();
            for row in chunk {
                write(row, &mut html);
            }
            html
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

fn unified(line: &DiffLine, html: &mut String) {
    let (class, sign) = kind(line);
    let _ = write!(html, "<tr class=\"{class}\">");
    number(line.old_number, "", html);
    number(line.new_number, "", html);
    let _ = write!(html, "<td class=\"sign\">{sign}</td>");
    words(line, "", html);
    html.push_str("</tr>");
}

fn side(line: Option<&DiffLine>, side: Side, html: &mut String) {
    let Some(line) = line else {
        html.push_str("<td class=\"nothing\" colspan=\"3\"></td>");
        return;
    };
    let (class, sign) = kind(line);
    let at = match side {
        Side::Old => line.old_number,
        Side::New => line.new_number,
    };
    number(at, class, html);
    let _ = write!(html, "<td class=\"{class} sign\">{sign}</td>");
    words(line, class, html);
}

fn kind(line: &DiffLine) -> (&'static str, &'static str) {
    match line.kind() {
        DiffLineKind::Added => ("added", "+"),
        DiffLineKind::Removed => ("removed", "−"),
        DiffLineKind::Context | DiffLineKind::Unspecified => ("same", ""),
    }
}

fn number(number: i32, class: &str, html: &mut String) {
    let _ = write!(html, "<td class=\"{class} line-number\">");
    if number > 0 {
        let _ = write!(html, "{number}");
    }
    html.push_str("</td>");
}

/// The text. Marks say what differs within a line; a line that differs as a whole needs none.
fn words(line: &DiffLine, class: &str, html: &mut String) {
    let _ = write!(html, "<td class=\"{class} line-text\">");
    let whole = line.spans.iter().all(|span| span.changed);
    for span in &line.spans {
        let marked = span.changed && !whole;
        html.push_str(if marked { "<mark>" } else { "" });
        text::html(&span.text, html);
        html.push_str(if marked { "</mark>" } else { "" });
    }
    if line.no_newline {
        html.push_str("<span class=\"line-end\">no line end</span>");
    }
    html.push_str("</td>");
}

#[cfg(test)]
mod tests {
    use membrane_proto::v1::DiffSpan;

    use super::*;

    fn line(kind: DiffLineKind, spans: &[(&str, bool)]) -> DiffLine {
        DiffLine {
            kind: kind as i32,
            old_number: if kind == DiffLineKind::Added { 0 } else { 7 },
            new_number: if kind == DiffLineKind::Removed { 0 } else { 9 },
            spans: spans
                .iter()
                .map(|&(text, changed)| DiffSpan {
                    text: text.to_owned(),
                    changed,
                })
                .collect(),
            no_newline: false,
        }
    }

    #[test]
    fn a_line_has_its_numbers_its_sign_and_marked_words() {
        let old = line(DiffLineKind::Removed, &[("let ", false), ("<a>", true)]);
        assert_eq!(
            rows(&[old], Layout::Unified),
            [concat!(
                "<tr class=\"removed\"><td class=\" line-number\">7</td>",
                "<td class=\" line-number\"></td><td class=\"sign\">−</td>",
                "<td class=\" line-text\">let <mark>&lt;a&gt;</mark></td></tr>",
            )]
        );
    }

    #[test]
    fn a_line_that_differs_as_a_whole_is_not_marked() {
        let new = line(DiffLineKind::Added, &[("a", true), ("b", true)]);
        let html = rows(&[new], Layout::Unified).concat();
        assert!(html.contains(">ab</td>"), "{html}");
    }

    #[test]
    fn each_side_has_its_own_number_and_a_missing_one_is_empty() {
        let same = line(DiffLineKind::Context, &[("a", false)]);
        let html = rows(&[same], Layout::Split).concat();
        assert!(
            html.contains(">7</td>") && html.contains(">9</td>"),
            "{html}"
        );
        let new = line(DiffLineKind::Added, &[("<td class=\"", true)]);
        let html = rows(&[new], Layout::Split).concat();
        assert!(
            html.starts_with("<tr><td class=\"nothing\" colspan=\"3\"></td>"),
            "{html}"
        );
        assert!(
            html.contains("<td class=\"added line-text\">&lt;td class=&quot;</td>"),
            "{html}"
        );
    }

    #[test]
    fn long_hunks_become_several_tables() {
        let lines = vec![line(DiffLineKind::Context, &[("a", false)]); ROWS + 1];
        assert_eq!(rows(&lines, Layout::Unified).len(), 2);
        assert_eq!(rows(&lines, Layout::Split).len(), 2);
    }

    #[test]
    fn a_missing_line_end_is_said() {
        let mut last = line(DiffLineKind::Added, &[("a", true)]);
        last.no_newline = true;
        assert!(
            rows(&[last], Layout::Unified)
                .concat()
                .contains("no line end")
        );
    }
}
