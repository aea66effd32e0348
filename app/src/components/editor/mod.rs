//! The editor of one file: its bar, the text, and what to do when somebody else was faster.

mod conflict;
mod state;

use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_location;

use self::{conflict::ConflictView, state::Editing};
use super::{header::Header, problem::InlineProblem};
use crate::{
    edit::Text,
    editor::{EditorModule, Options},
    format,
};

/// The editor. Until its module is there, and without scripts, the text can be read.
#[component]
pub fn Editor(
    /// The workspace.
    workspace_id: String,
    /// The file, in the spelling of the wire.
    path: String,
    /// The file's name and place, for people.
    shown: String,
    /// Where the file can be seen.
    back: String,
    /// The file as it was read.
    text: Text,
    /// Whether the reader may change it.
    may_write: bool,
) -> impl IntoView {
    let plain = escaped(&text.text);
    let editing = Editing::new(workspace_id, path, text);
    let host = NodeRef::<leptos::html::Div>::new();
    let label = shown.clone();
    let hash = use_location().hash;
    Effect::new(move || {
        let (Some(host), Some(module)) = (host.get(), use_context::<EditorModule>()) else {
            return;
        };
        let (label, line) = (label.clone(), line_in(&hash.get_untracked()));
        spawn_local(async move {
            let module = module.fetch().await;
            let Some(options) = options(editing, label, may_write) else {
                // The page is another one by now.
                return;
            };
            let editor = module.and_then(|module| module.editor(&host, options));
            editing.begin(editor, line);
        });
    });
    editing.ask_before_leaving();
    editing.save_by_keys();
    let conflict = move || {
        editing
            .conflict
            .get()
            .map(|conflict| view! { <ConflictView editing conflict /> })
    };
    view! {
        <section class="editor">
            <Header title=shown>
                {may_write.then(|| view! { <Actions editing /> })}
                <a class="button small" href=back>"Close"</a>
            </Header>
            <InlineProblem error=editing.problem />
            {conflict}
            <div
                class="editor-host"
                class:gone=move || !editing.ready.get() || editing.conflict.with(Option::is_some)
                node_ref=host
            ></div>
            <pre class="editor-plain" class:gone=editing.ready tabindex="0">
                <code inner_html=plain></code>
            </pre>
        </section>
    }
    .into_any()
}

/// What an editor of this file is made with; none when the page has gone.
fn options(editing: Editing, label: String, may_write: bool) -> Option<Options> {
    Some(Options {
        text: editing
            .stored
            .try_with_value(|stored| stored.text.clone())?,
        path: editing.path.try_get_value()?,
        label,
        readonly: !may_write,
        on_change: Box::new(move |changed| {
            editing.changed.try_set(changed);
        }),
        on_save: Box::new(move || editing.save()),
    })
}

/// The line that an address points at: `#L12`.
fn line_in(hash: &str) -> Option<u32> {
    let line = hash.trim_start_matches('#').strip_prefix('L')?;
    line.split('-').next()?.parse().ok()
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 8);
    format::escape(text, &mut html);
    html
}

#[component]
fn Actions(editing: Editing) -> impl IntoView {
    let idle = Memo::new(move |_| !editing.can_save());
    let (class, words) = (move || editing.word().0, move || editing.word().1);
    view! {
        <span class="editor-state needs-script" role="status" data-state=class>{words}</span>
        <button type="button" class="button small needs-script" disabled=idle on:click=move |_| editing.revert()>
            "Revert"
        </button>
        <button
            type="button"
            class="button small primary needs-script"
            aria-keyshortcuts="Control+S Meta+S"
            title="Save (Ctrl-S)"
            disabled=idle
            on:click=move |_| editing.save()
        >
            "Save"
        </button>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_point_at_a_line() {
        assert_eq!(line_in("#L12"), Some(12));
        assert_eq!(line_in("L3-7"), Some(3));
        assert_eq!(line_in("#main"), None);
        assert_eq!(line_in(""), None);
    }

    #[test]
    fn what_can_be_read_without_scripts_is_no_markup() {
        assert_eq!(escaped("\n<b>&\r\n"), "\n&lt;b&gt;&amp;\r\n");
    }
}
