//! What a machine's settings say about the sandbox: who may make namespaces, and what a container
//! around the server takes away. Reads files beneath one directory, which is `/` but in tests.

use std::fs;
use std::path::Path;

use super::{Check, Outcome};

/// Settings by which kernels and distributions forbid namespaces, what forbids, and what allows.
/// One that does not exist forbids nothing.
const SETTINGS: [(&str, &str, &str); 8] = [
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user.max_user_namespaces", "0", "15000"),
    ("user.max_mnt_namespaces", "0", "15000"),
    ("user.max_pid_namespaces", "0", "15000"),
    ("user.max_net_namespaces", "0", "15000"),
    ("user.max_ipc_namespaces", "0", "15000"),
    ("user.max_uts_namespaces", "0", "15000"),
];
/// What says that there is a container around the server.
const OF_CONTAINERS: [&str; 2] = [".dockerenv", "run/.containerenv"];
const CONTAINER_FIX: &str = "If the sandbox does not work, start the container with `--security-opt \
    seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined`; \
    the sandbox brings its own. `--privileged` is not needed.";
const FILTER_FIX: &str = "If the sandbox does not work: what starts the server (a container, or \
    `SystemCallFilter` of systemd) refuses calls that make namespaces; allow `@mount`, `unshare` and \
    `clone`.";
const PROFILE_FIX: &str = "If the sandbox does not work: the server's AppArmor profile has to allow \
    `userns`, `mount` and `pivot_root`, or bubblewrap needs one of its own.";
const ROOT_FIX: &str = "Run the server as a user of its own: what breaks out would be root, and the \
    kernel does not limit how many processes root has, so that a fork bomb can use up all numbers \
    of processes for some seconds.";

/// Everything there is to be said.
pub(super) fn checks(root: &Path) -> Vec<Check> {
    let mut checks: Vec<Check> = SETTINGS
        .iter()
        .filter_map(|(name, forbidding, allowing)| setting(root, name, forbidding, allowing))
        .collect();
    checks.extend(
        [container(root), filter(root), profile(root), user(root)]
            .into_iter()
            .flatten(),
    );
    checks
}

fn setting(root: &Path, name: &str, forbidding: &str, allowing: &str) -> Option<Check> {
    let path = root.join("proc/sys").join(name.replace('.', "/"));
    let value = fs::read_to_string(path).ok()?;
    let check = Check::ok(name, value.trim());
    if value.trim() != forbidding {
        return Some(check);
    }
    let fix = format!(
        "If the sandbox does not work: `sysctl -w {name}={allowing}`, or a profile that allows \
        bubblewrap user namespaces."
    );
    Some(check.not(Outcome::Warn, &fix))
}

fn container(root: &Path) -> Option<Check> {
    let mark = OF_CONTAINERS.iter().find(|mark| root.join(mark).exists())?;
    let check = Check::ok("container", format!("the server is in one (/{mark})"));
    Some(check.not(Outcome::Warn, CONTAINER_FIX))
}

/// A filter of system calls around the server.
fn filter(root: &Path) -> Option<Check> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let mode = field(&status, "Seccomp")?;
    let check = Check::ok(
        "seccomp around the server",
        if mode == "0" { "none" } else { "yes" },
    );
    match mode {
        "0" => Some(check),
        _ => Some(check.not(Outcome::Warn, FILTER_FIX)),
    }
}

/// AppArmor's profile of the server, where there is AppArmor.
fn profile(root: &Path) -> Option<Check> {
    let enabled = fs::read_to_string(root.join("sys/module/apparmor/parameters/enabled")).ok()?;
    if enabled.trim() != "Y" {
        return Some(Check::ok("AppArmor", "off"));
    }
    let profile = fs::read_to_string(root.join("proc/self/attr/current")).unwrap_or_default();
    let profile = profile.trim().trim_end_matches('\0');
    let check = Check::ok("AppArmor", format!("the server is {profile}"));
    match profile {
        "unconfined" => Some(check),
        _ => Some(check.not(Outcome::Warn, PROFILE_FIX)),
    }
}

/// Whether the server's user is root.
fn user(root: &Path) -> Option<Check> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let uid = field(&status, "Uid")?.split_whitespace().nth(1)?.to_owned();
    let check = Check::ok("user", format!("uid {uid}"));
    match uid.as_str() {
        "0" => Some(check.not(Outcome::Warn, ROOT_FIX)),
        _ => Some(check),
    }
}

fn field<'status>(status: &'status str, name: &str) -> Option<&'status str> {
    let line = |line: &'status str| line.strip_prefix(name)?.strip_prefix(':');
    status.lines().find_map(line).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found on a machine with these files.
    fn found(files: &[(&str, &str)]) -> Vec<(String, Outcome)> {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
            fs::write(path, text).expect("a file");
        }
        let checks = checks(root.path());
        assert!(
            checks
                .iter()
                .all(|check| check.outcome == Outcome::Ok || !check.fix.is_empty())
        );
        let named = checks.into_iter().map(|check| (check.name, check.outcome));
        named.collect()
    }

    #[test]
    fn a_machine_that_says_nothing_forbids_nothing() {
        assert_eq!(found(&[]), []);
    }

    #[test]
    fn a_setting_that_forbids_is_found_and_one_that_allows_is_told() {
        let name = "user.max_user_namespaces".to_owned();
        let path = "proc/sys/user/max_user_namespaces";
        assert_eq!(found(&[(path, "0\n")]), [(name.clone(), Outcome::Warn)]);
        assert_eq!(found(&[(path, "96000\n")]), [(name, Outcome::Ok)]);
    }

    #[test]
    fn a_container_its_filter_its_profile_and_root_are_found() {
        let files = [
            (".dockerenv", ""),
            (
                "proc/self/status",
                "Name:\tx\nUid:\t0\t0\t0\t0\nSeccomp:\t2\n",
            ),
            ("sys/module/apparmor/parameters/enabled", "Y\n"),
            ("proc/self/attr/current", "docker-default (enforce)\n"),
        ];
        let names = ["container", "seccomp around the server", "AppArmor", "user"];
        let expected = names.map(|name| (name.to_owned(), Outcome::Warn));
        assert_eq!(found(&files), expected);
    }

    #[test]
    fn a_plain_machine_is_fine() {
        let files = [
            (
                "proc/self/status",
                "Uid:\t1000\t1000\t1000\t1000\nSeccomp:\t0\n",
            ),
            ("sys/module/apparmor/parameters/enabled", "Y\n"),
            ("proc/self/attr/current", "unconfined\n"),
        ];
        assert!(
            found(&files)
                .iter()
                .all(|(_, outcome)| *outcome == Outcome::Ok)
        );
    }
}
