//! The first process inside the sandboxes of these tests, and a server to be killed: `host`, its
//! data directory, a command that is run in a workspace, and the guard that is left out. With
//! `network`, somebody who dials.

mod network;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use membrane_agent::sandbox::{Guards, Sandbox, SandboxConfig, run_if_asked};
use membrane_agent::tools::{OutputSink, ToolInvocation, Toolbox, WorkspacePlace};
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[expect(
    clippy::disallowed_methods,
    reason = "its arguments come from the sandbox, or from tests"
)]
fn main() -> ExitCode {
    if let Some(code) = run_if_asked(std::env::args_os()) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["network"] => in_a_runtime(network::run()),
        ["host", data, command, without] => host(Path::new(data), command, without),
        _ => ExitCode::FAILURE,
    }
}

fn in_a_runtime(work: impl Future<Output = ()>) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(work);
    ExitCode::SUCCESS
}

fn host(data: &Path, command: &str, without: &str) -> ExitCode {
    in_a_runtime(async {
        let place = WorkspacePlace {
            files: made(data.join("files")),
            home: made(data.join("home")),
        };
        let config = SandboxConfig {
            etc: Some(data.join("etc")),
            guards: guards(without),
            ..SandboxConfig::default()
        };
        let sandbox = Sandbox::start(config).await.expect("the sandbox");
        let tools = Toolbox::new(place, sandbox).expect("the toolbox");
        let call = ToolInvocation {
            id: "call_1".to_owned(),
            name: "Bash".to_owned(),
            input: json!({ "command": command }),
        };
        let cancel = CancellationToken::new();
        tools.call(call, OutputSink::discard(), cancel).await;
    })
}

fn made(directory: PathBuf) -> PathBuf {
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}

#[cfg(feature = "switchable-guards")]
fn guards(without: &str) -> Guards {
    match without {
        "Lifeline" => Guards::without(&[membrane_agent::sandbox::Guard::Lifeline]),
        _ => Guards::default(),
    }
}

#[cfg(not(feature = "switchable-guards"))]
fn guards(_: &str) -> Guards {
    Guards::default()
}
