//! Which database a test has: the embedded one, or one of its own in PostgreSQL. The former, unless
//! TEST_DATABASE says `postgres`; what can only be tried in PostgreSQL asks for that by itself.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::LazyLock,
};

use membrane_server::{config::Config, db::Database};
use uuid::Uuid;

/// Keys of servers that share a database.
const MASTER_KEYS: &str = "1:bWVtYnJhbmUgaW4gYSB0ZXN0LCBub3QgYSBzZWNyZXQ=";

/// A PostgreSQL server of this process's own.
static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

struct Server {
    /// Where its socket is.
    socket: String,
    /// It stops when this is closed, at the latest by the end of this process.
    _alive: ChildStdin,
    _child: Child,
}

impl Server {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../end2end/setup/postgres.sh");
        let mut child = Command::new(script)
            .args(["sh", "-c", "echo \"$TEST_POSTGRES\"; exec cat >/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("PostgreSQL");
        let alive = child.stdin.take().expect("its input");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let socket = said.lines().next().expect("PostgreSQL has started");
        Self {
            socket: socket.expect("a directory"),
            _alive: alive,
            _child: child,
        }
    }
}

/// The database that tests of everything have, for a server with this configuration.
pub fn configure(config: &mut Config) {
    if wants_postgres() {
        configure_postgres(config, &postgres(&config.data_dir));
    }
}

/// Makes a server use a database in PostgreSQL.
pub fn configure_postgres(config: &mut Config, url: &str) {
    config.database_url = Some(url.to_owned());
    config.master_keys = Some(MASTER_KEYS.to_owned().into());
}

/// The database that tests of everything have, for this directory.
pub async fn database(directory: &Path) -> Database {
    let url = if wants_postgres() {
        postgres(directory)
    } else {
        Database::url_of(&directory.join("membrane.db"))
    };
    Database::open(&url).await.expect("a database")
}

/// The URL of a directory's own database in PostgreSQL, which is made when it is first asked for.
pub fn postgres(directory: &Path) -> String {
    let socket = &SERVER.socket;
    let note = directory.join("database.name");
    let name = fs::read_to_string(&note).unwrap_or_else(|_| {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let statement = format!("CREATE DATABASE {name}");
        let made = Command::new("psql")
            .args(["--host", socket, "--username", "membrane", "--quiet"])
            .args(["--dbname", "postgres", "--command", &statement])
            .status();
        assert!(made.expect("psql").success());
        fs::write(&note, &name).expect("noted");
        name
    });
    format!("postgres://membrane@localhost/{name}?host={socket}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests chooses the database"
)]
fn wants_postgres() -> bool {
    env::var_os("TEST_DATABASE").is_some_and(|name| name == "postgres")
}
