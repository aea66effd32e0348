//! The output of one command: as much of it as an answer may have, and the whole in a file when it
//! is more than that.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use membrane_proto::v1::Truncation;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::paths::{Place, Root, Roots};

/// Output over so many characters goes to a file.
const ANSWER_CHARS_MAX: usize = 30_000;
/// So many characters of its beginning, and as many of its end, are the preview.
const PREVIEW_CHARS: usize = 10_000;
/// No character of UTF-8 has more than four bytes.
const HELD_BYTES_MAX: usize = ANSWER_CHARS_MAX * 4;
const TAIL_BYTES: usize = PREVIEW_CHARS * 4;
/// The file holds at most so much; the rest is dropped.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Where such files are, relative to HOME.
const OUTPUTS: &str = ".membrane/outputs";
const NAME_CHARS_MAX: usize = 100;

/// Collects a command's output.
pub(super) struct Collector {
    roots: Arc<Roots>,
    file_name: PathBuf,
    /// The beginning: everything, as long as it may be the whole.
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    hasher: blake3::Hasher,
    spill: Spill,
}

/// The file for what an answer can't have.
enum Spill {
    NotNeeded,
    Open { file: File, written: u64 },
    Failed,
}

/// What a command's output came to.
pub(super) struct Collected {
    /// The whole, or its beginning and end with a remark in between.
    pub(super) text: String,
    /// Present if that is not the whole.
    pub(super) truncation: Option<Truncation>,
}

impl Collector {
    /// For one call. The file is made when it is needed.
    pub(super) fn new(roots: Arc<Roots>, tool_call_id: &str) -> Self {
        Self {
            roots,
            file_name: file_name(tool_call_id),
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
            hasher: blake3::Hasher::new(),
            spill: Spill::NotNeeded,
        }
    }

    /// Takes the next piece. A file that can't be written is no reason to fail.
    pub(super) async fn push(&mut self, piece: &[u8]) {
        self.total += piece.len() as u64;
        self.hasher.update(piece);
        let room = HELD_BYTES_MAX.saturating_sub(self.head.len());
        let (held, rest) = piece.split_at(piece.len().min(room));
        self.head.extend_from_slice(held);
        if rest.is_empty() {
            return;
        }
        if matches!(self.spill, Spill::NotNeeded) {
            self.start_file().await;
        }
        self.spill.write(rest).await;
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
    }

    /// Ends the collection.
    pub(super) async fn finish(mut self) -> Collected {
        if self.is_whole() {
            return Collected {
                text: String::from_utf8_lossy(&self.head).into_owned(),
                truncation: None,
            };
        }
        if matches!(self.spill, Spill::NotNeeded) {
            self.start_file().await;
        }
        let kept = self.spill.finish().await;
        let path = kept.map(|_| self.place().shown()).unwrap_or_default();
        let remark = self.remark(&path, kept);
        Collected {
            text: self.preview(&remark),
            truncation: Some(Truncation {
                total_bytes: i64::try_from(self.total).unwrap_or(i64::MAX),
                digest: format!("blake3:{}", self.hasher.finalize().to_hex()),
                path,
            }),
        }
    }

    fn is_whole(&self) -> bool {
        if !matches!(self.spill, Spill::NotNeeded) {
            return false;
        }
        String::from_utf8_lossy(&self.head).chars().count() <= ANSWER_CHARS_MAX
    }

    async fn start_file(&mut self) {
        let (roots, name) = (self.roots.clone(), self.file_name.clone());
        let opened =
            tokio::task::spawn_blocking(move || create(roots.tree(Root::Home), &name)).await;
        self.spill = match opened {
            Ok(Ok(file)) => Spill::Open { file, written: 0 },
            _ => Spill::Failed,
        };
        self.spill.write(&self.head).await;
    }

    fn place(&self) -> Place {
        Place::new(Root::Home, &Path::new(OUTPUTS).join(&self.file_name))
    }

    fn remark(&self, path: &str, kept: Option<u64>) -> String {
        let total = self.total;
        match kept {
            None => format!("[… {total} bytes in all; the whole could not be kept …]"),
            Some(kept) if kept < total => {
                format!(
                    "[… {total} bytes in all, the first {kept} of them in {path}; the rest was dropped …]"
                )
            }
            Some(_) => format!("[… {total} bytes in all, the whole is in {path} …]"),
        }
    }

    fn preview(&self, remark: &str) -> String {
        let head = String::from_utf8_lossy(&self.head);
        let end: Vec<u8> = self
            .head
            .iter()
            .copied()
            .chain(self.tail.iter().copied())
            .collect();
        let end =
            String::from_utf8_lossy(&end[end.len().saturating_sub(TAIL_BYTES)..]).into_owned();
        let head_end = head
            .char_indices()
            .nth(PREVIEW_CHARS)
            .map_or(head.len(), |(index, _)| index);
        let tail_start = end
            .char_indices()
            .rev()
            .nth(PREVIEW_CHARS - 1)
            .map_or(0, |(index, _)| index);
        format!("{}\n{remark}\n{}", &head[..head_end], &end[tail_start..])
    }
}

impl Spill {
    async fn write(&mut self, piece: &[u8]) {
        let Self::Open { file, written } = self else {
            return;
        };
        let room = usize::try_from(FILE_BYTES_MAX - *written).unwrap_or(usize::MAX);
        let piece = &piece[..piece.len().min(room)];
        match file.write_all(piece).await {
            Ok(()) => *written += piece.len() as u64,
            Err(_) => *self = Self::Failed,
        }
    }

    /// How many bytes are in the file; none if there is no good file.
    async fn finish(&mut self) -> Option<u64> {
        let Self::Open { file, written } = self else {
            return None;
        };
        file.flush().await.ok()?;
        Some(*written)
    }
}

/// A new file. The agent can write in its HOME: what stands in the way is removed, never opened,
/// and a link that leads out fails.
fn create(home: &Dir, name: &Path) -> io::Result<File> {
    home.create_dir_all(OUTPUTS)?;
    let outputs = home.open_dir(OUTPUTS)?;
    let _ = outputs.remove_file(name);
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o644)
        .follow(FollowSymlinks::No);
    let file = outputs.open_with(name, &options)?;
    Ok(File::from_std(file.into_std()))
}

/// A call's id comes from the model's provider: what is no plain character is replaced.
fn file_name(tool_call_id: &str) -> PathBuf {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let characters = tool_call_id.chars().take(NAME_CHARS_MAX);
    let name: String = characters
        .map(|one| if is_plain(one) { one } else { '_' })
        .collect();
    PathBuf::from(format!("{name}.txt"))
}
