//! Chooses files, or a folder, to upload.

use leptos::{attr::custom::custom_attribute, html, prelude::*};
use web_sys::{File, HtmlInputElement};

use crate::{
    components::icon::{Glyph, Icon},
    files::{Files, Task, uploads::Uploads},
};

/// The button with its two ways.
#[component]
pub fn UploadButton(
    /// The state of the page.
    files: Files,
) -> impl IntoView {
    let uploads = expect_context::<Uploads>();
    let menu = NodeRef::<html::Details>::new();
    let chosen = move |event: web_sys::Event| {
        let Some(input) = crate::browser::target::<HtmlInputElement>(&event) else {
            return;
        };
        let list = input.files();
        let all = (0..list.as_ref().map_or(0, web_sys::FileList::length))
            .filter_map(|at| list.as_ref()?.get(at))
            .map(|file| (relative_path(&file), file))
            .collect();
        let place = files.place();
        files
            .workspace_id
            .with_value(|id| uploads.add(id, &place, all));
        // The same file may be chosen again.
        input.set_value("");
        if let Some(menu) = menu.get_untracked() {
            menu.set_open(false);
        }
    };
    let leave = move |event: leptos::ev::KeyboardEvent| {
        if let (Some(menu), "Escape") = (menu.get_untracked(), event.key().as_str()) {
            menu.set_open(false);
        }
    };
    let folders = custom_attribute("webkitdirectory", "");
    let opened = move |_| files.task.set(Task::None);
    view! {
        <details class="menu needs-script" node_ref=menu on:keydown=leave on:toggle=opened>
            <summary class="button small primary" title="Upload">
                <Glyph icon=Icon::Upload />
                <span class="wide-only">"Upload"</span>
            </summary>
            <div class="menu-list">
                <label class="menu-item">
                    <Glyph icon=Icon::File />
                    "Files…"
                    <input class="for-readers" type="file" multiple on:change=chosen />
                </label>
                <label class="menu-item">
                    <Glyph icon=Icon::Folder />
                    "Folder…"
                    <input class="for-readers" type="file" multiple=true {..folders} on:change=chosen />
                </label>
            </div>
        </details>
    }
    .into_any()
}

/// The path below what was chosen, which is the name unless a folder was.
fn relative_path(file: &File) -> String {
    let path = js_sys::Reflect::get(file, &"webkitRelativePath".into());
    let path = path.ok().and_then(|path| path.as_string());
    path.filter(|path| !path.is_empty())
        .unwrap_or_else(|| file.name())
}
