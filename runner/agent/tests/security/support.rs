//! A server's directory with something to steal in it, and a sandbox to try that from.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use membrane_agent::sandbox::{Guard, Guards, Limits, Sandbox, SandboxConfig};
use membrane_agent::tools::{OutputSink, ToolInvocation, ToolOutput, Toolbox, WorkspacePlace};
use membrane_proto::v1::tool_content::Kind;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Nothing in these tests takes longer unless it hangs.
pub const HANG: Duration = Duration::from_secs(90);
/// What is not to be found inside. In two parts, so that this program's own text is not it.
pub const CANARY: [&str; 2] = ["canary-of-", "the-server-5b1e"];

/// A server's data directory, and the tools of one of its workspaces.
pub struct Scene {
    pub data: TempDir,
    pub tools: Toolbox,
}

impl Scene {
    pub async fn new() -> Self {
        let sandbox = Sandbox::start(config(Limits::default(), &[])).await;
        Self::with(sandbox.expect("the sandbox works for this user"))
    }

    /// One that is not tried first, which would find that something is missing.
    pub fn without(guards: &[Guard]) -> Self {
        Self::limited(Limits::default(), guards)
    }

    pub fn limited(limits: Limits, guards: &[Guard]) -> Self {
        let sandbox = Sandbox::untried(config(limits, guards));
        Self::with(sandbox.expect("a configuration"))
    }

    fn with(sandbox: Sandbox) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        for secret in SECRETS {
            let path = data.path().join(secret);
            fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
            fs::write(path, CANARY.concat()).expect("a canary");
        }
        let place = place(data.path());
        fs::create_dir_all(&place.files).expect("files");
        fs::create_dir_all(&place.home).expect("home");
        let tools = Toolbox::new(place, sandbox).expect("the toolbox opens");
        Self { data, tools }
    }

    /// What a command says, its exit code among it.
    pub async fn bash(&self, command: &str) -> String {
        text(&self.call("Bash", json!({ "command": command })).await)
    }

    /// What a Python program says. It stands for a server of tools as well, which is such a child
    /// with a pipe on either side.
    pub async fn python(&self, program: &str) -> String {
        self.put("program.py", program);
        self.bash("echo request | python3 program.py | cat").await
    }

    pub async fn call(&self, name: &str, input: Value) -> ToolOutput {
        let call = ToolInvocation {
            id: "call_1".to_owned(),
            name: name.to_owned(),
            input,
        };
        let calling = self
            .tools
            .call(call, OutputSink::discard(), CancellationToken::new());
        timeout(HANG, calling).await.expect("the call ends")
    }

    pub fn files(&self) -> PathBuf {
        place(self.data.path()).files
    }

    pub fn put(&self, name: &str, content: &str) {
        fs::write(self.files().join(name), content).expect("a file");
    }
}

fn config(limits: Limits, without: &[Guard]) -> SandboxConfig {
    assert!(
        !rustix::process::getuid().is_root(),
        "run this by `make security`, which takes another user than root"
    );
    SandboxConfig {
        inside: Some(beside("membrane-inside")),
        guards: Guards::without(without),
        limits,
        ..SandboxConfig::default()
    }
}

/// What a server keeps, and what others have, relative to its data directory.
pub const SECRETS: [&str; 15] = [
    "membrane.db",
    "membrane.db-wal",
    "membrane.db-shm",
    "master.key",
    "membrane.toml",
    "server.lock",
    "workspaces/other/files/source.rs",
    "workspaces/other/files/.env",
    "workspaces/other/home/.netrc",
    "workspaces/other/home/.config/token",
    "workspaces/other/store/ab/cd",
    "workspaces/own/trash/deleted",
    "workspaces/own/uploads/part",
    "workspaces/own/staging/half",
    "workspaces/own/store/ef/01",
];

pub fn place(data: &Path) -> WorkspacePlace {
    WorkspacePlace {
        files: data.join("workspaces/own/files"),
        home: data.join("workspaces/own/home"),
    }
}

/// A program that was built together with this one.
pub fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    let found = own.ancestors().skip(1).map(|place| place.join(name));
    let found = found.take(2).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} was not built"))
}

pub fn text(output: &ToolOutput) -> String {
    let texts = output
        .content
        .iter()
        .filter_map(|content| match &content.kind {
            Some(Kind::Text(text)) => Some(text.as_str()),
            _ => None,
        });
    texts.collect()
}

/// The processes of this machine with `marker` among their arguments.
pub fn processes_with(marker: &str) -> Vec<i32> {
    processes(|line| line.contains(marker))
}

/// Those that call themselves so.
pub fn processes_named(marker: &str) -> Vec<i32> {
    processes(|line| line.starts_with(marker))
}

fn processes(wanted: impl Fn(&str) -> bool) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_wanted = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        wanted(&String::from_utf8_lossy(&line))
    };
    numbers.filter(is_wanted).collect()
}

/// Waits until a condition holds, which it does within seconds unless something is broken.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let polling = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let waited = timeout(HANG, polling).await;
    assert!(waited.is_ok(), "gave up waiting until {what}");
}
