//! Files on their way, on every page.

use leptos::prelude::*;

use super::name::Name;
use crate::{
    api::ApiError,
    components::icon::{Glyph, Icon},
    files::uploads::{How, State, Upload, Uploads},
    format, path, text,
};

/// Most rows that are drawn; the others wait behind them.
const ROWS: usize = 50;

/// The panel. It is shown while there is anything in it.
#[component]
pub fn UploadPanel() -> impl IntoView {
    let uploads = expect_context::<Uploads>();
    let rows = move || {
        uploads
            .list()
            .iter()
            .take(ROWS)
            .cloned()
            .collect::<Vec<_>>()
    };
    let words = move || {
        let tally = uploads.tally();
        format!(
            "{} of {}",
            tally.done,
            format::count(tally.all as i64, "file", "files")
        )
    };
    let is_over = move || {
        let list = uploads.list();
        list.iter()
            .all(|upload| upload.state.with(State::has_ended))
    };
    view! {
        <section class="uploads" aria-label="Uploads">
            <header class="uploads-head">
                <h2>"Uploads"</h2>
                <span class="quiet">{words}</span>
                <button type="button" class="button small" on:click=move |_| uploads.clear()>
                    {move || if is_over() { "Close" } else { "Cancel all" }}
                </button>
            </header>
            <ul class="uploads-list">
                <For each=rows key=|upload| upload.id children=move |upload| row(uploads, upload) />
            </ul>
        </section>
    }
    .into_any()
}

fn row(uploads: Uploads, upload: Upload) -> AnyView {
    let state = upload.state.clone();
    let name = path::name(&upload.path).to_owned();
    let size = upload.size;
    let place = text::plain(path::parent(&upload.path));
    let upload = StoredValue::new(upload);
    let body = move || state.with(|state| condition(uploads, upload, size, state));
    view! {
        <li class="upload" title=place>
            <Name text=name />
            {body}
        </li>
    }
    .into_any()
}

fn condition(uploads: Uploads, upload: StoredValue<Upload>, size: i64, state: &State) -> AnyView {
    match state {
        State::Asking => asking(uploads, upload),
        State::Waiting(_) => line(uploads, upload, "waiting".to_owned(), None),
        State::Sending(sent) => {
            let words = format!("{} of {}", format::bytes(*sent), format::bytes(size));
            line(uploads, upload, words, Some((*sent, size)))
        }
        State::Offline(sent) => {
            let words = "no connection: goes on by itself".to_owned();
            line(uploads, upload, words, Some((*sent, size)))
        }
        State::Finishing => line(uploads, upload, "almost there".to_owned(), Some((1, 1))),
        State::Done => view! {
            <span class="upload-state good"><Glyph icon=Icon::Check />"done"</span>
        }
        .into_any(),
        State::Taken => taken(uploads, upload),
        State::Failed(error) => failed(uploads, upload, error),
        State::Cancelled => ().into_any(),
    }
}

fn line(
    uploads: Uploads,
    upload: StoredValue<Upload>,
    words: String,
    progress: Option<(i64, i64)>,
) -> AnyView {
    let label = upload.with_value(|upload| format!("Upload of {}", text::plain(&upload.path)));
    let bar = progress.map(|(sent, size)| {
        view! {
            <progress
                class="progress"
                aria-label=label
                max=size.max(1).to_string()
                value=sent.to_string()
            ></progress>
        }
    });
    view! {
        <span class="upload-state">{words}</span>
        <button
            type="button"
            class="button small"
            on:click=move |_| upload.with_value(|upload| uploads.cancel(upload))
        >
            "Cancel"
        </button>
        {bar}
    }
    .into_any()
}

fn asking(uploads: Uploads, upload: StoredValue<Upload>) -> AnyView {
    let begin = move |unpack| {
        let how = How {
            unpack,
            overwrite: false,
        };
        move |_| upload.with_value(|upload| uploads.begin(upload, how))
    };
    view! {
        <span class="upload-state">"Keep the archive, or unpack it here?"</span>
        <span class="upload-answers">
            <button type="button" class="button small primary" on:click=begin(true)>"Unpack here"</button>
            <button type="button" class="button small" on:click=begin(false)>"Keep as a file"</button>
            <button
                type="button"
                class="button small"
                on:click=move |_| upload.with_value(|upload| uploads.cancel(upload))
            >
                "Skip"
            </button>
        </span>
    }
    .into_any()
}

fn taken(uploads: Uploads, upload: StoredValue<Upload>) -> AnyView {
    let replace = move |_| {
        let how = How {
            overwrite: true,
            unpack: false,
        };
        upload.with_value(|upload| uploads.begin(upload, how));
    };
    view! {
        <span class="upload-state wait">"Something of this name is there."</span>
        <span class="upload-answers">
            <button type="button" class="button small" on:click=replace>"Replace"</button>
            <button
                type="button"
                class="button small"
                on:click=move |_| upload.with_value(|upload| uploads.cancel(upload))
            >
                "Skip"
            </button>
        </span>
    }
    .into_any()
}

fn failed(uploads: Uploads, upload: StoredValue<Upload>, error: &ApiError) -> AnyView {
    let words = format!("{} ", error.message);
    let quote = error.quote();
    view! {
        <span class="upload-state bad" role="alert">
            {words} <code>{quote}</code>
        </span>
        <button
            type="button"
            class="button small"
            on:click=move |_| upload.with_value(|upload| uploads.cancel(upload))
        >
            "Dismiss"
        </button>
    }
    .into_any()
}
