//! The files beside a message that is being written.

use leptos::{html, prelude::*};
use web_sys::{ClipboardEvent, DragEvent, File, FileList, HtmlInputElement};

use crate::{
    components::{
        files::Name,
        icon::{Glyph, Icon},
        problem::InlineProblem,
    },
    files::{Attached, Attachments, dropped, uploads::State, walk},
    format, path, text,
};

/// The files, each with how it is doing.
#[component]
pub fn Chips(
    /// What goes with the message.
    attachments: Attachments,
) -> impl IntoView {
    let any = move || attachments.list.with(|list| !list.is_empty());
    view! {
        <Show when=any>
            <ul class="chips" aria-label="Attachments">
                <For
                    each=move || attachments.list.get()
                    key=|one| one.id
                    children=move |one| chip(attachments, one)
                />
            </ul>
        </Show>
        <InlineProblem error=attachments.problem />
    }
    .into_any()
}

fn chip(attachments: Attachments, one: Attached) -> AnyView {
    let label = text::plain(&one.name);
    let (name, size) = (one.name.clone(), one.size);
    let state = one.state.clone();
    let failed = {
        let state = state.clone();
        move || state.with(|state| matches!(state, State::Failed(_)))
    };
    let picture = {
        let one = one.clone();
        move || picture(attachments, &one)
    };
    let removed = one.clone();
    let words = move || state.with(|state| condition(attachments, &one, state, size));
    let remove = format!("Remove {label}");
    view! {
        <li class="chip" class:bad=failed>
            {picture}
            <Name text=name />
            {words}
            <button
                type="button"
                class="chip-remove"
                title=remove.clone()
                aria-label=remove.clone()
                on:click=move |_| attachments.remove(&removed)
            >
                <Glyph icon=Icon::Cross />
            </button>
        </li>
    }
    .into_any()
}

fn picture(attachments: Attachments, one: &Attached) -> AnyView {
    if !one.is_image || !one.is_there() {
        return view! { <Glyph icon=Icon::File /> }.into_any();
    }
    let source = attachments
        .workspace_id
        .with_value(|id| path::raw(id, &one.path.get()));
    view! { <img class="chip-picture" src=source alt="" /> }.into_any()
}

fn condition(attachments: Attachments, one: &Attached, state: &State, size: i64) -> AnyView {
    let label = format!("Upload of {}", text::plain(&one.name));
    let bar = |sent: i64, words: String| {
        view! {
            <span class="chip-state">{words}</span>
            <progress
                class="progress"
                aria-label=label
                max=size.max(1).to_string()
                value=sent.to_string()
            ></progress>
        }
        .into_any()
    };
    match state {
        State::Done => view! { <span class="chip-state">{format::bytes(size)}</span> }.into_any(),
        State::Sending(sent) => bar(*sent, format!("{} %", sent * 100 / size.max(1))),
        State::Offline(sent) => bar(*sent, "no connection: goes on by itself".to_owned()),
        State::Finishing => bar(size, "almost there".to_owned()),
        State::Failed(error) => {
            let (words, quote, again) = (error.message.clone(), error.quote(), one.clone());
            let reason = error.reason.clone();
            let retry = (reason != "IMAGE_TOO_LARGE").then(|| {
                view! {
                    <button
                        type="button"
                        class="button small"
                        on:click=move |_| attachments.retry(&again)
                    >
                        "Try again"
                    </button>
                }
            });
            view! {
                <span class="chip-state" role="alert">{words} " " <code>{quote}</code></span>
                {retry}
            }
            .into_any()
        }
        State::Asking | State::Waiting(_) | State::Taken | State::Cancelled => ().into_any(),
    }
}

/// Chooses files.
#[component]
pub fn AttachButton(
    /// What goes with the message.
    attachments: Attachments,
) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let choose = move |_| {
        if let Some(input) = input.get_untracked() {
            input.click();
        }
    };
    let chosen = move |event: web_sys::Event| {
        if let Some(input) = crate::browser::target::<HtmlInputElement>(&event) {
            attachments.add(all(input.files().as_ref()));
            // The same file may be chosen again.
            input.set_value("");
        }
    };
    view! {
        <button
            type="button"
            class="button small icon-only bare-button needs-script"
            title="Attach files"
            aria-label="Attach files"
            on:click=choose
        >
            <Glyph icon=Icon::Attach />
        </button>
        <input type="file" hidden multiple aria-label="Files to attach" node_ref=input on:change=chosen />
    }
    .into_any()
}

/// Takes files from the clipboard. Text beside them is what is meant, then.
pub fn paste(attachments: Attachments, event: &ClipboardEvent) {
    let Some(data) = event.clipboard_data() else {
        return;
    };
    let files = all(data.files().as_ref());
    let has_text = data
        .get_data("text/plain")
        .is_ok_and(|text| !text.is_empty());
    if !files.is_empty() && !has_text {
        event.prevent_default();
        attachments.add(files);
    }
}

/// Takes what is dropped anywhere on the page. Returns whether something hangs above it.
pub fn take_drops(attachments: Attachments) -> RwSignal<bool> {
    let over = RwSignal::new(false);
    Effect::new(move || {
        let begun = window_event_listener(leptos::ev::dragover, move |event| {
            if brings_files(&event) {
                event.prevent_default();
                over.set(true);
            }
        });
        let left = window_event_listener(leptos::ev::dragleave, move |event| {
            if event.related_target().is_none() {
                over.set(false);
            }
        });
        let done = window_event_listener(leptos::ev::drop, move |event| {
            over.set(false);
            if let Some(transfer) = event.data_transfer().filter(|_| brings_files(&event)) {
                event.prevent_default();
                let dropped = dropped(&transfer);
                leptos::task::spawn_local(async move {
                    let files = walk(dropped).await;
                    attachments.add(files.into_iter().map(|(_, file)| file).collect());
                });
            }
        });
        on_cleanup(move || {
            begun.remove();
            left.remove();
            done.remove();
        });
    });
    over
}

fn brings_files(event: &DragEvent) -> bool {
    let types = event.data_transfer().map(|transfer| transfer.types());
    types.is_some_and(|types| types.iter().any(|kind| kind == "Files"))
}

fn all(list: Option<&FileList>) -> Vec<File> {
    let count = list.map_or(0, FileList::length);
    (0..count).filter_map(|at| list?.get(at)).collect()
}
