//! One entry of a directory.

use std::sync::Arc;

use leptos::{ev::KeyboardEvent, prelude::*};
use membrane_proto::v1 as pb;

use super::{
    entry_menu::{EntryMenu, Rename},
    name::Name,
};
use crate::{
    components::{
        icon::{Glyph, Icon},
        time::Time,
    },
    files::{Files, Task},
    format, path,
};

/// The icon of an entry.
pub fn icon_of(kind: pb::FileKind) -> Icon {
    match kind {
        pb::FileKind::Directory => Icon::Folder,
        pb::FileKind::Symlink => Icon::Link,
        pb::FileKind::Special => Icon::Plug,
        _ => Icon::File,
    }
}

/// The row.
#[component]
pub fn EntryRow(
    /// The state of the page.
    files: Files,
    /// The entry.
    file: Arc<pb::File>,
) -> impl IntoView {
    let kind = file.kind();
    let path = StoredValue::new(file.path.clone());
    let is_renamed = Memo::new(move |_| {
        files
            .task
            .with(|task| path.with_value(|path| matches!(task, Task::Rename(it) if it == path)))
    });
    let key = move |event: KeyboardEvent| match event.key().as_str() {
        "F2" if files.may_write => files.task.set(Task::Rename(path.get_value())),
        "Delete" if files.may_write => files.attempt(files.delete(path.get_value())),
        _ => {}
    };
    let href = files.address(&file.path);
    let name = path::name(&file.path).to_owned();
    let target = StoredValue::new(file.link_target.clone());
    let link = move || {
        let leads = target.get_value();
        let leads = (!leads.is_empty())
            .then(|| view! { <span class="entry-target">"→ " <Name text=leads /></span> });
        view! {
            <a class="entry-link" href=href.clone() on:keydown=key>
                <Glyph icon=icon_of(kind) />
                <Name text=name.clone() />
                {leads}
            </a>
        }
        .into_any()
    };
    let size = (kind == pb::FileKind::File).then(|| format::bytes(file.size));
    let menu = files
        .may_write
        .then(|| view! { <EntryMenu files path=path.get_value() kind /> });
    view! {
        <div class="entry-row vrow" role="listitem">
            {move || {
                if is_renamed.get() {
                    view! { <Rename files path=path.get_value() /> }.into_any()
                } else {
                    link()
                }
            }}
            <span class="entry-size">{size}</span>
            <span class="entry-time"><Time time=file.update_time /></span>
            {menu}
        </div>
    }
    .into_any()
}
