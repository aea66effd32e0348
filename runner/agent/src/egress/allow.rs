//! What an operator allows beyond the public internet: hosts and ranges, written as in the
//! configuration.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use thiserror::Error;

use super::address;

/// One host or range that outbound requests may reach although it is not public.
///
/// Written as an address (`127.0.0.1`), an address with a port (`127.0.0.1:11434`, `[::1]:11434`),
/// a range (`10.0.0.0/8`), a name (`models.internal`) or a name with a port (`localhost:11434`). A
/// rule with a port allows that port only. A name may point to private and loopback addresses, but
/// never to link-local or metadata addresses; metadata addresses need a rule that is exactly them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowRule {
    target: Target,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Range { first: IpAddr, length: u32 },
    Name(String),
}

/// A rule that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is neither an address, a range such as 10.0.0.0/8, nor a host name, with or without a port"
)]
pub struct BadAllowRule {
    /// The rule as it was written.
    pub text: String,
}

impl AllowRule {
    /// Rules as an operator lists them, separated by commas.
    ///
    /// # Errors
    /// [`BadAllowRule`] for the first that is none.
    pub fn list(text: &str) -> Result<Vec<Self>, BadAllowRule> {
        let rules = text.split(',').map(str::trim);
        let rules = rules.filter(|rule| !rule.is_empty());
        rules.map(str::parse).collect()
    }

    /// Whether the rule is for this name.
    pub(super) fn names(&self, name: &str) -> bool {
        matches!(&self.target, Target::Name(own) if *own == canonical(name))
    }

    /// Whether the rule allows this port of its host.
    pub(super) fn allows_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    /// Whether the rule is for this address. A rule with a port never covers an address whose port
    /// is not known.
    pub(super) fn covers(&self, address: IpAddr, port: Option<u16>) -> bool {
        let Target::Range { first, length } = &self.target else {
            return false;
        };
        let address = address::effective(address);
        if self.port.is_some() && self.port != port {
            return false;
        }
        if address::is_metadata(address) {
            return *first == address && *length == bits(address);
        }
        contains(*first, *length, address)
    }

    fn range(text: &str) -> Option<Self> {
        let (first, length) = text.split_once('/')?;
        let first: IpAddr = first.parse().ok()?;
        let length: u32 = length.parse().ok()?;
        (length <= bits(first)).then_some(Self {
            target: Target::Range { first, length },
            port: None,
        })
    }

    fn address(text: &str) -> Option<Self> {
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return Some(Self::single(socket.ip(), Some(socket.port())));
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        Some(Self::single(bare.parse().ok()?, None))
    }

    fn single(address: IpAddr, port: Option<u16>) -> Self {
        let address = address::effective(address);
        let length = bits(address);
        Self {
            target: Target::Range {
                first: address,
                length,
            },
            port,
        }
    }

    fn name(text: &str) -> Option<Self> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok().filter(|port| *port > 0)?)),
            None => (text, None),
        };
        is_name(name).then(|| Self {
            target: Target::Name(canonical(name)),
            port,
        })
    }
}

impl From<SocketAddr> for AllowRule {
    /// Allows exactly this address and port, for example of a server that was started for oneself.
    fn from(socket: SocketAddr) -> Self {
        Self::single(socket.ip(), Some(socket.port()))
    }
}

impl FromStr for AllowRule {
    type Err = BadAllowRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        Self::range(text)
            .or_else(|| Self::address(text))
            .or_else(|| Self::name(text))
            .ok_or_else(|| BadAllowRule {
                text: text.to_owned(),
            })
    }
}

fn contains(first: IpAddr, length: u32, address: IpAddr) -> bool {
    match (first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => address::v4_in(address, first, length),
        (IpAddr::V6(first), IpAddr::V6(address)) => address::v6_in(address, first, length),
        _ => false,
    }
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Names are compared without case and without the root's dot.
fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Letters, digits, hyphens, underscores and dots, with something that is not a digit: a number
/// alone is an address in disguise.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.len() <= 253
        && name.bytes().all(allowed)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !name.starts_with('.')
}
