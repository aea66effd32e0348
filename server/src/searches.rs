//! Searches of workspaces' files, by name and by content, off the async threads. They stop when
//! nobody waits for them any longer.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::Stream;
use membrane_files::search::{FileMatches, Hit, Invalid, Names, Progress, Query, Search, Totals};
use tokio::{
    runtime::Handle,
    sync::{OnceCell, Semaphore, mpsc},
    task::spawn_blocking,
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::{error::Error, files::Files, id::WorkspaceId, uploads::blocking};

/// How long a list of names is kept. Who types sends a query with each letter; listing 100,000
/// names takes a good part of a second, and looking through them little.
const KEPT: Duration = Duration::from_secs(2);
/// So many lists are kept at the same time; each may take some 20 MB.
const LISTS_MAX: usize = 8;
/// Searches by content that run at the same time on the whole server, on two threads each. Others
/// wait for their turn.
const RUNNING_MAX: usize = 4;
/// Reports that wait to be taken. When there are more, the search waits.
const WAITING: usize = 16;
/// A reader that takes nothing for so long is taken for gone, so that it keeps nobody waiting.
const STALLED: Duration = Duration::from_secs(30);

/// What a list is of: a workspace, and whether everything in it.
type Key = (WorkspaceId, bool);
type List = Arc<OnceCell<Arc<Names>>>;

/// Searches. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Searches {
    files: Files,
    lists: Arc<Mutex<HashMap<Key, List>>>,
    turns: Arc<Semaphore>,
}

/// One part of what a search by content finds.
#[derive(Debug)]
pub enum Part {
    /// Lines of a file.
    File(FileMatches),
    /// The end.
    Totals(Totals),
}

impl Searches {
    /// Searches of these files.
    #[must_use]
    pub fn new(files: Files) -> Self {
        Self {
            files,
            lists: Arc::default(),
            turns: Arc::new(Semaphore::new(RUNNING_MAX)),
        }
    }

    /// Finds entries by parts of their paths, the best first. Answers also whether all entries
    /// were looked through.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the workspace is being deleted, the file system's own.
    pub async fn find(
        &self,
        id: WorkspaceId,
        query: String,
        everything: bool,
        count: usize,
    ) -> Result<(Vec<Hit>, bool), Error> {
        if query.trim().is_empty() {
            return Ok((Vec::new(), true));
        }
        let names = self.names((id, everything)).await?;
        blocking(move || Ok((names.find(&query, count), names.is_complete()))).await
    }

    /// Searches contents. Dropping the stream stops it; so does not reading it for 30 seconds, and
    /// then it ends without totals.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field that can't be understood.
    pub fn search(
        &self,
        id: WorkspaceId,
        query: Query,
    ) -> Result<impl Stream<Item = Result<Part, Error>> + Send + 'static, Error> {
        let search = Search::new(query)?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let searches = self.clone();
        tokio::spawn(async move {
            let turn = tokio::select! {
                turn = searches.turns.clone().acquire_owned() => turn,
                () = sender.closed() => return,
            };
            let files = searches.files;
            spawn_blocking(move || {
                let _turn = turn;
                let progress = Reports::new(sender);
                let root = files.root(id);
                let totals = root.and_then(|root| Ok(search.run(&root, &progress)?));
                progress.send(totals.map(Part::Totals));
            });
        });
        Ok(ReceiverStream::new(receiver))
    }

    async fn names(&self, key: Key) -> Result<Arc<Names>, Error> {
        let list = self.list(key);
        let names = list
            .get_or_try_init(|| async {
                let names = self.read_names(key).await?;
                self.forget_soon(key);
                Ok::<_, Error>(names)
            })
            .await?;
        Ok(names.clone())
    }

    /// The list of this key, which may be in the making. One that there is no room for is not kept.
    fn list(&self, key: Key) -> List {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = lists.get(&key) {
            return list.clone();
        }
        let list = List::default();
        if lists.len() < LISTS_MAX {
            lists.insert(key, list.clone());
        }
        list
    }

    async fn read_names(&self, key: Key) -> Result<Arc<Names>, Error> {
        let (id, everything) = key;
        let unwanted = CancellationToken::new();
        let _dropped = unwanted.clone().drop_guard();
        let files = self.files.clone();
        let listed = blocking(move || {
            let root = files.root(id)?;
            Ok(Names::list(&root, everything, &|| unwanted.is_cancelled())?)
        });
        let listed = listed.await;
        if listed.is_err() {
            self.forget(key);
        }
        listed.map(Arc::new)
    }

    fn forget_soon(&self, key: Key) {
        let searches = self.clone();
        tokio::spawn(async move {
            sleep(KEPT).await;
            searches.forget(key);
        });
    }

    fn forget(&self, key: Key) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.remove(&key);
    }
}

/// Where a search reports to.
struct Reports {
    sender: mpsc::Sender<Result<Part, Error>>,
    runtime: Handle,
    stalled: AtomicBool,
}

impl Reports {
    fn new(sender: mpsc::Sender<Result<Part, Error>>) -> Self {
        Self {
            sender,
            runtime: Handle::current(),
            stalled: AtomicBool::new(false),
        }
    }

    /// Whether somebody takes it.
    fn send(&self, part: Result<Part, Error>) -> bool {
        let sending = self.sender.send_timeout(part, STALLED);
        let taken = !self.cancelled() && self.runtime.block_on(sending).is_ok();
        if !taken {
            self.stalled.store(true, Ordering::Relaxed);
        }
        taken
    }
}

impl Progress for Reports {
    fn found(&self, matches: FileMatches) -> bool {
        self.send(Ok(Part::File(matches)))
    }

    fn cancelled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed) || self.sender.is_closed()
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.field, invalid.reason)
    }
}
