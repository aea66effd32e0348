//! What went into a tool and what came out, in a form made for each tool.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use leptos::prelude::*;
use membrane_proto::v1::{self as pb, tool_content, tool_result::Detail};

use super::{
    diff_view::DiffView,
    files::FileLink,
    icon::{Glyph, Icon},
    long_text::LongText,
};
use crate::{
    diff, egress, format,
    tool_input::ToolInput,
    transcript::{Tool, ToolPhase},
};

/// What went in, as far as the line does not say it already.
#[component]
pub fn Input(
    /// The call.
    tool: Memo<Tool>,
) -> impl IntoView {
    move || tool.with(input_view)
}

fn input_view(tool: &Tool) -> AnyView {
    let input = ToolInput::new(&tool.input);
    let text = |field| input.text(field).unwrap_or_default();
    match tool.name.as_str() {
        "Bash" => view! {
            <pre class="terminal-input" tabindex="0">
                <code>{text("command")}</code>
            </pre>
        }
        .into_any(),
        // The result shows what was really changed.
        "Edit" | "Write" if changed(tool) => ().into_any(),
        "Edit" => {
            let lines = diff::replacement(&text("old_string"), &text("new_string"));
            view! { <DiffView lines /> }.into_any()
        }
        "Write" => view! { <DiffView lines=diff::replacement("", &text("content")) /> }.into_any(),
        "Read" | "Glob" | "Grep" => search_input(&input).into_any(),
        "TodoWrite" => ().into_any(),
        _ => view! { <LongText text=input.pretty() class="input" /> }.into_any(),
    }
}

fn changed(tool: &Tool) -> bool {
    let detail = tool.result.as_ref().filter(|result| !result.is_error);
    match detail.and_then(|result| result.detail.as_ref()) {
        Some(Detail::FileChange(change)) => !change.unified_diff.is_empty(),
        _ => false,
    }
}

fn search_input(input: &ToolInput) -> impl IntoView {
    let pairs = [
        "file_path",
        "pattern",
        "path",
        "glob",
        "type",
        "output_mode",
    ]
    .into_iter()
    .filter_map(|field| Some((field, input.text(field)?)))
    .map(|(field, value)| {
        view! {
            <div>
                <dt>{field.replace('_', " ")}</dt>
                <dd>{search_value(field, value)}</dd>
            </div>
        }
    });
    view! { <dl class="pairs">{pairs.collect_view()}</dl> }.into_any()
}

/// Places are links, everything else is text.
fn search_value(field: &str, value: String) -> AnyView {
    match field {
        "file_path" | "path" => view! { <FileLink path=value /> }.into_any(),
        _ => value.into_any(),
    }
}

/// Where its processes were let out to, and how much they sent and received; nothing if they were
/// not.
#[component]
pub fn Traffic(
    /// The call.
    tool: Memo<Tool>,
) -> impl IntoView {
    move || {
        let places = tool.with(|tool| tool.reached.iter().map(egress::place).collect::<Vec<_>>());
        if places.is_empty() {
            return ().into_any();
        }
        let amounts = tool.with(|tool| tool.traffic.as_ref().map(egress::amounts));
        view! {
            <p class="traffic quiet">
                <Glyph icon=Icon::Globe />
                <bdi>{places.join(", ")}</bdi>
                <span>{amounts}</span>
            </p>
        }
        .into_any()
    }
}

/// What came out, or what has been printed so far.
#[component]
pub fn Output(
    /// The call.
    tool: Memo<Tool>,
) -> impl IntoView {
    move || tool.with(output_view)
}

fn output_view(tool: &Tool) -> AnyView {
    let Some(result) = &tool.result else {
        return running(tool).into_any();
    };
    let denied = tool.phase() == ToolPhase::Denied;
    let detail = match &result.detail {
        Some(Detail::Command(command)) => command_line(command).into_any(),
        Some(Detail::FileChange(change)) if !result.is_error => {
            return file_change(change).into_any();
        }
        Some(Detail::Search(search)) if !search.paths.is_empty() && lists_files(tool) => {
            return paths(search).into_any();
        }
        Some(Detail::FileRead(read)) => read_line(read).into_any(),
        _ => ().into_any(),
    };
    let content = result.content.iter().map(piece).collect_view();
    let class = if result.is_error {
        "result error"
    } else {
        "result"
    };
    let note = denied.then(|| denial(tool));
    view! {
        <div class=class>{note} {content} {detail} {result.truncation.as_ref().map(truncation)}</div>
    }
    .into_any()
}

/// Whether the answer is a list of files and not lines from them.
fn lists_files(tool: &Tool) -> bool {
    let mode = ToolInput::new(&tool.input).text("output_mode");
    !matches!(mode.as_deref(), Some("content" | "count"))
}

fn running(tool: &Tool) -> AnyView {
    if tool.output.is_empty() {
        let denied = (tool.phase() == ToolPhase::Denied).then(|| denial(tool));
        return denied.into_any();
    }
    view! { <LongText text=tool.output.clone() class="terminal-output" /> }.into_any()
}

fn denial(tool: &Tool) -> Option<impl IntoView> {
    let answer = tool.permission.as_ref()?.resolved.clone()?;
    let who = if answer.user_name.is_empty() {
        "Nobody".to_owned()
    } else {
        answer.user_name
    };
    let text = match (who.as_str(), answer.reason.as_str()) {
        ("Nobody", _) => "Nobody answered before the turn ended.".to_owned(),
        (who, "") => format!("{who} denied it."),
        (who, reason) => format!("{who} denied it: {reason}"),
    };
    Some(view! { <p class="quiet">{text}</p> })
}

fn piece(content: &pb::ToolContent) -> AnyView {
    match &content.kind {
        Some(tool_content::Kind::Text(text)) if text.is_empty() => ().into_any(),
        Some(tool_content::Kind::Text(text)) => {
            view! { <LongText text=text.clone() class="terminal-output" /> }.into_any()
        }
        Some(tool_content::Kind::Image(image)) => picture(image).into_any(),
        None => ().into_any(),
    }
}

fn picture(image: &pb::Image) -> impl IntoView {
    // Only what browsers draw without running anything in it.
    let known = ["image/png", "image/jpeg", "image/gif", "image/webp"];
    known.contains(&image.media_type.as_str()).then(|| {
        let source = format!(
            "data:{};base64,{}",
            image.media_type,
            BASE64.encode(&image.data)
        );
        view! { <img class="tool-image" src=source alt="Image that the tool returned" /> }
    })
}

fn command_line(command: &pb::CommandDetail) -> impl IntoView {
    let words = match command.exit_code {
        _ if command.timed_out => "Ran into its time limit.".to_owned(),
        _ if command.interrupted => "Stopped by an interrupt.".to_owned(),
        Some(code) => format!("Exit code {code}"),
        None => "Killed.".to_owned(),
    };
    let cwd = command.cwd.clone();
    view! {
        <p class="detail-line">
            <span>{words}</span>
            {(!cwd.is_empty()).then(|| view! { <span class="mono">{cwd}</span> })}
        </p>
    }
    .into_any()
}

fn file_change(change: &pb::FileChangeDetail) -> impl IntoView {
    let kind = if change.created {
        "New file"
    } else {
        "Changed"
    };
    let diff = match change.unified_diff.as_str() {
        "" => view! { <p class="quiet">"The change is too large to show."</p> }.into_any(),
        diff => view! { <DiffView lines=diff::parse(diff) /> }.into_any(),
    };
    view! {
        <p class="detail-line">
            <span>{kind}</span>
            <FileLink path=change.path.clone() />
            <span class="plus">{format!("+{}", change.lines_added)}</span>
            <span class="minus">{format!("−{}", change.lines_removed)}</span>
        </p>
        {diff}
    }
    .into_any()
}

fn read_line(read: &pb::FileReadDetail) -> impl IntoView {
    (read.line_count > 0).then(|| {
        let last = read.first_line + read.line_count - 1;
        let of = if read.total_lines > 0 {
            format!(" of {}", read.total_lines)
        } else {
            String::new()
        };
        let words = format!("Lines {} to {last}{of} in ", read.first_line);
        view! {
            <p class="detail-line">
                <span>{words} <FileLink path=read.path.clone() line=read.first_line.into() /></span>
            </p>
        }
    })
}

fn paths(search: &pb::SearchDetail) -> impl IntoView {
    let rows = search
        .paths
        .iter()
        .map(|path| view! { <li><FileLink path=path.clone() /></li> })
        .collect_view();
    let more = search
        .truncated
        .then(|| view! { <p class="quiet">"There is more; the agent saw the same."</p> });
    view! {
        <ul class="paths">{rows}</ul>
        {more}
    }
    .into_any()
}

fn truncation(cut: &pb::Truncation) -> impl IntoView + use<> {
    let kept = match cut.path.as_str() {
        "" => String::new(),
        path => format!(" The whole is in {}.", format::path(path)),
    };
    view! {
        <p class="quiet">
            {format!("Cut: the whole has {}.{kept}", format::bytes(cut.total_bytes))}
        </p>
    }
    .into_any()
}
