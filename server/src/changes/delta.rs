//! The difference of two trees as two small manifests: what changed as it was before, and as it was
//! after, with the directories that lead there. Several can be put together into one.

use std::collections::{BTreeMap, HashSet};

use membrane_files::{
    TreePath,
    store::{Entry, Manifest, ManifestError, Node},
};

/// What changed, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delta {
    /// As it was before.
    pub before: Manifest,
    /// As it was after.
    pub after: Manifest,
}

/// What stood at paths; nothing is told of other paths.
type Nodes = BTreeMap<TreePath, Option<Node>>;

impl Delta {
    /// The difference of two whole trees.
    ///
    /// # Errors
    /// None for manifests of trees.
    pub fn between(before: &Manifest, after: &Manifest) -> Result<Self, ManifestError> {
        let mut paths: HashSet<TreePath> = HashSet::new();
        for (one, other) in [(before, after), (after, before)] {
            for entry in one.entries() {
                let same = other.get(&entry.path) == Some(&entry.node);
                // What is skipped on a side may well be there.
                if !same && !other.is_skipped(&entry.path) {
                    paths.extend(lineage(&entry.path));
                }
            }
        }
        Ok(Self {
            before: part(before, &paths)?,
            after: part(after, &paths)?,
        })
    }

    /// Several differences, the earliest first, as one: each path from before the first that names
    /// it to after the last one.
    ///
    /// # Errors
    /// None for differences of trees.
    pub fn together(deltas: impl IntoIterator<Item = Self>) -> Result<Self, ManifestError> {
        let (mut first, mut last) = (Nodes::new(), Nodes::new());
        for Self { before, after } in deltas {
            let named = before.entries().iter().chain(after.entries());
            for Entry { path, .. } in named {
                first
                    .entry(path.clone())
                    .or_insert_with(|| before.get(path).cloned());
                last.insert(path.clone(), after.get(path).cloned());
            }
        }
        Ok(Self {
            before: whole(first)?,
            after: whole(last)?,
        })
    }
}

/// A path and the directories above it, without the top.
pub(super) fn lineage(path: &TreePath) -> impl Iterator<Item = TreePath> {
    std::iter::successors(Some(path.clone()), |path| {
        path.split().map(|(parent, _)| parent)
    })
    .take_while(|path| !path.is_top())
}

fn part(manifest: &Manifest, paths: &HashSet<TreePath>) -> Result<Manifest, ManifestError> {
    let entries = manifest.entries().iter();
    let chosen = entries.filter(|entry| paths.contains(&entry.path));
    Manifest::new(chosen.cloned().collect(), Vec::new())
}

/// A manifest of what is known of a tree. Directories that must have been there are added; what
/// would lie in something that is no directory is left out.
fn whole(nodes: Nodes) -> Result<Manifest, ManifestError> {
    let mut entries: BTreeMap<TreePath, Node> = BTreeMap::new();
    for (path, node) in nodes {
        let Some(node) = node else { continue };
        let above: Vec<TreePath> = lineage(&path).skip(1).collect();
        let blocked = above.iter().any(|path| {
            entries
                .get(path)
                .is_some_and(|node| *node != Node::Directory)
        });
        if blocked {
            continue;
        }
        for directory in above {
            entries.insert(directory, Node::Directory);
        }
        entries.insert(path, node);
    }
    let entries = entries.into_iter().map(|(path, node)| Entry { path, node });
    Manifest::new(entries.collect(), Vec::new())
}

/// The tree between two others: `before`, with what people did to it meanwhile as `after` has it.
///
/// # Errors
/// None for manifests of trees.
pub fn between_with(
    before: &Manifest,
    after: &Manifest,
    is_peoples: impl Fn(&TreePath, Option<&Node>) -> bool,
) -> Result<Manifest, ManifestError> {
    let mut nodes: Nodes = before
        .entries()
        .iter()
        .map(|entry| (entry.path.clone(), Some(entry.node.clone())))
        .collect();
    let named = before.entries().iter().chain(after.entries());
    for Entry { path, .. } in named {
        let now = after.get(path);
        if is_peoples(path, now) {
            nodes.insert(path.clone(), now.cloned());
        }
    }
    let manifest = whole(nodes)?;
    Manifest::new(manifest.entries().to_vec(), after.skipped().to_vec())
}

#[cfg(test)]
mod tests {
    use membrane_files::store::Digest;

    use super::*;

    fn path(text: &str) -> TreePath {
        text.parse().expect("a path")
    }

    fn file(contents: &str) -> Node {
        Node::File {
            digest: Digest::of(contents.as_bytes()),
            size: contents.len() as u64,
            executable: false,
        }
    }

    /// A tree of files, `path=contents` each, with their directories.
    fn tree(files: &str) -> Manifest {
        let nodes = files.split_whitespace().map(|file_of| {
            let (name, contents) = file_of.split_once('=').expect("a file");
            (path(name), Some(file(contents)))
        });
        whole(nodes.collect()).expect("a manifest")
    }

    fn paths(manifest: &Manifest) -> Vec<String> {
        let entries = manifest.entries().iter();
        entries.map(|entry| entry.path.to_string()).collect()
    }

    #[test]
    fn a_delta_has_what_changed_and_the_way_there() {
        let before = tree("a/x=1 a/y=1 b/z=1 c=1");
        let after = tree("a/x=2 a/y=1 b/w=1 c=1");
        let delta = Delta::between(&before, &after).expect("a delta");
        assert_eq!(paths(&delta.before), ["a", "a/x", "b", "b/z"]);
        assert_eq!(paths(&delta.after), ["a", "a/x", "b", "b/w"]);
    }

    #[test]
    fn deltas_together_go_from_the_first_to_the_last() {
        let steps = ["a=1 b=1", "a=2 b=1", "a=3 b=1 d/new=1", "a=3 b=1 d/new=2"];
        let deltas = steps
            .windows(2)
            .map(|pair| Delta::between(&tree(pair[0]), &tree(pair[1])).expect("a delta"));
        let delta = Delta::together(deltas).expect("a delta");
        assert_eq!(delta.before, tree("a=1"));
        assert_eq!(delta.after, tree("a=3 d/new=2"));
    }

    #[test]
    fn a_directory_made_by_one_and_filled_by_others_is_still_a_tree() {
        let deltas = [
            Delta::between(&tree("x=1"), &tree("x=1 d/own=1")).expect("a delta"),
            Delta::between(
                &tree("x=1 d/own=1 d/theirs=1"),
                &tree("x=1 d/own=1 d/theirs=2"),
            )
            .expect("a delta"),
        ];
        let delta = Delta::together(deltas).expect("a delta");
        assert_eq!(paths(&delta.before), ["d", "d/theirs"]);
        assert_eq!(paths(&delta.after), ["d", "d/own", "d/theirs"]);
    }

    #[test]
    fn what_people_did_meanwhile_is_theirs() {
        let before = tree("a=1 b=1 c=1");
        let after = tree("a=2 b=2 d=1");
        let theirs = ["b", "c"].map(path);
        let middle = between_with(&before, &after, |path, _| theirs.contains(path));
        let middle = middle.expect("a manifest");
        assert_eq!(middle, tree("a=1 b=2"));
    }
}
