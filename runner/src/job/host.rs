//! The host of a run's engine: events to the outbox, and no person to ask.

use membrane_agent::{HostRequest, PermissionAnswer, PermissionAsk};
use membrane_proto::v1::{
    EventPayload, Notice, NoticeLevel, PermissionDecision, event_payload::Kind,
};
use tokio::sync::{mpsc, oneshot};

use super::outbox::Outbox;

const NOBODY: &str = "Nobody is there to ask during a run.";

/// Serves an engine until it drops its end. Only whole events leave this machine, so pieces of
/// blocks are let go.
pub(super) async fn serve(outbox: &Outbox, mut requests: mpsc::Receiver<HostRequest>) {
    while let Some(request) = requests.recv().await {
        match request {
            HostRequest::Append { payload, done } => {
                // When it can't be kept, `done` is dropped, which tells the engine to stop.
                if outbox.add(payload).await.is_ok() {
                    let _ = done.send(());
                }
            }
            HostRequest::Delta(_) => {}
            HostRequest::AskPermission { ask, answer } => refuse(outbox, ask, answer).await,
        }
    }
}

/// Where the sandbox is enforced, nothing asks; elsewhere, what asks is refused, and that is told.
async fn refuse(outbox: &Outbox, ask: PermissionAsk, answer: oneshot::Sender<PermissionAnswer>) {
    let notice = Notice {
        level: NoticeLevel::Warning.into(),
        reason: "NOBODY_TO_ASK".to_owned(),
        message: format!(
            "{} was refused: it needs a person's answer, and nobody is there to ask during a run.",
            ask.tool_name
        ),
    };
    let told = EventPayload {
        kind: Some(Kind::Notice(notice)),
        ..EventPayload::default()
    };
    // What the engine says next fails in the same way, if this did.
    let _ = outbox.add(told).await;
    let refused = PermissionAnswer {
        decision: PermissionDecision::Deny,
        reason: NOBODY.to_owned(),
    };
    // An error means that the turn ended at this very moment.
    let _ = answer.send(refused);
}
