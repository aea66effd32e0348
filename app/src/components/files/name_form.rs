//! A field for a name, in the place where the name will be.

use leptos::{ev::SubmitEvent, html, prelude::*};

/// The field. Enter takes the name, Escape leaves everything as it was.
#[component]
pub fn NameForm(
    /// What is named, for screen readers.
    label: &'static str,
    /// The name so far.
    #[prop(optional)]
    name: String,
    /// Called with the name.
    done: Callback<String>,
    /// Called when there is to be none.
    cancel: Callback<()>,
) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let stem = name.rfind('.').filter(|at| *at > 0).unwrap_or(name.len());
    let stem = name[..stem].encode_utf16().count() as u32;
    Effect::new(move || {
        if let Some(input) = input.get() {
            let _ = input.focus();
            let _ = input.set_selection_range(0, stem);
        }
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = input.get_untracked().map(|input| input.value());
        let typed = typed.unwrap_or_default();
        let typed = typed.trim_matches('/');
        match typed.is_empty() {
            true => cancel.run(()),
            false => done.run(typed.to_owned()),
        }
    };
    let leave = move |event: leptos::ev::KeyboardEvent| {
        event.stop_propagation();
        if event.key() == "Escape" {
            event.prevent_default();
            cancel.run(());
        }
    };
    view! {
        <form class="name-form" on:submit=submit>
            <input
                class="input"
                aria-label=label
                maxlength="1024"
                autocomplete="off"
                spellcheck="false"
                prop:value=name
                node_ref=input
                on:keydown=leave
            />
            <button type="submit" class="button small primary">"Save"</button>
            <button type="button" class="button small" on:click=move |_| cancel.run(())>
                "Cancel"
            </button>
        </form>
    }
    .into_any()
}
