//! Bombs: refused by what they declare, and never believed when they declare less.

use crate::raw::{Entry, FILE, body, directory, extra64, file, zip, zip64_with};
use crate::support::Place;
use membrane_files::{ArchiveError, Fault, Limits, import_zip};
use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

const MIB: u64 = 1 << 20;

/// Counts what is read of an archive.
struct Counting<'a> {
    inner: Cursor<&'a [u8]>,
    read: &'a Cell<u64>,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

impl Seek for Counting<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Refuses the archive and returns why and how many bytes of it were read.
fn refuse(bytes: &[u8], limits: &Limits) -> (ArchiveError, u64) {
    let place = Place::new();
    let read = Cell::new(0);
    let archive = Counting {
        inner: Cursor::new(bytes),
        read: &read,
    };
    let error = import_zip(archive, &place.handle, limits).expect_err("a bomb");
    assert!(place.tree().is_empty());
    (error, read.get())
}

/// One deflated entry of zeros; `size` must be small enough for a test to make it.
fn zeros(name: &str, size: u64) -> Entry {
    file(name, &vec![0; size as usize]).deflated()
}

#[test]
fn a_bomb_by_ratio_is_refused_before_its_data_is_read() {
    let bytes = zip(&[zeros("bomb", 16 * MIB)]);
    let (error, read) = refuse(&bytes, &Limits::default());
    assert_eq!(error.reason(), "ARCHIVE_RATIO_TOO_HIGH");
    assert_eq!(error.fault(), Fault::Limit);
    assert!(error.to_string().contains("bomb"));
    // The end of the file, and what was read ahead with the directory.
    assert!(read < 150_000, "{read} bytes read");
}

#[test]
fn a_bomb_of_many_small_bombs_is_refused_by_the_ratio_of_all() {
    let entries: Vec<Entry> = (0..20).map(|n| zeros(&n.to_string(), MIB)).collect();
    let (error, _) = refuse(&zip(&entries), &Limits::default());
    assert_eq!(error.reason(), "ARCHIVE_RATIO_TOO_HIGH");
}

#[test]
fn a_bomb_that_declares_little_is_inflated_no_further_than_declared() {
    let declared = zeros("bomb", 16 * MIB).both(|header| header.size = 1000);
    let bytes = zip(&[declared]);
    let (error, read) = refuse(&bytes, &Limits::default());
    assert_eq!(error.reason(), "ARCHIVE_SIZE_MISMATCH");
    // One read-ahead of data past the headers: 16 MiB were packed into 16 000 bytes.
    assert!(read < 200_000, "{read} bytes read");
}

#[test]
fn a_bomb_that_also_lies_about_its_compressed_size_is_refused() {
    let claim = zeros("bomb", 16 * MIB).both(|header| header.compressed = 4 << 20);
    let (error, _) = refuse(&zip(&[claim]), &Limits::default());
    assert_eq!(error.reason(), "ARCHIVE_OVERLAP");
}

#[test]
fn entries_that_share_their_data_are_refused() {
    // One kernel of data and many headers that quote it and each other.
    let kernel = zeros("kernel", MIB);
    let mut entries = vec![kernel.clone()];
    for n in 0..100 {
        let mut quoting = kernel.clone();
        quoting.central.name = n.to_string().into_bytes();
        quoting.present = false;
        quoting.offset = Some(0);
        entries.push(quoting);
    }
    let limits = Limits {
        max_ratio: u64::MAX,
        ..Limits::default()
    };
    assert_eq!(
        refuse(&zip(&entries), &limits).0.reason(),
        "ARCHIVE_OVERLAP"
    );
}

#[test]
fn entries_that_quote_each_others_headers_are_refused() {
    // Each entry's data is the next entry with its header, stored, as one nested run.
    let inner = zip_locals(&[file("b", b"data")]);
    let outer = file("a", &inner);
    let mut quoted = file("b", b"data");
    quoted.present = false;
    quoted.offset = Some(31);
    let (error, _) = refuse(&zip(&[outer, quoted]), &Limits::default());
    assert_eq!(error.reason(), "ARCHIVE_OVERLAP");
}

fn zip_locals(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, end) = body(entries);
    bytes.truncate(end.offset as usize);
    bytes
}

#[test]
fn a_million_entries_are_refused_by_the_end_record_alone() {
    let bytes = zip64_with(&[file("a", b"")], |end64, _| {
        end64.entries = 1_000_000;
        end64.entries_here = 1_000_000;
    });
    let (error, read) = refuse(&bytes, &Limits::default());
    assert_eq!(error.reason(), "ARCHIVE_TOO_MANY_ENTRIES");
    assert!(read < 2 * bytes.len() as u64 + 100, "{read} bytes read");
}

#[test]
fn directories_that_are_only_implied_count_as_entries() {
    let names: Vec<String> = (0..40)
        .map(|n| format!("{n}/b/c/d/e/f/g/h/i/file"))
        .collect();
    let entries: Vec<Entry> = names.iter().map(|name| file(name, b"")).collect();
    let limits = Limits {
        max_entries: 400,
        ..Limits::default()
    };
    let place = Place::new();
    let exact = zip(&entries);
    import_zip(Cursor::new(&exact), &place.handle, &limits).expect("exactly at the limit");
    let limits = Limits {
        max_entries: 399,
        ..limits
    };
    assert_eq!(
        refuse(&exact, &limits).0.reason(),
        "ARCHIVE_TOO_MANY_ENTRIES"
    );
}

#[test]
fn sizes_are_summed_without_overflow() {
    let huge = |name: &str| {
        file(name, b"").with(|entry| {
            entry.central.size = u32::MAX;
            entry.central.compressed = u32::MAX;
            entry.central.extra = extra64(&[u64::MAX - 1, u64::MAX - 1]);
        })
    };
    let limits = Limits {
        max_file_bytes: u64::MAX,
        ..Limits::default()
    };
    let (error, _) = refuse(&zip(&[huge("a"), huge("b")]), &limits);
    assert_eq!(error.reason(), "ARCHIVE_TOTAL_TOO_LARGE");
    let limits = Limits {
        max_total_bytes: u64::MAX,
        max_ratio: u64::MAX,
        ..limits
    };
    let (error, _) = refuse(&zip(&[huge("a"), huge("b")]), &limits);
    assert_eq!(error.reason(), "ARCHIVE_OVERLAP");
}

#[test]
fn each_limit_is_inclusive_and_has_its_own_reason() {
    let bytes = zip(&[directory("d/"), file("d/ab", b"12345"), file("c", b"678")]);
    let fits = Limits {
        max_archive_bytes: bytes.len() as u64,
        max_entries: 3,
        max_directory_bytes: 3 * 46 + 2 + 4 + 1,
        max_total_bytes: 8,
        max_file_bytes: 5,
        max_ratio: 1,
        ratio_floor_bytes: 0,
        max_path_bytes: 4,
        max_name_bytes: 2,
        max_depth: 2,
        max_target_bytes: 0,
        refuse_twins: true,
    };
    let place = Place::new();
    import_zip(Cursor::new(&bytes), &place.handle, &fits).expect("exactly at every limit");
    let archive = fits.max_archive_bytes - 1;
    for (limits, reason) in [
        (
            Limits {
                max_archive_bytes: archive,
                ..fits
            },
            "ARCHIVE_TOO_LARGE",
        ),
        (
            Limits {
                max_entries: 2,
                ..fits
            },
            "ARCHIVE_TOO_MANY_ENTRIES",
        ),
        (
            Limits {
                max_directory_bytes: 144,
                ..fits
            },
            "ARCHIVE_DIRECTORY_TOO_LARGE",
        ),
        (
            Limits {
                max_total_bytes: 7,
                ..fits
            },
            "ARCHIVE_TOTAL_TOO_LARGE",
        ),
        (
            Limits {
                max_file_bytes: 4,
                ..fits
            },
            "ARCHIVE_FILE_TOO_LARGE",
        ),
        (
            Limits {
                max_ratio: 0,
                ..fits
            },
            "ARCHIVE_RATIO_TOO_HIGH",
        ),
        (
            Limits {
                max_path_bytes: 3,
                ..fits
            },
            "ARCHIVE_PATH_TOO_LONG",
        ),
        (
            Limits {
                max_name_bytes: 1,
                ..fits
            },
            "ARCHIVE_NAME_TOO_LONG",
        ),
        (
            Limits {
                max_depth: 1,
                ..fits
            },
            "ARCHIVE_TOO_DEEP",
        ),
    ] {
        let (error, _) = refuse(&bytes, &limits);
        assert_eq!(error.reason(), reason);
        assert_eq!(error.fault(), Fault::Limit);
    }
}

#[test]
fn a_directory_may_not_hide_data_of_length_zero_that_inflates() {
    let entry = Entry::new("d/", 0o040_755, &[0; 4096])
        .deflated()
        .both(|header| header.size = 0);
    let (error, _) = refuse(&zip(&[entry]), &Limits::default());
    assert_eq!(error.reason(), "ARCHIVE_SIZE_MISMATCH");
    let device = Entry::new("n", 0o020_666, &[0; 4096]).deflated();
    let device = device.both(|header| header.crc ^= 1);
    let (error, _) = refuse(
        &zip(&[device, Entry::new("x", FILE, b"")]),
        &Limits::default(),
    );
    assert_eq!(error.reason(), "ARCHIVE_BAD_CHECKSUM");
}
