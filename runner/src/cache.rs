//! What a runner keeps of a workspace between its runs: contents of files by digest, and of the latest
//! run its tree and HOME, so that the next one starts warm. Nothing of it is trusted: what a run begins
//! with is what the server says, digest by digest, and a tree is looked through before it is used.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use cap_std::{ambient_authority, fs::Dir};
use membrane_agent::sandbox::{Limits, exceeded_by};
use membrane_files::store::{
    Blob, Digest, Manifest, Near, Node, ScanOptions, Store, Why, build_tree, collect, scan,
};
use uuid::Uuid;

use crate::{
    clock,
    place::{self, JobDir},
};

/// Workspaces of which something is kept.
const KEPT: usize = 16;
/// Contents that nothing names any more are kept for so long, since another run may be about to.
const GRACE: Duration = Duration::from_secs(3_600);

/// All that is kept.
#[derive(Debug)]
pub struct Caches {
    root: PathBuf,
    /// How long something is kept that is not used.
    lifetime: Duration,
    /// Of which workspaces something is in use.
    used: Mutex<HashMap<Uuid, Weak<()>>>,
    /// Held by whoever removes something.
    tidying: Mutex<()>,
}

/// What is kept of one workspace, as one job has it in use.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    /// Shared by the jobs of the workspace.
    in_use: Arc<()>,
}

impl Caches {
    /// What is kept below this directory.
    ///
    /// # Errors
    /// The file system's own.
    pub fn open(root: PathBuf, lifetime: Duration) -> io::Result<Self> {
        make(&root)?;
        Ok(Self {
            root,
            lifetime,
            used: Mutex::default(),
            tidying: Mutex::default(),
        })
    }

    /// What is kept of a workspace, made if there is nothing.
    ///
    /// # Errors
    /// The file system's own.
    pub fn of(&self, workspace: Uuid) -> io::Result<Arc<Cache>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = used.get(&workspace).and_then(Weak::upgrade);
        let path = self.root.join(workspace.to_string());
        if earlier.is_none() && path.exists() && age(&path) > self.lifetime {
            self.rename_away(&path)?;
        }
        let in_use = earlier.unwrap_or_default();
        used.insert(workspace, Arc::downgrade(&in_use));
        used.retain(|_, used| used.strong_count() > 0);
        make(&path)?;
        let cache = Cache { path, in_use };
        cache.touch()?;
        Ok(Arc::new(cache))
    }

    /// Removes what nobody used for long, and of the rest the oldest if it is too much.
    ///
    /// # Errors
    /// The first that the file system had; what could be removed is.
    pub fn tidy(&self) -> io::Result<()> {
        self.remove_idle(self.lifetime, KEPT)
    }

    /// Removes all that is not in use, to make room.
    ///
    /// # Errors
    /// The first that the file system had; what could be removed is.
    pub fn make_room(&self) -> io::Result<()> {
        self.remove_idle(Duration::ZERO, 0)
    }

    fn remove_idle(&self, lifetime: Duration, kept: usize) -> io::Result<()> {
        let _tidying = self.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tidied = Ok(());
        for path in self.set_aside(lifetime, kept)? {
            tidied = tidied.and(place::remove(&path));
        }
        tidied
    }

    /// Renames what is to go, so that a run that begins meanwhile finds all of it or nothing.
    fn set_aside(&self, lifetime: Duration, kept: usize) -> io::Result<Vec<PathBuf>> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut idle, mut aside) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            match name.to_str().and_then(|name| name.parse::<Uuid>().ok()) {
                Some(workspace) if !is_used(&used, workspace) => {
                    idle.push((age(&entry.path()), entry.path()));
                }
                Some(_) => {}
                // Left by a process that did not come to remove it.
                None => aside.push(entry.path()),
            }
        }
        idle.sort();
        for (place, (age, path)) in idle.into_iter().enumerate() {
            if age > lifetime || place >= kept {
                aside.push(self.rename_away(&path)?);
            }
        }
        Ok(aside)
    }

    fn rename_away(&self, path: &Path) -> io::Result<PathBuf> {
        let away = self.root.join(format!("old-{}", Uuid::now_v7()));
        fs::rename(path, &away)?;
        Ok(away)
    }
}

fn is_used(used: &HashMap<Uuid, Weak<()>>, workspace: Uuid) -> bool {
    let found = used.get(&workspace);
    found.is_some_and(|used| used.strong_count() > 0)
}

/// How long ago something of a workspace was used.
fn age(path: &Path) -> Duration {
    let used = fs::metadata(path.join("used")).and_then(|metadata| metadata.modified());
    let age = used
        .ok()
        .and_then(|used| clock::now().duration_since(used).ok());
    age.unwrap_or(Duration::MAX)
}

impl Cache {
    /// Those of a manifest's contents that are not here.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn lacks(&self, manifest: &Manifest) -> io::Result<Vec<Digest>> {
        let store = self.store()?;
        let mut lacking = Vec::new();
        for entry in manifest.entries() {
            if let Node::File { digest, size, .. } = entry.node
                && !store.touch(&digest, size).map_err(whole)?
            {
                lacking.push(digest);
            }
        }
        lacking.sort();
        lacking.dedup();
        Ok(lacking)
    }

    /// Stores contents.
    ///
    /// # Errors
    /// `InvalidData` if they have another digest; when they can't be stored.
    pub fn put(&self, digest: &Digest, contents: impl Read) -> io::Result<()> {
        let (found, _) = self.store()?.put(contents).map_err(whole)?;
        if found == *digest {
            return Ok(());
        }
        let message = format!("what was sent as {digest} is {found}");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }

    /// Opens contents.
    ///
    /// # Errors
    /// When they are not here.
    pub fn get(&self, digest: &Digest) -> io::Result<Blob> {
        self.store()?.get(digest).map_err(whole)
    }

    /// Makes the files of a job, of a warm tree as far as that has them, and gives it the HOME that was
    /// left.
    ///
    /// # Errors
    /// When they can't be made. What was made until then is left, for [`Cache::clear`].
    pub fn furnish(&self, job: &JobDir, wanted: &Manifest) -> io::Result<()> {
        let place = job.place();
        take(&self.path.join("home"), &place.home)?;
        let warm = job.beside("warm");
        if !take(&self.path.join("tree"), &warm)? {
            fs::create_dir(&warm)?;
        }
        let found = self.record(&warm)?;
        let (tree, files) = (open(&warm)?, open(&place.files)?);
        let near = Near {
            tree: &tree,
            manifest: &found,
        };
        build_tree(&self.store()?, wanted, near, &files).map_err(whole)?;
        keep_excluded(&found, &warm, &place.files);
        // What is left of it must not be written to by way of a second name.
        place::remove(&warm)
    }

    /// Gives up what is kept, and what was made of it for a job.
    ///
    /// # Errors
    /// The file system's own.
    pub fn clear(&self, job: &JobDir) -> io::Result<()> {
        place::remove(&job.beside("warm"))?;
        job.clear()?;
        let mut given_up = vec!["tree", "home"];
        // Others may be about to read contents from it.
        if !self.is_shared() {
            given_up.push("store");
        }
        for name in given_up {
            // First out of the way of those who would take it meanwhile.
            let aside = job.beside(&format!("bad-{name}"));
            if take(&self.path.join(name), &aside)? {
                place::remove(&aside)?;
            }
        }
        Ok(())
    }

    /// Records a tree, with its contents.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn record(&self, files: &Path) -> io::Result<Manifest> {
        // An agent may have kept us out of its top directory.
        fs::set_permissions(files, fs::Permissions::from_mode(0o700))?;
        let store = self.store()?;
        let mut index = store.read_index().map_err(whole)?;
        let options = ScanOptions::default();
        let scanned = scan(&open(files)?, &store, &mut index, clock::now(), &options);
        let manifest = scanned.map_err(whole)?.manifest;
        store.write_index(&index).map_err(whole)?;
        Ok(manifest)
    }

    /// Keeps the files and the HOME of a job that nothing works in any more, for the next one. What an
    /// earlier one left goes with the job's directory.
    ///
    /// # Errors
    /// When they can't be kept, for example because another job is just doing the same, or they take so
    /// much that the next one would have little room left.
    pub fn keep(&self, job: &JobDir) -> io::Result<()> {
        let place = job.place();
        if let Some(limit) = exceeded_by(&[place.files.clone(), place.home.clone()], &most()) {
            let message = format!("more than {} would be kept", most().describe(limit));
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, message));
        }
        for (from, name) in [(place.files, "tree"), (place.home, "home")] {
            // Who may not write to a directory can't move it.
            fs::set_permissions(&from, fs::Permissions::from_mode(0o700))?;
            let to = self.path.join(name);
            take(&to, &job.beside(&format!("old-{name}")))?;
            fs::rename(from, to)?;
        }
        self.touch()
    }

    /// Notes that it was used just now.
    fn touch(&self) -> io::Result<()> {
        File::create(self.path.join("used"))?.set_modified(clock::now())
    }

    /// Removes contents that a tree does not have and nobody asked for lately, unless other jobs are at
    /// work with them.
    ///
    /// # Errors
    /// The store's own.
    pub fn collect(&self, kept: &Manifest) -> io::Result<()> {
        if self.is_shared() {
            return Ok(());
        }
        let store = self.store()?;
        let root = store.save_manifest(kept).map_err(whole)?;
        collect(&store, [root], clock::now(), GRACE).map_err(whole)?;
        Ok(())
    }

    /// Whether another job has something of this workspace in use.
    fn is_shared(&self) -> bool {
        Arc::strong_count(&self.in_use) > 1
    }

    fn store(&self) -> io::Result<Store> {
        let path = self.path.join("store");
        make(&path)?;
        Store::open(open(&path)?).map_err(whole)
    }
}

/// What is kept at most: half of what a run may take up.
fn most() -> Limits {
    let limits = Limits::default();
    Limits {
        disk_bytes: limits.disk_bytes / 2,
        disk_entries: limits.disk_entries / 2,
        ..limits
    }
}

/// Takes what may be there; answers whether it was. `to` may be an empty directory.
fn take(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Moves installed packages and caches, which no manifest has, into a tree that has room for them.
fn keep_excluded(found: &Manifest, from: &Path, to: &Path) {
    let excluded = found.skipped().iter();
    for skipped in excluded.filter(|skipped| skipped.why == Why::Excluded) {
        let path: PathBuf = skipped.path.names().collect();
        // Without them, a run only takes longer.
        if let Err(error) = move_beneath(from, to, &path) {
            tracing::debug!(%error, "a cache was not kept");
        }
    }
}

/// Moves what stands at a path beneath one directory to the same path beneath another, where nothing
/// stands there and what leads there is directories.
fn move_beneath(from: &Path, to: &Path, path: &Path) -> io::Result<()> {
    let (from, to) = (open(from)?, open(to)?);
    if to.symlink_metadata(path).is_ok() {
        return Ok(());
    }
    from.rename(path, &to, path)
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn open(path: &Path) -> io::Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority())
}

fn whole(error: impl std::error::Error) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::WorkDir;
    use membrane_proto::v1::RunLease;

    struct Bench {
        _directory: tempfile::TempDir,
        work_dir: WorkDir,
        caches: Caches,
    }

    impl Bench {
        fn new(lifetime: Duration) -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let root = directory.path();
            Self {
                work_dir: WorkDir::open(root).expect("opened"),
                caches: Caches::open(root.join("caches"), lifetime).expect("opened"),
                _directory: directory,
            }
        }

        fn job(&self, attempt: i32) -> JobDir {
            let lease = RunLease {
                run_id: Uuid::nil().to_string(),
                attempt,
                token: String::new(),
            };
            self.work_dir.begin(&lease).expect("a job")
        }
    }

    fn write(job: &JobDir, path: &str, text: &str) {
        let path = job.place().files.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn read(job: &JobDir, path: &str) -> Option<String> {
        fs::read_to_string(job.place().files.join(path)).ok()
    }

    #[test]
    fn a_warm_tree_becomes_what_is_wanted_and_keeps_its_packages() {
        let bench = Bench::new(Duration::MAX);
        let cache = bench.caches.of(Uuid::nil()).expect("a cache");
        let first = bench.job(1);
        write(&first, "same", "same");
        write(&first, "changed", "as it was");
        let wanted = cache.record(&first.place().files).expect("recorded");
        write(&first, "changed", "as the run left it");
        write(&first, "added", "by the run");
        write(&first, "node_modules/package/index.js", "installed");
        fs::write(first.place().home.join("settings"), "kept").expect("written");
        let made = cache.record(&first.place().files).expect("recorded");
        cache.keep(&first).expect("kept");
        first.remove().expect("removed");

        let second = bench.job(2);
        assert_eq!(cache.lacks(&wanted).expect("an answer"), []);
        cache.furnish(&second, &wanted).expect("furnished");
        assert_eq!(read(&second, "same").as_deref(), Some("same"));
        assert_eq!(read(&second, "changed").as_deref(), Some("as it was"));
        assert_eq!(read(&second, "added"), None);
        let package = read(&second, "node_modules/package/index.js");
        assert_eq!(package.as_deref(), Some("installed"));
        assert!(second.place().home.join("settings").exists());
        assert!(!second.beside("warm").exists());
        // Who comes meanwhile starts cold, with the same files.
        let third = bench.job(3);
        cache.furnish(&third, &made).expect("furnished");
        assert_eq!(read(&third, "added").as_deref(), Some("by the run"));
        assert!(!third.place().home.join("settings").exists());
        write(&third, "same", "changed by the third");
        assert_eq!(read(&second, "same").as_deref(), Some("same"));
    }

    #[test]
    fn what_somebody_did_to_a_warm_tree_is_found() {
        let bench = Bench::new(Duration::MAX);
        let cache = bench.caches.of(Uuid::nil()).expect("a cache");
        let first = bench.job(1);
        write(&first, "file", "as it was");
        let wanted = cache.record(&first.place().files).expect("recorded");
        cache.keep(&first).expect("kept");
        fs::write(cache.path.join("tree/file"), "tampered").expect("written");
        fs::write(cache.path.join("tree/another"), "planted").expect("written");
        let second = bench.job(2);
        cache.furnish(&second, &wanted).expect("furnished");
        assert_eq!(read(&second, "file").as_deref(), Some("as it was"));
        assert_eq!(read(&second, "another"), None);
    }

    #[test]
    fn contents_of_another_digest_are_refused() {
        let bench = Bench::new(Duration::MAX);
        let cache = bench.caches.of(Uuid::nil()).expect("a cache");
        let refused = cache.put(&Digest::of(b"this"), &b"that"[..]);
        let kind = refused.expect_err("refused").kind();
        assert_eq!(kind, io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_nobody_used_for_long_goes_and_what_is_in_use_stays() {
        let bench = Bench::new(Duration::ZERO);
        let (used, idle) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let _cache = bench.caches.of(used).expect("a cache");
        drop(bench.caches.of(idle).expect("a cache"));
        bench.caches.tidy().expect("tidied");
        let left = fs::read_dir(&bench.caches.root).expect("read");
        let left: Vec<_> = left
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(left, [used.to_string().as_str()]);
    }

    #[test]
    fn what_has_expired_is_not_begun_with() {
        let bench = Bench::new(Duration::from_secs(60));
        let workspace = Uuid::nil();
        let path = bench.caches.of(workspace).expect("a cache").path.clone();
        fs::create_dir(path.join("tree")).expect("made");
        drop(bench.caches.of(workspace).expect("a cache"));
        assert!(path.join("tree").exists());
        let long_ago = clock::now() - Duration::from_secs(61);
        let used = File::create(path.join("used")).expect("made");
        used.set_modified(long_ago).expect("set");
        let _cache = bench.caches.of(workspace).expect("a cache");
        assert!(!path.join("tree").exists());
    }
}
