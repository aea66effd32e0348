//! Looking names up, and handing the HTTP client nothing but checked addresses.

use std::net::SocketAddr;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::EgressGuard;

/// Finds a name's addresses. Ports are ignored.
pub trait Lookup: Send + Sync {
    /// All addresses of a name; none if it has none or cannot be resolved.
    fn lookup<'call>(&'call self, name: &'call str) -> BoxFuture<'call, Vec<SocketAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup<'call>(&'call self, name: &'call str) -> BoxFuture<'call, Vec<SocketAddr>> {
        Box::pin(async move {
            match tokio::net::lookup_host((name, 0)).await {
                Ok(addresses) => addresses.collect(),
                Err(_) => Vec::new(),
            }
        })
    }
}

/// The resolver of a guarded client: what it returns is what is dialled.
pub(super) struct CheckedResolver {
    guard: EgressGuard,
}

impl CheckedResolver {
    pub(super) fn new(guard: EgressGuard) -> Self {
        Self { guard }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard.clone();
        Box::pin(async move {
            let addresses = guard.resolve(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
