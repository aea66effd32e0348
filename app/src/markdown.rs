//! Markdown to HTML for what people and agents write. The HTML is written here and not by the
//! parser's own writer, so that nothing but what is listed below can reach the page: no raw HTML,
//! no image from elsewhere (it would be a request to there), no link but to the web, to mail and,
//! in a file of a workspace, to its other files.

use std::fmt::Write as _;

use comrak::{
    Arena, Node, Options,
    arena_tree::NodeEdge,
    nodes::{ListType, NodeLink, NodeList, NodeValue, TableAlignment},
    parse_document,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{format::escape, path};

/// Renders Markdown as HTML that is safe to insert. `place` is where a file's Markdown stands: the
/// id of its workspace, a slash, and its directory; empty for what is in no file.
#[cfg_attr(target_arch = "wasm32", wasm_bindgen)]
pub fn render(source: &str, place: &str) -> String {
    let arena = Arena::new();
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.autolink = true;
    let document = parse_document(&arena, source, &options);
    let mut html = String::with_capacity(source.len() * 3 / 2);
    // Not recursive: nesting is chosen by whoever wrote the text.
    for edge in document.traverse() {
        match edge {
            NodeEdge::Start(node) => open(&mut html, node, place),
            NodeEdge::End(node) => close(&mut html, node, place),
        }
    }
    html
}

fn open(html: &mut String, node: Node<'_>, place: &str) {
    match &node.data.borrow().value {
        NodeValue::BlockQuote => html.push_str("<blockquote>"),
        NodeValue::List(list) => open_list(html, list),
        NodeValue::Item(_) => html.push_str("<li>"),
        NodeValue::TaskItem(task) => html.push_str(if task.symbol.is_some() {
            "<li class=\"task\"><span class=\"task-box\" role=\"img\" aria-label=\"done\">☑</span>"
        } else {
            "<li class=\"task\"><span class=\"task-box\" role=\"img\" aria-label=\"open\">☐</span>"
        }),
        NodeValue::CodeBlock(block) => code_block(html, &block.info, &block.literal),
        NodeValue::HtmlBlock(block) => {
            html.push_str("<p>");
            escape(&block.literal, html);
            html.push_str("</p>");
        }
        NodeValue::Paragraph if !is_tight(node) => html.push_str("<p>"),
        NodeValue::Heading(heading) => {
            let _ = write!(html, "<h{}>", heading_level(heading.level));
        }
        NodeValue::ThematicBreak => html.push_str("<hr>"),
        NodeValue::Table(_) => html.push_str("<div class=\"md-table\"><table>"),
        NodeValue::TableRow(true) => html.push_str("<thead><tr>"),
        NodeValue::TableRow(false) => html.push_str("<tr>"),
        NodeValue::TableCell => open_cell(html, node),
        NodeValue::Text(text) => escape(text, html),
        NodeValue::SoftBreak => html.push('\n'),
        NodeValue::LineBreak => html.push_str("<br>"),
        NodeValue::Code(code) => {
            html.push_str("<code>");
            escape(&code.literal, html);
            html.push_str("</code>");
        }
        NodeValue::HtmlInline(text) => escape(text, html),
        NodeValue::Emph => html.push_str("<em>"),
        NodeValue::Strong => html.push_str("<strong>"),
        NodeValue::Strikethrough => html.push_str("<del>"),
        NodeValue::Image(link) if beside(place, &link.url).is_some() => {
            open_image(html, link, place)
        }
        NodeValue::Link(link) | NodeValue::Image(link) => open_link(html, link, place),
        _ => {}
    }
}

fn close(html: &mut String, node: Node<'_>, place: &str) {
    match &node.data.borrow().value {
        NodeValue::BlockQuote => html.push_str("</blockquote>"),
        NodeValue::List(list) if list.list_type == ListType::Ordered => html.push_str("</ol>"),
        NodeValue::List(_) => html.push_str("</ul>"),
        NodeValue::Item(_) | NodeValue::TaskItem(_) => html.push_str("</li>"),
        NodeValue::Paragraph if !is_tight(node) => html.push_str("</p>"),
        NodeValue::Heading(heading) => {
            let _ = write!(html, "</h{}>", heading_level(heading.level));
        }
        NodeValue::Table(_) => html.push_str("</tbody></table></div>"),
        NodeValue::TableRow(true) => html.push_str("</tr></thead><tbody>"),
        NodeValue::TableRow(false) => html.push_str("</tr>"),
        NodeValue::TableCell if in_header(node) => html.push_str("</th>"),
        NodeValue::TableCell => html.push_str("</td>"),
        NodeValue::Emph => html.push_str("</em>"),
        NodeValue::Strong => html.push_str("</strong>"),
        NodeValue::Strikethrough => html.push_str("</del>"),
        NodeValue::Image(link) if beside(place, &link.url).is_some() => {
            html.push_str("</span></span>");
        }
        NodeValue::Link(link) => close_link(html, link, place),
        NodeValue::Image(link) => {
            if node.first_child().is_none() {
                escape(&link.url, html);
            }
            close_link(html, link, place);
        }
        _ => {}
    }
}

fn open_list(html: &mut String, list: &NodeList) {
    if list.list_type == ListType::Bullet {
        html.push_str("<ul>");
    } else if list.start == 1 {
        html.push_str("<ol>");
    } else {
        let _ = write!(html, "<ol start=\"{}\">", list.start);
    }
}

/// The workspace and the path of what stands beside a file.
fn beside<'a>(place: &'a str, url: &str) -> Option<(&'a str, String)> {
    let (workspace_id, directory) = place.split_once('/')?;
    Some((workspace_id, path::resolve(directory, url)?))
}

/// A picture of the same workspace. What is said in its place can have markup, so it is text beside
/// it.
fn open_image(html: &mut String, link: &NodeLink, place: &str) {
    if let Some((workspace_id, path)) = beside(place, &link.url) {
        html.push_str("<span class=\"md-image\"><img loading=\"lazy\" alt=\"\" src=\"");
        escape(&path::raw(workspace_id, &path), html);
        html.push_str("\"><span class=\"for-readers\">");
    }
}

fn close_link(html: &mut String, link: &NodeLink, place: &str) {
    let is_link = web_address(&link.url) || beside(place, &link.url).is_some();
    html.push_str(if is_link { "</a>" } else { "</span>" });
}

fn open_link(html: &mut String, link: &NodeLink, place: &str) {
    if let Some((workspace_id, path)) = beside(place, &link.url) {
        html.push_str("<a href=\"");
        escape(&path::address(workspace_id, &path), html);
        html.push_str("\">");
    } else if web_address(&link.url) {
        html.push_str("<a rel=\"noopener noreferrer nofollow\" target=\"_blank\" href=\"");
        escape(&link.url, html);
        html.push_str("\">");
    } else {
        html.push_str("<span class=\"md-path\" title=\"");
        escape(&link.url, html);
        html.push_str("\">");
    }
}

fn open_cell(html: &mut String, node: Node<'_>) {
    html.push_str(if in_header(node) { "<th" } else { "<td" });
    let column = node.preceding_siblings().count().saturating_sub(1);
    let table = node.parent().and_then(|row| row.parent());
    let alignment = table.and_then(|table| match &table.data.borrow().value {
        NodeValue::Table(table) => table.alignments.get(column).copied(),
        _ => None,
    });
    html.push_str(match alignment {
        Some(TableAlignment::Right) => " class=\"right\">",
        Some(TableAlignment::Center) => " class=\"center\">",
        _ => ">",
    });
}

/// A block of code with its language and a button; the page listens for clicks on the button.
fn code_block(html: &mut String, info: &str, literal: &str) {
    let language = info.split_whitespace().next().unwrap_or_default();
    html.push_str("<div class=\"code\"><div class=\"code-head\"><span>");
    escape(
        if language.is_empty() {
            "text"
        } else {
            language
        },
        html,
    );
    html.push_str("</span><button type=\"button\" class=\"code-copy\">Copy</button></div>");
    html.push_str("<pre tabindex=\"0\"><code>");
    escape(literal, html);
    html.push_str("</code></pre></div>");
}

/// A message's headings stay below those of the page.
fn heading_level(level: u8) -> u8 {
    (level + 2).min(6)
}

fn in_header(cell: Node<'_>) -> bool {
    cell.parent()
        .is_some_and(|row| matches!(row.data.borrow().value, NodeValue::TableRow(true)))
}

/// Whether a paragraph stands in a list without blank lines, where it has no tags of its own.
fn is_tight(paragraph: Node<'_>) -> bool {
    let list = paragraph.parent().and_then(|item| item.parent());
    list.is_some_and(|list| match &list.data.borrow().value {
        NodeValue::List(list) => list.tight,
        _ => false,
    })
}

fn web_address(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    ["http://", "https://", "mailto:"]
        .iter()
        .any(|scheme| lower.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::render as render_at;

    fn render(source: &str) -> String {
        render_at(source, "")
    }

    #[test]
    fn markup_in_the_text_stays_text() {
        let html = render("<script>alert(1)</script>\n\na <b onclick=x>bold</b> `<i>`");
        assert!(!html.contains("<script") && !html.contains("<b ") && !html.contains("<i>"));
        assert!(html.contains("&lt;script&gt;") && html.contains("<code>&lt;i&gt;</code>"));
    }

    #[test]
    fn only_the_web_and_mail_are_linked() {
        let html =
            render("[a](javascript:alert(1)) [b](src/main.rs) [c](https://example.com/?a&b)");
        assert_eq!(html.matches("<a ").count(), 1);
        assert!(html.contains("href=\"https://example.com/?a&amp;b\""));
        assert!(html.contains("rel=\"noopener noreferrer nofollow\""));
    }

    #[test]
    fn a_quote_in_an_address_can_not_leave_its_attribute() {
        let html = render("[x](<https://example.com/\"onmouseover=alert(1)>)");
        assert!(!html.contains("\"onmouseover"));
    }

    #[test]
    fn images_become_links() {
        let html = render("![a picture](https://example.com/a.png) ![](https://example.com/b.png)");
        assert!(!html.contains("<img"));
        assert!(html.contains(">a picture</a>") && html.contains(">https://example.com/b.png</a>"));
    }

    #[test]
    fn a_file_shows_and_links_what_is_in_its_workspace_alone() {
        let html = render_at(
            "![*a* <b>](img/a.png) ![](https://example.com/b.png) ![](../../c.png) [d](../d.md) \
             [e](javascript:x)",
            "w/docs",
        );
        assert_eq!(html.matches("<img").count(), 1);
        assert!(html.contains("src=\"/workspaces/w/files/raw?path=docs%2Fimg%2Fa.png\""));
        assert!(html.contains("<em>a</em> &lt;b&gt;</span></span>"));
        assert!(html.contains("<a href=\"/workspaces/w/files/d.md\">d</a>"));
        assert!(html.contains("<span class=\"md-path\" title=\"javascript:x\">e</span>"));
    }

    #[test]
    fn code_blocks_have_a_language_and_a_button() {
        let html = render("```rust title\nlet a = 1 < 2;\n```");
        assert!(html.contains("<span>rust</span><button type=\"button\" class=\"code-copy\">"));
        assert!(html.contains("<code>let a = 1 &lt; 2;\n</code>"));
    }

    #[test]
    fn tables_are_whole() {
        assert_eq!(
            render("| a | b |\n|---|--:|\n| 1 | 2 |"),
            "<div class=\"md-table\"><table><thead><tr><th>a</th><th class=\"right\">b</th></tr>\
             </thead><tbody><tr><td>1</td><td class=\"right\">2</td></tr></tbody></table></div>"
        );
    }

    #[test]
    fn tight_lists_have_no_paragraphs() {
        assert_eq!(render("- a\n- b"), "<ul><li>a</li><li>b</li></ul>");
        assert_eq!(
            render("3. a\n\n4. b"),
            "<ol start=\"3\"><li><p>a</p></li><li><p>b</p></li></ol>"
        );
    }

    #[test]
    fn headings_stay_below_the_page() {
        assert_eq!(render("# a"), "<h3>a</h3>");
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let html = render(&"> ".repeat(5_000));
        assert!(html.contains("<blockquote>"));
    }
}
