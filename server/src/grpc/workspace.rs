//! WorkspaceService.

use membrane_proto::v1::{
    self as proto, import_workspace_request::Part, workspace_service_server::WorkspaceService,
};
use secrecy::SecretString;
use tonic::{Request, Streaming};

use super::{Answer, answer, decode, encode, principal};
use crate::{
    authz::{Operation, Principal, Resource, Role},
    error::Error,
    id::UserId,
    page::{Keyset, Page},
    server::App,
    settings::decode_provider,
    uploads::Receiving,
    workspaces::NewWorkspace,
};

/// Tags of page tokens.
const WORKSPACES: u8 = 3;
const MEMBERS: u8 = 4;

pub struct Service(pub App);

#[tonic::async_trait]
impl WorkspaceService for Service {
    async fn create_workspace(
        &self,
        request: Request<proto::CreateWorkspaceRequest>,
    ) -> Answer<proto::CreateWorkspaceResponse> {
        let caller = principal(&request);
        answer(self.create(caller, request.into_inner()).await)
    }

    async fn import_workspace(
        &self,
        request: Request<Streaming<proto::ImportWorkspaceRequest>>,
    ) -> Answer<proto::ImportWorkspaceResponse> {
        let caller = principal(&request);
        answer(self.import(caller, request.into_inner()).await)
    }

    async fn get_workspace(
        &self,
        request: Request<proto::GetWorkspaceRequest>,
    ) -> Answer<proto::GetWorkspaceResponse> {
        let caller = principal(&request);
        answer(self.get(caller, request.into_inner()).await)
    }

    async fn list_workspaces(
        &self,
        request: Request<proto::ListWorkspacesRequest>,
    ) -> Answer<proto::ListWorkspacesResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn update_workspace(
        &self,
        request: Request<proto::UpdateWorkspaceRequest>,
    ) -> Answer<proto::UpdateWorkspaceResponse> {
        let caller = principal(&request);
        answer(self.update(caller, request.into_inner()).await)
    }

    async fn delete_workspace(
        &self,
        request: Request<proto::DeleteWorkspaceRequest>,
    ) -> Answer<proto::DeleteWorkspaceResponse> {
        let caller = principal(&request);
        answer(self.delete(caller, request.into_inner()).await)
    }

    async fn list_members(
        &self,
        request: Request<proto::ListMembersRequest>,
    ) -> Answer<proto::ListMembersResponse> {
        let caller = principal(&request);
        answer(self.members(caller, request.into_inner()).await)
    }

    async fn set_member(
        &self,
        request: Request<proto::SetMemberRequest>,
    ) -> Answer<proto::SetMemberResponse> {
        let caller = principal(&request);
        answer(self.put_member(caller, request.into_inner()).await)
    }

    async fn remove_member(
        &self,
        request: Request<proto::RemoveMemberRequest>,
    ) -> Answer<proto::RemoveMemberResponse> {
        let caller = principal(&request);
        answer(self.drop_member(caller, request.into_inner()).await)
    }

    async fn list_provider_keys(
        &self,
        request: Request<proto::ListProviderKeysRequest>,
    ) -> Answer<proto::ListProviderKeysResponse> {
        let caller = principal(&request);
        answer(self.keys(caller, request.into_inner()).await)
    }

    async fn set_provider_key(
        &self,
        request: Request<proto::SetProviderKeyRequest>,
    ) -> Answer<proto::SetProviderKeyResponse> {
        let caller = principal(&request);
        answer(self.put_key(caller, request.into_inner()).await)
    }

    async fn delete_provider_key(
        &self,
        request: Request<proto::DeleteProviderKeyRequest>,
    ) -> Answer<proto::DeleteProviderKeyResponse> {
        let caller = principal(&request);
        answer(self.drop_key(caller, request.into_inner()).await)
    }

    async fn test_provider(
        &self,
        request: Request<proto::TestProviderRequest>,
    ) -> Answer<proto::TestProviderResponse> {
        let caller = principal(&request);
        answer(self.test(caller, request.into_inner()).await)
    }

    async fn list_toolchains(
        &self,
        request: Request<proto::ListToolchainsRequest>,
    ) -> Answer<proto::ListToolchainsResponse> {
        let caller = principal(&request);
        answer(self.toolchains(caller).await)
    }
}

impl Service {
    async fn toolchains(
        &self,
        caller: Option<Principal>,
    ) -> Result<proto::ListToolchainsResponse, Error> {
        let list = Operation::ListToolchains;
        let authority = &self.0.authority;
        authority
            .permit(caller.as_ref(), list, Resource::Server)
            .await?;
        let offered = self.0.config.sandbox.toolchains.iter();
        let toolchains = offered.map(|toolchain| proto::Toolchain {
            name: toolchain.name.clone(),
            path: toolchain
                .path
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        });
        Ok(proto::ListToolchainsResponse {
            toolchains: toolchains.collect(),
        })
    }

    async fn create(
        &self,
        caller: Option<Principal>,
        request: proto::CreateWorkspaceRequest,
    ) -> Result<proto::CreateWorkspaceResponse, Error> {
        let permit = self
            .0
            .authority
            .permit(
                caller.as_ref(),
                Operation::CreateWorkspace,
                Resource::Server,
            )
            .await?;
        let new = NewWorkspace::decode(request, permit.user_id())?;
        let id = self.0.create_workspace(new).await?;
        Ok(proto::CreateWorkspaceResponse {
            workspace: Some(self.0.workspace(permit.user_id(), id).await?),
        })
    }

    async fn import(
        &self,
        caller: Option<Principal>,
        mut parts: Streaming<proto::ImportWorkspaceRequest>,
    ) -> Result<proto::ImportWorkspaceResponse, Error> {
        let permit = self
            .0
            .authority
            .permit(
                caller.as_ref(),
                Operation::CreateWorkspace,
                Resource::Server,
            )
            .await?;
        let Some(Part::Header(header)) = next_part(&mut parts).await? else {
            return Err(Error::invalid(
                "header",
                "must be the first message of the stream",
            ));
        };
        let new = NewWorkspace::decode(header, permit.user_id())?;
        let mut receiving = Receiving::begin(&self.0)?;
        while let Some(part) = next_part(&mut parts).await? {
            let Part::Chunk(chunk) = part else {
                return Err(Error::invalid("header", "must be sent once"));
            };
            receiving.write(chunk).await?;
        }
        let (id, summary) = self.0.import_workspace(new, receiving).await?;
        Ok(proto::ImportWorkspaceResponse {
            workspace: Some(self.0.workspace(permit.user_id(), id).await?),
            file_count: i64::try_from(summary.files).unwrap_or(i64::MAX),
            total_bytes: i64::try_from(summary.total_bytes).unwrap_or(i64::MAX),
            dropped: summary
                .dropped
                .iter()
                .take(100)
                .map(ToString::to_string)
                .collect(),
        })
    }

    async fn get(
        &self,
        caller: Option<Principal>,
        request: proto::GetWorkspaceRequest,
    ) -> Result<proto::GetWorkspaceResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ReadWorkspace,
                &request.workspace_id,
            )
            .await?;
        Ok(proto::GetWorkspaceResponse {
            workspace: Some(self.0.workspace(permit.user_id(), permit.workspace).await?),
        })
    }

    async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListWorkspacesRequest,
    ) -> Result<proto::ListWorkspacesResponse, Error> {
        let permit = self
            .0
            .authority
            .permit(caller.as_ref(), Operation::ListWorkspaces, Resource::Server)
            .await?;
        let page = Page::parse(WORKSPACES, request.page_size, &request.page_token)?;
        let mut rows = self
            .0
            .database
            .list_workspaces(permit.user_id(), &page)
            .await?;
        let next_page_token = page.cut(&mut rows, |summary| Keyset {
            time: summary.row.update_time,
            id: summary.row.id,
        });
        Ok(proto::ListWorkspacesResponse {
            workspaces: rows
                .into_iter()
                .map(encode::workspace)
                .collect::<Result<_, _>>()?,
            next_page_token,
        })
    }

    async fn update(
        &self,
        caller: Option<Principal>,
        request: proto::UpdateWorkspaceRequest,
    ) -> Result<proto::UpdateWorkspaceResponse, Error> {
        let given = request.workspace.unwrap_or_default();
        let permit = self
            .0
            .permit_in(caller.as_ref(), Operation::UpdateWorkspace, &given.id)
            .await?;
        let read = decode::etag(&request.etag)?;
        let paths = decode::mask(request.update_mask)?;
        self.0
            .update_workspace(permit.workspace, read, &given, &paths)
            .await?;
        Ok(proto::UpdateWorkspaceResponse {
            workspace: Some(self.0.workspace(permit.user_id(), permit.workspace).await?),
        })
    }

    async fn delete(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteWorkspaceRequest,
    ) -> Result<proto::DeleteWorkspaceResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::DeleteWorkspace,
                &request.workspace_id,
            )
            .await?;
        let read = decode::etag(&request.etag)?;
        self.0.delete_workspace(permit.workspace, read).await?;
        Ok(proto::DeleteWorkspaceResponse {})
    }

    async fn members(
        &self,
        caller: Option<Principal>,
        request: proto::ListMembersRequest,
    ) -> Result<proto::ListMembersResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ReadWorkspace,
                &request.workspace_id,
            )
            .await?;
        let page = Page::parse(MEMBERS, request.page_size, &request.page_token)?;
        let mut rows = self
            .0
            .database
            .list_members(permit.workspace, &page)
            .await?;
        let next_page_token = page.cut(&mut rows, |(row, _)| Keyset {
            time: 0,
            id: row.user_id,
        });
        Ok(proto::ListMembersResponse {
            members: rows.into_iter().map(encode::member).collect(),
            next_page_token,
        })
    }

    async fn put_member(
        &self,
        caller: Option<Principal>,
        request: proto::SetMemberRequest,
    ) -> Result<proto::SetMemberResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ManageMembers,
                &request.workspace_id,
            )
            .await?;
        let role = match request.role() {
            proto::Role::Unspecified => {
                return Err(Error::invalid("role", "must be one of the named values"));
            }
            proto::Role::Viewer => Role::Viewer,
            proto::Role::Editor => Role::Editor,
            proto::Role::Owner => Role::Owner,
        };
        let user = UserId(decode::id(&request.user_id, "user")?);
        let now = self.0.clock.now();
        let stored = self
            .0
            .database
            .set_member(permit.workspace, user, role, now)
            .await?;
        Ok(proto::SetMemberResponse {
            member: Some(encode::member(stored)),
        })
    }

    async fn drop_member(
        &self,
        caller: Option<Principal>,
        request: proto::RemoveMemberRequest,
    ) -> Result<proto::RemoveMemberResponse, Error> {
        let own_id = caller.as_ref().map(|caller| caller.user_id.to_string());
        let operation = if own_id.as_deref() == Some(request.user_id.as_str()) {
            Operation::LeaveWorkspace
        } else {
            Operation::ManageMembers
        };
        let permit = self
            .0
            .permit_in(caller.as_ref(), operation, &request.workspace_id)
            .await?;
        let user = UserId(decode::id(&request.user_id, "user")?);
        self.0
            .database
            .remove_member(permit.workspace, user)
            .await?;
        Ok(proto::RemoveMemberResponse {})
    }

    async fn keys(
        &self,
        caller: Option<Principal>,
        request: proto::ListProviderKeysRequest,
    ) -> Result<proto::ListProviderKeysResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ReadWorkspace,
                &request.workspace_id,
            )
            .await?;
        let rows = self.0.database.provider_keys(permit.workspace).await?;
        Ok(proto::ListProviderKeysResponse {
            provider_keys: rows.iter().map(encode::provider_key).collect(),
        })
    }

    async fn put_key(
        &self,
        caller: Option<Principal>,
        mut request: proto::SetProviderKeyRequest,
    ) -> Result<proto::SetProviderKeyResponse, Error> {
        let key = SecretString::from(std::mem::take(&mut request.key));
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ManageProviderKeys,
                &request.workspace_id,
            )
            .await?;
        let _in_hand = self.0.redactions.hold(&key);
        let provider = decode_provider(request.provider())?;
        let stored = self
            .0
            .providers
            .set_key(permit.workspace, provider, &key)
            .await?;
        self.0.redactions.learn_of_workspace(permit.workspace, &key);
        self.0.log.hub.signals().secrets();
        Ok(proto::SetProviderKeyResponse {
            provider_key: Some(encode::provider_key(&stored)),
        })
    }

    async fn drop_key(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteProviderKeyRequest,
    ) -> Result<proto::DeleteProviderKeyResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ManageProviderKeys,
                &request.workspace_id,
            )
            .await?;
        let provider = decode_provider(request.provider())?;
        self.0
            .database
            .delete_provider_key(permit.workspace, provider.as_str())
            .await?;
        Ok(proto::DeleteProviderKeyResponse {})
    }

    async fn test(
        &self,
        caller: Option<Principal>,
        request: proto::TestProviderRequest,
    ) -> Result<proto::TestProviderResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::TestProvider,
                &request.workspace_id,
            )
            .await?;
        let settings = self.0.settings(permit.workspace).await?;
        Ok(
            match self.0.providers.test(permit.workspace, &settings).await? {
                Ok(probe) => proto::TestProviderResponse {
                    ok: true,
                    model: probe.model,
                    latency_ms: i64::try_from(probe.latency.as_millis()).unwrap_or(i64::MAX),
                    ..proto::TestProviderResponse::default()
                },
                Err(error) => proto::TestProviderResponse {
                    reason: error.reason.as_str().to_owned(),
                    message: error.message,
                    ..proto::TestProviderResponse::default()
                },
            },
        )
    }
}

async fn next_part(
    parts: &mut Streaming<proto::ImportWorkspaceRequest>,
) -> Result<Option<Part>, Error> {
    match parts.message().await {
        Ok(Some(proto::ImportWorkspaceRequest { part: Some(part) })) => Ok(Some(part)),
        Ok(Some(_)) => Err(Error::invalid("part", "is required")),
        Ok(None) => Ok(None),
        Err(status) if status.code() == tonic::Code::OutOfRange => {
            Err(Error::invalid("chunk", "must have at most 1 MiB"))
        }
        Err(_) => Err(Error::Cancelled),
    }
}
