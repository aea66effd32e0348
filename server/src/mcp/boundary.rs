//! What an agent may reach through the built-in server: its own workspace, as its user. Whoever names
//! another one is refused, and that is written down.

use membrane_agent::mcp::BUILT_IN;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BuiltIn, runs, schedules};
use crate::{
    authz::{Credential, Operation, Principal, Resource},
    error::Error,
    id::{RunId, ScheduleId, WorkspaceId},
};

/// One call that may go on.
pub(super) struct Call<'call> {
    /// The server.
    pub server: &'call BuiltIn,
    /// As whom.
    pub principal: Principal,
    /// What it is.
    pub operation: Operation,
    /// With what.
    pub arguments: Map<String, Value>,
}

impl BuiltIn {
    /// Does what a tool does.
    pub(super) async fn call(
        &self,
        tool: &str,
        mut arguments: Map<String, Value>,
    ) -> Result<Value, Error> {
        let operation = operation(tool).ok_or_else(|| {
            let message = format!("the server {BUILT_IN} has no tool named {tool:?}");
            Error::invalid("name", message)
        })?;
        if !self.allows(tool) {
            return Err(Error::PermissionDenied(
                "the settings of this workspace do not allow this tool",
            ));
        }
        let principal = self.principal().await?;
        let named = arguments.remove("workspace_id");
        let call = Call {
            server: self,
            principal,
            operation,
            arguments,
        };
        if let Some(named) = named {
            call.check_workspace(&named).await?;
        }
        match tool {
            "list_runs" => runs::list(call).await,
            "get_run" => runs::get(call).await,
            "create_run" => runs::create(call).await,
            "cancel_run" => runs::cancel(call).await,
            "list_schedules" => schedules::list(call).await,
            "create_schedule" => schedules::create(call).await,
            "update_schedule" => schedules::update(call).await,
            "delete_schedule" => schedules::delete(call).await,
            _ => schedules::run_now(call).await,
        }
    }

    /// The user as they are now: they may have been disabled since the work began.
    async fn principal(&self) -> Result<Principal, Error> {
        let gone = Error::PermissionDenied("the user of this work may not use the server any more");
        let Some(id) = self.agent.user else {
            return Err(gone);
        };
        let user = self.app.database.user(id).await?;
        let user = user.filter(|user| !user.disabled).ok_or(gone)?;
        Ok(Principal {
            user_id: id,
            user_name: user.name,
            administrator: false,
            credential: Credential::Agent {
                may_start_work: self.agent.may_start_work,
            },
        })
    }
}

/// What calling a tool is, to the authority; none if there is no such tool.
fn operation(tool: &str) -> Option<Operation> {
    match tool {
        "list_runs" | "get_run" => Some(Operation::ReadRuns),
        "create_run" | "run_schedule" => Some(Operation::CreateRun),
        "cancel_run" => Some(Operation::CancelRun),
        "list_schedules" => Some(Operation::ReadSchedules),
        "create_schedule" | "update_schedule" | "delete_schedule" => {
            Some(Operation::ManageSchedules)
        }
        _ => None,
    }
}

impl Call<'_> {
    /// The agent's own workspace, as requests name it.
    pub(super) fn workspace_id(&self) -> String {
        self.server.agent.workspace.to_string()
    }

    /// Refuses any workspace but the agent's own.
    async fn check_workspace(&self, named: &Value) -> Result<(), Error> {
        let id = named.as_str().and_then(|text| text.parse::<Uuid>().ok());
        if id == Some(self.server.agent.workspace.0) {
            return Ok(());
        }
        // What is no id names no workspace of ours either.
        let named = WorkspaceId(id.unwrap_or_default());
        self.write_down(Resource::Workspace(named)).await?;
        Err(Error::Rejected {
            reason: "OTHER_WORKSPACE",
            message: format!(
                "workspace_id: these tools work in the workspace {} only; leave workspace_id out",
                self.server.agent.workspace
            ),
        })
    }

    /// Refuses runs of other workspaces, as if there were none.
    pub(super) async fn check_run(&self, id: &str) -> Result<(), Error> {
        let Ok(id) = id.parse().map(RunId) else {
            return Err(Error::NotFound("run"));
        };
        let found = self.server.app.database.workspace_of_run(id).await?;
        self.check_found(found, Resource::Run(id), "run").await
    }

    /// Refuses schedules of other workspaces, as if there were none.
    pub(super) async fn check_schedule(&self, id: &str) -> Result<(), Error> {
        let Ok(id) = id.parse().map(ScheduleId) else {
            return Err(Error::NotFound("schedule"));
        };
        let database = &self.server.app.database;
        match database.workspace_of_schedule(id).await? {
            None => Err(Error::NotFound("schedule")),
            Some(workspace) => {
                let resource = Resource::Workspace(workspace);
                self.check_found(Some(workspace), resource, "schedule")
                    .await
            }
        }
    }

    /// The same where one that does not exist is no error: the answer is made of the agent's own
    /// workspace anyway.
    pub(super) async fn heed_schedule(&self, id: &str) -> Result<(), Error> {
        match self.check_schedule(id).await {
            Err(Error::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    async fn check_found(
        &self,
        found: Option<WorkspaceId>,
        resource: Resource,
        what: &'static str,
    ) -> Result<(), Error> {
        if found == Some(self.server.agent.workspace) {
            return Ok(());
        }
        if found.is_some() {
            self.write_down(resource).await?;
        }
        Err(Error::NotFound(what))
    }

    async fn write_down(&self, resource: Resource) -> Result<(), Error> {
        tracing::warn!(
            agent.stream = self.server.agent.stream,
            agent.workspace = %self.server.agent.workspace,
            operation = ?self.operation,
            resource = ?resource,
            "an agent named something of another workspace and was refused"
        );
        let authority = &self.server.app.authority;
        let operation = self.operation;
        authority
            .refuse_elsewhere(&self.principal, operation, resource)
            .await
    }
}
