//! What the leading tab does: it holds one watch with everything that tabs want, opens it anew when
//! that changes or it breaks, and passes on what arrives.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use futures::{
    StreamExt as _,
    channel::mpsc,
    future::{Either, select},
};
use membrane_proto::v1::{self as pb, EndReason, watch_response::Kind as Message};
use tonic::Streaming;

use super::{
    letters::{Health, Kind, News, State, Topic, Watched},
    node::Node,
};
use crate::{
    api::{self, ApiError},
    browser,
};

/// Heartbeats come every ten seconds; a stream that is silent for longer is dead.
const SILENCE_SECONDS: i64 = 25;
/// How often to look whether it is.
const WATCHDOG: Duration = Duration::from_secs(5);
/// How long a change waits for others before the stream is opened anew.
const GATHER: Duration = Duration::from_millis(50);
/// The same right after the stream was opened: tabs that come in a row are taken together.
const GATHER_MORE: Duration = Duration::from_millis(500);
/// Longest wait before a broken stream is begun again.
const MAX_BACKOFF: Duration = Duration::from_secs(15);

type Topics = BTreeMap<Topic, i64>;

/// Why a stream is not read any more.
enum Left {
    /// Something else is wanted.
    Changed,
    /// It broke; whether it ever lived.
    Broken(bool),
    /// It is not to be had with these topics.
    Refused(ApiError),
    /// This browser may not have any.
    Over(ApiError),
}

/// What comes next while a stream is read.
enum Next {
    Message(Box<pb::WatchResponse>),
    Nothing(Option<Box<ApiError>>),
    Woken,
    Time,
}

/// Leads until dropped.
pub async fn lead(node: Rc<Node>) {
    let (_leading, mut woken) = node.take_lead();
    let mut failures = 0_u32;
    gather().await;
    loop {
        let topics = node.with_lead(|lead| lead.plan.open()).unwrap_or_default();
        if topics.is_empty() {
            node.tell_state(State::default());
            let _ = woken.next().await;
            gather().await;
            continue;
        }
        let lived = match watch(&node, &topics, &mut woken).await {
            Left::Changed => {
                failures = 0;
                continue;
            }
            Left::Broken(lived) => lived,
            Left::Refused(error) => {
                if refuse(&node, &topics, error).await {
                    continue;
                }
                false
            }
            Left::Over(error) => {
                node.refuse(None, error);
                continue;
            }
        };
        failures = if lived { 0 } else { failures.saturating_add(1) };
        node.tell_state(broken(&node));
        // Who came meanwhile, or a network that is back, does not wait for the end of it.
        let pause = Box::pin(browser::sleep(backoff(failures)));
        select(woken.next(), pause).await;
    }
}

/// Waits for others who want something, too. Not where timers may take a minute.
async fn gather() {
    if !browser::is_hidden() {
        browser::sleep(GATHER).await;
    }
}

/// One stream from where tabs are to where it breaks or is not the right one any more.
async fn watch(node: &Node, topics: &Topics, woken: &mut mpsc::Receiver<()>) -> Left {
    let network = node.network();
    let opened = within(open(topics)).await;
    if let Err(left @ Left::Broken(_)) = opened {
        return left;
    }
    // After the stream is open: who is asked for now is the one whom it was opened for.
    if let Err(left) = within(same_user(node.user.as_deref())).await {
        return left;
    }
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(left) => return left,
    };
    node.tell_state(live(topics));
    let mut heard = browser::now();
    let mut timer = Box::pin(browser::sleep(WATCHDOG));
    let (mut gather, mut changed) = (GATHER_MORE, false);
    loop {
        match next(&mut stream, woken, &mut timer).await {
            Next::Message(response) => {
                heard = browser::now();
                if let Some(left) = pass(node, *response).await {
                    return left;
                }
            }
            Next::Nothing(Some(error)) => {
                return match left(*error) {
                    over @ Left::Over(_) => over,
                    _ => Left::Broken(true),
                };
            }
            Next::Nothing(None) => return Left::Broken(true),
            // A stream of a network that is gone can look alive for long.
            Next::Woken if node.network() != network => return Left::Broken(true),
            Next::Woken if browser::is_hidden() && is_stale(node) => return Left::Changed,
            Next::Woken if !changed && is_stale(node) => {
                changed = true;
                timer = Box::pin(browser::sleep(gather));
            }
            Next::Woken => {}
            Next::Time if changed && is_stale(node) => return Left::Changed,
            Next::Time if browser::now() - heard > SILENCE_SECONDS => return Left::Broken(true),
            Next::Time => {
                (gather, changed) = (GATHER, false);
                timer = Box::pin(browser::sleep(WATCHDOG));
            }
        }
    }
}

async fn next(
    stream: &mut Streaming<pb::WatchResponse>,
    woken: &mut mpsc::Receiver<()>,
    timer: &mut (impl Future<Output = ()> + Unpin),
) -> Next {
    match select(stream.next(), select(woken.next(), timer)).await {
        Either::Left((Some(Ok(response)), _)) => Next::Message(Box::new(response)),
        Either::Left((Some(Err(status)), _)) => Next::Nothing(Some(Box::new(status.into()))),
        Either::Left((None, _)) => Next::Nothing(None),
        Either::Right((Either::Left(_), _)) => Next::Woken,
        Either::Right((Either::Right(_), _)) => Next::Time,
    }
}

/// Passes a message on. Says why to read no further, if that is so.
async fn pass(node: &Node, response: pb::WatchResponse) -> Option<Left> {
    let topic = Topic::of(&response);
    match &response.kind {
        Some(Message::Heartbeat(_)) => {
            node.with_lead(|lead| lead.plan.beat());
            node.wake();
        }
        Some(Message::End(end)) => match end.reason() {
            EndReason::ServerStopping | EndReason::Unspecified => return Some(Left::Broken(true)),
            // Perhaps not only to this one.
            EndReason::AccessLost => {
                if let Err(error @ Left::Over(_)) = same_user(node.user.as_deref()).await {
                    return Some(error);
                }
            }
            EndReason::Deleted => {}
        },
        _ => {}
    }
    let ends = topic.is_some() && matches!(response.kind, Some(Message::End(_)));
    let position = node.with_lead(|lead| lead.plan.pass(&response))?;
    node.tell(Kind::News(News {
        response: Some(response),
        position,
    }));
    if ends {
        node.with_lead(|lead| lead.plan.refuse(topic.as_ref()));
    }
    None
}

/// Finds out which topics are not to be had, and tells. Says whether there was any.
async fn refuse(node: &Node, topics: &Topics, error: ApiError) -> bool {
    if let (1, Some(topic)) = (topics.len(), topics.keys().next()) {
        node.refuse(Some(topic.clone()), error);
        return true;
    }
    let mut found = false;
    for (topic, after) in topics {
        let alone = Topics::from([(topic.clone(), *after)]);
        if let Err(Left::Refused(error)) = within(open(&alone)).await {
            node.refuse(Some(topic.clone()), error);
            found = true;
        }
    }
    found
}

async fn open(topics: &Topics) -> Result<Streaming<pb::WatchResponse>, Left> {
    let mut request = pb::WatchRequest::default();
    for (topic, after) in topics {
        match topic {
            Topic::Log(stream) => request.cursors.push(pb::StreamCursor {
                stream: stream.clone(),
                after_sequence: *after,
            }),
            Topic::Directory(directory) => request.directories.push(pb::WatchedDirectory {
                workspace_id: directory.workspace_id.clone(),
                path: directory.path.clone(),
            }),
        }
    }
    let answer = api::events().watch(request).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| left(status.into()))
}

/// Whether the caller is still this user. The cookie is the browser's, and somebody else may have
/// signed in.
async fn same_user(user: Option<&str>) -> Result<(), Left> {
    let answer = api::accounts().get_me(pb::GetMeRequest {}).await;
    let me = answer.map_err(|status| left(status.into()))?.into_inner();
    let id = me.user.map(|user| user.id).unwrap_or_default();
    match user {
        Some(user) if user != id => Err(Left::Over(ApiError::local(
            "ANOTHER_USER",
            "Somebody else has signed in in this browser. Reload the page.",
        ))),
        _ => Ok(()),
    }
}

/// Bounds how long an answer may take to begin.
async fn within<T>(answer: impl Future<Output = Result<T, Left>>) -> Result<T, Left> {
    let silence = browser::sleep(Duration::from_secs(SILENCE_SECONDS.unsigned_abs()));
    match select(Box::pin(answer), Box::pin(silence)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Left::Broken(false)),
    }
}

fn left(error: ApiError) -> Left {
    if error.is_transient() {
        Left::Broken(false)
    } else if error.is_unauthenticated() {
        Left::Over(error)
    } else {
        Left::Refused(error)
    }
}

fn is_stale(node: &Node) -> bool {
    node.with_lead(|lead| lead.plan.is_stale()) == Some(true)
}

fn live(topics: &Topics) -> State {
    let watched = |topic: &Topic| Watched {
        topic: Some(topic.clone()),
    };
    State {
        health: Health::Live.into(),
        since: 0,
        watched: topics.keys().map(watched).collect(),
    }
}

fn broken(node: &Node) -> State {
    let told = node.with_lead(|lead| lead.state.clone());
    let before = told.filter(|state| state.health() == Health::Broken);
    State {
        health: Health::Broken.into(),
        since: before.map_or_else(browser::now, |state| state.since),
        watched: Vec::new(),
    }
}

/// Doubles from half a second, and spreads over the upper half of it.
fn backoff(failures: u32) -> Duration {
    let longest = Duration::from_millis(500 << failures.min(5)).min(MAX_BACKOFF);
    longest.mul_f64(0.5 + browser::jitter() / 2.0)
}
