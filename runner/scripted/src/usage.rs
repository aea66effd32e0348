//! Estimates of tokens, where a scenario reports none of its own.

use serde_json::{Value, json};

use crate::scenario::TokenUsage;

/// Tokens of a whole request or answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tokens {
    input: u64,
    output: u64,
    cache_creation: u64,
    cache_read: u64,
}

impl Tokens {
    /// What is reported, and estimates for the rest.
    pub(crate) fn of(request: &Value, answer: &Value, reported: TokenUsage) -> Self {
        let (cache_read, cache_creation) = cached(request);
        let cache_read = reported.cache_read_input_tokens.unwrap_or(cache_read);
        let cache_creation = reported
            .cache_creation_input_tokens
            .unwrap_or(cache_creation);
        let rest = estimate_request(request).saturating_sub(cache_read + cache_creation);
        // The API never counts nothing, however much came from the cache.
        let rest = rest.max(1);
        Self {
            input: reported.input_tokens.unwrap_or(rest),
            output: reported.output_tokens.unwrap_or_else(|| estimate(answer)),
            cache_creation,
            cache_read,
        }
    }

    /// The usage of a whole message, or of its start with `output` tokens so far.
    pub(crate) fn message(&self, output: Option<u64>) -> Value {
        json!({
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_creation,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_creation,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": output.unwrap_or(self.output),
            "service_tier": "standard",
        })
    }

    /// The cumulative usage that ends a stream.
    pub(crate) fn delta(&self) -> Value {
        json!({
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_creation,
            "cache_read_input_tokens": self.cache_read,
            "output_tokens": self.output,
        })
    }
}

/// What the request counts, in about the measure of English text.
pub(crate) fn estimate_request(request: &Value) -> u64 {
    ["system", "tools", "messages"]
        .iter()
        .map(|field| &request[field])
        .filter(|value| !value.is_null())
        .map(estimate)
        .sum()
}

fn estimate(value: &Value) -> u64 {
    value.to_string().len() as u64 / 4 + 1
}

/// Tokens read from and written to the cache, if the request sets breakpoints and is long enough.
/// What comes before the last answer is taken to have been cached with that answer's request.
fn cached(request: &Value) -> (u64, u64) {
    const SHORTEST: u64 = 1024;
    if !request.to_string().contains("\"cache_control\"") {
        return (0, 0);
    }
    let all = estimate_request(request);
    let messages = request["messages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let answered = messages
        .iter()
        .rposition(|message| message["role"] == "assistant");
    let new = messages[answered.unwrap_or(0)..].iter().map(estimate).sum();
    let old = all.saturating_sub(new);
    match answered {
        _ if all < SHORTEST => (0, 0),
        Some(_) if old >= SHORTEST => (old, all - old),
        _ => (0, all),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Tokens;
    use crate::scenario::TokenUsage;

    fn talk(length: usize, cached: bool, answers: usize) -> Value {
        let mut text = json!({"type": "text", "text": "x".repeat(length)});
        if cached {
            text["cache_control"] = json!({"type": "ephemeral"});
        }
        let mut messages = vec![json!({"role": "user", "content": "hello"})];
        for _ in 0..answers {
            messages.push(json!({"role": "assistant", "content": "yes"}));
            messages.push(json!({"role": "user", "content": "more"}));
        }
        json!({"system": [text], "messages": messages})
    }

    fn tokens(request: &Value) -> Tokens {
        Tokens::of(request, &json!("hi"), TokenUsage::default())
    }

    #[test]
    fn nothing_is_cached_without_breakpoints_or_when_it_is_short() {
        assert_eq!(tokens(&talk(8000, false, 1)).cache_read, 0);
        assert_eq!(tokens(&talk(80, true, 1)).cache_creation, 0);
    }

    #[test]
    fn the_first_request_writes_what_the_second_reads() {
        let (first, second) = (tokens(&talk(8000, true, 0)), tokens(&talk(8000, true, 1)));
        assert_eq!((first.cache_read, first.input), (0, 1));
        assert!(first.cache_creation > 2000);
        assert!(second.cache_read > 2000 && second.cache_creation < 100);
    }

    #[test]
    fn what_a_scenario_reports_wins() {
        let reported = TokenUsage {
            input_tokens: Some(7),
            cache_read_input_tokens: Some(9),
            ..TokenUsage::default()
        };
        let tokens = Tokens::of(&talk(8000, true, 0), &json!("hi"), reported);
        assert_eq!((tokens.input, tokens.cache_read), (7, 9));
    }
}
