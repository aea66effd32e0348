//! Someone swaps a directory on the way for a link that leads out, while each operation runs again
//! and again: nothing outside is read, made, changed or removed.

use super::{Home, at, id};
use crate::raw::{file, zip};
use crate::support::open;
use membrane_files::Limits;
use membrane_files::root::{Condition, Error};
use membrane_files::store::{Entry, Manifest, Near, Node, Store, build_tree};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::io::{self, Cursor};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const SECRET: &[u8] = b"outside of the tree";
const ROUNDS: usize = 300;
const SWAPS: u64 = 100;

/// Exchanges `victim` with a link to `outside` until `work` is done, which is told how often that
/// has happened.
fn under_attack(victim: &Path, outside: &Path, work: impl FnOnce(&AtomicU64)) {
    let done = AtomicBool::new(false);
    let swaps = AtomicU64::new(0);
    let aside = victim.with_file_name("aside");
    symlink(outside, &aside).expect("a link");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let exchange = RenameFlags::EXCHANGE;
                let swapped = renameat_with(CWD, &aside, CWD, victim, exchange).is_ok();
                swaps.fetch_add(u64::from(swapped), Ordering::Relaxed);
            }
        });
        // Also when the work panics, or nobody would ever hear of it.
        let _stop = Stop(&done);
        work(&swaps);
    });
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One operation, with a number that differs from call to call. What it may answer is nobody's
/// concern here but for what it read.
type Operation = fn(&Home, usize) -> Result<Vec<u8>, Error>;

const OPERATIONS: &[(&str, Operation)] = &[
    ("list", |home, _| {
        let listing = home.root.list(&at("v/d"), None, 100)?;
        let paths = listing.entries.iter().map(|entry| entry.path.to_string());
        Ok(paths.collect::<String>().into_bytes())
    }),
    ("stat", |home, _| {
        let entry = home.root.stat(&at("v/d/secret"))?;
        // Inside there is none.
        Ok(if entry.size > 0 {
            SECRET.to_vec()
        } else {
            Vec::new()
        })
    }),
    ("read", |home, _| {
        home.root.read(&at("v/d/file"))?.read_at(0, 100)
    }),
    ("export", |home, _| {
        let mut bytes = Vec::new();
        home.root.export(&at("v"), &mut bytes, &Limits::default())?;
        Ok(if bytes.windows(6).any(|name| name == b"secret") {
            SECRET.to_vec()
        } else {
            Vec::new()
        })
    }),
    ("write", |home, _| {
        home.root
            .write(&at("v/d/file"), b"written", &Condition::None)?;
        Ok(Vec::new())
    }),
    ("write anew", |home, n| {
        home.root
            .write(&at(&format!("v/d/new-{n}")), b"written", &Condition::Absent)?;
        Ok(Vec::new())
    }),
    ("create", |home, n| {
        home.root
            .create_directory(&at(&format!("v/d/made-{n}/deep")))?;
        Ok(Vec::new())
    }),
    ("move in and out", |home, n| {
        let (inside, outside) = (at("v/d/victim"), at(&format!("moved-{n}")));
        let out = home.root.rename(&inside, &outside, None);
        let back = home.root.rename(&outside, &inside, None);
        out.and(back).map(|_| Vec::new())
    }),
    ("copy out", |home, n| {
        let to = format!("copy-{n}");
        home.root.copy(&at("v/d"), &at(&to))?;
        let stolen = home.at(&to).join("secret").exists();
        Ok(if stolen { SECRET.to_vec() } else { Vec::new() })
    }),
    ("copy in", |home, n| {
        home.root
            .copy(&at("plain"), &at(&format!("v/d/copy-{n}")))?;
        Ok(Vec::new())
    }),
    ("delete and restore", |home, n| {
        let id = id(i64::try_from(n).expect("small"));
        home.root.delete(&at("v/d/victim"), None, id)?;
        let inner = home.root.restore(id, None);
        inner.or_else(|_| home.root.restore(id, Some(&at("v/d/victim"))))?;
        Ok(Vec::new())
    }),
    ("delete and purge", |home, n| {
        home.root
            .delete(&at("v/d"), None, id(i64::try_from(n).expect("small")))?;
        home.root.purge(None)?;
        home.root.create_directory(&at("v/d"))?;
        Ok(Vec::new())
    }),
    ("unpack", |home, n| {
        let archive = zip(&[
            file(&format!("{n}/x"), b"unpacked"),
            file(&format!("{n}-y"), b""),
        ]);
        home.root
            .unpack(Cursor::new(archive), &at("v/d"), &Limits::default())?;
        Ok(Vec::new())
    }),
    ("build beside", |home, n| {
        let contents = build(home, n).map_err(io::Error::other)?;
        fs::remove_dir_all(home.beside(&n.to_string()))?;
        Ok(contents)
    }),
    ("measure", |home, _| {
        let sum = home.root.measure(membrane_files::root::Amount::default())?;
        assert!(sum.bytes < 1 << 20, "outside was counted");
        Ok(Vec::new())
    }),
];

/// Builds a tree of which a file is linked from the one under attack, and answers what it is.
fn build(home: &Home, n: usize) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let (store, built) = (home.beside("store"), home.beside(&n.to_string()));
    fs::create_dir_all(&store)?;
    fs::create_dir(&built)?;
    let store = Store::open(open(&store))?;
    let entry = |path: &str, node| Entry {
        path: at(path),
        node,
    };
    let file = Node::File {
        digest: store.put_bytes(b"inside")?,
        size: 6,
        executable: false,
    };
    let entries = vec![
        entry("v", Node::Directory),
        entry("v/d", Node::Directory),
        entry("v/d/file", file),
    ];
    let manifest = Manifest::new(entries, Vec::new())?;
    let near = Near {
        tree: &open(&home.at("")),
        manifest: &manifest,
    };
    build_tree(&store, &manifest, near, &open(&built))?;
    Ok(fs::read(built.join("v/d/file"))?)
}

#[test]
fn a_swapped_directory_leads_no_operation_outside() {
    for (name, operation) in OPERATIONS {
        let outside = tempfile::tempdir().expect("a directory outside");
        let canary = outside.path().join("d");
        fs::create_dir_all(&canary).expect("a directory");
        for file in ["secret", "file", "victim"] {
            fs::write(canary.join(file), SECRET).expect("a canary");
        }
        fs::File::create(canary.join("large"))
            .and_then(|file| file.set_len(1 << 20))
            .expect("a file");
        let before = crate::support::tree(outside.path());
        let home = Home::new();
        fs::create_dir_all(home.at("v/d")).expect("a directory");
        for file in ["v/d/file", "v/d/victim", "plain"] {
            fs::write(home.at(file), "inside").expect("a file");
        }
        under_attack(&home.at("v"), outside.path(), |swaps| {
            let mut n = 0;
            // Enough rounds for the attack to meet them, with a generous cap.
            while n < ROUNDS || (swaps.load(Ordering::Relaxed) < SWAPS && n < 10_000 * ROUNDS) {
                let answer = operation(&home, n).unwrap_or_default();
                let stolen = answer.windows(SECRET.len()).any(|bytes| bytes == SECRET);
                assert!(!stolen, "{name} read outside");
                n += 1;
            }
            let swaps = swaps.load(Ordering::Relaxed);
            assert!(swaps >= SWAPS, "the attack never met {name}");
        });
        assert!(
            crate::support::tree(outside.path()) == before,
            "{name} changed something outside"
        );
    }
}
