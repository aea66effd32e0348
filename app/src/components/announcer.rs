//! Tells screen readers what the session is doing now. Only that: the transcript itself stays
//! silent, or nothing else could be heard while text streams.

use leptos::prelude::*;

use crate::{
    live::Feed,
    transcript::{Activity, Body},
};

/// An unseen live region.
#[component]
pub fn Announcer(
    /// The session.
    feed: Feed,
) -> impl IntoView {
    let words = RwSignal::new(String::new());
    Effect::new(move |before: Option<Activity>| {
        let activity = feed.activity.get();
        if before.is_some_and(|before| before != activity) {
            words.set(announcement(feed, activity));
        }
        activity
    });
    view! { <p class="for-readers" role="status">{words}</p> }.into_any()
}

fn announcement(feed: Feed, activity: Activity) -> String {
    match activity {
        Activity::Idle => "The agent has finished.".to_owned(),
        Activity::Queued => "Queued behind another turn.".to_owned(),
        Activity::Running => "The agent is at work.".to_owned(),
        Activity::Waiting => {
            let waiting = feed.waiting.get_untracked();
            let tool = waiting
                .first()
                .and_then(|key| feed.entry(key))
                .map(|entry| match &entry.body {
                    Body::Tool(tool) => tool.name.clone(),
                    _ => String::new(),
                });
            format!(
                "The agent asks whether it may use {}.",
                tool.unwrap_or_else(|| "a tool".to_owned())
            )
        }
    }
}
