//! To be run in a network namespace in which every address is the machine's own: connects to all of
//! the corpus, through a guarded client and through the proxy, and prints the addresses at which
//! connections arrived.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use membrane_agent::egress::{
    ClientLimits, EgressGuard, EgressLimits, EgressPolicy, EgressProxy, HostName, Lookup,
};
use membrane_agent::sandbox::OpenDoor;
use membrane_agent::{Host, HostRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[path = "../../src/egress/tests/corpus.rs"]
mod corpus;

use corpus::{FORBIDDEN, FORBIDDEN_NAMES, PUBLIC};

const PORT: u16 = 80;

/// The names of the corpus point to where they should not.
struct Names;

impl Lookup for Names {
    fn lookup<'call>(&'call self, name: &'call str) -> BoxFuture<'call, Vec<SocketAddr>> {
        let addresses: &[&str] = match name.trim_end_matches('.') {
            "private.example" => &["10.1.2.3"],
            "mapped.example" => &["::ffff:127.0.0.1"],
            "mixed.example" => &["8.8.4.4", "127.0.0.1"],
            "metadata.google.internal" => &["169.254.169.254"],
            "own.example" => &["192.168.7.7"],
            _ => &["127.0.0.1", "::1"],
        };
        let address = |text: &&str| SocketAddr::new(text.parse().expect("an address"), 0);
        let addresses = addresses.iter().map(address).collect();
        Box::pin(async move { addresses })
    }
}

type Dialled = Arc<Mutex<BTreeSet<IpAddr>>>;

pub async fn run() {
    let dialled = Dialled::default();
    // Both families.
    let listener = TcpListener::bind(("::", PORT)).await.expect("port 80");
    tokio::spawn(record(listener, dialled.clone()));
    let guard = EgressGuard::with_lookup(Vec::new(), Arc::new(Names));
    let proxy = proxy(guard.clone()).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = guard.client(ClientLimits::default()).expect("a client");
    let public = PUBLIC.map(|address| {
        let address: IpAddr = address.parse().expect("an address");
        format!("http://{}/", HostName::Address(address))
    });
    let all = FORBIDDEN
        .iter()
        .chain(&FORBIDDEN_NAMES)
        .map(|url| (*url).to_owned());
    for url in all.chain(public) {
        let url = url.replace(":PORT", "");
        if let Ok(request) = client.get(&url) {
            let _ = request.send().await;
        }
        ask(
            proxy,
            &format!("GET {url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        )
        .await;
        let rest = url.split_once("//").map_or(&*url, |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or_default();
        ask(
            proxy,
            &format!("CONNECT {host}:{PORT} HTTP/1.1\r\nhost: x\r\n\r\n"),
        )
        .await;
    }
    let dialled = dialled.lock().expect("a lock").clone();
    let said = serde_json::to_vec(&dialled).expect("addresses");
    std::io::stdout().write_all(&said).expect("a reader");
}

async fn record(listener: TcpListener, dialled: Dialled) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let address = stream.local_addr().expect("an address").ip().to_canonical();
        dialled.lock().expect("a lock").insert(address);
        let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(answer).await;
    }
}

/// A proxy that lets out to all public addresses.
async fn proxy(guard: EgressGuard) -> SocketAddr {
    let (host, mut requests) = Host::channel(1);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            if let HostRequest::Append { done, .. } = request {
                let _ = done.send(());
            }
        }
    });
    let limits = EgressLimits::default();
    let door = EgressProxy::door(EgressPolicy::Public, guard, host, limits).expect("a door");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(door.keeper.serve(OpenDoor {
        listener,
        tool_call_id: String::new(),
        closing: CancellationToken::new(),
    }));
    address
}

async fn ask(proxy: SocketAddr, request: &str) {
    let mut stream = TcpStream::connect(proxy).await.expect("the proxy");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}
