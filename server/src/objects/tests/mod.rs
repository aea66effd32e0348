//! On a store in memory, so that all of it can be seen and damaged. A real one is in `tests/server`.

use std::{collections::BTreeMap, sync::Arc};

use cap_std::{ambient_authority, fs::Dir};
use futures::TryStreamExt as _;
use membrane_files::store::{Digest, Entry, Manifest, Node, Store};
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path};
use tempfile::TempDir;

use super::{Bucket, Shelf, Wanted, name::Name};
use crate::{clock::Millis, error::Error, id::WorkspaceId};

mod breaking;
mod together;

/// A bucket in memory, and a workspace with stores as many as there are machines.
struct Desk {
    memory: Arc<InMemory>,
    bucket: Bucket,
    workspace: WorkspaceId,
    directories: Vec<TempDir>,
}

/// Long after everything in a test was written.
const LATER: Millis = Millis::MAX;

impl Desk {
    fn new() -> Self {
        let memory = Arc::new(InMemory::new());
        Self {
            bucket: Bucket::over(memory.clone(), "some/prefix"),
            memory,
            workspace: WorkspaceId::new(),
            directories: Vec::new(),
        }
    }

    /// The workspace's objects beside an empty store.
    fn shelf(&mut self) -> Shelf {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf = self.shelf_in(&directory, &self.bucket);
        self.directories.push(directory);
        shelf
    }

    /// The same beside a store that others may use as well.
    fn shelf_in(&self, directory: &TempDir, bucket: &Bucket) -> Shelf {
        let opened = Dir::open_ambient_dir(directory.path(), ambient_authority());
        let store = Store::open(opened.expect("opened")).expect("a store");
        bucket.shelf(self.workspace, store, directory.path().join("lock"))
    }

    async fn objects(&self) -> BTreeMap<String, u64> {
        let listed = self.memory.list(None);
        let pairs = listed.map_ok(|meta| (meta.location.to_string(), meta.size));
        pairs.try_collect().await.expect("a list")
    }

    async fn bytes(&self) -> u64 {
        self.objects().await.values().sum()
    }

    async fn count(&self, directory: &str) -> usize {
        let within = format!("/{directory}/");
        let objects = self.objects().await;
        objects.keys().filter(|path| path.contains(&within)).count()
    }

    async fn overwrite(&self, directory: &str, contents: &'static [u8]) {
        let within = format!("/{directory}/");
        for path in self
            .objects()
            .await
            .into_keys()
            .filter(|path| path.contains(&within))
        {
            let path = Path::from(path);
            let put = self.memory.put(&path, contents.into());
            put.await.expect("written");
        }
    }

    async fn remove(&self, directory: &str) {
        let within = format!("/{directory}/");
        for path in self
            .objects()
            .await
            .into_keys()
            .filter(|path| path.contains(&within))
        {
            self.memory
                .delete(&Path::from(path))
                .await
                .expect("removed");
        }
    }
}

impl Shelf {
    /// Records a tree of these files.
    fn record(&self, files: &[&[u8]]) -> Digest {
        let entry = |(number, contents): (usize, &&[u8])| Entry {
            path: format!("file-{number:04}").parse().expect("a path"),
            node: Node::File {
                digest: self.store.put_bytes(contents).expect("stored"),
                size: contents.len() as u64,
                executable: false,
            },
        };
        let entries = files.iter().enumerate().map(entry).collect();
        let manifest = Manifest::new(entries, Vec::new()).expect("a manifest");
        self.store.save_manifest(&manifest).expect("stored")
    }

    /// Fetches a tree, and says what its files have.
    async fn tree(&self, manifest: Digest) -> Result<Vec<Vec<u8>>, Error> {
        self.fetch(vec![Wanted::any(manifest)]).await?;
        let tree = self.load(manifest).await?;
        self.fetch(Wanted::all(&tree).collect()).await?;
        let contents = Wanted::all(&tree).map(|wanted| self.store.read(&wanted.digest, u64::MAX));
        Ok(contents
            .map(|read| read.expect("here, and whole"))
            .collect())
    }

    /// Removes what these manifests do not need, however new it is.
    async fn keep(&self, manifests: &[Digest]) -> Result<usize, Error> {
        let mut marks = self.look(LATER).await?;
        self.mark(&mut marks, manifests.to_vec()).await?;
        self.mark_since(&mut marks).await?;
        Ok(self.sweep(marks).await?.objects)
    }
}

/// Bytes that nothing compresses and no two tests share.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn reason<T>(outcome: Result<T, Error>) -> &'static str {
    outcome.map_or_else(|error| error.reason(), |_| "")
}

#[tokio::test]
async fn what_is_sent_is_fetched_elsewhere_byte_by_byte() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let edges = [0, 1, 1 << 20, (1 << 20) + 1, 5 << 20];
    let files: Vec<_> = edges.iter().map(|length| noise(1, *length)).collect();
    let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let manifest = here.record(&slices);
    assert_eq!(reason(there.tree(manifest).await), "CONTENTS_MISSING");
    here.send(manifest, None, true).await.expect("sent");
    assert!(here.has(manifest).await.expect("asked"));
    assert_eq!(there.tree(manifest).await.expect("fetched"), files);
    // Its names begin as they should, and tell of no path.
    let top = format!("some/prefix/workspaces/{}/", desk.workspace);
    let objects = desk.objects().await;
    assert!(
        objects.keys().all(|path| path.starts_with(&top)),
        "{objects:?}"
    );
    assert_eq!(desk.count("lists").await, 2);
}

#[tokio::test]
async fn many_files_are_sent_once() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let mut files: Vec<_> = (0..700).map(|seed| noise(seed, 10)).collect();
    let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let first = here.record(&slices);
    here.send(first, None, true).await.expect("sent");
    let before = desk.objects().await.len();
    files[3] = noise(1_000, 10);
    let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let second = here.record(&slices);
    here.send(second, Some(first), true).await.expect("sent");
    // One file, the manifest, and that it is there.
    assert_eq!(desk.objects().await.len(), before + 3);
    assert_eq!(there.tree(second).await.expect("fetched"), files);
}

#[tokio::test]
async fn an_edit_in_a_large_file_sends_what_is_around_it() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let mut file = noise(2, 48 << 20);
    here.send(here.record(&[&file]), None, true)
        .await
        .expect("sent");
    let before = desk.bytes().await;
    file.splice(20_000_000..20_000_000, *b"some bytes more");
    let manifest = here.record(&[&file]);
    here.send(manifest, None, true).await.expect("sent");
    let sent = desk.bytes().await - before;
    assert!(sent < 9 << 20, "{sent} bytes were sent");
    assert_eq!(there.tree(manifest).await.expect("fetched"), [file]);
}

#[tokio::test]
async fn what_is_damaged_is_never_taken_for_contents() {
    for (directory, bytes) in [("contents", 100), ("contents", 3 << 20), ("lists", 3 << 20)] {
        let mut desk = Desk::new();
        let (here, there) = (desk.shelf(), desk.shelf());
        let manifest = here.record(&[&noise(3, bytes)]);
        here.send(manifest, None, true).await.expect("sent");
        let wanted = vec![Wanted::any(manifest)];
        there.fetch(wanted).await.expect("fetched");
        desk.overwrite(directory, b"something else").await;
        let tree = there.tree(manifest).await;
        assert_eq!(reason(tree), "CONTENTS_DAMAGED", "{directory} {bytes}");
        desk.remove(directory).await;
        let tree = there.tree(manifest).await;
        assert_eq!(reason(tree), "CONTENTS_MISSING", "{directory} {bytes}");
    }
}

#[tokio::test]
async fn a_list_of_other_chunks_is_damaged() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let manifest = here.record(&[&noise(4, 3 << 20), &noise(5, 3 << 20)]);
    here.send(manifest, None, true).await.expect("sent");
    there
        .fetch(vec![Wanted::any(manifest)])
        .await
        .expect("fetched");
    let mut lists = desk
        .objects()
        .await
        .into_keys()
        .filter(|path| path.contains("/lists/"));
    let (one, other) = (lists.next().expect("one"), lists.next().expect("another"));
    let copied = desk.memory.copy(&Path::from(one), &Path::from(other)).await;
    copied.expect("copied");
    assert_eq!(reason(there.tree(manifest).await), "CONTENTS_DAMAGED");
}

#[tokio::test]
async fn nothing_that_is_needed_is_removed_and_all_else_is() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let (shared, one, other) = (noise(6, 3 << 20), noise(7, 2 << 20), noise(8, 1_000));
    let first = here.record(&[&shared, &one]);
    let second = here.record(&[&shared, &other]);
    for manifest in [first, second] {
        here.send(manifest, None, true).await.expect("sent");
    }
    assert_eq!(here.keep(&[first, second]).await.expect("swept"), 0);
    assert!(here.keep(&[second]).await.expect("swept") >= 4);
    assert!(!here.has(first).await.expect("asked"));
    assert_eq!(there.tree(second).await.expect("fetched"), [shared, other]);
    here.keep(&[]).await.expect("swept");
    assert_eq!(desk.objects().await.len(), 0);
}

#[tokio::test]
async fn what_is_new_is_spared_with_all_that_it_leads_to() {
    let mut desk = Desk::new();
    let here = desk.shelf();
    let manifest = here.record(&[&noise(9, 3 << 20), b"small"]);
    here.send(manifest, None, true).await.expect("sent");
    let before = desk.objects().await;
    let mut marks = here.look(0).await.expect("looked");
    here.mark(&mut marks, Vec::new()).await.expect("marked");
    assert_eq!(here.sweep(marks).await.expect("swept").objects, 0);
    assert_eq!(desk.objects().await, before);
}

#[tokio::test]
async fn rows_that_come_while_it_is_looked_keep_what_they_need() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let file = noise(10, 3 << 20);
    let first = here.record(&[&file]);
    here.send(first, None, true).await.expect("sent");
    let mut marks = here.look(LATER).await.expect("looked");
    here.mark(&mut marks, Vec::new()).await.expect("marked");
    // Nothing of the file is sent again, and its old objects are on the list of what may go.
    let second = here.record(&[&file, b"another"]);
    here.send(second, None, true).await.expect("sent");
    here.mark(&mut marks, vec![second]).await.expect("marked");
    here.sweep(marks).await.expect("swept");
    assert_eq!(
        there.tree(second).await.expect("fetched"),
        [&file[..], b"another"]
    );
}

#[tokio::test]
async fn what_can_not_be_read_keeps_everything() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let (first, second) = (here.record(&[&noise(11, 3 << 20)]), here.record(&[b"x"]));
    for manifest in [first, second] {
        here.send(manifest, None, true).await.expect("sent");
    }
    let before = desk.objects().await.len();
    desk.overwrite("lists", b"damaged").await;
    assert_eq!(reason(there.keep(&[first]).await), "CONTENTS_DAMAGED");
    assert_eq!(desk.objects().await.len(), before);
}

#[tokio::test(start_paused = true)]
async fn who_sends_and_who_removes_wait_for_each_other() {
    let mut desk = Desk::new();
    let here = desk.shelf();
    let one = here.share().await.expect("shared");
    let other = here.share().await.expect("shared");
    assert!(here.alone().await.expect("tried").is_none());
    drop((one, other));
    let alone = here.alone().await.expect("tried").expect("alone");
    assert!(here.alone().await.expect("tried").is_none());
    drop(alone);
    here.share().await.expect("shared");
}

#[tokio::test]
async fn workspaces_share_nothing_and_one_goes_alone() {
    let mut desk = Desk::new();
    let file = noise(12, 2 << 20);
    let first = desk.shelf();
    let manifest = first.record(&[&file]);
    first.send(manifest, None, true).await.expect("sent");
    let before = desk.objects().await;
    let other = std::mem::replace(&mut desk.workspace, WorkspaceId::new());
    let second = desk.shelf();
    assert!(!second.has(manifest).await.expect("asked"));
    assert_eq!(reason(second.tree(manifest).await), "CONTENTS_MISSING");
    second.record(&[&file]);
    second.send(manifest, None, true).await.expect("sent");
    assert_eq!(desk.objects().await.len(), 2 * before.len());
    assert_eq!(
        desk.bucket.remove(desk.workspace).await.expect("removed"),
        before.len()
    );
    assert_eq!(desk.objects().await, before);
    assert_eq!(
        desk.bucket.remove(other).await.expect("removed"),
        before.len()
    );
}

#[tokio::test]
async fn what_was_sent_while_others_looked_is_whole_or_is_sent_again() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let (small, large) = (noise(90, 100), noise(91, 3 << 20));
    let first = here.record(&[&small, &large]);
    here.send(first, None, true).await.expect("sent");
    // Its snapshot is deleted. Somebody looks, and meanwhile another one has the same contents, but is
    // killed before there is a row.
    let mut marks = here.look(LATER).await.expect("looked");
    here.mark(&mut marks, Vec::new()).await.expect("marked");
    let second = here.record(&[&large, &small, b"new"]);
    here.send(second, None, false).await.expect("sent");
    here.mark_since(&mut marks).await.expect("marked");
    here.sweep(marks).await.expect("swept");
    assert_eq!(there.tree(second).await.expect("whole").len(), 3);
    // Even if it had not been seen: nobody believes what no row has named.
    here.keep(&[]).await.expect("swept");
    let marker = here.path(Name::Manifest(second));
    here.bucket
        .put(&marker, Vec::new().into())
        .await
        .expect("put");
    here.send(second, None, false).await.expect("sent again");
    assert_eq!(desk.shelf().tree(second).await.expect("whole").len(), 3);
}

#[tokio::test]
async fn a_manifest_that_is_here_in_part_is_fetched_again() {
    let mut desk = Desk::new();
    let (here, there) = (desk.shelf(), desk.shelf());
    let manifest = here.record(&[b"contents"]);
    here.send(manifest, None, true).await.expect("sent");
    there
        .fetch(vec![Wanted::any(manifest)])
        .await
        .expect("fetched");
    let name = manifest.to_string().replace("blake3:", "");
    let blobs = desk.directories[1].path().join("blobs");
    let path = blobs.join(&name[..2]).join(&name[2..]);
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, b"").expect("written");
    there
        .fetch(vec![Wanted::any(manifest)])
        .await
        .expect("fetched");
    there.load(manifest).await.expect("whole");
}
