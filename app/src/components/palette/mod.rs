//! The command palette: everything that can be done or opened, by a few letters of its name.

use leptos::{ev::KeyboardEvent, html, prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use membrane_proto::v1 as pb;
use wasm_bindgen::JsCast as _;
use web_sys::{HtmlElement, HtmlInputElement};

use super::{
    icon::{Glyph, Icon},
    keys,
    theme::Theme,
    toasts::Toasts,
};
use crate::{
    api, browser,
    context::Place,
    files::uploads::Uploads,
    find::Finder,
    palette::{Act, Item, Section, fitting, remember},
    text,
};

mod items;
pub mod shortcuts;

use shortcuts::Shortcuts;

/// Files that are asked for.
const FILES: i32 = 12;
const STORED_AS: &str = "membrane-recent";

/// The state of the palette. Copied into its handlers.
#[derive(Clone, Copy)]
pub struct Palette {
    place: Place,
    dialog: NodeRef<html::Dialog>,
    input: NodeRef<html::Input>,
    upload: NodeRef<html::Input>,
    sign_out: NodeRef<html::Form>,
    open: RwSignal<bool>,
    query: RwSignal<String>,
    active: RwSignal<usize>,
    finder: Finder,
    workspaces: RwSignal<Vec<pb::Workspace>>,
    sessions: RwSignal<Vec<pb::Session>>,
    recent: RwSignal<Vec<String>>,
    /// The address at which it was opened.
    path: RwSignal<String>,
    go: StoredValue<Option<Callback<String>>>,
    theme: Theme,
    toasts: Toasts,
    uploads: Uploads,
    shortcuts: Shortcuts,
}

impl Palette {
    /// Provides it to all pages, and listens for its keys.
    pub fn provide(place: Place, shortcuts: Shortcuts) {
        let navigate = use_navigate();
        let go = Callback::new(move |address: String| navigate(&address, Default::default()));
        let palette = Self {
            place,
            dialog: NodeRef::new(),
            input: NodeRef::new(),
            upload: NodeRef::new(),
            sign_out: NodeRef::new(),
            open: RwSignal::new(false),
            query: RwSignal::default(),
            active: RwSignal::new(0),
            finder: Finder::new(),
            workspaces: RwSignal::default(),
            sessions: RwSignal::default(),
            recent: RwSignal::default(),
            path: RwSignal::default(),
            go: StoredValue::new(Some(go)),
            theme: expect_context(),
            toasts: expect_context(),
            uploads: expect_context(),
            shortcuts,
        };
        provide_context(palette);
        Effect::new(move || {
            let listener = window_event_listener(leptos::ev::keydown, move |event| {
                let ours = (event.ctrl_key() || event.meta_key()) && !event.alt_key();
                if ours && event.key().eq_ignore_ascii_case("k") && !event.default_prevented() {
                    event.prevent_default();
                    palette.toggle();
                }
            });
            on_cleanup(move || listener.remove());
        });
    }

    /// Opens it. What had the focus gets it back when it closes.
    pub fn show(self) {
        let Some(dialog) = self.dialog.get_untracked() else {
            return;
        };
        if dialog.open() || !keys::all("dialog[open]").is_empty() {
            return;
        }
        let address = window().location().pathname().unwrap_or_default();
        self.path.set(address);
        self.set_query(String::new());
        self.recent.set(recent());
        if let Some(input) = self.input.get_untracked() {
            input.set_value("");
        }
        self.open.set(true);
        let _ = dialog.show_modal();
        spawn_local(self.load());
    }

    fn toggle(self) {
        match self.open.get_untracked() {
            true => self.close(),
            false => self.show(),
        }
    }

    fn close(self) {
        self.open.set(false);
        self.finder.clear();
        if let Some(dialog) = self.dialog.get_untracked() {
            dialog.close();
        }
    }

    /// Told by the dialog a while after it closed, when it may be open once more.
    fn closed(self) {
        let dialog = self.dialog.get_untracked();
        self.open.set(dialog.is_some_and(|dialog| dialog.open()));
    }

    /// Reads what there is to choose from; what was read before is listed meanwhile.
    async fn load(self) {
        if let Some(workspace_id) = self.place.workspace_id.get_untracked() {
            let request = pb::ListSessionsRequest {
                workspace_id,
                page_size: 50,
                ..Default::default()
            };
            if let Ok(answer) = api::sessions().list_sessions(request).await {
                self.sessions.try_set(answer.into_inner().sessions);
            }
        }
        if let Ok(all) = crate::pages::workspaces::load().await {
            self.workspaces.try_set(all.workspaces);
        }
    }

    fn set_query(self, query: String) {
        self.active.set(0);
        if let Some(id) = self.place.workspace_id.get_untracked() {
            let letters: String = query.split_whitespace().collect();
            self.finder.ask(id, &letters, FILES);
        }
        self.query.set(query);
    }

    fn key(self, event: &KeyboardEvent, listed: &[(Section, Vec<Item>)]) {
        let count: usize = listed.iter().map(|(_, items)| items.len()).sum();
        let step = |by: usize| {
            self.active
                .update(|active| *active = (*active + by) % count);
            self.reveal();
        };
        match event.key().as_str() {
            _ if event.is_composing() => return,
            // Not left to the dialog: elsewhere on the page, Escape stops the agent.
            "Escape" => self.close(),
            "ArrowDown" if count > 0 => step(1),
            "ArrowUp" if count > 0 => step(count - 1),
            "Enter" => {
                let mut items = listed.iter().flat_map(|(_, items)| items);
                if let Some(item) = items.nth(self.active.get_untracked()) {
                    self.choose(item.clone());
                }
            }
            _ => return,
        }
        event.prevent_default();
    }

    /// Brings the active option into sight.
    fn reveal(self) {
        request_animation_frame(move || {
            let id = self.active.try_get_untracked().map(option_id);
            let option = id.and_then(|id| document().get_element_by_id(&id));
            if let Some(option) = option {
                let options = web_sys::ScrollIntoViewOptions::new();
                options.set_block(web_sys::ScrollLogicalPosition::Nearest);
                option.scroll_into_view_with_scroll_into_view_options(&options);
            }
        });
    }

    fn choose(self, item: Item) {
        self.close();
        let recent = remember(&self.recent.get_untracked(), item.id());
        store(&recent);
        match item.act {
            Act::Go(address) => {
                if let Some(go) = self.go.get_value() {
                    go.run(address);
                }
            }
            Act::Upload => {
                if let Some(input) = self.upload.get_untracked() {
                    input.click();
                }
            }
            Act::Theme(word) => self.theme.choose(word),
            Act::Interrupt(session_id) => spawn_local(self.interrupt(session_id)),
            Act::CopyLink => spawn_local(self.copy_link()),
            Act::Shortcuts => self.shortcuts.show(),
            Act::SignOut => {
                forget();
                if let Some(form) = self.sign_out.get_untracked() {
                    let _ = form.request_submit();
                }
            }
        }
    }

    async fn interrupt(self, session_id: String) {
        let request = pb::InterruptSessionRequest { session_id };
        let words = match api::sessions().interrupt_session(request).await {
            Ok(answer) if answer.get_ref().interrupted => "Stopping the agent".to_owned(),
            Ok(_) => "The agent is not at work".to_owned(),
            Err(status) => api::ApiError::from(status).message,
        };
        self.toasts.say(words);
    }

    async fn copy_link(self) {
        let address = window().location().href().unwrap_or_default();
        let words = match browser::copy(&address).await {
            true => "Copied the link to this page".to_owned(),
            false => format!("Copy it by hand: {address}"),
        };
        self.toasts.say(words);
    }

    fn chosen(self, event: &web_sys::Event) {
        let Some(input) = browser::target::<HtmlInputElement>(event) else {
            return;
        };
        let list = input.files();
        let files = (0..list.as_ref().map_or(0, web_sys::FileList::length))
            .filter_map(|at| list.as_ref()?.get(at))
            .map(|file| (file.name(), file))
            .collect();
        if let Some(id) = self.place.workspace_id.get_untracked() {
            self.uploads.add(&id, "", files);
        }
        // The same file may be chosen again.
        input.set_value("");
    }
}

fn recent() -> Vec<String> {
    let stored = browser::storage().and_then(|storage| storage.get_item(STORED_AS).ok().flatten());
    stored
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn store(recent: &[String]) {
    if let (Some(storage), Ok(text)) = (browser::storage(), serde_json::to_string(recent)) {
        let _ = storage.set_item(STORED_AS, &text);
    }
}

/// Forgets what was used: the next person at this browser may be another.
pub fn forget() {
    if let Some(storage) = browser::storage() {
        let _ = storage.remove_item(STORED_AS);
    }
}

fn option_id(at: usize) -> String {
    format!("palette-{at}")
}

/// The palette, once in every page.
#[component]
pub fn PaletteDialog() -> impl IntoView {
    let palette = expect_context::<Palette>();
    let listed = Memo::new(move |_| {
        if !palette.open.get() {
            return Vec::new();
        }
        let query = palette.query.get();
        fitting(items::all(palette), &query, &palette.recent.get())
    });
    let count = move || listed.with(|listed| listed.iter().map(|(_, items)| items.len()).sum());
    let active_id = move || {
        let any = Signal::derive(count).get() > 0_usize;
        any.then(|| option_id(palette.active.get()))
    };
    let words = move || match count() {
        _ if !palette.open.get() => String::new(),
        0 if palette.finder.asking.get() => "Looking…".to_owned(),
        0 => "Nothing of this name.".to_owned(),
        count => crate::format::count(count as i64, "result", "results"),
    };
    // A click beside the box is one on the dialog itself.
    let beside = move |event: web_sys::MouseEvent| {
        let on_dialog = browser::target::<HtmlElement>(&event)
            .is_some_and(|target| target.dyn_ref::<web_sys::HtmlDialogElement>().is_some());
        if on_dialog {
            palette.close();
        }
    };
    view! {
        <dialog
            class="palette"
            aria-label="Command palette"
            node_ref=palette.dialog
            on:click=beside
            on:close=move |_| palette.closed()
        >
            <div class="palette-box">
                <div class="palette-line">
                    <Glyph icon=Icon::Search />
                    <input
                        class="palette-text"
                        role="combobox"
                        aria-label="Go to or do"
                        aria-expanded="true"
                        aria-controls="palette-list"
                        aria-autocomplete="list"
                        aria-activedescendant=active_id
                        autocomplete="off"
                        spellcheck="false"
                        maxlength="200"
                        placeholder="A file, a session, a page, an action"
                        node_ref=palette.input
                        on:input=move |event| palette.set_query(event_target_value(&event))
                        on:keydown=move |event| listed.with_untracked(|listed| palette.key(&event, listed))
                    />
                    <button
                        type="button"
                        class="button small palette-close"
                        on:click=move |_| palette.close()
                    >
                        "Close"
                    </button>
                </div>
                <div class="palette-list" id="palette-list" role="listbox" aria-label="Results" tabindex="-1">
                    {move || sections(palette, listed.get())}
                </div>
                <p class="palette-foot">
                    <span role="status">{words}</span>
                    <span class="palette-hints" aria-hidden="true">
                        <kbd>"↑"</kbd> " " <kbd>"↓"</kbd> " choose  " <kbd>"Enter"</kbd> " go  "
                        <kbd>"Esc"</kbd> " close"
                    </span>
                </p>
            </div>
        </dialog>
        <input
            type="file"
            hidden
            multiple
            aria-label="Files to upload"
            node_ref=palette.upload
            on:change=move |event| palette.chosen(&event)
        />
        <form method="post" action="/auth/sign-out" hidden node_ref=palette.sign_out></form>
    }
    .into_any()
}

fn sections(palette: Palette, listed: Vec<(Section, Vec<Item>)>) -> AnyView {
    let mut at = 0;
    let groups = listed.into_iter().map(|(section, items)| {
        let first = at;
        at += items.len();
        let options = items.into_iter().enumerate();
        let options = options.map(|(offset, item)| option(palette, first + offset, item));
        view! {
            <div role="group" aria-label=section.name()>
                <p class="palette-heading" aria-hidden="true">{section.name()}</p>
                {options.collect_view()}
            </div>
        }
    });
    groups.collect_view().into_any()
}

fn option(palette: Palette, at: usize, item: Item) -> AnyView {
    let is_active = move || palette.active.get() == at;
    let title = text::marked(&item.title, text::ranges_at(&item.title, &item.positions));
    let detail = text::plain(&item.detail);
    let keys = (!item.keys.is_empty()).then(|| view! { <kbd>{item.keys}</kbd> });
    let icon = item.icon;
    // The text box keeps the focus.
    let keep = |event: web_sys::MouseEvent| event.prevent_default();
    view! {
        <div
            class="palette-item"
            id=option_id(at)
            role="option"
            aria-selected=move || is_active().to_string()
            on:mousedown=keep
            on:click=move |_| palette.choose(item.clone())
        >
            <Glyph icon />
            <span class="found">
                <bdi class="found-name" inner_html=title></bdi>
                <bdi class="found-place">{detail}</bdi>
            </span>
            {keys}
        </div>
    }
    .into_any()
}

/// Opens the palette with a pointer.
#[component]
pub fn PaletteButton() -> impl IntoView {
    let palette = expect_context::<Palette>();
    view! {
        <button
            type="button"
            class="palette-button needs-script"
            aria-keyshortcuts="Control+K Meta+K"
            on:click=move |_| palette.show()
        >
            <Glyph icon=Icon::Search />
            <span class="palette-button-words">"Go to or do…"</span>
            <kbd>"Ctrl K"</kbd>
        </button>
    }
    .into_any()
}
