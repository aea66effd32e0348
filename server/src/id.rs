//! Id newtypes, so that a session's id can't be handed in for a workspace's.

use std::fmt;

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new random id; later ones sort after earlier ones.
            #[must_use]
            #[allow(clippy::new_without_default, reason = "each one is different")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

id!(
    /// A user.
    UserId
);
id!(
    /// A workspace.
    WorkspaceId
);
id!(
    /// A session.
    SessionId
);
id!(
    /// A turn.
    TurnId
);
id!(
    /// A server, as those that share a database tell each other apart.
    ServerId
);
id!(
    /// An API token's row.
    ApiTokenId
);
id!(
    /// A user's secret.
    SecretId
);
id!(
    /// A change set.
    ChangeSetId
);
id!(
    /// A run.
    RunId
);
id!(
    /// A schedule.
    ScheduleId
);
id!(
    /// A token of runners.
    RunnerTokenId
);
id!(
    /// A snapshot.
    SnapshotId
);
id!(
    /// A permission request.
    PermissionRequestId
);

impl RunId {
    /// The name of this run's event stream.
    #[must_use]
    pub fn stream(self) -> String {
        format!("runs/{self}")
    }

    /// The run whose stream this is; `None` for any other text.
    #[must_use]
    pub fn from_stream(stream: &str) -> Option<Self> {
        stream.strip_prefix("runs/").and_then(exact).map(Self)
    }
}

/// An id in its one spelling.
fn exact(text: &str) -> Option<Uuid> {
    let parsed = Uuid::parse_str(text).ok()?;
    (parsed.to_string() == text).then_some(parsed)
}

impl SessionId {
    /// The name of this session's event stream.
    #[must_use]
    pub fn stream(self) -> String {
        format!("sessions/{self}")
    }

    /// The session whose stream this is; `None` for any other text.
    #[must_use]
    pub fn from_stream(stream: &str) -> Option<Self> {
        stream.strip_prefix("sessions/").and_then(exact).map(Self)
    }
}
