//! The demonstration.
use crate::conversation::Conversation;
use crate::puppet;
use crate::scenario::Step;

pub(crate) fn answer(conversation: &Conversation, root: &str) -> Vec<Step> {
    puppet::answer(conversation, root)
}
