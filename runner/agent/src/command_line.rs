//! What the command lines of our programs have in common. Reads neither arguments nor environment
//! itself.

use std::ffi::OsString;

use clap::Command;

/// What our variables begin with.
const PREFIX: &str = "MEMBRANE_";

/// The first of these variables that is called like ours and means nothing to this command, nor is
/// one of those `beside` it.
#[must_use]
pub fn unknown_variable(
    command: &Command,
    variables: impl IntoIterator<Item = OsString>,
    beside: &[&str],
) -> Option<String> {
    let is_known = |name: &str| {
        let mut flags = command.get_arguments();
        beside.contains(&name)
            || flags.any(|flag| flag.get_env().is_some_and(|known| known == name))
    };
    variables
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .find(|name| name.starts_with(PREFIX) && !is_known(name))
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn only_a_name_of_ours_that_means_nothing_is_unknown() {
        let flag = Arg::new("listen").long("listen").env("MEMBRANE_LISTEN");
        let command = Command::new("membrane").arg(flag);
        let unknown = |names: &[&str]| {
            let names = names.iter().map(OsString::from);
            unknown_variable(&command, names, &["MEMBRANE_SECRET"])
        };
        assert_eq!(
            unknown(&["PATH", "MEMBRANE_LISTEN", "MEMBRANE_SECRET"]),
            None
        );
        let found = unknown(&["MEMBRANE_LISTEN", "MEMBRANE_LISEN"]);
        assert_eq!(found.as_deref(), Some("MEMBRANE_LISEN"));
    }
}
