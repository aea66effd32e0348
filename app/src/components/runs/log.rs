//! What a run's runner told, and how its state changed, line by line.

use leptos::prelude::*;
use membrane_proto::v1::{self as pb, event_payload::Kind};

use super::{detail::Live, words};
use crate::components::time::Time;

/// The log.
#[component]
pub(super) fn Log(
    /// What was stored when the page was made.
    history: Vec<pb::Event>,
    /// What has come since.
    live: Live,
) -> impl IntoView {
    let first = history.first().map_or(1, |first| first.sequence);
    let earlier = (first > 1).then(
        || view! { <p class="quiet">"What came before is in the log, and not shown here."</p> },
    );
    view! {
        {earlier}
        <div class="run-log" role="log" aria-label="What the run told" tabindex="0">
            <ol class="run-lines">
                {history.into_iter().map(entry).collect_view()}
                <For each=move || live.events.get() key=|event| event.sequence children=entry />
            </ol>
        </div>
    }
    .into_any()
}

fn entry(event: pb::Event) -> impl IntoView {
    let kind = event.payload.and_then(|payload| payload.kind);
    match kind {
        Some(Kind::RunStateChanged(changed)) => {
            let (word, class) = words(changed.state());
            let why = match changed.message.as_str() {
                "" => changed.reason.clone(),
                message => message.to_owned(),
            };
            view! {
                <li class=format!("run-change {class}")>
                    <span class="run-word">{word}</span>
                    <span class="run-why">{why}</span>
                    <Time time=event.create_time />
                </li>
            }
            .into_any()
        }
        Some(Kind::RunOutput(output)) => said(output.text),
        Some(Kind::AgentText(text)) => said(text.text),
        Some(Kind::ToolCall(call)) => said(format!("{} {}", call.name, call.input_json)),
        Some(Kind::Notice(notice)) => said(notice.message),
        _ => ().into_any(),
    }
}

fn said(text: String) -> AnyView {
    let text = text.trim_end_matches('\n').to_owned();
    view! { <li class="run-line">{text}</li> }.into_any()
}
