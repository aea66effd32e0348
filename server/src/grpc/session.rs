//! SessionService.

use membrane_agent::PermissionAnswer;
use membrane_entity::session;
use membrane_proto::v1::{self as proto, session_service_server::SessionService};
use tonic::Request;

use super::{Answer, answer, decode, encode, principal};
use crate::{
    authz::{Operation, Permit, Principal, Resource},
    db::RequestKey,
    error::Error,
    id::{PermissionRequestId, SessionId, WorkspaceId},
    mcp::BuiltIn,
    page::{Keyset, Page},
    server::App,
    sessions::Said,
    tasks::to_the_end,
};

/// Tag of page tokens.
const SESSIONS: u8 = 5;
const MAX_TITLE: usize = 200;
const MAX_TEXT: usize = 200_000;
const MAX_REASON: usize = 2_000;

pub struct Service(pub App);

#[tonic::async_trait]
impl SessionService for Service {
    async fn create_session(
        &self,
        request: Request<proto::CreateSessionRequest>,
    ) -> Answer<proto::CreateSessionResponse> {
        let caller = principal(&request);
        answer(self.create(caller, request.into_inner()).await)
    }

    async fn get_session(
        &self,
        request: Request<proto::GetSessionRequest>,
    ) -> Answer<proto::GetSessionResponse> {
        let caller = principal(&request);
        answer(self.get(caller, request.into_inner()).await)
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Answer<proto::ListSessionsResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn update_session(
        &self,
        request: Request<proto::UpdateSessionRequest>,
    ) -> Answer<proto::UpdateSessionResponse> {
        let caller = principal(&request);
        answer(self.update(caller, request.into_inner()).await)
    }

    async fn delete_session(
        &self,
        request: Request<proto::DeleteSessionRequest>,
    ) -> Answer<proto::DeleteSessionResponse> {
        let caller = principal(&request);
        answer(self.delete(caller, request.into_inner()).await)
    }

    async fn send_message(
        &self,
        request: Request<proto::SendMessageRequest>,
    ) -> Answer<proto::SendMessageResponse> {
        let caller = principal(&request);
        answer(self.send(caller, request.into_inner()).await)
    }

    async fn interrupt_session(
        &self,
        request: Request<proto::InterruptSessionRequest>,
    ) -> Answer<proto::InterruptSessionResponse> {
        let caller = principal(&request);
        answer(self.interrupt(caller, request.into_inner()).await)
    }

    async fn resolve_permission(
        &self,
        request: Request<proto::ResolvePermissionRequest>,
    ) -> Answer<proto::ResolvePermissionResponse> {
        let caller = principal(&request);
        answer(self.resolve(caller, request.into_inner()).await)
    }
}

impl Service {
    async fn permit(
        &self,
        caller: Option<&Principal>,
        operation: Operation,
        session_id: &str,
    ) -> Result<(Permit, SessionId), Error> {
        if caller.is_none() {
            let permit = self
                .0
                .authority
                .permit(None, operation, Resource::Server)
                .await?;
            return Ok((permit, SessionId(uuid::Uuid::nil())));
        }
        let id = SessionId(decode::id(session_id, "session")?);
        let permit = self
            .0
            .authority
            .permit(caller, operation, Resource::Session(id))
            .await?;
        Ok((permit, id))
    }

    async fn create(
        &self,
        caller: Option<Principal>,
        request: proto::CreateSessionRequest,
    ) -> Result<proto::CreateSessionResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::CreateSession,
                &request.workspace_id,
            )
            .await?;
        let title = optional_title(&request.title)?;
        let request_id = decode::request_id(&request.request_id)?;
        let settings = self.0.settings(permit.workspace).await?;
        self.0
            .sessions
            .check_ready(permit.workspace, &settings)
            .await?;
        let now = self.0.clock.now();
        let row = session::Model {
            id: SessionId::new().0,
            workspace_id: permit.workspace.0,
            creator_user_id: permit.user_id().0,
            title,
            version: 1,
            create_time: now,
            update_time: now,
        };
        let key = RequestKey {
            user_id: permit.user_id(),
            request_id,
            method: "CreateSession",
        };
        let id = self.0.database.create_session(row, key).await?;
        Ok(proto::CreateSessionResponse {
            session: Some(self.session(id).await?),
        })
    }

    async fn get(
        &self,
        caller: Option<Principal>,
        request: proto::GetSessionRequest,
    ) -> Result<proto::GetSessionResponse, Error> {
        let (_, id) = self
            .permit(caller.as_ref(), Operation::ReadSession, &request.session_id)
            .await?;
        Ok(proto::GetSessionResponse {
            session: Some(self.session(id).await?),
        })
    }

    async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListSessionsRequest,
    ) -> Result<proto::ListSessionsResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ReadWorkspace,
                &request.workspace_id,
            )
            .await?;
        let page = Page::parse(SESSIONS, request.page_size, &request.page_token)?;
        let mut rows = self
            .0
            .database
            .list_sessions(permit.workspace, &page)
            .await?;
        let next_page_token = page.cut(&mut rows, |summary| Keyset {
            time: summary.row.update_time,
            id: summary.row.id,
        });
        let settings = self.0.settings(permit.workspace).await?;
        let session = |summary| encode::session(summary, &settings);
        Ok(proto::ListSessionsResponse {
            sessions: rows.into_iter().map(session).collect(),
            next_page_token,
        })
    }

    async fn update(
        &self,
        caller: Option<Principal>,
        request: proto::UpdateSessionRequest,
    ) -> Result<proto::UpdateSessionResponse, Error> {
        let given = request.session.unwrap_or_default();
        let (_, id) = self
            .permit(caller.as_ref(), Operation::UpdateSession, &given.id)
            .await?;
        let read = decode::etag(&request.etag)?;
        for path in decode::mask(request.update_mask)? {
            if path != "title" {
                return Err(Error::invalid(
                    "update_mask",
                    format!("a session's {path:?} can't be changed"),
                ));
            }
        }
        let title = decode::name("session.title", &given.title, MAX_TITLE)?;
        let row = self.0.session_row(id).await?;
        self.0
            .database
            .rename_session(id, read.unwrap_or(row.version), title)
            .await?;
        Ok(proto::UpdateSessionResponse {
            session: Some(self.session(id).await?),
        })
    }

    async fn delete(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteSessionRequest,
    ) -> Result<proto::DeleteSessionResponse, Error> {
        let (_, id) = self
            .permit(
                caller.as_ref(),
                Operation::DeleteSession,
                &request.session_id,
            )
            .await?;
        self.0.sessions.interrupt(id).await?;
        self.0.database.delete_session(id).await?;
        self.0.sessions.forget(id).await;
        Ok(proto::DeleteSessionResponse {})
    }

    async fn send(
        &self,
        caller: Option<Principal>,
        request: proto::SendMessageRequest,
    ) -> Result<proto::SendMessageResponse, Error> {
        let (permit, id) = self
            .permit(caller.as_ref(), Operation::SendMessage, &request.session_id)
            .await?;
        let length = request.text.chars().count();
        if request.text.trim().is_empty() || length > MAX_TEXT {
            return Err(Error::invalid(
                "text",
                format!("must have 1 to {MAX_TEXT} characters"),
            ));
        }
        let said = Said {
            text: request.text,
            attachment_paths: request.attachment_paths,
            request_id: decode::request_id(&request.request_id)?,
        };
        let settings = self.0.settings(permit.workspace).await?;
        let row = self.0.session_row(id).await?;
        let mcp = BuiltIn::of_turn(self.0.clone(), permit.user_id(), &row, &settings);
        let (turn, sequence) = self
            .0
            .sessions
            .send_message(&permit.principal, &row, settings, said, mcp)
            .await?;
        Ok(proto::SendMessageResponse {
            turn_id: turn.to_string(),
            sequence,
        })
    }

    async fn interrupt(
        &self,
        caller: Option<Principal>,
        request: proto::InterruptSessionRequest,
    ) -> Result<proto::InterruptSessionResponse, Error> {
        let (_, id) = self
            .permit(
                caller.as_ref(),
                Operation::InterruptSession,
                &request.session_id,
            )
            .await?;
        Ok(proto::InterruptSessionResponse {
            interrupted: self.0.sessions.interrupt(id).await?,
        })
    }

    async fn resolve(
        &self,
        caller: Option<Principal>,
        request: proto::ResolvePermissionRequest,
    ) -> Result<proto::ResolvePermissionResponse, Error> {
        let (permit, id) = self
            .permit(
                caller.as_ref(),
                Operation::ResolvePermission,
                &request.session_id,
            )
            .await?;
        let decision = request.decision();
        if decision == proto::PermissionDecision::Unspecified {
            return Err(Error::invalid(
                "decision",
                "must be one of the named values",
            ));
        }
        if request.reason.chars().count() > MAX_REASON {
            return Err(Error::invalid(
                "reason",
                format!("must have at most {MAX_REASON} characters"),
            ));
        }
        let request_id = decode::id(&request.permission_request_id, "permission request")?;
        let answer = PermissionAnswer {
            decision,
            reason: request.reason,
        };
        let (sessions, principal) = (self.0.sessions.clone(), permit.principal.clone());
        let request = PermissionRequestId(request_id);
        to_the_end(async move {
            sessions
                .resolve_permission(&principal, id, request, answer)
                .await
        })
        .await?;
        Ok(proto::ResolvePermissionResponse {})
    }

    async fn session(&self, id: SessionId) -> Result<proto::Session, Error> {
        let summary = self.0.database.session(id).await?;
        let summary = summary.ok_or(Error::NotFound("session"))?;
        let workspace = WorkspaceId(summary.row.workspace_id);
        let settings = self.0.settings(workspace).await?;
        Ok(encode::session(summary, &settings))
    }
}

fn optional_title(text: &str) -> Result<String, Error> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    decode::name("title", text, MAX_TITLE)
}
