//! The tree that an archive describes, before any of it exists: finds duplicates, twins, clashes
//! and entries beneath links, and counts directories that are only implied.

use crate::error::{ArchiveError, EntryName};
use crate::limits::Limits;
use crate::path;
use std::collections::HashMap;

/// What an entry claims its path to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    Directory,
    Symlink,
    /// A file, or something that is dropped but still occupies its path.
    File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A directory that so far only occurs within the paths of others.
    Implied,
    Claimed(Claim),
}

#[derive(Debug)]
struct Node {
    parent: usize,
    name: Box<str>,
    state: State,
}

/// Paths accepted so far. Memory is one node for each distinct component.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The root is not stored; node `i` has the identity `i + 1`.
    nodes: Vec<Node>,
    children: HashMap<(usize, Box<str>), usize>,
    max_nodes: u64,
    refuse_twins: bool,
}

const ROOT: usize = 0;

impl Tree {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            nodes: Vec::new(),
            children: HashMap::new(),
            max_nodes: limits.max_entries,
            refuse_twins: limits.refuse_twins,
        }
    }

    /// Adds a checked path.
    ///
    /// # Errors
    /// When it contradicts one that was added before, or is one too many.
    pub(crate) fn insert(&mut self, path: &str, claim: Claim) -> Result<(), ArchiveError> {
        let mut parent = ROOT;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let state = match names.peek() {
                Some(_) => State::Implied,
                None => State::Claimed(claim),
            };
            parent = self.insert_component(parent, name, state, path)?;
        }
        Ok(())
    }

    fn insert_component(
        &mut self,
        parent: usize,
        name: &str,
        state: State,
        path: &str,
    ) -> Result<usize, ArchiveError> {
        let key = match self.refuse_twins {
            true => path::fold(name),
            false => name.to_owned(),
        };
        let key = (parent, key.into_boxed_str());
        if let Some(&id) = self.children.get(&key) {
            self.meet(id, name, state, path)?;
            return Ok(id);
        }
        self.check_room()?;
        let name = Box::from(name);
        self.nodes.push(Node {
            parent,
            name,
            state,
        });
        let id = self.nodes.len();
        self.children.insert(key, id);
        Ok(id)
    }

    fn check_room(&self) -> Result<(), ArchiveError> {
        let entries = self.nodes.len() as u64 + 1;
        let limit = self.max_nodes;
        if entries > limit {
            return Err(ArchiveError::TooManyEntries { entries, limit });
        }
        Ok(())
    }

    /// A second claim on a path: fine only between directories of which at most one is explicit.
    fn meet(&mut self, id: usize, name: &str, new: State, path: &str) -> Result<(), ArchiveError> {
        let entry = || EntryName::new(path);
        if &*self.nodes[id - 1].name != name {
            let other = EntryName::new(self.path_of(id));
            return Err(ArchiveError::Twin {
                entry: entry(),
                other,
            });
        }
        let node = &mut self.nodes[id - 1];
        let directory = State::Claimed(Claim::Directory);
        let link = State::Claimed(Claim::Symlink);
        match (node.state, new) {
            (State::Implied, State::Implied) => {}
            (old, State::Implied) if old == directory => {}
            (State::Implied, new) if new == directory => node.state = new,
            (State::Claimed(old), State::Claimed(new)) if old == new => {
                return Err(ArchiveError::Duplicate { entry: entry() });
            }
            (State::Implied, new) | (new, State::Implied) if new == link => {
                return Err(ArchiveError::ThroughSymlink { entry: entry() });
            }
            _ => return Err(ArchiveError::FileDirectoryClash { entry: entry() }),
        }
        Ok(())
    }

    fn path_of(&self, id: usize) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            let node = &self.nodes[at - 1];
            names.push(&*node.name);
            at = node.parent;
        }
        names.reverse();
        names.join("/")
    }

    /// Every directory, parents before children.
    pub(crate) fn directories(&self) -> impl Iterator<Item = String> {
        let is_directory = |node: &Node| {
            matches!(
                node.state,
                State::Implied | State::Claimed(Claim::Directory)
            )
        };
        (1..=self.nodes.len())
            .filter(move |id| is_directory(&self.nodes[id - 1]))
            .map(|id| self.path_of(id))
    }
}
