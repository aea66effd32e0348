//! What an answer has used, whole or broken off.

use membrane_proto::v1::Usage;

use super::{Reservation, likely_tokens};
use crate::{
    cost,
    model::{Assembler, types::TokenUsage},
};

/// What one request has used.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The model that answered, or the one asked for if that is not known.
    pub model: String,
    /// Tokens and cost.
    pub usage: Usage,
    /// Whether some of it is an estimate.
    pub estimated: bool,
}

impl Measured {
    /// What an answer has used as far as it has come. What the provider did not say is estimated,
    /// from the request and from the output that was seen, and never nothing.
    #[must_use]
    pub fn of(answer: &Assembler, asked: &str, reservation: &Reservation) -> Self {
        let mut usage = usage(answer.usage);
        let no_input =
            usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens
                == 0;
        if no_input {
            usage.input_tokens = reservation.likely().input_tokens;
        }
        let no_output = answer.stop_reason.is_none() || usage.output_tokens == 0;
        if no_output {
            usage.output_tokens = usage.output_tokens.max(likely_tokens(answer.output_bytes));
        }
        let model = match answer.model.as_str() {
            "" => asked,
            model => model,
        };
        usage.cost_micro_usd =
            cost::of_request(model, &usage).or_else(|| cost::of_request(asked, &usage));
        Self {
            model: model.to_owned(),
            usage,
            estimated: no_input || answer.stop_reason.is_none(),
        }
    }
}

fn usage(tokens: TokenUsage) -> Usage {
    let count = |tokens: Option<i64>| tokens.unwrap_or_default().max(0);
    Usage {
        input_tokens: count(tokens.input_tokens),
        output_tokens: count(tokens.output_tokens),
        cache_creation_input_tokens: count(tokens.cache_creation_input_tokens),
        cache_read_input_tokens: count(tokens.cache_read_input_tokens),
        cost_micro_usd: None,
        requests: 1,
    }
}
