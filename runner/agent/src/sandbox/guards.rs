//! The guards of the sandbox by name. In a build with the feature `switchable-guards`, which is for
//! tests only, each can be left out, so that a test can show that it is missed. In every other
//! build all of them stand.

use serde::{Deserialize, Serialize};

/// One guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is described where it is asked for")]
pub enum Guard {
    Capabilities,
    CgroupNamespace,
    Descriptors,
    Environment,
    HostNamespace,
    IpcNamespace,
    KernelLimits,
    Landlock,
    LateDescriptors,
    Lifeline,
    Memory,
    MaskedProc,
    NestedNamespaces,
    Neighbours,
    NetworkNamespace,
    ProcessNamespace,
    ReadOnlyRoot,
    ReadOnlySystem,
    Seccomp,
    Session,
    User,
    Watchdog,
}

/// Which guards stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    #[cfg(feature = "switchable-guards")]
    off: Vec<Guard>,
}

impl Guards {
    /// All but these.
    #[cfg(feature = "switchable-guards")]
    #[must_use]
    pub fn without(off: &[Guard]) -> Self {
        Self { off: off.to_vec() }
    }

    #[cfg(feature = "switchable-guards")]
    pub(super) fn has(&self, guard: Guard) -> bool {
        !self.off.contains(&guard)
    }

    #[cfg(not(feature = "switchable-guards"))]
    #[expect(
        clippy::unused_self,
        reason = "the other build asks what is switched off"
    )]
    pub(super) fn has(&self, _: Guard) -> bool {
        true
    }
}
