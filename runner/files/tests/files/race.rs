//! Someone swaps directories for links while a tree is read or written: nothing escapes.

use crate::raw::{Entry, file, link, zip};
use crate::support::{Place, import};
use membrane_files::{Limits, export_zip, import_directory};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const ROUNDS: usize = 60;

/// Runs `work` while another thread swaps `victim` for a link to `outside` and back. Returns how
/// often the swap succeeded.
fn under_attack(victim: &Path, outside: &Path, work: impl FnOnce()) -> u64 {
    let done = AtomicBool::new(false);
    let swaps = AtomicU64::new(0);
    let aside = victim.with_file_name("aside");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if fs::rename(victim, &aside).is_ok() {
                    swaps.fetch_add(
                        u64::from(symlink(outside, victim).is_ok()),
                        Ordering::Relaxed,
                    );
                    thread::yield_now();
                    let _ = fs::remove_file(victim);
                    let _ = fs::rename(&aside, victim);
                }
            }
        });
        work();
        done.store(true, Ordering::Relaxed);
    });
    swaps.into_inner()
}

fn archive() -> Vec<u8> {
    let mut entries: Vec<Entry> = (0..60).map(|n| file(&format!("d/e/{n}"), b"x")).collect();
    entries.push(link("d/e/link", "../../top"));
    entries.push(file("top", b"y"));
    zip(&entries)
}

/// Imports again and again while `victim`, a path within the destination, is swapped.
fn attack_import(victim: &str) {
    let bytes = archive();
    let (mut swaps, mut rounds) = (0, 0);
    // Enough rounds for the swap to hit, with a generous cap.
    while (rounds < ROUNDS || swaps == 0) && rounds < 100 * ROUNDS {
        let outside = Place::new();
        fs::create_dir(outside.path().join("e")).expect("a directory");
        let before = outside.tree();
        let place = Place::new();
        swaps += under_attack(&place.path().join(victim), outside.path(), || {
            let _ = import(&bytes, &place);
        });
        assert_eq!(outside.tree(), before, "written or removed outside");
        rounds += 1;
    }
    assert!(swaps > 0, "the attack never met the import");
}

#[test]
fn a_swapped_directory_does_not_lead_an_import_outside() {
    attack_import(".membrane-import/d");
    attack_import(".membrane-import/d/e");
}

#[test]
fn a_swapped_staging_directory_does_not_lead_an_import_outside() {
    attack_import(".membrane-import");
    attack_import(".membrane-commit");
}

#[test]
fn a_swapped_directory_of_the_source_does_not_let_anything_in() {
    let outside = Place::new();
    fs::create_dir(outside.path().join("e")).expect("a directory");
    for n in 0..60 {
        fs::write(outside.path().join("e").join(n.to_string()), "SECRET").expect("a file");
    }
    let place = Place::new();
    import(&archive(), &place).expect("an acceptable archive");
    let mut swaps = 0;
    for _ in 0..ROUNDS {
        let copy = Place::new();
        let mut bytes = Vec::new();
        swaps += under_attack(&place.path().join("d"), outside.path(), || {
            let _ = import_directory(&place.handle, &copy.handle, &Limits::default());
            let _ = export_zip(&place.handle, &mut bytes, &Limits::default());
        });
        let copied = format!("{:?}", copy.tree());
        assert!(
            !copied.contains(&format!("{:?}", b"SECRET")),
            "copied from outside"
        );
        assert_eq!(secrets(&bytes), 0, "exported from outside");
    }
    assert!(swaps > 0, "the attack never met the export");
}

/// How many entries of a possibly unfinished export have the outside contents.
fn secrets(bytes: &[u8]) -> usize {
    let place = Place::new();
    let _ = import(bytes, &place);
    let tree = format!("{:?}", place.tree());
    tree.matches(&format!("{:?}", b"SECRET")).count()
}
