//! Who listens to which stream, and the blocks that are being generated in it.
//!
//! One lock guards both, so that a new subscriber gets the open blocks exactly as they are between
//! two live messages: nothing of them is missing and nothing comes twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use membrane_agent::host;
use membrane_proto::v1::{BlockKind, Delta, EndReason, Event, event_payload::Kind};
use tokio::sync::broadcast;

use crate::signals::Signals;

/// How many live messages a subscriber may be behind before it is sent to the database.
const RING: usize = 1_024;

/// A live message.
#[derive(Debug)]
pub enum Live {
    /// An event that has been stored.
    Event(Event),
    /// Text being generated.
    Delta(Delta),
    /// Another server has stored something.
    Elsewhere,
    /// There will be no more.
    End(EndReason),
}

#[derive(Debug)]
struct Channel {
    sender: broadcast::Sender<Arc<Live>>,
    /// Blocks that have begun and are not stored yet, whole, in the order of their beginning.
    open: Vec<Delta>,
}

/// The live side of all streams. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    channels: Arc<Mutex<HashMap<String, Channel>>>,
    signals: Signals,
}

impl Hub {
    /// A hub that also says to these signals what is new.
    #[must_use]
    pub fn new(signals: Signals) -> Self {
        Self {
            channels: Arc::default(),
            signals,
        }
    }

    /// What other servers are told.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Tells who listens to a stream that another server has stored something in it.
    pub fn wake(&self, stream: &str) {
        if let Some(channel) = self.lock().get(stream) {
            channel.send(Live::Elsewhere);
        }
    }

    /// Tells everybody who listens that another server may have stored something.
    pub fn wake_all(&self) {
        for channel in self.lock().values() {
            channel.send(Live::Elsewhere);
        }
    }

    /// Listens to a stream: everything from now on, and the open blocks as they are now.
    #[must_use]
    pub fn subscribe(&self, stream: &str) -> (broadcast::Receiver<Arc<Live>>, Vec<Delta>) {
        let mut channels = self.lock();
        let channel = channels
            .entry(stream.to_owned())
            .or_insert_with(Channel::new);
        (channel.sender.subscribe(), channel.open.clone())
    }

    /// Forgets a stream that nobody listens to and in which nothing is open. Called after a
    /// subscriber left.
    pub fn tidy(&self, stream: &str) {
        let mut channels = self.lock();
        if channels.get(stream).is_some_and(Channel::is_idle) {
            channels.remove(stream);
        }
    }

    /// Tells of stored events.
    pub fn publish(&self, events: Vec<Event>) {
        let streams = events.iter().map(|event| event.stream.as_str());
        self.signals.streams(streams);
        let mut channels = self.lock();
        for event in events {
            let Some(channel) = channels.get_mut(&event.stream) else {
                continue;
            };
            channel.close_blocks(&event);
            let stream = event.stream.clone();
            channel.send(Live::Event(event));
            if channels.get(&stream).is_some_and(Channel::is_idle) {
                channels.remove(&stream);
            }
        }
    }

    /// Tells of a piece of a block, and keeps it for those who come later.
    pub fn delta(&self, delta: Delta) {
        let mut channels = self.lock();
        let channel = channels
            .entry(delta.stream.clone())
            .or_insert_with(Channel::new);
        channel.extend_block(&delta);
        channel.send(Live::Delta(delta));
    }

    /// Ends a stream for everybody who listens.
    pub fn end(&self, stream: &str, reason: EndReason) {
        if let Some(channel) = self.lock().remove(stream) {
            channel.send(Live::End(reason));
        }
    }

    /// Ends every stream that anybody listens to.
    pub fn end_all(&self, reason: EndReason) {
        for (_, channel) in self.lock().drain() {
            channel.send(Live::End(reason));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Channel>> {
        // The map is whole after every statement, so a panic elsewhere does not spoil it.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(RING),
            open: Vec::new(),
        }
    }

    fn is_idle(&self) -> bool {
        self.open.is_empty() && self.sender.receiver_count() == 0
    }

    fn send(&self, live: Live) {
        // An error means that nobody listens, which is fine.
        let _ = self.sender.send(Arc::new(live));
    }

    fn extend_block(&mut self, delta: &Delta) {
        let block = self
            .open
            .iter_mut()
            .find(|open| open.block_id == delta.block_id && open.kind == delta.kind);
        let Some(open) = block else {
            self.open.push(delta.clone());
            return;
        };
        let offset = usize::try_from(delta.offset).unwrap_or(usize::MAX);
        if offset <= open.text.len() && open.text.is_char_boundary(offset) {
            open.text.truncate(offset);
            open.text.push_str(&delta.text);
        }
    }

    fn close_blocks(&mut self, event: &Event) {
        if self.open.is_empty() {
            return;
        }
        if let Some((block_id, kind)) = closed_block(event) {
            self.open
                .retain(|open| open.block_id != block_id || open.kind() != kind);
            return;
        }
        match event
            .payload
            .as_ref()
            .and_then(|payload| payload.kind.as_ref())
        {
            Some(Kind::TurnEnded(_)) => self.open.retain(|open| open.turn_id != event.turn_id),
            // What a failed request had begun to say is said anew by the next attempt.
            Some(Kind::ModelRetry(_)) => self.open.retain(|open| {
                open.turn_id != event.turn_id || open.kind() == BlockKind::ToolOutput
            }),
            _ => {}
        }
    }
}

/// The block that this event is the stored form of.
#[must_use]
pub fn closed_block(event: &Event) -> Option<(&str, BlockKind)> {
    host::closed_block(event.payload.as_ref()?.kind.as_ref()?)
}

#[cfg(test)]
mod tests {
    use membrane_proto::v1::{AgentText, EventPayload, TurnEnded};

    use super::*;

    fn delta(offset: i64, text: &str) -> Delta {
        Delta {
            stream: "s".to_owned(),
            block_id: "b".to_owned(),
            kind: BlockKind::Text.into(),
            offset,
            text: text.to_owned(),
            turn_id: "t".to_owned(),
            tool_name: String::new(),
        }
    }

    fn event(kind: Kind) -> Event {
        Event {
            stream: "s".to_owned(),
            turn_id: "t".to_owned(),
            payload: Some(EventPayload {
                kind: Some(kind),
                ..EventPayload::default()
            }),
            ..Event::default()
        }
    }

    #[test]
    fn a_late_subscriber_gets_the_open_block_whole() {
        let hub = Hub::default();
        hub.delta(delta(0, "ab"));
        hub.delta(delta(2, "cd"));
        hub.delta(delta(2, "cd"));
        let (_live, open) = hub.subscribe("s");
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].text, "abcd");
    }

    #[test]
    fn a_stored_block_is_not_open_any_more() {
        let hub = Hub::default();
        hub.delta(delta(0, "ab"));
        hub.publish(vec![event(Kind::AgentText(AgentText {
            block_id: "b".to_owned(),
            text: "ab".to_owned(),
        }))]);
        let (_live, open) = hub.subscribe("s");
        assert!(open.is_empty());
    }

    #[test]
    fn the_end_of_a_turn_closes_its_blocks() {
        let hub = Hub::default();
        hub.delta(delta(0, "ab"));
        hub.publish(vec![event(Kind::TurnEnded(TurnEnded::default()))]);
        let (_live, open) = hub.subscribe("s");
        assert!(open.is_empty());
    }

    #[test]
    fn a_stream_that_nobody_needs_is_forgotten() {
        let hub = Hub::default();
        let (live, _open) = hub.subscribe("s");
        drop(live);
        hub.tidy("s");
        assert!(hub.lock().is_empty());
    }
}
