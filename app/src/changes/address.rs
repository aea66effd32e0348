//! The address of everything that a page of changes can show.

use membrane_proto::v1::{self as pb, change_scope::Of};

use crate::query::{self, value};

/// Which changes a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One change set, by id.
    Set(String),
    /// All turns of a session, by its id.
    Session(String),
    /// From one snapshot to another, by their ids, or to the files as they are now.
    Snapshots(String, Option<String>),
}

impl Scope {
    /// As the wire says it.
    pub fn to_wire(&self) -> pb::ChangeScope {
        let of = match self {
            Self::Set(id) => Of::ChangeSetId(id.clone()),
            Self::Session(id) => Of::SessionId(id.clone()),
            Self::Snapshots(before, after) => Of::Snapshots(pb::SnapshotPair {
                before_id: before.clone(),
                after_id: after.clone().unwrap_or_default(),
            }),
        };
        pb::ChangeScope { of: Some(of) }
    }
}

/// How a diff is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Old lines above new ones.
    #[default]
    Unified,
    /// Old lines beside new ones.
    Split,
}

/// How much is shown around a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Around {
    /// Three lines.
    #[default]
    Near,
    /// Twenty lines.
    Far,
    /// The whole file.
    Whole,
}

impl Around {
    /// Lines above and below a change.
    pub fn lines(self) -> i32 {
        match self {
            Self::Near => 3,
            Self::Far => 20,
            Self::Whole => 100_000,
        }
    }

    /// The next step outwards, if there is one.
    pub fn wider(self) -> Option<Self> {
        match self {
            Self::Near => Some(Self::Far),
            Self::Far => Some(Self::Whole),
            Self::Whole => None,
        }
    }
}

/// What a page of changes shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The workspace.
    pub workspace_id: String,
    /// Which changes.
    pub scope: Scope,
    /// The file that is open; the first one if none is named.
    pub file: Option<String>,
    /// How its diff is laid out.
    pub layout: Layout,
    /// How much of it is shown.
    pub around: Around,
    /// The page of the list of files; empty for the first.
    pub page: String,
}

impl Address {
    /// Reads a path and a query; `None` if the path is not one of a page of changes.
    pub fn parse(page: &str, query: &str) -> Option<Self> {
        let parts: Vec<&str> = page.trim_matches('/').split('/').collect();
        let (workspace_id, scope) = match parts[..] {
            ["workspaces", workspace, "changes", id] => (workspace, Scope::Set(id.to_owned())),
            ["workspaces", workspace, "sessions", id, "changes"] => {
                (workspace, Scope::Session(id.to_owned()))
            }
            ["workspaces", workspace, "snapshots", id] => {
                (workspace, Scope::Snapshots(id.to_owned(), None))
            }
            ["workspaces", workspace, "snapshots", id, "to", other] => {
                let other = Some(other.to_owned());
                (workspace, Scope::Snapshots(id.to_owned(), other))
            }
            _ => return None,
        };
        Some(Self {
            workspace_id: workspace_id.to_owned(),
            scope,
            file: value(query, "file"),
            layout: match value(query, "view").as_deref() {
                Some("split") => Layout::Split,
                _ => Layout::Unified,
            },
            around: match value(query, "context").as_deref() {
                Some("20") => Around::Far,
                Some("all") => Around::Whole,
                _ => Around::Near,
            },
            page: page_in(query),
        })
    }

    /// The address as it stands in a link.
    pub fn href(&self) -> String {
        let workspace = &self.workspace_id;
        let mut href = match &self.scope {
            Scope::Set(id) => format!("/workspaces/{workspace}/changes/{id}"),
            Scope::Session(id) => format!("/workspaces/{workspace}/sessions/{id}/changes"),
            Scope::Snapshots(id, None) => format!("/workspaces/{workspace}/snapshots/{id}"),
            Scope::Snapshots(id, Some(other)) => {
                format!("/workspaces/{workspace}/snapshots/{id}/to/{other}")
            }
        };
        let layout = (self.layout == Layout::Split).then_some("split");
        let around = match self.around {
            Around::Near => None,
            Around::Far => Some("20"),
            Around::Whole => Some("all"),
        };
        let page = Some(self.page.as_str());
        let pairs = [
            ("file", self.file.as_deref()),
            ("view", layout),
            ("context", around),
            ("page", page),
        ];
        query::push(&mut href, pairs);
        href
    }

    /// The same with another file open, as near as can be.
    pub fn with_file(&self, file: Option<String>) -> Self {
        Self {
            file,
            around: Around::Near,
            ..self.clone()
        }
    }

    /// The same laid out in another way.
    pub fn with_layout(&self, layout: Layout) -> Self {
        Self {
            layout,
            ..self.clone()
        }
    }

    /// The same with more or less around the changes of this file.
    pub fn with_around(&self, around: Around, file: &str) -> Self {
        Self {
            around,
            file: Some(file.to_owned()),
            ..self.clone()
        }
    }

    /// Another page of the list of files.
    pub fn with_page(&self, page: &str) -> Self {
        Self {
            page: page.to_owned(),
            ..self.with_file(None)
        }
    }
}

/// The address of a page of the list of change sets.
pub fn list_address(workspace_id: &str, page: &str) -> String {
    let mut href = format!("/workspaces/{workspace_id}/changes");
    query::push(&mut href, [("page", Some(page))]);
    href
}

/// The page token in a query; empty for the first page.
pub fn page_in(query: &str) -> String {
    value(query, "page").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address::parse("/workspaces/w/changes/c", "").expect("a page of changes")
    }

    #[test]
    fn an_address_names_a_change_set_or_a_session() {
        assert_eq!(address().scope, Scope::Set("c".to_owned()));
        let session = Address::parse("/workspaces/w/sessions/s/changes", "?view=split");
        let session = session.expect("a page of changes");
        assert_eq!(session.scope, Scope::Session("s".to_owned()));
        assert_eq!(session.layout, Layout::Split);
        assert_eq!(
            session.href(),
            "/workspaces/w/sessions/s/changes?view=split"
        );
        for path in [
            "/workspaces/w/snapshots/a",
            "/workspaces/w/snapshots/a/to/b",
        ] {
            let address = Address::parse(path, "").expect("a page of changes");
            assert_eq!(address.href(), path);
        }
        for other in ["/", "/workspaces/w/changes", "/workspaces/w/sessions/s"] {
            assert_eq!(Address::parse(other, ""), None, "{other}");
        }
    }

    #[test]
    fn every_name_survives_its_address() {
        for name in [
            "src/lib.rs",
            "100%25 + a&b=c?#",
            "a b\u{202e}\n<b>\"'",
            "\\xff\\\\",
            "naïve/日本",
        ] {
            let href = address().with_file(Some(name.to_owned())).href();
            let (path, query) = href.split_once('?').expect("a query");
            let read = Address::parse(path, query).expect("a page of changes");
            assert_eq!(read.file.as_deref(), Some(name), "{href}");
            assert!(
                href.is_ascii() && !href.contains(['<', '"', ' ', '#']),
                "{href}"
            );
        }
    }

    #[test]
    fn a_view_stays_and_context_starts_anew_with_another_file() {
        let wide = address()
            .with_layout(Layout::Split)
            .with_around(Around::Whole, "a");
        assert_eq!(
            wide.href(),
            "/workspaces/w/changes/c?file=a&view=split&context=all"
        );
        let next = wide.with_file(Some("b".to_owned()));
        assert_eq!(next.href(), "/workspaces/w/changes/c?file=b&view=split");
        let page = next.with_page("t=");
        assert_eq!(page.href(), "/workspaces/w/changes/c?view=split&page=t%3D");
    }

    #[test]
    fn context_grows_to_the_whole_file() {
        let steps: Vec<_> = std::iter::successors(Some(Around::Near), |around| around.wider())
            .map(Around::lines)
            .collect();
        assert_eq!(steps, [3, 20, 100_000]);
    }
}
