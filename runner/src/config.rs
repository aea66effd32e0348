//! Configuration: flags, then environment, then defaults. The only module that reads the
//! environment.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Command, Parser};
use membrane_agent::{
    command_line::unknown_variable,
    egress::{AllowRule, BadAllowRule},
    sandbox::{SandboxConfig, SandboxOptions},
};
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

/// The variable that is no flag: what is secret stands on no command line.
const TOKEN: &str = "MEMBRANE_RUNNER_TOKEN";
/// Runs at work at the same time, at most.
const MAX_CAPACITY: u32 = 64;
/// A lease is lost after thirty seconds.
const MAX_HEARTBEAT: Duration = Duration::from_secs(15);
const MIN_HEARTBEAT: Duration = Duration::from_millis(100);

/// Why a configuration can't be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A variable with our prefix that means nothing.
    #[error(
        "the environment variable {0} is not one that a runner knows; see `membrane-runner --help`"
    )]
    UnknownVariable(String),
    /// There is no token.
    #[error("no token: set MEMBRANE_RUNNER_TOKEN or --token-file")]
    NoToken,
    /// A file can't be read.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] io::Error),
    /// The server's address is none.
    #[error("the server's address must be an origin such as https://membrane.example.com")]
    ServerUrl,
    /// A label is none.
    #[error("`{0}` is no label: write name=value, separated by commas")]
    Label(String),
    /// A rule of MEMBRANE_EGRESS_ALLOW_PRIVATE is wrong.
    #[error("MEMBRANE_EGRESS_ALLOW_PRIVATE")]
    AllowRule(#[from] BadAllowRule),
    /// There is no home directory to work in.
    #[error("no directory to work in: set MEMBRANE_RUNNER_WORK_DIR")]
    NoDirectory,
}

/// Claims runs of a Membrane server and works on them as an agent in a sandbox.
///
/// The token is read from MEMBRANE_RUNNER_TOKEN, or from a file. A first SIGTERM or SIGINT lets what
/// is at work finish and claims nothing more; a second one ends it, and another runner may have it.
#[derive(Debug, Parser)]
#[command(name = "membrane-runner", version)]
pub struct Given {
    /// The server's origin, for example https://membrane.example.com.
    #[arg(long, env = "MEMBRANE_SERVER_URL", value_name = "URL")]
    pub server_url: Url,

    /// File with the runner token, instead of MEMBRANE_RUNNER_TOKEN.
    #[arg(long, env = "MEMBRANE_RUNNER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// What this runner calls itself. Default: the machine's name.
    #[arg(long, env = "MEMBRANE_RUNNER_NAME", value_name = "NAME")]
    pub name: Option<String>,

    /// What it has, `name=value` separated by commas: runs can ask for it.
    #[arg(long, env = "MEMBRANE_RUNNER_LABELS", value_name = "LABELS")]
    pub labels: Option<String>,

    /// Runs at work at the same time, 1 to 64.
    #[arg(
        long,
        env = "MEMBRANE_RUNNER_CAPACITY",
        value_name = "NUMBER",
        default_value_t = 1
    )]
    pub capacity: u32,

    /// Milliseconds between heartbeats, 100 to 15000; a lease is lost after 30 seconds without one.
    #[arg(
        long,
        env = "MEMBRANE_RUNNER_HEARTBEAT_MS",
        value_name = "MS",
        default_value_t = 10_000
    )]
    pub heartbeat_ms: u64,

    /// Directory to work in; one runner at a time uses it. Default: membrane-runner in the
    /// platform's data directory.
    #[arg(long, env = "MEMBRANE_RUNNER_WORK_DIR", value_name = "DIRECTORY")]
    pub work_dir: Option<PathBuf>,

    /// Private addresses, ranges or hosts that agents may reach where a workspace names them,
    /// separated by commas. Default: none.
    #[arg(long, env = "MEMBRANE_EGRESS_ALLOW_PRIVATE", value_name = "RULES")]
    pub egress_allow_private: Option<String>,

    /// Which log lines are written, in tracing's filter syntax.
    #[arg(
        long,
        env = "MEMBRANE_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub log: String,

    /// Ends when standard input does: for a server that starts its own runner.
    #[arg(long, hide = true)]
    pub exit_with_parent: bool,

    /// Where agents' processes run.
    #[command(flatten)]
    pub sandbox: SandboxOptions,
}

/// The effective configuration.
#[derive(Debug)]
pub struct Config {
    /// The server's origin.
    pub server: Url,
    /// What proves that this is a runner.
    pub token: SecretString,
    /// What this runner calls itself.
    pub name: String,
    /// What it has.
    pub labels: HashMap<String, String>,
    /// Runs at work at the same time.
    pub capacity: usize,
    /// Between heartbeats.
    pub heartbeat: Duration,
    /// Directory to work in.
    pub work_dir: PathBuf,
    /// Private addresses that agents may reach.
    pub egress_allow_private: Vec<AllowRule>,
    /// Where agents' processes run.
    pub sandbox: SandboxConfig,
    /// Which log lines are written.
    pub log: String,
}

impl Config {
    /// The effective configuration of what was given.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(given: Given, command: &Command) -> Result<Self, ConfigError> {
        if let Some(name) = unknown_variable(command, variables(), TOKEN) {
            return Err(ConfigError::UnknownVariable(name));
        }
        let work_dir = given
            .work_dir
            .or_else(platform_directory)
            .ok_or(ConfigError::NoDirectory)?;
        let work_dir =
            std::path::absolute(&work_dir).map_err(|error| ConfigError::File(work_dir, error))?;
        let heartbeat = Duration::from_millis(given.heartbeat_ms);
        Ok(Self {
            server: origin(given.server_url)?,
            token: token(given.token_file.as_deref())?,
            name: given.name.unwrap_or_else(machine_name),
            labels: labels(given.labels.as_deref().unwrap_or_default())?,
            capacity: given.capacity.clamp(1, MAX_CAPACITY) as usize,
            heartbeat: heartbeat.clamp(MIN_HEARTBEAT, MAX_HEARTBEAT),
            egress_allow_private: AllowRule::list(
                given.egress_allow_private.as_deref().unwrap_or_default(),
            )?,
            sandbox: given.sandbox.config(
                &work_dir,
                variable("PATH").as_deref(),
                variable("HOME").as_deref(),
            ),
            work_dir,
            log: given.log,
        })
    }
}

fn origin(url: Url) -> Result<Url, ConfigError> {
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_origin.then_some(url).ok_or(ConfigError::ServerUrl)
}

fn token(file: Option<&Path>) -> Result<SecretString, ConfigError> {
    let given = match file {
        Some(path) => fs::read_to_string(path)
            .map_err(|error| ConfigError::File(path.to_owned(), error))?
            .trim()
            .to_owned(),
        None => variable(TOKEN)
            .and_then(|token| token.into_string().ok())
            .unwrap_or_default(),
    };
    if given.is_empty() {
        return Err(ConfigError::NoToken);
    }
    Ok(given.into())
}

fn labels(list: &str) -> Result<HashMap<String, String>, ConfigError> {
    let labels = list.split(',').map(str::trim).filter(|one| !one.is_empty());
    let label = |one: &str| {
        let pair = one.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = pair.ok_or_else(|| ConfigError::Label(one.to_owned()))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    labels.map(label).collect()
}

fn machine_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn platform_directory() -> Option<PathBuf> {
    let base = match variable("XDG_DATA_HOME") {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(variable("HOME")?).join(".local/share"),
    };
    Some(base.join("membrane-runner"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]
fn variables() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name)
}

/// The arguments that this program was started with, and its name before them.
#[expect(
    clippy::disallowed_methods,
    reason = "what the sandbox asks is no command of a person's"
)]
pub fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs() {
        let found = labels("gpu=a100, zone=").expect("labels");
        assert_eq!(found["gpu"], "a100");
        assert_eq!(found["zone"], "");
        for text in ["gpu", "=x", "a=b,c"] {
            assert!(labels(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_an_origin_is_a_server() {
        let parse = |text: &str| origin(text.parse().expect("a URL"));
        assert!(parse("http://127.0.0.1:3000").is_ok());
        for text in [
            "ftp://a.example",
            "http://a.example/x",
            "http://u@a.example",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
