//! Following one directory of a workspace by its path: says that entries changed, and what is there
//! now is for the reader to list.

use std::{sync::Arc, time::Duration};

use membrane_files::{TreePath, root::Etag};
use membrane_proto::v1::{EndReason, FilesChanged, WatchResponse, watch_response::Kind};
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::follow::Stop;
use crate::{
    error::Error,
    files::{Files, Notices, Watch},
    id::WorkspaceId,
};

/// Shortest time between two messages: at most four a second.
const PAUSE: Duration = Duration::from_millis(250);
/// How often the path is resolved anew: a directory above may have been renamed.
const CHECK: Duration = Duration::from_secs(5);
/// How often a directory is looked at of which the kernel tells nothing.
const LOOK: Duration = Duration::from_secs(2);

/// One watched directory.
pub struct DirectoryFollower {
    pub workspace: WorkspaceId,
    pub path: TreePath,
    pub files: Files,
    pub notices: Notices,
    pub stopping: CancellationToken,
    pub out: mpsc::Sender<WatchResponse>,
}

/// What was at the path at one time; nothing, if it was no directory.
#[derive(Default)]
struct Seen {
    etag: Option<Etag>,
    watch: Option<Watch>,
}

impl DirectoryFollower {
    /// Follows until the workspace goes, the server stops or the reader goes away.
    pub async fn run(self) -> Stop {
        let stopping = self.stopping.clone();
        tokio::select! {
            stop = self.follow() => stop,
            () = stopping.cancelled() => Stop::End(EndReason::ServerStopping),
        }
    }

    async fn follow(self) -> Stop {
        let bell = Arc::new(Notify::new());
        let mut seen = Seen::default();
        // Notices of contents, which the directory itself does not show, are believed.
        let mut rung = true;
        loop {
            // The last watch is kept until there is another: in between, nothing may be missed.
            let now = match self.look(&bell).await {
                Ok(now) => now,
                Err(stop) => return stop,
            };
            let changed = rung || now.etag != seen.etag;
            seen = now;
            if changed && self.tell().await.is_err() {
                return Stop::Unread;
            }
            sleep(PAUSE).await;
            let period = if seen.watch.is_some() { CHECK } else { LOOK };
            rung = timeout(period, bell.notified()).await.is_ok();
        }
    }

    async fn look(&self, bell: &Arc<Notify>) -> Result<Seen, Stop> {
        let (notices, path, bell) = (self.notices.clone(), self.path.clone(), bell.clone());
        let look = self.files.read(self.workspace, move |root| {
            let seen = root.watched(&path).map(|(directory, etag)| Seen {
                etag: Some(etag),
                watch: notices.watch(&directory, &bell),
            });
            // Whatever is in its place may be another the next time.
            Ok(seen.unwrap_or_default())
        });
        match look.await {
            Ok(seen) => Ok(seen),
            Err(Error::NotFound(_)) => Err(Stop::End(EndReason::Deleted)),
            Err(error) => Err(Stop::Failed(error)),
        }
    }

    async fn tell(&self) -> Result<(), mpsc::error::SendError<WatchResponse>> {
        let changed = FilesChanged {
            workspace_id: self.workspace.to_string(),
            path: self.path.to_string(),
        };
        let kind = Some(Kind::FilesChanged(changed));
        self.out.send(WatchResponse { kind }).await
    }
}
