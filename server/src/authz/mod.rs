//! Authorisation is one function: [`Authority::permit`], called once per request with the principal,
//! the operation and the resource. What the caller may not see answers exactly like what does not
//! exist; what they may see and not do is PERMISSION_DENIED. It writes the audit row for whatever
//! changes something.

use membrane_entity::audit;
use uuid::Uuid;

use crate::{
    clock::Clock,
    db::Database,
    error::Error,
    id::{RunId, SessionId, UserId, WorkspaceId},
};

mod operation;
mod principal;
mod runner;

pub use operation::{Need, Operation};
pub use principal::{Credential, Principal, Role};
pub use runner::{RUNNER_METHODS, Runner, check_kind};

/// What an operation is about.
#[derive(Debug, Clone, Copy)]
pub enum Resource {
    /// The server, or the caller's own account.
    Server,
    /// A workspace.
    Workspace(WorkspaceId),
    /// A session, and through it its workspace.
    Session(SessionId),
    /// A run, and through it its workspace.
    Run(RunId),
}

/// An agent that works because an agent wanted it.
const AGENTS_AGENT: Credential = Credential::Agent {
    may_start_work: false,
};

/// That an operation is allowed, and on what.
#[derive(Debug, Clone)]
pub struct Permit {
    /// Who asked.
    pub principal: Principal,
    /// The workspace it is about; nil for [`Resource::Server`].
    pub workspace: WorkspaceId,
    /// The caller's role in it; [`Role::Viewer`] for [`Resource::Server`].
    pub role: Role,
}

/// The one place that decides. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authority {
    database: Database,
    clock: Clock,
}

impl Authority {
    /// An authority over what this database says.
    #[must_use]
    pub fn new(database: Database, clock: Clock) -> Self {
        Self { database, clock }
    }

    /// Decides, and writes down the decision if the operation changes something.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], [`Error::NotFound`], [`Error::PermissionDenied`].
    pub async fn permit(
        &self,
        principal: Option<&Principal>,
        operation: Operation,
        resource: Resource,
    ) -> Result<Permit, Error> {
        let decision = self.decide(principal, operation, resource).await;
        if operation.changes_something() {
            self.write_down(principal, operation, resource, &decision)
                .await?;
        }
        decision
    }

    async fn decide(
        &self,
        principal: Option<&Principal>,
        operation: Operation,
        resource: Resource,
    ) -> Result<Permit, Error> {
        let principal = principal.ok_or(Error::Unauthenticated(
            "sign in, or send an API token as `authorization: Bearer <token>`",
        ))?;
        if operation.starts_work() && principal.credential == AGENTS_AGENT {
            return Err(Error::PermissionDenied(
                "an agent has asked for this run, so it may not queue runs or manage schedules",
            ));
        }
        match operation.need() {
            Need::User => Ok(Permit::of_server(principal)),
            Need::Interactive if principal.credential == Credential::Browser => {
                Ok(Permit::of_server(principal))
            }
            Need::Interactive => Err(Error::PermissionDenied(
                "an API token can't do this; sign in with a browser or use the command line",
            )),
            Need::Administrator if principal.administrator => Ok(Permit::of_server(principal)),
            Need::Administrator => Err(Error::PermissionDenied("only administrators may do this")),
            Need::Role(needed) => self.decide_role(principal, needed, resource).await,
        }
    }

    async fn decide_role(
        &self,
        principal: &Principal,
        needed: Role,
        resource: Resource,
    ) -> Result<Permit, Error> {
        let (workspace, what) = match resource {
            Resource::Server => return Err(Error::Internal("a role needs a workspace".to_owned())),
            Resource::Workspace(id) => (Some(id), "workspace"),
            Resource::Session(id) => (self.database.workspace_of_session(id).await?, "session"),
            Resource::Run(id) => (self.database.workspace_of_run(id).await?, "run"),
        };
        let workspace = workspace.ok_or(Error::NotFound(what))?;
        let role = self
            .database
            .role(principal.user_id, workspace)
            .await?
            .ok_or(Error::NotFound(what))?;
        if role < needed {
            return Err(Error::PermissionDenied(
                "your role in this workspace does not allow this",
            ));
        }
        Ok(Permit {
            principal: principal.clone(),
            workspace,
            role,
        })
    }

    /// Writes down that an agent wanted something of another workspace than its own, whether that
    /// exists or not.
    ///
    /// # Errors
    /// The database's own.
    pub async fn refuse_elsewhere(
        &self,
        principal: &Principal,
        operation: Operation,
        resource: Resource,
    ) -> Result<(), Error> {
        let refused = Err(Error::Rejected {
            reason: "OTHER_WORKSPACE",
            message: String::new(),
        });
        self.write_down(Some(principal), operation, resource, &refused)
            .await
    }

    async fn write_down(
        &self,
        principal: Option<&Principal>,
        operation: Operation,
        resource: Resource,
        decision: &Result<Permit, Error>,
    ) -> Result<(), Error> {
        let row = audit::Model {
            id: Uuid::now_v7(),
            create_time: self.clock.now(),
            user_id: principal.map(|principal| principal.user_id.0),
            credential: principal
                .map_or("none", |principal| principal.credential.as_str())
                .to_owned(),
            operation: format!("{operation:?}"),
            resource: match resource {
                Resource::Server => String::new(),
                Resource::Workspace(id) => format!("workspaces/{id}"),
                Resource::Session(id) => id.stream(),
                Resource::Run(id) => id.stream(),
            },
            outcome: match decision {
                Ok(_) => "permitted".to_owned(),
                Err(error) => error.reason().to_lowercase(),
            },
        };
        Ok(self.database.insert_audit(row).await?)
    }
}

impl Permit {
    fn of_server(principal: &Principal) -> Self {
        Self {
            principal: principal.clone(),
            workspace: WorkspaceId(Uuid::nil()),
            role: Role::Viewer,
        }
    }

    /// Who asked.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.principal.user_id
    }
}
