//! The broker at its door.

use std::sync::Arc;

use futures::future::BoxFuture;
use hyper_util::service::TowerToHyperService;
use membrane_agent::{
    model::inside,
    sandbox::{Keeper, OpenDoor},
};

use super::{Broker, routes};

/// A broker as the keeper of its door.
#[derive(Debug)]
pub(super) struct AtDoor(pub(super) Arc<Broker>);

impl Keeper for AtDoor {
    fn serve(&self, door: OpenDoor) -> BoxFuture<'static, ()> {
        let router = routes::router(self.0.clone(), door.tool_call_id.as_str().into());
        Box::pin(inside::serve(door, TowerToHyperService::new(router)))
    }
}
