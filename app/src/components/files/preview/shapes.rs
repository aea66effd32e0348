//! What files are shown as that are no text: notebooks, pictures, documents for other programs,
//! bytes, and nothing.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use crate::{
    components::{
        files::icon_of,
        icon::{Glyph, Icon},
        markdown_view::MarkdownView,
    },
    files::{Cell, Files},
    path, text,
};

/// A notebook.
#[component]
pub fn Notebook(
    /// Its cells.
    cells: Vec<Cell>,
    /// Whether it has more.
    truncated: bool,
    /// Where it stands, for its Markdown.
    place: String,
) -> impl IntoView {
    let cells = cells.into_iter().map(|cell| match cell {
        Cell::Markdown { source } => {
            let source = Signal::stored(source);
            let place = place.clone();
            view! { <div class="cell"><MarkdownView source place /></div> }.into_any()
        }
        Cell::Other { html } => view! { <div class="cell" inner_html=html></div> }.into_any(),
    });
    let rest = truncated.then(|| {
        view! { <p class="quiet">"There is more in this notebook than is shown here. Download it to see all of it."</p> }
    });
    view! {
        <div class="notebook" tabindex="0" role="region" aria-label="Notebook">
            {cells.collect_view()}
            {rest}
        </div>
    }
    .into_any()
}

/// A picture.
#[component]
pub fn Picture(
    /// The state of the page.
    files: Files,
    /// The file.
    path: String,
    /// Its width and height in pixels, if they are known.
    size: Option<(i32, i32)>,
) -> impl IntoView {
    let source = files.workspace_id.with_value(|id| path::raw(id, &path));
    let name = text::plain(path::name(&path));
    let (width, height) = size.unzip();
    view! { <div class="file-image"><img src=source alt=name width=width height=height /></div> }
        .into_any()
}

/// A PDF document. Browsers show none within a page that may run nothing.
#[component]
pub fn Pdf(
    /// The state of the page.
    files: Files,
    /// The file.
    path: String,
) -> impl IntoView {
    let source = files.workspace_id.with_value(|id| path::raw(id, &path));
    let save = format!("{source}&download=1");
    view! {
        <section class="empty small">
            <span class="empty-icon"><Glyph icon=Icon::File /></span>
            <p class="quiet">"A PDF document opens outside this page, where it can do nothing here."</p>
            <p class="empty-actions">
                <a class="button primary" href=source rel="external noopener" target="_blank">"Open in a new tab"</a>
                <a class="button" href=save rel="external" download="">"Download"</a>
            </p>
        </section>
    }
    .into_any()
}

/// The first bytes of a file.
#[component]
pub fn Binary(
    /// The bytes.
    html: String,
) -> impl IntoView {
    view! {
        <p class="quiet hex-note">"This is no text. Its first bytes:"</p>
        <pre class="hex" tabindex="0" role="region" aria-label="First bytes" inner_html=html></pre>
    }
    .into_any()
}

/// Where nothing can be shown.
pub fn nothing(kind: pb::FileKind) -> AnyView {
    let words = match kind {
        pb::FileKind::File => "There is no preview for it. Download it to see what is in it.",
        pb::FileKind::Symlink => "Where this link leads, nothing can be shown.",
        _ => "A named pipe, a socket or a device: it can be seen, moved and deleted, and no more.",
    };
    view! {
        <section class="empty small">
            <span class="empty-icon"><Glyph icon=icon_of(kind) /></span>
            <p class="quiet">{words}</p>
        </section>
    }
    .into_any()
}
