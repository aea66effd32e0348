//! What a process inside can see and change: the workspace, its HOME, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use membrane_agent::sandbox::SandboxConfig;
use serde_json::json;

use crate::support::{Bench, good, sandbox, text};

/// Prints how many readable files there are and each that has the canary in it. Not among the
/// system's programs, which are the same for everybody.
const SEARCH: &str = r#"
{
  find / -xdev -path /usr -prune -o -print0
  for mount in $(cut -d' ' -f5 /proc/self/mountinfo); do
    case $mount in /usr | /usr/* | /proc | /proc/*) ;; *) find "$mount" -xdev -print0 ;; esac
  done
  printf '%s\0' /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/root/etc/* \
    /proc/[0-9]*/cwd/* /proc/[0-9]*/fd/* /proc/keys /proc/net/unix
} 2>/dev/null | while read -r -d '' file; do
  case $file in /dev/fd* | /dev/std*) continue ;; esac # these are whoever reads
  [ -f "$file" ] && [ -r "$file" ] && printf '%s\0' "$file"
done > /tmp/list
echo "files: $(tr -cd '\0' < /tmp/list | wc -c)"
xargs -0 grep -lasF -e "$CANARY_A$CANARY_B" < /tmp/list
echo searched
"#;

#[tokio::test]
async fn canaries_in_environment_key_file_and_other_workspace_are_not_found() {
    let (one, two) = ("membrane-can", "ary-7f3a9c");
    let config = SandboxConfig {
        env: vec![
            ("CANARY_A".into(), one.into()),
            ("CANARY_B".into(), two.into()),
        ],
        ..SandboxConfig::default()
    };
    let bench = Bench::with(sandbox(config).await);
    let canary = format!("{one}{two}");
    for place in [
        "keys/master",
        "membrane.db",
        "workspaces/other/files/a.txt",
        "workspaces/other/home/b",
    ] {
        let path = bench.data.path().join(place);
        fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        fs::write(path, &canary).expect("a canary");
    }

    bench.put("planted.txt", &canary);
    let proof = bench.bash(SEARCH).await;
    assert!(
        good(&proof).contains("/workspace/planted.txt"),
        "the search finds what is there: {}",
        text(&proof)
    );
    fs::remove_file(bench.file("planted.txt")).expect("removed");

    let output = bench.bash(SEARCH).await;
    let text = good(&output);
    let lines: Vec<&str> = text.lines().collect();
    let [files, "searched", "(Exit code 0.)"] = lines[..] else {
        panic!("it found something: {text}");
    };
    let files: usize = files
        .trim_start_matches("files: ")
        .parse()
        .expect("a number");
    assert!(files > 20, "{files} files were read");
}

#[tokio::test]
async fn the_servers_own_environment_is_nowhere_inside() {
    let names = fs::read("/proc/self/environ").expect("this test's environment");
    let names = String::from_utf8_lossy(&names).into_owned();
    assert!(
        names.contains("CARGO_MANIFEST_DIR="),
        "cargo sets it for tests"
    );
    let bench = Bench::new().await;
    let output = bench
        .bash("cat /proc/[0-9]*/environ | tr '\\0' '\\n'")
        .await;
    assert!(
        !good(&output).contains("CARGO_MANIFEST_DIR"),
        "{}",
        text(&output)
    );
}

#[tokio::test]
async fn the_environment_is_the_allowlist() {
    let config = SandboxConfig {
        env: vec![
            ("EXTRA".into(), "a b".into()),
            ("HOME".into(), "/root".into()),
            ("PATH".into(), "/evil".into()),
        ],
        path: vec!["/opt/tools/bin".into()],
        ..SandboxConfig::default()
    };
    let bench = Bench::with(sandbox(config).await);
    let output = bench.bash("cat /proc/$$/environ | tr '\\0' '\\n'").await;
    let text = good(&output);
    let found: BTreeSet<&str> = text.lines().filter(|line| line.contains('=')).collect();
    let expected = BTreeSet::from([
        "EXTRA=a b",
        "HOME=/home/agent",
        "LANG=C.UTF-8",
        "OLDPWD=/workspace",
        "PATH=/opt/tools/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PWD=/workspace",
        "SHLVL=1",
        "TERM=dumb",
        "TMPDIR=/tmp",
        "USER=agent",
        "_=/bin/bash",
    ]);
    let surplus: Vec<_> = found.difference(&expected).collect();
    assert!(surplus.is_empty(), "{surplus:?}");
    for variable in [
        "EXTRA=a b",
        "HOME=/home/agent",
        "USER=agent",
        "TMPDIR=/tmp",
        "TERM=dumb",
        "LANG=C.UTF-8",
    ] {
        assert!(found.contains(variable), "{variable}: {text}");
    }
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("PATH=/opt/tools/bin:/usr")),
        "{text}"
    );
}

#[tokio::test]
async fn a_process_has_no_capabilities_and_can_gain_none() {
    let bench = Bench::new().await;
    let output = bench.bash("grep -E '^(Cap|NoNewPrivs|Uid|Gid|Groups)' /proc/self/status; id -un; su -c true; sudo -n true; unshare -Ur true; true").await;
    let text = good(&output);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(
            text.contains(&format!("{set}:\t0000000000000000\n")),
            "{text}"
        );
    }
    assert!(text.contains("NoNewPrivs:\t1\n"), "{text}");
    assert!(text.contains("Uid:\t1000\t1000\t1000\t1000\n"), "{text}");
    assert!(text.contains("Gid:\t1000\t1000\t1000\t1000\n"), "{text}");
    assert!(text.contains("\nagent\n"), "{text}");
    assert!(text.contains("unshare failed"), "{text}");
}

#[tokio::test]
async fn a_process_sees_few_others_and_no_inherited_descriptor() {
    let bench = Bench::new().await;
    let output = bench
        .bash("ls -d /proc/[0-9]* | wc -l; cd /proc/self/fd; echo *")
        .await;
    let text = good(&output);
    let mut lines = text.lines();
    let processes: usize = lines.next().expect("a line").parse().expect("a number");
    assert!(processes <= 5, "{text}");
    let descriptors: Vec<&str> = lines.next().expect("a line").split(' ').collect();
    // 3 is the side channel; one more is the directory that is being listed.
    let known = ["0", "1", "2", "3", "4"];
    assert!(
        descriptors
            .iter()
            .all(|descriptor| known.contains(descriptor)),
        "{text}"
    );
}

#[tokio::test]
async fn there_is_no_network_not_even_the_hosts_loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    listener.set_nonblocking(true).expect("not blocking");
    let port = listener.local_addr().expect("its address").port();
    let bench = Bench::new().await;
    let socket = UnixListener::bind(bench.data.path().join("server.sock")).expect("a socket");
    socket.set_nonblocking(true).expect("not blocking");
    let script = format!(
        "exec 2>&1; (exec 9<>/dev/tcp/127.0.0.1/{port}) && echo CONNECTED; \
        (exec 9<>/dev/tcp/169.254.169.254/80) && echo CONNECTED; \
        (exec 9<>/dev/udp/192.0.2.1/53) && echo CONNECTED; cut -d: -f1 -s /proc/net/dev; \
        wc -l < /proc/net/route"
    );
    let output = bench.bash(&script).await;
    let text = good(&output);
    assert!(!text.contains("CONNECTED"), "{text}");
    assert!(
        text.contains("    lo\n1\n"),
        "only loopback and no route: {text}"
    );
    assert!(listener.accept().is_err(), "nobody connected");
    assert!(socket.accept().is_err(), "nobody connected");
}

#[tokio::test]
async fn nothing_but_the_workspace_home_and_tmp_can_be_written() {
    let bench = Bench::new().await;
    let script = r"for place in / /usr /usr/bin /etc /dev /proc/sys/kernel /home /bin /lib /root /var; do
      touch $place/membrane-test 2>/dev/null && echo WRITTEN $place
    done
    find / -xdev -writable -not -type l -not -path '/dev/[!sp]*' -not -path '/proc/*' 2>/dev/null
    find /etc -writable -not -type l -not -type c 2>/dev/null
    for place in /workspace /home/agent /tmp /dev/shm; do touch $place/ok && echo ok; done";
    let output = bench.bash(script).await;
    let text = good(&output);
    assert!(!text.contains("WRITTEN"), "{text}");
    assert_eq!(text.matches("ok\n").count(), 4, "{text}");
    // `-writable` asks the kernel, which says no for what is mounted read-only.
    let writable = text.lines().filter(|line| line.starts_with('/'));
    let known = ["/workspace", "/home/agent", "/tmp", "/dev/shm", "/dev/pts"];
    let surplus: Vec<&str> = writable
        .filter(|line| !known.iter().any(|place| line.starts_with(place)))
        .collect();
    assert!(surplus.is_empty(), "{surplus:?}");
}

#[tokio::test]
async fn settings_of_the_whole_machine_are_out_of_reach_also_for_a_server_that_is_root() {
    let bench = Bench::new().await;
    let script = r"for file in $(cd /proc; find sys bus fs irq sysrq-trigger mtrr scsi acpi -type f 2>/dev/null); do
      ( : >> /proc/$file ) 2>/dev/null && echo WRITABLE $file
    done
    for file in kcore kmsg keys timer_list slabinfo vmallocinfo pagetypeinfo kpagecount; do
      head -c 1 /proc/$file 2>/dev/null | grep -q . && echo READABLE $file
    done
    echo looked";
    let output = bench.call("Bash", json!({ "command": script })).await;
    assert_eq!(good(&output), "looked\n(Exit code 0.)");
}

#[tokio::test]
async fn accounts_and_secrets_of_the_host_are_not_there() {
    let bench = Bench::new().await;
    let script = "cat /etc/passwd /etc/group; ls /etc/shadow /etc/ssh /etc/ssl/private /root /home /var /run /sys /boot /mnt 2>&1; cat /proc/1/cmdline | tr '\\0' ' '";
    let output = bench.bash(script).await;
    let text = text(&output);
    assert!(text.contains("agent:x:1000:1000:"), "{text}");
    for absent in [
        "/etc/shadow",
        "/etc/ssh",
        "/etc/ssl/private",
        "/var",
        "/run",
        "/sys",
        "/boot",
    ] {
        assert!(
            text.contains(&format!("cannot access '{absent}'")),
            "{absent}: {text}"
        );
    }
    assert!(
        !text.contains("--bind"),
        "no argument of bubblewrap: {text}"
    );
}

#[tokio::test]
async fn tmp_is_private_to_one_command() {
    let bench = Bench::new().await;
    fs::write(std::env::temp_dir().join("membrane-test-of-tmp"), "host").expect("a file");
    good(
        &bench
            .bash("ls /tmp/membrane-test-of-tmp && exit 1; echo x > /tmp/mine")
            .await,
    );
    good(&bench.bash("test ! -e /tmp/mine").await);
    fs::remove_file(std::env::temp_dir().join("membrane-test-of-tmp")).expect("removed");
}

#[tokio::test]
async fn limits_hold_that_runtimes_do_not_mind() {
    let bench = Bench::new().await;
    let output = bench.bash("ulimit -c; ulimit -f; ulimit -Hf; ulimit -c unlimited 2>&1; df -k --output=size /tmp | tail -1").await;
    let text = good(&output);
    assert!(text.starts_with("0\n8388608\n8388608\n"), "{text}");
    assert!(text.contains("1048576\n"), "{text}");
}

#[tokio::test]
async fn read_only_directories_are_shown_under_their_own_paths() {
    let shown = tempfile::tempdir_in("/var/tmp").expect("a directory");
    fs::write(shown.path().join("tool"), "#!/bin/sh\necho tool works\n").expect("a tool");
    let config = SandboxConfig {
        ro_binds: vec![shown.path().to_owned(), "/var/tmp/does-not-exist".into()],
        path: vec![shown.path().to_owned()],
        ..SandboxConfig::default()
    };
    let bench = Bench::with(sandbox(config).await);
    let path = shown.path().display();
    let output = bench
        .bash(&format!(
            "sh {path}/tool; touch {path}/x || echo refused; ls /var/tmp"
        ))
        .await;
    let text = good(&output);
    assert!(
        text.contains("tool works\n") && text.contains("refused\n"),
        "{text}"
    );
    assert!(!text.contains("does-not-exist"), "{text}");
}
