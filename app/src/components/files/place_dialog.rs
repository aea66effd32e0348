//! Asks where an entry, or its copy, should go.

use leptos::{ev::SubmitEvent, html, prelude::*};

use crate::{
    files::{Files, Task},
    path, text,
};

/// The dialog, while somebody moves or copies.
#[component]
pub fn PlaceDialog(
    /// The state of the page.
    files: Files,
) -> impl IntoView {
    move || match files.task.get() {
        Task::Place { path, copy } => Some(view! { <Ask files path copy /> }),
        _ => None,
    }
}

#[component]
fn Ask(files: Files, path: String, copy: bool) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let folder = RwSignal::new(path::parent(&path).to_owned());
    let name = RwSignal::new(match (copy, path::name(&path)) {
        (true, name) => copy_name(name),
        (false, name) => name.to_owned(),
    });
    Effect::new(move || {
        if let Some(dialog) = dialog.get() {
            let _ = dialog.show_modal();
        }
    });
    // What completes the folder: the directories beside what is typed.
    Effect::new(move || files.read(folder.with(|folder| path::parent(folder).to_owned())));
    Effect::new(move || files.read(folder.get().trim_end_matches('/').to_owned()));
    let known = move || {
        let typed = folder.get();
        let mut places = vec![path::parent(&typed).to_owned(), typed];
        places.dedup();
        let names = places.iter().flat_map(|place| files.directories_in(place));
        names
            .map(|path| view! { <option value=path></option> })
            .collect_view()
    };
    let title = format!(
        "{} {}",
        if copy { "Copy" } else { "Move" },
        text::plain(path::name(&path))
    );
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let folder = folder.get_untracked();
        let name = name.get_untracked();
        if name.is_empty() {
            return;
        }
        let new_path = path::join(folder.trim_matches('/'), name.trim_matches('/'));
        files.attempt(files.put(path.clone(), new_path, copy));
    };
    let close = move || files.task.set(Task::None);
    view! {
        <dialog class="dialog" aria-label=title.clone() node_ref=dialog on:close=move |_| close()>
            <form class="form" on:submit=submit>
                <h2><bdi>{title.clone()}</bdi></h2>
                <label class="field">
                    <span class="field-label">"Folder"</span>
                    <input
                        class="input mono"
                        list="known-folders"
                        autocomplete="off"
                        spellcheck="false"
                        placeholder="The top"
                        prop:value=move || folder.get()
                        on:input=move |event| folder.set(event_target_value(&event))
                    />
                    <span class="field-hint">"Folders that are not there yet are made."</span>
                </label>
                <datalist id="known-folders">{known}</datalist>
                <label class="field">
                    <span class="field-label">"Name"</span>
                    <input
                        class="input mono"
                        autocomplete="off"
                        spellcheck="false"
                        prop:value=move || name.get()
                        on:input=move |event| name.set(event_target_value(&event))
                    />
                </label>
                <div class="form-actions">
                    <button type="submit" class="button primary">
                        {if copy { "Copy" } else { "Move" }}
                    </button>
                    <button type="button" class="button" on:click=move |_| close()>"Cancel"</button>
                </div>
            </form>
        </dialog>
    }
    .into_any()
}

/// `notes.md` becomes `notes copy.md`.
fn copy_name(name: &str) -> String {
    match name.rfind('.').filter(|at| *at > 0) {
        Some(at) => format!("{} copy{}", &name[..at], &name[at..]),
        None => format!("{name} copy"),
    }
}

#[cfg(test)]
mod tests {
    use super::copy_name;

    #[test]
    fn a_copy_keeps_its_extension() {
        assert_eq!(copy_name("notes.md"), "notes copy.md");
        assert_eq!(copy_name("a.tar.gz"), "a.tar copy.gz");
        assert_eq!(copy_name(".env"), ".env copy");
        assert_eq!(copy_name("Makefile"), "Makefile copy");
    }
}
