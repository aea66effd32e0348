//! The broker at its door: connections of programs inside, within bounds.

use std::{sync::Arc, time::Duration};

use axum::Router;
use futures::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use membrane_agent::sandbox::{Keeper, OpenDoor};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Broker, routes};

/// Connections at the same time. More wait.
const CONNECTIONS: usize = 64;
/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_mins(1);
/// Longest head of a request in bytes.
const HEAD_MAX: usize = 64 << 10;
/// Pause after a connection could not be accepted, which is a lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A broker as the keeper of its door.
#[derive(Debug)]
pub(super) struct AtDoor(pub(super) Arc<Broker>);

impl Keeper for AtDoor {
    fn serve(&self, door: OpenDoor) -> BoxFuture<'static, ()> {
        let broker = self.0.clone();
        Box::pin(async move {
            let OpenDoor {
                listener,
                tool_call_id,
                closing,
            } = door;
            let router = routes::router(broker, tool_call_id.into());
            let mut connections = JoinSet::new();
            let accepting = accept(listener, router, &mut connections);
            closing.run_until_cancelled(accepting).await;
            // Each ends its request, which is counted elsewhere.
            connections.shutdown().await;
        })
    }
}

async fn accept(listener: TcpListener, router: Router, connections: &mut JoinSet<()>) {
    loop {
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((connection, _)) => {
                connections.spawn(converse(connection, router.clone()));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(connection: TcpStream, router: Router) {
    // Without it, pieces wait for each other; a connection that can't have it works all the same.
    let _ = connection.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
    if let Err(error) = serving.await {
        tracing::debug!(error.message = %error, "a connection from inside broke off");
    }
}
