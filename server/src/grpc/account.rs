//! AccountService.

use membrane_agent::sandbox::SandboxState;
use membrane_proto::v1::{self as proto, account_service_server::AccountService};
use tonic::Request;

use super::{Answer, answer, decode, encode, principal};
use crate::{
    authz::{Operation, Permit, Principal, Resource},
    credentials::new_api_token,
    error::Error,
    id::{ApiTokenId, UserId},
    page::{Keyset, Page},
    server::App,
};

/// Tags of page tokens.
const TOKENS: u8 = 1;
const USERS: u8 = 2;

pub struct Service(pub App);

#[tonic::async_trait]
impl AccountService for Service {
    async fn get_me(&self, request: Request<proto::GetMeRequest>) -> Answer<proto::GetMeResponse> {
        answer(self.me(principal(&request)).await)
    }

    async fn create_api_token(
        &self,
        request: Request<proto::CreateApiTokenRequest>,
    ) -> Answer<proto::CreateApiTokenResponse> {
        let caller = principal(&request);
        answer(self.create_token(caller, request.into_inner()).await)
    }

    async fn list_api_tokens(
        &self,
        request: Request<proto::ListApiTokensRequest>,
    ) -> Answer<proto::ListApiTokensResponse> {
        let caller = principal(&request);
        answer(self.list_tokens(caller, request.into_inner()).await)
    }

    async fn delete_api_token(
        &self,
        request: Request<proto::DeleteApiTokenRequest>,
    ) -> Answer<proto::DeleteApiTokenResponse> {
        let caller = principal(&request);
        answer(self.delete_token(caller, request.into_inner()).await)
    }

    async fn list_users(
        &self,
        request: Request<proto::ListUsersRequest>,
    ) -> Answer<proto::ListUsersResponse> {
        let caller = principal(&request);
        answer(self.users(caller, request.into_inner()).await)
    }

    async fn create_user(
        &self,
        request: Request<proto::CreateUserRequest>,
    ) -> Answer<proto::CreateUserResponse> {
        let caller = principal(&request);
        answer(self.new_user(caller, request.into_inner()).await)
    }

    async fn update_user(
        &self,
        request: Request<proto::UpdateUserRequest>,
    ) -> Answer<proto::UpdateUserResponse> {
        let caller = principal(&request);
        answer(self.change_user(caller, request.into_inner()).await)
    }
}

impl Service {
    async fn permit(
        &self,
        caller: Option<Principal>,
        operation: Operation,
    ) -> Result<Permit, Error> {
        self.0
            .authority
            .permit(caller.as_ref(), operation, Resource::Server)
            .await
    }

    async fn me(&self, caller: Option<Principal>) -> Result<proto::GetMeResponse, Error> {
        let permit = self.permit(caller, Operation::ReadAccount).await?;
        let row = self
            .0
            .database
            .user(permit.user_id())
            .await?
            .ok_or(Error::NotFound("user"))?;
        let (state, message) = match self.0.sandbox.state() {
            SandboxState::Enforced => (proto::SandboxState::Enforced, String::new()),
            SandboxState::Unavailable { reason, fix } => {
                (proto::SandboxState::Unavailable, format!("{reason}. {fix}"))
            }
            SandboxState::Disabled => (
                proto::SandboxState::Disabled,
                "The operator turned the sandbox off: commands run with the server's own rights."
                    .to_owned(),
            ),
        };
        Ok(proto::GetMeResponse {
            user: Some(encode::user(row)),
            sandbox_state: state.into(),
            sandbox_message: message,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    async fn create_token(
        &self,
        caller: Option<Principal>,
        request: proto::CreateApiTokenRequest,
    ) -> Result<proto::CreateApiTokenResponse, Error> {
        let permit = self.permit(caller, Operation::CreateApiToken).await?;
        let name = decode::name("name", &request.name, 100)?;
        let now = self.0.clock.now();
        let (row, secret) = new_api_token(
            &self.0.database,
            permit.user_id(),
            name,
            request.lifetime_days,
            now,
        )
        .await?;
        Ok(proto::CreateApiTokenResponse {
            api_token: Some(encode::api_token(row)),
            secret,
        })
    }

    async fn list_tokens(
        &self,
        caller: Option<Principal>,
        request: proto::ListApiTokensRequest,
    ) -> Result<proto::ListApiTokensResponse, Error> {
        let permit = self.permit(caller, Operation::ListApiTokens).await?;
        let page = Page::parse(TOKENS, request.page_size, &request.page_token)?;
        let mut rows = self
            .0
            .database
            .list_api_tokens(permit.user_id(), &page)
            .await?;
        let next_page_token = page.cut(&mut rows, |row| Keyset {
            time: row.create_time,
            id: row.id,
        });
        Ok(proto::ListApiTokensResponse {
            api_tokens: rows.into_iter().map(encode::api_token).collect(),
            next_page_token,
        })
    }

    async fn delete_token(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteApiTokenRequest,
    ) -> Result<proto::DeleteApiTokenResponse, Error> {
        let permit = self.permit(caller, Operation::DeleteApiToken).await?;
        let id = ApiTokenId(decode::id(&request.api_token_id, "API token")?);
        self.0
            .database
            .delete_api_token(permit.user_id(), id)
            .await?;
        Ok(proto::DeleteApiTokenResponse {})
    }

    async fn users(
        &self,
        caller: Option<Principal>,
        request: proto::ListUsersRequest,
    ) -> Result<proto::ListUsersResponse, Error> {
        self.permit(caller, Operation::ListUsers).await?;
        let page = Page::parse(USERS, request.page_size, &request.page_token)?;
        let mut rows = self.0.database.list_users(&page).await?;
        let next_page_token = page.cut(&mut rows, |row| Keyset {
            time: row.create_time,
            id: row.id,
        });
        Ok(proto::ListUsersResponse {
            users: rows.into_iter().map(encode::user).collect(),
            next_page_token,
        })
    }

    async fn new_user(
        &self,
        caller: Option<Principal>,
        request: proto::CreateUserRequest,
    ) -> Result<proto::CreateUserResponse, Error> {
        self.permit(caller, Operation::CreateUser).await?;
        let name = decode::name("name", &request.name, 64)?;
        let now = self.0.clock.now();
        let row = self
            .0
            .database
            .create_user(&name, request.administrator, now)
            .await?;
        Ok(proto::CreateUserResponse {
            user: Some(encode::user(row)),
        })
    }

    async fn change_user(
        &self,
        caller: Option<Principal>,
        request: proto::UpdateUserRequest,
    ) -> Result<proto::UpdateUserResponse, Error> {
        self.permit(caller, Operation::UpdateUser).await?;
        let id = UserId(decode::id(&request.user_id, "user")?);
        let row = self
            .0
            .database
            .update_user(id, request.disabled, request.administrator)
            .await?;
        Ok(proto::UpdateUserResponse {
            user: Some(encode::user(row)),
        })
    }
}
