//! A moment: a UTC date at first, how long ago once the page lives.

use leptos::prelude::*;
use prost_types::Timestamp;

use crate::{context::Clock, format};

/// Shows when something happened. The exact time is in its title.
#[component]
pub fn Time(
    /// When; `None` shows `never`.
    time: Option<Timestamp>,
) -> impl IntoView {
    let clock = expect_context::<Clock>();
    let Some(time) = time else {
        return view! { <span>"never"</span> }.into_any();
    };
    let text = move || match clock.now() {
        Some(now) => format::ago(&time, now),
        None => format::utc(&time),
    };
    view! { <time datetime=format::iso(&time) title=format::utc(&time)>{text}</time> }.into_any()
}
