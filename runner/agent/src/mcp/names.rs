//! Names of MCP tools as models and settings say them: `mcp__<server>__<tool>`.

/// The server that every host of ours offers itself.
pub const BUILT_IN: &str = "membrane";

const PREFIX: &str = "mcp__";
/// Longest name of a tool that the Messages API takes, in bytes.
const NAME_MAX: usize = 128;

/// The name of a server's tool; none if the Messages API would not take it.
#[must_use]
pub fn tool_name(server: &str, tool: &str) -> Option<String> {
    let name = format!("{PREFIX}{server}__{tool}");
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let takes = !server.is_empty() && !tool.is_empty() && name.len() <= NAME_MAX;
    (takes && name.bytes().all(is_sound)).then_some(name)
}

/// Whether a list of tools has this one. An entry that begins with `mcp__` and ends with `*` stands
/// for all tools whose name begins like it.
#[must_use]
pub fn is_allowed(list: &[String], tool: &str) -> bool {
    list.iter().any(|entry| covers(entry, tool))
}

/// Whether a list of tools has any of this server.
#[must_use]
pub(super) fn has_any_of(list: &[String], server: &str) -> bool {
    let begins = format!("{PREFIX}{server}__");
    list.iter().any(|entry| match family(entry) {
        Some(family) => family.starts_with(&begins) || begins.starts_with(family),
        None => entry.starts_with(&begins),
    })
}

fn covers(entry: &str, tool: &str) -> bool {
    match family(entry) {
        Some(family) => tool.starts_with(family),
        None => entry == tool,
    }
}

/// What the names of an entry's tools begin with, if it stands for several.
fn family(entry: &str) -> Option<&str> {
    let family = entry.strip_suffix('*')?;
    family.starts_with(PREFIX).then_some(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entry: &str) -> [String; 1] {
        [entry.to_owned()]
    }

    #[test]
    fn an_entry_stands_for_one_tool_or_for_a_family_of_mcp_tools() {
        let tool = "mcp__membrane__get_run";
        for entry in [tool, "mcp__membrane__*", "mcp__membrane__get_*", "mcp__*"] {
            assert!(is_allowed(&list(entry), tool), "{entry}");
            assert!(has_any_of(&list(entry), "membrane"), "{entry}");
        }
        for entry in ["mcp__membrane__get_runs", "mcp__other__*", "*", "Read", ""] {
            assert!(!is_allowed(&list(entry), tool), "{entry}");
        }
        assert!(!is_allowed(&list("*"), "Bash"));
        assert!(!has_any_of(&list("mcp__membranes__*"), "membrane"));
        assert!(!has_any_of(&list("*"), "membrane"));
    }

    #[test]
    fn what_the_api_would_not_take_is_no_name() {
        let name = tool_name("membrane", "list_runs");
        assert_eq!(name.as_deref(), Some("mcp__membrane__list_runs"));
        for (server, tool) in [("a b", "c"), ("a", "c.d"), ("", "c"), ("a", "")] {
            assert_eq!(tool_name(server, tool), None);
        }
        assert_eq!(tool_name("a", &"b".repeat(NAME_MAX)), None);
    }
}
