//! What to search for. Without scripts it is a form like any other.

use std::time::Duration;

use leptos::{html, prelude::*};
use leptos_router::{NavigateOptions, hooks::use_navigate};
use wasm_bindgen::JsCast as _;
use web_sys::{FormData, HtmlFormElement, HtmlInputElement};

use super::Search;
use crate::{
    browser,
    components::{
        icon::{Glyph, Icon},
        keys,
    },
    search::Query,
};

/// How long typing must rest before it is searched for.
const REST: Duration = Duration::from_millis(250);

/// The form.
#[component]
pub fn SearchForm(
    /// The state of the page.
    search: Search,
) -> impl IntoView {
    let form = NodeRef::<html::Form>::new();
    let navigate = use_navigate();
    // What this form has asked for last: what comes back from the address is no news, then.
    let asked = StoredValue::new(search.query.get_untracked());
    let go = move |replace: bool| {
        let Some(query) = form.get_untracked().and_then(|form| read(&form)) else {
            return;
        };
        if search.query.with_untracked(|now| *now == query) {
            return;
        }
        asked.set_value(query.clone());
        let options = NavigateOptions {
            replace,
            scroll: false,
            ..NavigateOptions::default()
        };
        navigate(
            &search.workspace_id.with_value(|id| query.href(id)),
            options,
        );
    };
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let wait = move || {
        if let Some(timer) = timer.try_update_value(Option::take).flatten() {
            timer.clear();
        }
    };
    let typed = {
        let go = go.clone();
        move |_| {
            wait();
            let go = go.clone();
            timer.set_value(set_timeout_with_handle(move || go(true), REST).ok());
        }
    };
    on_cleanup(wait);
    let switched = {
        let go = go.clone();
        move |_| go(false)
    };
    let submitted = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        wait();
        go(false);
    };
    let first = search.query.get_untracked();
    let action = search
        .workspace_id
        .with_value(|id| format!("/workspaces/{id}/search"));
    show_asked(search, form, asked);
    begin_typing(form);
    view! {
        <form
            class="search-form"
            role="search"
            method="get"
            action=action
            node_ref=form
            on:submit=submitted
            on:keydown=down
        >
            <div class="search-line">
                <Glyph icon=Icon::Search />
                <input
                    class="search-text"
                    id="search"
                    type="search"
                    name="q"
                    aria-label="Search in files"
                    placeholder="Search in files"
                    autocomplete="off"
                    spellcheck="false"
                    maxlength="1000"
                    value=first.pattern
                    on:input=typed.clone()
                />
                <button type="submit" class="button small primary">"Search"</button>
            </div>
            <div class="search-options">
                {option("regex", "Regular expression", first.regex, switched.clone())}
                {option("case", "Match case", first.case, switched.clone())}
                {option("words", "Whole words", first.words, switched.clone())}
                {option("ignored", "Ignored files, too", first.ignored, switched)}
                {globs("in", "Only in", "*.rs src/**", first.include, typed.clone())}
                {globs("not", "Not in", "*.lock", first.exclude, typed)}
            </div>
        </form>
    }
    .into_any()
}

fn option(
    name: &'static str,
    words: &'static str,
    on: bool,
    switched: impl Fn(web_sys::Event) + 'static,
) -> AnyView {
    view! {
        <label class="search-option">
            <input type="checkbox" name=name value="1" checked=on on:change=switched />
            {words}
        </label>
    }
    .into_any()
}

fn globs(
    name: &'static str,
    words: &'static str,
    example: &'static str,
    value: String,
    typed: impl Fn(web_sys::Event) + 'static,
) -> AnyView {
    view! {
        <label class="search-globs">
            {words}
            <input
                class="input mono"
                name=name
                value=value
                placeholder=example
                title="Patterns as in ignore files, with spaces between them"
                autocomplete="off"
                spellcheck="false"
                on:input=typed
            />
        </label>
    }
    .into_any()
}

/// From the text, the arrow leads to the first hit.
fn down(event: web_sys::KeyboardEvent) {
    if event.key() == "ArrowDown" && keys::walk(super::hits::HITS, 1) {
        event.prevent_default();
    }
}

fn read(form: &HtmlFormElement) -> Option<Query> {
    let data = FormData::new_with_form(form).ok()?;
    let text = |name| browser::field(&data, name).trim().to_owned();
    Some(Query {
        pattern: browser::field(&data, "q"),
        regex: data.has("regex"),
        case: data.has("case"),
        words: data.has("words"),
        include: text("in"),
        exclude: text("not"),
        ignored: data.has("ignored"),
    })
}

/// Shows what somebody else has asked for: a link, or the way back.
fn show_asked(search: Search, form: NodeRef<html::Form>, asked: StoredValue<Query>) {
    Effect::new(move || {
        let query = search.query.get();
        if asked.with_value(|asked| *asked == query) {
            return;
        }
        asked.set_value(query.clone());
        let Some(form) = form.get_untracked() else {
            return;
        };
        let input = |name: &str| {
            let found = form
                .query_selector(&format!("[name={name}]"))
                .ok()
                .flatten();
            found.and_then(|input| input.dyn_into::<HtmlInputElement>().ok())
        };
        for (name, text) in [
            ("q", &query.pattern),
            ("in", &query.include),
            ("not", &query.exclude),
        ] {
            if let Some(input) = input(name) {
                input.set_value(text);
            }
        }
        for (name, on) in [
            ("regex", query.regex),
            ("case", query.case),
            ("words", query.words),
            ("ignored", query.ignored),
        ] {
            if let Some(input) = input(name) {
                input.set_checked(on);
            }
        }
    });
}

/// Whoever comes here from another page wants to type.
fn begin_typing(form: NodeRef<html::Form>) {
    Effect::new(move || {
        let nobody = keys::focused().is_none_or(|focused| focused.tag_name() != "INPUT");
        if form.get().is_some() && nobody {
            focus();
        }
    });
}

/// Puts the cursor into the text.
pub fn focus() -> bool {
    let text = document().get_element_by_id("search");
    let Some(text) = text.and_then(|text| text.dyn_into::<HtmlInputElement>().ok()) else {
        return false;
    };
    text.select();
    text.focus().is_ok()
}
