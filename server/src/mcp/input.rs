//! What tools are given, as they are told to models: see [`super::definitions`].

use membrane_proto::v1::{ApplyMode, OverlapPolicy, RunState};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::error::Error;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListRuns {
    #[serde(default)]
    pub states: Vec<State>,
    #[serde(default)]
    pub schedule_id: String,
    pub page_size: Option<i32>,
    #[serde(default)]
    pub page_token: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneRun {
    pub run_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateRun {
    pub prompt: String,
    #[serde(default)]
    pub title: String,
    pub apply: Option<Apply>,
    pub timeout_seconds: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneSchedule {
    pub schedule_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSchedule {
    pub cron: String,
    pub time_zone: String,
    pub prompt: String,
    #[serde(default)]
    pub title: String,
    pub enabled: Option<bool>,
    pub overlap: Option<Overlap>,
    pub apply: Option<Apply>,
    pub timeout_seconds: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateSchedule {
    pub schedule_id: String,
    pub cron: Option<String>,
    pub time_zone: Option<String>,
    pub prompt: Option<String>,
    pub title: Option<String>,
    pub enabled: Option<bool>,
    pub overlap: Option<Overlap>,
    pub apply: Option<Apply>,
    pub timeout_seconds: Option<i64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Queued,
    Claimed,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Apply {
    IfUnchanged,
    Manual,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Overlap {
    Skip,
    Queue,
    CancelPrevious,
}

impl From<State> for RunState {
    fn from(state: State) -> Self {
        match state {
            State::Queued => Self::Queued,
            State::Claimed => Self::Claimed,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Apply> for ApplyMode {
    fn from(apply: Apply) -> Self {
        match apply {
            Apply::IfUnchanged => Self::IfUnchanged,
            Apply::Manual => Self::Manual,
        }
    }
}

impl From<Overlap> for OverlapPolicy {
    fn from(overlap: Overlap) -> Self {
        match overlap {
            Overlap::Skip => Self::Skip,
            Overlap::Queue => Self::Queue,
            Overlap::CancelPrevious => Self::CancelPrevious,
        }
    }
}

/// Reads a tool's input.
///
/// # Errors
/// [`Error::Rejected`] with what is wrong with it.
pub(super) fn read<I: DeserializeOwned>(arguments: Map<String, Value>) -> Result<I, Error> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| Error::Rejected {
        reason: "INVALID_INPUT",
        message: format!("the input is not valid: {error}"),
    })
}
