//! Configuration: flags, then environment, then defaults. The only module that reads the
//! environment.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Command, Parser};
use membrane_agent::{
    command_line::unknown_variable,
    egress::{AllowRule, BadAllowRule},
    sandbox::{SandboxConfig, SandboxOptions},
};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::Url;

/// The variables that are no flags: what is secret stands on no command line.
const TOKEN: &str = "MEMBRANE_RUNNER_TOKEN";
const INVOKE_TOKEN: &str = "MEMBRANE_RUNNER_INVOKE_TOKEN";
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
    /// It is to be called, and nothing says by whom.
    #[error("no invoke token: set MEMBRANE_RUNNER_INVOKE_TOKEN or --invoke-token-file")]
    NoInvokeToken,
    /// Who knows one of the tokens must not know the other.
    #[error("the invoke token must be another one than the runner token")]
    SameToken,
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

    /// Address on which the server calls this runner (POST /invoke). Then it claims nothing unless it
    /// is called. Default: none, it claims all the time.
    #[arg(long, env = "MEMBRANE_RUNNER_INVOKE_LISTEN", value_name = "ADDRESS")]
    pub invoke_listen: Option<SocketAddr>,

    /// File with the token that the server shows when it calls, instead of
    /// MEMBRANE_RUNNER_INVOKE_TOKEN.
    #[arg(long, env = "MEMBRANE_RUNNER_INVOKE_TOKEN_FILE", value_name = "FILE")]
    pub invoke_token_file: Option<PathBuf>,

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

    /// Seconds for which files and HOME of a workspace's latest run are kept for its next one; 0 for not
    /// at all.
    #[arg(
        long,
        env = "MEMBRANE_RUNNER_SANDBOX_TTL",
        value_name = "SECONDS",
        default_value_t = 10_800
    )]
    pub sandbox_ttl: u64,

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

/// How the server calls a runner.
#[derive(Debug)]
pub struct Invocation {
    /// Where.
    pub listen: SocketAddr,
    /// What it shows.
    pub token: SecretString,
}

/// The effective configuration.
#[derive(Debug)]
pub struct Config {
    /// The server's origin.
    pub server: Url,
    /// What proves that this is a runner.
    pub token: SecretString,
    /// Where the server calls it, if it does.
    pub invocation: Option<Invocation>,
    /// What this runner calls itself.
    pub name: String,
    /// What it has.
    pub labels: HashMap<String, String>,
    /// Runs at work at the same time.
    pub capacity: usize,
    /// Between heartbeats.
    pub heartbeat: Duration,
    /// How long something is kept between runs.
    pub sandbox_ttl: Duration,
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
        if let Some(name) = unknown_variable(command, variables(), &[TOKEN, INVOKE_TOKEN]) {
            return Err(ConfigError::UnknownVariable(name));
        }
        let work_dir = given
            .work_dir
            .or_else(platform_directory)
            .ok_or(ConfigError::NoDirectory)?;
        let work_dir =
            std::path::absolute(&work_dir).map_err(|error| ConfigError::File(work_dir, error))?;
        let heartbeat = Duration::from_millis(given.heartbeat_ms);
        let token = secret(TOKEN, given.token_file.as_deref())?.ok_or(ConfigError::NoToken)?;
        let invoke_token = secret(INVOKE_TOKEN, given.invoke_token_file.as_deref())?;
        Ok(Self {
            server: origin(given.server_url)?,
            invocation: invocation(given.invoke_listen, invoke_token, &token)?,
            token,
            name: given.name.unwrap_or_else(machine_name),
            labels: labels(given.labels.as_deref().unwrap_or_default())?,
            capacity: given.capacity.clamp(1, MAX_CAPACITY) as usize,
            heartbeat: heartbeat.clamp(MIN_HEARTBEAT, MAX_HEARTBEAT),
            sandbox_ttl: Duration::from_secs(given.sandbox_ttl),
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

/// A secret from its file, or else from the variable.
fn secret(name: &str, file: Option<&Path>) -> Result<Option<SecretString>, ConfigError> {
    let given = match file {
        Some(path) => fs::read_to_string(path)
            .map_err(|error| ConfigError::File(path.to_owned(), error))?
            .trim()
            .to_owned(),
        None => variable(name)
            .and_then(|token| token.into_string().ok())
            .unwrap_or_default(),
    };
    Ok((!given.is_empty()).then(|| given.into()))
}

fn invocation(
    listen: Option<SocketAddr>,
    token: Option<SecretString>,
    runner_token: &SecretString,
) -> Result<Option<Invocation>, ConfigError> {
    let Some(listen) = listen else {
        return Ok(None);
    };
    let token = token.ok_or(ConfigError::NoInvokeToken)?;
    if token.expose_secret() == runner_token.expose_secret() {
        return Err(ConfigError::SameToken);
    }
    Ok(Some(Invocation { listen, token }))
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
    fn who_calls_shows_a_token_of_its_own() {
        let listen = "127.0.0.1:0".parse().ok();
        let runner: SecretString = "runner".to_owned().into();
        let same = invocation(listen, Some(runner.clone()), &runner);
        assert!(matches!(same, Err(ConfigError::SameToken)));
        let none = invocation(listen, None, &runner);
        assert!(matches!(none, Err(ConfigError::NoInvokeToken)));
        let polls = invocation(None, None, &runner);
        assert!(matches!(polls, Ok(None)));
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
