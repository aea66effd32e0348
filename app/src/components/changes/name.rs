//! Names of files. Anybody can choose them, so they are shown as what they are and keep to their
//! place.

use leptos::prelude::*;

use crate::{
    changes::{shortened, split_path},
    text::{html, plain},
};

/// A whole path; its directory stands back.
#[component]
pub fn PathName(
    /// The path.
    path: String,
) -> impl IntoView {
    let (directory, name) = split_path(&path);
    view! {
        <bdi class="path" title=plain(&path)>
            <span class="path-directory" inner_html=safe(&shortened(directory))></span>
            <wbr />
            <span class="path-name" inner_html=safe(name)></span>
        </bdi>
    }
    .into_any()
}

/// A path on one line, its name first: that is what it is known by, and what must not be cut off.
#[component]
pub fn ShortName(
    /// The path.
    path: String,
) -> impl IntoView {
    let (directory, name) = split_path(&path);
    view! {
        <span class="short-name">
            <bdi class="path-name" inner_html=safe(name)></bdi>
            <bdi class="path-directory" inner_html=safe(directory.trim_end_matches('/'))></bdi>
        </span>
    }
    .into_any()
}

fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    html(text, &mut safe);
    safe
}
