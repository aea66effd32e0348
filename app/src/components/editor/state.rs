//! What is known of a file that is being edited, and what can be done with it.

use leptos::{prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;

use crate::{
    api::ApiError,
    edit::{self, Opened, Text},
    editor::Editor,
    unsaved::Unsaved,
};

/// Somebody else wrote, too.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// What was to be saved.
    pub mine: String,
    /// What is there now; none when nothing is.
    pub theirs: Option<Opened>,
}

/// A file that is being edited.
#[derive(Clone, Copy)]
pub struct Editing {
    workspace_id: StoredValue<String>,
    /// The file.
    pub path: StoredValue<String>,
    /// The file as it was read or written last.
    pub stored: StoredValue<Text>,
    editor: StoredValue<Option<SendWrapper<Editor>>>,
    /// Whether the editor is there.
    pub ready: RwSignal<bool>,
    /// Whether there is something to save.
    pub changed: RwSignal<bool>,
    /// Whether a call is under way.
    pub saving: RwSignal<bool>,
    /// Set while there are two texts to choose from.
    pub conflict: RwSignal<Option<Conflict>>,
    /// What did not work last.
    pub problem: RwSignal<Option<ApiError>>,
}

impl Editing {
    /// A file that was just read.
    pub fn new(workspace_id: String, path: String, text: Text) -> Self {
        Self {
            workspace_id: StoredValue::new(workspace_id),
            path: StoredValue::new(path),
            stored: StoredValue::new(text),
            editor: StoredValue::new(None),
            ready: RwSignal::new(false),
            changed: RwSignal::new(false),
            saving: RwSignal::new(false),
            conflict: RwSignal::new(None),
            problem: RwSignal::new(None),
        }
    }

    /// Goes on with the editor, or without one.
    pub(super) fn begin(self, editor: Result<Editor, ApiError>, line: Option<u32>) {
        match editor {
            Ok(editor) => {
                // It takes its measures once it is seen.
                self.ready.try_set(true);
                editor.focus();
                if let Some(line) = line {
                    editor.go_to(line);
                }
                self.editor.try_set_value(Some(SendWrapper::new(editor)));
            }
            Err(error) => drop(self.problem.try_set(Some(error))),
        }
    }

    /// Whether a change waits to be saved; tracked.
    pub fn can_save(self) -> bool {
        self.changed.get() && !self.saving.get() && self.conflict.with(Option::is_none)
    }

    /// The state as a word for styles and one for people; tracked.
    pub fn word(self) -> (&'static str, &'static str) {
        if self.saving.get() {
            ("saving", "Saving…")
        } else if self.conflict.with(Option::is_some) {
            ("conflict", "Changed elsewhere")
        } else if self.changed.get() {
            ("unsaved", "Unsaved changes")
        } else {
            ("saved", "Saved")
        }
    }

    /// Saves what there is to save.
    pub fn save(self) {
        if !untrack(|| self.can_save()) {
            return;
        }
        let Some(text) = self.text() else { return };
        let etag = self.stored.with_value(|stored| stored.etag.clone());
        spawn_local(async move {
            if self.write(text, Some(etag)).await {
                self.with_editor(Editor::saved);
            }
        });
    }

    /// Goes back to what was read or written last.
    pub fn revert(self) {
        if let Some(text) = self.stored.try_with_value(|stored| stored.text.clone()) {
            self.with_editor(|editor| editor.set(&text));
        }
    }

    /// Ends a conflict by this text, unless somebody was faster again.
    pub fn settle(self, text: String, theirs: Option<String>) {
        spawn_local(async move {
            if self.write(text.clone(), theirs).await {
                self.close(&text);
            }
        });
    }

    /// Ends a conflict by what is there.
    pub fn take(self, theirs: Text) {
        let text = theirs.text.clone();
        self.stored.try_set_value(theirs);
        self.close(&text);
    }

    /// Goes back to the text with the conflict as it is: the next attempt to save finds it again.
    pub fn put_off(self) {
        self.conflict.try_set(None);
        self.with_editor(Editor::focus);
    }

    fn close(self, text: &str) {
        self.conflict.try_set(None);
        self.with_editor(|editor| {
            editor.set(text);
            editor.focus();
        });
    }

    /// Writes over what has this etag, or where nothing is. Says whether that is done.
    async fn write(self, text: String, etag: Option<String>) -> bool {
        let (Some(workspace_id), Some(path)) =
            (self.workspace_id.try_get_value(), self.path.try_get_value())
        else {
            return false;
        };
        self.problem.try_set(None);
        self.saving.try_set(true);
        let written = edit::write(workspace_id, path, text.clone(), etag).await;
        let done = written.is_ok();
        match written {
            Ok(etag) => drop(self.stored.try_set_value(Text { text, etag })),
            Err(error) if error.is_outdated() => self.meet(text).await,
            Err(error) => drop(self.problem.try_set(Some(error))),
        }
        self.saving.try_set(false);
        done
    }

    /// Shows what was to be saved beside what is there.
    async fn meet(self, mine: String) {
        let (Some(workspace_id), Some(path)) =
            (self.workspace_id.try_get_value(), self.path.try_get_value())
        else {
            return;
        };
        let theirs = match edit::open(workspace_id, path).await {
            Ok(opened) => Some(opened),
            Err(error) if error.is_not_found() => None,
            Err(error) => return drop(self.problem.try_set(Some(error))),
        };
        // Somebody may have typed on while it was being saved.
        let is_first = self.conflict.try_with_untracked(Option::is_none);
        let now = self.text().filter(|_| is_first == Some(true));
        let mine = now.unwrap_or(mine);
        self.conflict.try_set(Some(Conflict { mine, theirs }));
    }

    fn text(self) -> Option<String> {
        self.editor
            .try_with_value(|editor| editor.as_ref().and_then(|editor| editor.text()))
            .flatten()
    }

    fn with_editor(self, act: impl FnOnce(&Editor)) {
        self.editor.try_with_value(|editor| {
            if let Some(editor) = editor {
                act(editor);
            }
        });
    }

    /// Has the page ask as long as there is something to save.
    pub fn ask_before_leaving(self) {
        let Some(unsaved) = use_context::<Unsaved>() else {
            return;
        };
        Effect::new(move || unsaved.set(self.changed.get()));
        on_cleanup(move || unsaved.set(false));
    }

    /// Saves by the usual keys wherever the keyboard is on the page.
    pub fn save_by_keys(self) {
        Effect::new(move || {
            let keys = window_event_listener(leptos::ev::keydown, move |event| {
                let asked = (event.ctrl_key() || event.meta_key()) && event.key() == "s";
                if asked && !event.default_prevented() {
                    event.prevent_default();
                    self.save();
                }
            });
            on_cleanup(move || keys.remove());
        });
    }
}
