//! A file: what is known of it, and what it is shown as.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use self::{
    lines::Lines,
    shapes::{Binary, Notebook, Pdf, Picture, nothing},
    sheet::Sheet,
};
use super::name::Name;
use crate::{
    components::{markdown_view::MarkdownView, time::Time},
    files::{Content, Files},
    format, path,
};

mod lines;
mod more;
mod shapes;
mod sheet;

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
    view! {
        <div class="file-view">
            {facts(files, &file, &content)}
            {body(files, file, content)}
        </div>
    }
    .into_any()
}

fn facts(files: Files, file: &pb::File, content: &Content) -> impl IntoView + use<> {
    let kind = file.kind();
    let words = match kind {
        pb::FileKind::Special => "Neither a file nor a directory",
        pb::FileKind::Symlink => "Link",
        _ => content.words(),
    };
    let words = words.to_owned();
    let size = (kind == pb::FileKind::File).then(|| format::bytes(file.size));
    let lines = match content {
        Content::Text { part, .. } if part.next.is_empty() => {
            Some(format::count(part.count, "line", "lines"))
        }
        Content::Image {
            size: Some((width, height)),
            ..
        } => Some(format!("{width} × {height} pixels")),
        _ => None,
    };
    let leads = (!file.link_target.is_empty()).then(|| {
        let target = file.link_target.clone();
        view! { <span>"leads to " <Name text=target /></span> }
    });
    let is_source = source_asked();
    let views = (content.is_rendered() || is_source)
        .then(|| view! { <Views address=files.address(&file.path) is_source /> });
    view! {
        <div class="file-facts">
            <span>{words}</span>
            <span>{size}</span>
            <span>{lines}</span>
            {leads}
            {file.executable.then(|| view! { <span>"can be executed"</span> })}
            <span>"changed " <Time time=file.update_time /></span>
            {views}
        </div>
    }
}

/// Whether the address asks for the source.
fn source_asked() -> bool {
    let query = leptos_router::hooks::use_location().query;
    query.with_untracked(path::wants_source)
}

/// Chooses between what a file stands for and its source.
#[component]
fn Views(address: String, is_source: bool) -> impl IntoView {
    let source = format!("{address}?view=source");
    let current = |is: bool| is.then_some("true");
    view! {
        <span class="choice-links" role="group" aria-label="Shown as">
            <a class="choice-link" href=address aria-current=current(!is_source)>"Preview"</a>
            <a class="choice-link" href=source aria-current=current(is_source)>"Source"</a>
        </span>
    }
    .into_any()
}

fn body(files: Files, file: pb::File, content: Content) -> AnyView {
    match content {
        Content::Text { part, .. } if part.count == 0 && part.next.is_empty() => {
            view! { <p class="quiet files-none">"This file is empty."</p> }.into_any()
        }
        Content::Text { part, .. } => view! { <Lines files path=file.path part /> }.into_any(),
        Content::Table(part) => view! { <Sheet files path=file.path part /> }.into_any(),
        Content::Markdown { source } => {
            let place = place(files, &file.path);
            view! {
                <div class="file-document" tabindex="0" role="region" aria-label="Document">
                    <MarkdownView source=Signal::stored(source) place />
                </div>
            }
            .into_any()
        }
        Content::Notebook { cells, truncated } => {
            let place = place(files, &file.path);
            view! { <Notebook cells truncated place /> }.into_any()
        }
        Content::Image { size, .. } => view! { <Picture files path=file.path size /> }.into_any(),
        Content::Pdf => view! { <Pdf files path=file.path /> }.into_any(),
        Content::Binary { html, .. } => view! { <Binary html /> }.into_any(),
        Content::None => nothing(file.kind()),
    }
}

/// Where a document stands, for the renderer of Markdown.
fn place(files: Files, path: &str) -> String {
    let directory = path::parent(path);
    files
        .workspace_id
        .with_value(|id| format!("{id}/{directory}"))
}
