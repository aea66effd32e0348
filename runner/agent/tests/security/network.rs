//! There is no way out but the doors, and they lead where somebody outside decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use membrane_agent::egress::{EgressGuard, EgressLimits, EgressPolicy, EgressProxy, own_addresses};
use membrane_agent::sandbox::Guard;
use membrane_agent::{Host, HostRequest};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, UdpSocket};

use crate::support::Scene;

/// Tries to reach something outside in every way, and says what it reached.
const DIRECTLY: &str = r#"
import errno, os, socket, sys
hosts, port = sys.argv[1].split(","), int(sys.argv[2])
for host in hosts:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in {port, 22, 53, 80, 443, 2375, 3000, 20808}:
        stream = socket.socket(family, socket.SOCK_STREAM)
        stream.settimeout(1)
        try:
            stream.connect((host, number))
            print("CONNECTED", host, number)
        except OSError:
            pass
        datagram = socket.socket(family, socket.SOCK_DGRAM)
        try:
            datagram.sendto(b"x", (host, number))
        except OSError:
            pass
    for kind, protocol in [(socket.SOCK_DGRAM, 1), (socket.SOCK_RAW, 1), (socket.SOCK_RAW, 255)]:
        try:
            ping = socket.socket(family, kind, protocol)
            ping.sendto(bytes([8, 0, 0xf7, 0xff, 0, 0, 0, 0]), (host, 0))
            if host not in ("0.0.0.0", "::", "::1", "127.0.0.1"):
                print("SENT", kind, host)
        except OSError:
            pass
for family in [socket.AF_PACKET, socket.AF_VSOCK, socket.AF_BLUETOOTH]:
    try:
        socket.socket(family, socket.SOCK_RAW)
        print("OPENED", family)
    except OSError:
        pass
try:
    print("RESOLVED", socket.getaddrinfo("example.com", 443))
except OSError:
    pass
print("tried")
"#;

/// Addresses of others that hand out secrets, are next door, or are everywhere.
const OTHERS: &str = ",169.254.169.254,169.254.170.2,100.100.100.200,168.63.129.16,10.0.0.1,172.17.0.1,\
    192.168.0.1,8.8.8.8,fd00:ec2::254,fe80::1,2001:4860:4860::8888,0.0.0.0,::,::1,255.255.255.255,224.0.0.1";

/// What on this machine counts who comes: a server's own port stands for all.
struct Outside {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    datagrams: Arc<AtomicUsize>,
}

impl Outside {
    async fn new() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let socket = UdpSocket::bind(address).await.expect("the same port");
        let (connections, datagrams) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        });
        let count = datagrams.clone();
        tokio::spawn(async move {
            while socket.recv_from(&mut [0; 8]).await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self {
            address,
            connections,
            datagrams,
        }
    }

    fn reached(&self) -> (usize, usize) {
        let load = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (load(&self.connections), load(&self.datagrams))
    }

    /// The machine's own addresses.
    fn hosts() -> String {
        let own = own_addresses()
            .into_iter()
            .map(|address| address.to_string());
        own.chain(["127.0.0.1".to_owned()])
            .collect::<Vec<_>>()
            .join(",")
    }
}

async fn try_directly(scene: &Scene, outside: &Outside, others: &str) -> String {
    scene.put("program.py", DIRECTLY);
    let (own, port) = (Outside::hosts(), outside.address.port());
    scene
        .bash(&format!("python3 program.py {own}{others} {port}"))
        .await
}

#[tokio::test]
async fn nothing_outside_is_reached_directly() {
    let scene = Scene::new().await;
    let outside = Outside::new().await;
    assert_eq!(
        try_directly(&scene, &outside, OTHERS).await,
        "tried\n(Exit code 0.)"
    );
    assert_eq!(outside.reached(), (0, 0));
}

#[tokio::test]
async fn without_its_own_network_it_would_be() {
    let scene = Scene::without(&[Guard::NetworkNamespace]);
    let outside = Outside::new().await;
    let said = try_directly(&scene, &outside, "").await;
    assert!(said.contains("CONNECTED 127.0.0.1"), "{said}");
    let (connections, datagrams) = outside.reached();
    assert!(connections > 0 && datagrams > 0);
}

/// A way out to some hosts; everything it is told is stored.
fn open(scene: &Scene, guard: EgressGuard, policy: EgressPolicy) {
    let (host, mut requests) = Host::channel(1);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            if let HostRequest::Append { done, .. } = request {
                let _ = done.send(());
            }
        }
    });
    let door = EgressProxy::door(policy, guard, host, EgressLimits::default());
    scene.tools.set_doors(door.as_slice());
}

fn listed(hosts: &[String]) -> EgressPolicy {
    let patterns = hosts.iter().map(|host| host.parse().expect("a pattern"));
    EgressPolicy::Hosts(patterns.collect())
}

/// Asks the proxy for what it must not give, in every spelling.
const THROUGH_THE_DOOR: &str = r#"
import os, socket, sys
port = sys.argv[1]
hosts = ["127.0.0.1", "localhost", "LOCALHOST.", "127.1", "0", "0x7f000001", "2130706433", "[::1]", "[::ffff:127.0.0.1]",
         "[::]", "0.0.0.0", "169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal", "10.0.0.1",
         "allowed.example@127.0.0.1", "127.0.0.1\0.allowed.example", "allowed.example:80@127.0.0.1", "[::ffff:7f00:1]"]
hosts += sys.argv[2].split(",")
for host in hosts:
    for request in [f"CONNECT {host}:{port} HTTP/1.1\r\n", f"GET http://{host}:{port}/ HTTP/1.1\r\n",
                    f"GET http://allowed.example/ HTTP/1.1\r\nHost: {host}:{port}\r\n"]:
        stream = socket.create_connection(("127.0.0.1", 20808))
        stream.sendall((request + "Host: x\r\nConnection: close\r\n\r\n").encode())
        answer = stream.recv(20).decode()
        if answer.startswith("HTTP/1.1 2"):
            print("REACHED", request.strip())
print("tried")
"#;

#[tokio::test]
async fn the_way_out_leads_to_no_address_that_is_denied() {
    let scene = Scene::new().await;
    let outside = Outside::new().await;
    let port = outside.address.port();
    let own = own_addresses();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "169.254.169.254",
        "10.0.0.1",
        "allowed.example",
    ];
    let all = hosts
        .iter()
        .flat_map(|host| [(*host).to_owned(), format!("{host}:{port}")]);
    let all: Vec<String> = all.collect();
    let addresses: Vec<String> = own
        .iter()
        .map(|address| match address.is_ipv4() {
            true => address.to_string(),
            false => format!("[{address}]"),
        })
        .collect();
    scene.put("program.py", THROUGH_THE_DOOR);
    for policy in [EgressPolicy::Public, listed(&all)] {
        open(
            &scene,
            EgressGuard::new(Vec::new()).deny_own(own.clone()),
            policy,
        );
        let command = format!("python3 program.py {port} {}", addresses.join(","));
        assert_eq!(scene.bash(&command).await, "tried\n(Exit code 0.)");
    }
    assert_eq!(outside.reached(), (0, 0));
}

/// As an unprivileged user as well, and only for whose door it is.
#[tokio::test]
async fn a_door_is_one_sandboxs_own() {
    let (with, without) = (Scene::new().await, Scene::new().await);
    let outside = Outside::new().await;
    let here = format!("127.0.0.1:{}", outside.address.port());
    let guard = EgressGuard::new(vec!["127.0.0.1".parse().expect("a rule")]);
    open(&with, guard, listed(std::slice::from_ref(&here)));
    let holding = with.bash("touch begun; until [ -e done ]; do sleep 0.05; done");
    let trying = async {
        while !with.files().join("begun").exists() {
            tokio::task::yield_now().await;
        }
        let said = without
            .bash("(: <>/dev/tcp/127.0.0.1/20808) 2>&1 | grep -q refused && echo refused; env | grep -ci proxy")
            .await;
        with.put("done", "");
        said
    };
    let (_, said) = tokio::join!(holding, trying);
    assert!(said.starts_with("refused\n0\n"), "{said}");
    let said = with
        .bash(&format!(
            "NO_PROXY= no_proxy= curl -sS -o /dev/null -w '%{{http_code}}' http://{here}/"
        ))
        .await;
    assert!(said.starts_with("204"), "{said}");
    assert_eq!(outside.reached(), (1, 0));
}

/// The command holds the channel by which doors were handed out.
const SEND: &str = r#"
import array, os, select, socket
reading, writing = os.pipe()
side = socket.socket(fileno=os.dup(3))
side.sendmsg([b"ready\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writing]))])
os.close(writing)
print("closed" if select.select([reading], [], [], 5)[0] else "HELD")
"#;

#[tokio::test]
async fn a_descriptor_that_a_command_sends_is_not_taken() {
    for (without, expected) in [
        (vec![], "closed\n(Exit code 0.)"),
        (vec![Guard::LateDescriptors], "HELD\n(Exit code 0.)"),
    ] {
        let scene = Scene::without(&without);
        assert_eq!(scene.python(SEND).await, expected, "{without:?}");
    }
}
