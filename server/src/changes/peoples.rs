//! What people change while an agent works: the same comparison of trees would take it for the
//! agent's, so what they left is noted as it happens.

use cap_fs_ext::DirExt as _;
use membrane_files::{
    TreePath,
    store::{Manifest, Node, ScanOptions, StatCache, scan},
};

use super::{
    Changes,
    trees::{Tree, as_path, broken},
};
use crate::{clock::Millis, error::Error, id::WorkspaceId, time::system_time, uploads::blocking};

/// What a person left at a path, and beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touched {
    path: TreePath,
    /// Nothing, if they removed it.
    left: Option<Node>,
    /// By paths within it.
    beneath: Manifest,
}

impl Changes {
    /// Notes what a person has just made of a path, if an agent works in the workspace. What the
    /// agent makes of it afterwards is the agent's again.
    pub async fn person_touched(&self, workspace: WorkspaceId, path: &TreePath) {
        // Without an entry no turn works there, and the next one's beginning sees it all.
        if !self.touched().contains_key(&workspace) {
            return;
        }
        let (changes, at, now) = (self.clone(), path.clone(), self.clock.now());
        match blocking(move || changes.tree(workspace)?.left_at(&at, now)).await {
            Ok(touched) => {
                if let Some(noted) = self.touched().get_mut(&workspace) {
                    noted.push(touched);
                }
            }
            // It is then shown as the agent's, which is wrong and hides nothing.
            Err(error) => error.log(),
        }
    }
}

impl Tree {
    fn left_at(&self, path: &TreePath, now: Millis) -> Result<Touched, Error> {
        let left = self.node(path)?;
        let beneath = match left {
            Some(Node::Directory) => self.beneath(path, now)?,
            _ => Manifest::default(),
        };
        Ok(Touched {
            path: path.clone(),
            left,
            beneath,
        })
    }

    fn beneath(&self, path: &TreePath, now: Millis) -> Result<Manifest, Error> {
        let directory = self.files.open_dir_nofollow(as_path(path))?;
        let (mut cache, options) = (StatCache::default(), ScanOptions::default());
        let scan = scan(
            &directory,
            &self.store,
            &mut cache,
            system_time(now),
            &options,
        );
        Ok(scan.map_err(broken)?.manifest)
    }
}

/// Whether what stands at a path now is what a person left there.
pub(super) fn is_peoples(touched: &[Touched], path: &TreePath, now: Option<&Node>) -> bool {
    let last = touched.iter().rfind(|one| path.is_within(&one.path));
    last.is_some_and(|one| one.left_at(path) == now)
}

impl Touched {
    /// What was left at this path, which is the touched one or lies beneath it.
    fn left_at(&self, path: &TreePath) -> Option<&Node> {
        let rest = &path.as_bytes()[self.path.as_bytes().len()..];
        match rest.strip_prefix(b"/") {
            None => self.left.as_ref(),
            Some(rest) => self.beneath.get(&TreePath::from_bytes(rest).ok()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use membrane_files::store::{Digest, Entry};

    use super::*;

    fn file(contents: &str) -> Node {
        Node::File {
            digest: Digest::of(contents.as_bytes()),
            size: contents.len() as u64,
            executable: false,
        }
    }

    fn path(text: &str) -> TreePath {
        text.parse().expect("a path")
    }

    #[test]
    fn a_file_is_theirs_until_the_agent_changes_it() {
        let touched = [Touched {
            path: path("notes.md"),
            left: Some(file("theirs")),
            beneath: Manifest::default(),
        }];
        let theirs = |at: &str, now: Option<Node>| is_peoples(&touched, &path(at), now.as_ref());
        assert!(theirs("notes.md", Some(file("theirs"))));
        assert!(!theirs("notes.md", Some(file("the agent's"))));
        assert!(!theirs("notes.md", None));
        assert!(!theirs("notes.md2", Some(file("theirs"))));
    }

    #[test]
    fn what_lies_beneath_a_moved_directory_is_theirs_as_they_left_it() {
        let beneath = Entry {
            path: path("a.md"),
            node: file("moved"),
        };
        let touched = [
            Touched {
                path: path("docs"),
                left: None,
                beneath: Manifest::default(),
            },
            Touched {
                path: path("manual"),
                left: Some(Node::Directory),
                beneath: Manifest::new(vec![beneath], Vec::new()).expect("a manifest"),
            },
        ];
        let theirs = |at: &str, now: Option<Node>| is_peoples(&touched, &path(at), now.as_ref());
        assert!(theirs("docs/a.md", None));
        assert!(!theirs("docs/a.md", Some(file("the agent's"))));
        assert!(theirs("manual", Some(Node::Directory)));
        assert!(theirs("manual/a.md", Some(file("moved"))));
        assert!(!theirs("manual/b.md", Some(file("the agent's"))));
    }
}
