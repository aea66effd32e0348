//! The rule of a schedule while it is written: what it says in words, and when it would fire.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::Times;
use crate::{
    api::{self, ApiError},
    browser,
    components::field::Field,
};

/// How long nothing is written before the server is asked.
const PAUSE: Duration = Duration::from_millis(250);

/// Rules to begin with.
const EXAMPLES: [(&str, &str); 5] = [
    ("0 * * * *", "every hour"),
    ("0 3 * * *", "every night at three"),
    ("30 7 * * 1-5", "on weekdays at half past seven"),
    ("0 9 * * 1", "on Mondays at nine"),
    ("0 0 1 * *", "on the first of each month"),
];

type Preview = Option<Result<pb::PreviewScheduleResponse, ApiError>>;

/// The fields `cron` and `time_zone`, and below them what they mean.
#[component]
pub(super) fn Rule(cron: String, time_zone: String) -> impl IntoView {
    let cron = RwSignal::new(cron);
    let zone = RwSignal::new(time_zone);
    let preview = RwSignal::new(Preview::None);
    let writes = StoredValue::new(0_u32);
    Effect::new(move || {
        if zone.with_untracked(String::is_empty) {
            zone.set(browser::time_zone().unwrap_or_else(|| "UTC".to_owned()));
        }
    });
    Effect::new(move || {
        cron.track();
        zone.track();
        writes.update_value(|count| *count += 1);
        let written = writes.get_value();
        spawn_local(async move {
            browser::sleep(PAUSE).await;
            // Nothing was written since, and the form is still there.
            if writes.try_get_value() == Some(written) {
                ask(cron, zone, preview);
            }
        });
    });
    let examples = EXAMPLES
        .into_iter()
        .map(|(rule, words)| view! { <option value=rule>{words}</option> })
        .collect_view();
    view! {
        <div class="schedule-rule">
            <Field
                label="When"
                id="schedule-cron"
                hint="Minute, hour, day, month, weekday. For example 0 3 * * *"
            >
                <input
                    class="input mono"
                    id="schedule-cron"
                    name="cron"
                    list="schedule-examples"
                    aria-describedby="schedule-cron-hint"
                    required
                    maxlength="200"
                    autocomplete="off"
                    spellcheck="false"
                    prop:value=move || cron.get()
                    on:input=move |event| cron.set(event_target_value(&event))
                />
                <datalist id="schedule-examples">{examples}</datalist>
            </Field>
            <Field label="Time zone" id="schedule-zone" hint="An IANA name, such as Europe/Zurich">
                <input
                    class="input"
                    id="schedule-zone"
                    name="time_zone"
                    aria-describedby="schedule-zone-hint"
                    required
                    maxlength="100"
                    autocomplete="off"
                    spellcheck="false"
                    prop:value=move || zone.get()
                    on:input=move |event| zone.set(event_target_value(&event))
                />
            </Field>
        </div>
        <div class="schedule-preview" aria-live="polite">{move || shown(preview.get())}</div>
    }
    .into_any()
}

fn ask(cron: RwSignal<String>, zone: RwSignal<String>, preview: RwSignal<Preview>) {
    let (Some(cron), Some(zone)) = (cron.try_get_untracked(), zone.try_get_untracked()) else {
        return;
    };
    if cron.trim().is_empty() || zone.is_empty() {
        preview.set(None);
        return;
    }
    let request = pb::PreviewScheduleRequest {
        cron,
        time_zone: zone,
    };
    spawn_local(async move {
        let answer = api::schedules().preview_schedule(request).await;
        let answer = answer.map(tonic::Response::into_inner);
        preview.try_set(Some(answer.map_err(ApiError::from)));
    });
}

fn shown(preview: Preview) -> AnyView {
    match preview {
        None => ().into_any(),
        Some(Ok(found)) if found.next_times.is_empty() => {
            view! { <p class="bad-text">"This never fires."</p> }.into_any()
        }
        Some(Ok(found)) => view! {
            <p>{found.description}</p>
            <Times times=found.next_times />
        }
        .into_any(),
        Some(Err(error)) => view! { <p class="bad-text">{error.message}</p> }.into_any(),
    }
}
