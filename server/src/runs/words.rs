//! The words of states in rows.

use membrane_proto::v1::RunState;

/// The result is applied by itself if the workspace is as the run found it.
pub const IF_UNCHANGED: &str = "if_unchanged";
/// The result waits for somebody.
pub const MANUAL: &str = "manual";

/// Whether a result has been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyState {
    /// There is nothing to apply.
    Nothing,
    /// Somebody has to decide.
    Pending,
    /// It was applied.
    Applied,
}

impl ApplyState {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Pending => "pending",
            Self::Applied => "applied",
        }
    }
}

const STATES: [(RunState, &str); 6] = [
    (RunState::Queued, "queued"),
    (RunState::Claimed, "claimed"),
    (RunState::Running, "running"),
    (RunState::Succeeded, "succeeded"),
    (RunState::Failed, "failed"),
    (RunState::Cancelled, "cancelled"),
];

/// A state's word.
#[must_use]
pub fn word(state: RunState) -> &'static str {
    let found = STATES.iter().find(|(one, _)| *one == state);
    found.map_or("", |(_, word)| word)
}

/// The state of a word.
#[must_use]
pub fn parse_state(text: &str) -> RunState {
    let found = STATES.iter().find(|(_, word)| *word == text);
    found.map_or(RunState::Unspecified, |(state, _)| *state)
}

/// Whether a run in this state stays in it.
#[must_use]
pub fn is_final(state: RunState) -> bool {
    matches!(
        state,
        RunState::Succeeded | RunState::Failed | RunState::Cancelled
    )
}
