//! The list of files that opens when somebody writes an `@`.

use std::time::Duration;

use leptos::{ev::KeyboardEvent, html, prelude::*};
use membrane_proto::v1 as pb;

use crate::{
    components::{files::icon_of, found::FoundPath, icon::Glyph},
    find::Finder,
    format,
    mention::{self, Typed},
};

/// Files that are offered.
const MOST: i32 = 8;

/// The state of the list, which belongs to one text box.
#[derive(Clone, Copy)]
pub struct Mentions {
    workspace_id: StoredValue<String>,
    text: NodeRef<html::Textarea>,
    /// What is being written; none while the list is closed.
    typed: RwSignal<Option<Typed>>,
    finder: Finder,
    active: RwSignal<usize>,
}

impl Mentions {
    /// A closed list.
    pub fn new(workspace_id: String, text: NodeRef<html::Textarea>) -> Self {
        Self {
            workspace_id: StoredValue::new(workspace_id),
            text,
            typed: RwSignal::new(None),
            finder: Finder::new(),
            active: RwSignal::new(0),
        }
    }

    /// Looks at what stands before the caret.
    pub fn note(self) {
        let Some(text) = self.text.get_untracked() else {
            return;
        };
        let caret = text.selection_start().ok().flatten().unwrap_or_default();
        let typed = mention::typed(&text.value(), caret);
        if self.typed.with_untracked(|before| *before == typed) {
            return;
        }
        self.typed.set(typed.clone());
        self.active.set(0);
        let query = typed.map(|typed| typed.query).unwrap_or_default();
        self.finder.ask(self.workspace_id.get_value(), &query, MOST);
    }

    /// Closes the list.
    pub fn close(self) {
        self.typed.set(None);
        self.finder.clear();
    }

    /// Closes the list when the focus has gone elsewhere. Not at once: the page may be going, too.
    pub fn leave(self) {
        let close = move || {
            if self.typed.try_get_untracked().flatten().is_some() {
                self.close();
            }
        };
        set_timeout(close, Duration::ZERO);
    }

    /// Takes a key that is meant for the list. Says whether it was.
    pub fn key(self, event: &KeyboardEvent) -> bool {
        let count = self.finder.found.with_untracked(Vec::len);
        let is_open = self.typed.with_untracked(Option::is_some);
        if !is_open || event.is_composing() {
            return false;
        }
        match event.key().as_str() {
            "Escape" => self.close(),
            "ArrowDown" if count > 0 => self.step(count, 1),
            "ArrowUp" if count > 0 => self.step(count, count - 1),
            "Enter" | "Tab" if count > 0 && !event.shift_key() => {
                self.choose(self.active.get_untracked());
            }
            _ => return false,
        }
        event.prevent_default();
        true
    }

    /// The option that is active, by its id in the document; tracked.
    pub fn active_id(self) -> Option<String> {
        let any = self.finder.found.with(|found| !found.is_empty());
        any.then(|| option_id(self.active.get()))
    }

    fn step(self, count: usize, by: usize) {
        self.active
            .update(|active| *active = (*active + by) % count);
    }

    /// Puts a file's path in place of what was typed.
    fn choose(self, at: usize) {
        let file = self
            .finder
            .found
            .with_untracked(|found| found.get(at).cloned());
        let typed = self.typed.get_untracked();
        let (Some(file), Some(typed), Some(text)) = (file, typed, self.text.get_untracked()) else {
            return;
        };
        let mut path = file.path.clone();
        if file.kind() == pb::FileKind::Directory {
            path.push('/');
        }
        let mention = mention::written(&path) + " ";
        let caret = typed.start + mention.encode_utf16().count() as u32;
        let _ = text.set_range_text_with_start_and_end(&mention, typed.start, typed.caret);
        let _ = text.set_selection_range(caret, caret);
        let _ = text.focus();
        self.close();
    }

    fn words(self) -> String {
        let found = self.finder.found.with(Vec::len);
        match self.typed.get() {
            None => String::new(),
            Some(typed) if typed.query.is_empty() => "Type a part of a file's name.".to_owned(),
            Some(_) if found > 0 => {
                let files = format::count(found as i64, "file", "files");
                format!("{files}. Arrow keys choose, Enter inserts, Escape closes.")
            }
            Some(_) if self.finder.asking.get() => String::new(),
            Some(_) => "No file of this name.".to_owned(),
        }
    }
}

fn option_id(at: usize) -> String {
    format!("mention-{at}")
}

/// The list.
#[component]
pub fn MentionList(
    /// Its state.
    mentions: Mentions,
) -> impl IntoView {
    let is_open = move || mentions.typed.with(Option::is_some);
    let options = move || {
        let found = mentions.finder.found.get();
        let options = found.into_iter().enumerate();
        let options = options.map(|(at, file)| option(mentions, at, file));
        (options.len() > 0).then(|| {
            view! {
                <ul class="mention-list" id="mentions" role="listbox" aria-label="Files">
                    {options.collect_view()}
                </ul>
            }
        })
    };
    view! {
        <div class="mentions" class:open=is_open>
            {options}
            <p class="mention-words" role="status">{move || mentions.words()}</p>
        </div>
    }
    .into_any()
}

fn option(mentions: Mentions, at: usize, file: pb::FoundFile) -> AnyView {
    let is_active = move || mentions.active.get() == at;
    let kind = file.kind();
    // The text box keeps the focus.
    let keep = |event: web_sys::MouseEvent| event.prevent_default();
    view! {
        <li
            class="mention"
            id=option_id(at)
            role="option"
            aria-selected=move || is_active().to_string()
            on:mousedown=keep
            on:click=move |_| mentions.choose(at)
        >
            <Glyph icon=icon_of(kind) />
            <FoundPath file />
        </li>
    }
    .into_any()
}
