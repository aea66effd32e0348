//! How letters travel between tabs: a BroadcastChannel, which reaches every other tab of the browser
//! that opened one of the same name.

use js_sys::{ArrayBuffer, Uint8Array};
use prost::Message as _;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{BroadcastChannel, MessageEvent};

use super::letters::{Kind, Letter};

/// An open channel; closed when dropped.
pub struct Channel {
    channel: BroadcastChannel,
    _listener: Closure<dyn Fn(MessageEvent)>,
}

impl Channel {
    /// Opens a channel. `None` where the browser has none.
    pub fn open(name: &str, hear: impl Fn(Kind) + 'static) -> Option<Self> {
        let channel = BroadcastChannel::new(name).ok()?;
        let listener = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(kind) = read(&event) {
                hear(kind);
            }
        });
        channel.set_onmessage(Some(listener.as_ref().unchecked_ref()));
        Some(Self {
            channel,
            _listener: listener,
        })
    }

    /// Sends a letter to all other tabs.
    pub fn post(&self, kind: Kind) {
        let bytes = Letter::from(kind).encode_to_vec();
        // Fails on a closed channel only.
        let _ = self
            .channel
            .post_message(&Uint8Array::from(bytes.as_slice()).buffer());
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}

fn read(event: &MessageEvent) -> Option<Kind> {
    let buffer: ArrayBuffer = event.data().dyn_into().ok()?;
    let bytes = Uint8Array::new(&buffer).to_vec();
    Letter::decode(bytes.as_slice()).ok()?.kind
}
