//! Settings: what each session may use, which models may be asked, and by whom.

use leptos::prelude::*;
use membrane_proto::v1 as pb;

use super::field::Field;
use crate::browser;

/// The part of the form about limits and the use of the model.
#[component]
pub fn LimitFields(
    /// What is set now.
    settings: pb::WorkspaceSettings,
) -> impl IntoView {
    let limits = settings.limits.unwrap_or_default();
    let count = |limit: i64| (limit > 0).then(|| limit.to_string());
    view! {
        <section class="block" aria-labelledby="limits-heading">
            <h2 class="section-heading" id="limits-heading">"Limits"</h2>
            <p class="field-hint">
                "What each session may use in all. A request that could exceed a limit is not sent, and the turn ends there. Empty means no limit."
            </p>
            <div class="limit-fields">
                <Field id="max_cost" label="US dollars" hint="Needs a model whose price is known.">
                    <input
                        class="input"
                        id="max_cost"
                        name="max_cost"
                        type="number"
                        min="0"
                        step="0.000001"
                        value=(limits.max_cost_micro_usd > 0)
                            .then(|| dollars(limits.max_cost_micro_usd))
                        aria-describedby="max_cost-hint"
                    />
                </Field>
                <Field id="max_tokens" label="Tokens" hint="Of all kinds, cached ones included.">
                    <input
                        class="input"
                        id="max_tokens"
                        name="max_tokens"
                        type="number"
                        min="0"
                        step="1"
                        value=count(limits.max_tokens)
                        aria-describedby="max_tokens-hint"
                    />
                </Field>
                <Field id="max_requests" label="Model requests">
                    <input
                        class="input"
                        id="max_requests"
                        name="max_requests"
                        type="number"
                        min="0"
                        step="1"
                        value=count(limits.max_requests)
                    />
                </Field>
            </div>
            <Field
                id="max_concurrent_runs"
                label="Runs at work"
                hint="How many runs of this workspace may be at work at the same time. Others wait."
            >
                <input
                    class="input short"
                    id="max_concurrent_runs"
                    name="max_concurrent_runs"
                    type="number"
                    min="0"
                    max="1000"
                    step="1"
                    value=count(settings.max_concurrent_runs.into())
                    aria-describedby="max_concurrent_runs-hint"
                />
            </Field>
            <Field
                id="allowed_models"
                label="Allowed models"
                hint="One a line, as the provider spells them. Empty allows any."
            >
                <textarea
                    class="input mono"
                    id="allowed_models"
                    name="allowed_models"
                    rows="3"
                    prop:value=settings.allowed_models.join("\n")
                    aria-describedby="allowed_models-hint"
                ></textarea>
            </Field>
            <div class="choices one">
                <label class="choice">
                    <input
                        type="checkbox"
                        name="model_access"
                        value="on"
                        checked=settings.model_access
                    />
                    <span class="choice-words">
                        <span class="choice-title">"Let programs inside call the model"</span>
                        <span class="choice-sub">
                            "Programs that the agent starts may then ask this workspace's provider themselves, within the limits above. They get an address and a token that work during the turn; the key stays outside."
                        </span>
                    </span>
                </label>
            </div>
        </section>
    }
    .into_any()
}

/// The limits on the form. What is no number is no limit, which the browser does not let happen.
pub fn limits(data: &web_sys::FormData) -> pb::UsageLimits {
    let text = |name| browser::field(data, name);
    let count = |name| text(name).trim().parse().unwrap_or(0);
    pb::UsageLimits {
        max_cost_micro_usd: micro_usd(&text("max_cost")).unwrap_or(0),
        max_tokens: count("max_tokens"),
        max_requests: count("max_requests"),
    }
}

/// How many runs may be at work, by the form.
pub fn max_concurrent_runs(data: &web_sys::FormData) -> i32 {
    let text = browser::field(data, "max_concurrent_runs");
    text.trim().parse().unwrap_or(0)
}

/// The allowed models on the form.
pub fn allowed_models(data: &web_sys::FormData) -> Vec<String> {
    let text = browser::field(data, "allowed_models");
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Millionths of a dollar as a number of dollars with the digits that it needs.
fn dollars(micro_usd: i64) -> String {
    let exact = format!("{}.{:06}", micro_usd / 1_000_000, micro_usd % 1_000_000);
    exact.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of dollars in millionths; none for what is not one.
fn micro_usd(text: &str) -> Option<i64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > 6 || !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<6}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_as_they_are_written() {
        for (amount, text) in [
            (1_000_000, "1"),
            (2_500_000, "2.5"),
            (1, "0.000001"),
            (12_340_000, "12.34"),
        ] {
            assert_eq!(dollars(amount), text);
            assert_eq!(micro_usd(text), Some(amount));
        }
        assert_eq!(micro_usd(".5"), Some(500_000));
        for text in ["1e3", "-1", "0.0000001", "1,5"] {
            assert_eq!(micro_usd(text), None, "{text}");
        }
    }
}
