//! The runner that a server starts for itself: the program `membrane-runner` beside its own, as a
//! child with a token of its own, so that runs work without anything else being set up. It is one
//! runner like any other; it ends with the server, and is started again when it ends by itself.

use std::{
    ffi::OsString,
    fs, io,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Config,
    credentials::{digest_of, new_runner_token},
    db::Database,
    error::Error,
};

/// What it calls itself, and its token.
const NAME: &str = "embedded";
/// Before it is started again; twice as long each time, up to the last.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// A runner to start.
#[derive(Debug)]
pub struct EmbeddedRunner {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl EmbeddedRunner {
    /// The runner of a server that listens for runners at this address. Its token is kept in its
    /// directory, and stays the same as long as it is good.
    ///
    /// # Errors
    /// When its directory or its token can't be made.
    pub async fn prepare(
        config: &Config,
        database: &Database,
        clock: &Clock,
        listen: SocketAddr,
    ) -> Result<Self, Error> {
        let directory = config.data_dir.join("runner");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(unusable)?;
        let token_file = directory.join("token");
        if !is_good(database, &token_file).await? {
            let now = clock.now();
            let (_, secret) = new_runner_token(database, NAME.to_owned(), None, now).await?;
            keep(&token_file, &secret).map_err(unusable)?;
        }
        let mut arguments: Vec<OsString> = [
            ("--server-url=", here(listen).into()),
            ("--token-file=", token_file.into_os_string()),
            ("--work-dir=", directory.into_os_string()),
            ("--name=", NAME.into()),
            ("--log=", config.log.clone().into()),
        ]
        .map(|(flag, value): (&str, OsString)| {
            let mut argument = OsString::from(flag);
            argument.push(value);
            argument
        })
        .into();
        arguments.push("--exit-with-parent".into());
        if let Some(rules) = &config.embedded_runner.egress_allow_private {
            arguments.push(format!("--egress-allow-private={rules}").into());
        }
        let sandbox = config.embedded_runner.sandbox.to_arguments();
        arguments.extend(sandbox.into_iter().map(OsString::from));
        Ok(Self {
            program: config.embedded_runner.program.clone(),
            arguments,
            environment: config.embedded_runner.environment.clone(),
        })
    }

    /// Keeps it running until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        let keeping = async {
            let mut pause = PAUSE;
            loop {
                match self.start() {
                    Ok(mut child) => {
                        // Waiting would close it.
                        let _lifeline = child.stdin.take();
                        match child.wait().await {
                            Ok(status) => tracing::warn!(%status, "the embedded runner ended"),
                            Err(error) => tracing::warn!(%error, "the embedded runner is lost"),
                        }
                    }
                    Err(error) => {
                        let program = self.program.display();
                        tracing::error!(%error, %program, "the embedded runner can't be started: runs wait for another one");
                    }
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    /// The child ends when its standard input does, also if this process is killed.
    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

async fn is_good(database: &Database, file: &Path) -> Result<bool, Error> {
    let Ok(secret) = fs::read_to_string(file) else {
        return Ok(false);
    };
    let found = database.runner_token(digest_of(secret.trim())).await?;
    Ok(found.is_some())
}

fn keep(file: &Path, secret: &str) -> io::Result<()> {
    fs::File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(file)?
        .write_all(secret.as_bytes())
}

/// The server as its own machine reaches it.
fn here(listen: SocketAddr) -> String {
    let host = match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => "127.0.0.1".to_owned(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => "[::1]".to_owned(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    format!("http://{host}:{}", listen.port())
}

fn unusable(error: io::Error) -> Error {
    Error::Internal(format!("the embedded runner has no directory: {error}"))
}
