//! Which tool calls need a person's answer. Knows the modes and the kinds of tools, not the calls.

use crate::{tools::ToolKind, turn::PermissionMode};

/// What is to be done about a tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Run it.
    Allow,
    /// Ask a person first.
    Ask {
        /// Why, in a sentence.
        explanation: &'static str,
    },
}

/// Decides about one call of a tool of this kind.
#[must_use]
pub fn decide(mode: PermissionMode, kind: ToolKind) -> Decision {
    match (mode, kind) {
        (PermissionMode::BypassPermissions, _)
        | (_, ToolKind::ReadOnly | ToolKind::Internal)
        | (PermissionMode::AcceptEdits, ToolKind::Edit) => Decision::Allow,
        (PermissionMode::Default, ToolKind::Edit) => Decision::Ask {
            explanation: "It changes files in the workspace.",
        },
        (PermissionMode::Default | PermissionMode::AcceptEdits, ToolKind::Execute) => {
            Decision::Ask {
                explanation: "It runs a command in the workspace's sandbox.",
            }
        }
        (PermissionMode::Default | PermissionMode::AcceptEdits, ToolKind::Mcp) => Decision::Ask {
            explanation: "It calls a tool of an MCP server.",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(mode: PermissionMode, kind: ToolKind) -> bool {
        decide(mode, kind) != Decision::Allow
    }

    #[test]
    fn each_mode_asks_for_exactly_what_it_says() {
        use PermissionMode::{AcceptEdits, BypassPermissions, Default};
        use ToolKind::{Edit, Execute, Internal, Mcp, ReadOnly};
        let table = [
            (
                Default,
                [
                    (ReadOnly, false),
                    (Edit, true),
                    (Execute, true),
                    (Internal, false),
                    (Mcp, true),
                ],
            ),
            (
                AcceptEdits,
                [
                    (ReadOnly, false),
                    (Edit, false),
                    (Execute, true),
                    (Internal, false),
                    (Mcp, true),
                ],
            ),
            (
                BypassPermissions,
                [
                    (ReadOnly, false),
                    (Edit, false),
                    (Execute, false),
                    (Internal, false),
                    (Mcp, false),
                ],
            ),
        ];
        for (mode, kinds) in table {
            for (kind, expected) in kinds {
                assert_eq!(asks(mode, kind), expected, "{mode:?} {kind:?}");
            }
        }
    }
}
