//! The way of one tool call to the outside: who is let out, and the connection of who is.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::StatusCode;
use membrane_proto::v1::{EgressDecision, EgressVerdict};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::journal::Journal;
use super::meter::{Meter, Metered};
use super::{EgressLimits, EgressProxy};
use crate::egress::{BadTarget, DenyReason, EgressGuard, EgressPolicy, Target};

/// How much of a text that is no target is kept.
const TEXT_MAX: usize = 253;

/// Everything that decides on a connection of one call.
#[derive(Debug)]
pub(super) struct Way {
    policy: Arc<EgressPolicy>,
    guard: EgressGuard,
    limits: EgressLimits,
    meter: Arc<Meter>,
    journal: Journal,
}

/// A connection that is not made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub(super) struct Refusal {
    /// What the client is told by number.
    pub(super) status: StatusCode,
    /// The same in a sentence: which host, why, and what to do.
    pub(super) message: String,
    verdict: EgressVerdict,
}

impl Way {
    pub(super) fn new(proxy: &EgressProxy, tool_call_id: String) -> Self {
        Self {
            policy: proxy.policy.clone(),
            guard: proxy.guard.clone(),
            limits: proxy.limits,
            meter: Arc::new(Meter::new(proxy.turn.clone(), proxy.limits)),
            journal: Journal::new(proxy.host.clone(), tool_call_id),
        }
    }

    /// Connects to what a client names, if it may; the decision is stored first.
    pub(super) async fn connect(
        &self,
        text: &str,
        default_port: Option<u16>,
    ) -> Result<(Target, Metered), Refusal> {
        let parsed = Target::parse(text, default_port);
        let judged = self.judge(text, &parsed).await;
        self.write_down(text, &parsed, &judged).await?;
        let (target, addresses) = judged?;
        let stream = self.dial(&target, &addresses).await?;
        Ok((target, Metered::new(stream, self.meter.clone())))
    }

    /// Ends the journal.
    pub(super) async fn close(&self) {
        self.journal.close(&self.meter).await;
    }

    /// Decides by the list before anything is looked up: a question to a resolver leaves, too.
    async fn judge(
        &self,
        text: &str,
        parsed: &Result<Target, BadTarget>,
    ) -> Result<(Target, Vec<SocketAddr>), Refusal> {
        let target = match parsed {
            Ok(target) => target.clone(),
            Err(why) => return Err(Refusal::malformed(text, *why)),
        };
        if let Some(_used_up) = self.meter.exceeded() {
            return Err(Refusal::used_up(&target));
        }
        if !self.policy.allows(&target) {
            return Err(Refusal::not_listed(&target));
        }
        let reached = timeout(self.limits.connect_time, self.guard.reach(&target)).await;
        match reached {
            Ok(Ok(addresses)) => Ok((target, addresses)),
            Ok(Err(denied)) if denied.reason == DenyReason::NoAddress => {
                Err(Refusal::no_address(&target))
            }
            Ok(Err(denied)) => Err(Refusal::forbidden(denied.to_string())),
            Err(_late) => Err(Refusal::no_address(&target)),
        }
    }

    async fn write_down(
        &self,
        text: &str,
        parsed: &Result<Target, BadTarget>,
        judged: &Result<(Target, Vec<SocketAddr>), Refusal>,
    ) -> Result<(), Refusal> {
        let (host, port) = match parsed {
            Ok(target) => (target.host.to_string(), i32::from(target.port)),
            Err(_) => (text.chars().take(TEXT_MAX).collect(), 0),
        };
        let (verdict, message, address) = match judged {
            Ok((_, addresses)) => {
                let address = addresses.first().map(|address| address.ip().to_string());
                (EgressVerdict::Allowed, String::new(), address)
            }
            Err(refusal) => (refusal.verdict, refusal.message.clone(), None),
        };
        let decision = EgressDecision {
            tool_call_id: String::new(),
            host,
            port,
            verdict: verdict.into(),
            message,
            address: address.unwrap_or_default(),
        };
        let stored = self.journal.decided(decision).await;
        stored.map_err(|_| Refusal::over())
    }

    /// Tries the checked addresses one after the other, and nothing else.
    async fn dial(&self, target: &Target, addresses: &[SocketAddr]) -> Result<TcpStream, Refusal> {
        let connecting = TcpStream::connect(addresses);
        let connected = timeout(self.limits.connect_time, connecting).await;
        let stream = connected.ok().and_then(Result::ok);
        let stream = stream.ok_or_else(|| Refusal::unreachable(target))?;
        // Only the delay is at stake.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

impl Refusal {
    fn new(status: StatusCode, verdict: EgressVerdict, message: String) -> Self {
        Self {
            status,
            message,
            verdict,
        }
    }

    fn malformed(text: &str, why: BadTarget) -> Self {
        let text: String = text.chars().take(TEXT_MAX).collect();
        let message = format!("`{}` can't be connected to: {why}.", text.escape_debug());
        Self::new(StatusCode::BAD_REQUEST, EgressVerdict::Malformed, message)
    }

    fn not_listed(target: &Target) -> Self {
        let message = format!(
            "{target} is not on this workspace's list of hosts. Who may change the workspace's settings can allow it there, or beside this call in the transcript."
        );
        Self::new(StatusCode::FORBIDDEN, EgressVerdict::NotListed, message)
    }

    fn forbidden(message: String) -> Self {
        let message = format!("{message}.");
        Self::new(StatusCode::FORBIDDEN, EgressVerdict::Forbidden, message)
    }

    fn no_address(target: &Target) -> Self {
        let message = format!("{} has no address.", target.host);
        Self::new(StatusCode::BAD_GATEWAY, EgressVerdict::NoAddress, message)
    }

    fn used_up(target: &Target) -> Self {
        let message = format!(
            "{target} is not connected to: this call or its turn has sent and received as many bytes as it may."
        );
        Self::new(StatusCode::FORBIDDEN, EgressVerdict::Limit, message)
    }

    fn unreachable(target: &Target) -> Self {
        let message = format!("{target} is allowed, but did not answer.");
        Self::new(StatusCode::BAD_GATEWAY, EgressVerdict::Allowed, message)
    }

    fn over() -> Self {
        let message = "The turn is over.".to_owned();
        Self::new(StatusCode::BAD_GATEWAY, EgressVerdict::Limit, message)
    }
}
