//! Where runs are at work: one directory, used by one runner at a time, with a directory for each
//! attempt. What an earlier process left there is found again.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use cap_std::{ambient_authority, fs::Dir};
use membrane_agent::sandbox::WorkspacePlace;
use membrane_files::root;
use membrane_proto::v1::RunLease;
use prost::Message as _;
use uuid::Uuid;

/// A runner's directory.
#[derive(Debug)]
pub struct WorkDir {
    jobs: PathBuf,
    /// Held as long as this runner lives.
    _lock: File,
}

/// The directory of one attempt.
#[derive(Debug, Clone)]
pub struct JobDir {
    path: PathBuf,
}

impl WorkDir {
    /// Opens a directory for this runner alone, makes it if there is none, and waits while another
    /// runner uses it.
    ///
    /// # Errors
    /// The file system's own.
    pub fn open(root: &Path) -> io::Result<Self> {
        let jobs = root.join("jobs");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&jobs)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))?;
        if lock.try_lock().is_err() {
            tracing::info!("another runner uses this directory; waiting until it ends");
            lock.lock()?;
        }
        Ok(Self { jobs, _lock: lock })
    }

    /// A new directory for the attempt that this lease is of.
    ///
    /// # Errors
    /// The file system's own; `InvalidInput` for an id that is none.
    pub fn begin(&self, lease: &RunLease) -> io::Result<JobDir> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let id: Uuid = lease.run_id.parse().map_err(invalid)?;
        let job = JobDir {
            path: self.jobs.join(format!("{id}-{}", lease.attempt)),
        };
        job.remove()?;
        fs::create_dir(&job.path)?;
        job.make()?;
        job.create("lease")?.write_all(&lease.encode_to_vec())?;
        Ok(job)
    }

    /// The attempts that an earlier process left. What else it left is removed: an agent may have made
    /// it, so nothing of it is read.
    ///
    /// # Errors
    /// The file system's own.
    pub fn left_over(&self) -> io::Result<Vec<JobDir>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(&self.jobs)? {
            let entry = entry?;
            let path = entry.path();
            if is_attempt(&entry.file_name()) {
                jobs.push(JobDir { path });
            } else if let Err(error) = remove(&path) {
                tracing::warn!(%error, "something of an earlier run is left in the directory to work in");
            }
        }
        Ok(jobs)
    }
}

impl JobDir {
    /// What the sandbox shows.
    #[must_use]
    pub fn place(&self) -> WorkspacePlace {
        WorkspacePlace {
            files: self.path.join("files"),
            home: self.path.join("home"),
        }
    }

    fn make(&self) -> io::Result<()> {
        let place = self.place();
        fs::create_dir(place.files)?;
        fs::create_dir(place.home)
    }

    /// Empties what the sandbox shows.
    ///
    /// # Errors
    /// The file system's own.
    pub fn clear(&self) -> io::Result<()> {
        let place = self.place();
        remove(&place.files)?;
        remove(&place.home)?;
        self.make()
    }

    /// The lease of the attempt.
    ///
    /// # Errors
    /// The file system's own; `InvalidData` for what is none.
    pub fn lease(&self) -> io::Result<RunLease> {
        let bytes = fs::read(self.path.join("lease"))?;
        RunLease::decode(&bytes[..])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// A path beside what the sandbox shows.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new file beside what the sandbox shows, for its owner's eyes only.
    ///
    /// # Errors
    /// The file system's own.
    pub fn create(&self, name: &str) -> io::Result<File> {
        File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(self.path.join(name))
    }

    /// A file that was made before.
    ///
    /// # Errors
    /// The file system's own.
    pub fn open(&self, name: &str) -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .open(self.path.join(name))
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// The file system's own.
    pub fn remove(&self) -> io::Result<()> {
        match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            entries => {
                empty(entries?)?;
                fs::remove_dir(&self.path)
            }
        }
    }
}

/// Removes what is in a directory of ours, one by one: what lies deep is moved up in here, and never stands
/// beside other attempts.
fn empty(entries: fs::ReadDir) -> io::Result<()> {
    let mut removed = Ok(());
    for entry in entries {
        removed = removed.and(remove(&entry?.path()));
    }
    removed
}

/// Whether a name is one that [`WorkDir::begin`] gives.
fn is_attempt(name: &OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.rsplit_once('-'));
    parts
        .is_some_and(|(run, attempt)| run.parse::<Uuid>().is_ok() && attempt.parse::<i32>().is_ok())
}

/// Removes what there may be, whatever mode bits an agent gave it. What lies deep is moved up beside it
/// first, so what it is in must be a directory of ours.
///
/// # Errors
/// The file system's own.
pub fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
    root::remove(&parent, name).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::symlink, time::SystemTime};

    fn lease(attempt: i32) -> RunLease {
        RunLease {
            run_id: Uuid::nil().to_string(),
            attempt,
            token: "secret".to_owned(),
        }
    }

    #[test]
    fn what_an_agent_made_is_never_taken_for_an_attempt() {
        let root = tempfile::tempdir().expect("a directory");
        let work_dir = WorkDir::open(root.path()).expect("opened");
        let job = work_dir.begin(&lease(1)).expect("a job");
        let victim = root.path().join("victim");
        fs::write(&victim, "of the host").expect("written");
        for name in ["new-0", "lease", "00000000-0000-0000-0000-000000000000-x"] {
            let planted = work_dir.jobs.join(name);
            fs::create_dir(&planted).expect("made");
            fs::write(planted.join("lease"), "").expect("written");
            symlink(&victim, planted.join("events")).expect("linked");
        }
        let left = work_dir.left_over().expect("listed");
        let leases: Vec<_> = left
            .iter()
            .map(|job| job.lease().expect("a lease"))
            .collect();
        assert_eq!(leases, [lease(1)]);
        assert_eq!(fs::read_dir(&work_dir.jobs).expect("listed").count(), 1);
        assert_eq!(fs::read_to_string(&victim).expect("read"), "of the host");
        drop(job);
    }

    #[test]
    fn what_lies_deep_is_removed_within_its_attempt() {
        let root = tempfile::tempdir().expect("a directory");
        let work_dir = WorkDir::open(root.path()).expect("opened");
        let job = work_dir.begin(&lease(1)).expect("a job");
        let deep: PathBuf = (0..50).map(|level| format!("level-{level}")).collect();
        fs::create_dir_all(job.place().files.join(&deep)).expect("made");
        fs::create_dir_all(job.place().home.join(&deep)).expect("made");
        let jobs = File::open(&work_dir.jobs).expect("opened");
        jobs.set_modified(SystemTime::UNIX_EPOCH).expect("set");
        empty(fs::read_dir(&job.path).expect("listed")).expect("emptied");
        assert_eq!(fs::read_dir(&job.path).expect("listed").count(), 0);
        // Nothing was ever put beside it.
        let changed = jobs.metadata().and_then(|metadata| metadata.modified());
        assert_eq!(changed.expect("a time"), SystemTime::UNIX_EPOCH);
        job.remove().expect("removed");
        assert_eq!(fs::read_dir(&work_dir.jobs).expect("listed").count(), 0);
        job.remove().expect("nothing is left to remove");
    }
}
