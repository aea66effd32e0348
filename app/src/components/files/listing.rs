//! A directory's entries, one a row.

use std::sync::Arc;

use leptos::{ev::KeyboardEvent, prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;
use wasm_bindgen::JsCast as _;

use super::{empty::Empty, entry_row::EntryRow, name_form::NameForm, windowed::Windowed};
use crate::{
    browser,
    components::problem::Problem,
    files::{Files, Task, tree::Directory},
    format, path, text,
};

/// The list.
#[component]
pub fn Listing(
    /// The state of the page.
    files: Files,
    /// The directory.
    path: String,
) -> impl IntoView {
    let at = StoredValue::new(path.clone());
    let of = move |what: fn(&Directory) -> usize| {
        files
            .directories
            .with(|known| at.with_value(|path| known.get(path).map_or(0, what)))
    };
    let count = Memo::new(move |_| of(|directory| directory.files.len()));
    let has_more = Memo::new(move |_| of(|directory| usize::from(!directory.next.is_empty())) > 0);
    let problem = Memo::new(move |_| {
        files.directories.with(|known| {
            let directory = at.with_value(|path| known.get(path).cloned());
            directory.and_then(|directory| directory.problem)
        })
    });
    let window = Windowed::new(count.into());
    read_on(files, at, window, count, has_more);
    let part = move || {
        let range = window.range();
        files.directories.with(|known| {
            let directory = at.with_value(|path| known.get(path));
            let part = directory.and_then(|directory| directory.files.get(range));
            part.unwrap_or_default().to_vec()
        })
    };
    let is_empty = move || count.get() == 0 && problem.with(Option::is_none);
    let words = move || {
        let more = if has_more.get() { " so far" } else { "" };
        format!(
            "{}{more}",
            format::count(count.get() as i64, "entry", "entries")
        )
    };
    view! {
        <div class="listing" node_ref=window.scroller on:scroll=move |_| window.measure() on:keydown=walk>
            <Create files path />
            {move || problem.get().map(|error| view! { <div class="page"><Problem error /></div> })}
            <Show when=is_empty>
                <Empty files />
            </Show>
            <div class="listing-head" aria-hidden="true" class:hidden=is_empty>
                <span>"Name"</span>
                <span class="entry-size">"Size"</span>
                <span class="entry-time">"Changed"</span>
            </div>
            <div role="list" class="entry-list" aria-label="Entries" class:hidden=is_empty node_ref=window.list>
                <For each=part key=key children=move |file| view! { <EntryRow files file /> } />
            </div>
            <p class="entry-foot quiet" class:hidden=is_empty>
                {words}
                <Show when=move || has_more.get()>
                    <button
                        type="button"
                        class="button small needs-script"
                        on:click=move |_| files.more(at.get_value())
                    >
                        "Show more"
                    </button>
                </Show>
            </p>
        </div>
    }
    .into_any()
}

/// Tells a row from the one that it becomes when its entry changes.
fn key(file: &Arc<pb::File>) -> (String, String, i64) {
    (file.path.clone(), file.etag.clone(), file.size)
}

/// Reads the next page when the end of the list comes near.
fn read_on(
    files: Files,
    path: StoredValue<String>,
    window: Windowed,
    count: Memo<usize>,
    has_more: Memo<bool>,
) {
    Effect::new(move || {
        let near = window.range().end + 50 > count.get();
        let is_drawn = window.scroller.get().is_some();
        if near && is_drawn && has_more.get() && count.get() > window.range().len() {
            files.more(path.get_value());
        }
    });
}

/// The field for a new entry's name.
#[component]
fn Create(files: Files, path: String) -> impl IntoView {
    let place = StoredValue::new(path);
    let form = move |directory: bool| {
        let done = Callback::new(move |name: String| {
            let path = place.with_value(|place| path::join(place, &name));
            files.task.set(Task::None);
            files.problem.set(None);
            spawn_local(async move {
                match files.create(path.clone(), directory).await {
                    Ok(()) => files.say(format!("Created {}", text::plain(&path))),
                    Err(error) => {
                        files.problem.try_set(Some(error));
                    }
                }
            });
        });
        let cancel = Callback::new(move |()| files.task.set(Task::None));
        let label = if directory {
            "Name of the new folder"
        } else {
            "Name of the new file"
        };
        view! { <div class="entry-new"><NameForm label done cancel /></div> }
    };
    move || match files.task.get() {
        Task::Create { directory } => Some(form(directory)),
        _ => None,
    }
}

/// Arrows, and j and k, go from row to row.
fn walk(event: KeyboardEvent) {
    let target = browser::target::<web_sys::Element>(&event);
    let Some(link) = target.filter(|target| target.class_list().contains("entry-link")) else {
        return;
    };
    let row = link.closest(".entry-row").ok().flatten();
    let next = row.and_then(|row| match event.key().as_str() {
        "ArrowDown" | "j" => row.next_element_sibling(),
        "ArrowUp" | "k" => row.previous_element_sibling(),
        _ => None,
    });
    let link = next.and_then(|row| row.query_selector(".entry-link").ok().flatten());
    if let Some(link) = link.and_then(|link| link.dyn_into::<web_sys::HtmlElement>().ok()) {
        event.prevent_default();
        let _ = link.focus();
    }
}
