//! The files of a run: only what this machine lacks is fetched, and only what the server lacks is sent
//! back.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    iter::successors,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use membrane_agent::entries;
use membrane_files::{
    TreePath,
    store::{Digest, Entry, Manifest, Node},
};
use membrane_proto::v1::{
    CommitRunResultRequest, DownloadRunBlobsResponse, SnapshotEntries, SnapshotEntry, SnapshotFile,
    UploadRunBlobsRequest, commit_run_result_request::Part as CommitPart,
    upload_run_blobs_request::Part as BlobPart,
};
use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Job, Used};
use crate::{
    cache::Cache,
    control::{Failure, persist},
};

/// Largest piece that the server takes, in bytes.
const PIECE: usize = 1 << 20;
const WAITING: usize = 2;
/// Contents that one call names.
const NAMED: usize = 10_000;
/// Entries of a message.
const ENTRIES: usize = 1_000;
/// How long nothing may come of what was asked for.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of contents on their way in that are held in memory; what follows goes to a file.
const HELD: usize = 1 << 20;

impl Job {
    /// Fetches what the run begins with, as far as it is not here.
    pub(super) async fn fetch(&self) -> Result<Used, Failure> {
        let entries = persist(|| self.context.control.manifest(&self.lease)).await?;
        let tree = Arc::new(decode(entries)?);
        let workspace = self.run.workspace_id.parse();
        let workspace = workspace.map_err(|_| Failure::Refused("a workspace has no id".into()))?;
        let context = self.context.clone();
        let cache = self.blocking(move || context.caches.of(workspace)).await?;
        let base = Used { cache, tree };
        self.uses(base.clone());
        if let Err(Failure::Refused(why)) = self.furnish(&base).await {
            tracing::warn!(why, run.id = self.run.id, "nothing that was kept is used");
            let (cache, job) = (base.cache.clone(), self.directory.clone());
            let context = self.context.clone();
            let clearing = move || {
                cache.clear(&job)?;
                // It may have been for want of room.
                context.caches.make_room()
            };
            self.blocking(clearing).await?;
            self.furnish(&base).await?;
        }
        Ok(base)
    }

    /// Brings contents and what was kept together.
    async fn furnish(&self, base: &Used) -> Result<(), Failure> {
        persist(|| self.complete(base)).await?;
        let (Used { cache, tree }, job) = (base.clone(), self.directory.clone());
        self.blocking(move || cache.furnish(&job, &tree)).await
    }

    /// Fetches contents that are not here.
    async fn complete(&self, base: &Used) -> Result<(), Failure> {
        for digests in self.lacks(base).await?.chunks(NAMED) {
            self.download(&base.cache, digests).await?;
        }
        match self.lacks(base).await?.first() {
            Some(digest) => Err(Failure::Refused(format!(
                "the server did not send {digest}"
            ))),
            None => Ok(()),
        }
    }

    async fn lacks(&self, base: &Used) -> Result<Vec<Digest>, Failure> {
        let Used { cache, tree } = base.clone();
        self.blocking(move || cache.lacks(&tree)).await
    }

    async fn download(&self, cache: &Arc<Cache>, digests: &[Digest]) -> Result<(), Failure> {
        let named = digests.iter().map(ToString::to_string).collect();
        let control = &self.context.control;
        let mut parts = control.download_blobs(&self.lease, named).await?;
        let mut arriving: Option<Arriving> = None;
        while let Some(part) = next(&mut parts).await? {
            if !part.digest.is_empty() {
                let digest = entries::decode_digest(&part.digest).map_err(wrong)?;
                self.keep(cache, arriving.replace(Arriving::new(digest)))
                    .await?;
            }
            let Some(blob) = &mut arriving else {
                return Err(Failure::Refused("contents came without a digest".into()));
            };
            blob.take(part.data, || self.directory.create("blob"))
                .map_err(unusable)?;
        }
        self.keep(cache, arriving).await
    }

    async fn keep(&self, cache: &Arc<Cache>, arrived: Option<Arriving>) -> Result<(), Failure> {
        let Some(arrived) = arrived else {
            return Ok(());
        };
        let cache = cache.clone();
        self.blocking(move || arrived.store(&cache)).await
    }

    /// Sends the files as they are now. Answers what was found.
    pub(super) async fn send(&self, base: &Used) -> Result<Manifest, Failure> {
        let (cache, files) = (base.cache.clone(), self.directory.place().files);
        let made = self.blocking(move || cache.record(&files)).await?;
        let result = result(&base.tree, &made)?;
        // Also what it began with: by being asked for it, the server knows that it is needed again.
        for files in contents(&result).chunks(NAMED) {
            persist(|| self.send_missing(&base.cache, files)).await?;
        }
        persist(|| self.commit(&result)).await?;
        Ok(made)
    }

    async fn send_missing(
        &self,
        cache: &Arc<Cache>,
        files: &[SnapshotFile],
    ) -> Result<(), Failure> {
        let control = &self.context.control;
        let missing = control.missing_blobs(&self.lease, files.to_vec()).await?;
        if missing.is_empty() {
            return Ok(());
        }
        let digests = missing.iter().map(|digest| entries::decode_digest(digest));
        let digests: Vec<Digest> = digests.collect::<Result<_, _>>().map_err(wrong)?;
        let (parts, receiver) = mpsc::channel(WAITING);
        let (lease, cache) = (self.lease.clone(), cache.clone());
        let reading = self.working.spawn_blocking(move || {
            let send = |part| {
                let part = UploadRunBlobsRequest { part: Some(part) };
                // When the call has ended, it says why.
                parts.blocking_send(part).is_ok()
            };
            if !send(BlobPart::Lease(lease)) {
                return Ok(());
            }
            for digest in digests {
                let mut blob = cache.get(&digest)?;
                if !send(BlobPart::Digest(digest.to_string())) {
                    return Ok(());
                }
                loop {
                    let mut piece = Vec::with_capacity(PIECE.min(HELD));
                    blob.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
                    if piece.is_empty() {
                        break;
                    }
                    if !send(BlobPart::Data(piece.into())) {
                        return Ok(());
                    }
                }
            }
            io::Result::Ok(())
        });
        let sending = control.upload_blobs(ReceiverStream::new(receiver));
        let (read, sent) = tokio::join!(reading, sending);
        match read {
            Ok(read) => read.map_err(unusable)?,
            Err(_) => return Err(Failure::Refused("the runner failed".to_owned())),
        }
        sent
    }

    async fn commit(&self, result: &Manifest) -> Result<(), Failure> {
        let lease = CommitPart::Lease(self.lease.clone());
        let entries = pages(result).into_iter().map(CommitPart::Entries);
        let parts: Vec<_> = [lease]
            .into_iter()
            .chain(entries)
            .map(|part| CommitRunResultRequest { part: Some(part) })
            .collect();
        self.context
            .control
            .commit_result(tokio_stream::iter(parts))
            .await
    }
}

/// Contents on their way in.
struct Arriving {
    digest: Digest,
    held: Vec<u8>,
    spilled: Option<File>,
}

impl Arriving {
    fn new(digest: Digest) -> Self {
        Self {
            digest,
            held: Vec::new(),
            spilled: None,
        }
    }

    fn take(&mut self, data: Bytes, spill: impl Fn() -> io::Result<File>) -> io::Result<()> {
        if let Some(file) = &mut self.spilled {
            return file.write_all(&data);
        }
        self.held.extend_from_slice(&data);
        if self.held.len() > HELD {
            let mut file = spill()?;
            file.write_all(&std::mem::take(&mut self.held))?;
            self.spilled = Some(file);
        }
        Ok(())
    }

    fn store(self, cache: &Cache) -> io::Result<()> {
        match self.spilled {
            None => cache.put(&self.digest, self.held.as_slice()),
            Some(mut file) => {
                file.rewind()?;
                cache.put(&self.digest, file)
            }
        }
    }
}

/// The next part of contents on their way in.
async fn next(
    parts: &mut Streaming<DownloadRunBlobsResponse>,
) -> Result<Option<DownloadRunBlobsResponse>, Failure> {
    match timeout(SILENCE, parts.message()).await {
        Ok(part) => Ok(part?),
        Err(_) => Err(Failure::Away("no answer in time".to_owned())),
    }
}

/// All contents of a tree, each once.
fn contents(tree: &Manifest) -> Vec<SnapshotFile> {
    let mut seen = HashSet::new();
    let files = tree.entries().iter().filter_map(file);
    files
        .filter(|file| seen.insert(file.digest.clone()))
        .collect()
}

/// The entries of a tree in messages that the server takes.
fn pages(tree: &Manifest) -> Vec<SnapshotEntries> {
    let mut pages = Vec::new();
    let (mut page, mut bytes) = (SnapshotEntries::default(), 0);
    for entry in tree.entries().iter().map(entries::encode) {
        let length = entry.encoded_len();
        if page.entries.len() == ENTRIES || bytes + length > PIECE {
            pages.push(std::mem::take(&mut page));
            bytes = 0;
        }
        bytes += length;
        page.entries.push(entry);
    }
    pages.push(page);
    pages
}

/// What a run made: what was found, and of what it began with that of which nothing is known, since it
/// is too large, unreadable or in a directory of caches now.
fn result(base: &Manifest, made: &Manifest) -> Result<Manifest, Failure> {
    let is_unknown = |entry: &&Entry| {
        made.get(&entry.path).is_none()
            && made.is_skipped(&entry.path)
            && !is_beneath_another(made, &entry.path)
    };
    let unknown = base.entries().iter().filter(is_unknown);
    let entries = made.entries().iter().chain(unknown).cloned().collect();
    Manifest::new(entries, Vec::new())
        .map_err(|error| Failure::Refused(format!("what the run left can't be told: {error}")))
}

/// Whether something that is no directory stands where a path leads through.
fn is_beneath_another(made: &Manifest, path: &TreePath) -> bool {
    let above = |path: &TreePath| path.split().map(|(parent, _)| parent);
    let mut nodes = successors(above(path), above).filter_map(|parent| made.get(&parent));
    nodes.any(|node| *node != Node::Directory)
}

fn decode(entries: Vec<SnapshotEntry>) -> Result<Manifest, Failure> {
    let entries = entries.into_iter().map(entries::decode);
    let entries: Vec<Entry> = entries.collect::<Result<_, _>>().map_err(wrong)?;
    Manifest::new(entries, Vec::new()).map_err(wrong)
}

fn file(entry: &Entry) -> Option<SnapshotFile> {
    let Node::File {
        digest,
        size,
        executable,
    } = &entry.node
    else {
        return None;
    };
    Some(SnapshotFile {
        digest: digest.to_string(),
        size: i64::try_from(*size).unwrap_or(i64::MAX),
        executable: *executable,
    })
}

fn wrong(error: impl std::error::Error) -> Failure {
    Failure::Refused(format!("the server sent what can't be: {error}"))
}

pub(super) fn unusable(error: io::Error) -> Failure {
    Failure::Refused(format!("the runner can't use its files: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use membrane_files::store::{Skipped, Why};

    fn entry(path: &str, node: Node) -> Entry {
        Entry {
            path: path.parse().expect("a path"),
            node,
        }
    }

    fn file(text: &str) -> Node {
        Node::File {
            digest: Digest::of(text.as_bytes()),
            size: text.len() as u64,
            executable: false,
        }
    }

    #[test]
    fn what_could_not_be_looked_at_stays_as_it_was_and_what_is_gone_is_gone() {
        let base = vec![
            entry("cache", Node::Directory),
            entry("cache/deep", Node::Directory),
            entry("cache/deep/file", file("as it was")),
            entry("changed", file("as it was")),
            entry("grown", file("as it was")),
            entry("removed", file("as it was")),
            entry("replaced", Node::Directory),
            entry("replaced/deep", Node::Directory),
            entry("replaced/deep/file", file("as it was")),
        ];
        let base = Manifest::new(base, Vec::new()).expect("a manifest");
        let skipped = |path: &str, why| Skipped {
            path: path.parse().expect("a path"),
            why,
        };
        let made = Manifest::new(
            vec![
                entry("changed", file("another")),
                entry("replaced", file("no directory")),
            ],
            vec![
                skipped("replaced/deep", Why::TooDeep),
                skipped("cache", Why::Excluded),
                skipped("grown", Why::TooLarge),
                skipped("planted", Why::Excluded),
            ],
        );
        let result = result(&base, &made.expect("a manifest")).expect("a result");
        let expected = [
            entry("cache", Node::Directory),
            entry("cache/deep", Node::Directory),
            entry("cache/deep/file", file("as it was")),
            entry("changed", file("another")),
            entry("grown", file("as it was")),
            entry("replaced", file("no directory")),
        ];
        assert_eq!(result.entries(), expected);
    }
}
