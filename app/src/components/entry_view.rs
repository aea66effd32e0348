//! One entry of a transcript.

use std::sync::Arc;

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::{
    attachment_list::AttachmentList,
    egress_line::EgressLine,
    icon::{Glyph, Icon},
    markdown_view::MarkdownView,
    metering,
    time::Time,
    tool_card::ToolCard,
    turn_end::TurnEnd,
};
use crate::{
    format,
    live::Row,
    transcript::{Attachment, Body, Entry},
};

type Shared = ArcRwSignal<Arc<Entry>>;

/// Draws an entry. Its kind never changes; what may change is read from the signal.
#[component]
pub fn EntryView(
    /// The entry.
    row: Row,
) -> impl IntoView {
    let entry = row.entry.get_untracked();
    let nested = entry.nested;
    let (class, body) = match &entry.body {
        Body::User {
            text,
            name,
            attachments,
        } => ("user", user(text, name, attachments, &entry)),
        Body::Text { .. } => ("agent", agent(row.entry.clone())),
        Body::Thinking { .. } => ("thinking", thinking(row.entry.clone())),
        Body::Tool(_) => (
            "tool-entry",
            view! { <ToolCard entry=row.entry.clone() /> }.into_any(),
        ),
        Body::Queued { .. } => ("line", queued(row.entry.clone())),
        Body::Ended(summary) => (
            "turn-end",
            view! { <TurnEnd summary=(**summary).clone() time=entry.time /> }.into_any(),
        ),
        Body::Retry(retry) => ("line", retried(retry)),
        Body::Refused(decision) => (
            "line",
            view! { <EgressLine decision=(**decision).clone() /> }.into_any(),
        ),
        Body::Notice(notice) => ("line", noticed(notice)),
        Body::Limit(met) => ("line", metering::limit_met(met)),
        Body::Inside(_) => ("line", inside(row.entry.clone())),
        Body::Unknown { sequence } => ("line", unknown(*sequence)),
    };
    let of = row.entry;
    let sequence = Memo::new(move |_| of.read().sequence);
    let address = move || (sequence.get() > 0).then(|| format!("e{}", sequence.get()));
    view! {
        <div class=format!("entry {class}") class:nested=nested role="listitem" id=address tabindex="-1">
            {body}
            {move || (sequence.get() > 0).then(|| to_here(sequence.get()))}
        </div>
    }
    .into_any()
}

/// Every event has an address; this is how to get at it.
fn to_here(sequence: i64) -> AnyView {
    let (address, name) = (
        format!("#e{sequence}"),
        format!("Address of event {sequence}"),
    );
    view! {
        <a class="entry-address" href=address title="Link to this" aria-label=name>
            <Glyph icon=Icon::Link />
        </a>
    }
    .into_any()
}

fn user(text: &str, name: &str, attachments: &[Attachment], entry: &Entry) -> AnyView {
    let text = text.to_owned();
    let name = if name.is_empty() {
        "You".to_owned()
    } else {
        name.to_owned()
    };
    view! {
        <article class="user-card">
            <header class="entry-head">
                <span class="entry-who">{name}</span>
                <Time time=entry.time />
            </header>
            <MarkdownView source=text />
            <AttachmentList attachments=attachments.to_vec() />
        </article>
    }
    .into_any()
}

fn agent(entry: Shared) -> AnyView {
    let open_entry = entry.clone();
    let open = move || matches!(open_entry.read().body, Body::Text { open: true, .. });
    let text = Signal::derive(move || match &entry.read().body {
        Body::Text { text, .. } => text.clone(),
        _ => String::new(),
    });
    view! {
        <article class="agent-text" class:open=open aria-label="Agent">
            <MarkdownView source=text />
        </article>
    }
    .into_any()
}

fn thinking(entry: Shared) -> AnyView {
    let of = entry.clone();
    let heading = move || match &of.read().body {
        Body::Thinking { open: true, .. } => "Thinking…".to_owned(),
        Body::Thinking {
            duration: Some(duration),
            ..
        } => {
            format!("Thought for {}", format::duration(duration))
        }
        _ => "Thought".to_owned(),
    };
    let text = Memo::new(move |_| match &entry.read().body {
        Body::Thinking {
            text, open: false, ..
        } if text.is_empty() => "The provider keeps this thinking to itself.".to_owned(),
        Body::Thinking { text, .. } => text.clone(),
        _ => String::new(),
    });
    view! {
        <details class="thought">
            <summary>
                <Glyph icon=Icon::Thought />
                <span>{heading}</span>
                <span class="tool-chevron"><Glyph icon=Icon::Chevron /></span>
            </summary>
            <MarkdownView source=text />
        </details>
    }
    .into_any()
}

fn queued(entry: Shared) -> AnyView {
    let words = move || match entry.read().body {
        Body::Queued { over: true, .. } => "Waited for another turn in this workspace.".to_owned(),
        Body::Queued { ahead, .. } => format!(
            "Waiting: {} in this workspace first. One at a time writes its files.",
            format::count(i64::from(ahead.max(1)), "other turn", "other turns")
        ),
        _ => String::new(),
    };
    view! {
        <p class="remark-line">
            <Glyph icon=Icon::Clock />
            <span>{words}</span>
        </p>
    }
    .into_any()
}

fn inside(entry: Shared) -> AnyView {
    let words = move || match &entry.read().body {
        Body::Inside(inside) => metering::inside(inside),
        _ => String::new(),
    };
    view! {
        <p class="remark-line">
            <Glyph icon=Icon::Info />
            <span>{words}</span>
        </p>
    }
    .into_any()
}

fn retried(retry: &pb::ModelRetry) -> AnyView {
    let error = retry.error.clone().unwrap_or_default();
    let delay = retry
        .delay
        .as_ref()
        .map(format::duration)
        .unwrap_or_default();
    let words = format!(
        "Attempt {} of {} failed; trying again after {delay}. {}",
        retry.attempt, retry.max_attempts, error.message
    );
    view! {
        <p class="remark-line wait">
            <Glyph icon=Icon::Retry />
            <span>{words} " " <code>{error.reason}</code></span>
        </p>
    }
    .into_any()
}

fn noticed(notice: &pb::Notice) -> AnyView {
    let (class, icon) = match notice.level() {
        pb::NoticeLevel::Error => ("remark-line bad", Icon::Warning),
        pb::NoticeLevel::Warning => ("remark-line wait", Icon::Warning),
        pb::NoticeLevel::Info | pb::NoticeLevel::Unspecified => ("remark-line", Icon::Info),
    };
    let (message, reason) = (notice.message.clone(), notice.reason.clone());
    view! {
        <p class=class title=reason>
            <Glyph icon />
            <span>{message}</span>
        </p>
    }
    .into_any()
}

fn unknown(sequence: i64) -> AnyView {
    let words =
        format!("Event {sequence} is of a kind that this page does not know. Load the page again.");
    view! {
        <p class="remark-line">
            <Glyph icon=Icon::Info />
            <span>{words}</span>
        </p>
    }
    .into_any()
}
