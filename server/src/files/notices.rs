//! What the kernel tells of changes in directories: one inotify instance for all that are watched.
//! It is only the wake-up; whoever is woken looks at the directory itself.

use std::{
    collections::{HashMap, HashSet},
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::{io::unix::AsyncFd, sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

/// Directories that are watched at the same time on the whole server.
const MAX_WATCHED: usize = 8_192;
/// How long notices gather before they are read. Together with the kernel's queue, it bounds what a
/// flood of them costs.
const GATHER: Duration = Duration::from_millis(100);
/// Bytes of notices that are read at once.
const BUFFER: usize = 64 << 10;
/// Notices that are read before others get their turn: as many as the kernel's queue holds.
const TURN: usize = 16_384;

/// Wakes whoever watches a directory when something in it changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notices(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    inotify: AsyncFd<OwnedFd>,
    /// Who watches, by the kernel's number of the directory.
    bells: Mutex<HashMap<i32, Vec<Arc<Notify>>>>,
}

/// A directory that is watched until this is dropped.
#[derive(Debug)]
pub struct Watch {
    inner: Arc<Inner>,
    number: i32,
    bell: Arc<Notify>,
}

impl Notices {
    /// Asks the kernel for notices. Without them, whoever watches has to look again and again.
    #[must_use]
    pub fn open() -> Self {
        let inner = open();
        if let Err(error) = &inner {
            tracing::warn!(error.message = %error, "the kernel gives no notices of files: watched directories are looked at again and again");
        }
        Self(inner.ok().map(Arc::new))
    }

    /// Rings `bell` when entries of this directory change, and when it goes. `None` when there is
    /// no room for another one.
    #[must_use]
    pub fn watch(&self, directory: impl AsFd, bell: &Arc<Notify>) -> Option<Watch> {
        let inner = self.0.clone()?;
        let flags = WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MODIFY
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        // The handle itself: a path could lead elsewhere by now.
        let place = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
        let mut bells = inner.bells();
        if bells.len() >= MAX_WATCHED {
            return None;
        }
        let number = inotify::add_watch(inner.inotify.get_ref(), place, flags).ok()?;
        bells.entry(number).or_default().push(bell.clone());
        drop(bells);
        let bell = bell.clone();
        Some(Watch {
            inner,
            number,
            bell,
        })
    }

    /// Passes notices on until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Some(inner) = self.0 else { return };
        let passing = async {
            while inner.pass_on().await.is_ok() {
                sleep(GATHER).await;
            }
            tracing::error!("notices of files can't be read any more");
        };
        tokio::select! {
            () = passing => {}
            () = stop.cancelled() => {}
        }
    }
}

#[expect(
    deprecated,
    reason = "what replaces it can only be called by those who vouch for it; an OwnedFd closes what it owns and nothing else"
)]
fn open() -> io::Result<Inner> {
    let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    Ok(Inner {
        inotify: AsyncFd::new(inotify)?,
        bells: Mutex::default(),
    })
}

impl Inner {
    fn bells(&self) -> MutexGuard<'_, HashMap<i32, Vec<Arc<Notify>>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for notices and rings.
    async fn pass_on(&self) -> io::Result<()> {
        let mut ready = self.inotify.readable().await?;
        let mut changed = HashSet::new();
        let mut gone = HashSet::new();
        let mut lost = false;
        let read = ready.try_io(|inotify| {
            let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
            let mut reader = Reader::new(inotify.get_ref(), &mut buffer);
            for _ in 0..TURN {
                let notice = reader.next()?;
                lost |= notice.events().contains(ReadFlags::QUEUE_OVERFLOW);
                changed.insert(notice.wd());
                if notice.events().contains(ReadFlags::IGNORED) {
                    gone.insert(notice.wd());
                }
            }
            Ok(())
        });
        self.ring(&changed, &gone, lost);
        // Having nothing more to read is no error.
        read.unwrap_or(Ok(()))
    }

    fn ring(&self, changed: &HashSet<i32>, gone: &HashSet<i32>, lost: bool) {
        let mut bells = self.bells();
        for (_, bells) in bells
            .iter()
            .filter(|(number, _)| lost || changed.contains(number))
        {
            for bell in bells {
                bell.notify_one();
            }
        }
        bells.retain(|number, _| !gone.contains(number));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut bells = self.inner.bells();
        let Some(others) = bells.get_mut(&self.number) else {
            return;
        };
        if let Some(own) = others.iter().position(|bell| Arc::ptr_eq(bell, &self.bell)) {
            others.swap_remove(own);
        }
        if others.is_empty() {
            bells.remove(&self.number);
            // It fails for a directory that went just now.
            let _ = inotify::remove_watch(self.inner.inotify.get_ref(), self.number);
        }
    }
}
