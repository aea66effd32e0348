//! A tool call: one line that says it all, open for what went in and what came out.

use std::sync::Arc;

use leptos::prelude::*;
use membrane_proto::v1::{CommandDetail, tool_result::Detail};

use super::{
    approval::Approval,
    icon::{Glyph, Icon},
    tool_body::{Input, Output, Traffic},
};
use crate::{
    browser, format,
    tool_input::essential,
    transcript::{Body, Entry, Tool, ToolPhase},
};

/// The card.
#[component]
pub fn ToolCard(
    /// The entry; its body is a tool call.
    entry: ArcRwSignal<Arc<Entry>>,
) -> impl IntoView {
    let tool = Memo::new(move |_| match &entry.read().body {
        Body::Tool(tool) => Tool::clone(tool),
        _ => Tool::default(),
    });
    let phase = Memo::new(move |_| tool.with(Tool::phase));
    // Open while it is being watched, closed when it is done, unless somebody chose.
    let chosen = RwSignal::new(None::<bool>);
    let open = Memo::new(move |_| chosen.get().unwrap_or_else(|| is_active(phase.get())));
    let toggled = move |event: web_sys::Event| {
        let details = browser::target::<web_sys::HtmlDetailsElement>(&event);
        if let Some(is_open) = details.map(|details| details.open())
            && is_open != open.get_untracked()
        {
            chosen.set(Some(is_open));
        }
    };
    view! {
        <details
            class=move || format!("tool {}", phase_words(phase.get()).1)
            open=move || open.get()
            on:toggle=toggled
        >
            <summary class="tool-line">
                <ToolLine tool phase />
            </summary>
            <div class="tool-body">
                <Input tool />
                <Output tool />
                <Traffic tool />
            </div>
        </details>
        {move || {
            (phase.get() == ToolPhase::Waiting).then(|| view! { <Approval tool=tool.get_untracked() /> })
        }}
    }
    .into_any()
}

fn is_active(phase: ToolPhase) -> bool {
    matches!(
        phase,
        ToolPhase::Writing | ToolPhase::Waiting | ToolPhase::Running
    )
}

#[component]
fn ToolLine(tool: Memo<Tool>, phase: Memo<ToolPhase>) -> impl IntoView {
    let icon = Signal::derive(move || tool.with(|tool| icon_of(&tool.name)));
    view! {
        <Glyph icon />
        <span class="tool-name">{move || tool.with(|tool| name_of(&tool.name))}</span>
        <span class="tool-argument">{move || tool.with(|tool| essential(&tool.name, &tool.input))}</span>
        <span class="tool-outcome">{move || tool.with(outcome)}</span>
        <span class="tool-phase">
            <span class="dot"></span>
            <span class="tool-word">{move || phase_words(phase.get()).0}</span>
        </span>
        <span class="tool-chevron"><Glyph icon=Icon::Chevron /></span>
    }
    .into_any()
}

fn phase_words(phase: ToolPhase) -> (&'static str, &'static str) {
    match phase {
        ToolPhase::Writing => ("writing", "running"),
        ToolPhase::Waiting => ("waiting for you", "waiting"),
        ToolPhase::Running => ("running", "running"),
        ToolPhase::Done => ("done", "done"),
        ToolPhase::Failed => ("failed", "failed"),
        ToolPhase::Denied => ("denied", "denied"),
        ToolPhase::Abandoned => ("not finished", "abandoned"),
    }
}

/// The icon of a tool.
pub fn icon_of(name: &str) -> Icon {
    match name {
        "Bash" => Icon::Terminal,
        "Read" => Icon::Eye,
        "Write" => Icon::FilePlus,
        "Edit" => Icon::Pencil,
        "Glob" => Icon::Folder,
        "Grep" => Icon::Search,
        "TodoWrite" => Icon::Checklist,
        "WebFetch" => Icon::Globe,
        name if name.starts_with("mcp__") => Icon::Plug,
        _ => Icon::Cube,
    }
}

fn name_of(name: &str) -> String {
    match name
        .strip_prefix("mcp__")
        .and_then(|rest| rest.split_once("__"))
    {
        Some((server, tool)) => format!("{server} · {tool}"),
        None => name.to_owned(),
    }
}

/// What came of it, in a few words.
fn outcome(tool: &Tool) -> AnyView {
    let Some(result) = &tool.result else {
        return ().into_any();
    };
    let duration = result.duration.as_ref().map(format::duration);
    let facts = match &result.detail {
        Some(Detail::Command(command)) => exit(command),
        Some(Detail::FileChange(change)) if !result.is_error => {
            return view! {
                <span class="plus">{format!("+{}", change.lines_added)}</span>
                <span class="minus">{format!("−{}", change.lines_removed)}</span>
                <span>{duration}</span>
            }
            .into_any();
        }
        Some(Detail::FileRead(read)) if read.line_count > 0 => {
            Some(format::count(read.line_count.into(), "line", "lines"))
        }
        Some(Detail::Search(search)) => {
            let more = if search.truncated { "+" } else { "" };
            Some(format!("{}{more} found", search.match_count))
        }
        _ => None,
    };
    view! {
        <span>{facts}</span>
        <span>{duration}</span>
    }
    .into_any()
}

fn exit(command: &CommandDetail) -> Option<String> {
    match command.exit_code {
        _ if command.timed_out => Some("timed out".to_owned()),
        _ if command.interrupted => Some("interrupted".to_owned()),
        Some(0) => None,
        Some(code) => Some(format!("exit {code}")),
        None => Some("killed".to_owned()),
    }
}
