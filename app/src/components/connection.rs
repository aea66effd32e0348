//! How the live connection is doing: a line in the rail, and a banner when it is really gone.

use leptos::prelude::*;

use super::icon::{Glyph, Icon};
use crate::{
    context::{Clock, Connection, Link},
    format,
};

/// The line in the rail; nothing on pages that need no live events.
#[component]
pub fn ConnectionLine() -> impl IntoView {
    let connection = expect_context::<Connection>();
    let line = move || match connection.link() {
        Link::Resting => ("hidden", "Not live"),
        Link::Connecting => ("wait", "Connecting"),
        Link::Live => ("good", "Live"),
        Link::Broken { .. } if connection.is_offline() => ("bad", "Offline"),
        Link::Broken { .. } => ("bad", "Reconnecting"),
    };
    view! {
        <span class=move || format!("status-line {}", line().0)>
            <span class="dot"></span>
            {move || line().1}
        </span>
    }
    .into_any()
}

/// The banner, after two seconds without a connection.
#[component]
pub fn ConnectionBanner() -> impl IntoView {
    let connection = expect_context::<Connection>();
    let clock = expect_context::<Clock>();
    let since = move || match (connection.link(), clock.now()) {
        (Link::Broken { since }, Some(now)) if now - since > 60 => {
            let time = prost_types::Timestamp {
                seconds: since,
                nanos: 0,
            };
            format!(" It was lost {}.", format::ago(&time, now))
        }
        _ => String::new(),
    };
    view! {
        <div role="status" class="banner-place">
            {move || {
                connection
                    .banner()
                    .then(|| {
                        view! {
                            <div class="bar wait">
                                <Glyph icon=Icon::Plug />
                                <span>
                                    "The connection is lost. Trying again; nothing is missed, it goes on where it stopped."
                                    {since}
                                </span>
                            </div>
                        }
                    })
            }}
        </div>
    }
    .into_any()
}
