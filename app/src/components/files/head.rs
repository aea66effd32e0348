//! The head of the view: where one is, and what can be done there.

use leptos::prelude::*;
use leptos_router::components::A;
use membrane_proto::v1 as pb;

use super::{
    entry_menu::{EntryMenu, Rename, download},
    name::Name,
    upload_button::UploadButton,
};
use crate::{
    components::icon::{Glyph, Icon},
    files::{Content, Files, Shown, Task},
    path,
};

/// The head.
#[component]
pub fn Head(
    /// The state of the page.
    files: Files,
) -> impl IntoView {
    let actions = move || match files.shown.get() {
        Shown::Directory(path) => directory_actions(files, path),
        Shown::File(file, content) => file_actions(files, file.0, &content),
        Shown::Missing(..) => ().into_any(),
    };
    let renamed = move || match (files.task.get(), files.shown.get()) {
        (Task::Rename(path), Shown::File(file, _)) if file.0.path == path => Some(path),
        _ => None,
    };
    view! {
        <header class="header files-head">
            <h1 class="for-readers">"Files"</h1>
            {move || match renamed() {
                Some(path) => view! { <Rename files path /> }.into_any(),
                None => crumbs(files),
            }}
            <div class="header-actions">{actions}</div>
        </header>
    }
    .into_any()
}

fn crumbs(files: Files) -> AnyView {
    let path = files.shown.with(|shown| shown.path().to_owned());
    let above = path::ancestors(&path).into_iter().map(|above| {
        let href = files.address(above);
        let name = match path::name(above) {
            "" => view! { <span>"Files"</span> }.into_any(),
            name => view! { <Name text=name.to_owned() /> }.into_any(),
        };
        view! { <li><a class="crumb" href=href>{name}</a></li> }
    });
    let here = match path::name(&path) {
        "" => view! { <span>"Files"</span> }.into_any(),
        name => view! { <Name text=name.to_owned() /> }.into_any(),
    };
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <ol>
                {above.collect_view()}
                <li><span class="crumb here" aria-current="page">{here}</span></li>
            </ol>
        </nav>
    }
    .into_any()
}

fn directory_actions(files: Files, path: String) -> AnyView {
    let begin = move |directory| move |_| files.task.set(Task::Create { directory });
    let (zip, words) = download(files, &path, pb::FileKind::Directory);
    let trash = files
        .workspace_id
        .with_value(|id| format!("/workspaces/{id}/trash"));
    let search = files
        .workspace_id
        .with_value(|id| format!("/workspaces/{id}/search"));
    let changes = files.may_write.then(|| {
        view! {
            <button type="button" class="button small needs-script" on:click=begin(false) title="New file">
                <Glyph icon=Icon::FilePlus />
                <span class="wide-only">"New file"</span>
            </button>
            <button type="button" class="button small needs-script" on:click=begin(true) title="New folder">
                <Glyph icon=Icon::Folder />
                <span class="wide-only">"New folder"</span>
            </button>
            <UploadButton files />
        }
    });
    view! {
        {changes}
        <A href=search attr:class="button small icon-only bare-button" attr:title="Search (/)" attr:aria-label="Search">
            <Glyph icon=Icon::Search />
        </A>
        <a class="button small icon-only bare-button" href=zip rel="external" download="" title=words aria-label=words>
            <Glyph icon=Icon::Download />
        </a>
        <A href=trash attr:class="button small icon-only bare-button" attr:title="Trash" attr:aria-label="Trash">
            <Glyph icon=Icon::Trash />
        </A>
    }
    .into_any()
}

fn file_actions(files: Files, file: pb::File, content: &Content) -> AnyView {
    let kind = file.kind();
    let path = file.path;
    let is_text = kind == pb::FileKind::File && content.is_text();
    let edit = (files.may_write && is_text).then(|| {
        let href = files
            .workspace_id
            .with_value(|id| path::edit_address(id, &path));
        view! {
            <a class="button small needs-script" href=href>
                <Glyph icon=Icon::Pencil />
                "Edit"
            </a>
        }
    });
    let save = (kind != pb::FileKind::Special).then(|| {
        let (href, words) = download(files, &path, kind);
        view! {
            <a class="button small" href=href rel="external" download="">
                <Glyph icon=Icon::Download />
                {words}
            </a>
        }
    });
    view! {
        {edit}
        {save}
        {files.may_write.then(|| view! { <EntryMenu files path kind /> })}
    }
    .into_any()
}
