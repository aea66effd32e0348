//! Archives that must be accepted, and what becomes of them.

use crate::raw::{Entry, directory, file, link, zip};
use crate::support::{Node, accept};

#[test]
fn files_directories_links_and_executable_bits_arrive() {
    let (tree, summary) = accept(&zip(&[
        directory("empty/"),
        file("a/b/plain.txt", b"plain"),
        Entry::new("a/run.sh", 0o100_755, b"#!/bin/sh\n").deflated(),
        link("a/b/up", "../run.sh"),
        file("streamed", b"later").deflated().described(),
    ]));
    assert_eq!(summary.files, 3);
    assert_eq!(summary.directories, 3);
    assert_eq!(summary.symlinks, 1);
    assert_eq!(summary.total_bytes, 20);
    assert!(summary.dropped.is_empty());
    assert_eq!(tree["empty"], Node::Directory);
    assert_eq!(
        tree["a/b/up"],
        Node::Link {
            target: "../run.sh".into()
        }
    );
    let run = Node::File {
        executable: true,
        contents: b"#!/bin/sh\n".to_vec(),
    };
    assert_eq!(tree["a/run.sh"], run);
    let streamed = Node::File {
        executable: false,
        contents: b"later".to_vec(),
    };
    assert_eq!(tree["streamed"], streamed);
}
