//! Removing objects that no manifest needs any more.

use std::{collections::HashSet, future::ready};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use membrane_files::store::Digest;
use object_store::{ObjectMeta, path::Path};

use super::{
    Shelf, Wanted,
    chunks::WHOLE,
    name::{LISTS, MANIFESTS, Name},
};
use crate::{clock::Millis, error::Error};

/// Lists that are read at the same time.
const READING: usize = 8;

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Number of objects.
    pub objects: usize,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

/// An object that is there.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub name: Name,
    path: Path,
    bytes: u64,
    written: Millis,
}

/// What there was, and what is needed of it.
#[derive(Debug)]
pub struct Marks {
    objects: Vec<Object>,
    needed: HashSet<Name>,
    /// What was written later is needed, whatever else is.
    before: Millis,
}

impl Marks {
    /// The manifests that were there with all that they name.
    #[must_use]
    pub fn manifests(&self) -> HashSet<Digest> {
        let manifests = self.objects.iter().filter_map(|object| match object.name {
            Name::Manifest(digest) => Some(digest),
            _ => None,
        });
        manifests.collect()
    }
}

impl Shelf {
    /// All objects that are there. What is not named as ours is none.
    pub(super) async fn objects(&self) -> Result<Vec<Object>, Error> {
        self.objects_in(&self.top).await
    }

    async fn objects_in(&self, directory: &Path) -> Result<Vec<Object>, Error> {
        let listed = self.bucket.list(directory);
        let objects = listed.try_filter_map(|meta| ready(Ok(object(&self.top, meta))));
        objects.try_collect().await
    }

    /// How many bytes all objects have together.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn measure(&self) -> Result<u64, Error> {
        let objects = self.objects().await?;
        Ok(objects.iter().map(|object| object.bytes).sum())
    }

    /// Looks at what is there. What was written after `before` is needed.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn look(&self, before: Millis) -> Result<Marks, Error> {
        Ok(Marks {
            objects: self.objects().await?,
            needed: HashSet::new(),
            before,
        })
    }

    /// Marks what these manifests need, and those that are new. What is marked already is not looked at
    /// again, so it may be called first for most of them and then, with nobody else at work, for those
    /// that have come since.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Lost`] when it can't be known what one needs.
    pub async fn mark(&self, marks: &mut Marks, manifests: Vec<Digest>) -> Result<(), Error> {
        let is_new = |object: &&Object| object.written >= marks.before;
        let new: Vec<Name> = marks
            .objects
            .iter()
            .filter(is_new)
            .map(|object| object.name)
            .collect();
        let (mut roots, mut lists) = (manifests, Vec::new());
        for name in new {
            match name {
                Name::Manifest(digest) => roots.push(digest),
                Name::List(digest) => lists.push(digest),
                Name::Contents(_) => drop(marks.needed.insert(name)),
            }
        }
        self.mark_lists(marks, lists).await?;
        for root in roots {
            if marks.needed.insert(Name::Manifest(root)) {
                self.mark_manifest(marks, root).await?;
            }
        }
        Ok(())
    }

    /// Marks what has come since [`Shelf::look`], and what it leads to: whoever sent it left out what was
    /// there already. The caller holds [`Shelf::alone`].
    ///
    /// # Errors
    /// Those of [`Shelf::mark`].
    pub async fn mark_since(&self, marks: &mut Marks) -> Result<(), Error> {
        let before: HashSet<Name> = marks.objects.iter().map(|object| object.name).collect();
        let (mut manifests, mut lists) = (Vec::new(), Vec::new());
        for directory in [MANIFESTS, LISTS] {
            for object in self.objects_in(&self.top.clone().join(directory)).await? {
                match object.name {
                    name if before.contains(&name) => {}
                    Name::Manifest(digest) => manifests.push(digest),
                    Name::List(digest) => lists.push(digest),
                    Name::Contents(_) => {}
                }
            }
        }
        self.mark_lists(marks, lists).await?;
        self.mark(marks, manifests).await
    }

    async fn mark_manifest(&self, marks: &mut Marks, manifest: Digest) -> Result<(), Error> {
        self.fetch(vec![Wanted::any(manifest)]).await?;
        let tree = self.load(manifest).await?;
        let itself = Wanted {
            digest: manifest,
            size: Some(self.size(manifest).await?),
        };
        let mut lists = Vec::new();
        for Wanted { digest, size } in Wanted::all(&tree).chain([itself]) {
            if size.is_some_and(|size| size > WHOLE) {
                lists.push(digest);
            } else {
                marks.needed.insert(Name::Contents(digest));
            }
        }
        self.mark_lists(marks, lists).await
    }

    /// Marks lists, and the chunks that they name.
    async fn mark_lists(&self, marks: &mut Marks, mut lists: Vec<Digest>) -> Result<(), Error> {
        lists.retain(|digest| marks.needed.insert(Name::List(*digest)));
        let mut chunks = stream::iter(lists)
            .map(|digest| self.list_of(digest))
            .buffer_unordered(READING);
        while let Some(list) = chunks.try_next().await? {
            // Contents of a snapshot that was not sent yet have none.
            let named = list
                .into_iter()
                .flatten()
                .map(|chunk| Name::Contents(chunk.digest));
            marks.needed.extend(named);
        }
        Ok(())
    }

    /// Removes what is old and not marked. What leads to something goes before it, so that whatever is
    /// still there when it is cut off is whole. The caller holds [`Shelf::alone`], and has marked under it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; then some of it is gone.
    pub async fn sweep(&self, marks: Marks) -> Result<Swept, Error> {
        let Marks {
            objects, needed, ..
        } = marks;
        let doomed = objects
            .into_iter()
            .filter(|object| !needed.contains(&object.name));
        let (mut manifests, mut lists, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        let mut swept = Swept::default();
        for Object {
            name, path, bytes, ..
        } in doomed
        {
            swept.objects += 1;
            swept.bytes += bytes;
            match name {
                Name::Manifest(_) => manifests.push(path),
                Name::List(_) => lists.push(path),
                Name::Contents(_) => contents.push(path),
            }
        }
        for paths in [manifests, lists, contents] {
            self.bucket.delete(paths).await?;
        }
        Ok(swept)
    }
}

/// What an object of a workspace is; nothing for what is not named as ours.
fn object(top: &Path, meta: ObjectMeta) -> Option<Object> {
    let mut parts = meta.location.prefix_match(top)?;
    let (directory, name) = (parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(Object {
        name: Name::parse(directory.as_ref(), name.as_ref())?,
        bytes: meta.size,
        written: meta.last_modified.timestamp_millis(),
        path: meta.location.clone(),
    })
}
