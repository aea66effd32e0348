//! Row 11: from asking for a command to the first byte that it writes.

use std::{fs, path::Path, process::Stdio};

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use membrane_agent::{
    host::{Host, HostRequest},
    sandbox::{Sandbox, SandboxConfig},
    tools::{OutputSink, ToolInvocation, Toolbox, WorkspacePlace},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, process::Command};
use tokio_util::sync::CancellationToken;

use crate::{
    Settings,
    measure::{now, percentile_ms},
    processes::{arguments, children},
    rounds::{self, Figures, Part, Row},
};

const STARTS: usize = 100;

const ROW: Row = Row {
    title: "11: sandbox start to first byte",
    compared: "100 times `echo x` one by one: the tool Bash, from the call to its first output; and \
        bare bwrap with the same arguments and bash as its first process, from spawn to the first \
        byte; and bash alone",
    persisted: "nothing",
    goal: "p50 at most 1.3 times, p99 at most 1.5 times bare bwrap",
};

struct Tool {
    toolbox: Toolbox,
    _directory: TempDir,
}

#[async_trait]
impl Part for Tool {
    fn name(&self) -> &str {
        "tool Bash in the sandbox"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let mut took = Vec::new();
        for _ in 0..STARTS {
            let (host, mut requests) = Host::channel(16);
            let begun = now();
            let call = self.toolbox.call(
                bash("echo x"),
                OutputSink::new(host, "call"),
                CancellationToken::new(),
            );
            let first = async {
                let first = requests.recv().await;
                let moment = now();
                (first, moment)
            };
            let (output, (first, moment)) = tokio::join!(call, first);
            let right = matches!(first, Some(HostRequest::Delta(delta)) if delta.text == "x\n");
            ensure!(right && !output.is_error, "{output:?}");
            took.push(moment - begun);
        }
        Ok(figures(took))
    }
}

struct Bare {
    name: &'static str,
    argv: Vec<String>,
}

#[async_trait]
impl Part for Bare {
    fn name(&self) -> &str {
        self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let mut took = Vec::new();
        for _ in 0..STARTS {
            let mut program = Command::new(&self.argv[0]);
            program.args(&self.argv[1..]).env_clear().current_dir("/");
            program.stdin(Stdio::null()).stdout(Stdio::piped());
            let begun = now();
            let mut child = program.spawn()?;
            let mut output = child.stdout.take().context("no output")?;
            let first = output.read_u8().await?;
            took.push(now() - begun);
            ensure!(first == b'x' && child.wait().await?.success(), "it failed");
        }
        Ok(figures(took))
    }
}

fn figures(mut took: Vec<u64>) -> Figures {
    vec![
        ("p50 ms", percentile_ms(&mut took, 50)),
        ("p99 ms", percentile_ms(&mut took, 99)),
    ]
}

fn bash(command: &str) -> ToolInvocation {
    ToolInvocation {
        id: "call".to_owned(),
        name: "Bash".to_owned(),
        input: json!({ "command": command }),
    }
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let tool = tool(settings).await?;
    let argv = bare_arguments(running_arguments(&tool.toolbox).await?)?;
    let shell = ["/bin/bash", "-c", "echo x"].map(str::to_owned).to_vec();
    let mut parts: Vec<Box<dyn Part>> = vec![
        Box::new(tool),
        Box::new(Bare {
            name: "bare bwrap",
            argv,
        }),
        Box::new(Bare {
            name: "bash, no sandbox",
            argv: shell,
        }),
    ];
    rounds::run(settings, ROW, &mut parts, &[]).await
}

async fn tool(settings: &Settings) -> anyhow::Result<Tool> {
    let directory = tempfile::tempdir_in(std::path::absolute(&settings.data)?)?;
    let place = WorkspacePlace {
        files: directory.path().join("files"),
        home: directory.path().join("home"),
    };
    fs::create_dir_all(&place.files)?;
    fs::create_dir_all(&place.home)?;
    let config = SandboxConfig {
        inside: Some(settings.membrane.clone()),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await?;
    Ok(Tool {
        toolbox: Toolbox::new(place, sandbox)?,
        _directory: directory,
    })
}

/// What bwrap is really started with, from a command that is running.
async fn running_arguments(toolbox: &Toolbox) -> anyhow::Result<Vec<String>> {
    let (host, mut requests) = Host::channel(16);
    let cancel = CancellationToken::new();
    let call = toolbox.call(
        bash("echo x; sleep 60"),
        OutputSink::new(host, "call"),
        cancel.clone(),
    );
    let look = async {
        requests.recv().await;
        let found = descendant_named("bwrap");
        cancel.cancel();
        found
    };
    let (_, found) = tokio::join!(call, look);
    found
}

/// Arguments of the first process of this name that this one or a child of it has started.
fn descendant_named(name: &str) -> anyhow::Result<Vec<String>> {
    let mut left = children(std::process::id())?;
    while let Some(process) = left.pop() {
        // One that has ended meanwhile is not the one.
        let argv = arguments(process).unwrap_or_default();
        let program = argv.first().map(Path::new);
        if program.is_some_and(|program| program.ends_with(name)) {
            return Ok(argv);
        }
        left.extend(children(process)?);
    }
    bail!("no {name} is running")
}

/// The same with a command of its own.
fn bare_arguments(argv: Vec<String>) -> anyhow::Result<Vec<String>> {
    let own = argv.iter().position(|argument| argument == "--");
    let own = own.context("bwrap was started without a command")?;
    let mut bare = argv[..=own].to_vec();
    bare.extend(["/bin/bash", "-c", "echo x"].map(str::to_owned));
    Ok(bare)
}
