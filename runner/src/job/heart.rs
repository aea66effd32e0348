//! Renews a lease, from its claim to its end, on a thread with a connection of its own: however busy
//! the machine is with work, the lease is not lost by it.

use std::{thread, time::Duration};

use membrane_proto::v1::RunLease;
use secrecy::SecretString;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    config::Config,
    control::{Control, Failure},
};

/// A lease that is being renewed, until this is dropped.
#[derive(Debug)]
pub(super) struct Heart {
    beat: Beat,
    over: CancellationToken,
}

/// What the server says with a heartbeat's answer.
#[derive(Debug, Clone, Default)]
struct Beat {
    cancel: CancellationToken,
    lost: CancellationToken,
}

impl Heart {
    pub(super) fn start(config: &Config, lease: RunLease) -> Self {
        let heart = Self {
            beat: Beat::default(),
            over: CancellationToken::new(),
        };
        let renewing = Renewing {
            server: config.server.clone(),
            token: config.token.clone(),
            period: config.heartbeat,
            lease,
            beat: heart.beat.clone(),
        };
        let over = heart.over.clone();
        let started = thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || renewing.until(&over));
        if let Err(error) = started {
            tracing::error!(%error, "there is no thread for heartbeats: the run is given up");
            heart.beat.lost.cancel();
        }
        heart
    }

    /// Cancelled when the run is to be.
    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.beat.cancel
    }

    /// Returns when the lease is lost.
    pub(super) async fn lost(&self) {
        self.beat.lost.cancelled().await;
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

struct Renewing {
    server: Url,
    token: SecretString,
    period: Duration,
    lease: RunLease,
    beat: Beat,
}

impl Renewing {
    fn until(self, over: &CancellationToken) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(over.run_until_cancelled(self.renew()));
            }
            Err(error) => {
                tracing::error!(%error, "heartbeats can't be sent: the run is given up");
                self.beat.lost.cancel();
            }
        }
    }

    async fn renew(&self) {
        let control = match Control::new(&self.server, &self.token) {
            Ok(control) => control,
            Err(error) => {
                tracing::error!(%error, "heartbeats can't be sent: the run is given up");
                return self.beat.lost.cancel();
            }
        };
        let mut ticks = interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match control.heartbeat(&self.lease).await {
                Ok(false) => {}
                Ok(true) => self.beat.cancel.cancel(),
                // A server that comes back gives every lease its whole time again.
                Err(Failure::Away(why)) => tracing::warn!(why, "a heartbeat was not answered"),
                Err(Failure::Lost(_) | Failure::Refused(_)) => return self.beat.lost.cancel(),
            }
        }
    }
}
