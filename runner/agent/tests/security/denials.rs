//! What a process inside may not ask of the kernel.

use crate::support::Scene;

/// Calls that are refused: their numbers on x86-64 and on aarch64, arguments, and the errors that
/// are a refusal. Written so that each would succeed, or fail otherwise, if it were let through.
/// Then the ones with a meaning of their own.
pub const CALLS: &str = r#"
import ctypes, errno, fcntl, os, platform, socket, sys, termios
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
REFUSED = (errno.EPERM, errno.ENOSYS, errno.EACCES)

def call(name, x86_number, arm_number, *arguments):
    number = x86_number if x86 else arm_number
    if number is None:
        return
    ctypes.set_errno(0)
    result = libc.syscall(number, *[ctypes.c_long(argument) for argument in arguments])
    error = ctypes.get_errno()
    if result != -1 or error not in REFUSED:
        print("ALLOWED", name, result, errno.errorcode.get(error))

def refused(name, what):
    try:
        what()
        print("ALLOWED", name)
    except OSError as error:
        if error.errno not in REFUSED:
            print("ALLOWED", name, errno.errorcode.get(error.errno))

buffer = ctypes.create_string_buffer(256)
here = ctypes.addressof(buffer)
own = os.getpid()
call("ptrace", 101, 117, 0, 0, 0, 0)
call("process_vm_readv", 310, 270, own, 0, 0, 0, 0, 0)
call("process_vm_writev", 311, 271, own, 0, 0, 0, 0, 0)
call("process_madvise", 440, 440, -1, 0, 0, 0, 0)
call("pidfd_getfd", 438, 438, -1, 0, 0)
call("kcmp", 312, 272, own, own, 0, 0, 0)
call("perf_event_open", 298, 241, 0, 0, -1, -1, 0)
call("bpf", 321, 280, 0, 0, 0)
call("userfaultfd", 323, 282, 1)
call("io_uring_setup", 425, 425, 1, 0)
call("io_uring_enter", 426, 426, -1, 0, 0, 0, 0, 0)
call("io_uring_register", 427, 427, -1, 0, 0, 0)
call("fanotify_init", 300, 262, 0x200, 0)
call("add_key", 248, 217, 0, 0, 0, 0, -3)
call("request_key", 249, 218, 0, 0, 0, -3)
call("keyctl", 250, 219, 0, -3, 0, 0, 0)
call("mount", 165, 40, 0, 0, 0, 0, 0)
call("umount2", 166, 39, 0, 0)
call("move_mount", 429, 429, -1, 0, -1, 0, 0)
call("open_tree", 428, 428, -1, 0, 0)
call("fsopen", 430, 430, 0, 0)
call("fsconfig", 431, 431, -1, 0, 0, 0, 0)
call("fsmount", 432, 432, -1, 0, 0)
call("fspick", 433, 433, -1, 0, 0)
call("mount_setattr", 442, 442, -1, 0, 0, 0, 0)
call("pivot_root", 155, 41, 0, 0)
call("chroot", 161, 51, 0)
call("setns", 308, 268, -1, 0)
call("open_by_handle_at", 304, 265, -1, 0, 0)
call("name_to_handle_at", 303, 264, -1, 0, 0, 0, 0)
call("acct", 163, 89, 0)
call("adjtimex", 159, 171, 0)
call("clock_adjtime", 305, 266, 0, 0)
call("clock_settime", 227, 112, 0, 0)
call("settimeofday", 164, 170, 0, 0)
call("delete_module", 176, 106, 0, 0)
call("init_module", 175, 105, 0, 0, 0)
call("finit_module", 313, 273, -1, 0, 0)
call("kexec_load", 246, 104, 0, 0, 0, 0)
call("kexec_file_load", 320, 294, -1, -1, 0, 0, 0)
call("quotactl", 179, 60, 0, 0, 0, 0)
call("quotactl_fd", 443, 443, -1, 0, 0, 0)
call("reboot", 169, 142, 0, 0, 0, 0)
call("sethostname", 170, 161, here, 1)
call("setdomainname", 171, 162, here, 1)
call("swapon", 167, 224, 0, 0)
call("swapoff", 168, 225, 0)
call("syslog", 103, 116, 10, 0, 0)
call("vhangup", 153, 58)
call("iopl", 172, None, 3)
call("ioperm", 173, None, 0, 1, 1)
call("clone3", 435, 435, 0, 0)
call("personality", 135, 92, 0x0200000)
call("x32 getpid", 0x40000000 + 39, None)
for name, flag in [("cgroup", 0x02000000), ("ipc", 0x08000000), ("net", 0x40000000), ("mnt", 0x20000),
                   ("pid", 0x20000000), ("user", 0x10000000), ("uts", 0x04000000), ("time", 0x80)]:
    call("unshare " + name, 272, 97, flag)
for name, flag in [("user", 0x10000000), ("mnt", 0x20000), ("net", 0x40000000)]:
    call("clone " + name, 56, 220, flag | 17, 0, 0, 0, 0)
for family in [16, 17, 38, 40, 44, 29, 31, 9, 21, 15]:
    protocol = 15 if family == 16 else 0
    refused(f"socket {family}", lambda: socket.socket(family, socket.SOCK_RAW, protocol))
refused("socketpair of VSOCK", lambda: socket.socketpair(40, socket.SOCK_STREAM))
first, second = os.openpty()
refused("TIOCSTI", lambda: fcntl.ioctl(second, termios.TIOCSTI, b"x"))
refused("TIOCLINUX", lambda: fcntl.ioctl(second, 0x541C, b"\x02"))
print("tried")
"#;

#[tokio::test]
async fn dangerous_calls_are_refused() {
    let scene = Scene::new().await;
    assert_eq!(scene.python(CALLS).await, "tried\n(Exit code 0.)");
}

/// A foreign interface to the kernel ends the process: the old one for 32 bits, by hand.
#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn the_interface_for_32_bits_ends_the_process() {
    let scene = Scene::new().await;
    let program = r#"
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3") # eax = getpid; int 0x80; ret
print("before", flush=True)
function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
print("AFTER", function())
"#;
    scene.put("program.py", program);
    let said = scene.bash("python3 program.py; echo ended with $?").await;
    assert!(said.contains("before\n"), "{said}");
    assert!(said.contains("ended with 159"), "SIGSYS: {said}");
    assert!(!said.contains("AFTER"), "{said}");
}

/// A guard that is about the process and not about calls.
pub const STATUS: &str = r#"
grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb):' /proc/self/status | grep -v 0000000000000000 && echo HAS CAPABILITIES
grep -q 'NoNewPrivs:.1' /proc/self/status || echo COULD GAIN
grep -q 'Seccomp:.2' /proc/self/status || echo NO FILTER
[ "$(id -u)" = 1000 ] || echo USER $(id -u)
[ $(ls -d /proc/[0-9]* | wc -l) -le 6 ] || echo SEES PROCESSES
[ "$(cut -d' ' -f6 /proc/self/stat)" != 0 ] || echo SESSION OF THE HOST
ls /proc/1/fd >/dev/null 2>&1 && echo READS THE FIRST PROCESS
cat /proc/1/environ 2>/dev/null | grep -q . && echo READS THE FIRST ENVIRONMENT
(echo 0 > /proc/self/coredump_filter) 2>/dev/null && echo WRITES TO PROC
for fd in /proc/self/fd/*; do case ${fd##*/} in [0-4]) ;; *) echo DESCRIPTOR $fd $(readlink $fd) ;; esac; done
ulimit -a | grep -Eq 'core file size.* 0$' || echo CORE FILES
[ "$(ulimit -f)" = 8388608 ] || echo FILE SIZE $(ulimit -f)
[ "$(ulimit -n)" -le 65536 ] || echo DESCRIPTORS $(ulimit -n)
[ "$(ulimit -u)" -le 4096 ] || echo PROCESSES $(ulimit -u)
[ "$(cat /proc/self/oom_score_adj)" -ge 500 ] || echo AS DEAR AS THE SERVER
[ "$(cut -d' ' -f19 /proc/self/stat)" -ge 5 ] || echo AS URGENT AS THE SERVER
for name in $(tr '\0' '\n' < /proc/$$/environ | cut -d= -f1); do
case $name in HOME|LANG|OLDPWD|PATH|PWD|SHLVL|TERM|TMPDIR|USER|_) ;; *) echo VARIABLE $name ;; esac; done
echo tried"#;

#[tokio::test]
async fn a_process_is_what_it_should_be() {
    let scene = Scene::new().await;
    let leaked = rustix::io::dup(std::io::stderr()).expect("a descriptor that is inherited");
    assert_eq!(scene.bash(STATUS).await, "tried\n(Exit code 0.)");
    drop(leaked);
}

/// Says which namespaces are those of whoever runs the tests.
pub fn namespaces() -> String {
    let mut script = String::new();
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let own = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
        let own = own.display();
        script +=
            &format!("[ \"$(readlink /proc/self/ns/{name})\" != '{own}' ] || echo SHARED {name}\n");
    }
    script + "echo tried"
}

#[tokio::test]
async fn every_namespace_is_its_own() {
    let scene = Scene::new().await;
    assert_eq!(scene.bash(&namespaces()).await, "tried\n(Exit code 0.)");
}

/// What must go on working, since builds use it.
#[tokio::test]
async fn what_builds_need_is_allowed() {
    let scene = Scene::new().await;
    let program = r#"
import multiprocessing, os, socket, subprocess, threading
first, second = socket.socketpair(); first.send(b"x"); assert second.recv(1) == b"x"
server = socket.socket(socket.AF_UNIX); server.bind("/tmp/socket"); server.listen()
socket.socket(socket.AF_UNIX).connect("/tmp/socket")
web = socket.create_server(("127.0.0.1", 0)); socket.create_connection(web.getsockname())
assert [name for _, name in socket.if_nameindex()] == ["lo"]
threads = [threading.Thread(target=lambda: None) for _ in range(20)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
def double(number): return 2 * number
if __name__ == "__main__":
    with multiprocessing.Pool(3) as pool: assert pool.map(double, [1, 2]) == [2, 4]
    assert subprocess.run(["setsid", "true"]).returncode == 0
    os.mkfifo("/tmp/fifo"); os.symlink("a", "b"); os.link("/workspace/program.py", "/workspace/c")
    print("works")
"#;
    scene.put("program.py", program);
    let said = scene.bash("python3 program.py; git init -q r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git log --oneline | wc -l; exec 5<>/dev/tcp/127.0.0.1/1; echo $?; diff <(echo a) <(echo a) && echo same").await;
    assert!(said.starts_with("works\n1\n"), "{said}");
    assert!(said.contains("same\n"), "{said}");
}

/// The same for Node.js: threads, children with a channel, sockets, and its package manager.
#[tokio::test]
async fn what_node_and_npm_need_is_allowed() {
    let scene = Scene::new().await;
    let program = r#"
const { fork, execFileSync } = require("child_process");
const { Worker } = require("worker_threads");
const net = require("net");
if (process.send) { process.send("from the child"); process.disconnect(); return; }
const child = new Promise(done => fork(__filename).on("message", done));
const worker = new Promise(done => new Worker("require('worker_threads').parentPort.postMessage('from the worker')", { eval: true }).on("message", done));
const socket = new Promise(done => {
    const server = net.createServer(peer => { peer.end("from the socket"); server.close(); });
    server.listen("/tmp/node-socket", () => net.connect("/tmp/node-socket").on("data", data => done(String(data))));
});
Promise.all([child, worker, socket]).then(said => console.log(said.join(", "), require("os").networkInterfaces().lo.length > 0));
"#;
    scene.put("program.js", program);
    let said = scene
        .bash("node program.js && npm init -y >/dev/null && npm pack --silent")
        .await;
    assert!(
        said.starts_with("from the child, from the worker, from the socket true\n"),
        "{said}"
    );
    assert!(said.contains(".tgz\n(Exit code 0.)"), "{said}");
}
