//! What a session may use in all, as it is stored.

use membrane_agent::meter;
use membrane_proto::v1 as proto;
use serde::{Deserialize, Serialize};

/// What a session may use in all; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Cost in millionths of a US dollar.
    pub max_cost_micro_usd: i64,
    /// Tokens of all kinds.
    pub max_tokens: i64,
    /// Model requests.
    pub max_requests: i64,
}

impl Limits {
    /// The limits from the wire, not checked yet.
    pub(super) fn decode(given: proto::UsageLimits) -> Self {
        Self {
            max_cost_micro_usd: given.max_cost_micro_usd,
            max_tokens: given.max_tokens,
            max_requests: given.max_requests,
        }
    }

    /// The limits on the wire.
    #[must_use]
    pub fn encode(&self) -> proto::UsageLimits {
        proto::UsageLimits {
            max_cost_micro_usd: self.max_cost_micro_usd,
            max_tokens: self.max_tokens,
            max_requests: self.max_requests,
        }
    }

    /// The limits as a meter takes them.
    #[must_use]
    pub fn metered(&self) -> meter::Limits {
        self.encode().into()
    }

    /// Each by the name of its field.
    pub(super) fn fields(&self) -> [(&'static str, i64); 3] {
        [
            ("max_cost_micro_usd", self.max_cost_micro_usd),
            ("max_tokens", self.max_tokens),
            ("max_requests", self.max_requests),
        ]
    }
}
