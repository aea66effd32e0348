//! E6: a server that restores is killed at any moment. What lies on disk is then the old tree or the
//! new one, and what no snapshot has is there again when the next server has started.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use membrane_agent::redact::Redactor;
use membrane_proto::v1::CreateWorkspaceRequest;
use membrane_server::{
    clock::Clock,
    id::{SnapshotId, UserId, WorkspaceId},
    server::Server,
    snapshots::{Kind, NewSnapshot},
    workspaces::NewWorkspace,
};

use super::rotating::config;

const KILLS: u64 = 60;
const FILES: u64 = 150;
/// In no snapshot: it can be rebuilt.
const CACHE: &str = "deep/node_modules/kept";

type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

pub async fn restore_again_and_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = start(directory.path()).await;
    let row = server.app.database.create_user("one", false, 0).await;
    let user = UserId(row.expect("a user").id);
    let request = CreateWorkspaceRequest {
        name: "killed".to_owned(),
        ..Default::default()
    };
    let new = NewWorkspace::decode(request, user).expect("a workspace");
    let workspace = server.app.create_workspace(new).await.expect("made");
    let files = server.app.places.place(workspace).files;
    let mut trees = Vec::new();
    let mut arguments = vec![workspace.to_string(), user.to_string()];
    for version in 0..2 {
        fill(&files, version);
        let new = NewSnapshot {
            workspace,
            user,
            title: version.to_string(),
            pinned: true,
            key: None,
        };
        let taken = server
            .app
            .snapshots
            .take(new, Kind::Taken)
            .await
            .expect("taken");
        arguments.push(taken.id.to_string());
        trees.push(look(&files));
    }
    fs::create_dir_all(files.join("deep/node_modules")).expect("made");
    fs::write(files.join(CACHE), "kept").expect("written");
    drop(server);
    let mut seen = [0, 0];
    for kill in 0..KILLS {
        kill_a_restore(directory.path(), &arguments, kill);
        let found = look(&files);
        let which = trees.iter().position(|tree| *tree == found);
        let which = which.unwrap_or_else(|| panic!("kill {kill}: a mix of both trees"));
        seen[which] += 1;
    }
    let server = start(directory.path()).await;
    let kept = fs::read(files.join(CACHE)).expect("what is in no snapshot is there");
    assert_eq!(kept, b"kept");
    let staging = files.with_file_name("staging");
    assert_eq!(fs::read_dir(staging).expect("read").count(), 0);
    assert!(server.app.database.is_sound().await.expect("checked"));
    println!(
        "killed {KILLS} restores, found the one tree {} times and the other {} times, never a mix",
        seen[0], seen[1]
    );
    assert!(seen.iter().all(|times| *times > 0));
}

/// The child: restores the one and the other for ever, and says when it begins.
pub async fn restore(arguments: &[String]) {
    let [directory, workspace, user, one, other] = arguments else {
        panic!("five arguments");
    };
    let server = start(Path::new(directory)).await;
    let id = |text: &String| text.parse().expect("an id");
    let (workspace, user) = (WorkspaceId(id(workspace)), UserId(id(user)));
    for snapshot in [one, other].into_iter().cycle() {
        let mut out = std::io::stdout().lock();
        writeln!(out, "begins").expect("told");
        out.flush().expect("told");
        drop(out);
        let snapshots = &server.app.snapshots;
        let restored = snapshots.restore(workspace, user, SnapshotId(id(snapshot)), Vec::new());
        restored.await.expect("restored");
    }
}

async fn start(directory: &Path) -> Server {
    let started = Server::start(config(directory), Clock::system(), Redactor::default()).await;
    started.expect("a server")
}

/// Kills it in its third restore, ever later. The first one may have nothing to do; the second tells
/// how long one takes here.
fn kill_a_restore(directory: &Path, arguments: &[String], kill: u64) {
    let mut child: Child = Command::new(env::current_exe().expect("this program"))
        .arg("restore")
        .arg(directory)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut begins = || {
        lines.next().expect("it goes on").expect("a line");
        Instant::now()
    };
    begins();
    let second = begins();
    let took = begins().duration_since(second);
    std::thread::sleep(took.mul_f64(1.5 * kill as f64 / KILLS as f64));
    child.kill().expect("killed");
    child.wait().expect("gone");
}

fn fill(files: &Path, version: u64) {
    for number in 0..FILES {
        let directory = files.join(format!("deep/{}", number % 7 + version));
        fs::create_dir_all(&directory).expect("made");
        let text = format!("{number} of {version}\n").repeat(40);
        fs::write(directory.join(number.to_string()), text).expect("written");
    }
    let own = if version == 0 { "first" } else { "second" };
    fs::write(files.join(own), "only here").expect("written");
    let _ = fs::remove_file(files.join(if version == 0 { "second" } else { "first" }));
}

/// Everything but what can be rebuilt.
fn look(files: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![files.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.ends_with("node_modules") {
                continue;
            }
            let contents = match path.is_dir() {
                true => None,
                false => Some(fs::read(&path).expect("a file")),
            };
            if contents.is_none() {
                open.push(path.clone());
            }
            let name = path.strip_prefix(files).expect("beneath").to_owned();
            tree.insert(name, contents);
        }
    }
    tree
}
