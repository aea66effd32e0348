//! Everything that the palette can list at an address.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::Palette;
use crate::{
    components::{files::icon_of, icon::Icon, rail, state, theme::CHOICES},
    palette::{Act, Item, Section},
    path,
    search::Query,
    transcript::Activity,
};

/// All of them; tracked.
pub fn all(palette: Palette) -> Vec<Item> {
    let address = palette.path.get();
    let workspace = palette.place.workspace_id.get();
    let mut items = Vec::new();
    if let Some(id) = &workspace {
        in_session(&address, id, &mut items);
        in_workspace(palette, id, &mut items);
        files(palette, id, &mut items);
    }
    everywhere(&mut items);
    palette
        .workspaces
        .with(|all| items.extend(all.iter().map(workspace_item)));
    items
}

fn go(section: Section, icon: Icon, title: &str, address: impl Into<String>) -> Item {
    Item::new(section, icon, title, Act::Go(address.into()))
}

fn in_session(address: &str, workspace_id: &str, items: &mut Vec<Item>) {
    let parts: Vec<_> = address.split('/').collect();
    let ["", "workspaces", _, "sessions", session, ..] = parts[..] else {
        return;
    };
    let stop = Act::Interrupt(session.to_owned());
    let changes = format!("/workspaces/{workspace_id}/sessions/{session}/changes");
    items.push(Item::new(Section::Actions, Icon::Stop, "Stop the agent", stop).keys("Esc"));
    items.push(go(
        Section::Actions,
        Icon::Changes,
        "Review the changes of this session",
        changes,
    ));
}

fn in_workspace(palette: Palette, id: &str, items: &mut Vec<Item>) {
    let at = |rest: &str| format!("/workspaces/{id}{rest}");
    let query = palette.query.get();
    let may_write = palette.workspaces.with(|all| {
        let here = all.iter().find(|workspace| workspace.id == id);
        here.is_none_or(|workspace| workspace.role() != pb::Role::Viewer)
    });
    if may_write {
        let begin = at("#begin-text");
        items.push(go(Section::Actions, Icon::Plus, "New session", begin));
        items.push(Item::new(
            Section::Actions,
            Icon::Upload,
            "Upload files",
            Act::Upload,
        ));
    }
    items.extend([
        go(Section::Pages, Icon::Sessions, "Sessions", at("")),
        go(Section::Pages, Icon::Folder, "Files", at("/files")),
        go(
            Section::Pages,
            Icon::Search,
            "Search in files",
            at("/search"),
        )
        .keys("/"),
        go(Section::Pages, Icon::Changes, "Changes", at("/changes")),
        go(Section::Pages, Icon::Cube, "Runs", at("/runs")),
        go(Section::Pages, Icon::Clock, "Schedules", at("/schedules")),
        go(
            Section::Pages,
            Icon::Snapshot,
            "Snapshots",
            at("/snapshots"),
        ),
        go(Section::Pages, Icon::Settings, "Settings", at("/settings")),
        go(Section::Pages, Icon::Trash, "Trash", at("/trash")),
    ]);
    let sessions = palette.sessions.get();
    let here = sessions.iter().filter(|session| session.workspace_id == id);
    items.extend(here.map(session_item));
    if !query.trim().is_empty() {
        let search = Query {
            pattern: query.trim().to_owned(),
            ..Query::default()
        };
        let title = format!("Search in files for “{}”", search.pattern);
        items.push(go(Section::Files, Icon::Search, &title, search.href(id)));
    }
}

fn files(palette: Palette, workspace_id: &str, items: &mut Vec<Item>) {
    let found = palette.finder.found.get();
    let search = items.iter().position(|item| item.section == Section::Files);
    let at = search.unwrap_or(items.len());
    let found = found.into_iter().map(|file| file_item(workspace_id, &file));
    // The search in files comes after the files themselves.
    items.splice(at..at, found.collect::<Vec<_>>());
}

fn everywhere(items: &mut Vec<Item>) {
    items.extend([
        go(
            Section::Actions,
            Icon::Plus,
            "New workspace",
            "/workspaces/new",
        ),
        Item::new(
            Section::Actions,
            Icon::Link,
            "Copy the link to this page",
            Act::CopyLink,
        ),
    ]);
    items.extend(CHOICES.map(|(word, name, icon)| {
        let title = format!("Theme: {}", name.to_lowercase());
        Item::new(Section::Actions, icon, title, Act::Theme(word))
    }));
    items.extend([
        Item::new(
            Section::Actions,
            Icon::Info,
            "Keyboard shortcuts",
            Act::Shortcuts,
        )
        .keys("?"),
        Item::new(Section::Actions, Icon::Account, "Sign out", Act::SignOut),
        go(Section::Pages, Icon::Workspaces, "All workspaces", "/"),
        go(Section::Pages, Icon::Account, "Account", "/account"),
        go(Section::Pages, Icon::Key, "Secrets", "/account/secrets"),
    ]);
}

fn session_item(session: &pb::Session) -> Item {
    let (word, _) = state::words(Activity::of(session.state()));
    let address = format!(
        "/workspaces/{}/sessions/{}",
        session.workspace_id, session.id
    );
    let title = rail::title(session);
    go(Section::Sessions, Icon::Sessions, &title, address).detail(word)
}

fn workspace_item(workspace: &pb::Workspace) -> Item {
    let address = format!("/workspaces/{}", workspace.id);
    go(Section::Workspaces, Icon::Cube, &workspace.name, address)
}

fn file_item(workspace_id: &str, file: &pb::FoundFile) -> Item {
    let name = path::name(&file.path);
    let before = file.path[..file.path.len() - name.len()].chars().count() as i32;
    let place = path::parent(&file.path);
    let address = path::address(workspace_id, &file.path);
    let mut item = go(Section::Files, icon_of(file.kind()), name, address).detail(place);
    let within = file.positions.iter().map(|at| at - before);
    item.positions = within.filter(|at| *at >= 0).collect();
    item
}
