//! How a process is started: what bubblewrap is told to show it, and what the first process inside
//! is told to do.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::process::Command;

use super::etc::Etc;
use super::guards::{Guard, Guards};
use super::inside::{self, Orders, Start};
use super::limits::Limits;
use super::toolchains::Toolchain;
use super::{Door, HOME, SandboxConfig, Task, Unavailable, WORKSPACE};

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
/// What may be changed inside.
const WRITABLE: [&str; 4] = [WORKSPACE, HOME, "/tmp", "/dev/shm"];
/// Variables that are the same for everybody.
const FIXED: [&str; 4] = ["HOME", "PATH", "TMPDIR", "USER"];
/// The program that this process runs, also when its file has been replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Size of /tmp and of /dev/shm in bytes; both are memory.
const TMP_BYTES: &str = "1073741824";
const SHM_BYTES: &str = "67108864";

/// Everything about bubblewrap that is the same for each process.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    bubblewrap: PathBuf,
    fixed: Vec<OsString>,
    first: First,
    config: SandboxConfig,
    _etc: Etc,
}

/// The first process: our own program, and its orders.
#[derive(Debug, Clone)]
pub(super) struct First {
    program: Arc<File>,
    orders: String,
    guards: Guards,
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
        let etc = Etc::write(config.etc.as_deref())
            .map_err(|error| wrong(format!("files for /etc could not be written ({error})")))?;
        let guards = &config.guards;
        let mut arguments = Arguments::default();
        arguments.isolation(guards, nested);
        arguments.system(guards);
        arguments.processes_and_devices(guards);
        arguments.etc(&etc);
        arguments.show(&config.ro_binds);
        Ok(Self {
            bubblewrap: bubblewrap.to_owned(),
            fixed: arguments.list,
            first: First::new(config, true)?,
            config: config.clone(),
            _etc: etc,
        })
    }

    pub(super) fn limits(&self) -> Limits {
        self.config.limits
    }

    pub(super) fn guards(&self) -> &Guards {
        &self.first.guards
    }

    /// The command that starts a process inside.
    pub(super) fn command(&self, task: &Task<'_>) -> io::Result<Command> {
        let mut inside = Arguments::default();
        for toolchain in visible(&self.config, task.hidden_toolchains) {
            inside.show(&toolchain.ro_binds);
        }
        let variables = environment(&self.config, task.hidden_toolchains, Path::new(HOME));
        for (name, value) in variables {
            inside.add(["--setenv".into(), OsString::from(name), value]);
        }
        match task.place {
            Some(place) => {
                inside.bind("--bind", &place.files, WORKSPACE);
                inside.bind("--bind", &place.home, HOME);
            }
            None => inside.strings(&["--tmpfs", WORKSPACE, "--tmpfs", HOME]),
        }
        // Last, when all mount points exist: the tree that holds them becomes read-only.
        if self.first.guards.has(Guard::ReadOnlyRoot) {
            inside.strings(&["--remount-ro", "/dev", "--remount-ro", "/"]);
        }
        inside.strings(&["--chdir"]);
        inside.add([below(Path::new(WORKSPACE), task.cwd).into_os_string()]);
        inside.strings(&["--"]);

        let mut command = self.first.command(&self.bubblewrap)?;
        command
            .args(&self.fixed)
            .args(inside.list)
            .arg(inside::PROGRAM)
            .args(self.first.arguments(task, task.doors)?)
            .args(&task.argv)
            .current_dir("/");
        Ok(command)
    }
}

impl First {
    /// Opens the program now: it stays the same when a newer one takes its place.
    pub(super) fn new(config: &SandboxConfig, confined: bool) -> Result<Self, Unavailable> {
        let path = config.inside.as_deref().unwrap_or(Path::new(OWN_PROGRAM));
        let program = File::open(path)
            .map_err(|error| wrong(format!("{} can't be opened ({error})", path.display())))?;
        let orders = Orders {
            confined,
            limits: config.limits,
            guards: config.guards.clone(),
            readable: readable(config),
            writable: WRITABLE.map(PathBuf::from).into(),
        };
        let orders = serde_json::to_string(&orders)
            .map_err(|_| wrong("a read-only directory has a name that is no text".to_owned()))?;
        Ok(Self {
            program: Arc::new(program),
            orders,
            guards: config.guards.clone(),
        })
    }

    /// The command that starts a process without a sandbox.
    pub(super) fn unconfined_command(
        &self,
        config: &SandboxConfig,
        task: &Task<'_>,
    ) -> io::Result<Command> {
        let (cwd, home) = match task.place {
            Some(place) => (below(&place.files, task.cwd), place.home.as_path()),
            None => (PathBuf::from("/"), Path::new("/")),
        };
        let mut command = self.command(inside::PROGRAM)?;
        command
            .args(self.arguments(task, &[])?)
            .args(&task.argv)
            .envs(environment(config, task.hidden_toolchains, home))
            .current_dir(cwd);
        Ok(command)
    }

    /// What comes before the command. Its variables are not the first process's: they may say what
    /// is loaded into whoever has them.
    fn arguments(&self, task: &Task<'_>, doors: &[Door]) -> io::Result<[String; 3]> {
        let of_doors = doors.iter().flat_map(|door| &door.environment);
        let start = Start {
            variables: own_variables(task.env.iter().chain(of_doors)).collect(),
            doors: doors.iter().map(|door| door.port).collect(),
        };
        let start = serde_json::to_string(&start)?;
        Ok([inside::ASKED.to_owned(), self.orders.clone(), start])
    }

    /// A command in a process group of its own, with nothing but the program to inherit.
    fn command(&self, program: impl AsRef<OsStr>) -> io::Result<Command> {
        let mut command = Command::new(program);
        command.stdin(self.program.try_clone()?).process_group(0);
        if self.guards.has(Guard::Environment) {
            command.env_clear();
        }
        Ok(command)
    }
}

/// What the mounts show, once more.
fn readable(config: &SandboxConfig) -> Vec<PathBuf> {
    let top = TOP_DIRECTORIES.iter().map(|top| Path::new("/").join(top));
    let system = ["/usr", "/etc", "/proc"].map(PathBuf::from);
    let all = system.into_iter().chain(top);
    let offered = config.toolchains.iter().flat_map(|one| &one.ro_binds);
    let shown = config.ro_binds.iter().chain(offered);
    all.chain(shown.cloned()).collect()
}

/// The toolchains that are not hidden.
fn visible<'config>(
    config: &'config SandboxConfig,
    hidden: &[String],
) -> impl Iterator<Item = &'config Toolchain> {
    let toolchains = config.toolchains.iter();
    toolchains.filter(|toolchain| !hidden.contains(&toolchain.name))
}

/// Joins without the slash that an empty path would leave at the end.
fn below(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path).components().collect()
}

/// The whole environment of a process: nothing is inherited.
fn environment(
    config: &SandboxConfig,
    hidden: &[String],
    home: &Path,
) -> BTreeMap<String, OsString> {
    let mut variables: BTreeMap<String, OsString> = BTreeMap::new();
    variables.insert("LANG".into(), "C.UTF-8".into());
    variables.insert("TERM".into(), "dumb".into());
    let of_toolchains = visible(config, hidden).flat_map(|toolchain| &toolchain.env);
    for (name, value) in of_toolchains.chain(&config.env) {
        variables.insert(name.clone(), value.into());
    }
    variables.insert("HOME".into(), home.into());
    variables.insert("PATH".into(), search_path(config, hidden));
    variables.insert("TMPDIR".into(), "/tmp".into());
    variables.insert("USER".into(), "agent".into());
    variables
}

/// A process's own variables, without those that are not to be set; of equal names the last.
fn own_variables<'env>(
    env: impl Iterator<Item = &'env (String, String)>,
) -> impl Iterator<Item = (String, String)> {
    let settable = |(name, value): &&(String, String)| {
        !FIXED.contains(&name.as_str()) && is_variable(name, value)
    };
    env.filter(settable).cloned()
}

fn search_path(config: &SandboxConfig, hidden: &[String]) -> OsString {
    let mut path = OsString::new();
    let of_toolchains = visible(config, hidden).flat_map(|toolchain| &toolchain.path);
    for directory in config.path.iter().chain(of_toolchains) {
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
    let offered = || config.toolchains.iter();
    let binds = || {
        config
            .ro_binds
            .iter()
            .chain(offered().flat_map(|one| &one.ro_binds))
    };
    let relative = binds()
        .chain(&config.path)
        .chain(offered().flat_map(|one| &one.path))
        .find(|path| !path.is_absolute());
    if let Some(path) = relative {
        return Err(wrong(format!("{} is not an absolute path", path.display())));
    }
    let covering = binds().find(|bind| covers_own_place(bind));
    if let Some(bind) = covering {
        return Err(wrong(format!(
            "{} would cover a place of the sandbox's own",
            bind.display()
        )));
    }
    let variables = config.env.iter().chain(offered().flat_map(|one| &one.env));
    let unusable = variables
        .into_iter()
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
    fn isolation(&mut self, guards: &Guards, nested: bool) {
        self.strings(&["--unshare-user", "--as-pid-1", "--gid", "1000"]);
        if !nested && guards.has(Guard::NestedNamespaces) {
            self.strings(&["--disable-userns"]);
        }
        let namespaces: [(Guard, &[&str]); 7] = [
            (Guard::CgroupNamespace, &["--unshare-cgroup-try"]),
            (
                Guard::HostNamespace,
                &["--unshare-uts", "--hostname", "membrane"],
            ),
            (Guard::IpcNamespace, &["--unshare-ipc"]),
            (Guard::NetworkNamespace, &["--unshare-net"]),
            (Guard::ProcessNamespace, &["--unshare-pid"]),
            (Guard::User, &["--uid", "1000"]),
            (Guard::Session, &["--new-session"]),
        ];
        for (_, words) in namespaces.iter().filter(|(guard, _)| guards.has(*guard)) {
            self.strings(words);
        }
        let none = guards.has(Guard::Capabilities);
        self.strings(&[if none { "--cap-drop" } else { "--cap-add" }, "ALL"]);
        if guards.has(Guard::Environment) {
            self.strings(&["--clearenv"]);
        }
    }

    fn system(&mut self, guards: &Guards) {
        let read_only = guards.has(Guard::ReadOnlySystem);
        let how = if read_only { "--ro-bind" } else { "--bind" };
        self.bind(how, "/usr", "/usr");
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

    fn processes_and_devices(&mut self, guards: &Guards) {
        self.strings(&["--proc", "/proc"]);
        if guards.has(Guard::MaskedProc) {
            self.masks();
        }
        self.strings(&["--dev", "/dev"]);
        self.strings(&[
            "--perms", "1777", "--size", SHM_BYTES, "--tmpfs", "/dev/shm",
        ]);
        self.strings(&["--perms", "1777", "--size", TMP_BYTES, "--tmpfs", "/tmp"]);
    }

    fn masks(&mut self) {
        let here = |path: &&&str| Path::new(path).exists();
        for path in PROC_READ_ONLY.iter().filter(here) {
            self.bind("--ro-bind", path, path);
        }
        for path in PROC_HIDDEN.iter().filter(here) {
            self.bind("--ro-bind", "/dev/null", path);
        }
    }

    fn etc(&mut self, made_up: &Etc) {
        for (path, name) in made_up.files() {
            self.bind("--ro-bind", path, Path::new("/etc").join(name));
        }
        for file in ETC_FILES {
            let path = Path::new("/etc").join(file);
            self.bind("--ro-bind-try", &path, &path);
        }
    }

    fn bind(&mut self, how: &str, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) {
        self.add([how.into(), from.as_ref().to_owned(), to.as_ref().to_owned()]);
    }

    /// Shows what there is of these, read-only, under their own paths.
    fn show(&mut self, directories: &[PathBuf]) {
        for bind in directories.iter().filter(|bind| !is_system(bind)) {
            self.bind("--ro-bind-try", bind, bind);
        }
    }

    fn strings(&mut self, words: &[&str]) {
        self.list.extend(words.iter().map(OsString::from));
    }

    fn add<const N: usize>(&mut self, words: [OsString; N]) {
        self.list.extend(words);
    }
}
