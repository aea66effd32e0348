//! Who is calling.

use crate::id::UserId;

/// How the caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A browser session's cookie.
    Browser,
    /// An API token.
    ApiToken,
    /// None of their own: an agent at their work, by the built-in MCP server.
    Agent {
        /// Whether it may ask for more work. Not where an agent has asked for its own.
        may_start_work: bool,
    },
}

impl Credential {
    /// The word in the audit log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::ApiToken => "api_token",
            Self::Agent { .. } => "agent",
        }
    }
}

/// Who is calling.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// Their name.
    pub user_name: String,
    /// Whether they administer this server.
    pub administrator: bool,
    /// How they proved it.
    pub credential: Credential,
}

impl Principal {
    /// Whether an agent calls for the user.
    #[must_use]
    pub fn is_agent(&self) -> bool {
        matches!(self.credential, Credential::Agent { .. })
    }
}

/// What a member may do; a later one includes the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Works.
    Editor,
    /// Manages.
    Owner,
}

impl Role {
    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// The role of a word in the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "viewer" => Some(Self::Viewer),
            "editor" => Some(Self::Editor),
            "owner" => Some(Self::Owner),
            _ => None,
        }
    }
}
