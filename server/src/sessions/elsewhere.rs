//! Sessions where several servers share a database: a turn works at one of them, and people may stop
//! it, or answer its questions, at another.

use std::time::Duration;

use membrane_agent::PermissionAnswer;
use membrane_proto::v1::{PermissionDecision, event_payload::Kind};
use tokio::time::{Instant, sleep};

use super::{Sessions, wait_for_end};
use crate::{
    clock::Millis,
    error::Error,
    id::{PermissionRequestId, SessionId, TurnId},
};

/// How often it is looked whether another server has stopped a turn, and how long at most: if that
/// server is gone, its turns have been ended by then.
const LOOK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(40);
/// A stored turn that is older than this, in milliseconds, has begun, or never will.
const STRAY: Millis = 30_000;

impl Sessions {
    /// Has another server stop a session's turn, and waits until it has ended. Answers whether there
    /// was one.
    pub(super) async fn interrupt_elsewhere(&self, session: SessionId) -> Result<bool, Error> {
        let database = &self.dependencies.database;
        if !database.is_shared() {
            return Ok(false);
        }
        let Some(turn) = database.request_interrupt(session).await? else {
            return Ok(false);
        };
        self.dependencies.log.hub.signals().interrupts();
        let deadline = Instant::now() + PATIENCE;
        while !database.has_turn_ended(turn).await? {
            if Instant::now() > deadline {
                return Err(Error::Unavailable("waiting for another one"));
            }
            sleep(LOOK).await;
        }
        Ok(true)
    }

    /// Stops the turns of these sessions, as somebody asked another server to.
    pub fn cancel(&self, sessions: &[SessionId]) {
        let state = self.state();
        for live in sessions.iter().filter_map(|id| state.live.get(id)) {
            live.cancel.cancel();
        }
    }

    /// Stops all turns of this server and begins no others, until it [`resumes`](Self::resume).
    pub fn suspend(&self) {
        let mut state = self.state();
        state.is_suspended = true;
        for live in state.live.values_mut() {
            live.is_suspended = true;
            live.cancel.cancel();
        }
    }

    /// Whether a session's turn was stopped by [`Self::suspend`], and by nobody else.
    pub(super) fn is_turn_suspended(&self, session: SessionId) -> bool {
        let state = self.state();
        let live = state.live.get(&session);
        live.is_some_and(|live| live.is_suspended)
    }

    /// Begins turns again.
    pub fn resume(&self) {
        self.state().is_suspended = false;
    }

    /// Waits until no turn of this server is live.
    pub async fn all_ended(&self) {
        loop {
            let next = self
                .state()
                .live
                .values()
                .next()
                .map(|live| live.ended.clone());
            match next {
                None => return,
                Some(ended) => wait_for_end(ended).await,
            }
            // What has ended is forgotten a moment later.
            sleep(LOOK).await;
        }
    }

    /// Ends turns of this server that are not live, though they are not new: nobody knows whether
    /// the call that stored them came to its end.
    ///
    /// # Errors
    /// The database's own.
    pub async fn end_strays(&self) -> Result<(), Error> {
        let dependencies = &self.dependencies;
        let before = dependencies.clock.now() - STRAY;
        let rows = dependencies.database.turns_of(dependencies.server).await?;
        for row in rows.into_iter().filter(|row| row.create_time < before) {
            let session = SessionId(row.session_id);
            let is_live = self
                .state()
                .live
                .get(&session)
                .is_some_and(|live| live.turn.0 == row.id);
            if !is_live {
                self.abandon(row).await?;
            }
        }
        Ok(())
    }

    /// Hands on answers that were given at another server, in these streams or in all.
    pub async fn heed_answers(&self, streams: Option<&[String]>) {
        for (session, turn) in self.asking(streams) {
            if let Err(error) = self.heed_answers_of(session, turn).await {
                error.log();
            }
        }
    }

    /// Whose turns wait for answers.
    fn asking(&self, streams: Option<&[String]>) -> Vec<(SessionId, TurnId)> {
        let state = self.state();
        let asking = state.live.iter().filter(|(session, live)| {
            let is_meant = streams.is_none_or(|streams| streams.contains(&session.stream()));
            is_meant && !live.answers.is_empty()
        });
        asking
            .map(|(session, live)| (*session, live.turn))
            .collect()
    }

    async fn heed_answers_of(&self, session: SessionId, turn: TurnId) -> Result<(), Error> {
        let database = &self.dependencies.database;
        let begun = database.turn_begins(turn).await?;
        let events = database.all_events_after(&session.stream(), begun).await?;
        for event in events {
            let Some(Kind::PermissionResolved(resolved)) =
                event.payload.and_then(|payload| payload.kind)
            else {
                continue;
            };
            let Ok(id) = resolved.permission_request_id.parse() else {
                continue;
            };
            let answer = PermissionAnswer {
                decision: match resolved.decision() {
                    PermissionDecision::Allow => PermissionDecision::Allow,
                    _ => PermissionDecision::Deny,
                },
                reason: resolved.reason,
            };
            self.hand_on(session, PermissionRequestId(id), answer);
        }
        Ok(())
    }

    /// Gives an answer to the turn that waits for it, if one does.
    pub(super) fn hand_on(
        &self,
        session: SessionId,
        id: PermissionRequestId,
        answer: PermissionAnswer,
    ) {
        let waiting = self
            .state()
            .live
            .get_mut(&session)
            .and_then(|live| live.answers.remove(&id));
        if let Some(waiting) = waiting {
            // An error means that the turn ended at this very moment.
            let _ = waiting.send(answer);
        }
    }
}
