//! What a run's runner told, and how its state changed, line by line.

use leptos::prelude::*;
use membrane_proto::v1::{self as pb, event_payload::Kind, tool_content};

use super::{detail::Live, words};
use crate::{components::time::Time, tool_input::essential};

/// Most characters of what a tool has answered.
const SHOWN: usize = 1_000;

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
        Some(Kind::RunOutput(output)) => line("", output.text),
        Some(Kind::AgentText(text)) => line("said", text.text),
        Some(Kind::ToolCall(call)) => {
            let about = essential(&call.name, &call.input_json);
            view! {
                <li class="run-line call">
                    <b>{call.name}</b>
                    " "
                    {about}
                </li>
            }
            .into_any()
        }
        Some(Kind::ToolResult(result)) => {
            let class = if result.is_error {
                "answer bad"
            } else {
                "answer"
            };
            line(class, shortened(text_of(result)))
        }
        Some(Kind::Notice(notice)) => line("notice", notice.message),
        Some(Kind::LimitMet(met)) => line("notice", met.error.unwrap_or_default().message),
        Some(Kind::ModelRetry(retry)) => line("notice", retry.error.unwrap_or_default().message),
        _ => ().into_any(),
    }
}

fn text_of(result: pb::ToolResult) -> String {
    let texts = result
        .content
        .into_iter()
        .filter_map(|part| match part.kind {
            Some(tool_content::Kind::Text(text)) => Some(text),
            _ => None,
        });
    texts.collect()
}

/// As much as a log needs; the whole is in the event.
fn shortened(text: String) -> String {
    let cut = text.char_indices().nth(SHOWN).map(|(at, _)| at);
    match cut {
        Some(at) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn line(class: &str, text: String) -> AnyView {
    let text = text.trim_end_matches('\n').to_owned();
    view! { <li class=format!("run-line {class}")>{text}</li> }.into_any()
}
