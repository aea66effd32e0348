//! Alternating rounds: each part once, A B C A B C, with a probe between; rounds in which the
//! machine changed are dropped and said.

use anyhow::Context as _;
use async_trait::async_trait;

use crate::{
    Settings,
    measure::{Probe, median, spread},
};

/// Probes of one round may differ by this much.
const STEADY: f64 = 0.2;

/// Figures of one part in one round; the same names in the same order in every round.
pub type Figures = Vec<(&'static str, f64)>;

/// One of the things that are compared. The first part of a row is ours.
#[async_trait]
pub trait Part: Send {
    /// What it is, in a few words.
    fn name(&self) -> &str;
    /// Measures once.
    async fn measure(&mut self) -> anyhow::Result<Figures>;
}

/// What a row says of itself.
pub struct Row {
    /// Number and name.
    pub title: &'static str,
    /// What is compared with what, and how.
    pub compared: &'static str,
    /// How data was persisted.
    pub persisted: &'static str,
    /// The goal, as it was set.
    pub goal: &'static str,
}

struct Round {
    figures: Vec<Figures>,
    fsync: f64,
    spin: f64,
}

impl Round {
    fn is_steady(&self) -> bool {
        self.fsync <= STEADY && self.spin <= STEADY
    }
}

/// Runs the rounds of a row and prints what came out. `also` are ratios beside those of the first
/// part to each other one.
///
/// # Errors
/// When a part can't be measured, or finds that something was lost or reordered.
pub async fn run(
    settings: &Settings,
    row: Row,
    parts: &mut [Box<dyn Part>],
    also: &[(usize, usize)],
) -> anyhow::Result<()> {
    head(settings, &row);
    let mut rounds: Vec<Round> = Vec::new();
    while rounds.iter().filter(|round| round.is_steady()).count() < settings.rounds
        && rounds.len() < 2 * settings.rounds
    {
        rounds.push(one_round(settings, parts).await?);
    }
    let kept: Vec<&Round> = say_dropped(&rounds);
    let names: Vec<&str> = parts.iter().map(|part| part.name()).collect();
    for (index, name) in names.iter().enumerate() {
        let figures = &kept[0].figures[index];
        let cells = (0..figures.len()).map(|figure| {
            let values = kept.iter().map(|round| round.figures[index][figure].1);
            format!("{} {}", figures[figure].0, range(values.collect()))
        });
        println!("  {name:34} {}", cells.collect::<Vec<_>>().join("   "));
    }
    let firsts = (1..parts.len()).map(|other| (0, other));
    let firsts = firsts.filter(|&(over, under)| !also.contains(&(under, over)));
    for (over, under) in firsts.chain(also.iter().copied()) {
        ratios(&kept, over, under, &names);
    }
    println!();
    Ok(())
}

async fn one_round(settings: &Settings, parts: &mut [Box<dyn Part>]) -> anyhow::Result<Round> {
    let mut probes = vec![Probe::take(&settings.data).context("the probe failed")?];
    let mut figures = Vec::new();
    for part in parts {
        let measured = part.measure().await;
        figures.push(measured.with_context(|| format!("measuring {}", part.name()))?);
        probes.push(Probe::take(&settings.data).context("the probe failed")?);
    }
    Ok(Round {
        figures,
        fsync: spread(probes.iter().map(|probe| probe.fsync)),
        spin: spread(probes.iter().map(|probe| probe.spin)),
    })
}

fn head(settings: &Settings, row: &Row) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("row {}", row.title);
    println!("  compared: {}", row.compared);
    println!("  persisted: {}", row.persisted);
    println!("  goal: {}", row.goal);
    println!("  on {cores} cores, data in {}", settings.data.display());
}

/// The rounds that count. When the machine was never steady, that is said and all of them do.
fn say_dropped(rounds: &[Round]) -> Vec<&Round> {
    let (kept, dropped): (Vec<_>, Vec<_>) = rounds.iter().partition(|round| round.is_steady());
    println!("  rounds: {} of {} kept", kept.len(), rounds.len());
    for round in &dropped {
        println!(
            "    dropped: probes differ by {:.0} % (fsync) and {:.0} % (CPU)",
            round.fsync * 100.0,
            round.spin * 100.0
        );
    }
    if kept.is_empty() {
        println!("    NO ROUND WAS STEADY: these are figures of all of them, and only a hint");
        return dropped;
    }
    kept
}

fn ratios(rounds: &[&Round], over: usize, under: usize, names: &[&str]) {
    let shared = |name: &str| {
        let figure = |part: usize| {
            let figures = &rounds[0].figures[part];
            figures.iter().position(|(known, _)| *known == name)
        };
        Some((figure(over)?, figure(under)?))
    };
    let cells: Vec<String> = rounds[0].figures[over]
        .iter()
        .filter_map(|(name, _)| {
            let (a, b) = shared(name)?;
            let ratio = |round: &&Round| round.figures[over][a].1 / round.figures[under][b].1;
            Some(format!(
                "{name} {}",
                range(rounds.iter().map(ratio).collect())
            ))
        })
        .collect();
    let title = format!("{} / {}", names[over], names[under]);
    println!("  ratio {title}: {}", cells.join("   "));
}

fn range(values: Vec<f64>) -> String {
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    let most = values.iter().copied().fold(f64::MIN, f64::max);
    format!(
        "{} ({}–{})",
        short(median(&values)),
        short(least),
        short(most)
    )
}

/// Three significant digits or so.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
