//! Time, percentiles, and the two probes that say whether the machine was itself.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock, which all processes of a machine share.
#[must_use]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

/// The time of day.
#[must_use]
pub fn wall_clock() -> SystemTime {
    let time = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Milliseconds since a moment.
#[must_use]
pub fn ms_since(moment: u64) -> f64 {
    ms(now().saturating_sub(moment))
}

/// Nanoseconds as milliseconds.
#[must_use]
pub fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// Sorts and answers one percentile, 0 to 100, in milliseconds.
#[must_use]
pub fn percentile_ms(nanoseconds: &mut [u64], percent: usize) -> f64 {
    nanoseconds.sort_unstable();
    let rank = (nanoseconds.len() * percent).div_ceil(100).max(1) - 1;
    nanoseconds.get(rank).copied().map_or(f64::NAN, ms)
}

/// The median; not a number for no values.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// What syncs faster than this is memory: its microseconds say nothing.
const DISK: f64 = 0.05;

/// How fast the machine was at one moment, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// A page written and synced, at least 0.05.
    pub fsync: f64,
    /// A fixed amount of arithmetic.
    pub spin: f64,
}

impl Probe {
    /// Measures, in a quarter of a second or so.
    ///
    /// # Errors
    /// When the directory can't be written to.
    pub fn take(directory: &Path) -> std::io::Result<Self> {
        Ok(Self {
            fsync: fsync(directory)?,
            spin: median(&(0..21).map(|_| spin()).collect::<Vec<_>>()),
        })
    }
}

fn fsync(directory: &Path) -> std::io::Result<f64> {
    let path = directory.join("fsync-probe");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut took = Vec::new();
    for _ in 0..41 {
        let begun = now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        took.push(ms_since(begun));
    }
    std::fs::remove_file(path)?;
    Ok(median(&took).max(DISK))
}

fn spin() -> f64 {
    let begun = now();
    let mut state = 1_u64;
    for _ in 0..2_000_000 {
        state = std::hint::black_box(state ^ (state << 13) ^ (state >> 7));
    }
    std::hint::black_box(state);
    ms_since(begun)
}

/// By how much the slowest of these is slower than the fastest, as a fraction.
#[must_use]
pub fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::MIN, f64::max);
    let least = values.fold(f64::MAX, f64::min);
    most / least - 1.0
}
