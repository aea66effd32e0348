//! A workspace in a temporary directory, and short ways to call tools in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use membrane_agent::sandbox::{Sandbox, SandboxConfig, Unavailable, toolchains};
use membrane_agent::tools::{OutputSink, ToolInvocation, ToolOutput, Toolbox, WorkspacePlace};
use membrane_proto::v1::tool_content::Kind;
use membrane_proto::v1::tool_result::Detail;
use membrane_proto::v1::{CommandDetail, FileChangeDetail, FileReadDetail, SearchDetail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Nothing in these tests takes longer unless it hangs.
pub const HANG: Duration = Duration::from_secs(60);

/// A workspace and its tools.
pub struct Bench {
    /// Its data directory: workspaces, and what a server keeps beside them.
    pub data: TempDir,
    pub tools: Toolbox,
}

impl Bench {
    /// A workspace whose Bash is refused: for the tools that start no process.
    pub fn without_sandbox() -> Self {
        Self::with(Sandbox::unavailable(Unavailable {
            reason: "this test has none".to_owned(),
            fix: "None is needed.".to_owned(),
        }))
    }

    /// A workspace with the sandbox.
    pub async fn new() -> Self {
        Self::with(sandbox(SandboxConfig::default()).await)
    }

    pub fn with(sandbox: Sandbox) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let place = place_in(data.path());
        fs::create_dir_all(&place.files).expect("the files directory");
        fs::create_dir_all(&place.home).expect("the home directory");
        let tools = Toolbox::new(place, sandbox).expect("the toolbox opens");
        Self { data, tools }
    }

    /// The host's path of a file in the workspace.
    pub fn file(&self, name: &str) -> PathBuf {
        place_in(self.data.path()).files.join(name)
    }

    /// The host's path of a file in HOME.
    pub fn home(&self, name: &str) -> PathBuf {
        place_in(self.data.path()).home.join(name)
    }

    /// Puts a file into the workspace.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        fs::write(&path, content).expect("the file");
        path
    }

    pub fn content(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("the file")
    }

    pub async fn call(&self, name: &str, input: Value) -> ToolOutput {
        self.call_until(name, input, CancellationToken::new()).await
    }

    pub async fn call_until(
        &self,
        name: &str,
        input: Value,
        cancel: CancellationToken,
    ) -> ToolOutput {
        let call = invocation(name, input);
        let output = timeout(HANG, self.tools.call(call, OutputSink::discard(), cancel))
            .await
            .expect("the call ends");
        self.assert_no_host_path(&output);
        output
    }

    pub async fn bash(&self, command: &str) -> ToolOutput {
        self.call("Bash", json!({ "command": command })).await
    }

    pub async fn read(&self, path: &str) -> ToolOutput {
        self.call("Read", json!({ "file_path": path })).await
    }

    /// Host paths never appear in any output.
    fn assert_no_host_path(&self, output: &ToolOutput) {
        let host = self.data.path().to_str().expect("a plain path");
        assert!(!format!("{output:?}").contains(host), "{output:?}");
    }
}

pub fn place_in(data: &Path) -> WorkspacePlace {
    WorkspacePlace {
        files: data.join("workspaces/own/files"),
        home: data.join("workspaces/own/home"),
    }
}

pub async fn sandbox(mut config: SandboxConfig) -> Sandbox {
    config.inside.get_or_insert_with(inside);
    let started = Sandbox::start(config).await;
    started.expect("these tests need bubblewrap: apt-get install bubblewrap")
}

/// The program that is the first process inside.
pub fn inside() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_membrane-inside"))
}

/// The sandbox as it is configured for the toolchains that these tests are built with.
#[expect(
    clippy::disallowed_methods,
    reason = "what is on the PATH of whoever runs the tests is the point"
)]
pub fn with_this_machines_toolchains() -> SandboxConfig {
    let path = std::env::var_os("PATH").expect("a PATH");
    let home = std::env::var_os("HOME").expect("a HOME");
    let found = toolchains::detect(&path, Path::new(&home));
    let config = SandboxConfig {
        inside: Some(inside()),
        ..SandboxConfig::default()
    };
    config.with_toolchains(&found)
}

pub fn invocation(name: &str, input: Value) -> ToolInvocation {
    ToolInvocation {
        id: "call_1".to_owned(),
        name: name.to_owned(),
        input,
    }
}

/// All text of an output.
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

/// The text of an output that has to be a success.
pub fn good(output: &ToolOutput) -> String {
    assert!(!output.is_error, "{}", text(output));
    text(output)
}

/// The text of an output that has to be an error.
pub fn bad(output: &ToolOutput) -> String {
    assert!(output.is_error, "{}", text(output));
    text(output)
}

pub fn command(output: &ToolOutput) -> &CommandDetail {
    match &output.detail {
        Some(Detail::Command(detail)) => detail,
        other => panic!("not a command: {other:?}"),
    }
}

pub fn change(output: &ToolOutput) -> &FileChangeDetail {
    match &output.detail {
        Some(Detail::FileChange(detail)) => detail,
        other => panic!("not a file change: {other:?}"),
    }
}

pub fn file_read(output: &ToolOutput) -> &FileReadDetail {
    match &output.detail {
        Some(Detail::FileRead(detail)) => detail,
        other => panic!("not a file that was read: {other:?}"),
    }
}

pub fn found(output: &ToolOutput) -> &SearchDetail {
    match &output.detail {
        Some(Detail::Search(detail)) => detail,
        other => panic!("not a search: {other:?}"),
    }
}

/// The processes of this machine with `marker` among their arguments.
pub fn processes_with(marker: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let commands = entries.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    let commands = commands.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    commands
        .filter(|command| command.contains(marker))
        .collect()
}
