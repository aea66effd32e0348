//! One stream of live messages for a whole browser. Browsers open six connections to a host over
//! HTTP/1, so tabs can't each have a stream of their own: they choose a leader by a lock of the
//! browser, tell it what they want and how far they are, and it holds one watch for all of them and
//! passes on what arrives. A tab that goes is forgotten; when the leader goes, the next one begins at
//! what each tab has. Tabs of different users know nothing of each other.
//!
//! A message may arrive twice and none is missed: [`tab`] lets through what is next, and [`plan`]
//! knows from where the stream must begin so that everybody gets that.

use std::rc::Rc;

use futures::future::{AbortHandle, Abortable, pending};
use leptos::{prelude::*, task::spawn_local};
use send_wrapper::SendWrapper;

mod channel;
mod leader;
mod letters;
mod lock;
mod node;
mod plan;
mod tab;
#[cfg(test)]
mod tests;

pub use letters::Topic;
pub use tab::Item;

use crate::context::{Connection, Place};
use node::Node;

/// What every page below the frame watches with.
#[derive(Clone, Copy)]
pub struct Stream {
    place: Place,
    connection: Connection,
    node: StoredValue<Option<SendWrapper<Rc<Node>>>>,
}

impl Stream {
    /// Provides it to all pages. Nothing is opened before something is watched.
    pub fn provide(place: Place) {
        provide_context(Self {
            place,
            connection: expect_context(),
            node: StoredValue::new(None),
        });
    }

    /// Watches something, from the sequence after this one, until the current owner is gone. For
    /// effects. After an [`Item::End`] or [`Item::Refused`] nothing comes any more.
    pub fn watch(self, topic: Topic, after: i64, listener: impl Fn(Item) + 'static) {
        let (handle, registration) = AbortHandle::new_pair();
        let watching = async move {
            let node = self.node().await;
            let _subscription = node.subscribe(topic, after, Rc::new(listener));
            pending::<()>().await;
        };
        spawn_local(async move {
            let _ = Abortable::new(watching, registration).await;
        });
        on_cleanup(move || handle.abort());
    }

    async fn node(self) -> Rc<Node> {
        let user = self.place.me.await.ok();
        let user = user.and_then(|me| Some(me.0.user?.id));
        if let Some(node) = self.node.with_value(|node| node.as_deref().cloned()) {
            return node;
        }
        let node = Node::new(user, self.connection);
        self.node
            .set_value(Some(SendWrapper::new(Rc::clone(&node))));
        node
    }
}
