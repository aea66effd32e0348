//! Titles of pages.

use leptos::prelude::*;

/// A title that may change, for as long as what it is made of is there; afterwards as it was at
/// first. A server puts it into a page's head when the view that said it may be gone, with all that
/// it was made of, and on a thread that never knew it: so there it is as it was at first.
pub fn lasting(
    now: impl Fn() -> Option<String> + Clone + Send + Sync + 'static,
) -> impl Fn() -> String + Clone + Send + Sync + 'static {
    let first = untrack(&now).unwrap_or_default();
    move || {
        let later = if cfg!(feature = "ssr") { None } else { now() };
        later.unwrap_or_else(|| first.clone())
    }
}
