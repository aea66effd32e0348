//! Which hosts a workspace's processes may reach: a policy, its host patterns, and named lists of
//! hosts. Addresses that nobody may reach are the guard's matter, whatever is said here.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use membrane_proto::v1 as proto;
use serde::Deserialize;
use thiserror::Error;

use super::host::{self, HostName, Target};

/// The ports of a pattern that names none.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// Which hosts may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EgressPolicy {
    /// None: there is no way out at all.
    #[default]
    None,
    /// These; an empty list means none.
    Hosts(Vec<HostPattern>),
    /// Every host with a public address, on every port.
    Public,
}

/// A host as a list names it: `example.com`, `*.example.com` (every name below it, not itself), or
/// an address; with `:port`, otherwise for the ports 80 and 443.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    host: HostName,
    below: bool,
    port: Option<u16>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is no host: write example.com, *.example.com or an address, with or without a port"
)]
pub struct BadHostPattern {
    /// The text.
    pub text: String,
}

/// A named list of hosts.
#[derive(Debug, Deserialize)]
pub struct Preset {
    /// Its name in settings.
    pub name: String,
    /// The same for people.
    pub title: String,
    /// What it is for, in a few words.
    pub purpose: String,
    /// Its hosts, as patterns.
    pub hosts: Vec<String>,
}

/// All presets, in the order in which they are shown.
pub static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("presets.json"))
        .expect("the presets are valid, see the tests")
});

impl From<&proto::EgressPolicy> for EgressPolicy {
    /// What is no preset and no host opens nothing.
    fn from(given: &proto::EgressPolicy) -> Self {
        match given.mode() {
            proto::EgressMode::None | proto::EgressMode::Unspecified => Self::None,
            proto::EgressMode::Public => Self::Public,
            proto::EgressMode::Listed => {
                let presets = given.presets.iter().filter_map(|name| Preset::named(name));
                let named = given.hosts.iter().filter_map(|host| host.parse().ok());
                Self::Hosts(presets.flat_map(Preset::patterns).chain(named).collect())
            }
        }
    }
}

impl EgressPolicy {
    /// Whether anything may be reached at all.
    #[must_use]
    pub fn opens_anything(&self) -> bool {
        match self {
            Self::None => false,
            Self::Hosts(patterns) => !patterns.is_empty(),
            Self::Public => true,
        }
    }

    /// Whether this host and port may be reached.
    #[must_use]
    pub fn allows(&self, target: &Target) -> bool {
        match self {
            Self::None => false,
            Self::Hosts(patterns) => patterns.iter().any(|pattern| pattern.covers(target)),
            Self::Public => true,
        }
    }
}

impl HostPattern {
    fn covers(&self, target: &Target) -> bool {
        let port = match self.port {
            Some(port) => port == target.port,
            None => DEFAULT_PORTS.contains(&target.port),
        };
        port && self.covers_host(&target.host)
    }

    fn covers_host(&self, host: &HostName) -> bool {
        let (HostName::Name(parent), HostName::Name(name), true) = (&self.host, host, self.below)
        else {
            return !self.below && self.host == *host;
        };
        let rest = name.strip_suffix(parent.as_str());
        rest.is_some_and(|rest| rest.ends_with('.'))
    }
}

impl FromStr for HostPattern {
    type Err = BadHostPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadHostPattern {
            text: text.to_owned(),
        };
        let (host, port) = host::split(text);
        let port = port.map(host::parse_port).transpose().map_err(|_| bad())?;
        let parent = host.strip_prefix("*.");
        let parsed = HostName::parse(parent.unwrap_or(host)).map_err(|_| bad())?;
        if parent.is_some() && matches!(parsed, HostName::Address(_)) {
            return Err(bad());
        }
        Ok(Self {
            host: parsed,
            below: parent.is_some(),
            port,
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{below}{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Preset {
    /// The preset of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Its hosts.
    pub fn patterns(&self) -> impl Iterator<Item = HostPattern> {
        self.hosts.iter().filter_map(|host| host.parse().ok())
    }
}
