//! The command line.

#![allow(
    clippy::disallowed_macros,
    reason = "commands answer on standard output"
)]

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use membrane_entity::user;
use secrecy::ExposeSecret as _;

use crate::{
    clock::Clock,
    config::{Config, Given},
    credentials::Authenticator,
    db::Database,
};

mod account;
mod doctor;
mod keys;
mod serve;
mod workspace;

/// A self-hosted home for coding agents: workspaces, sessions, and a boundary around each.
#[derive(Debug, Parser)]
#[command(name = "membrane", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Settings, the same for every command.
    #[command(flatten)]
    pub given: Given,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API and the console.
    Serve {
        /// Print a sign-in link for the first administrator, who is made if there is none.
        #[arg(long)]
        login_link: bool,
    },
    /// Print a sign-in link: it works once, for ten minutes.
    LoginLink {
        /// The user it is for; by default the first administrator, who is made if there is no
        /// user at all.
        #[arg(long)]
        user: Option<String>,
    },
    /// Users.
    #[command(subcommand)]
    User(UserCommand),
    /// API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Workspaces.
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Master keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Check what the sandbox can do on this machine, and how to mend what it can't.
    Doctor,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Create a user.
    Create {
        /// Unique name.
        name: String,
        /// Let them administer this server.
        #[arg(long)]
        administrator: bool,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create an API token and print its secret, this once.
    Create {
        /// What it is for.
        name: String,
        /// Whose it is; by default the first administrator's.
        #[arg(long)]
        user: Option<String>,
        /// Days until it stops working; 0 for never.
        #[arg(long, default_value_t = 0)]
        days: i32,
    },
}

#[derive(Debug, Subcommand)]
enum WorkspaceCommand {
    /// Create a workspace from a zip file or a directory on this machine, and print its id.
    Import {
        /// The zip file or directory.
        path: PathBuf,
        /// The workspace's name; by default the file's.
        #[arg(long)]
        name: Option<String>,
        /// Whose it will be; by default the first administrator's.
        #[arg(long)]
        user: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List the versions of the master key: which encrypts, and what still needs which.
    List,
    /// Make the first master key the encrypting one, while the server runs.
    ///
    /// Put a new key before the others in MEMBRANE_MASTER_KEYS or the key file, as
    /// `<version>:<base64 of 32 random bytes>`; let a running server read it (SIGHUP, or a restart);
    /// then call this. It wraps every data key anew and may be stopped at any time: call it again,
    /// and it goes on. Afterwards nothing needs the other keys, and they can be removed.
    Rotate,
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// In words for an operator.
    pub async fn run(self, config: Config) -> anyhow::Result<()> {
        match self.command {
            Command::Serve { login_link } => serve::run(config, login_link).await,
            Command::LoginLink { user } => account::login_link(&config, user.as_deref()).await,
            Command::User(UserCommand::Create {
                name,
                administrator,
            }) => account::create_user(&config, &name, administrator).await,
            Command::Token(TokenCommand::Create { name, user, days }) => {
                account::create_token(&config, user.as_deref(), name, days).await
            }
            Command::Workspace(WorkspaceCommand::Import { path, name, user }) => {
                workspace::import(&config, &path, name, user.as_deref()).await
            }
            Command::Keys(KeysCommand::List) => keys::list(&config).await,
            Command::Keys(KeysCommand::Rotate) => keys::rotate(&config).await,
            Command::Doctor => doctor::run(&config).await,
        }
    }
}

/// Opens the database beside a server that may be running.
async fn open_database(config: &Config) -> anyhow::Result<Database> {
    config.create_data_dir()?;
    Ok(Database::open(&config.database_url()).await?)
}

/// The named user, or the first administrator, who is made if there is no user at all.
async fn find_user(database: &Database, name: Option<&str>) -> anyhow::Result<user::Model> {
    if let Some(name) = name {
        let found = database.user_by_name(name).await?;
        return found.with_context(|| {
            format!("there is no user {name:?}; make one with `membrane user create`")
        });
    }
    let (administrators, anyone) = database.first_administrator().await?;
    match (administrators, anyone) {
        (Some(found), _) => Ok(found),
        (None, true) => bail!("no user is an enabled administrator; name one with --user"),
        (None, false) => Ok(database
            .create_user("admin", true, Clock::system().now())
            .await?),
    }
}

/// A sign-in link with its token in the fragment, which browsers send to nobody.
async fn new_login_link(
    config: &Config,
    database: &Database,
    user: &user::Model,
) -> anyhow::Result<String> {
    let authenticator = Authenticator::new(database.clone(), Clock::system(), config.is_secure());
    let token = authenticator
        .create_login_token(crate::id::UserId(user.id))
        .await?;
    let mut link = config.public_url.join("sign-in")?;
    link.set_fragment(Some(&format!("token={}", token.expose_secret())));
    Ok(link.into())
}
