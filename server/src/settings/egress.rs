//! Which hosts a workspace's processes may reach, as it is stored and checked.

use membrane_agent::egress::{EgressPolicy, HostPattern, Preset};
use membrane_proto::v1 as proto;
use serde::{Deserialize, Serialize};

use super::unspecified;
use crate::error::Error;

const MAX_HOSTS: usize = 200;

/// In which way hosts are allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EgressMode {
    /// None is.
    #[default]
    None,
    /// Those that are listed.
    Listed,
    /// All with public addresses.
    Public,
}

/// Which hosts may be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Egress {
    /// In which way this is said.
    pub mode: EgressMode,
    /// Names of presets.
    pub presets: Vec<String>,
    /// Hosts as patterns.
    pub hosts: Vec<String>,
}

impl Egress {
    /// Takes what is given; nothing means none.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unspecified mode.
    pub fn decode(given: Option<&proto::EgressPolicy>) -> Result<Self, Error> {
        let Some(given) = given else {
            return Ok(Self::default());
        };
        Ok(Self {
            mode: match given.mode() {
                proto::EgressMode::Unspecified => return Err(unspecified("settings.egress.mode")),
                proto::EgressMode::None => EgressMode::None,
                proto::EgressMode::Listed => EgressMode::Listed,
                proto::EgressMode::Public => EgressMode::Public,
            },
            presets: given.presets.clone(),
            hosts: given.hosts.clone(),
        })
    }

    /// The policy on the wire.
    #[must_use]
    pub fn encode(&self) -> proto::EgressPolicy {
        let mode = match self.mode {
            EgressMode::None => proto::EgressMode::None,
            EgressMode::Listed => proto::EgressMode::Listed,
            EgressMode::Public => proto::EgressMode::Public,
        };
        proto::EgressPolicy {
            mode: mode.into(),
            presets: self.presets.clone(),
            hosts: self.hosts.clone(),
        }
    }

    /// Checks it, and spells each host as it is compared.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub(super) fn check(&mut self) -> Result<(), (&'static str, String)> {
        for (at, name) in self.presets.iter().enumerate() {
            if Preset::named(name).is_none() {
                let text = format!("{name:?} is not a preset; ListEgressPresets names them");
                return Err(("egress.presets", text));
            }
            if self.presets[..at].contains(name) {
                return Err(("egress.presets", format!("{name} stands there twice")));
            }
        }
        if self.hosts.len() > MAX_HOSTS {
            return Err(("egress.hosts", format!("must be at most {MAX_HOSTS}")));
        }
        for at in 0..self.hosts.len() {
            let pattern = self.hosts[at].trim().parse::<HostPattern>();
            let pattern = pattern.map_err(|error| ("egress.hosts", error.to_string()))?;
            self.hosts[at] = pattern.to_string();
            if self.hosts[..at].contains(&self.hosts[at]) {
                let text = format!("{} stands there twice", self.hosts[at]);
                return Err(("egress.hosts", text));
            }
        }
        Ok(())
    }

    /// The policy as it is enforced.
    #[must_use]
    pub fn policy(&self) -> EgressPolicy {
        EgressPolicy::from(&self.encode())
    }
}
