//! What a run tells, on its way to the server: numbered, kept in a journal before anybody goes on,
//! sent in batches in its order, and sent again when the server was away. When too much waits, who
//! tells waits as well.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, OnceLock},
};

use membrane_proto::v1::{EventPayload, RunLease, ToolContent, event_payload::Kind, tool_content};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::journal::Journal;
use crate::{
    control::{Control, Failure, persist},
    place::JobDir,
};

/// Most events of a batch, and about how many bytes.
const BATCH: usize = 200;
const BATCH_BYTES: usize = 1 << 20;
/// So many bytes may wait in memory.
const MAX_WAITING: usize = 16 << 20;
/// No call to the server may be larger than 4 MiB, so no event either.
const MAX_EVENT: usize = (4 << 20) - (64 << 10);

/// The runner's end. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    letters: mpsc::Sender<Letter>,
    failure: Arc<OnceLock<Failure>>,
}

#[derive(Debug)]
enum Letter {
    /// Answered when it is kept.
    Event(Box<EventPayload>, oneshot::Sender<()>),
    /// Answered when the server has stored everything so far.
    Flush(oneshot::Sender<()>),
}

impl Outbox {
    /// Of an attempt that begins.
    pub(super) fn begin(
        control: &Control,
        lease: &RunLease,
        directory: &JobDir,
    ) -> io::Result<Self> {
        let journal = Journal::begin(directory)?;
        Ok(Self::start(control, lease, journal, Vec::new()))
    }

    /// Of an attempt that another process began.
    pub(super) fn resume(
        control: &Control,
        lease: &RunLease,
        directory: &JobDir,
    ) -> io::Result<Self> {
        let (journal, kept) = Journal::resume(directory)?;
        Ok(Self::start(control, lease, journal, kept))
    }

    fn start(
        control: &Control,
        lease: &RunLease,
        journal: Journal,
        kept: Vec<(i64, EventPayload)>,
    ) -> Self {
        let (letters, received) = mpsc::channel(BATCH);
        let failure = Arc::new(OnceLock::new());
        let courier = Courier {
            control: control.clone(),
            lease: lease.clone(),
            letters: received,
            journal,
            first: kept.first().map_or(1, |(number, _)| *number),
            bytes: kept.iter().map(|(_, event)| event.encoded_len()).sum(),
            waiting: kept.into_iter().map(|(_, event)| event).collect(),
            flushing: Vec::new(),
        };
        let told = failure.clone();
        tokio::spawn(async move {
            if let Err(why) = courier.run().await {
                tracing::warn!(%why, "what a run tells can't be sent any more");
                // It is set once, here.
                let _ = told.set(why);
            }
        });
        Self { letters, failure }
    }

    /// Returns when the event is kept and will be sent.
    pub(super) async fn add(&self, event: EventPayload) -> Result<(), Failure> {
        self.send(|kept| Letter::Event(Box::new(event), kept)).await
    }

    /// Returns when the server has stored everything.
    pub(super) async fn flush(&self) -> Result<(), Failure> {
        self.send(Letter::Flush).await
    }

    async fn send(
        &self,
        letter: impl FnOnce(oneshot::Sender<()>) -> Letter,
    ) -> Result<(), Failure> {
        let (done, answered) = oneshot::channel();
        let sent = self.letters.send(letter(done)).await.is_ok();
        if sent && answered.await.is_ok() {
            return Ok(());
        }
        let unknown = || Failure::Refused("what it tells can't be kept any more".to_owned());
        Err(self.failure.get().cloned().unwrap_or_else(unknown))
    }
}

struct Courier {
    control: Control,
    lease: RunLease,
    letters: mpsc::Receiver<Letter>,
    journal: Journal,
    /// The number of the first that waits.
    first: i64,
    waiting: VecDeque<EventPayload>,
    /// Of what waits.
    bytes: usize,
    flushing: Vec<oneshot::Sender<()>>,
}

impl Courier {
    async fn run(mut self) -> Result<(), Failure> {
        loop {
            if !self.waiting.is_empty() {
                self.deliver().await?;
                continue;
            }
            self.journal.all_stored().map_err(unkept)?;
            for flushed in self.flushing.drain(..) {
                // Whoever waited may be gone.
                let _ = flushed.send(());
            }
            match self.letters.recv().await {
                Some(letter) => self.take(letter)?,
                None => return Ok(()),
            }
        }
    }

    /// Sends a batch, and takes more meanwhile as long as there is room.
    async fn deliver(&mut self) -> Result<(), Failure> {
        let (control, lease) = (self.control.clone(), self.lease.clone());
        let (first, batch) = (self.first, self.batch());
        let mut sending = std::pin::pin!(persist(|| control.append(&lease, first, batch.clone())));
        let last = loop {
            let has_room = self.bytes < MAX_WAITING;
            tokio::select! {
                last = &mut sending => break last?,
                Some(letter) = self.letters.recv(), if has_room => self.take(letter)?,
            }
        };
        while self.first <= last
            && let Some(stored) = self.waiting.pop_front()
        {
            self.first += 1;
            self.bytes -= stored.encoded_len();
        }
        Ok(())
    }

    fn batch(&self) -> Vec<EventPayload> {
        let mut bytes = 0;
        let fits = |event: &&EventPayload| {
            let is_first = bytes == 0;
            bytes += event.encoded_len();
            is_first || bytes <= BATCH_BYTES
        };
        let waiting = self.waiting.iter().take(BATCH);
        waiting.take_while(fits).cloned().collect()
    }

    fn take(&mut self, letter: Letter) -> Result<(), Failure> {
        match letter {
            Letter::Flush(done) => self.flushing.push(done),
            Letter::Event(event, kept) => {
                let event = fitting(*event);
                let number = self.first + i64::try_from(self.waiting.len()).unwrap_or(i64::MAX);
                self.journal.keep(number, &event).map_err(unkept)?;
                self.bytes += event.encoded_len();
                self.waiting.push_back(event);
                // The engine may be gone.
                let _ = kept.send(());
            }
        }
        Ok(())
    }
}

fn unkept(error: io::Error) -> Failure {
    Failure::Refused(format!("what it tells can't be kept: {error}"))
}

/// An event that is too large for one call loses what it shows, and says so.
fn fitting(mut event: EventPayload) -> EventPayload {
    if event.encoded_len() <= MAX_EVENT {
        return event;
    }
    if let Some(Kind::ToolResult(result)) = &mut event.kind {
        let text = "The result was too large to be sent from the runner to the server.";
        result.content = vec![ToolContent {
            kind: Some(tool_content::Kind::Text(text.to_owned())),
        }];
        result.detail = None;
    }
    event
}
