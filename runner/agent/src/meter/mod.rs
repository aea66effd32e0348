//! What model requests may still use: a ledger with limits. Each request reserves what it can use
//! at most before it is sent, and settles afterwards what it has used, so that requests that run at
//! the same time never exceed a limit together. It knows neither engines nor providers, and stores
//! nothing: whoever makes it says what was used before.

mod measure;
mod size;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use membrane_proto::v1::{ErrorDetail, LimitKind, LimitMet, Usage, UsageLimits};

use crate::cost;

pub use measure::Measured;
pub use size::{RequestSize, likely_tokens};

/// Limits of what is counted together; none is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Cost in millionths of a US dollar.
    pub cost_micro_usd: Option<i64>,
    /// Tokens of all kinds, those from the provider's cache included.
    pub tokens: Option<i64>,
    /// Model requests.
    pub requests: Option<i64>,
}

impl From<UsageLimits> for Limits {
    /// Of the wire, where 0 is no limit.
    fn from(given: UsageLimits) -> Self {
        let limit = |value: i64| (value > 0).then_some(value);
        Self {
            cost_micro_usd: limit(given.max_cost_micro_usd),
            tokens: limit(given.max_tokens),
            requests: limit(given.max_requests),
        }
    }
}

/// What a request may use at most.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'request> {
    /// The model's name.
    pub model: &'request str,
    /// Input tokens at most.
    pub input_tokens: i64,
    /// Input tokens as they probably are. They count when the answer breaks off before it says.
    pub likely_input_tokens: i64,
    /// Output tokens at most.
    pub output_tokens: u32,
    /// With less room for output than this, the request is not worth sending.
    pub least_output_tokens: u32,
}

/// A limit that a request would exceed. Nothing was reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Which.
    pub kind: LimitKind,
    /// Its value.
    pub limit: i64,
    /// What was used and is reserved by other requests; none if a part of the cost is not known.
    pub used: Option<i64>,
    /// What the request may use at most; none if the model's price is not known.
    pub needed: Option<i64>,
}

/// The ledger of one session. Cheap to clone; the clones are one ledger.
#[derive(Debug, Clone)]
pub struct Meter {
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Debug)]
struct Ledger {
    limits: Limits,
    /// By everything so far.
    used: Usage,
    /// Of that, since this meter was made.
    spent: Usage,
    reserved: Amount,
}

#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    cost: i64,
    tokens: i64,
    requests: i64,
}

/// What one request may use. Dropping it counts the request as one whose answer never began.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    meter: Meter,
    held: Amount,
    output_tokens: u32,
    likely: Usage,
    closed: bool,
}

impl Meter {
    /// A ledger with these limits, of which `used` is used already.
    #[must_use]
    pub fn new(limits: Limits, used: Usage) -> Self {
        let ledger = Ledger {
            limits,
            used,
            spent: Usage::default(),
            reserved: Amount::default(),
        };
        Self {
            ledger: Arc::new(Mutex::new(ledger)),
        }
    }

    /// Reserves what a request may use at most. Where a limit leaves less room for output than is
    /// wanted, but not less than the least, the reservation is for what fits.
    ///
    /// # Errors
    /// [`Exceeded`] with the limit that the request would exceed.
    pub fn reserve(&self, wanted: &Wanted<'_>) -> Result<Reservation, Exceeded> {
        let mut ledger = self.ledger();
        let output_tokens = ledger.room(wanted)?;
        let held = Amount::of(wanted, output_tokens);
        ledger.reserved.add(held);
        Ok(Reservation {
            meter: self.clone(),
            held,
            output_tokens,
            likely: likely(wanted),
            closed: false,
        })
    }

    /// What was settled since this meter was made.
    #[must_use]
    pub fn spent(&self) -> Usage {
        self.ledger().spent
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Every change is a few additions that can't panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Output tokens that the request may ask for.
    #[must_use]
    pub fn output_tokens(&self) -> u32 {
        self.output_tokens
    }

    /// What the request has probably used when it was sent and its answer never began.
    #[must_use]
    pub fn likely(&self) -> Usage {
        self.likely
    }

    /// Counts what the request has used.
    pub fn settle(mut self, usage: &Usage) {
        self.close(Some(usage));
    }

    /// Counts nothing: the request was not sent, or the provider refused it.
    pub fn release(mut self) {
        self.close(None);
    }

    fn close(&mut self, usage: Option<&Usage>) {
        self.closed = true;
        let mut ledger = self.meter.ledger();
        ledger.reserved.subtract(self.held);
        if let Some(usage) = usage {
            cost::add(&mut ledger.used, usage);
            cost::add(&mut ledger.spent, usage);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.closed {
            let likely = self.likely;
            self.close(Some(&likely));
        }
    }
}

impl Ledger {
    /// Room for output in tokens, at least the least that is wanted.
    fn room(&self, wanted: &Wanted<'_>) -> Result<u32, Exceeded> {
        self.check_requests()?;
        let by_tokens = self.room_by_tokens(wanted)?;
        let by_cost = self.room_by_cost(wanted)?;
        Ok(by_tokens.min(by_cost))
    }

    fn check_requests(&self) -> Result<(), Exceeded> {
        let Some(limit) = self.limits.requests else {
            return Ok(());
        };
        let used = i64::from(self.used.requests) + self.reserved.requests;
        if used < limit {
            return Ok(());
        }
        Err(Exceeded {
            kind: LimitKind::Requests,
            limit,
            used: Some(used),
            needed: Some(1),
        })
    }

    fn room_by_tokens(&self, wanted: &Wanted<'_>) -> Result<u32, Exceeded> {
        let Some(limit) = self.limits.tokens else {
            return Ok(wanted.output_tokens);
        };
        let used = tokens(&self.used).saturating_add(self.reserved.tokens);
        let fits = |output: u32| {
            let needed = wanted.input_tokens.saturating_add(i64::from(output));
            used.saturating_add(needed) <= limit
        };
        largest(wanted, fits).ok_or_else(|| Exceeded {
            kind: LimitKind::Tokens,
            limit,
            used: Some(used),
            needed: Some(Amount::of(wanted, wanted.least_output_tokens).tokens),
        })
    }

    fn room_by_cost(&self, wanted: &Wanted<'_>) -> Result<u32, Exceeded> {
        let Some(limit) = self.limits.cost_micro_usd else {
            return Ok(wanted.output_tokens);
        };
        let cost = |output| cost::at_most(wanted.model, wanted.input_tokens, i64::from(output));
        let used = match self.used.cost_micro_usd {
            None if self.used.requests > 0 => None,
            known => Some(known.unwrap_or(0).saturating_add(self.reserved.cost)),
        };
        let needed = cost(wanted.least_output_tokens);
        let exceeded = Exceeded {
            kind: LimitKind::Cost,
            limit,
            used,
            needed,
        };
        let (Some(used), Some(_)) = (used, needed) else {
            return Err(exceeded);
        };
        let fits = |output| cost(output).is_some_and(|needed| used.saturating_add(needed) <= limit);
        largest(wanted, fits).ok_or(exceeded)
    }
}

/// The largest output within what is wanted that fits.
fn largest(wanted: &Wanted<'_>, fits: impl Fn(u32) -> bool) -> Option<u32> {
    let (mut good, mut bad) = (wanted.least_output_tokens, wanted.output_tokens);
    if fits(bad) {
        return Some(bad);
    }
    if good >= bad || !fits(good) {
        return None;
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Some(good)
}

fn likely(wanted: &Wanted<'_>) -> Usage {
    let mut usage = Usage {
        input_tokens: wanted.likely_input_tokens.min(wanted.input_tokens),
        requests: 1,
        ..Usage::default()
    };
    usage.cost_micro_usd = cost::of_request(wanted.model, &usage);
    usage
}

fn tokens(usage: &Usage) -> i64 {
    [
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
    ]
    .into_iter()
    .fold(0, i64::saturating_add)
}

impl Amount {
    fn of(wanted: &Wanted<'_>, output_tokens: u32) -> Self {
        let output = i64::from(output_tokens);
        Self {
            // Without a price there is no limit of cost, or the request was refused.
            cost: cost::at_most(wanted.model, wanted.input_tokens, output).unwrap_or(0),
            tokens: wanted.input_tokens.saturating_add(output),
            requests: 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.cost = self.cost.saturating_add(other.cost);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.requests = self.requests.saturating_add(other.requests);
    }

    fn subtract(&mut self, other: Self) {
        self.cost = self.cost.saturating_sub(other.cost);
        self.tokens = self.tokens.saturating_sub(other.tokens);
        self.requests = self.requests.saturating_sub(other.requests);
    }
}

impl Exceeded {
    /// The stable word that events and errors carry.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.kind {
            LimitKind::Cost if self.used.is_none() || self.needed.is_none() => "LIMIT_COST_UNKNOWN",
            LimitKind::Cost => "LIMIT_COST",
            LimitKind::Tokens => "LIMIT_TOKENS",
            LimitKind::Requests | LimitKind::Unspecified => "LIMIT_REQUESTS",
        }
    }

    /// The limit and what to do about it, as events carry it.
    #[must_use]
    pub fn detail(&self) -> ErrorDetail {
        ErrorDetail {
            reason: self.reason().to_owned(),
            message: self.to_string(),
        }
    }

    /// The event that tells of it; `inside` if a program in the sandbox asked.
    #[must_use]
    pub fn event(&self, inside: bool) -> LimitMet {
        LimitMet {
            kind: self.kind.into(),
            limit: self.limit,
            used: self.used,
            needed: self.needed,
            error: Some(self.detail()),
            inside,
        }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ADVICE: &str = "Raise the limit in the workspace's settings, or start a new session.";
        let limit = self.limit;
        match (self.kind, self.used, self.needed) {
            (LimitKind::Cost, _, None) => write!(
                formatter,
                "This session's cost is limited to {}, and the price of this model is not known. Choose a model with a known price, or limit tokens or requests instead.",
                dollars(limit)
            ),
            (LimitKind::Cost, None, _) => write!(
                formatter,
                "This session's cost is limited to {}, and what it has cost so far is not known. Limit tokens or requests instead, or start a new session.",
                dollars(limit)
            ),
            (LimitKind::Cost, Some(used), Some(needed)) => write!(
                formatter,
                "This session may cost {}; {} are used, and the next request may cost {} or more. {ADVICE}",
                dollars(limit),
                dollars(used),
                dollars(needed)
            ),
            (LimitKind::Tokens, used, needed) => write!(
                formatter,
                "This session may use {limit} tokens; {} are used, and the next request may need {} or more. {ADVICE}",
                used.unwrap_or_default(),
                needed.unwrap_or_default()
            ),
            (LimitKind::Requests | LimitKind::Unspecified, ..) => write!(
                formatter,
                "This session may make {limit} model requests, and it has made them. {ADVICE}"
            ),
        }
    }
}

/// An amount with as many digits as it needs, and two at least.
fn dollars(micro_usd: i64) -> String {
    let exact = format!("{}.{:06}", micro_usd / 1_000_000, micro_usd % 1_000_000);
    let end = exact.trim_end_matches('0').len();
    let cents = exact.len() - 4;
    format!("${}", &exact[..end.max(cents)])
}
