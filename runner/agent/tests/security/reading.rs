//! Nothing of the host can be read: by Bash, by the file tools, by a child with pipes.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::support::{CANARY, SECRETS, Scene, text};

/// What every machine may have and nobody inside may read, or even find.
const OF_THE_MACHINE: [&str; 70] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/ssh/sshd_config",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/machine-id",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/fstab",
    "/etc/environment",
    "/etc/profile",
    "/etc/apt/auth.conf",
    "/etc/ssl/private",
    "/etc/cron.d",
    "/etc/systemd/system",
    "/root",
    "/root/.ssh/id_ed25519",
    "/root/.aws/credentials",
    "/root/.bash_history",
    "/root/.cargo/credentials.toml",
    "/home/ubuntu",
    "/home/debian",
    "/var",
    "/var/lib/docker",
    "/var/lib/dpkg/status",
    "/var/log/syslog",
    "/var/run/docker.sock",
    "/var/spool/cron",
    "/var/tmp",
    "/run",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/secrets",
    "/run/user",
    "/run/lock",
    "/sys",
    "/sys/class/net",
    "/sys/fs/cgroup",
    "/sys/kernel/debug",
    "/sys/firmware/efi",
    "/boot",
    "/mnt",
    "/media",
    "/srv",
    "/lost+found",
    "/dev/mem",
    "/dev/kmem",
    "/dev/kmsg",
    "/dev/port",
    "/dev/sda",
    "/dev/vda",
    "/dev/nvme0n1",
    "/dev/fuse",
    "/dev/kvm",
    "/dev/net/tun",
    "/dev/vsock",
    "/dev/vhost-vsock",
    "/dev/loop0",
    "/dev/mapper/control",
    "/dev/input",
    "/dev/snd",
    "/dev/mqueue",
    "/dev/hugepages",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/scsi/scsi",
    "/.dockerenv",
    "/oldroot",
];

/// Files of /proc that are there and say nothing.
const MASKED: [&str; 10] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/slabinfo",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/vmallocinfo",
    "/proc/pagetypeinfo",
];

/// Every path that is tried: the server's, by its own name, through /proc and out of the workspace;
/// other processes'; the machine's.
fn paths(scene: &Scene) -> Vec<String> {
    let data = scene.data.path().display();
    let server = std::process::id();
    let mut all: Vec<String> = OF_THE_MACHINE.iter().map(|path| path.to_string()).collect();
    for secret in SECRETS {
        all.push(format!("{data}/{secret}"));
        all.push(format!("/proc/1/root{data}/{secret}"));
        all.push(format!("/proc/1/cwd/../../../{secret}"));
        all.push(format!("/workspace/../../../{secret}"));
    }
    for part in [
        "environ",
        "cmdline",
        "maps",
        "mem",
        "root/etc/passwd",
        "cwd",
        "fd/0",
        "fd/3",
    ] {
        all.push(format!("/proc/{server}/{part}"));
    }
    all
}

/// Says `READ` and the path for each that opens.
const PROGRAM: &str = r#"
import os, sys
for path in open("/workspace/paths").read().split("\n"):
    try:
        if os.path.isdir(path):
            found = os.listdir(path)
        else:
            with open(path, "rb") as file:
                found = file.read(64)
        print("READ", path, found)
    except OSError:
        pass
print("tried")
"#;

#[tokio::test]
async fn at_least_eighty_paths_are_closed_to_bash() {
    let scene = Scene::new().await;
    let paths = paths(&scene);
    assert!(paths.len() >= 80, "{}", paths.len());
    scene.put("paths", &paths.join("\n"));
    let script = r#"while read -r path; do
    if [ -d "$path" ]; then ls "$path" >/dev/null 2>&1 && echo "READ $path"
    else head -c 64 "$path" >/dev/null 2>&1 && echo "READ $path"; fi
    done < paths; echo tried"#;
    assert_eq!(scene.bash(script).await, "tried\n(Exit code 0.)");
}

#[tokio::test]
async fn they_are_closed_to_a_child_with_pipes() {
    let scene = Scene::new().await;
    scene.put("paths", &paths(&scene).join("\n"));
    assert_eq!(scene.python(PROGRAM).await, "tried\n(Exit code 0.)");
}

#[tokio::test]
async fn they_are_closed_to_the_file_tools_also_through_links() {
    let scene = Scene::new().await;
    for (number, path) in paths(&scene).iter().enumerate() {
        let link = format!("link{number}");
        symlink(path, scene.files().join(&link)).expect("a link");
        for path in [path.clone(), format!("/workspace/{link}"), link] {
            let read = scene.call("Read", json!({ "file_path": path })).await;
            assert!(read.is_error, "{path}: {}", text(&read));
            let input = json!({ "pattern": "canary", "path": path });
            let found = text(&scene.call("Grep", input).await);
            assert!(!found.contains(CANARY[0]), "{path}: {found}");
        }
    }
}

#[tokio::test]
async fn what_proc_says_of_the_machine_is_masked() {
    let scene = Scene::new().await;
    let script = format!(
        "for file in {}; do [ ! -e $file ] || [ -c $file ] || echo OPEN $file; done; echo tried",
        MASKED.join(" ")
    );
    assert_eq!(scene.bash(&script).await, "tried\n(Exit code 0.)");
}

#[tokio::test]
async fn files_of_the_hosts_tmp_and_shared_memory_are_not_there() {
    let scene = Scene::new().await;
    let own = format!("membrane-security-{}", std::process::id());
    let places = ["/tmp", "/dev/shm"].map(|place| format!("{place}/{own}"));
    for place in &places {
        fs::write(place, CANARY.concat()).expect("a file of the host");
    }
    let said = scene
        .bash(&format!("cat {}; echo tried", places.join(" ")))
        .await;
    for place in &places {
        fs::remove_file(place).expect("removed");
    }
    assert!(
        !said.contains(CANARY[0]) && said.contains("tried"),
        "{said}"
    );
}

#[tokio::test]
async fn no_readable_byte_inside_is_the_canary() {
    let scene = Scene::new().await;
    let script = format!(
        r#"{{ find / -xdev -path /usr -prune -o -print0
        for mount in $(cut -d' ' -f5 /proc/self/mountinfo); do
        case $mount in /usr | /usr/* | /proc | /proc/*) ;; *) find "$mount" -xdev -print0 ;; esac
        done
        printf '%s\0' /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/fd/*
        }} 2>/dev/null | while read -r -d '' file; do
        case $file in /dev/fd* | /dev/std*) continue ;; esac
        [ -f "$file" ] && [ -r "$file" ] && printf '%s\0' "$file"
        done > /tmp/list
        xargs -0 grep -lasF -e "$(printf %s%s {} {})" < /tmp/list; tr -cd '\0' < /tmp/list | wc -c"#,
        CANARY[0], CANARY[1]
    );
    let said = scene.bash(&script).await;
    let files: usize = said.lines().next().expect("a line").parse().unwrap_or(0);
    assert!(files > 20, "nothing but a number of files: {said}");
}

/// A path of a socket that the host listens on, and an abstract name.
#[tokio::test]
async fn no_socket_of_the_host_can_be_connected_to() {
    use std::os::linux::net::SocketAddrExt;
    let scene = Scene::new().await;
    let path = scene.data.path().join("server.sock");
    let by_path = UnixListener::bind(&path).expect("a socket");
    let name = format!("membrane-security-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let by_name = UnixListener::bind_addr(&address).expect("an abstract socket");
    let program = format!(
        r#"
import socket
for address in [{path:?}, "\0{name}", "/run/docker.sock", "/var/run/docker.sock"]:
    try:
        socket.socket(socket.AF_UNIX).connect(address)
        print("CONNECTED", address)
    except OSError:
        pass
print("tried")
"#,
        path = path.display().to_string()
    );
    assert_eq!(scene.python(&program).await, "tried\n(Exit code 0.)");
    for listener in [by_path, by_name] {
        listener.set_nonblocking(true).expect("not blocking");
        assert!(listener.accept().is_err(), "nobody came");
    }
}
