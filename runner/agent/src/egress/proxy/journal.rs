//! What one tool call's way out is told about: each decision once, stored before anything is done
//! because of it, and the totals at the end.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use membrane_proto::v1::{
    EgressDecision, EgressLimit, EgressTotals, EgressVerdict, event_payload::Kind,
};

use super::meter::Meter;
use crate::host::{Host, HostGone};

/// How many decisions of one call are stored; the others are counted.
const DECISIONS_MAX: usize = 50;

/// The journal of one call.
#[derive(Debug)]
pub(super) struct Journal {
    host: Host,
    tool_call_id: String,
    told: Mutex<HashSet<(String, i32, EgressVerdict)>>,
    left_out: AtomicU32,
    connections: AtomicU32,
    refused: AtomicU32,
}

impl Journal {
    pub(super) fn new(host: Host, tool_call_id: String) -> Self {
        Self {
            host,
            tool_call_id,
            told: Mutex::default(),
            left_out: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            refused: AtomicU32::new(0),
        }
    }

    /// Counts a decision, and stores it if it is the first of its kind in this call.
    ///
    /// # Errors
    /// [`HostGone`]: nothing may be done that is not written down.
    pub(super) async fn decided(&self, decision: EgressDecision) -> Result<(), HostGone> {
        let counter = match decision.verdict() {
            EgressVerdict::Allowed => &self.connections,
            _ => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if !self.is_news(&decision) {
            return Ok(());
        }
        let decision = EgressDecision {
            tool_call_id: self.tool_call_id.clone(),
            ..decision
        };
        self.host.append(Kind::EgressDecision(decision)).await?;
        Ok(())
    }

    /// Stores the totals, if there were any connections.
    pub(super) async fn close(&self, meter: &Meter) {
        let connections = self.connections.load(Ordering::Relaxed);
        let refused = self.refused.load(Ordering::Relaxed);
        if connections == 0 && refused == 0 {
            return;
        }
        let totals = EgressTotals {
            tool_call_id: self.tool_call_id.clone(),
            connection_count: signed(connections),
            refused_count: signed(refused),
            sent_bytes: i64::try_from(meter.sent()).unwrap_or(i64::MAX),
            received_bytes: i64::try_from(meter.received()).unwrap_or(i64::MAX),
            left_out_count: signed(self.left_out.load(Ordering::Relaxed)),
            limit: meter.exceeded().unwrap_or(EgressLimit::Unspecified).into(),
        };
        // The turn may have ended before its last call has; then nobody takes it.
        let _ = self.host.append(Kind::EgressTotals(totals)).await;
    }

    fn is_news(&self, decision: &EgressDecision) -> bool {
        let key = (decision.host.clone(), decision.port, decision.verdict());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.contains(&key) {
            return false;
        }
        if told.len() == DECISIONS_MAX {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        told.insert(key)
    }
}

fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
