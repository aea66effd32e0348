//! The proxy behind a sandbox's door: the only way to the internet for what an agent starts. It
//! speaks HTTP (CONNECT, and requests with a whole URL), decides on each connection by the
//! workspace's policy and then by the guard, dials exactly the address that was checked, and keeps
//! a journal. What is on the list but in a private network stays out of reach, and what is not on
//! the list is not even looked up.

mod connection;
mod journal;
mod meter;
mod way;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{EgressGuard, EgressPolicy};
use crate::host::Host;
use crate::sandbox::{Door, Keeper, OpenDoor};
use way::Way;

/// The proxy's port inside.
const PORT: u16 = 20_808;
/// What tells programs of it. Some read these names in capitals only, some in small letters only.
const VARIABLES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];
const EXCEPT_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// What is inside is reached directly.
const EXCEPT: &str = "localhost,127.0.0.1,::1";
/// After this long, accepting is tried again when the server had no resources for it.
const PAUSE: Duration = Duration::from_millis(100);

/// Bounds of what the processes of one workspace send and receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressLimits {
    /// Connections of one tool call at once; others wait.
    pub connections: usize,
    /// Bytes of one tool call, in both directions together.
    pub call_bytes: u64,
    /// The same of one turn.
    pub turn_bytes: u64,
    /// How long looking up and connecting may take.
    pub connect_time: Duration,
    /// How long nothing may move on a connection.
    pub idle_time: Duration,
}

impl Default for EgressLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            call_bytes: 4 << 30,
            turn_bytes: 16 << 30,
            connect_time: Duration::from_secs(15),
            idle_time: Duration::from_secs(120),
        }
    }
}

/// The way out of one turn's processes.
#[derive(Debug)]
pub struct EgressProxy {
    policy: Arc<EgressPolicy>,
    guard: EgressGuard,
    host: Host,
    limits: EgressLimits,
    turn: Arc<AtomicU64>,
}

impl EgressProxy {
    /// The door of a turn, whose decisions `host` stores; none if the policy opens nothing.
    #[must_use]
    pub fn door(
        policy: EgressPolicy,
        guard: EgressGuard,
        host: Host,
        limits: EgressLimits,
    ) -> Option<Door> {
        // What the operator opens is for who names it.
        let guard = match policy {
            EgressPolicy::Public => guard.public_only(),
            _ => guard,
        };
        policy.opens_anything().then(|| Door {
            port: PORT,
            environment: environment(),
            keeper: Arc::new(Self {
                policy: Arc::new(policy),
                guard,
                host,
                limits,
                turn: Arc::default(),
            }),
        })
    }
}

impl Keeper for EgressProxy {
    fn serve(&self, door: OpenDoor) -> BoxFuture<'static, ()> {
        let way = Way::new(self, door.tool_call_id.clone());
        Box::pin(accept(door, Arc::new(way), self.limits.connections))
    }
}

async fn accept(door: OpenDoor, way: Arc<Way>, most: usize) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = door.closing.cancelled() => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = door.listener.accept(), if connections.len() < most => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection::serve(stream, way.clone()));
                }
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
    connections.shutdown().await;
    way.close().await;
}

fn environment() -> Vec<(String, String)> {
    let proxy = format!("http://127.0.0.1:{PORT}");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let proxies = VARIABLES.iter().map(|name| pair(name, &proxy));
    let exceptions = EXCEPT_VARIABLES.iter().map(|name| pair(name, EXCEPT));
    // Node.js asks whether it is to look at the others.
    let node = pair("NODE_USE_ENV_PROXY", "1");
    proxies.chain(exceptions).chain([node]).collect()
}
