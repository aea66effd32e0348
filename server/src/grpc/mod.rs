//! The gRPC edge. A handler decodes, asks [`Authority`] for a permit, calls, and encodes; wire
//! types and `tonic::Status` stop here.

use membrane_proto::v1::{
    account_service_server::AccountServiceServer, activity_service_server::ActivityServiceServer,
    change_service_server::ChangeServiceServer, event_service_server::EventServiceServer,
    file_service_server::FileServiceServer, run_service_server::RunServiceServer,
    schedule_service_server::ScheduleServiceServer, secret_service_server::SecretServiceServer,
    session_service_server::SessionServiceServer, snapshot_service_server::SnapshotServiceServer,
    workspace_service_server::WorkspaceServiceServer,
};
use tonic::{Request, Status, service::Routes};

use crate::{
    authz::{Operation, Permit, Principal, Resource},
    error::Error,
    id::WorkspaceId,
    server::App,
};

mod account;
mod activity;
mod change;
pub mod decode;
pub mod encode;
mod event;
mod file;
pub(crate) mod run;
pub(crate) mod schedule;
mod secret;
mod session;
mod snapshot;
mod workspace;

pub use snapshot::new_snapshot;

/// Largest request in bytes: a chunk of an upload is 1 MiB, a message 200,000 characters.
const MAX_REQUEST: usize = 4 << 20;
/// Largest response in bytes: a page of a thousand events with truncated tool results.
const MAX_RESPONSE: usize = 64 << 20;

macro_rules! limited {
    ($server:ident, $service:expr) => {
        $server::new($service)
            .max_decoding_message_size(MAX_REQUEST)
            .max_encoding_message_size(MAX_RESPONSE)
    };
}

/// All services of `membrane.v1`.
#[must_use]
pub fn routes(app: &App) -> Routes {
    Routes::new(limited!(
        AccountServiceServer,
        account::Service(app.clone())
    ))
    .add_service(limited!(
        ActivityServiceServer,
        activity::Service(app.clone())
    ))
    .add_service(limited!(
        WorkspaceServiceServer,
        workspace::Service(app.clone())
    ))
    .add_service(limited!(
        SessionServiceServer,
        session::Service(app.clone())
    ))
    .add_service(limited!(RunServiceServer, run::Service(app.clone())))
    .add_service(limited!(
        ScheduleServiceServer,
        schedule::Service(app.clone())
    ))
    .add_service(limited!(SecretServiceServer, secret::Service(app.clone())))
    .add_service(limited!(EventServiceServer, event::Service(app.clone())))
    .add_service(limited!(FileServiceServer, file::Service(app.clone())))
    .add_service(limited!(ChangeServiceServer, change::Service(app.clone())))
    .add_service(limited!(
        SnapshotServiceServer,
        snapshot::Service(app.clone())
    ))
}

impl App {
    /// A permit for something in the workspace of this id. Nobody learns whether it is an id.
    pub(crate) async fn permit_in(
        &self,
        caller: Option<&Principal>,
        operation: Operation,
        workspace_id: &str,
    ) -> Result<Permit, Error> {
        let resource = match caller {
            None => Resource::Server,
            Some(_) => Resource::Workspace(WorkspaceId(decode::id(workspace_id, "workspace")?)),
        };
        self.authority.permit(caller, operation, resource).await
    }
}

/// Who is calling, as the authentication layer found out.
fn principal<T>(request: &Request<T>) -> Option<Principal> {
    request.extensions().get::<Principal>().cloned()
}

/// Shorthand for handlers.
type Answer<T> = Result<tonic::Response<T>, Status>;

fn answer<T>(result: Result<T, Error>) -> Answer<T> {
    result.map(tonic::Response::new).map_err(Status::from)
}
