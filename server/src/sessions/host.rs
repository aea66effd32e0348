//! The host's side of an engine: events to the log, deltas to whoever watches, questions to people.

use membrane_agent::{HostRequest, PermissionAnswer, PermissionAsk};
use membrane_entity::permission_request;
use membrane_proto::v1::{Delta, PermissionRequested, event_payload::Kind};
use tokio::sync::{mpsc, oneshot};

use super::turns::Run;
use crate::{db::NewEvent, error::Error, id::PermissionRequestId};

/// Serves a turn's engine until it drops its end.
pub async fn serve(run: &Run, mut requests: mpsc::Receiver<HostRequest>) {
    while let Some(request) = requests.recv().await {
        match request {
            HostRequest::Append { payload, done } => {
                let event = NewEvent {
                    stream: run.session.stream(),
                    turn_id: run.turn.to_string(),
                    payload,
                };
                // On error `done` is dropped, which tells the engine to stop.
                let _ = run.sessions.dependencies.log.enqueue(event, done).await;
            }
            HostRequest::Delta(delta) => run.sessions.dependencies.log.delta(Delta {
                stream: run.session.stream(),
                turn_id: run.turn.to_string(),
                ..delta
            }),
            HostRequest::AskPermission { ask, answer } => {
                if let Err(error) = put_question(run, ask, answer).await {
                    error.log();
                }
            }
        }
    }
}

/// Stores the question; the answer goes straight to the engine when somebody gives it.
async fn put_question(
    run: &Run,
    ask: PermissionAsk,
    answer: oneshot::Sender<PermissionAnswer>,
) -> Result<(), Error> {
    let id = PermissionRequestId::new();
    if let Some(live) = run.sessions.state().live.get_mut(&run.session) {
        live.answers.insert(id, answer);
    }
    let row = permission_request::Model {
        id: id.0,
        session_id: run.session.0,
        turn_id: run.turn.0,
        // As the model says it, and no text of PostgreSQL may have one of these.
        tool_call_id: ask.tool_call_id.replace('\0', ""),
        state: "pending".to_owned(),
        create_time: run.now(),
        resolver_user_id: None,
        resolve_time: None,
    };
    let asked = PermissionRequested {
        permission_request_id: id.to_string(),
        tool_call_id: ask.tool_call_id,
        tool_name: ask.tool_name,
        input_json: ask.input_json,
        explanation: ask.explanation,
    };
    let event = NewEvent::of_turn(run.session, run.turn, Kind::PermissionRequested(asked));
    let stored = run
        .sessions
        .dependencies
        .database
        .create_permission_request(row, event)
        .await;
    match stored {
        Ok(events) => run.sessions.dependencies.log.publish(events),
        Err(error) => {
            if let Some(live) = run.sessions.state().live.get_mut(&run.session) {
                live.answers.remove(&id);
            }
            return Err(error);
        }
    }
    Ok(())
}
