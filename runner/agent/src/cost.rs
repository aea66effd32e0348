//! What model requests cost: a table of prices as data, and exact integer arithmetic on it. An
//! unknown model has no cost, never a cost of zero.

use std::sync::LazyLock;

use membrane_proto::v1::Usage;
use serde::Deserialize;

use crate::model::bare_name;

/// The table that this program was built with.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("prices.json")).expect("the built-in price table is valid")
});

/// The price table.
#[derive(Debug, Deserialize)]
struct Table {
    date: String,
    models: Vec<ModelPrices>,
}

/// What one model costs.
#[derive(Debug, Deserialize)]
struct ModelPrices {
    /// Anthropic's name without a date.
    model: String,
    #[serde(flatten)]
    prices: Prices,
    /// Other prices for requests with long prompts.
    #[serde(default)]
    long_prompt: Option<LongPrompt>,
}

#[derive(Debug, Deserialize)]
struct LongPrompt {
    /// They apply to prompts of more tokens than this, cached ones included.
    over_tokens: i64,
    #[serde(flatten)]
    prices: Prices,
}

/// Prices of a million tokens each.
#[derive(Debug, Deserialize)]
struct Prices {
    input: MicroUsd,
    output: MicroUsd,
    cache_write: MicroUsd,
    cache_read: MicroUsd,
}

/// A price in millionths of a US dollar, written in dollars as a decimal string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct MicroUsd(i128);

impl TryFrom<String> for MicroUsd {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bad = || format!("`{text}` is not a price in dollars");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
            return Err(bad());
        }
        format!("{whole}{fraction:0<6}")
            .parse()
            .map(Self)
            .map_err(|_| bad())
    }
}

/// The day on which the built-in prices were read, as `YYYY-MM-DD`.
#[must_use]
pub fn prices_date() -> &'static str {
    &TABLE.date
}

/// What one model request cost in millionths of a US dollar, rounded half up once; none when the
/// model's price is not known. Model names may carry a date, a vendor's prefix (`anthropic/…`) and
/// OpenRouter's spelling with dots.
#[must_use]
pub fn of_request(model: &str, usage: &Usage) -> Option<i64> {
    TABLE.of_request(model, usage)
}

/// The most that a request of so many tokens can cost in millionths of a US dollar, whatever of it
/// comes from a cache or goes there; none when the model's price is not known.
#[must_use]
pub fn at_most(model: &str, input_tokens: i64, output_tokens: i64) -> Option<i64> {
    TABLE.at_most(model, input_tokens, output_tokens)
}

/// Adds the usage of one request, or of several, to a total. A total with an unknown part has no
/// cost.
pub fn add(total: &mut Usage, part: &Usage) {
    total.cost_micro_usd = match (total.requests, total.cost_micro_usd, part.cost_micro_usd) {
        (0, _, cost) => cost,
        (_, total, _) if part.requests == 0 => total,
        (_, Some(total), Some(part)) => Some(total.saturating_add(part)),
        _ => None,
    };
    total.input_tokens += part.input_tokens;
    total.output_tokens += part.output_tokens;
    total.cache_creation_input_tokens += part.cache_creation_input_tokens;
    total.cache_read_input_tokens += part.cache_read_input_tokens;
    total.requests += part.requests;
}

impl Table {
    fn of_request(&self, model: &str, usage: &Usage) -> Option<i64> {
        let entry = self.entry(model)?;
        let prompt =
            usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
        let prices = match &entry.long_prompt {
            Some(long) if prompt > long.over_tokens => &long.prices,
            _ => &entry.prices,
        };
        i64::try_from(prices.of(usage)).ok()
    }

    fn at_most(&self, model: &str, input: i64, output: i64) -> Option<i64> {
        let entry = self.entry(model)?;
        let long = entry.long_prompt.as_ref();
        let long = long.filter(|long| input > long.over_tokens);
        let prices = [Some(&entry.prices), long.map(|long| &long.prices)];
        let most = prices
            .into_iter()
            .flatten()
            .map(|prices| prices.at_most(input, output))
            .max()?;
        i64::try_from(most).ok()
    }

    fn entry(&self, model: &str) -> Option<&ModelPrices> {
        let name = undated(&bare_name(model));
        self.models.iter().find(|entry| entry.model == name)
    }
}

impl Prices {
    fn at_most(&self, input: i64, output: i64) -> i128 {
        let dearest = self.input.0.max(self.cache_write.0).max(self.cache_read.0);
        let exact = i128::from(input.max(0)) * dearest + i128::from(output.max(0)) * self.output.0;
        (exact + 999_999) / 1_000_000
    }

    fn of(&self, usage: &Usage) -> i128 {
        let parts = [
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (usage.cache_creation_input_tokens, self.cache_write),
            (usage.cache_read_input_tokens, self.cache_read),
        ];
        let exact: i128 = parts
            .iter()
            .map(|(tokens, price)| i128::from(*tokens.max(&0)) * price.0)
            .sum();
        (exact + 500_000) / 1_000_000
    }
}

/// A model's name without the date of its snapshot and without variants that cost the same.
fn undated(name: &str) -> String {
    let name = name.trim_end_matches("[1m]");
    let name = name.strip_suffix(":thinking").unwrap_or(name);
    let name = name.strip_suffix("-latest").unwrap_or(name);
    let Some((base, date)) = name.rsplit_once(['-', '@']) else {
        return name.to_owned();
    };
    if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) {
        return base.to_owned();
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: i64, output: i64, write: i64, read: i64) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: output,
            cache_creation_input_tokens: write,
            cache_read_input_tokens: read,
            requests: 1,
            ..Usage::default()
        }
    }

    #[test]
    fn a_million_tokens_of_each_kind_cost_what_the_table_says() {
        let million = 1_000_000;
        let table = [
            (usage(million, 0, 0, 0), 3_000_000),
            (usage(0, million, 0, 0), 15_000_000),
            (usage(0, 0, million, 0), 3_750_000),
            (usage(0, 0, 0, million), 300_000),
            (usage(million, million, million, million), 22_050_000),
        ];
        for (usage, expected) in table {
            assert_eq!(of_request("claude-sonnet-4-5", &usage), Some(expected));
        }
    }

    #[test]
    fn a_request_is_rounded_half_up_once() {
        // 1 × 0.30 is 0.3 and 2 × 0.30 is 0.6 millionths; 1 × 0.30 + 1 × 3.75 … is rounded as a sum.
        assert_eq!(of_request("claude-sonnet-4-5", &usage(0, 0, 0, 1)), Some(0));
        assert_eq!(of_request("claude-sonnet-4-5", &usage(0, 0, 0, 2)), Some(1));
        assert_eq!(of_request("claude-opus-4-5", &usage(0, 0, 0, 1)), Some(1));
        assert_eq!(of_request("claude-sonnet-4-5", &usage(0, 0, 1, 2)), Some(4));
        assert_eq!(of_request("claude-sonnet-4-5", &usage(0, 0, 1, 3)), Some(5));
    }

    #[test]
    fn long_prompts_have_their_own_prices_where_a_model_has_them() {
        assert_eq!(
            of_request("claude-haiku-5-5", &usage(100_000, 0, 0, 0)),
            Some(10_000)
        );
        assert_eq!(
            of_request("claude-haiku-5-5", &usage(60_000, 1_000, 0, 60_000)),
            Some(35_500)
        );
        assert_eq!(
            of_request("claude-haiku-4-5", &usage(200_000, 0, 0, 0)),
            Some(200_000)
        );
    }

    #[test]
    fn names_are_matched_without_dates_vendors_and_dots() {
        let cost = |model| of_request(model, &usage(1_000, 0, 0, 0));
        let table = [
            ("claude-sonnet-4-5", Some(3_000)),
            ("claude-sonnet-4-5-20250929", Some(3_000)),
            ("anthropic/claude-sonnet-4.5", Some(3_000)),
            ("anthropic/claude-sonnet-4.5:thinking", Some(3_000)),
            ("claude-opus-4-1-20250805", Some(15_000)),
            ("claude-opus-4-20250514", Some(15_000)),
            ("claude-opus-4-5@20251101", Some(5_000)),
            ("anthropic/claude-3.5-haiku", Some(800)),
            ("claude-3-5-haiku-latest", Some(800)),
            ("claude-opus-4-9", None),
            ("claude-opus-4-10", None),
            ("claude-sonnet-4-5-turbo", None),
            ("anthropic/claude-sonnet-4.5:free", None),
            ("gpt-6", None),
            ("", None),
        ];
        for (model, expected) in table {
            assert_eq!(cost(model), expected, "{model}");
        }
    }

    #[test]
    fn the_scripted_model_costs_nothing_and_an_unknown_one_is_not_free() {
        assert_eq!(of_request("scripted", &usage(1_000, 1_000, 0, 0)), Some(0));
        assert_eq!(
            of_request("somebody/model", &usage(1_000, 1_000, 0, 0)),
            None
        );
    }

    #[test]
    fn the_table_is_complete_and_each_model_is_in_it_once() {
        let mut names: Vec<&str> = TABLE
            .models
            .iter()
            .map(|entry| entry.model.as_str())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(count > 20);
        assert_eq!(prices_date().len(), "2026-01-01".len());
        for entry in &TABLE.models {
            assert!(
                entry.prices.cache_read.0 <= entry.prices.input.0,
                "{}",
                entry.model
            );
            assert!(
                entry.prices.input.0 <= entry.prices.output.0,
                "{}",
                entry.model
            );
        }
    }

    #[test]
    fn prices_are_read_exactly() {
        let price = |text: &str| MicroUsd::try_from(text.to_owned());
        assert_eq!(price("18.75"), Ok(MicroUsd(18_750_000)));
        assert_eq!(price("0.000001"), Ok(MicroUsd(1)));
        assert_eq!(price("3"), Ok(MicroUsd(3_000_000)));
        for bad in ["", ".5", "-1", "1e3", "0.0000001", "1.2.3", " 1"] {
            assert!(price(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_total_with_an_unknown_part_has_no_cost() {
        let part = |cost| Usage {
            cost_micro_usd: cost,
            ..usage(1, 2, 3, 4)
        };
        let mut total = Usage::default();
        add(&mut total, &part(Some(5)));
        add(&mut total, &part(Some(6)));
        assert_eq!(total.cost_micro_usd, Some(11));
        add(&mut total, &part(None));
        add(&mut total, &part(Some(7)));
        assert_eq!(total.cost_micro_usd, None);
        assert_eq!(
            (
                total.requests,
                total.input_tokens,
                total.cache_read_input_tokens
            ),
            (4, 4, 16)
        );
    }
}
