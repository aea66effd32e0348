//! Doors: ports inside a sandbox behind which somebody outside answers. There is no network inside
//! but a loopback, and nothing of ours has to run there: the first process makes the listening
//! sockets before it locks itself up, and hands them out over the side channel before the command
//! starts. Connections are accepted out here. Knows nothing of what is said on them.

use std::fmt::Debug;
use std::io;
use std::net::TcpListener as StdListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::guards::Guards;

/// How many doors one process may have.
pub(super) const DOORS_MAX: usize = 8;
/// How long a keeper may take to end when its process has.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);

/// A port on 127.0.0.1 inside, and who answers there. Only processes inside reach it, and of two
/// sandboxes each has its own. Where there is no sandbox there are no doors, and their variables are
/// not set: processes have the host's network then.
#[derive(Debug, Clone)]
pub struct Door {
    /// The port, above 1023; different for each door of a process.
    pub port: u16,
    /// Variables that tell programs of it. They win over a workspace's own.
    pub environment: Vec<(String, String)>,
    /// Who answers.
    pub keeper: Arc<dyn Keeper>,
}

/// Who answers behind a door.
pub trait Keeper: Send + Sync + Debug {
    /// Accepts connections until the door closes, then ends all of them and returns. Two seconds
    /// later the future is dropped, and every connection has to end with it: spawn none that is not
    /// in a `JoinSet` of its own.
    fn serve(&self, door: OpenDoor) -> BoxFuture<'static, ()>;
}

/// The door of one process.
#[derive(Debug)]
pub struct OpenDoor {
    /// Where its connections arrive.
    pub listener: TcpListener,
    /// For which tool call the process was started.
    pub tool_call_id: String,
    /// Cancelled when the process and everything that it started is gone.
    pub closing: CancellationToken,
}

/// The doors that a process is to have.
#[derive(Debug, Default)]
pub(super) struct Doors {
    pub(super) doors: Vec<Door>,
    pub(super) tool_call_id: String,
    pub(super) guards: Guards,
}

impl Doors {
    /// Lets the keepers answer. The sockets are in the order of the doors.
    pub(super) fn open(self, sockets: Vec<OwnedFd>) -> io::Result<Serving> {
        if sockets.len() != self.doors.len() {
            return Err(io::Error::other("the first process sent other sockets"));
        }
        let mut serving = Serving::default();
        for (door, socket) in self.doors.iter().zip(sockets) {
            let listener = StdListener::from(socket);
            listener.set_nonblocking(true)?;
            let open = OpenDoor {
                listener: TcpListener::from_std(listener)?,
                tool_call_id: self.tool_call_id.clone(),
                closing: serving.closing.clone(),
            };
            serving.keepers.spawn(door.keeper.serve(open));
        }
        Ok(serving)
    }
}

/// The keepers of one process at work.
#[derive(Debug, Default)]
pub(super) struct Serving {
    keepers: JoinSet<()>,
    closing: CancellationToken,
}

impl Serving {
    /// Returns when every connection has ended.
    pub(super) async fn close(mut self) {
        self.closing.cancel();
        let ended = async { while self.keepers.join_next().await.is_some() {} };
        let _ = timeout(CLOSE_TIME_MAX, ended).await;
        self.keepers.shutdown().await;
    }
}
