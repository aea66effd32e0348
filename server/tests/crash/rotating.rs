//! D4: the master key is changed while values are read and new ones stored, by a program that is
//! killed again and again. No read fails; afterwards nothing is left of the old key.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use membrane_agent::redact::Redactor;
use membrane_server::{
    alone::Alone, clock::Clock, config::Config, db::Database, id::UserId, secrets::NewSecret,
    server::Server,
};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

const ROTATIONS: i32 = 6;
const KILLS: u64 = 12;
/// Enough for a rotation of several commits.
const USERS: usize = 600;

pub async fn rotate_again_and_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(directory.path());
    let server = Server::start(config.clone(), Clock::system(), Redactor::default())
        .await
        .expect("a server");
    let mut users = Vec::new();
    for number in 0..USERS {
        users.push(user(&server, number).await);
    }
    let first = fs::read_to_string(config.master_key_file()).expect("a key file");
    let mut keys: Vec<String> = vec![first.trim().to_owned()];
    let stop = CancellationToken::new();
    let reads = Arc::new(AtomicU64::new(0));
    let reading = tokio::spawn(read(
        server.app.secrets.clone(),
        users,
        reads.clone(),
        stop.clone(),
    ));
    let reloader = server.reloader();
    let mut kills = 0;
    for version in 2..2 + ROTATIONS {
        keys.insert(0, key(version));
        write(&config.master_key_file(), &keys);
        let refused = rotate(directory.path(), None);
        assert!(
            refused.1.contains("does not have the master key"),
            "{refused:?}"
        );
        reloader.reload().await.expect("read again");
        let other = Alone::lock_rotation(directory.path()).expect("free");
        let refused = rotate(directory.path(), None);
        assert!(refused.1.contains("is running"), "{refused:?}");
        drop(other);
        kills += kill_until_done(directory.path(), version).await;
        let used = server.app.database.master_versions().await.expect("read");
        assert_eq!(used.into_keys().collect::<Vec<_>>(), [version]);
        keys.truncate(1);
        write(&config.master_key_file(), &keys);
        reloader.reload().await.expect("the old key is not needed");
        user(&server, USERS + usize::try_from(version).expect("small")).await;
    }
    stop.cancel();
    reading.await.expect("no read has failed");
    let database: Database = server.app.database.clone();
    assert!(database.is_sound().await.expect("checked"));
    println!(
        "rotated {ROTATIONS} times, killed {kills} times, {} reads, none failed",
        reads.load(Ordering::Relaxed)
    );
}

pub fn config(directory: &Path) -> Config {
    let address = "127.0.0.1:0".parse().expect("an address");
    Config::for_directory(directory, address).expect("a configuration")
}

fn value_of(number: usize) -> String {
    format!("the value of user {number}")
}

async fn user(server: &Server, number: usize) -> (UserId, String) {
    let app = &server.app;
    let row = app
        .database
        .create_user(&number.to_string(), false, 0)
        .await
        .expect("a user");
    let new = NewSecret {
        name: "one".to_owned(),
        value: value_of(number).into(),
        request_id: None,
    };
    let id = UserId(row.id);
    app.secrets.create(id, new).await.expect("stored");
    (id, value_of(number))
}

/// Opens one value after the other, and panics when one does not open.
async fn read(
    secrets: membrane_server::secrets::Secrets,
    users: Vec<(UserId, String)>,
    reads: Arc<AtomicU64>,
    stop: CancellationToken,
) {
    for (user, wanted) in users.iter().cycle() {
        if stop.is_cancelled() {
            return;
        }
        let opened = secrets.open_all(&[*user]).await.expect("read");
        let opened: Vec<&str> = opened.iter().map(|value| value.expose_secret()).collect();
        assert_eq!(opened, [wanted]);
        reads.fetch_add(1, Ordering::Relaxed);
    }
}

/// Kills the program ever later, until it has finished before; then it has to have nothing to do.
async fn kill_until_done(directory: &Path, version: i32) -> u64 {
    let mut kills = 0;
    for step in 0..KILLS {
        let after = Duration::from_millis(10 + 25 * step + u64::from(version.unsigned_abs()));
        let directory = directory.to_owned();
        let ended = tokio::task::spawn_blocking(move || rotate(&directory, Some(after)));
        if ended.await.expect("no panic").0 {
            break;
        }
        kills += 1;
    }
    let directory = directory.to_owned();
    let (done, said) = tokio::task::spawn_blocking(move || rotate(&directory, None))
        .await
        .expect("no panic");
    assert!(done, "{said}");
    kills
}

/// Runs `membrane keys rotate`, and kills it after a while. Answers whether it has succeeded.
fn rotate(directory: &Path, kill_after: Option<Duration>) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_membrane"))
        .args(["keys", "rotate", "--data-dir"])
        .arg(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    if let Some(after) = kill_after {
        std::thread::sleep(after);
        // An error means that it has ended.
        let _ = child.kill();
    }
    let output = child.wait_with_output().expect("gone");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

fn key(version: i32) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let byte = u8::try_from(version).expect("small");
    format!("{version}:{}", BASE64_STANDARD.encode([byte; 32]))
}

fn write(file: &PathBuf, keys: &[String]) {
    let text = keys.iter().fold(String::new(), |mut text, key| {
        let _ = writeln!(text, "{key}");
        text
    });
    fs::write(file, text).expect("written");
}
