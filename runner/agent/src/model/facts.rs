//! What differs between models in how a request must be made: how thinking is asked for and how
//! much output is allowed. Read from names, because there is no other source at request time.
//! Sources: Anthropic's model overview and migration guides, November 2026.

use super::types::{Effort, OutputConfig, Thinking, ThinkingDisplay};

/// Least budget of manual thinking that the API accepts, in tokens.
const BUDGET_MIN: u32 = 1_024;

/// Output that is left for the answer beside manual thinking, in tokens.
const ANSWER_TOKENS: u32 = 16_384;

/// The parts of a request that depend on the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputOptions {
    /// At most so many output tokens.
    pub max_tokens: u32,
    /// How thinking is asked for.
    pub thinking: Option<Thinking>,
    /// How much effort.
    pub output_config: Option<OutputConfig>,
}

/// How a family of models thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thinks {
    /// Not at all.
    Never,
    /// With a budget, when asked.
    WithBudget,
    /// Adaptively, when asked; a budget is an error from Claude 4.7 on.
    WhenAsked,
    /// Adaptively, unless it is turned off, which not every one of them accepts.
    ByDefault,
}

/// The options for a model and a thinking budget in tokens, 0 for none.
#[must_use]
pub fn output_options(model: &str, budget: u32) -> OutputOptions {
    let (thinks, max_tokens) = family(&bare_name(model));
    match thinks {
        Thinks::WithBudget if budget > 0 => with_budget(max_tokens, budget),
        Thinks::WhenAsked if budget > 0 => adaptive(max_tokens, budget),
        // Where thinking cannot be turned off, asking for little is the nearest thing. Asking at
        // all also brings back the words between tool calls, which are otherwise left empty.
        Thinks::ByDefault => adaptive(max_tokens, budget),
        _ => OutputOptions {
            max_tokens,
            thinking: None,
            output_config: None,
        },
    }
}

fn with_budget(max_tokens: u32, budget: u32) -> OutputOptions {
    let max_tokens = max_tokens.max(ANSWER_TOKENS);
    let room = (2 * max_tokens).min(64_000);
    let budget = budget.clamp(BUDGET_MIN, room - ANSWER_TOKENS / 2);
    OutputOptions {
        max_tokens: max_tokens.max(budget + ANSWER_TOKENS / 2),
        thinking: Some(Thinking::Enabled {
            budget_tokens: budget,
        }),
        output_config: None,
    }
}

fn adaptive(max_tokens: u32, budget: u32) -> OutputOptions {
    let effort = match budget {
        0..4_096 => Effort::Low,
        4_096..16_384 => Effort::Medium,
        _ => Effort::High,
    };
    OutputOptions {
        max_tokens,
        thinking: Some(Thinking::Adaptive {
            display: ThinkingDisplay::Summarized,
        }),
        output_config: Some(OutputConfig { effort }),
    }
}

/// How a model thinks, and how much output to allow in tokens.
fn family(name: &str) -> (Thinks, u32) {
    const OLD: [(&str, Thinks, u32); 12] = [
        ("claude-3-7", Thinks::WithBudget, 32_000),
        ("claude-3-5", Thinks::Never, 8_192),
        ("claude-3-", Thinks::Never, 4_096),
        ("claude-opus-4-5", Thinks::WithBudget, 32_000),
        ("claude-sonnet-4-5", Thinks::WithBudget, 32_000),
        ("claude-haiku-4-5", Thinks::WithBudget, 32_000),
        ("claude-opus-4-6", Thinks::WhenAsked, 64_000),
        ("claude-opus-4-7", Thinks::WhenAsked, 64_000),
        ("claude-opus-4-8", Thinks::WhenAsked, 64_000),
        ("claude-sonnet-4-6", Thinks::WhenAsked, 64_000),
        ("claude-opus-4", Thinks::WithBudget, 32_000),
        ("claude-sonnet-4", Thinks::WithBudget, 32_000),
    ];
    if let Some((_, thinks, max)) = OLD.iter().find(|(prefix, ..)| name.starts_with(prefix)) {
        return (*thinks, *max);
    }
    if name.starts_with("claude-") {
        return (Thinks::ByDefault, 64_000);
    }
    // Another vendor's model behind the same API: the oldest form is the best known one.
    (Thinks::WithBudget, 16_384)
}

/// A model's name as Anthropic spells it, without a vendor's prefix: `anthropic/claude-opus-4.5`
/// becomes `claude-opus-4-5`.
pub(crate) fn bare_name(model: &str) -> String {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.to_ascii_lowercase().replace('.', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinking(model: &str, budget: u32) -> Option<Thinking> {
        output_options(model, budget).thinking
    }

    #[test]
    fn older_models_are_given_a_budget_that_leaves_room_for_an_answer() {
        for model in [
            "claude-sonnet-4-5-20250929",
            "anthropic/claude-opus-4.1",
            "claude-3-7-sonnet-latest",
            "scripted",
        ] {
            for budget in [1, 1_024, 10_000, 31_999, 1_000_000] {
                let options = output_options(model, budget);
                let Some(Thinking::Enabled { budget_tokens }) = options.thinking else {
                    panic!("{model} has no budget");
                };
                assert!(budget_tokens >= 1_024, "{model} {budget}");
                assert!(
                    budget_tokens + 8_000 <= options.max_tokens,
                    "{model} {budget}"
                );
                assert!(options.max_tokens <= 64_000, "{model} {budget}");
            }
            assert_eq!(thinking(model, 0), None, "{model}");
        }
    }

    #[test]
    fn newer_models_are_never_given_a_budget() {
        for model in [
            "claude-opus-4-6",
            "claude-opus-4-8",
            "claude-sonnet-5",
            "anthropic/claude-opus-5.5",
            "claude-haiku-5-5",
            "claude-fable-5-1",
        ] {
            assert!(
                matches!(thinking(model, 10_000), Some(Thinking::Adaptive { .. })),
                "{model}"
            );
        }
    }

    #[test]
    fn a_model_that_thinks_by_default_is_asked_for_little_when_none_is_wanted() {
        let options = output_options("claude-opus-5-5", 0);
        assert_eq!(
            options.output_config,
            Some(OutputConfig {
                effort: Effort::Low
            })
        );
        assert_eq!(thinking("claude-opus-4-8", 0), None);
    }

    #[test]
    fn models_that_cannot_think_are_not_asked_to() {
        let options = output_options("claude-3-5-haiku-20241022", 10_000);
        assert_eq!((options.thinking, options.max_tokens), (None, 8_192));
    }
}
