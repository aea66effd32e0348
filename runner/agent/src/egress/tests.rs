mod corpus;
mod hosts;
mod policies;
mod proxy;

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use corpus::{FORBIDDEN, FORBIDDEN_NAMES, PUBLIC};

const OWN: &str = "93.184.216.34";

/// Answers for names; counts the questions.
#[derive(Default)]
struct Names {
    asked: AtomicUsize,
    /// Answers of one name that changes its mind, each given once.
    changing: Mutex<VecDeque<&'static str>>,
}

impl Names {
    fn of(&self, name: &str) -> Vec<SocketAddr> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let addresses: &[&str] = match name.trim_end_matches('.') {
            "localhost" => &["127.0.0.1", "::1"],
            "loopback.example" => &["127.0.0.1"],
            "private.example" | "models.internal" => &["10.1.2.3"],
            "mapped.example" => &["::ffff:127.0.0.1"],
            "mixed.example" => &["8.8.8.8", "127.0.0.1"],
            "metadata.google.internal" => &["169.254.169.254"],
            "own.example" => &[OWN],
            "changing.example" => return self.change(),
            _ => &[],
        };
        addresses.iter().map(|text| socket(text)).collect()
    }

    fn change(&self) -> Vec<SocketAddr> {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        changing.pop_front().map(socket).into_iter().collect()
    }
}

impl Lookup for Names {
    fn lookup<'call>(&'call self, name: &'call str) -> BoxFuture<'call, Vec<SocketAddr>> {
        let addresses = self.of(name);
        Box::pin(async move { addresses })
    }
}

/// A server that counts connections and answers each request with the same bytes.
struct Listener {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Listener {
    async fn start(address: &str, answer: String) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, accepted }
    }

    async fn ok(address: &str) -> Self {
        Self::start(
            address,
            "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned(),
        )
        .await
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn socket(text: &str) -> SocketAddr {
    SocketAddr::new(ip(text), 0)
}

fn guard_with(allow: &[&str], names: Arc<Names>) -> EgressGuard {
    let rules = allow.iter().map(|rule| rule.parse().expect("a rule"));
    EgressGuard::with_lookup(rules.collect(), names).deny_own(vec![ip(OWN)])
}

fn guard(allow: &[&str]) -> EgressGuard {
    guard_with(allow, Arc::default())
}

fn client(guard: &EgressGuard) -> GuardedClient {
    // A second test of the same process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    guard.client(ClientLimits::default()).expect("a client")
}

/// Sends a GET request; the refusal if there is one.
async fn get(client: &GuardedClient, url: &str) -> Result<u16, Denied> {
    match client.get(url)?.send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(denied_in(&error).expect("refused, not failed").clone()),
    }
}

#[tokio::test]
async fn no_forbidden_url_is_dialled() {
    let v4 = Listener::ok("127.0.0.1:0").await;
    let v6 = Listener::ok(&format!("[::1]:{}", v4.address.port())).await;
    let guard = guard(&[]);
    let client = client(&guard);
    let port = v4.address.port().to_string();
    for url in FORBIDDEN.map(|url| url.replace("PORT", &port)) {
        let checked = guard.check_url(&url);
        assert!(checked.is_err(), "{url} looks good: {checked:?}");
    }
    for url in FORBIDDEN.iter().chain(&FORBIDDEN_NAMES) {
        let answer = get(&client, &url.replace("PORT", &port)).await;
        assert!(answer.is_err(), "{url} was reached: {answer:?}");
    }
    assert_eq!((v4.accepted(), v6.accepted()), (0, 0));
}

#[tokio::test]
async fn the_same_loopback_urls_are_dialled_when_the_operator_allows_it() {
    let v4 = Listener::ok("127.0.0.1:0").await;
    let port = v4.address.port();
    let client = client(&guard(&["127.0.0.0/8", "::1", "localhost"]));
    let urls = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "loopback.example",
        "localhost",
    ];
    for host in urls {
        let answer = get(&client, &format!("http://{host}:{port}/")).await;
        assert_eq!(answer, Ok(204), "{host}");
    }
    assert_eq!(v4.accepted(), urls.len());
}

#[tokio::test]
async fn a_name_is_resolved_once_and_that_address_is_dialled() {
    let good = Listener::ok("127.0.0.1:0").await;
    let bad = Listener::ok(&format!("127.0.0.2:{}", good.address.port())).await;
    let names = Arc::new(Names::default());
    names
        .changing
        .lock()
        .expect("a lock")
        .extend(["127.0.0.1", "127.0.0.2"]);
    let client = client(&guard_with(&["127.0.0.1"], Arc::clone(&names)));
    let url = format!("http://changing.example:{}/", good.address.port());

    assert_eq!(get(&client, &url).await, Ok(204));
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);

    let denied = get(&client, &url)
        .await
        .expect_err("the new address is refused");
    let expected = DenyReason::Address {
        address: ip("127.0.0.2"),
        kind: AddressKind::Loopback,
    };
    assert_eq!(denied.reason, expected);
    assert_eq!((good.accepted(), bad.accepted()), (1, 0));
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let target = Listener::ok("127.0.0.1:0").await;
    let location = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        target.address
    );
    let redirecting = Listener::start("127.0.0.1:0", location).await;
    let client = client(&guard(&["127.0.0.1"]));
    let url = format!("http://{}/", redirecting.address);
    assert_eq!(get(&client, &url).await, Ok(302));
    assert_eq!((redirecting.accepted(), target.accepted()), (1, 0));
}

#[test]
fn public_addresses_and_the_neighbours_of_forbidden_ranges_are_allowed() {
    for address in PUBLIC {
        let host = if address.contains(':') {
            format!("[{address}]")
        } else {
            address.to_owned()
        };
        let checked = guard(&[]).check_url(&format!("https://{host}/"));
        assert!(checked.is_ok(), "{address}: {checked:?}");
    }
}

#[test]
fn a_rule_allows_what_it_names_and_nothing_else() {
    let table = [
        ("10.0.0.0/8", "http://10.1.2.3/", true),
        ("10.0.0.0/8", "http://11.1.2.3/", true),
        ("10.0.0.0/8", "http://192.168.0.1/", false),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/", true),
        ("127.0.0.1", "http://127.0.0.1:99/", true),
        ("127.0.0.1", "http://127.0.0.2/", false),
        ("127.0.0.1:11434", "http://127.0.0.1:11434/", true),
        ("127.0.0.1:11434", "http://127.0.0.1/", false),
        ("127.0.0.1:80", "http://127.0.0.1/", true),
        ("127.0.0.1:443", "https://127.0.0.1/", true),
        ("[::1]:11434", "http://[::1]:11434/", true),
        ("[::1]", "http://[::1]:11434/", true),
        ("::ffff:127.0.0.1", "http://127.0.0.1/", true),
        ("fd00::/8", "http://[fd12::1]/", true),
        ("fd00::/8", "http://[fe80::1]/", false),
        ("localhost:11434", "http://localhost:11434/", true),
        ("localhost:11434", "http://LOCALHOST.:11434/", true),
        ("localhost:11434", "http://localhost:22/", false),
        // Metadata services need a rule that is exactly them.
        ("169.254.0.0/16", "http://169.254.1.1/", true),
        ("169.254.0.0/16", "http://169.254.169.254/", false),
        ("0.0.0.0/0", "http://169.254.169.254/", false),
        ("100.64.0.0/10", "http://100.100.100.200/", false),
        ("169.254.169.254", "http://169.254.169.254/", true),
    ];
    for (rule, url, expected) in table {
        let checked = guard(&[rule]).check_url(url);
        assert_eq!(checked.is_ok(), expected, "{rule} {url}: {checked:?}");
    }
}

#[tokio::test]
async fn a_rule_for_a_name_covers_its_private_addresses_but_no_metadata() {
    let table = [
        ("models.internal", "models.internal", true),
        ("models.internal", "private.example", false),
        ("10.0.0.0/8", "private.example", true),
        ("10.1.2.3:443", "private.example", false),
        ("localhost:11434", "localhost", true),
        (
            "metadata.google.internal",
            "metadata.google.internal",
            false,
        ),
        ("own.example", "own.example", true),
    ];
    for (rule, name, expected) in table {
        let resolved = guard(&[rule]).resolve(name).await;
        assert_eq!(resolved.is_ok(), expected, "{rule} {name}: {resolved:?}");
    }
}

#[test]
fn rules_that_mean_nothing_are_refused() {
    for text in [
        "",
        " ",
        "10.0.0.0/33",
        "10.0.0/8",
        "::/129",
        "host:0",
        "host:99999",
        "host:port",
        "a b",
        "http://host",
        "*.internal",
        "127.1",
        "1234",
        ".internal",
        "ho/st",
    ] {
        let parsed = text.parse::<AllowRule>();
        assert!(parsed.is_err(), "{text}: {parsed:?}");
    }
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let denied = guard(&[])
        .check_url("http://10.0.0.1/v1")
        .expect_err("refused");
    assert_eq!(
        denied.to_string(),
        "requests to 10.0.0.1 are not allowed: 10.0.0.1 is a private address; an operator can allow it with MEMBRANE_EGRESS_ALLOW_PRIVATE"
    );
    let denied = guard(&[])
        .check_url("http://user:hunter2@host/")
        .expect_err("refused");
    assert!(!denied.to_string().contains("hunter2"));
}
