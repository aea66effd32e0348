//! Tries the sandbox before anything depends on it. What bubblewrap says is not believed: a
//! process inside reports what it finds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::doors::Doors;
use super::plan::Plan;
use super::{Process, SandboxConfig, Task, Unavailable};

/// Where bubblewrap is looked for.
const USUAL_PLACES: [&str; 4] = [
    "/usr/bin/bwrap",
    "/bin/bwrap",
    "/usr/local/bin/bwrap",
    "/run/current-system/sw/bin/bwrap",
];
const INSTALL: &str =
    "Install bubblewrap 0.8 or later, for example with `apt-get install bubblewrap`.";
const ALLOW: &str = "Allow unprivileged user namespaces; `membrane doctor` shows which setting of \
    this machine forbids them.";
const TIME_MAX: Duration = Duration::from_secs(30);
/// The whole report is a few kilobytes.
const REPORT_BYTES_MAX: usize = 64 * 1024;
/// The report's own process, and what the shell may start for it.
const PROCESSES_MAX: usize = 4;

/// What a process inside finds, in the shell's own words: nothing but the shell has to exist.
const REPORT: &str = r#"/bin/true && echo "true: ran"
while read -r line; do echo "status: $line"; done </proc/self/status
while read -r line; do echo "net: $line"; done </proc/self/net/dev
for path in /usr /etc /dev / /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname; do
[ -w "$path" ] && echo "writable: $path"
done
for path in /proc/[0-9]*; do echo "process: $path"; done
"#;

/// A plan that was tried and holds.
pub(super) async fn working_plan(config: &SandboxConfig) -> Result<Plan, Unavailable> {
    let bubblewrap = find(config)?;
    let strict = Plan::new(&bubblewrap, config, false)?;
    if try_out(&strict).await.is_ok() {
        return Ok(strict);
    }
    // Some machines can't forbid user namespaces inside: /proc/sys is read-only in containers.
    let nested = Plan::new(&bubblewrap, config, true)?;
    try_out(&nested).await?;
    Ok(nested)
}

/// The bubblewrap program.
pub(super) fn find(config: &SandboxConfig) -> Result<PathBuf, Unavailable> {
    let usual = || {
        USUAL_PLACES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
    };
    let found = config.bwrap.clone().filter(|path| path.exists());
    let found = if config.bwrap.is_some() {
        found
    } else {
        usual()
    };
    found.ok_or_else(|| Unavailable::new("bubblewrap (bwrap) was not found", INSTALL))
}

async fn try_out(plan: &Plan) -> Result<(), Unavailable> {
    let task = Task {
        place: None,
        cwd: Path::new(""),
        env: &[],
        doors: &[],
        tool_call_id: "",
        hidden_toolchains: &[],
        argv: ["/bin/bash", "-c", REPORT].map(String::from).to_vec(),
    };
    let started = plan.command(&task);
    let started = started.and_then(|command| Process::start(command, true, Doors::default()));
    let process = started.map_err(|error| {
        Unavailable::new(format!("no process could be started ({error})"), ALLOW)
    })?;
    let report = timeout(TIME_MAX, read_report(process))
        .await
        .map_err(|_| Unavailable::new("a process inside did not end in time", ALLOW))?;
    judge(&report?)
}

async fn read_report(process: Process) -> Result<String, Unavailable> {
    let (report, exit) = process.read_to_end(REPORT_BYTES_MAX).await;
    if exit.started {
        return Ok(String::from_utf8_lossy(&report).into_owned());
    }
    let said = String::from_utf8_lossy(&exit.side);
    let complaint = said.lines().next_back();
    let complaint = complaint.unwrap_or("it gave no reason").trim();
    Err(Unavailable::new(
        format!("bubblewrap failed ({complaint})"),
        ALLOW,
    ))
}

/// Holds the report against what the sandbox promises.
fn judge(report: &str) -> Result<(), Unavailable> {
    let broken = |what: &str| {
        Err(Unavailable::new(
            format!("a process inside {what}"),
            INSTALL,
        ))
    };
    if !report.contains("true: ran") {
        return broken("can't run /bin/true");
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        if status(report, set) != Some("0000000000000000") {
            return broken("has capabilities");
        }
    }
    if status(report, "NoNewPrivs") != Some("1") {
        return broken("could gain privileges");
    }
    if status(report, "Seccomp") != Some("2") {
        return broken("may call everything in the kernel");
    }
    if entries(report, "net: ")
        .skip(2)
        .any(|line| !line.starts_with("lo:"))
    {
        return broken("sees a network");
    }
    if let Some(path) = entries(report, "writable: ").next() {
        return broken(&format!("can write to {path}"));
    }
    if entries(report, "process: ").count() > PROCESSES_MAX {
        return broken("sees other processes");
    }
    Ok(())
}

fn entries<'report>(report: &'report str, kind: &str) -> impl Iterator<Item = &'report str> {
    report
        .lines()
        .filter_map(move |line| line.strip_prefix(kind))
        .map(str::trim)
}

fn status<'report>(report: &'report str, name: &str) -> Option<&'report str> {
    entries(report, "status: ")
        .find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

#[cfg(test)]
mod tests;
