//! Each request against the limits of its session: reserved before it is sent, counted after.

use membrane_proto::v1::{ModelUsage, event_payload::Kind};
use serde_json::json;

use super::{Stop, Turn};
use crate::{
    host::HostGone,
    meter::{Exceeded, Measured, RequestSize, Reservation, Wanted},
    model::{
        Assembler,
        types::{MessagesRequest, Thinking},
    },
};

/// Less room for an answer, in tokens, is not worth a request.
const LEAST_ANSWER: u32 = 1_024;

/// A request that may be sent.
pub(super) struct Asking {
    /// What it may use.
    pub reservation: Reservation,
    /// Whether a limit leaves its answer less room than the model allows.
    pub confined: bool,
    size: RequestSize,
}

/// A request of this turn of which the size is known exactly.
pub(super) struct Known {
    size: RequestSize,
    tokens: i64,
}

impl Turn<'_> {
    /// Reserves what a request may use at most. Where a limit leaves less room, its answer gets
    /// less. A request that would exceed a limit ends the turn.
    pub(super) async fn reserve(&mut self, request: &mut MessagesRequest) -> Result<Asking, Stop> {
        let size = RequestSize::of(&json!(request));
        let input_tokens = match &self.known {
            Some(known) => size.most_tokens_after(&known.size, known.tokens),
            None => size.most_tokens(),
        };
        let thinking = match request.thinking {
            Some(Thinking::Enabled { budget_tokens }) => budget_tokens,
            Some(Thinking::Adaptive { .. }) | None => 0,
        };
        let wanted = Wanted {
            model: &request.model,
            input_tokens,
            likely_input_tokens: size.likely_tokens(),
            output_tokens: request.max_tokens,
            least_output_tokens: (thinking + LEAST_ANSWER).min(request.max_tokens),
        };
        let reservation = match self.spec.meter.reserve(&wanted) {
            Ok(reservation) => reservation,
            Err(exceeded) => return Err(self.limit_met(exceeded).await?),
        };
        let confined = reservation.output_tokens() < request.max_tokens;
        request.max_tokens = reservation.output_tokens();
        Ok(Asking {
            reservation,
            confined,
            size,
        })
    }

    async fn limit_met(&mut self, exceeded: Exceeded) -> Result<Stop, HostGone> {
        self.append(Kind::LimitMet(exceeded.event(false))).await?;
        Ok(Stop::LimitReached(exceeded.detail()))
    }

    /// Counts one model request, stores what it used, and so marks the end of its answer.
    pub(super) async fn count(
        &mut self,
        asking: Asking,
        answer: &Assembler,
        stop_reason: &str,
    ) -> Result<(), HostGone> {
        let measured = Measured::of(answer, &self.spec.model, &asking.reservation);
        let usage = measured.usage;
        if !measured.estimated {
            self.known = Some(Known {
                size: asking.size,
                tokens: usage.input_tokens
                    + usage.cache_creation_input_tokens
                    + usage.cache_read_input_tokens,
            });
        }
        asking.reservation.settle(&usage);
        let used = ModelUsage {
            model: measured.model,
            usage: Some(usage),
            stop_reason: stop_reason.to_owned(),
            estimated: measured.estimated,
        };
        self.append(Kind::ModelUsage(used)).await
    }
}
