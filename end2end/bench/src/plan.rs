//! What a producer is told to do, and the lines in which it is told.

use std::{fmt::Write as _, io::BufRead as _, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::measure::now;

/// Bytes of an event's text.
pub const BYTES: usize = 300;
/// Between the command and the first event.
const LEAD: u64 = 50_000_000;

/// The first line of a server: where it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// Host and port.
    pub address: String,
    /// Streams that are produced into.
    pub streams: Vec<String>,
    /// Bearer tokens of those who may read them.
    pub tokens: Vec<String>,
}

/// A line to a server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Command {
    /// Produce; answered by [`Produced`] when everything is stored.
    Produce(Plan),
    /// Append events one after the other, and say the number of each once it is stored, for ever.
    Acknowledge,
}

/// Events to produce, to the first `sessions` streams in turn.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Plan {
    /// When the first is due, in nanoseconds of the monotonic clock.
    pub start: u64,
    /// Nanoseconds between two; 0 for as fast as they are stored.
    pub interval: u64,
    /// How many, in all.
    pub count: u64,
    /// How many streams.
    pub sessions: usize,
    /// Without an interval: how many of one stream may wait to be stored.
    pub window: usize,
    /// Bytes of each text.
    pub bytes: usize,
}

impl Plan {
    /// An open-loop schedule: so many a second for a while, whatever becomes of them.
    #[must_use]
    pub fn paced(per_second: u64, count: u64) -> Self {
        Self {
            start: now() + LEAD,
            interval: 1_000_000_000 / per_second,
            count,
            sessions: 1,
            window: 1,
            bytes: BYTES,
        }
    }

    /// A closed loop: `window` events of each stream are on their way at any time.
    #[must_use]
    pub fn burst(sessions: usize, each: u64, window: usize) -> Self {
        Self {
            start: 0,
            interval: 0,
            count: each * sessions as u64,
            sessions,
            window,
            bytes: BYTES,
        }
    }

    /// Calls `send` with the stream and the text of each event when it is due. Blocks; the
    /// runtime's own timers are a millisecond coarse.
    ///
    /// # Errors
    /// Those of `send`.
    pub fn pace(
        &self,
        mut send: impl FnMut(usize, String) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for index in 0..self.count {
            let due = self.start + index * self.interval;
            std::thread::sleep(Duration::from_nanos(due.saturating_sub(now())));
            send(index as usize % self.sessions, text(due, index, self.bytes))?;
        }
        Ok(())
    }
}

/// A line of a server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Produced {
    /// From the first event to the last one's being stored.
    pub seconds: f64,
}

/// An event's text: when it was meant to be sent, its number, and what makes it long enough.
#[must_use]
pub fn text(due: u64, index: u64, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes);
    // Writing to a string does not fail.
    let _ = write!(text, "{due:020} {index:010} ");
    text.push_str(&"x".repeat(bytes.saturating_sub(text.len())));
    text
}

/// When an event was meant to be sent.
#[must_use]
pub fn due(text: &str) -> Option<u64> {
    text.get(..20)?.parse().ok()
}

/// Says a line to the driver.
///
/// # Errors
/// When the driver is gone.
pub fn say(line: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}

/// What the driver says, until it closes the pipe.
#[must_use]
pub fn commands() -> mpsc::Receiver<Command> {
    let (heard, commands) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(command) = serde_json::from_str(&line) else {
                return;
            };
            if heard.blocking_send(command).is_err() {
                return;
            }
        }
    });
    commands
}
