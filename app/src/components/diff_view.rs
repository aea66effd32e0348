//! A change as lines with numbers and signs.

use leptos::prelude::*;

use crate::diff::{Line, LineKind};

/// Longest diff that is drawn; the rest is counted.
const MAX_LINES: usize = 400;

/// Draws a change.
#[component]
pub fn DiffView(
    /// Its lines.
    lines: Vec<Line>,
) -> impl IntoView {
    let hidden = lines.len().saturating_sub(MAX_LINES);
    let numbered = lines
        .iter()
        .any(|line| line.old.is_some() || line.new.is_some());
    let rows = lines.into_iter().take(MAX_LINES).map(row).collect_view();
    view! {
        <div class="diff" class:unnumbered=!numbered tabindex="0" role="group" aria-label="Change">
            <table>
                <tbody>{rows}</tbody>
            </table>
            {(hidden > 0).then(|| view! { <p class="quiet">{format!("… and {hidden} more lines")}</p> })}
        </div>
    }
    .into_any()
}

fn row(line: Line) -> impl IntoView {
    let (class, sign) = match line.kind {
        LineKind::Same => ("same", " "),
        LineKind::Added => ("added", "+"),
        LineKind::Removed => ("removed", "-"),
        LineKind::Remark => {
            return view! {
                <tr class="remark">
                    <td colspan="4">{line.text}</td>
                </tr>
            }
            .into_any();
        }
    };
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    view! {
        <tr class=class>
            <td class="line-number">{number(line.old)}</td>
            <td class="line-number">{number(line.new)}</td>
            <td class="sign">{sign}</td>
            <td class="line-text">{line.text}</td>
        </tr>
    }
    .into_any()
}
