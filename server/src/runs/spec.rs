//! What a run does: checked, frozen, stored as JSON.

use std::collections::BTreeMap;

use membrane_entity::run;
use membrane_proto::v1 as proto;
use serde::{Deserialize, Serialize};

use super::MANUAL;
use crate::{clock::Millis, error::Error, settings::Settings, time::duration};

const MAX_PROMPT: usize = 200_000;
/// Most labels of a run or a runner.
const MAX_LABELS: usize = 32;
/// Longest name or value of one, in bytes.
const MAX_LABEL: usize = 100;
const MAX_PRIORITY: i32 = 100;
const MAX_ATTEMPTS: i32 = 10;
const DEFAULT_ATTEMPTS: i32 = 3;
const MAX_TIMEOUT: Millis = 24 * 3_600_000;
const DEFAULT_TIMEOUT: Millis = 3_600_000;

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// What to do.
    pub prompt: String,
    /// What a runner must have.
    pub labels: BTreeMap<String, String>,
    /// Higher ones go first.
    pub priority: i32,
    /// How often it may be attempted.
    pub max_attempts: i32,
    /// How long one attempt may work.
    pub timeout: Millis,
}

/// As it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    prompt: String,
    labels: BTreeMap<String, String>,
    settings: Settings,
}

/// The labels alone.
#[derive(Debug, Deserialize)]
struct Labels {
    labels: BTreeMap<String, String>,
}

impl Spec {
    /// Checks a request's spec.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the fields.
    pub fn decode(given: &proto::RunSpec) -> Result<Self, Error> {
        let length = given.prompt.chars().count();
        if given.prompt.trim().is_empty() || length > MAX_PROMPT {
            let message = format!("must have 1 to {MAX_PROMPT} characters");
            return Err(Error::invalid("spec.prompt", message));
        }
        if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&given.priority) {
            let message = format!("must be -{MAX_PRIORITY} to {MAX_PRIORITY}");
            return Err(Error::invalid("spec.priority", message));
        }
        let max_attempts = match given.max_attempts {
            0 => DEFAULT_ATTEMPTS,
            given @ 1..=MAX_ATTEMPTS => given,
            _ => {
                let message = format!("must be 0 to {MAX_ATTEMPTS}");
                return Err(Error::invalid("spec.max_attempts", message));
            }
        };
        Ok(Self {
            prompt: given.prompt.clone(),
            labels: labels("spec.labels", &given.labels)?,
            priority: given.priority,
            max_attempts,
            timeout: timeout(given.timeout)?,
        })
    }

    /// As it is stored, with the settings of the workspace.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be written.
    pub fn to_json(&self, settings: &Settings) -> Result<String, Error> {
        let stored = Stored {
            prompt: self.prompt.clone(),
            labels: self.labels.clone(),
            settings: settings.clone(),
        };
        serde_json::to_string(&stored)
            .map_err(|error| Error::Internal(format!("a run can't be stored: {error}")))
    }

    /// As a schedule keeps it, without settings.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be written.
    pub fn to_template(&self) -> Result<String, Error> {
        serde_json::to_string(self)
            .map_err(|error| Error::Internal(format!("a schedule can't be stored: {error}")))
    }

    /// What a schedule keeps, on the wire.
    #[must_use]
    pub fn encode_template(self, apply_mode: &str) -> proto::RunSpec {
        proto::RunSpec {
            prompt: self.prompt,
            apply_mode: encode_apply_mode(apply_mode).into(),
            labels: self.labels.into_iter().collect(),
            priority: self.priority,
            max_attempts: self.max_attempts,
            timeout: Some(duration(self.timeout)),
            ..proto::RunSpec::default()
        }
    }

    /// What a run does.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be read.
    pub fn of(run: &run::Model) -> Result<Self, Error> {
        let Stored { prompt, labels, .. } = stored(run)?;
        Ok(Self {
            prompt,
            labels,
            priority: run.priority,
            max_attempts: run.max_attempts,
            timeout: run.timeout,
        })
    }

    /// The settings of a run.
    ///
    /// # Errors
    /// [`Error::Internal`] if they can't be read.
    pub fn settings(run: &run::Model) -> Result<Settings, Error> {
        Ok(stored(run)?.settings)
    }

    /// A stored spec on the wire.
    ///
    /// # Errors
    /// [`Error::Internal`] if it can't be read.
    pub fn encode(run: &run::Model) -> Result<proto::RunSpec, Error> {
        let stored = stored(run)?;
        let apply_mode = encode_apply_mode(&run.apply_mode);
        Ok(proto::RunSpec {
            prompt: stored.prompt,
            base_snapshot_id: run.base_snapshot_id.to_string(),
            settings: Some(stored.settings.encode()),
            apply_mode: apply_mode.into(),
            labels: stored.labels.into_iter().collect(),
            priority: run.priority,
            max_attempts: run.max_attempts,
            timeout: Some(duration(run.timeout)),
        })
    }
}

fn encode_apply_mode(word: &str) -> proto::ApplyMode {
    match word {
        MANUAL => proto::ApplyMode::Manual,
        _ => proto::ApplyMode::IfUnchanged,
    }
}

fn stored(run: &run::Model) -> Result<Stored, Error> {
    serde_json::from_str(&run.spec)
        .map_err(|error| Error::Internal(format!("a run can't be read: {error}")))
}

/// What a runner must have for a stored spec. Nothing has it if it can't be read.
#[must_use]
pub fn labels_of(spec: &str) -> BTreeMap<String, String> {
    let unreadable = || BTreeMap::from([(String::new(), String::new())]);
    serde_json::from_str(spec).map_or_else(|_| unreadable(), |stored: Labels| stored.labels)
}

/// Labels of a request.
///
/// # Errors
/// [`Error::Invalid`].
pub fn labels<'a>(
    field: &str,
    given: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<BTreeMap<String, String>, Error> {
    let pairs = given.into_iter();
    let labels: BTreeMap<_, _> = pairs
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let is_sound = |(name, value): (&String, &String)| {
        !name.is_empty() && name.len() <= MAX_LABEL && value.len() <= MAX_LABEL
    };
    if labels.len() > MAX_LABELS || !labels.iter().all(is_sound) {
        let message = format!(
            "must be at most {MAX_LABELS}, each with a name and a value of at most {MAX_LABEL} bytes"
        );
        return Err(Error::invalid(field, message));
    }
    Ok(labels)
}

fn timeout(given: Option<prost_types::Duration>) -> Result<Millis, Error> {
    let Some(given) = given else {
        return Ok(DEFAULT_TIMEOUT);
    };
    let millis = given.seconds.saturating_mul(1_000) + i64::from(given.nanos) / 1_000_000;
    if (1_000..=MAX_TIMEOUT).contains(&millis) {
        return Ok(millis);
    }
    Err(Error::invalid("spec.timeout", "must be a second to a day"))
}
