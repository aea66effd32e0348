//! What can be done to an entry, behind one button.

use leptos::{html, prelude::*};
use membrane_proto::v1 as pb;

use super::name_form::NameForm;
use crate::{
    components::icon::{Glyph, Icon},
    files::{Files, Task},
    path, text,
};

/// The button and its list.
#[component]
pub fn EntryMenu(
    /// The state of the page.
    files: Files,
    /// The entry.
    path: String,
    /// What it is.
    kind: pb::FileKind,
) -> impl IntoView {
    let label = format!("Actions for {}", text::plain(path::name(&path)));
    let path = StoredValue::new(path);
    let is_open = Memo::new(move |_| {
        files
            .task
            .with(|task| path.with_value(|path| matches!(task, Task::Choose(it) if it == path)))
    });
    // Near the lower end of the window there is more room above.
    let upwards = RwSignal::new(false);
    let toggle = move |event: leptos::ev::MouseEvent| {
        let height = window()
            .inner_height()
            .ok()
            .and_then(|height| height.as_f64());
        upwards.set(height.is_some_and(|height| f64::from(event.client_y()) > height * 0.6));
        files.task.set(match is_open.get_untracked() {
            true => Task::None,
            false => Task::Choose(path.get_value()),
        });
    };
    let button = NodeRef::<html::Button>::new();
    let leave = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape" && is_open.get_untracked() {
            event.prevent_default();
            files.task.set(Task::None);
            if let Some(button) = button.get_untracked() {
                let _ = button.focus();
            }
        }
    };
    view! {
        <div class="menu needs-script" on:keydown=leave>
            <button
                type="button"
                class="button small icon-only bare-button"
                aria-label=label
                aria-expanded=move || is_open.get().to_string()
                node_ref=button
                on:click=toggle
            >
                <span aria-hidden="true">"⋯"</span>
            </button>
            {move || {
                is_open
                    .get()
                    .then(|| {
                        view! {
                            <div class="menu-list" class:upwards=move || upwards.get()>
                                {items(files, path.get_value(), kind)}
                            </div>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}

fn items(files: Files, path: String, kind: pb::FileKind) -> AnyView {
    close_elsewhere(files);
    let begin = move |task: Task| move |_| files.task.set(task.clone());
    let rename = begin(Task::Rename(path.clone()));
    let place = |copy| Task::Place {
        path: path.clone(),
        copy,
    };
    let to_delete = StoredValue::new(path.clone());
    let delete = move |_| files.attempt(files.delete(to_delete.get_value()));
    let download = (kind != pb::FileKind::Special).then(|| {
        let (href, words) = download(files, &path, kind);
        view! {
            <a class="menu-item" href=href rel="external" download="">
                <Glyph icon=Icon::Download />
                {words}
            </a>
        }
    });
    view! {
        <button type="button" class="menu-item" on:click=rename>
            <Glyph icon=Icon::Pencil />
            "Rename"
        </button>
        <button type="button" class="menu-item" on:click=begin(place(false))>
            <Glyph icon=Icon::Folder />
            "Move…"
        </button>
        <button type="button" class="menu-item" on:click=begin(place(true))>
            <Glyph icon=Icon::Copy />
            "Copy…"
        </button>
        {download}
        <button type="button" class="menu-item danger" on:click=delete>
            <Glyph icon=Icon::Trash />
            "Delete"
        </button>
    }
    .into_any()
}

/// Where an entry can be downloaded, and what as.
pub fn download(files: Files, path: &str, kind: pb::FileKind) -> (String, &'static str) {
    files.workspace_id.with_value(|id| match kind {
        pb::FileKind::Directory => (path::archive(id, path), "Download as zip"),
        _ => (path::raw(id, path) + "&download=1", "Download"),
    })
}

/// A click anywhere else closes the list. Not the click that has opened it.
fn close_elsewhere(files: Files) {
    let clicked = window_event_listener(leptos::ev::mousedown, move |event| {
        let target = crate::browser::target::<web_sys::Element>(&event);
        let inside = target.and_then(|target| target.closest(".menu").ok().flatten());
        if inside.is_none() {
            files.task.try_set(Task::None);
        }
    });
    on_cleanup(move || clicked.remove());
}

/// The name as a field.
#[component]
pub fn Rename(
    /// The state of the page.
    files: Files,
    /// The entry.
    path: String,
) -> impl IntoView {
    let name = path::name(&path).to_owned();
    let before = name.clone();
    let done = Callback::new(move |name: String| {
        if name == before {
            return files.task.set(Task::None);
        }
        let new_path = path::join(path::parent(&path), &name);
        files.attempt(files.put(path.clone(), new_path, false));
    });
    let cancel = Callback::new(move |()| files.task.set(Task::None));
    view! { <NameForm label="New name" name done cancel /> }.into_any()
}
