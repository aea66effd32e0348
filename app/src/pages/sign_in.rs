//! Signing in with a link. Its token stands after the `#`, which browsers do not send; the page
//! takes it out of the address bar and exchanges it for a cookie.

use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use crate::{
    browser,
    components::icon::{Glyph, Icon, Mark},
};

#[derive(Clone, PartialEq)]
enum Progress {
    NoToken,
    Exchanging,
    Refused(String),
}

/// The page.
#[component]
pub fn SignIn() -> impl IntoView {
    let query = use_query_map();
    let progress = RwSignal::new(Progress::NoToken);
    let begin = move || {
        let Some(token) = take_token() else { return };
        let next = query.with_untracked(|query| query.get("next"));
        progress.set(Progress::Exchanging);
        spawn_local(async move {
            match exchange(&token).await {
                Ok(()) => browser::go(&safe_address(next)),
                Err(message) => progress.set(Progress::Refused(message)),
            }
        });
    };
    Effect::new(move || {
        begin();
        // A link that is opened in a tab with this very page changes the fragment alone.
        let handle = window_event_listener(leptos::ev::hashchange, move |_| begin());
        on_cleanup(move || handle.remove());
    });
    let body = move || match progress.get() {
        Progress::NoToken => explanation().into_any(),
        Progress::Exchanging => {
            view! { <p class="quiet" role="status">"Signing in…"</p> }.into_any()
        }
        Progress::Refused(message) => view! {
            <p class="inline-problem" role="alert">
                <Glyph icon=Icon::Warning />
                <span>{message}</span>
            </p>
            {explanation()}
        }
        .into_any(),
    };
    view! {
        <Title text="Sign in" />
        <main class="sign-in" id="main">
            <div class="sign-in-card">
                <Mark />
                <h1>"Sign in to Membrane"</h1>
                {body}
            </div>
        </main>
    }
    .into_any()
}

fn explanation() -> impl IntoView {
    view! {
        <p>"Sign-in is by link. On the machine that runs the server, ask for one:"</p>
        <pre class="command" tabindex="0"><code>"membrane login-link"</code></pre>
        <p class="quiet">
            "Open the link that it prints in this browser. It works once, for a few minutes. "
            "If somebody else runs the server, ask them for a link."
        </p>
    }
    .into_any()
}

/// Takes the token out of the address, so that it is neither seen nor kept in the history.
fn take_token() -> Option<String> {
    let location = window().location();
    let fragment = location.hash().ok()?;
    let token = fragment.strip_prefix("#token=")?.to_owned();
    let address = format!("{}{}", location.pathname().ok()?, location.search().ok()?);
    browser::replace_address(&address);
    (!token.is_empty()).then_some(token)
}

async fn exchange(token: &str) -> Result<(), String> {
    let body = serde_json::json!({ "token": token }).to_string();
    let Some((status, answer)) = browser::post_json("/auth/exchange", &body).await else {
        return Err("The server could not be reached. Open the link again.".to_owned());
    };
    if (200..300).contains(&status) {
        return Ok(());
    }
    let answer: Option<serde_json::Value> = serde_json::from_str(&answer).ok();
    let message = answer
        .as_ref()
        .and_then(|answer| answer.get("message")?.as_str());
    Err(message
        .unwrap_or("This link was not accepted. Ask for a new one.")
        .to_owned())
}

/// Where to go afterwards: only to a page of this server.
fn safe_address(next: Option<String>) -> String {
    let inside = |address: &String| {
        let mut letters = address.chars();
        letters.next() == Some('/')
            && !matches!(letters.next(), Some('/' | '\\'))
            && !address.contains(char::is_control)
    };
    next.filter(inside).unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::safe_address;

    #[test]
    fn signing_in_leads_nowhere_else() {
        let to = |next: &str| safe_address(Some(next.to_owned()));
        assert_eq!(to("/workspaces/1?x=2"), "/workspaces/1?x=2");
        for elsewhere in [
            "https://example.com",
            "//example.com",
            "/\\example.com",
            "/\t/example.com",
            "",
            "x",
        ] {
            assert_eq!(to(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
