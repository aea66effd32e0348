//! The thread that starts processes. The kernel ties `--die-with-parent` to the thread that forked,
//! not to its process; the threads of an async runtime come and go, this one lives as long as the
//! sandbox.

use std::io;
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// So many starts may wait; more wait for their turn to ask.
const WAITING_MAX: usize = 64;

/// The launcher's handle. The thread ends when the last one is gone, and what it started with it.
#[derive(Debug, Clone)]
pub(super) struct Launcher {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

impl Launcher {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        thread::Builder::new()
            .name("sandbox-launcher".to_owned())
            .spawn(move || launch_all(waiting))?;
        Ok(Self { jobs })
    }

    /// Starts a process; the current runtime watches it.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (started, result) = oneshot::channel();
        let job = Job {
            command,
            runtime: Handle::current(),
            started,
        };
        self.jobs.send(job).await.map_err(io::Error::other)?;
        result.await.map_err(io::Error::other)?
    }
}

fn launch_all(mut waiting: mpsc::Receiver<Job>) {
    while let Some(mut job) = waiting.blocking_recv() {
        let _entered = job.runtime.enter();
        // Nobody waits any more: the child is dropped, and that kills it.
        let _ = job.started.send(job.command.spawn());
    }
}
