//! Following one stream: everything stored after a cursor, then the open blocks, then live.

use std::{collections::HashSet, sync::Arc};

use membrane_proto::v1::{CaughtUp, EndReason, Event, Lag, WatchResponse, watch_response::Kind};
use tokio::sync::{broadcast, mpsc};

use super::hub::{Hub, Live, closed_block};
use crate::{db::Database, error::Error};

/// Events read from the database at a time.
const PAGE: u64 = 500;

/// Why a follower stopped.
#[derive(Debug)]
pub enum Stop {
    /// The stream ended.
    End(EndReason),
    /// Nobody reads any more.
    Unread,
    /// The database failed.
    Failed(Error),
}

/// One subscriber's place in one stream.
pub struct Follower {
    pub stream: String,
    pub sent: i64,
    pub database: Database,
    pub hub: Hub,
    pub out: mpsc::Sender<WatchResponse>,
}

enum Left {
    /// Something was missed: the database has it.
    Behind,
    Stop(Stop),
}

impl Follower {
    /// Follows until the stream ends, the reader goes away or the database fails.
    pub async fn run(mut self) -> Stop {
        let mut announced = false;
        loop {
            match self.follow_once(&mut announced).await {
                Left::Behind => {}
                Left::Stop(stop) => {
                    self.hub.tidy(&self.stream);
                    return stop;
                }
            }
        }
    }

    /// Catches up, subscribes, and stays live until something is missed.
    ///
    /// The second replay closes the gap between the first one and the subscription. What it sends
    /// may be newer than deltas that wait in the subscription, so the blocks it closes are
    /// remembered and their late deltas dropped.
    async fn follow_once(&mut self, announced: &mut bool) -> Left {
        if let Err(stop) = self.replay(&mut HashSet::new()).await {
            return Left::Stop(stop);
        }
        let (live, open) = self.hub.subscribe(&self.stream);
        for delta in open {
            if let Err(stop) = self.send(Kind::Delta(delta)).await {
                return Left::Stop(stop);
            }
        }
        let mut closed = HashSet::new();
        if let Err(stop) = self.replay(&mut closed).await {
            return Left::Stop(stop);
        }
        if !*announced {
            *announced = true;
            let caught_up = CaughtUp {
                stream: self.stream.clone(),
                sequence: self.sent,
            };
            if let Err(stop) = self.send(Kind::CaughtUp(caught_up)).await {
                return Left::Stop(stop);
            }
        }
        self.stay_live(live, closed).await
    }

    async fn replay(&mut self, closed: &mut HashSet<(String, i32)>) -> Result<(), Stop> {
        loop {
            let page = self
                .database
                .events_after(&self.stream, self.sent, PAGE)
                .await
                .map_err(|error| Stop::Failed(error.into()))?;
            if page.is_empty() {
                return Ok(());
            }
            for event in page {
                if let Some((block, kind)) = closed_block(&event) {
                    closed.insert((block.to_owned(), kind.into()));
                }
                self.send_event(event).await?;
            }
        }
    }

    async fn stay_live(
        &mut self,
        mut live: broadcast::Receiver<Arc<Live>>,
        mut closed: HashSet<(String, i32)>,
    ) -> Left {
        loop {
            let sent = match live.recv().await {
                Ok(message) => match &*message {
                    Live::Event(event) if event.sequence <= self.sent => Ok(()),
                    Live::Event(event) if event.sequence > self.sent + 1 => return Left::Behind,
                    Live::Event(event) => self.send_event(event.clone()).await,
                    Live::Delta(delta)
                        if closed.contains(&(delta.block_id.clone(), delta.kind)) =>
                    {
                        Ok(())
                    }
                    Live::Delta(delta) => self.send(Kind::Delta(delta.clone())).await,
                    Live::Elsewhere => self.replay(&mut closed).await,
                    Live::End(reason) => return Left::Stop(Stop::End(*reason)),
                },
                Err(broadcast::error::RecvError::Closed) => {
                    return Left::Stop(Stop::End(EndReason::Deleted));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let lag = Lag {
                        stream: self.stream.clone(),
                        after_sequence: self.sent,
                    };
                    return match self.send(Kind::Lag(lag)).await {
                        Ok(()) => Left::Behind,
                        Err(stop) => Left::Stop(stop),
                    };
                }
            };
            if let Err(stop) = sent {
                return Left::Stop(stop);
            }
        }
    }

    async fn send_event(&mut self, event: Event) -> Result<(), Stop> {
        self.sent = event.sequence;
        self.send(Kind::Event(event)).await
    }

    async fn send(&self, kind: Kind) -> Result<(), Stop> {
        let response = WatchResponse { kind: Some(kind) };
        self.out.send(response).await.map_err(|_| Stop::Unread)
    }
}
