//! How a process is started: what bubblewrap is told to show it, and what the first process inside
//! does before anything of the agent's runs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{HOME, SandboxConfig, Task, Unavailable, WORKSPACE};

/// Where programs of the system are.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Top-level directories that are symbolic links into /usr on most systems.
const TOP_DIRECTORIES: [&str; 7] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec"];
/// What of /etc programs need and nobody minds: no accounts, no keys, no host names.
const ETC_FILES: [&str; 20] = [
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "crypto-policies",
    "fonts",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "os-release",
    "perl",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
];
/// Parts of /proc that show or change the whole machine. A server that runs as root maps the
/// agent's user to root: without a capability, but still the owner of these files.
const PROC_READ_ONLY: [&str; 4] = ["/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq"];
const PROC_HIDDEN: [&str; 12] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/mtrr",
    "/proc/pagetypeinfo",
    "/proc/slabinfo",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/vmallocinfo",
];
/// Places of the sandbox's own, which a bind must not cover.
const OWN_PLACES: [&str; 6] = ["/dev", "/etc", "/proc", "/tmp", WORKSPACE, HOME];
/// Size of /tmp and of /dev/shm in bytes; both are memory.
const TMP_BYTES: &str = "1073741824";
const SHM_BYTES: &str = "67108864";

/// The guardian, bubblewrap's parent. Its input is the lifeline: the server writes one line when
/// the process may run, and holds it open as long as somebody watches.
///
/// It is there because of how bubblewrap dies. Killed while it sets up, for instance because its
/// parent died, it leaves a process behind; killed later, it takes everything with it. So the
/// guardian has no such tie to the server. Without the line, the first process inside ends by
/// itself; after the line, the end of the lifeline kills the group, and bubblewrap with it.
/// Descriptor 9 is a reader of the side channel that stays, so that bubblewrap is not killed for
/// writing its status when the server is gone.
///
/// It also hands bubblewrap the files that it makes up, as descriptors, and its status a descriptor
/// beside the standard ones: standard error is the side channel.
const GUARDIAN: &str = r#"exec 8<&0 3>&2 9<>/proc/self/fd/2
relay() {
read -r _ <&8 || exit
echo
read -r _ <&8
kill -KILL 0
}
exec 10< <(relay)
relay=$!
"$@" <&10 8<&- 9<&- 10<&- 4<<'PASSWD' 5<<'GROUP' 6<<'HOSTS' 7<<'NSSWITCH'
root:x:0:0:root:/nonexistent:/usr/sbin/nologin
agent:x:1000:1000:agent:/home/agent:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
PASSWD
root:x:0:
agent:x:1000:
nogroup:x:65534:
GROUP
127.0.0.1 localhost
::1 localhost
HOSTS
passwd: files
group: files
hosts: files dns
services: files
protocols: files
NSSWITCH
code=$?
kill -KILL $relay
wait $relay
exit $code
"#;

/// The first process inside: closes what was inherited, sets limits that leave runtimes alone (no
/// core files; files of at most 8 GiB; descriptors), and waits for the command. As the namespace's
/// first process it takes everything with it when it ends. Descriptor 3 is the side channel.
///
/// It says that it is there, and runs nothing before it gets a line: see [`GUARDIAN`].
const FIRST: &str = r#"echo ready >&2
read -r _ || exit 1
exec </dev/null 3>&2 2>&1
for fd in /proc/self/fd/*; do
fd=${fd##*/}
case $fd in [0-3]) ;; *) eval "exec $fd>&-" ;; esac
done
unset fd _
ulimit -c 0
ulimit -f 8388608
ulimit -n 65536 2>/dev/null
"$@"
exit $?
"#;

/// What the first process says on the side channel when it waits for its line.
pub(super) const READY: &[u8] = b"ready\n";

/// Everything about bubblewrap that is the same for each process.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    bubblewrap: PathBuf,
    fixed: Vec<OsString>,
}

impl Plan {
    /// Plans for one machine and configuration. `nested` allows user namespaces inside, for
    /// machines on which they can't be forbidden this way.
    pub(super) fn new(
        bubblewrap: &Path,
        config: &SandboxConfig,
        nested: bool,
    ) -> Result<Self, Unavailable> {
        check(config)?;
        let mut arguments = Arguments::default();
        arguments.isolation(nested);
        arguments.system();
        arguments.processes_and_devices();
        arguments.etc();
        for bind in config.ro_binds.iter().filter(|bind| !is_system(bind)) {
            arguments.bind("--ro-bind-try", bind, bind);
        }
        for (name, value) in environment(config, Path::new(HOME)) {
            arguments.add(["--setenv".into(), OsString::from(name), value]);
        }
        Ok(Self {
            bubblewrap: bubblewrap.to_owned(),
            fixed: arguments.list,
        })
    }

    /// The command that starts a process inside.
    pub(super) fn command(&self, task: &Task<'_>) -> Command {
        let mut inside = Arguments::default();
        match task.place {
            Some(place) => {
                inside.bind("--bind", &place.files, WORKSPACE);
                inside.bind("--bind", &place.home, HOME);
            }
            None => inside.strings(&["--tmpfs", WORKSPACE, "--tmpfs", HOME]),
        }
        // Last, when all mount points exist: the tree that holds them becomes read-only.
        inside.strings(&["--remount-ro", "/dev", "--remount-ro", "/", "--chdir"]);
        inside.add([below(Path::new(WORKSPACE), task.cwd).into_os_string()]);
        inside.strings(&["--", "/bin/bash", "-c", FIRST, "first"]);

        let mut command = guardian();
        command
            .arg(&self.bubblewrap)
            .args(&self.fixed)
            .args(inside.list)
            .args(&task.argv)
            .current_dir("/");
        command
    }
}

/// The command that starts a process without a sandbox, in a process group of its own.
pub(super) fn unconfined_command(config: &SandboxConfig, task: &Task<'_>) -> Command {
    let (cwd, home) = match task.place {
        Some(place) => (below(&place.files, task.cwd), place.home.as_path()),
        None => (PathBuf::from("/"), Path::new("/")),
    };
    let mut command = guardian();
    command
        .args(["/bin/bash", "-c", FIRST, "first"])
        .args(&task.argv)
        .envs(environment(config, home))
        .current_dir(cwd);
    command
}

fn guardian() -> Command {
    let mut command = Command::new("/bin/bash");
    command
        .args(["-c", GUARDIAN, "guardian"])
        .env_clear()
        .process_group(0);
    command
}

/// Joins without the slash that an empty path would leave at the end.
fn below(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path).components().collect()
}

/// The whole environment of a process: nothing is inherited.
fn environment(config: &SandboxConfig, home: &Path) -> BTreeMap<String, OsString> {
    let mut variables: BTreeMap<String, OsString> = BTreeMap::new();
    variables.insert("LANG".into(), "C.UTF-8".into());
    variables.insert("TERM".into(), "dumb".into());
    for (name, value) in &config.env {
        variables.insert(name.clone(), value.into());
    }
    variables.insert("HOME".into(), home.into());
    variables.insert("PATH".into(), search_path(config));
    variables.insert("TMPDIR".into(), "/tmp".into());
    variables.insert("USER".into(), "agent".into());
    variables
}

fn search_path(config: &SandboxConfig) -> OsString {
    let mut path = OsString::new();
    for directory in &config.path {
        path.push(directory);
        path.push(":");
    }
    path.push(SYSTEM_PATH);
    path
}

/// What is shown to every process anyway.
pub(super) fn is_system(path: &Path) -> bool {
    path.starts_with("/usr")
        || TOP_DIRECTORIES
            .iter()
            .any(|top| path.starts_with(Path::new("/").join(top)))
}

fn check(config: &SandboxConfig) -> Result<(), Unavailable> {
    let relative = config
        .ro_binds
        .iter()
        .chain(&config.path)
        .find(|path| !path.is_absolute());
    if let Some(path) = relative {
        return Err(wrong(format!("{} is not an absolute path", path.display())));
    }
    let covering = config.ro_binds.iter().find(|bind| covers_own_place(bind));
    if let Some(bind) = covering {
        return Err(wrong(format!(
            "{} would cover a place of the sandbox's own",
            bind.display()
        )));
    }
    let unusable = config
        .env
        .iter()
        .find(|(name, value)| !is_variable(name, value));
    if let Some((name, _)) = unusable {
        return Err(wrong(format!("{name:?} can't be set as a variable")));
    }
    Ok(())
}

fn wrong(reason: String) -> Unavailable {
    Unavailable::new(reason, "Correct the sandbox's configuration.")
}

fn covers_own_place(bind: &Path) -> bool {
    let lexically_plain = bind
        .components()
        .all(|part| part != std::path::Component::ParentDir);
    !lexically_plain
        || OWN_PLACES
            .iter()
            .any(|own| Path::new(own).starts_with(bind))
}

fn is_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

/// Arguments of bubblewrap, in the order in which it carries them out.
#[derive(Default)]
struct Arguments {
    list: Vec<OsString>,
}

impl Arguments {
    fn isolation(&mut self, nested: bool) {
        self.strings(&[
            "--unshare-all",
            "--unshare-user",
            "--uid",
            "1000",
            "--gid",
            "1000",
        ]);
        if !nested {
            self.strings(&["--disable-userns"]);
        }
        self.strings(&["--die-with-parent", "--new-session", "--as-pid-1"]);
        self.strings(&["--cap-drop", "ALL", "--clearenv", "--hostname", "membrane"]);
        self.strings(&["--json-status-fd", "3"]);
    }

    fn system(&mut self) {
        self.bind("--ro-bind", "/usr", "/usr");
        for top in TOP_DIRECTORIES {
            self.top_directory(&Path::new("/").join(top));
        }
    }

    fn top_directory(&mut self, path: &Path) {
        match fs::read_link(path) {
            Ok(target) => self.bind("--symlink", target, path),
            Err(_) => self.bind("--ro-bind-try", path, path),
        }
    }

    fn processes_and_devices(&mut self) {
        self.strings(&["--proc", "/proc"]);
        for path in PROC_READ_ONLY
            .iter()
            .filter(|path| Path::new(path).exists())
        {
            self.bind("--ro-bind", path, path);
        }
        for path in PROC_HIDDEN.iter().filter(|path| Path::new(path).exists()) {
            self.bind("--ro-bind", "/dev/null", path);
        }
        self.strings(&["--dev", "/dev"]);
        self.strings(&[
            "--perms", "1777", "--size", SHM_BYTES, "--tmpfs", "/dev/shm",
        ]);
        self.strings(&["--perms", "1777", "--size", TMP_BYTES, "--tmpfs", "/tmp"]);
    }

    fn etc(&mut self) {
        for (descriptor, file) in [
            ("4", "passwd"),
            ("5", "group"),
            ("6", "hosts"),
            ("7", "nsswitch.conf"),
        ] {
            let path = Path::new("/etc").join(file);
            self.strings(&["--perms", "0644", "--file", descriptor]);
            self.add([path.into_os_string()]);
        }
        for file in ETC_FILES {
            let path = Path::new("/etc").join(file);
            self.bind("--ro-bind-try", &path, &path);
        }
    }

    fn bind(&mut self, how: &str, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) {
        self.add([how.into(), from.as_ref().to_owned(), to.as_ref().to_owned()]);
    }

    fn strings(&mut self, words: &[&str]) {
        self.list.extend(words.iter().map(OsString::from));
    }

    fn add<const N: usize>(&mut self, words: [OsString; N]) {
        self.list.extend(words);
    }
}
