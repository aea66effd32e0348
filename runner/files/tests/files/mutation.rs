//! Archives damaged at random: refused without a trace, or read as everyone else reads them.

use crate::peers::python_trees;
use crate::raw::{Entry, directory, extra64, file, link, zip, zip64_with};
use crate::support::Place;
use membrane_files::{Limits, import_zip};
use std::io::Cursor;

/// A small generator with a fixed seed, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.below(256) as u8),
            2 => {
                bytes.remove(at);
            }
            3 => {
                // Repeats a run somewhere else, which copies whole headers now and then.
                let length = self.below(80).min(bytes.len() - at);
                let run = bytes[at..at + length].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, run);
            }
            4 => bytes[at] = [0, 1, 0xff, b'/', b'.', b'P'][self.below(6)],
            _ => bytes[at] ^= 1 << self.below(8),
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let wide = file("wide", b"data").with(|entry| {
        for header in [&mut entry.local, &mut entry.central] {
            (header.size, header.compressed) = (u32::MAX, u32::MAX);
            header.extra = extra64(&[4, 4]);
        }
    });
    let entries = [
        directory("d/"),
        file("d/é", &b"compress me ".repeat(20)).deflated(),
        file("streamed", &b"again ".repeat(20))
            .deflated()
            .described(),
        Entry::new("run", 0o100_755, b"#!"),
        link("d/l", "../run"),
        wide,
    ];
    vec![
        zip(&entries),
        zip64_with(&entries, |_, _| {}),
        zip(&entries[..1]),
    ]
}

#[test]
fn damaged_archives_are_refused_or_read_as_others_read_them() {
    let limits = Limits {
        max_total_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut trees) = (Vec::new(), Vec::new());
    for seed in seeds() {
        for _ in 0..1500 {
            let mut bytes = seed.clone();
            for _ in 0..=random.below(3) {
                if !bytes.is_empty() {
                    random.mutate(&mut bytes);
                }
            }
            let place = Place::new();
            match import_zip(Cursor::new(&bytes), &place.handle, &limits) {
                Ok(summary) if summary.dropped.is_empty() => {
                    trees.push(place.tree());
                    accepted.push(bytes);
                }
                Ok(_) => {}
                Err(error) => assert!(place.tree().is_empty(), "{error}"),
            }
        }
    }
    assert!(
        accepted.len() > 100,
        "the damage is too great to test anything"
    );
    for (ours, python) in trees.iter().zip(python_trees(&accepted)) {
        assert_eq!(*ours, python);
    }
}
