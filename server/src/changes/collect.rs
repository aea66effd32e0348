//! Letting go of contents that no change set needs any more, because their session or workspace was
//! deleted, or a scan was cut off.

use std::time::Duration;

use membrane_files::store::{Collected, Digest, collect};
use tokio_util::sync::CancellationToken;

use super::{
    Changes,
    trees::{broken, named},
};
use crate::{error::Error, id::WorkspaceId, time::system_time, uploads::blocking};

/// How often every workspace's store is looked through.
const PERIOD: Duration = Duration::from_secs(6 * 3_600);
/// How old contents must be to go: older than the longest scan of a tree.
const GRACE: Duration = Duration::from_secs(3_600);

impl Changes {
    /// Looks through every workspace's store, now and again and again, until `stop`.
    pub async fn keep_tidy(self, stop: CancellationToken) {
        let tidying = async {
            loop {
                if let Err(error) = self.collect_all().await {
                    error.log();
                }
                tokio::time::sleep(PERIOD).await;
            }
        };
        tokio::select! {
            () = tidying => {}
            () = stop.cancelled() => {}
        }
    }

    async fn collect_all(&self) -> Result<(), Error> {
        for workspace in self.database.workspace_ids().await? {
            match self.collect(workspace).await {
                Ok(collected) if collected.blobs > 0 => tracing::info!(
                    workspace.id = %workspace,
                    contents.count = collected.blobs,
                    contents.size_bytes = collected.bytes,
                    "removed contents that no change set needs"
                ),
                Ok(_) => {}
                // One damaged store must not keep the others from being tidied.
                Err(error) => error.log(),
            }
        }
        Ok(())
    }

    /// Removes what no change set of a workspace needs and is older than an hour.
    ///
    /// # Errors
    /// When the store or the database can't be read; then nothing is removed.
    pub async fn collect(&self, workspace: WorkspaceId) -> Result<Collected, Error> {
        let names = self.database.manifests(workspace).await?;
        let changes = self.clone();
        blocking(move || {
            let roots: Vec<Digest> = names
                .iter()
                .map(|name| named(name))
                .collect::<Result<_, _>>()?;
            let now = system_time(changes.clock.now());
            let store = changes.tree(workspace)?.store;
            collect(&store, roots, now, GRACE).map_err(broken)
        })
        .await
    }
}
