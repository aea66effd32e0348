//! Text of a tool, cut where it gets long.

use leptos::prelude::*;

use crate::format;

/// Longest text that is drawn without being asked, in bytes.
const SHORT: usize = 12_000;

/// Preformatted text; a long one shows its end, where the news is, and the rest on request.
#[component]
pub fn LongText(
    /// The text.
    text: String,
    /// A class for the block.
    #[prop(default = "output")]
    class: &'static str,
) -> impl IntoView {
    let whole = RwSignal::new(text.len() <= SHORT);
    let cut = end_of(&text);
    let hidden = text.len() - cut.len();
    let cut = cut.to_owned();
    let more = move || {
        (!whole.get()).then(|| {
            view! {
                <button type="button" class="button small" on:click=move |_| whole.set(true)>
                    {format!("Show {} more before this", format::bytes(hidden as i64))}
                </button>
            }
        })
    };
    view! {
        {more}
        <pre class=class tabindex="0">
            <code>{move || if whole.get() { text.clone() } else { cut.clone() }}</code>
        </pre>
    }
    .into_any()
}

fn end_of(text: &str) -> &str {
    if text.len() <= SHORT {
        return text;
    }
    let mut from = text.len() - SHORT;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    // Begin with a whole line if there is one.
    text[from..]
        .split_once('\n')
        .map_or(&text[from..], |(_, rest)| rest)
}
