//! What is pure about the network of agents' commands: policies and decisions in words, and the
//! addresses of the page that lists them.

use membrane_proto::v1::{self as pb, EgressMode, EgressVerdict};

use crate::{
    format,
    query::{self, value},
};

/// The ports that a host stands for without naming them.
const USUAL_PORTS: [i32; 2] = [80, 443];

/// The modes in the order in which they are offered: the form's value, a title, an explanation.
pub const MODES: [(EgressMode, &str, &str, &str); 3] = [
    (
        EgressMode::None,
        "none",
        "Nothing",
        "Commands run without any network. Enough for most work on files, and nothing can leave.",
    ),
    (
        EgressMode::Listed,
        "listed",
        "Hosts on a list",
        "Only what you tick or write below. Everything else is refused and shown to you.",
    ),
    (
        EgressMode::Public,
        "public",
        "The whole internet",
        "Every public address. Private networks and this server stay out of reach, but a command \
         can send your files anywhere.",
    ),
];

/// The mode that a form's value stands for.
pub fn mode_of(value: &str) -> EgressMode {
    let found = MODES.iter().find(|(_, word, ..)| *word == value);
    found.map_or(EgressMode::Unspecified, |(mode, ..)| *mode)
}

/// The mode of some settings. None is the default.
pub fn mode_in(settings: &pb::WorkspaceSettings) -> EgressMode {
    let mode = settings.egress.as_ref().map(pb::EgressPolicy::mode);
    mode.filter(|mode| *mode != EgressMode::Unspecified)
        .unwrap_or(EgressMode::None)
}

/// What a workspace's commands may reach, in a few words.
pub fn in_words(settings: &pb::WorkspaceSettings) -> &'static str {
    match mode_in(settings) {
        EgressMode::Listed => "Network: hosts on a list",
        EgressMode::Public => "Network: the internet",
        EgressMode::None | EgressMode::Unspecified => "No network",
    }
}

/// The host of a decision as a list names it.
pub fn pattern(decision: &pb::EgressDecision) -> String {
    if USUAL_PORTS.contains(&decision.port) {
        return decision.host.clone();
    }
    place(decision)
}

/// Host and port of a decision.
pub fn place(decision: &pb::EgressDecision) -> String {
    match decision.port {
        0 => decision.host.clone(),
        port => format!("{}:{port}", decision.host),
    }
}

/// What was decided, in a word, and the class of its state.
pub fn verdict(verdict: EgressVerdict) -> (&'static str, &'static str) {
    match verdict {
        EgressVerdict::Allowed => ("let out", "good"),
        EgressVerdict::NotListed => ("not on the list", "wait"),
        EgressVerdict::Forbidden => ("never reached", "bad"),
        EgressVerdict::NoAddress => ("no such host", "bad"),
        EgressVerdict::Malformed => ("no host", "bad"),
        EgressVerdict::Limit => ("limit reached", "bad"),
        EgressVerdict::Unspecified => ("decided", ""),
    }
}

/// How much was sent and received.
pub fn amounts(totals: &pb::EgressTotals) -> String {
    format!(
        "{} sent, {} received",
        format::bytes(totals.sent_bytes),
        format::bytes(totals.received_bytes)
    )
}

/// The filters of the page, each with its value in the address and its name.
pub const FILTERS: [(pb::ActivityFilter, &str, &str); 5] = [
    (pb::ActivityFilter::Unspecified, "", "All"),
    (pb::ActivityFilter::Refused, "refused", "Refused"),
    (pb::ActivityFilter::Allowed, "allowed", "Let out"),
    (pb::ActivityFilter::Totals, "totals", "Totals"),
    (pb::ActivityFilter::Limits, "limits", "Limits"),
];

/// What the page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The workspace.
    pub workspace_id: String,
    /// The filter's value; empty for all.
    pub show: String,
    /// The host; empty for all.
    pub host: String,
    /// Token of the page; empty for the first.
    pub page: String,
}

impl Address {
    /// Reads the query of an address.
    pub fn read(workspace_id: String, query: &str) -> Self {
        let text = |key| value(query, key).unwrap_or_default();
        Self {
            workspace_id,
            show: text("show"),
            host: text("host"),
            page: text("page"),
        }
    }

    /// The filter; all for a value that is none.
    pub fn filter(&self) -> pb::ActivityFilter {
        let found = FILTERS.iter().find(|(_, word, _)| *word == self.show);
        found.map_or(pb::ActivityFilter::Unspecified, |(filter, ..)| *filter)
    }

    /// Whether it shows everything from the start.
    pub fn is_plain(&self) -> bool {
        self.show.is_empty() && self.host.is_empty() && self.page.is_empty()
    }

    /// As an address.
    pub fn href(&self) -> String {
        let mut href = format!("/workspaces/{}/activity", self.workspace_id);
        let pairs = [
            ("show", self.show.as_str()),
            ("host", &self.host),
            ("page", &self.page),
        ];
        query::push(&mut href, pairs.map(|(key, value)| (key, Some(value))));
        href
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_becomes_what_a_list_names() {
        for (host, port, expected) in [
            ("example.com", 443, "example.com"),
            ("example.com", 80, "example.com"),
            ("example.com", 8443, "example.com:8443"),
            ("[2606:4700::1]", 22, "[2606:4700::1]:22"),
        ] {
            let decision = pb::EgressDecision {
                host: host.to_owned(),
                port,
                ..Default::default()
            };
            assert_eq!(pattern(&decision), expected);
        }
    }

    #[test]
    fn an_address_is_read_as_it_was_written() {
        let address = Address {
            workspace_id: "w".to_owned(),
            show: "refused".to_owned(),
            host: "[2606:4700::1]".to_owned(),
            page: "a_b".to_owned(),
        };
        let href = address.href();
        let (path, query) = href.split_once('?').expect("a query");
        assert_eq!(path, "/workspaces/w/activity");
        assert_eq!(Address::read("w".to_owned(), query), address);
        assert_eq!(address.filter(), pb::ActivityFilter::Refused);
        assert!(
            Address::read("w".to_owned(), "?show=nonsense").filter()
                == pb::ActivityFilter::Unspecified
        );
    }
}
