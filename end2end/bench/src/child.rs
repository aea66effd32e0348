//! A server in a process of its own, as the driver holds it.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child as Process, ChildStdin, ChildStdout, Command as Program},
    time::timeout,
};

use crate::{
    Settings,
    plan::{Command, Plan, Produced, Ready},
};

/// No answer takes longer unless it hangs.
const CAP: Duration = Duration::from_secs(300);

/// A running server. Killed when it is dropped.
pub struct Child {
    /// Where it is and who may read.
    pub ready: Ready,
    /// The process.
    pub process: Process,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts one of the servers in this very program.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn own(arguments: &[&str], directory: &Path) -> anyhow::Result<Self> {
        let mut program = Program::new("/proc/self/exe");
        program.args(arguments).arg("--directory").arg(directory);
        Self::start(program).await
    }

    /// Starts the peer; none if there is no Python for it.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn peer(settings: &Settings, directory: &Path) -> anyhow::Result<Option<Self>> {
        let Some(python) = &settings.python else {
            return Ok(None);
        };
        let mut program = Program::new(python);
        let database = directory.join("peer.db");
        program.arg(&settings.peer).arg("--database").arg(database);
        Ok(Some(Self::start(program).await?))
    }

    async fn start(mut program: Program) -> anyhow::Result<Self> {
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = program.kill_on_drop(true).spawn()?;
        let commands = process.stdin.take().context("no standard input")?;
        let stdout = process.stdout.take().context("no standard output")?;
        let mut answers = BufReader::new(stdout).lines();
        let ready = answer(&mut answers).await.context("it did not start")?;
        Ok(Self {
            ready,
            process,
            commands,
            answers,
        })
    }

    /// Has events produced, and returns when all are stored.
    ///
    /// # Errors
    /// When it fails or hangs.
    pub async fn produce(&mut self, plan: Plan) -> anyhow::Result<Produced> {
        self.command(Command::Produce(plan)).await?;
        answer(&mut self.answers).await
    }

    /// Says a line to it.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn command(&mut self, command: Command) -> anyhow::Result<()> {
        let line = format!("{}\n", serde_json::to_string(&command)?);
        Ok(self.commands.write_all(line.as_bytes()).await?)
    }

    /// Its next number.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn number(&mut self) -> anyhow::Result<i64> {
        answer(&mut self.answers).await
    }
}

async fn answer<T: DeserializeOwned>(
    answers: &mut Lines<BufReader<ChildStdout>>,
) -> anyhow::Result<T> {
    match timeout(CAP, answers.next_line()).await?? {
        Some(line) => serde_json::from_str(&line).with_context(|| format!("it said {line:?}")),
        None => bail!("it ended"),
    }
}
