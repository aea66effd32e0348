//! What tabs of one browser say to each other. Both ends come from one build in almost all cases;
//! a letter that a tab of another build does not understand is left unread.

use membrane_proto::v1 as pb;
use prost::{Message, Oneof};

/// What can be watched.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Oneof)]
pub enum Topic {
    /// A stream of events: `sessions/<session id>`.
    #[prost(string, tag = "1")]
    Log(String),
    /// The entries of a directory. It has no sequences: whoever begins to watch is told at once.
    #[prost(message, tag = "2")]
    Directory(Directory),
}

/// A directory of a workspace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Directory {
    /// The workspace.
    #[prost(string, tag = "1")]
    pub workspace_id: String,
    /// Its path; empty for the top of the tree.
    #[prost(string, tag = "2")]
    pub path: String,
}

/// One letter.
#[derive(Clone, PartialEq, Message)]
pub struct Letter {
    /// What it says.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5")]
    pub kind: Option<Kind>,
}

/// What a letter says.
#[derive(Clone, PartialEq, Oneof)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all letters are of the largest kind, which is large on 64 bits only"
)]
pub enum Kind {
    /// To the leader.
    #[prost(message, tag = "1")]
    Wants(Wants),
    /// From a tab that has just become the leader: say what you want.
    #[prost(message, tag = "2")]
    Leads(Leads),
    /// From the leader.
    #[prost(message, tag = "3")]
    State(State),
    /// From the leader.
    #[prost(message, tag = "4")]
    News(News),
    /// From the leader.
    #[prost(message, tag = "5")]
    Refused(Refused),
}

/// All that a tab wants; nothing, if it goes or watches nothing.
#[derive(Clone, PartialEq, Message)]
pub struct Wants {
    /// The tab.
    #[prost(string, tag = "1")]
    pub tab: String,
    /// Whether somebody sees it.
    #[prost(bool, tag = "2")]
    pub visible: bool,
    /// What it wants.
    #[prost(message, repeated, tag = "3")]
    pub wants: Vec<Want>,
}

/// One thing that a tab wants.
#[derive(Clone, PartialEq, Message)]
pub struct Want {
    /// What.
    #[prost(oneof = "Topic", tags = "1, 2")]
    pub topic: Option<Topic>,
    /// Names this asking in its tab. A tab that asks anew from its cursor takes another number.
    #[prost(uint64, tag = "8")]
    pub asking: u64,
    /// The last sequence that the tab has.
    #[prost(int64, tag = "9")]
    pub after: i64,
}

/// There is a new leader.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Leads {}

/// How the one stream is doing.
#[derive(Clone, PartialEq, Message)]
pub struct State {
    /// How.
    #[prost(enumeration = "Health", tag = "1")]
    pub health: i32,
    /// Since when it is broken, in seconds since 1970.
    #[prost(int64, tag = "2")]
    pub since: i64,
    /// What is watched.
    #[prost(message, repeated, tag = "3")]
    pub watched: Vec<Watched>,
}

/// One thing that is watched.
#[derive(Clone, PartialEq, Message)]
pub struct Watched {
    /// What.
    #[prost(oneof = "Topic", tags = "1, 2")]
    pub topic: Option<Topic>,
}

/// How a stream can be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Health {
    /// It is being opened for the first time.
    Connecting = 0,
    /// Messages arrive.
    Live = 1,
    /// It broke, and is being opened again.
    Broken = 2,
}

/// A message of the server.
#[derive(Clone, PartialEq, Message)]
pub struct News {
    /// The message.
    #[prost(message, optional, tag = "1")]
    pub response: Option<pb::WatchResponse>,
    /// For a delta, the last sequence of its stream that was sent before it.
    #[prost(int64, tag = "2")]
    pub position: i64,
}

/// Something is not to be had, and won't be.
#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    /// What; nothing for all.
    #[prost(oneof = "Topic", tags = "1, 2")]
    pub topic: Option<Topic>,
    /// The gRPC status code.
    #[prost(int32, tag = "8")]
    pub code: i32,
    /// The stable word.
    #[prost(string, tag = "9")]
    pub reason: String,
    /// A sentence for people.
    #[prost(string, tag = "10")]
    pub message: String,
}

impl From<Kind> for Letter {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl Topic {
    /// A directory of a workspace.
    pub fn directory(workspace_id: &str, path: &str) -> Self {
        Self::Directory(Directory {
            workspace_id: workspace_id.to_owned(),
            path: path.to_owned(),
        })
    }

    /// What a message of the server is about; `None` if it is about the stream as a whole.
    pub fn of(response: &pb::WatchResponse) -> Option<Self> {
        use pb::watch_response::Kind;
        let stream = match response.kind.as_ref()? {
            Kind::Event(event) => &event.stream,
            Kind::Delta(delta) => &delta.stream,
            Kind::CaughtUp(caught_up) => &caught_up.stream,
            Kind::Lag(lag) => &lag.stream,
            Kind::End(pb::End {
                directory: Some(directory),
                ..
            }) => return Some(Self::directory(&directory.workspace_id, &directory.path)),
            Kind::End(end) => &end.stream,
            Kind::FilesChanged(changed) => {
                return Some(Self::directory(&changed.workspace_id, &changed.path));
            }
            Kind::Heartbeat(_) => return None,
        };
        (!stream.is_empty()).then(|| Self::Log(stream.clone()))
    }
}
