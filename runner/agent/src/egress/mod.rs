//! The guard of every outbound URL that somebody else can choose: a model's base URL, a page to
//! fetch, a server to connect to. It resolves a name once, checks every address, and the client
//! dials exactly one of the checked addresses, so that a name that changes its mind between check
//! and connection gains nothing. It knows nothing of what the requests are for.
//!
//! An address is reached only when it is globally routable, unless the operator allowed it
//! explicitly (see [`AllowRule`]). Cloud metadata addresses need a rule that names exactly them.

mod address;
mod allow;
mod host;
mod own;
mod policy;
mod proxy;
mod resolve;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{Method, RequestBuilder, redirect};
use thiserror::Error;
use url::{Host, Url};

pub use address::AddressKind;
pub use allow::{AllowRule, BadAllowRule};
pub use host::{BadTarget, HostName, Target};
pub use own::own_addresses;
pub use policy::{BadHostPattern, EgressPolicy, HostPattern, PRESETS, Preset};
pub use proxy::{EgressLimits, EgressProxy};
pub use resolve::{Lookup, SystemLookup};

use resolve::CheckedResolver;

/// An outbound request that is not allowed. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("requests to {host} are not allowed: {reason}")]
pub struct Denied {
    /// The host as it was given, or the whole URL's scheme when there is no host.
    pub host: String,
    /// Why.
    pub reason: DenyReason,
}

/// Why an outbound request is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DenyReason {
    /// Not a URL at all.
    #[error("this is not a valid URL")]
    NotAUrl,
    /// Something other than http or https.
    #[error("only http and https URLs are allowed")]
    Scheme,
    /// A user name or password in the URL.
    #[error("a URL must not contain a user name or a password")]
    UserInfo,
    /// No address was found.
    #[error("its name has no address")]
    NoAddress,
    /// An address that is not on the public internet and not allowed by the operator.
    #[error("{address} is {kind}; an operator can allow it with MEMBRANE_EGRESS_ALLOW_PRIVATE")]
    Address {
        /// The address.
        address: IpAddr,
        /// What kind of address it is.
        kind: AddressKind,
    },
    /// The very port that the server answers on, which no rule opens.
    #[error("it is this server itself")]
    Itself,
    /// The operator allowed the host, but on other ports.
    #[error("the operator allowed it on other ports only")]
    Port,
}

/// Bounds of a guarded client's connections.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// How long establishing a connection may take.
    pub connect_timeout: Duration,
    /// How long no byte may arrive while a response is being read; none for no such limit.
    pub read_timeout: Option<Duration>,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: None,
        }
    }
}

/// Decides which hosts may be reached. Cheap to clone.
#[derive(Clone)]
pub struct EgressGuard {
    rules: Arc<Rules>,
    lookup: Arc<dyn Lookup>,
}

/// What the operator allowed, and what is the machine's own.
#[derive(Debug, Clone, Default)]
struct Rules {
    allow: Vec<AllowRule>,
    own: Vec<IpAddr>,
    own_port: Option<u16>,
}

impl std::fmt::Debug for EgressGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EgressGuard")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl EgressGuard {
    /// A guard that reaches public addresses and what `allow_private` names.
    #[must_use]
    pub fn new(allow_private: Vec<AllowRule>) -> Self {
        Self::with_lookup(allow_private, Arc::new(SystemLookup))
    }

    /// The same with a resolver of the caller's own.
    #[must_use]
    pub fn with_lookup(allow_private: Vec<AllowRule>, lookup: Arc<dyn Lookup>) -> Self {
        let rules = Rules {
            allow: allow_private,
            ..Rules::default()
        };
        Self {
            rules: Arc::new(rules),
            lookup,
        }
    }

    /// Also refuses these addresses, although they are public: the machine's own.
    #[must_use]
    pub fn deny_own(self, own: Vec<IpAddr>) -> Self {
        self.with_rules(|rules| rules.own = own)
    }

    /// Never reaches this port of the machine, whatever the operator allows: the server's own. Only
    /// of use where the port is known, see [`EgressGuard::reach`].
    #[must_use]
    pub fn deny_own_port(self, port: u16) -> Self {
        self.with_rules(|rules| rules.own_port = Some(port))
    }

    /// The same without what the operator allowed: public addresses only.
    #[must_use]
    pub fn public_only(self) -> Self {
        self.with_rules(|rules| rules.allow.clear())
    }

    fn with_rules(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = (*self.rules).clone();
        change(&mut rules);
        Self {
            rules: Arc::new(rules),
            ..self
        }
    }

    /// Parses a URL and checks all that can be known without looking its name up: the scheme, no
    /// user name, and the address when the host is one. Odd spellings of addresses (decimal, octal,
    /// hexadecimal, shortened) are normalised by the URL parser before they are checked.
    ///
    /// # Errors
    /// [`Denied`] with the reason.
    pub fn check_url(&self, url: &str) -> Result<Url, Denied> {
        let parsed = Url::parse(url).map_err(|_| denied("this URL", DenyReason::NotAUrl))?;
        let Some(host) = parsed.host() else {
            return Err(denied(parsed.scheme(), DenyReason::Scheme));
        };
        let name = host.to_string();
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(denied(&name, DenyReason::Scheme));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(denied(&name, DenyReason::UserInfo));
        }
        let port = parsed.port_or_known_default().unwrap_or(80);
        self.rules
            .check_host(&host, port)
            .map_err(|reason| denied(&name, reason))?;
        Ok(parsed)
    }

    /// Resolves a name once and checks every address it has.
    ///
    /// # Errors
    /// [`Denied`] if the name has no address or any of them is not allowed: a name with one good
    /// and one bad address is not trusted at all.
    pub async fn resolve(&self, name: &str) -> Result<Vec<SocketAddr>, Denied> {
        self.resolve_for(name, None).await
    }

    /// Where a target may be dialled: a name is resolved once, and every address it has is checked.
    ///
    /// # Errors
    /// [`Denied`] as [`EgressGuard::resolve`], and when the operator allows the name on other ports
    /// only.
    pub async fn reach(&self, target: &Target) -> Result<Vec<SocketAddr>, Denied> {
        let refuse = |reason| denied(&target.host.to_string(), reason);
        let mut addresses = match &target.host {
            HostName::Address(address) => {
                let checked = self.rules.check_literal(*address, target.port);
                checked.map_err(refuse)?;
                vec![SocketAddr::new(*address, target.port)]
            }
            HostName::Name(name) => {
                let checked = self.rules.check_port_of(name, target.port);
                checked.map_err(refuse)?;
                self.resolve_for(name, Some(target.port)).await?
            }
        };
        for address in &mut addresses {
            address.set_port(target.port);
            if self.rules.is_itself(*address) {
                return Err(refuse(DenyReason::Itself));
            }
        }
        Ok(addresses)
    }

    async fn resolve_for(&self, name: &str, port: Option<u16>) -> Result<Vec<SocketAddr>, Denied> {
        let addresses = self.lookup.lookup(name).await;
        if addresses.is_empty() {
            return Err(denied(name, DenyReason::NoAddress));
        }
        for address in &addresses {
            self.rules
                .check_resolved(name, address.ip(), port)
                .map_err(|reason| denied(name, reason))?;
        }
        Ok(addresses)
    }

    /// An HTTP client that can reach nothing but what this guard allows. It follows no redirects
    /// and uses no proxy.
    ///
    /// # Errors
    /// If TLS cannot be set up: no crypto provider is installed, or the system has no certificates.
    pub fn client(&self, limits: ClientLimits) -> Result<GuardedClient, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .dns_resolver(Arc::new(CheckedResolver::new(self.clone())))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(limits.connect_timeout)
            .user_agent(concat!("membrane/", env!("CARGO_PKG_VERSION")));
        if let Some(read_timeout) = limits.read_timeout {
            builder = builder.read_timeout(read_timeout);
        }
        Ok(GuardedClient {
            guard: self.clone(),
            client: builder.build()?,
        })
    }
}

/// An HTTP client behind a guard. The bare client is not handed out, because HTTP libraries dial
/// an address in a URL without asking any resolver; here every URL is checked first.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    guard: EgressGuard,
    client: reqwest::Client,
}

impl GuardedClient {
    /// Begins a request to a checked URL.
    ///
    /// # Errors
    /// [`Denied`] as [`EgressGuard::check_url`]. A name's addresses are checked when the request is
    /// sent; find that in the error with [`denied_in`].
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, Denied> {
        let url = self.guard.check_url(url)?;
        Ok(self.client.request(method, url))
    }

    /// The bare client and a checked URL, for a library that sends to this URL alone. A name's
    /// addresses are checked whenever one is dialled.
    ///
    /// # Errors
    /// As [`GuardedClient::request`].
    pub(crate) fn for_url(self, url: &str) -> Result<(Url, reqwest::Client), Denied> {
        Ok((self.guard.check_url(url)?, self.client))
    }

    /// Begins a GET request to a checked URL.
    ///
    /// # Errors
    /// As [`GuardedClient::request`].
    pub fn get(&self, url: &str) -> Result<RequestBuilder, Denied> {
        self.request(Method::GET, url)
    }

    /// Begins a POST request to a checked URL.
    ///
    /// # Errors
    /// As [`GuardedClient::request`].
    pub fn post(&self, url: &str) -> Result<RequestBuilder, Denied> {
        self.request(Method::POST, url)
    }
}

/// Finds the guard's refusal in an error of a request that was sent.
#[must_use]
pub fn denied_in<'error>(
    error: &'error (dyn std::error::Error + 'static),
) -> Option<&'error Denied> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(denied) = error.downcast_ref::<Denied>() {
            return Some(denied);
        }
        next = error.source();
    }
    None
}

impl Rules {
    fn check_host(&self, host: &Host<&str>, port: u16) -> Result<(), DenyReason> {
        match host {
            Host::Ipv4(address) => self.check_literal(IpAddr::V4(*address), port),
            Host::Ipv6(address) => self.check_literal(IpAddr::V6(*address), port),
            Host::Domain(name) => self.check_port_of(name, port),
        }
    }

    fn check_literal(&self, address: IpAddr, port: u16) -> Result<(), DenyReason> {
        let allowed = |rule: &AllowRule| rule.covers(address, Some(port));
        self.check_address(address, self.allow.iter().any(allowed))
    }

    /// A name that is allowed for some ports is not to be reached on others, since the resolver
    /// that checks its addresses is not told the port.
    fn check_port_of(&self, name: &str, port: u16) -> Result<(), DenyReason> {
        let mut of_name = self.allow.iter().filter(|rule| rule.names(name)).peekable();
        if of_name.peek().is_none() || of_name.any(|rule| rule.allows_port(port)) {
            return Ok(());
        }
        Err(DenyReason::Port)
    }

    fn check_resolved(
        &self,
        name: &str,
        address: IpAddr,
        port: Option<u16>,
    ) -> Result<(), DenyReason> {
        let by_name = self.allow.iter().any(|rule| rule.names(name))
            && address::may_be_allowed_by_name(address);
        let by_address = self.allow.iter().any(|rule| rule.covers(address, port));
        self.check_address(address, by_name || by_address)
    }

    fn is_itself(&self, socket: SocketAddr) -> bool {
        let address = address::effective(socket.ip());
        let here = address.is_loopback() || address.is_unspecified() || self.own.contains(&address);
        here && self.own_port == Some(socket.port())
    }

    fn check_address(&self, address: IpAddr, allowed: bool) -> Result<(), DenyReason> {
        let address = address::effective(address);
        let own = || self.own.contains(&address).then_some(AddressKind::Own);
        let kind = address::not_public(address).or_else(own);
        match kind {
            Some(kind) if !allowed => Err(DenyReason::Address { address, kind }),
            _ => Ok(()),
        }
    }
}

fn denied(host: &str, reason: DenyReason) -> Denied {
    Denied {
        host: host.to_owned(),
        reason,
    }
}
