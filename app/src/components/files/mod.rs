//! The files of a workspace: the tree, and beside it a directory or a file.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{hooks::use_location, location::Location};

use self::{
    head::Head, listing::Listing, place_dialog::PlaceDialog, preview::Preview, tree_view::TreeView,
};
use super::problem::{InlineProblem, Problem};
use crate::{
    files::{Files, Shown, dropped, uploads::Uploads, walk},
    links, path, text, title,
};

mod empty;
mod entry_menu;
mod entry_row;
mod head;
mod listing;
mod name;
mod name_form;
mod place_dialog;
mod preview;
mod tree_view;
mod upload_button;
mod upload_panel;
mod windowed;

pub use entry_row::icon_of;
pub use name::{FileLink, Name};
pub use upload_panel::UploadPanel;

/// How long to wait for more to arrive before what arrived is shown.
const GATHER: Duration = Duration::from_millis(300);

/// The whole view.
#[component]
pub fn FilesView(
    /// Its state.
    files: Files,
) -> impl IntoView {
    let uploads = expect_context::<Uploads>();
    follow_address(files);
    show_arrived(files, uploads);
    files.follow();
    let over = RwSignal::new(false);
    let title = title::lasting(move || files.shown.try_with(|shown| name_of(shown.path())));
    view! {
        <Title text=title />
        <div
            class="files"
            class:drop-here=move || over.get()
            on:click=move |event| {
                if let Some(address) = links::followed(&event) {
                    files.go(address);
                }
            }
            on:dragover=move |event| {
                event.prevent_default();
                over.set(files.may_write);
            }
            on:dragleave=move |event| {
                if event.related_target().is_none() {
                    over.set(false);
                }
            }
            on:drop=move |event| {
                event.prevent_default();
                over.set(false);
                receive(files, uploads, &event);
            }
        >
            <TreeView files />
            <div class="files-main">
                <Head files />
                <InlineProblem error=files.problem />
                {move || shown(files)}
                <p class="drop-words" aria-hidden="true">"Drop to upload here"</p>
            </div>
            <PlaceDialog files />
        </div>
    }
    .into_any()
}

fn name_of(path: &str) -> String {
    match text::plain(path::name(path)) {
        name if name.is_empty() => "Files".to_owned(),
        name => name,
    }
}

fn shown(files: Files) -> AnyView {
    match files.shown.get() {
        Shown::Directory(path) => view! { <Listing files path /> }.into_any(),
        Shown::File(file, content) => view! { <Preview files file=file.0 content /> }.into_any(),
        Shown::Missing(_, error) => view! { <div class="page"><Problem error /></div> }.into_any(),
    }
}

/// Shows what the address names when it changes.
fn follow_address(files: Files) {
    let Location {
        pathname, query, ..
    } = use_location();
    Effect::new(move |before: Option<(String, bool)>| {
        let path = pathname.with(|address| path::from_address(address));
        let wanted = (path, query.with(path::wants_source));
        let is_here = files.workspace_id.with_value(|id| {
            pathname.with(|address| address.starts_with(&format!("/workspaces/{id}/files")))
        });
        if is_here && before.is_some_and(|before| before != wanted) {
            files.show(wanted.0.clone(), wanted.1);
        }
        wanted
    });
}

/// Shows what uploads have brought.
fn show_arrived(files: Files, uploads: Uploads) {
    let waiting = StoredValue::new(false);
    Effect::new(move || {
        if !uploads.has_arrived() || waiting.get_value() {
            return;
        }
        waiting.set_value(true);
        let show = move || {
            if waiting.try_set_value(false).is_some() {
                return;
            }
            let arrived = uploads.take_arrived();
            let above = arrived.iter().flat_map(|path| path::ancestors(path));
            let above: Vec<_> = above.map(str::to_owned).collect();
            spawn_local(files.reload_known(arrived.into_iter().chain(above)));
        };
        set_timeout(show, GATHER);
    });
}

fn receive(files: Files, uploads: Uploads, event: &web_sys::DragEvent) {
    let Some(transfer) = event.data_transfer().filter(|_| files.may_write) else {
        return;
    };
    let dropped = dropped(&transfer);
    let (workspace_id, place) = (files.workspace_id.get_value(), files.place());
    spawn_local(async move { uploads.add(&workspace_id, &place, walk(dropped).await) });
}
