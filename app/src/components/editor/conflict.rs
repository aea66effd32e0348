//! Two texts of one file: theirs beside mine, and the ways out.

use leptos::{prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;

use super::state::{Conflict, Editing};
use crate::{
    components::icon::{Glyph, Icon},
    edit::{Opened, Text},
    editor::{Editor, EditorModule},
};

type Merge = StoredValue<Option<SendWrapper<Editor>>>;

/// The view of a conflict.
#[component]
pub fn ConflictView(
    /// The file.
    editing: Editing,
    /// The two texts.
    conflict: Conflict,
) -> impl IntoView {
    let Conflict { mine, theirs } = conflict;
    let words = match &theirs {
        Some(Ok(_)) => {
            "Somebody else changed this file after you opened it. Nothing is lost: choose one \
                        text, or merge them here."
        }
        Some(Err(_)) => {
            "Somebody else replaced this file after you opened it by something that can't be \
                         edited here."
        }
        None => "Somebody else deleted this file after you opened it.",
    };
    view! {
        <section class="conflict" aria-label="Conflict">
            <div class="bar wait" role="alert">
                <Glyph icon=Icon::Warning />
                <p>{words}</p>
            </div>
            {match theirs {
                Some(Ok(theirs)) => two_texts(editing, mine, theirs),
                other => one_text(editing, mine, other),
            }}
        </section>
    }
    .into_any()
}

fn two_texts(editing: Editing, mine: String, theirs: Text) -> AnyView {
    let merge: Merge = StoredValue::new(None);
    let host = NodeRef::<leptos::html::Div>::new();
    show(editing, host, merge, mine.clone(), theirs.text.clone());
    let etag = StoredValue::new(theirs.etag.clone());
    let keep = move |_| editing.settle(mine.clone(), Some(etag.get_value()));
    let take = move |_| editing.take(theirs.clone());
    let save = move |_| {
        if let Some(text) = merge.with_value(|merge| merge.as_ref().and_then(|merge| merge.text()))
        {
            editing.settle(text, Some(etag.get_value()));
        }
    };
    let busy = editing.saving;
    view! {
        <div class="conflict-actions">
            <button type="button" class="button small" disabled=busy on:click=take>"Take theirs"</button>
            <button type="button" class="button small" disabled=busy on:click=keep>"Keep mine"</button>
            <button type="button" class="button small primary" disabled=busy on:click=save>"Save merged"</button>
        </div>
        <div class="conflict-heads" aria-hidden="true">
            <span>"Theirs, as it is now"</span>
            <span>"Mine, which can be edited"</span>
        </div>
        <div class="conflict-host" node_ref=host></div>
    }
    .into_any()
}

fn show(
    editing: Editing,
    host: NodeRef<leptos::html::Div>,
    merge: Merge,
    mine: String,
    theirs: String,
) {
    Effect::new(move || {
        let (Some(host), Some(module)) = (host.get(), use_context::<EditorModule>()) else {
            return;
        };
        let (mine, theirs) = (mine.clone(), theirs.clone());
        spawn_local(async move {
            let module = module.fetch().await;
            let Some(path) = editing.path.try_get_value() else {
                return;
            };
            match module.and_then(|module| module.conflict(&host, &path, &mine, &theirs)) {
                Ok(view) => {
                    view.focus();
                    merge.try_set_value(Some(SendWrapper::new(view)));
                }
                Err(error) => drop(editing.problem.try_set(Some(error))),
            }
        });
    });
}

fn one_text(editing: Editing, mine: String, theirs: Option<Opened>) -> AnyView {
    let reason = theirs.and_then(Result::err).map(|refusal| refusal.words());
    let gone = reason.is_none();
    let keep = move |_| editing.settle(mine.clone(), None);
    view! {
        <div class="conflict-alone">
            <p>{reason}</p>
            {gone
                .then(|| {
                    view! {
                        <button type="button" class="button small" disabled=editing.saving on:click=keep>
                            "Keep mine"
                        </button>
                    }
                })}
            <button type="button" class="button small" on:click=move |_| editing.put_off()>
                "Back to my text"
            </button>
        </div>
    }
    .into_any()
}
