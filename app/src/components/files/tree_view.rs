//! The tree on the left. The focus stays on the tree as a whole, which tells what row is active:
//! rows come and go while it scrolls.

use std::{sync::Arc, time::Duration};

use leptos::{attr::custom::custom_attribute, ev::KeyboardEvent, prelude::*};

use super::{name::Name, windowed::Windowed};
use crate::{
    browser,
    components::icon::{Glyph, Icon},
    files::{
        Files,
        tree::{self, Action, Row, RowKind},
    },
    path,
};

/// How long letters belong together that are typed to find a name.
const TYPING: Duration = Duration::from_millis(700);

#[derive(Clone, Copy)]
struct Tree {
    files: Files,
    rows: Memo<Arc<Vec<Row>>>,
    window: Windowed,
    /// Key of the active row.
    active: RwSignal<String>,
    typed: StoredValue<(String, u32)>,
}

/// The tree.
#[component]
pub fn TreeView(
    /// The state of the page.
    files: Files,
) -> impl IntoView {
    let rows = Memo::new(move |_| {
        let rows = files
            .directories
            .with(|known| files.open.with(|open| tree::rows(known, open)));
        Arc::new(rows)
    });
    let tree = Tree {
        files,
        rows,
        window: Windowed::new(Signal::derive(move || rows.with(|rows| rows.len()))),
        active: RwSignal::new(files.shown.with_untracked(|shown| shown.path().to_owned())),
        typed: StoredValue::default(),
    };
    tree.follow();
    let part = move || {
        let range = tree.window.range();
        rows.with(|rows| rows.get(range).unwrap_or_default().to_vec())
    };
    let key = |row: &Row| (row.key(), row.kind, row.level, row.position, row.siblings);
    view! {
        <nav class="files-tree" aria-label="Tree">
            <Show
                when=move || rows.with(|rows| !rows.is_empty())
                fallback=|| view! { <p class="quiet files-none">"No files yet"</p> }
            >
                <div
                    class="tree"
                    role="tree"
                    tabindex="0"
                    aria-label="Files"
                    aria-activedescendant=move || tree.active_id()
                    node_ref=tree.window.scroller
                    on:scroll=move |_| tree.window.measure()
                    on:keydown=move |event| tree.key(&event)
                >
                    <div role="presentation" node_ref=tree.window.list>
                        <For each=part key=key children=move |row| tree_row(tree, row) />
                    </div>
                </div>
            </Show>
        </nav>
    }
    .into_any()
}

fn id(key: &str) -> String {
    format!("tree-{}", path::word(key))
}

fn tree_row(tree: Tree, row: Row) -> AnyView {
    let key = row.key();
    let open = match row.kind {
        RowKind::Directory { open } => Some(open.to_string()),
        _ => None,
    };
    let inner = match row.kind {
        RowKind::More => view! { <span class="quiet">"More…"</span> }.into_any(),
        RowKind::Note(words) => view! { <span class="quiet">{words}</span> }.into_any(),
        kind => named(tree.files, kind, &row.path),
    };
    let own = key.clone();
    let current = move || {
        let is_shown = tree.files.shown.with(|shown| shown.path() == own);
        is_shown.then_some("page")
    };
    let own = key.clone();
    let is_active = move || tree.active.with(|active| *active == own);
    view! {
        <a
            class="tree-row vrow"
            class:active=is_active
            role="treeitem"
            tabindex="-1"
            id=id(&key)
            href=tree.files.address(&row.path)
            {..custom_attribute("aria-level", row.level.to_string())}
            aria-posinset=row.position.to_string()
            aria-setsize=row.siblings.to_string()
            aria-expanded=open
            aria-current=current
        >
            {inner}
        </a>
    }
    .into_any()
}

fn named(files: Files, kind: RowKind, path: &str) -> AnyView {
    let is_directory = kind != RowKind::File;
    let icon = if is_directory {
        Icon::Folder
    } else {
        Icon::File
    };
    let toggle = {
        let path = path.to_owned();
        move |event: leptos::ev::MouseEvent| {
            if is_directory {
                event.prevent_default();
                files.toggle(&path);
            }
        }
    };
    let name = path::name(path).to_owned();
    view! {
        <span class="tree-twisty" on:click=toggle>
            {is_directory.then(|| view! { <Glyph icon=Icon::Chevron /> })}
        </span>
        <Glyph icon />
        <Name text=name />
    }
    .into_any()
}

impl Tree {
    /// Keeps the shown entry in sight, and reads what comes into sight.
    fn follow(self) {
        Effect::new(move |before: Option<String>| {
            let path = self.files.shown.with(|shown| shown.path().to_owned());
            if before.as_ref() != Some(&path) {
                self.activate(path.clone());
            }
            path
        });
        Effect::new(move || {
            let range = self.window.range();
            let more = self.rows.with(|rows| {
                let seen = rows.get(range).unwrap_or_default();
                let more = seen.iter().find(|row| row.kind == RowKind::More);
                more.map(|row| row.path.clone())
            });
            // Only where somebody scrolls; on a phone there is no tree.
            let is_seen = self
                .window
                .scroller
                .get()
                .is_some_and(|scroller| scroller.client_height() > 0);
            if let (Some(path), true) = (more, is_seen) {
                self.files.more(path);
            }
        });
    }

    /// The id of the active row if it is in the document; tracked.
    fn active_id(self) -> Option<String> {
        let range = self.window.range();
        let active = self.active.get();
        self.rows.with(|rows| {
            let mut drawn = rows.get(range).unwrap_or_default().iter();
            drawn.any(|row| row.key() == active).then(|| id(&active))
        })
    }

    fn activate(self, key: String) {
        let at = self
            .rows
            .with_untracked(|rows| rows.iter().position(|row| row.key() == key));
        self.active.set(key);
        if let Some(at) = at {
            self.window.reveal(at);
        }
    }

    fn key(self, event: &KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let rows = self.rows.get_untracked();
        let active = self.active.get_untracked();
        let at = rows.iter().position(|row| row.key() == active).unwrap_or(0);
        let pressed = event.key();
        let action =
            tree::key(&rows, at, &pressed).or_else(|| self.type_ahead(&rows, at, &pressed));
        let Some(action) = action else { return };
        event.prevent_default();
        let Some(row) = rows.get(at) else { return };
        match action {
            Action::Move(to) => self.activate(rows[to].key()),
            Action::Toggle => self.files.toggle(&row.path),
            Action::Go if row.kind == RowKind::More => self.files.more(row.path.clone()),
            Action::Go => self.files.go(self.files.address(&row.path)),
        }
    }

    fn type_ahead(self, rows: &[Row], at: usize, pressed: &str) -> Option<Action> {
        if pressed.chars().count() != 1 {
            return None;
        }
        let (mut typed, turn) = self.typed.get_value();
        typed.push_str(pressed);
        self.typed.set_value((typed.clone(), turn + 1));
        leptos::task::spawn_local(async move {
            browser::sleep(TYPING).await;
            self.typed.try_update_value(|(typed, now)| {
                if *now == turn + 1 {
                    typed.clear();
                }
            });
        });
        tree::find(rows, at, &typed).map(Action::Move)
    }
}
