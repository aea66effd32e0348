//! The way out, from real sandboxes with real clients, and in a real network.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use futures::future::BoxFuture;
use membrane_agent::egress::{EgressGuard, EgressLimits, EgressPolicy, EgressProxy, Lookup};
use membrane_agent::{Host, HostRequest};
use membrane_proto::v1::event_payload::Kind;
use membrane_proto::v1::{EgressTotals, EgressVerdict};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{Bench, good, inside, sandbox, text, with_this_machines_toolchains};

/// A name of the test's own, which no other resolver knows.
const NAME: &str = "files.example";

struct Names;

impl Lookup for Names {
    fn lookup<'call>(&'call self, name: &'call str) -> BoxFuture<'call, Vec<SocketAddr>> {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let found = (name == NAME).then_some(here);
        Box::pin(async move { found.into_iter().collect() })
    }
}

/// Serves the files of a directory, one request a connection.
struct Files {
    directory: TempDir,
    port: u16,
}

impl Files {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let root = directory.path().to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, root.clone()));
            }
        });
        Self { directory, port }
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        fs::write(path, content).expect("a file");
    }

    fn url(&self) -> String {
        format!("http://{NAME}:{}", self.port)
    }
}

async fn answer(stream: TcpStream, root: PathBuf) {
    let mut stream = BufReader::new(stream);
    let (mut first, mut line) = (String::new(), String::new());
    let _ = stream.read_line(&mut first).await;
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or("/");
    let path = path.split('?').next().unwrap_or_default();
    let path = root.join(path.trim_start_matches('/'));
    let (path, kind) = match path.is_dir() {
        true => (path.join("index.html"), "text/html"),
        false => (path, "application/octet-stream"),
    };
    let (status, content) = match fs::read(path) {
        Ok(content) => ("200 OK", content),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        content.len()
    );
    let _ = stream
        .write_all(&[head.as_bytes(), &content].concat())
        .await;
}

/// A way out to some hosts, and what is told of it.
fn way_out(bench: &Bench, hosts: &[String]) -> JoinHandle<Vec<Kind>> {
    let (host, mut requests) = Host::channel(1);
    let events = tokio::spawn(async move {
        let mut events = Vec::new();
        while let Some(request) = requests.recv().await {
            if let HostRequest::Append { payload, done } = request {
                events.extend(payload.kind);
                let _ = done.send(());
            }
        }
        events
    });
    let guard = EgressGuard::with_lookup(vec![NAME.parse().expect("a rule")], Arc::new(Names));
    let patterns = hosts.iter().map(|host| host.parse().expect("a pattern"));
    let policy = EgressPolicy::Hosts(patterns.collect());
    let door = EgressProxy::door(policy, guard, host, EgressLimits::default());
    bench.tools.set_doors(door.as_slice());
    events
}

async fn end(bench: &Bench, events: JoinHandle<Vec<Kind>>) -> Vec<Kind> {
    bench.tools.set_doors(&[]);
    events.await.expect("the events")
}

fn totals(events: &[Kind]) -> Vec<&EgressTotals> {
    let totals = events.iter().filter_map(|kind| match kind {
        Kind::EgressTotals(totals) => Some(totals),
        _ => None,
    });
    totals.collect()
}

#[tokio::test]
async fn a_command_reaches_what_is_listed_and_is_told_about_the_rest() {
    let bench = Bench::new().await;
    let files = Files::new().await;
    files.put("hello", "hello from outside\n");
    let events = way_out(&bench, &[format!("{NAME}:{}", files.port)]);

    let said = bench.bash(&format!("curl -sS {}/hello", files.url())).await;
    assert!(good(&said).starts_with("hello from outside\n"), "{said:?}");
    let said = bench.bash("curl -sS http://other.example/").await;
    assert!(
        text(&said).contains("other.example:80 is not on this workspace's list"),
        "{said:?}"
    );
    let python = "import urllib.request; urllib.request.urlopen('https://other.example/')";
    let said = bench
        .bash(&format!("python3 -c \"{python}\" 2>&1 | tail -n 1"))
        .await;
    assert!(
        text(&said).contains("403 other.example:443 is not on this"),
        "{said:?}"
    );
    // What does not ask the proxy finds no way at all.
    let direct = format!(
        "curl -sS --noproxy '*' -m 5 http://127.0.0.1:{}/hello",
        files.port
    );
    assert!(text(&bench.bash(&direct).await).contains("onnect"));

    let events = end(&bench, events).await;
    let decisions = events.iter().filter_map(|kind| match kind {
        Kind::EgressDecision(told) => Some((told.host.as_str(), told.port, told.verdict())),
        _ => None,
    });
    let expected = [
        (NAME, i32::from(files.port), EgressVerdict::Allowed),
        ("other.example", 80, EgressVerdict::NotListed),
        ("other.example", 443, EgressVerdict::NotListed),
    ];
    assert_eq!(decisions.collect::<Vec<_>>(), expected);
    let totals = totals(&events);
    assert_eq!(totals.len(), 3);
    assert!(totals[0].received_bytes > 19 && totals[0].connection_count == 1);
}

#[tokio::test]
async fn without_a_policy_there_is_no_variable_and_no_way() {
    let bench = Bench::new().await;
    let events = way_out(&bench, &[]);
    let said = bench
        .bash("env | grep -ci proxy; curl -sS -m 5 http://127.0.0.1:20808/")
        .await;
    assert!(text(&said).starts_with("0\n"), "{said:?}");
    assert!(text(&said).contains("onnect"), "{said:?}");
    assert_eq!(end(&bench, events).await, []);
}

/// A repository as a file server can hold it.
fn repository(directory: &Path) {
    let script = "git init -q work && cd work && echo read me > README && git add . \
        && git -c user.name=a -c user.email=a@b commit -qm first && cd .. \
        && git clone -q --bare work repository.git && cd repository.git && git update-server-info";
    let done = Command::new("sh")
        .args(["-c", script])
        .current_dir(directory)
        .status();
    assert!(done.expect("git is installed").success());
}

const PACKUMENT: &str = r#"{"name": "demo", "dist-tags": {"latest": "1.2.3"},
    "versions": {"1.2.3": {"name": "demo", "version": "1.2.3", "dist": {"tarball": "http://files.example/x"}}}}"#;
const CRATE: &str = r#"{"name":"demo","vers":"1.0.0","deps":[],"cksum":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","features":{},"yanked":false}"#;
const MANIFEST: &str = "[package]\nname = \"own\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[lib]\npath = \"lib.rs\"\n[dependencies]\ndemo = { version = \"1\", registry = \"here\" }\n";
const WHEEL: &str = "import zipfile; w = zipfile.ZipFile('demo-1.0-py3-none-any.whl', 'w'); \
    w.writestr('demo-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n'); \
    w.writestr('demo-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'); \
    w.writestr('demo-1.0.dist-info/RECORD', ''); w.close()";

#[tokio::test]
async fn the_usual_programs_find_the_way() {
    let bench = Bench::with(sandbox(with_this_machines_toolchains()).await);
    let files = Files::new().await;
    let place = files.directory.path();
    repository(place);
    files.put("demo", PACKUMENT);
    files.put(
        "index/config.json",
        format!("{{\"dl\": \"{}/dl\"}}", files.url()),
    );
    files.put("index/de/mo/demo", CRATE);
    files.put("hello", "hello");
    fs::create_dir_all(place.join("simple/demo")).expect("a directory");
    let made = Command::new("python3")
        .args(["-c", WHEEL])
        .current_dir(place.join("simple/demo"))
        .status();
    assert!(made.expect("python3 is installed").success());
    let link = "<a href=\"demo-1.0-py3-none-any.whl\">demo-1.0-py3-none-any.whl</a>";
    files.put("simple/demo/index.html", link);
    bench.put("own/Cargo.toml", MANIFEST);
    bench.put("own/lib.rs", "");
    let events = way_out(&bench, &[format!("{NAME}:{}", files.port)]);

    let url = files.url();
    let python = "import os, urllib.request; print(urllib.request.urlopen(os.environ['URL'] + '/hello').read())";
    for (script, expected) in [
        (
            format!("git clone -q {url}/repository.git cloned && cat cloned/README"),
            "read me",
        ),
        (format!("URL={url} python3 -c \"{python}\""), "b'hello'"),
        (
            format!(
                "python3 -m pip download -q --no-deps --disable-pip-version-check --index-url {url}/simple --trusted-host {NAME} demo && ls *.whl"
            ),
            "demo-1.0-py3-none-any.whl",
        ),
        (format!("npm view demo version --registry {url}/"), "1.2.3"),
        (
            format!(
                "cd own && CARGO_REGISTRIES_HERE_INDEX=sparse+{url}/index/ cargo generate-lockfile && grep -A1 demo Cargo.lock"
            ),
            "version = \"1.0.0\"",
        ),
    ] {
        let said = bench.bash(&script).await;
        assert!(good(&said).contains(expected), "{script}: {}", text(&said));
    }
    let events = end(&bench, events).await;
    let refused = |totals: &&&EgressTotals| totals.refused_count > 0;
    assert!(
        totals(&events).len() >= 5,
        "each asked the proxy: {events:?}"
    );
    assert_eq!(totals(&events).iter().find(refused), None);
}

/// In a network namespace in which the kernel takes every address for its own, so that whatever is
/// dialled is there.
#[tokio::test]
async fn in_a_real_network_only_public_addresses_are_dialled() {
    const SCRIPT: &str = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo \
        && ip -6 route add local ::/0 dev lo && exec \"$0\" network";
    let run = tokio::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", SCRIPT])
        .arg(inside())
        .output()
        .await
        .expect("this test needs unshare and ip: apt-get install util-linux iproute2");
    let said = String::from_utf8_lossy(&run.stdout);
    let complaints = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success(),
        "this test needs iproute2: {said} {complaints}"
    );
    let dialled: BTreeSet<IpAddr> = serde_json::from_str(&said).expect("addresses");
    let public = [
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "64:ff9b::808:808",
    ];
    let public = public.map(|address| address.parse().expect("an address"));
    assert_eq!(dialled, BTreeSet::from(public));
}
