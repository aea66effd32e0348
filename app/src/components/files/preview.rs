//! A file: its text, its image, or what is known of it.

use leptos::prelude::*;
use leptos_router::hooks::use_location;
use membrane_proto::v1 as pb;

use super::{entry_row::icon_of, name::Name};
use crate::{
    components::{icon::Glyph, time::Time},
    files::{Content, Files},
    format, path, text,
};

/// The file.
#[component]
pub fn Preview(
    /// The state of the page.
    files: Files,
    /// The entry.
    file: pb::File,
    /// How it is shown.
    content: Content,
) -> impl IntoView {
    let kind = file.kind();
    let words = match (&content, kind) {
        (_, pb::FileKind::Special) => "Neither a file nor a directory",
        (_, pb::FileKind::Symlink) => "Link",
        (Content::None, _) => "File",
        (Content::Image, _) => "Image",
        (Content::Text { .. }, _) => "Text",
    };
    let size = (kind == pb::FileKind::File).then(|| format::bytes(file.size));
    let lines = match content {
        Content::Text { lines, .. } => Some(format::count(lines.into(), "line", "lines")),
        _ => None,
    };
    let leads = (!file.link_target.is_empty()).then(|| {
        let target = file.link_target.clone();
        view! { <span>"leads to " <Name text=target /></span> }
    });
    let facts = view! {
        <p class="file-facts">
            <span>{words}</span>
            <span>{size}</span>
            <span>{lines}</span>
            {leads}
            {file.executable.then(|| view! { <span>"can be executed"</span> })}
            <span>"changed " <Time time=file.update_time /></span>
        </p>
    };
    view! {
        <div class="file-view">
            {facts}
            {body(files, &file, content)}
        </div>
    }
    .into_any()
}

fn body(files: Files, file: &pb::File, content: Content) -> AnyView {
    let name = text::plain(path::name(&file.path));
    match content {
        Content::Text { lines: 0, .. } => {
            view! { <p class="quiet files-none">"This file is empty."</p> }.into_any()
        }
        Content::Text { html, .. } => {
            mark_line();
            view! { <div class="lines" tabindex="0" role="region" aria-label=name inner_html=html></div> }
                .into_any()
        }
        Content::Image => {
            let source = files
                .workspace_id
                .with_value(|id| path::raw(id, &file.path));
            view! { <div class="file-image"><img src=source alt=name /></div> }.into_any()
        }
        Content::None => nothing(file.kind()),
    }
}

fn nothing(kind: pb::FileKind) -> AnyView {
    let words = match kind {
        pb::FileKind::File => {
            "There is no preview for it: it is no text, or larger than 1 MB. Download it to see what \
             is in it."
        }
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

/// Marks the line of the address and brings it into sight.
fn mark_line() {
    let location = use_location();
    Effect::new(move || {
        let line = location.hash.with(|hash| {
            let line = hash.trim_start_matches('#').strip_prefix('L');
            line.and_then(|line| line.split('-').next()?.parse::<u32>().ok())
        });
        let asked = location.query.with(|query| query.get("line"));
        let line = line.or_else(|| asked?.parse().ok());
        // Once the text is in the document.
        request_animation_frame(move || mark(line));
    });
}

fn mark(line: Option<u32>) {
    if let Ok(Some(marked)) = document().query_selector(".line.marked") {
        let _ = marked.class_list().remove_1("marked");
    }
    let marked = line.and_then(|line| document().get_element_by_id(&format!("L{line}")));
    if let Some(marked) = marked {
        let _ = marked.class_list().add_1("marked");
        let options = web_sys::ScrollIntoViewOptions::new();
        options.set_block(web_sys::ScrollLogicalPosition::Center);
        marked.scroll_into_view_with_scroll_into_view_options(&options);
    }
}
