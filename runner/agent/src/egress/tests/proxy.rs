//! The proxy, with a resolver and servers of the test's own. Its listener stands where a sandbox's
//! door would; the door itself is tested with real sandboxes.

use membrane_proto::v1::{
    EgressDecision, EgressLimit, EgressTotals, EgressVerdict, event_payload::Kind,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::{EgressLimits, EgressPolicy, EgressProxy};
use super::*;
use crate::host::{Host, HostRequest};
use crate::sandbox::OpenDoor;

const HANG: Duration = Duration::from_secs(30);
const PLAIN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// A proxy at work.
struct Proxy {
    address: SocketAddr,
    events: JoinHandle<Vec<Kind>>,
    closing: CancellationToken,
    serving: JoinHandle<()>,
}

fn listed(hosts: &[&str]) -> EgressPolicy {
    let patterns = hosts.iter().map(|host| host.parse().expect("a pattern"));
    EgressPolicy::Hosts(patterns.collect())
}

impl Proxy {
    async fn new(policy: EgressPolicy, guard: EgressGuard) -> Self {
        Self::limited(policy, guard, EgressLimits::default()).await
    }

    async fn limited(policy: EgressPolicy, guard: EgressGuard, limits: EgressLimits) -> Self {
        let (host, requests) = Host::channel(1);
        let door = EgressProxy::door(policy, guard, host, limits).expect("a way out");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let closing = CancellationToken::new();
        let serving = tokio::spawn(door.keeper.serve(OpenDoor {
            listener,
            tool_call_id: "call_1".to_owned(),
            closing: closing.clone(),
        }));
        Self {
            address,
            events: tokio::spawn(stored(requests)),
            closing,
            serving,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the proxy")
    }

    /// Sends a request and reads until the end.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("sent");
        read_all(stream).await
    }

    async fn open(&self, target: &str) -> (TcpStream, String) {
        let mut stream = self.connect().await;
        let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let head = read_head(&mut stream).await;
        (stream, head)
    }

    async fn get(&self, url: &str) -> String {
        self.ask(&format!(
            "GET {url} HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\n\r\n"
        ))
        .await
    }

    /// Ends it as the end of its process does; what it told.
    async fn end(self) -> Vec<Kind> {
        self.closing.cancel();
        let ended = timeout(HANG, self.serving).await;
        ended.expect("it ends").expect("it does not panic");
        let events = timeout(HANG, self.events).await;
        events.expect("it lets go of its host").expect("the events")
    }
}

async fn stored(mut requests: mpsc::Receiver<HostRequest>) -> Vec<Kind> {
    let mut events = Vec::new();
    while let Some(request) = requests.recv().await {
        if let HostRequest::Append { payload, done } = request {
            events.extend(payload.kind);
            let _ = done.send(());
        }
    }
    events
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut all = Vec::new();
    let read = timeout(HANG, stream.read_to_end(&mut all)).await;
    let _ = read.expect("the connection ends");
    String::from_utf8_lossy(&all).into_owned()
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
    };
    timeout(HANG, reading).await.expect("an answer");
    String::from_utf8_lossy(&head).into_owned()
}

fn decisions(events: &[Kind]) -> Vec<&EgressDecision> {
    let decisions = events.iter().filter_map(|kind| match kind {
        Kind::EgressDecision(decision) => Some(decision),
        _ => None,
    });
    decisions.collect()
}

fn totals(events: &[Kind]) -> &EgressTotals {
    match events.last() {
        Some(Kind::EgressTotals(totals)) => totals,
        other => panic!("no totals: {other:?}"),
    }
}

/// A server that keeps what it was sent, and what it answers.
async fn recording(answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let head = read_head(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        head
    });
    (address, seen)
}

#[tokio::test]
async fn a_tunnel_passes_everything_on_and_is_written_down() {
    let server = Listener::start("127.0.0.1:0", "pong".to_owned()).await;
    let names = Arc::new(Names::default());
    let guard = guard_with(&["loopback.example"], Arc::clone(&names));
    let port = server.address.port();
    let policy = listed(&[&format!("loopback.example:{port}")]);
    let proxy = Proxy::new(policy, guard).await;

    let (mut stream, head) = proxy.open(&format!("LOOPBACK.example.:{port}")).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream.write_all(b"ping").await.expect("sent");
    assert_eq!(read_all(stream).await, "pong");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);

    let events = proxy.end().await;
    let expected = EgressDecision {
        tool_call_id: "call_1".to_owned(),
        host: "loopback.example".to_owned(),
        port: i32::from(port),
        verdict: EgressVerdict::Allowed.into(),
        message: String::new(),
        address: "127.0.0.1".to_owned(),
    };
    assert_eq!(decisions(&events), [&expected]);
    let totals = totals(&events);
    assert_eq!((totals.connection_count, totals.refused_count), (1, 0));
    assert_eq!((totals.sent_bytes, totals.received_bytes), (4, 4));
}

#[tokio::test]
async fn a_plain_request_says_where_it_was_let_go_and_nothing_of_the_way() {
    let (server, seen) = recording(PLAIN).await;
    let guard = guard(&["127.0.0.1"]);
    let proxy = Proxy::new(listed(&[&server.to_string()]), guard).await;
    let request = format!(
        "GET http://{server}/path?q=1 HTTP/1.1\r\nhost: fronted.example\r\nproxy-authorization: Basic x\r\nx-secret: 1\r\nconnection: close, x-secret\r\nupgrade: websocket\r\naccept: */*\r\n\r\n"
    );
    let answer = proxy.ask(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    let head = seen.await.expect("a request").to_lowercase();
    assert!(head.starts_with("get /path?q=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {server}\r\n")), "{head}");
    assert!(head.contains("accept: */*\r\n"), "{head}");
    for gone in ["fronted", "proxy-", "x-secret", "upgrade"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
}

#[tokio::test]
async fn what_is_not_listed_is_not_even_looked_up() {
    let names = Arc::new(Names::default());
    let guard = guard_with(&["loopback.example"], Arc::clone(&names));
    let proxy = Proxy::new(listed(&["other.example"]), guard).await;
    let (stream, head) = proxy.open("loopback.example:443").await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    drop(stream);
    let answer = proxy.get("http://loopback.example/").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(
        answer.contains("loopback.example:80 is not on this workspace's list"),
        "{answer}"
    );
    assert_eq!(names.asked.load(Ordering::SeqCst), 0);
    let events = proxy.end().await;
    let told = decisions(&events);
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|told| told.verdict() == EgressVerdict::NotListed)
    );
    assert_eq!(totals(&events).refused_count, 2);
}

/// The part of a URL before the path, with and without what comes before the host.
fn authority(url: &str) -> &str {
    let rest = url.split_once("//").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[tokio::test]
async fn nothing_forbidden_is_dialled_whatever_the_policy_says() {
    let v4 = Listener::ok("127.0.0.1:0").await;
    let v6 = Listener::ok(&format!("[::1]:{}", v4.address.port())).await;
    let port = v4.address.port();
    // Public addresses, with an operator who allows a lot; and a list that names what is forbidden.
    let generous = guard(&["127.0.0.0/8", "::1", "localhost", "loopback.example"]);
    let names = [
        "localhost",
        "loopback.example",
        "private.example",
        "mapped.example",
        "mixed.example",
        "own.example",
        "metadata.google.internal",
        "127.0.0.1",
        "[::1]",
        "169.254.169.254",
    ];
    let listing: Vec<String> = names
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("{name}:{port}")])
        .collect();
    let listing: Vec<&str> = listing.iter().map(String::as_str).collect();
    for (policy, guard) in [
        (EgressPolicy::Public, generous),
        (listed(&listing), guard(&[])),
    ] {
        let proxy = Proxy::new(policy, guard).await;
        for url in FORBIDDEN.iter().chain(&FORBIDDEN_NAMES) {
            let url = url.replace("PORT", &port.to_string());
            let answer = proxy.get(&url).await;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{url}: {answer}");
            let target = authority(&url);
            for target in [target.to_owned(), format!("{target}:{port}")] {
                let answer = proxy
                    .ask(&format!(
                        "CONNECT {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
                    ))
                    .await;
                assert!(!answer.starts_with("HTTP/1.1 2"), "{target}: {answer}");
            }
        }
        let events = proxy.end().await;
        let allowed = |told: &&EgressDecision| told.verdict() == EgressVerdict::Allowed;
        assert_eq!(decisions(&events).into_iter().find(allowed), None);
    }
    assert_eq!((v4.accepted(), v6.accepted()), (0, 0));
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let good = Listener::ok("127.0.0.1:0").await;
    let port = good.address.port();
    let bad = Listener::ok(&format!("127.0.0.2:{port}")).await;
    let names = Arc::new(Names::default());
    let changing = ["127.0.0.1", "127.0.0.2"];
    names.changing.lock().expect("a lock").extend(changing);
    let guard = guard_with(&["127.0.0.1"], Arc::clone(&names));
    let target = format!("changing.example:{port}");
    let proxy = Proxy::new(listed(&[&target]), guard).await;
    let (_first, head) = proxy.open(&target).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    let (_second, head) = proxy.open(&target).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    let events = proxy.end().await;
    let verdicts: Vec<_> = decisions(&events)
        .iter()
        .map(|told| told.verdict())
        .collect();
    assert_eq!(verdicts, [EgressVerdict::Allowed, EgressVerdict::Forbidden]);
    // The tunnel is open before the server has accepted it.
    assert_eq!(bad.accepted(), 0);
}

#[tokio::test]
async fn the_servers_own_port_is_never_reached() {
    let server = Listener::ok("127.0.0.1:0").await;
    let port = server.address.port();
    let guard = guard(&["127.0.0.0/8", "localhost"]).deny_own_port(port);
    let (local, address) = (format!("localhost:{port}"), format!("127.0.0.1:{port}"));
    let proxy = Proxy::new(listed(&[&local, &address]), guard).await;
    for target in [&local, &address] {
        let answer = proxy.get(&format!("http://{target}/")).await;
        assert!(answer.contains("it is this server itself"), "{answer}");
    }
    assert_eq!(server.accepted(), 0);
}

/// Nobody follows a redirect for the client: it asks again, and is decided on again.
#[tokio::test]
async fn a_redirect_is_handed_to_the_client() {
    let target = Listener::ok("127.0.0.1:0").await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        target.address
    );
    let redirecting = Listener::start("127.0.0.1:0", answer).await;
    let guard = guard(&["127.0.0.1"]);
    let proxy = Proxy::new(listed(&[&redirecting.address.to_string()]), guard).await;
    let answer = proxy.get(&format!("http://{}/", redirecting.address)).await;
    assert!(answer.starts_with("HTTP/1.1 302 "), "{answer}");
    let answer = proxy.get(&format!("http://{}/", target.address)).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(target.accepted(), 0);
}

/// Sends for ever.
async fn flood() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
                let mut sent = stream.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = stream.write_all(&[b'x'; 4096]).await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_at_the_limit() {
    let server = flood().await;
    for (call_bytes, turn_bytes, limit) in [
        (100_000, u64::MAX, EgressLimit::CallBytes),
        (u64::MAX, 100_000, EgressLimit::TurnBytes),
    ] {
        let limits = EgressLimits {
            call_bytes,
            turn_bytes,
            ..EgressLimits::default()
        };
        let guard = guard(&["127.0.0.1"]);
        let policy = listed(&[&server.to_string()]);
        let proxy = Proxy::limited(policy, guard, limits).await;
        let answer = proxy.get(&format!("http://{server}/")).await;
        assert!(answer.len() < 200_000, "{}", answer.len());
        let answer = proxy.get(&format!("http://{server}/")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        let (_stream, head) = proxy.open(&server.to_string()).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        let events = proxy.end().await;
        assert_eq!(totals(&events).limit(), limit);
        let last = decisions(&events).pop().expect("a decision");
        assert_eq!(last.verdict(), EgressVerdict::Limit);
    }
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = listener.local_addr().expect("an address");
    let limits = EgressLimits {
        idle_time: Duration::from_millis(50),
        ..EgressLimits::default()
    };
    let policy = listed(&[&server.to_string()]);
    let proxy = Proxy::limited(policy, guard(&["127.0.0.1"]), limits).await;
    let (stream, head) = proxy.open(&server.to_string()).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(read_all(stream).await, "");
    let answer = proxy.get(&format!("http://{server}/")).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

#[tokio::test]
async fn answers_that_are_none_are_bounded() {
    let endless_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    for answer in [
        endless_head.as_str(),
        many_headers.as_str(),
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "",
    ] {
        let server = Listener::start("127.0.0.1:0", answer.to_owned()).await;
        let policy = listed(&[&server.address.to_string()]);
        let proxy = Proxy::new(policy, guard(&["127.0.0.1"])).await;
        let got = proxy.get(&format!("http://{}/", server.address)).await;
        assert!(got.starts_with("HTTP/1.1 502 "), "{answer:.40}: {got}");
    }
    let lying = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let server = Listener::start("127.0.0.1:0", lying.to_owned()).await;
    let policy = listed(&[&server.address.to_string()]);
    let proxy = Proxy::new(policy, guard(&["127.0.0.1"])).await;
    let got = proxy.get(&format!("http://{}/", server.address)).await;
    assert!(!got.ends_with("0\r\n\r\n"), "it is not made whole: {got}");
}

#[tokio::test]
async fn requests_that_are_none_are_refused() {
    let proxy = Proxy::new(EgressPolicy::Public, guard(&[])).await;
    let long = format!(
        "GET http://a.example/ HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    for (request, status) in [
        (
            "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
            "400",
        ),
        (
            "GET https://a.example/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "400",
        ),
        (
            "GET ftp://a.example/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "400",
        ),
        (
            "GET http://user:pw@a.example/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "400",
        ),
        (
            "CONNECT a.example HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "400",
        ),
        (
            "CONNECT 127.1:443 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "400",
        ),
        ("nonsense\r\n\r\n", "400"),
        (&long, "431"),
    ] {
        let answer = proxy.ask(request).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{request:.60}: {answer}");
    }
}

#[tokio::test]
async fn a_call_that_tries_everything_does_not_flood_the_log() {
    let proxy = Proxy::new(listed(&["a.example"]), guard(&[])).await;
    for number in 0..60 {
        for _ in 0..2 {
            let (_stream, head) = proxy.open(&format!("host-{number}.example:443")).await;
            assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        }
    }
    let events = proxy.end().await;
    assert_eq!(decisions(&events).len(), 50);
    let totals = totals(&events);
    assert_eq!((totals.refused_count, totals.left_out_count), (120, 20));
}

#[tokio::test]
async fn nothing_goes_out_that_cannot_be_written_down() {
    let server = Listener::ok("127.0.0.1:0").await;
    let policy = listed(&[&server.address.to_string()]);
    let proxy = Proxy::new(policy, guard(&["127.0.0.1"])).await;
    proxy.events.abort();
    while !proxy.events.is_finished() {
        tokio::task::yield_now().await;
    }
    let answer = proxy.get(&format!("http://{}/", server.address)).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn connections_end_with_the_door() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = listener.local_addr().expect("an address");
    let policy = listed(&[&server.to_string()]);
    let proxy = Proxy::new(policy, guard(&["127.0.0.1"])).await;
    let (inside, head) = proxy.open(&server.to_string()).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let (outside, _) = listener.accept().await.expect("a connection");
    proxy.end().await;
    assert_eq!(read_all(inside).await, "");
    assert_eq!(read_all(outside).await, "");
}

#[test]
fn a_policy_that_opens_nothing_has_no_door() {
    for policy in [EgressPolicy::None, EgressPolicy::Hosts(Vec::new())] {
        let (host, _requests) = Host::channel(1);
        let door = EgressProxy::door(policy, guard(&[]), host, EgressLimits::default());
        assert!(door.is_none());
    }
}
