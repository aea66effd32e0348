//! Several at the same time: senders, who delete snapshots again, and who removes what none needs.

use std::sync::{Arc, Mutex};

use membrane_files::store::Digest;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{Desk, LATER, Shelf, noise};

/// What a database would have.
#[derive(Debug, Clone, Default)]
struct Rows(Arc<Mutex<Vec<Digest>>>);

impl Rows {
    fn all(&self) -> Vec<Digest> {
        self.0.lock().expect("whole").clone()
    }

    fn insert(&self, manifest: Digest) {
        self.0.lock().expect("whole").push(manifest);
    }

    fn delete(&self, manifest: Digest) {
        let mut rows = self.0.lock().expect("whole");
        let at = rows.iter().position(|row| *row == manifest);
        rows.remove(at.expect("a row"));
    }
}

/// Makes a few trees again and again, which have files in common, and sees that what a row names can be
/// fetched by somebody who has nothing.
async fn send(seed: usize, shelf: Shelf, elsewhere: Vec<Shelf>, rows: Rows) {
    let large = noise(30, 2 << 20);
    let small: Vec<_> = (31..37).map(|number| noise(number, 100)).collect();
    for (round, empty) in elsewhere.into_iter().enumerate() {
        let step = seed + round;
        let files: [&[u8]; 3] = [&small[step % 6], &small[step * 5 % 6], &large];
        let manifest = shelf.record(&files[..2 + step % 2]);
        let sharing = shelf.share().await.expect("shared");
        let (base, kept) = (rows.all().last().copied(), rows.all());
        let sent = shelf.send(manifest, base, kept.contains(&manifest));
        sent.await.expect("sent");
        rows.insert(manifest);
        drop(sharing);
        empty.tree(manifest).await.expect("all of it");
        rows.delete(manifest);
    }
}

/// Removes what no row needs, however new it is, as often as that can be. Answers how much.
async fn remove(shelf: Shelf, rows: Rows, rounds: usize) -> usize {
    let mut removed = 0;
    for _ in 0..rounds {
        let mut marks = shelf.look(LATER).await.expect("looked");
        shelf.mark(&mut marks, rows.all()).await.expect("marked");
        let alone = shelf.alone().await.expect("tried").expect("alone");
        shelf.mark(&mut marks, rows.all()).await.expect("marked");
        shelf.mark_since(&mut marks).await.expect("marked");
        removed += shelf.sweep(marks).await.expect("swept").objects;
        drop(alone);
    }
    removed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_a_row_names_is_ever_removed() {
    const ROUNDS: usize = 30;
    let mut desk = Desk::new();
    let (directory, rows) = (TempDir::new().expect("a directory"), Rows::default());
    let mut senders = JoinSet::new();
    for seed in 0..3 {
        let shelf = desk.shelf_in(&directory, &desk.bucket);
        let elsewhere = (0..ROUNDS).map(|_| desk.shelf()).collect();
        senders.spawn(send(seed, shelf, elsewhere, rows.clone()));
    }
    let removers: JoinSet<usize> = (0..2)
        .map(|_| {
            remove(
                desk.shelf_in(&directory, &desk.bucket),
                rows.clone(),
                ROUNDS,
            )
        })
        .collect();
    senders.join_all().await;
    let mut removed: usize = removers.join_all().await.iter().sum();
    let last = desk.shelf_in(&directory, &desk.bucket);
    removed += remove(last, rows, 1).await;
    assert!(removed > 0);
    assert_eq!(desk.objects().await.len(), 0);
}
