//! The gRPC services, for callers outside and for pages rendered inside. Both go through the same
//! authentication; callers outside also through grpc-web and the content-type check.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use membrane_proto::FILE_DESCRIPTOR_SET;
use tonic::{Status, service::Routes};
use tonic_web::GrpcWebLayer;

use super::{browser, rpc};
use crate::{
    authz::{RUNNER_METHODS, check_kind},
    error::Error,
    grpc,
    server::App,
};

/// The services as a page rendered on the server calls them.
pub fn inside(app: &App) -> Routes {
    Routes::from(services(app).layer(middleware::from_fn(rpc::keep_deadline)))
}

/// The services as the port offers them, with health and reflection.
pub fn outside(app: &App) -> Router {
    let services = match app.config.runner_listen {
        None => services(app),
        Some(_) => services(app).layer(middleware::from_fn(no_runners)),
    };
    services
        .merge(public_services())
        .layer(middleware::from_fn(rpc::explain_errors))
        .layer(middleware::from_fn(rpc::keep_deadline))
        .layer(GrpcWebLayer::new())
        .layer(middleware::from_fn(browser::require_grpc))
}

/// The methods of runners and no others, for a port of their own.
pub fn for_runners(app: &App) -> Router {
    services(app)
        .layer(middleware::from_fn(only_runners))
        .layer(middleware::from_fn(rpc::explain_errors))
        .layer(middleware::from_fn(rpc::keep_deadline))
        .layer(middleware::from_fn(browser::require_grpc))
}

async fn only_runners(request: Request, next: Next) -> Response {
    if RUNNER_METHODS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    Status::unimplemented("only the methods of runners are served at this address").into_http()
}

async fn no_runners(request: Request, next: Next) -> Response {
    if RUNNER_METHODS.contains(&request.uri().path()) {
        let elsewhere = "runners have an address of their own here: MEMBRANE_RUNNER_LISTEN";
        return Status::from(Error::PermissionDenied(elsewhere)).into_http();
    }
    next.run(request).await
}

fn services(app: &App) -> Router {
    grpc::routes(app)
        .into_axum_router()
        .reset_fallback()
        .layer(middleware::from_fn_with_state(app.clone(), authenticate))
}

/// Needs no credential: whether the server is up, and what its interface is.
fn public_services() -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(async move {
        for service in SERVICES {
            reporter
                .set_service_status(service, tonic_health::ServingStatus::Serving)
                .await;
        }
    });
    let mut routes = Routes::builder();
    routes.add_service(health);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => {
            routes.add_service(v1).add_service(v1alpha);
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(error.message = %error, "reflection is not available");
        }
    }
    routes.routes().into_axum_router().reset_fallback()
}

/// Names for the health service; the empty one is the server as a whole.
const SERVICES: [&str; 12] = [
    "",
    "membrane.v1.AccountService",
    "membrane.v1.ActivityService",
    "membrane.v1.ChangeService",
    "membrane.v1.EventService",
    "membrane.v1.FileService",
    "membrane.v1.RunService",
    "membrane.v1.ScheduleService",
    "membrane.v1.SecretService",
    "membrane.v1.SessionService",
    "membrane.v1.SnapshotService",
    "membrane.v1.WorkspaceService",
];

/// Finds out who is calling. A credential that is not valid, or not one for this kind of method, is
/// refused here; none at all is left to the authority.
async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match identify(&app, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(error) => Status::from(error).into_http(),
    }
}

async fn identify(app: &App, request: &mut Request) -> Result<(), Error> {
    if let Some(runner) = app.authenticator.runner(request.headers()).await? {
        check_kind(request.uri().path(), true)?;
        request.extensions_mut().insert(runner);
        return Ok(());
    }
    if let Some(principal) = app.authenticator.principal(request.headers()).await? {
        check_kind(request.uri().path(), false)?;
        request.extensions_mut().insert(principal);
    }
    Ok(())
}
