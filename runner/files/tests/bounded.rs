//! What refusing a bomb costs this process. One test, alone in its process, because it measures
//! the process: CPU time and the peak of resident memory, as Linux counts them.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use flate2::{Compression, Crc, write::DeflateEncoder};
use membrane_files::{ArchiveError, Limits, Summary, import_zip};
use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::path::Path;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// What refusing may add to the memory of the process, in bytes.
const MEMORY: u64 = 32 * MIB;
/// What refusing may take of a processor, in hundredths of a second; more without optimisation.
const TICKS: u64 = if cfg!(debug_assertions) { 500 } else { 100 };

/// Writes archives entry by entry, so that making a bomb takes no memory itself.
struct Bomb {
    file: BufWriter<File>,
    directory: Vec<u8>,
    entries: u64,
    offset: u64,
}

impl Bomb {
    fn new(path: &Path) -> Self {
        let file = File::create(path).expect("a file");
        Self {
            file: BufWriter::new(file),
            directory: Vec::new(),
            entries: 0,
            offset: 0,
        }
    }

    fn entry(&mut self, name: &str, size: u32, crc: u32, data: &[u8]) {
        let mut shared = vec![0, 0, if data.is_empty() { 0 } else { 8 }, 0, 0, 0, 0x21, 0];
        for value in [crc, data.len() as u32, size] {
            shared.extend(value.to_le_bytes());
        }
        shared.extend((name.len() as u16).to_le_bytes());
        shared.extend([0, 0]);
        if !name.is_ascii() {
            shared[1] = 8;
        }
        let local = [b"PK\x03\x04\x14\x00", &shared[..], name.as_bytes(), data].concat();
        self.file.write_all(&local).expect("writing");
        self.directory.extend(b"PK\x01\x02\x14\x03\x14\x00");
        self.directory.extend(&shared);
        self.directory.extend([0; 6]);
        self.directory.extend((0o100_644u32 << 16).to_le_bytes());
        self.directory.extend((self.offset as u32).to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.entries += 1;
        self.offset += local.len() as u64;
    }

    fn finish(mut self) {
        let size = self.directory.len() as u64;
        let mut end = [
            b"PK\x06\x06",
            &44u64.to_le_bytes()[..],
            &[45, 3, 45, 0],
            &[0; 8],
        ]
        .concat();
        for value in [self.entries, self.entries, size, self.offset] {
            end.extend(value.to_le_bytes());
        }
        end.extend(b"PK\x06\x07\0\0\0\0");
        end.extend((self.offset + size).to_le_bytes());
        end.extend(1u32.to_le_bytes());
        end.extend(b"PK\x05\x06\0\0\0\0");
        end.extend([0xff; 12]);
        end.extend([0, 0]);
        self.file.write_all(&self.directory).expect("writing");
        self.file.write_all(&end).expect("writing");
        self.file.flush().expect("writing");
    }
}

/// Deflated zeros with their checksum.
fn zeros(size: u64) -> (Vec<u8>, u32) {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let (mut crc, block) = (Crc::new(), [0; 64 << 10]);
    for _ in 0..size / block.len() as u64 {
        encoder.write_all(&block).expect("writing to memory");
        crc.update(&block);
    }
    (encoder.finish().expect("writing to memory"), crc.sum())
}

/// What an archive is, the reason it is refused for, and how it is written.
type Case = (&'static str, Option<&'static str>, fn(&mut Bomb));

const CASES: [Case; 7] = [
    ("ratio", Some("ARCHIVE_RATIO_TOO_HIGH"), |bomb| {
        let (data, crc) = zeros(64 * MIB);
        bomb.entry("bomb", (64 * MIB) as u32, crc, &data);
    }),
    ("lying size", Some("ARCHIVE_SIZE_MISMATCH"), |bomb| {
        let (data, crc) = zeros(64 * MIB);
        bomb.entry("bomb", (8 * MIB) as u32, crc, &data);
    }),
    ("overlap", Some("ARCHIVE_OVERLAP"), |bomb| {
        for n in 0..50_000 {
            bomb.entry(&n.to_string(), 0, 0, &[]);
            bomb.offset = 0;
        }
        bomb.offset = 50_000 * 30 + 238_890;
    }),
    (
        "a million empty entries",
        Some("ARCHIVE_TOO_MANY_ENTRIES"),
        |bomb| {
            (0..1_000_000).for_each(|n| bomb.entry(&n.to_string(), 0, 0, &[]));
        },
    ),
    (
        "long names in capitals",
        Some("ARCHIVE_PATH_TRAVERSAL"),
        |bomb| {
            let rest = ["A".repeat(240), "B".repeat(240), "C".repeat(240)].join("/");
            (0..7_900).for_each(|n| bomb.entry(&format!("{n:0240}/{rest}"), 0, 0, &[]));
            bomb.entry("../last", 0, 0, &[]);
        },
    ),
    (
        "names that grow when folded",
        Some("ARCHIVE_PATH_TRAVERSAL"),
        |bomb| {
            let rest = vec!["\u{390}".repeat(120); 3].join("/");
            (0..7_900).for_each(|n| bomb.entry(&format!("{n:0240}/{rest}"), 0, 0, &[]));
            bomb.entry("../last", 0, 0, &[]);
        },
    ),
    ("as much as is allowed", None, |bomb| {
        (0..49_000).for_each(|n| bomb.entry(&format!("{}/directory/{n:050}", n % 499), 0, 0, &[]));
    }),
];

#[test]
fn refusing_costs_at_most_a_second_and_32_mebibytes() {
    let before = status("VmRSS:");
    for (name, reason, write) in CASES {
        let place = TempDir::new().expect("a directory");
        let path = place.path().join("bomb.zip");
        let mut bomb = Bomb::new(&path);
        write(&mut bomb);
        bomb.finish();
        let root = place.path().join("destination");
        fs::create_dir(&root).expect("a directory");
        let destination = Dir::open_ambient_dir(&root, ambient_authority()).expect("a handle");
        let (result, memory, ticks) = measure(&path, &destination, before);
        let found = result.as_ref().err().map(ArchiveError::reason);
        assert_eq!(found, reason, "{name}: {result:?}");
        assert!(memory <= MEMORY, "{name}: {} KiB", memory >> 10);
        assert!(
            reason.is_none() || ticks <= TICKS,
            "{name}: {ticks} hundredths of a second"
        );
        assert_eq!(
            fs::read_dir(&root).expect("listing").count() > 0,
            reason.is_none()
        );
    }
}

/// Memory is counted from `before`, since what one case leaves to the allocator serves the next.
fn measure(
    path: &Path,
    destination: &Dir,
    before: u64,
) -> (Result<Summary, ArchiveError>, u64, u64) {
    let mut file = File::open(path).expect("the bomb");
    file.rewind().expect("the beginning");
    fs::write("/proc/self/clear_refs", "5").expect("resetting the peak");
    let ticks = cpu();
    let result = import_zip(file, destination, &Limits::default());
    (
        result,
        status("VmHWM:").saturating_sub(before),
        cpu() - ticks,
    )
}

/// A field of /proc/self/status, in bytes.
fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .expect("the field");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib << 10
}

/// User and system time of this process, in hundredths of a second.
fn cpu() -> u64 {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = text.rsplit_once(')').expect("a name");
    let times = fields.split_whitespace().skip(11).take(2);
    times
        .map(|time| time.parse::<u64>().expect("a number"))
        .sum()
}
