//! Configuration: flags, then environment, then a TOML file, then defaults. The only module that
//! reads the environment.

use std::{
    ffi::OsString,
    fmt, fs, io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Command, ValueEnum};
use membrane_agent::{
    command_line::unknown_variable,
    egress::{AllowRule, BadAllowRule},
    sandbox::{SandboxConfig, SandboxOptions},
};
use secrecy::SecretString;
use serde::Deserialize;
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use crate::{db::Database, dispatch::Endpoint, objects};

mod blob_store;
mod dispatch;

/// The variables that are no flags: what is secret stands on no command line.
const MASTER_KEYS: &str = "MEMBRANE_MASTER_KEYS";
const INVOKE_TOKEN: &str = "MEMBRANE_RUNNER_INVOKE_TOKEN";

/// Why a configuration can't be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A variable with our prefix that means nothing.
    #[error(
        "the environment variable {0} is not one that Membrane knows; see `membrane serve --help`"
    )]
    UnknownVariable(String),
    /// A file or directory can't be used.
    #[error("cannot use {0}")]
    File(PathBuf, #[source] io::Error),
    /// The TOML file is wrong.
    #[error("{0} is not a valid configuration")]
    Toml(PathBuf, #[source] Box<toml::de::Error>),
    /// A rule of MEMBRANE_EGRESS_ALLOW_PRIVATE is wrong.
    #[error("MEMBRANE_EGRESS_ALLOW_PRIVATE")]
    AllowRule(#[from] BadAllowRule),
    /// The public URL is not an origin.
    #[error("MEMBRANE_PUBLIC_URL must be an origin such as https://membrane.example.com")]
    PublicUrl,
    /// Snapshots can't be kept where they should.
    #[error("MEMBRANE_BLOB_STORE {0}")]
    BlobStore(&'static str),
    /// Runners can't be called.
    #[error("MEMBRANE_RUNNER_DISPATCH_URL {0}")]
    Dispatch(&'static str),
    /// There is no home directory to put the data in.
    #[error("no data directory: set MEMBRANE_DATA_DIR")]
    NoDataDirectory,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Every setting as it may be given. The same names, in lower case and without the prefix, are the
/// keys of the TOML file; secrets are not read from it.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Settings")]
pub struct Given {
    /// TOML file with settings.
    #[arg(long, env = "MEMBRANE_CONFIG", global = true, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Address of the one port. Default: 127.0.0.1:3000.
    #[arg(long, env = "MEMBRANE_LISTEN", global = true, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Address of another port for runners. Then the methods of runners are there and nowhere else.
    /// Default: none, they are at the one port.
    #[arg(
        long,
        env = "MEMBRANE_RUNNER_LISTEN",
        global = true,
        value_name = "ADDRESS"
    )]
    pub runner_listen: Option<SocketAddr>,

    /// The origin people use; decides links, cookie flags and which Host headers are answered.
    /// Default: http:// and the listen address.
    #[arg(long, env = "MEMBRANE_PUBLIC_URL", global = true, value_name = "URL")]
    pub public_url: Option<String>,

    /// Directory for database, keys and workspaces. Default: membrane in the platform's data
    /// directory.
    #[arg(
        long,
        env = "MEMBRANE_DATA_DIR",
        global = true,
        value_name = "DIRECTORY"
    )]
    pub data_dir: Option<PathBuf>,

    /// Directory of the workspaces. Default: workspaces in the data directory.
    #[arg(
        long,
        env = "MEMBRANE_WORKSPACE_ROOT",
        global = true,
        value_name = "DIRECTORY"
    )]
    pub workspace_root: Option<PathBuf>,

    /// Database: `sqlite:` followed by a path, or `postgres://user:<password>@host/name`, which several
    /// servers may share. Default: membrane.db in the data directory.
    #[arg(
        long,
        env = "DATABASE_URL",
        global = true,
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: Option<String>,

    /// Where the contents of snapshots are kept: `file:`, beside each workspace, or `s3://<bucket>` with
    /// a prefix of your choice, in an S3-compatible object store. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
    /// AWS_SESSION_TOKEN, AWS_REGION and AWS_ENDPOINT_URL say how to get there. Default: file:
    #[arg(long, env = "MEMBRANE_BLOB_STORE", global = true, value_name = "URL")]
    pub blob_store: Option<String>,

    /// Master keys as `<version>:<base64 of 32 bytes>`, the encrypting one first, separated by
    /// commas. Prefer the file.
    #[arg(skip)]
    #[serde(skip)]
    pub master_keys: Option<SecretString>,

    /// File with the master keys. Default: master.key in the data directory, made at the very first
    /// start, but not with PostgreSQL.
    #[arg(
        long,
        env = "MEMBRANE_MASTER_KEYS_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub master_keys_file: Option<PathBuf>,

    /// Whether a session is refused without a key of its workspace. Default: true.
    #[arg(
        long,
        env = "MEMBRANE_BYOK_REQUIRED",
        global = true,
        value_name = "BOOL"
    )]
    pub byok_required: Option<bool>,

    /// Where agents' processes run.
    #[command(flatten)]
    #[serde(skip)]
    pub sandbox: SandboxOptions,

    /// Whether a runner is started as a child of the server. Default: true with the embedded
    /// database.
    #[arg(
        long,
        env = "MEMBRANE_EMBEDDED_RUNNER",
        global = true,
        value_name = "BOOL"
    )]
    pub embedded_runner: Option<bool>,

    /// Address at which a runner is called while runs wait, for runners that are not there all the
    /// time. Its host may be a private one. Default: none, runners ask by themselves.
    #[arg(
        long,
        env = "MEMBRANE_RUNNER_DISPATCH_URL",
        global = true,
        value_name = "URL"
    )]
    pub runner_dispatch_url: Option<String>,

    /// File with the token that the server shows to runners that it calls, instead of
    /// MEMBRANE_RUNNER_INVOKE_TOKEN; no runner's own token.
    #[arg(
        long,
        env = "MEMBRANE_RUNNER_INVOKE_TOKEN_FILE",
        global = true,
        value_name = "FILE"
    )]
    pub runner_invoke_token_file: Option<PathBuf>,

    /// Private addresses, ranges or hosts that outbound requests may reach, separated by commas.
    /// Default: none.
    #[arg(
        long,
        env = "MEMBRANE_EGRESS_ALLOW_PRIVATE",
        global = true,
        value_name = "RULES"
    )]
    pub egress_allow_private: Option<String>,

    /// Directory of the built console. Default: site beside the program.
    #[arg(
        long,
        env = "MEMBRANE_SITE_DIR",
        global = true,
        value_name = "DIRECTORY"
    )]
    pub site_dir: Option<PathBuf>,

    /// Which log lines are written, in tracing's filter syntax. Default: info.
    #[arg(long, env = "MEMBRANE_LOG", global = true, value_name = "FILTER")]
    pub log: Option<String>,

    /// How logs are written. Default: text.
    #[arg(long, env = "MEMBRANE_LOG_FORMAT", global = true, value_enum)]
    pub log_format: Option<LogFormat>,
}

/// What a runner that is a child of the server is started with.
#[derive(Debug, Clone)]
pub struct EmbeddedRunner {
    /// Whether there is one.
    pub wanted: bool,
    /// The program.
    pub program: PathBuf,
    /// Where agents' processes run.
    pub sandbox: SandboxOptions,
    /// Private addresses that agents may reach.
    pub egress_allow_private: Option<String>,
    /// All that it finds in its environment.
    pub environment: Vec<(&'static str, OsString)>,
}

/// The effective configuration.
#[derive(Clone)]
pub struct Config {
    /// Address of the one port.
    pub listen: SocketAddr,
    /// Address of the port of runners, if they have one.
    pub runner_listen: Option<SocketAddr>,
    /// The origin people use.
    pub public_url: Url,
    /// Database, keys, workspaces.
    pub data_dir: PathBuf,
    /// Master keys, if they were given directly.
    pub master_keys: Option<SecretString>,
    /// Whether a session is refused without a key.
    pub byok_required: bool,
    /// Where tools run.
    pub sandbox: SandboxConfig,
    /// The runner that is a child of the server.
    pub embedded_runner: EmbeddedRunner,
    /// Where runners are called, if they are.
    pub dispatch: Option<Endpoint>,
    /// The object store of snapshots, if they are kept in one.
    pub blob_store: Option<objects::Place>,
    /// Private addresses that may be reached.
    pub egress_allow_private: Vec<AllowRule>,
    /// The built console.
    pub site_dir: PathBuf,
    /// Which log lines are written.
    pub log: String,
    /// How logs are written.
    pub log_format: LogFormat,
    /// The database, unless it is the embedded one.
    pub database_url: Option<String>,
    /// Where workspaces are, unless it is in the data directory.
    pub workspace_root: Option<PathBuf>,
    master_keys_file: Option<PathBuf>,
}

impl Config {
    /// The effective configuration of what was given on the command line and in the environment,
    /// and of the file that names.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(given: Given, command: &Command) -> Result<Self, ConfigError> {
        if let Some(name) = unknown_variable(command, variables(), &[MASTER_KEYS, INVOKE_TOKEN]) {
            return Err(ConfigError::UnknownVariable(name));
        }
        let file = match &given.config {
            Some(path) => read_file(path)?,
            None => Given::default(),
        };
        Self::resolve(merge(given, file))
    }

    fn resolve(given: Given) -> Result<Self, ConfigError> {
        let listen = given
            .listen
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3_000)));
        let data_dir = given
            .data_dir
            .clone()
            .or_else(platform_data_dir)
            .ok_or(ConfigError::NoDataDirectory)?;
        let data_dir =
            std::path::absolute(&data_dir).map_err(|error| ConfigError::File(data_dir, error))?;
        Ok(Self {
            listen,
            runner_listen: given.runner_listen,
            public_url: public_url(given.public_url.as_deref(), listen)?,
            master_keys: given
                .master_keys
                .clone()
                .or_else(master_keys_from_environment),
            byok_required: given.byok_required.unwrap_or(true),
            sandbox: given.sandbox.config(
                &data_dir,
                variable("PATH").as_deref(),
                variable("HOME").as_deref(),
            ),
            embedded_runner: EmbeddedRunner {
                wanted: given
                    .embedded_runner
                    .unwrap_or(given.database_url.is_none()),
                program: beside_this_program("membrane-runner"),
                sandbox: given.sandbox.clone(),
                egress_allow_private: given.egress_allow_private.clone(),
                environment: ["PATH", "HOME"]
                    .into_iter()
                    .filter_map(|name| Some((name, variable(name)?)))
                    .collect(),
            },
            dispatch: dispatch::endpoint(&given, variable(INVOKE_TOKEN))?,
            blob_store: blob_store::place(given.blob_store.as_deref(), variable)?,
            egress_allow_private: AllowRule::list(
                given.egress_allow_private.as_deref().unwrap_or_default(),
            )?,
            site_dir: given.site_dir.clone().unwrap_or_else(site_dir),
            log: given.log.clone().unwrap_or_else(|| "info".to_owned()),
            log_format: given.log_format.unwrap_or(LogFormat::Text),
            workspace_root: given.workspace_root,
            database_url: given.database_url,
            master_keys_file: given.master_keys_file,
            data_dir,
        })
    }

    /// A configuration for a server in this directory, for tests.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn for_directory(data_dir: &Path, listen: SocketAddr) -> Result<Self, ConfigError> {
        Self::resolve(Given {
            listen: Some(listen),
            data_dir: Some(data_dir.to_owned()),
            ..Given::default()
        })
    }

    /// Makes the data directory, for its owner's eyes only, unless it is there.
    ///
    /// # Errors
    /// [`ConfigError::File`].
    pub fn create_data_dir(&self) -> Result<(), ConfigError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.data_dir)
            .map_err(|error| ConfigError::File(self.data_dir.clone(), error))
    }

    /// Where the database is.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.database_url
            .clone()
            .unwrap_or_else(|| Database::url_of(&self.data_dir.join("membrane.db")))
    }

    /// Where workspaces are.
    #[must_use]
    pub fn workspace_root(&self) -> PathBuf {
        self.workspace_root
            .clone()
            .unwrap_or_else(|| self.data_dir.join("workspaces"))
    }

    /// Where the master keys are.
    #[must_use]
    pub fn master_key_file(&self) -> PathBuf {
        self.master_keys_file
            .clone()
            .unwrap_or_else(|| self.data_dir.join("master.key"))
    }

    /// Whether people come over https.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Config")
            .field("listen", &self.listen)
            .field("runner_listen", &self.runner_listen)
            .field("public_url", &self.public_url.as_str())
            .field("data_dir", &self.data_dir)
            .field("workspace_root", &self.workspace_root())
            .field("database_url", &masked_url(&self.database_url()))
            .field("master_keys", &self.master_keys.as_ref().map(|_| "***"))
            .field("master_keys_file", &self.master_key_file())
            .field("byok_required", &self.byok_required)
            .field("sandbox", &self.sandbox.mode)
            .field("sandbox_ro_binds", &self.sandbox.ro_binds)
            .field("sandbox_path", &self.sandbox.path)
            .field("sandbox_toolchains", &self.sandbox.toolchains)
            .field("sandbox_limits", &self.sandbox.limits)
            .field("embedded_runner", &self.embedded_runner.wanted)
            .field("dispatch", &self.dispatch)
            .field("blob_store", &self.blob_store)
            .field("egress_allow_private", &self.egress_allow_private)
            .field("site_dir", &self.site_dir)
            .field("log", &self.log)
            .finish()
    }
}

fn merge(over: Given, under: Given) -> Given {
    Given {
        config: over.config,
        listen: over.listen.or(under.listen),
        runner_listen: over.runner_listen.or(under.runner_listen),
        public_url: over.public_url.or(under.public_url),
        data_dir: over.data_dir.or(under.data_dir),
        workspace_root: over.workspace_root.or(under.workspace_root),
        database_url: over.database_url.or(under.database_url),
        blob_store: over.blob_store.or(under.blob_store),
        master_keys: over.master_keys,
        master_keys_file: over.master_keys_file.or(under.master_keys_file),
        byok_required: over.byok_required.or(under.byok_required),
        sandbox: over.sandbox.or(under.sandbox),
        embedded_runner: over.embedded_runner.or(under.embedded_runner),
        runner_dispatch_url: over.runner_dispatch_url.or(under.runner_dispatch_url),
        runner_invoke_token_file: over
            .runner_invoke_token_file
            .or(under.runner_invoke_token_file),
        egress_allow_private: over.egress_allow_private.or(under.egress_allow_private),
        site_dir: over.site_dir.or(under.site_dir),
        log: over.log.or(under.log),
        log_format: over.log_format.or(under.log_format),
    }
}

fn read_file(path: &Path) -> Result<Given, ConfigError> {
    let text =
        fs::read_to_string(path).map_err(|error| ConfigError::File(path.to_owned(), error))?;
    parse(&text).map_err(|error| ConfigError::Toml(path.to_owned(), Box::new(error)))
}

/// The sandbox's keys stand beside the others, and each part refuses what it does not know.
fn parse(text: &str) -> Result<Given, toml::de::Error> {
    let table: toml::Table = toml::from_str(text)?;
    let is_sandboxs = |key: &str| key == "sandbox" || key.starts_with("sandbox_");
    let (sandbox, rest): (toml::Table, toml::Table) =
        table.into_iter().partition(|(key, _)| is_sandboxs(key));
    Ok(Given {
        sandbox: sandbox.try_into()?,
        ..rest.try_into()?
    })
}

fn public_url(given: Option<&str>, listen: SocketAddr) -> Result<Url, ConfigError> {
    let text = given.map_or_else(|| format!("http://{listen}"), str::to_owned);
    let url = Url::parse(&text).map_err(|_| ConfigError::PublicUrl)?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if is_origin {
        Ok(url)
    } else {
        Err(ConfigError::PublicUrl)
    }
}

fn masked_url(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => {
            // Only fails for URLs without a host, which have no password.
            let _ = url.set_password(Some("***"));
            url.into()
        }
        _ => text.to_owned(),
    }
}

fn platform_data_dir() -> Option<PathBuf> {
    let base = match variable("XDG_DATA_HOME") {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(variable("HOME")?).join(".local/share"),
    };
    Some(base.join("membrane"))
}

/// Beside the program when installed, beside its profile's directory when built by cargo.
fn site_dir() -> PathBuf {
    let candidates = [beside_this_program("site"), beside_this_program("../site")];
    candidates
        .iter()
        .find(|candidate| candidate.is_dir())
        .unwrap_or(&candidates[0])
        .clone()
}

fn beside_this_program(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.parent().unwrap_or(Path::new(".")).join(name)
}

fn master_keys_from_environment() -> Option<SecretString> {
    let keys = variable(MASTER_KEYS)?.into_string().ok()?;
    let keys = Zeroizing::new(keys);
    Some(keys.as_str().to_owned().into())
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[allow(
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
mod tests;
