//! Row 15: how many bytes a second secrets are masked in.

use anyhow::ensure;
use async_trait::async_trait;
use membrane_agent::redact::{Known, MASK, Redactor};
use secrecy::SecretString;

use crate::{
    Settings,
    measure::now,
    rounds::{self, Figures, Part, Row},
};

/// What a session of a workspace with a few members may have.
const SECRETS: usize = 25;
const PIECE: usize = 16 << 10;
const BYTES: usize = 64 << 20;

const ROW: Row = Row {
    title: "15: redaction of a stream",
    compared: "64 MiB of a build's output in pieces of 16 KiB, in which a secret stands every 64 \
        KiB, through a stream that knows 25 secrets of 40 characters in all their forms; one that \
        knows none; and a plain copy of the same pieces",
    persisted: "nothing",
    goal: "none was set; a line of a log takes microseconds, and no tool is slowed",
};

struct Masking {
    name: &'static str,
    text: String,
    redactor: Redactor,
    known: Vec<Known>,
}

#[async_trait]
impl Part for Masking {
    fn name(&self) -> &str {
        self.name
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let begun = now();
        let mut stream = self.redactor.stream();
        let mut masks = 0;
        for piece in pieces(&self.text) {
            masks += stream.push(piece).matches(MASK).count();
        }
        masks += stream.finish().matches(MASK).count();
        let figures = throughput(begun);
        let wanted = if self.known.is_empty() {
            0
        } else {
            BYTES / (4 * PIECE)
        };
        ensure!(masks == wanted, "{masks} masks where {wanted} secrets are");
        Ok(figures)
    }
}

struct Copying {
    text: String,
}

#[async_trait]
impl Part for Copying {
    fn name(&self) -> &str {
        "plain copy"
    }

    async fn measure(&mut self) -> anyhow::Result<Figures> {
        let begun = now();
        let mut masks = 0;
        for piece in pieces(&self.text) {
            masks += piece.to_owned().matches(MASK).count();
        }
        let figures = throughput(begun);
        ensure!(masks == 0, "the text holds masks");
        Ok(figures)
    }
}

fn throughput(begun: u64) -> Figures {
    let seconds = (now() - begun) as f64 / 1e9;
    vec![("MB/s", BYTES as f64 / 1e6 / seconds)]
}

/// The text again and again, cut where pieces end.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let each = text.as_bytes().chunks(PIECE);
    // The text is ASCII.
    let each = each.filter_map(|piece| std::str::from_utf8(piece).ok());
    each.cycle().take(BYTES / PIECE)
}

fn secret(number: usize) -> String {
    format!("{:040x}", (number as u128 + 3).wrapping_pow(29) << 3)
}

/// 64 KiB of a build's output with one secret.
fn text() -> String {
    let mut text = String::new();
    for number in 0.. {
        if text.len() >= 4 * PIECE - 200 {
            break;
        }
        text.push_str(&format!(
            "   Compiling crate-{number} v0.{}.{} (/workspace/crates/crate-{number})\nwarning: unused variable: `value_{number}`\n",
            number % 7,
            number % 31
        ));
    }
    text.truncate(4 * PIECE - 100);
    text.push(' ');
    text.push_str(&secret(1));
    text.push_str(&" ".repeat(4 * PIECE - text.len()));
    text
}

/// Measures the row.
///
/// # Errors
/// See [`rounds::run`].
pub async fn run(settings: &Settings) -> anyhow::Result<()> {
    let redactor = Redactor::default();
    let known = (0..SECRETS).map(|number| redactor.know(&SecretString::from(secret(number))));
    let known = known.collect();
    let mut parts: Vec<Box<dyn Part>> = vec![
        Box::new(Masking {
            name: "25 secrets",
            text: text(),
            redactor,
            known,
        }),
        Box::new(Masking {
            name: "no secret",
            text: text(),
            redactor: Redactor::default(),
            known: Vec::new(),
        }),
        Box::new(Copying { text: text() }),
    ];
    rounds::run(settings, ROW, &mut parts, &[]).await
}
