//! Hosts and ports as a program names them, in exactly one spelling. What is decided on is what is
//! looked up and dialled, so whatever could be read in two ways is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// The longest name in bytes, and the longest label.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A host: a name in lower case without the root's dot, or an address. An IPv4 address inside an
/// IPv6 address is that IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostName {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(String),
}

/// Where a connection is wanted to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: HostName,
    /// The port, not 0.
    pub port: u16,
}

/// A text that is no host, or no host and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadTarget {
    /// Neither a name nor an address, or one that could be read in two ways.
    #[error("this is neither a host name nor an address in its usual form")]
    Host,
    /// No port, or none from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// A user name or password.
    #[error("a user name or password does not belong here")]
    UserInfo,
}

impl HostName {
    /// Reads a host; an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// [`BadTarget::Host`] or [`BadTarget::UserInfo`].
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        if text.contains('@') {
            return Err(BadTarget::UserInfo);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(BadTarget::Host)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| BadTarget::Host)?;
            return Ok(Self::Address(address.to_canonical()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if is_name(&name) {
            Ok(Self::Name(name))
        } else {
            Err(BadTarget::Host)
        }
    }
}

impl Target {
    /// Reads a host and a port; without one, it is `default_port`, if there is a default.
    ///
    /// # Errors
    /// [`BadTarget`].
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, BadTarget> {
        let (host, port) = split(text);
        let port = match port {
            Some(port) => parse_port(port)?,
            None => default_port.ok_or(BadTarget::Port)?,
        };
        Ok(Self {
            host: HostName::parse(host)?,
            port,
        })
    }
}

/// Takes a text apart at the colon before a port; the colons of an IPv6 address stand in brackets.
pub(super) fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// A port in its only spelling: no sign, no leading zero.
pub(super) fn parse_port(text: &str) -> Result<u16, BadTarget> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or(BadTarget::Port)
}

/// Labels of letters, digits, hyphens and underscores. The last one is no number in any notation:
/// resolvers take such names for addresses in disguise.
fn is_name(name: &str) -> bool {
    let is_last_a_number = name.rsplit('.').next().is_some_and(is_number);
    !name.is_empty() && name.len() <= NAME_MAX && name.split('.').all(is_label) && !is_last_a_number
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !label.is_empty()
        && label.len() <= LABEL_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(allowed)
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x");
    let is_hexadecimal = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    label.bytes().all(|byte| byte.is_ascii_digit()) || hexadecimal.is_some_and(is_hexadecimal)
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
