//! Says whether the sandbox works on this machine, and if not, what to do about it.

mod machine;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::toolchains::Toolchain;
use super::{Limit, Sandbox, SandboxConfig, SandboxMode, Task, probe};

const TIME_MAX: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What an agent is likely to need, and how each tells its version.
const PROGRAMS: [(&str, &str); 9] = [
    ("bash", "--version"),
    ("git", "--version"),
    ("cc", "--version"),
    ("cargo", "--version"),
    ("rustc", "--version"),
    ("node", "--version"),
    ("npm", "--version"),
    ("python3", "--version"),
    ("make", "--version"),
];

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Works, but something is missing or weaker than it could be.
    Warn,
    /// Does not work.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do; empty if nothing.
    pub fix: String,
}

impl Check {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Ok,
            detail: detail.into(),
            fix: String::new(),
        }
    }

    fn not(self, outcome: Outcome, fix: &str) -> Self {
        Self {
            outcome,
            fix: fix.to_owned(),
            ..self
        }
    }
}

/// Looks at everything the sandbox depends on, and at what an agent finds inside.
pub async fn doctor(config: &SandboxConfig) -> Vec<Check> {
    let mut checks = vec![bubblewrap(config).await];
    checks.extend(machine::checks(Path::new("/")));
    let offered = config.toolchains.iter().flat_map(|one| &one.ro_binds);
    let binds = config.ro_binds.iter().chain(offered);
    checks.extend(binds.map(|bind| read_only_bind(bind)));
    checks.extend(config.toolchains.iter().map(toolchain));
    match Sandbox::start(config.clone()).await {
        Ok(sandbox) => {
            checks.push(sandbox_check(config.mode));
            if config.mode == SandboxMode::Required {
                checks.push(second_lock(&sandbox).await);
                checks.extend(limits(config, &sandbox).await);
            }
            checks.extend(programs(&sandbox).await);
        }
        Err(why) => {
            checks.push(Check::ok("sandbox", why.reason).not(Outcome::Fail, &why.fix));
        }
    }
    checks
}

/// A toolchain that workspaces may hide.
fn toolchain(offered: &Toolchain) -> Check {
    let shown = offered.path.iter().map(|path| path.display().to_string());
    let shown: Vec<String> = shown.collect();
    let detail = match &shown[..] {
        [] => "among the system's programs".to_owned(),
        shown => shown.join(", "),
    };
    Check::ok(format!("toolchain {}", offered.name), detail)
}

async fn bubblewrap(config: &SandboxConfig) -> Check {
    let path = match probe::find(config) {
        Ok(path) => path,
        Err(why) => return Check::ok("bubblewrap", why.reason).not(Outcome::Fail, &why.fix),
    };
    let version = version_of(path.clone()).await;
    let detail = format!(
        "{} ({})",
        path.display(),
        version.as_deref().unwrap_or("no version")
    );
    let check = Check::ok("bubblewrap", detail);
    if version.is_some() {
        return check;
    }
    check.not(
        Outcome::Fail,
        "Reinstall bubblewrap: it does not answer `--version`.",
    )
}

async fn version_of(program: PathBuf) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().kill_on_drop(true);
    let output = timeout(TIME_MAX, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

fn read_only_bind(bind: &Path) -> Check {
    let check = Check::ok("read-only directory", bind.display().to_string());
    if bind.exists() {
        return check;
    }
    check.not(
        Outcome::Fail,
        "It does not exist: correct the sandbox's configuration.",
    )
}

fn sandbox_check(mode: SandboxMode) -> Check {
    match mode {
        SandboxMode::Required => Check::ok("sandbox", "enforced: a process was tried inside"),
        SandboxMode::None => Check::ok("sandbox", "switched off: agents run as the server's user")
            .not(
                Outcome::Warn,
                "Set the sandbox to `required`, unless this machine is one big sandbox itself.",
            ),
    }
}

/// Whether Landlock holds inside: the mounts alone would let this file be written.
async fn second_lock(sandbox: &Sandbox) -> Check {
    const SCRIPT: &str = "(echo 0 > /proc/self/coredump_filter) 2>/dev/null || echo locked";
    let answer = answer_inside(sandbox, SCRIPT.to_owned()).await;
    if answer.as_deref() == Some("locked\n") {
        return Check::ok("Landlock", "a second lock on files");
    }
    Check::ok("Landlock", "missing: mounts alone protect files").not(
        Outcome::Warn,
        "Use a kernel of 5.13 or later that has `landlock` among its `lsm=` modules.",
    )
}

/// Which limits hold, and who sees to them.
async fn limits(config: &SandboxConfig, sandbox: &Sandbox) -> Vec<Check> {
    let counted = answer_inside(sandbox, "ulimit -u".to_owned()).await;
    let counted = counted.and_then(|most| most.trim().parse::<u64>().ok());
    let counts = counted.is_some_and(|most| most < 2 * config.limits.processes);
    let by_kernel = counts && !rustix::process::geteuid().is_root();
    let watched = [
        Limit::Memory,
        Limit::Processes,
        Limit::DiskBytes,
        Limit::DiskEntries,
    ];
    let watched = watched.map(|limit| {
        let who = match limit {
            Limit::Processes if by_kernel => "watched, and limited by the kernel",
            _ => "watched",
        };
        let what = config.limits.describe(limit);
        Check::ok(format!("limit {limit}"), format!("{what}, {who}"))
    });
    let file = Check::ok("limit file", "8192 MiB, limited by the kernel");
    watched.into_iter().chain([file]).collect()
}

async fn programs(sandbox: &Sandbox) -> Vec<Check> {
    let mut checks = Vec::new();
    for (program, option) in PROGRAMS {
        checks.push(program_inside(sandbox, program, option).await);
    }
    checks
}

async fn program_inside(sandbox: &Sandbox, program: &str, option: &str) -> Check {
    let name = format!("{program} inside");
    let script = format!("command -v {program} && {program} {option} 2>&1");
    let answer = timeout(TIME_MAX, answer_inside(sandbox, script))
        .await
        .ok()
        .flatten();
    let Some((path, version)) = answer.as_deref().and_then(|answer| answer.split_once('\n')) else {
        let fix = "If agents need it: install it, or add its directory to the sandbox's \
            read-only directories and PATH.";
        return Check::ok(name, "not found").not(Outcome::Warn, fix);
    };
    let version = version.lines().next().unwrap_or_default();
    Check::ok(name, format!("{version} ({path})"))
}

/// What a script prints inside; none if it fails.
async fn answer_inside(sandbox: &Sandbox, script: String) -> Option<String> {
    let task = Task {
        place: None,
        cwd: Path::new(""),
        env: &[],
        doors: &[],
        tool_call_id: "",
        hidden_toolchains: &[],
        argv: vec!["/bin/bash".to_owned(), "-c".to_owned(), script],
    };
    let process = sandbox.spawn(&task).ok()?;
    let (answer, exit) = process.read_to_end(ANSWER_BYTES_MAX).await;
    (exit.code == Some(0)).then(|| String::from_utf8_lossy(&answer).into_owned())
}
