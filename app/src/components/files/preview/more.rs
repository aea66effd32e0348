//! The parts of a long file that follow the first one, read when somebody wants them.

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1::preview::Kind;

use crate::{
    api::ApiError,
    components::problem::InlineProblem,
    files::{Files, Part, preview},
};

/// What has been read of a file. Copied into handlers.
#[derive(Clone, Copy)]
pub struct Parts {
    files: Files,
    path: StoredValue<String>,
    /// Those after the first one.
    later: RwSignal<Vec<Part>>,
    /// Token of the next one; empty at the end.
    next: RwSignal<String>,
    reading: RwSignal<bool>,
    problem: RwSignal<Option<ApiError>>,
}

impl Parts {
    /// Begins with the first part.
    pub fn new(files: Files, path: String, first: &Part) -> Self {
        Self {
            files,
            path: StoredValue::new(path),
            later: RwSignal::new(Vec::new()),
            next: RwSignal::new(first.next.clone()),
            reading: RwSignal::new(false),
            problem: RwSignal::new(None),
        }
    }

    /// The HTML of the parts after the first one, with a number for each; tracked.
    pub fn later(self) -> Vec<(usize, String)> {
        let html = |part: &Part| part.html.clone();
        self.later
            .with(|parts| parts.iter().map(html).enumerate().collect())
    }

    /// How many parts were read after the first one; tracked.
    pub fn count(self) -> usize {
        self.later.with(Vec::len)
    }

    /// Whether there is more; tracked.
    pub fn has_more(self) -> bool {
        self.next.with(|next| !next.is_empty())
    }

    /// Reads the next part, unless that is under way.
    pub fn read(self) {
        if self.reading.get_untracked() || self.next.with_untracked(String::is_empty) {
            return;
        }
        self.reading.set(true);
        self.problem.set(None);
        spawn_local(async move {
            let id = self.files.workspace_id.try_get_value();
            let (Some(id), Some(path)) = (id, self.path.try_get_value()) else {
                return;
            };
            let token = self.next.get_untracked();
            let answer = preview(id, path, true, token).await;
            // The page may have gone meanwhile.
            if self.reading.try_set(false).is_some() {
                return;
            }
            match answer.map(|preview| preview.kind) {
                Ok(Some(Kind::Text(text))) => self.add(Part::lines(text)),
                Ok(Some(Kind::Table(table))) => self.add(Part::rows(table)),
                Ok(_) => self.problem.set(Some(ApiError::incomplete())),
                Err(error) => self.problem.set(Some(error)),
            }
        });
    }

    fn add(self, part: Part) {
        self.next.set(part.next.clone());
        self.later.update(|parts| parts.push(part));
    }
}

/// The button for the next part.
#[component]
pub fn More(
    /// What has been read.
    parts: Parts,
) -> impl IntoView {
    view! {
        <Show when=move || parts.has_more()>
            <div class="file-more">
                <InlineProblem error=parts.problem />
                <button
                    type="button"
                    class="button needs-script"
                    disabled=move || parts.reading.get()
                    on:click=move |_| parts.read()
                >
                    "Load more"
                </button>
                <noscript>
                    <p class="quiet">"This is the beginning. Download the file to see the rest."</p>
                </noscript>
            </div>
        </Show>
    }
    .into_any()
}
