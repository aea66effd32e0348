//! Settings: which of the operator's toolchains agents see.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

/// The part of the form about toolchains; nothing where none are offered.
#[component]
pub fn ToolchainFields(
    /// Names of those that are hidden now.
    hidden: Vec<String>,
    /// What the operator offers.
    offered: Vec<pb::Toolchain>,
) -> impl IntoView {
    if offered.is_empty() {
        return ().into_any();
    }
    let choices = offered
        .into_iter()
        .map(|toolchain| one(toolchain, &hidden))
        .collect_view();
    view! {
        <section class="block" aria-labelledby="toolchains">
            <h2 class="section-heading" id="toolchains">"Toolchains"</h2>
            <fieldset class="fieldset">
                <legend class="field-hint">
                    "What agents see, read-only, of what this server's operator offers."
                </legend>
                <div class="choices one tight">{choices}</div>
            </fieldset>
        </section>
    }
    .into_any()
}

fn one(toolchain: pb::Toolchain, hidden: &[String]) -> impl IntoView + use<> {
    let shown = !hidden.contains(&toolchain.name);
    let place = match &toolchain.path[..] {
        [] => "among the system's programs".to_owned(),
        path => path.join(", "),
    };
    view! {
        <label class="choice line">
            <input type="hidden" name="offered_toolchain" value=toolchain.name.clone() />
            <input type="checkbox" name="toolchain" value=toolchain.name.clone() checked=shown />
            <span class="choice-title">{toolchain.name}</span>
            <span class="choice-sub">{place}</span>
        </label>
    }
    .into_any()
}
