//! SecretService.

use membrane_proto::v1::{self as proto, secret_service_server::SecretService};
use secrecy::SecretString;
use tonic::{Request, async_trait};

use super::{Answer, answer, decode, encode, principal};
use crate::{
    authz::{Operation, Permit, Principal, Resource},
    error::Error,
    page,
    secrets::NewSecret,
    server::App,
};

/// Names this list in its page tokens.
const SECRETS: u8 = b's';

#[derive(Debug)]
pub struct Service(pub App);

#[async_trait]
impl SecretService for Service {
    async fn create_secret(
        &self,
        request: Request<proto::CreateSecretRequest>,
    ) -> Answer<proto::CreateSecretResponse> {
        let caller = principal(&request);
        answer(self.create(caller, request.into_inner()).await)
    }

    async fn list_secrets(
        &self,
        request: Request<proto::ListSecretsRequest>,
    ) -> Answer<proto::ListSecretsResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn rotate_secret(
        &self,
        request: Request<proto::RotateSecretRequest>,
    ) -> Answer<proto::RotateSecretResponse> {
        let caller = principal(&request);
        answer(self.rotate(caller, request.into_inner()).await)
    }

    async fn delete_secret(
        &self,
        request: Request<proto::DeleteSecretRequest>,
    ) -> Answer<proto::DeleteSecretResponse> {
        let caller = principal(&request);
        answer(self.delete(caller, request.into_inner()).await)
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

    async fn create(
        &self,
        caller: Option<Principal>,
        request: proto::CreateSecretRequest,
    ) -> Result<proto::CreateSecretResponse, Error> {
        let value = SecretString::from(request.value);
        let permit = self.permit(caller, Operation::ManageSecrets).await?;
        let _in_hand = self.0.redactions.hold(&value);
        let new = NewSecret {
            name: request.name,
            request_id: decode::request_id(&request.request_id)?,
            value: value.clone(),
        };
        let row = self.0.secrets.create(permit.user_id(), new).await?;
        self.0.redactions.learn_of_user(permit.user_id(), &value);
        self.0.log.hub.signals().secrets();
        Ok(proto::CreateSecretResponse {
            secret: Some(encode::secret(row)),
        })
    }

    async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListSecretsRequest,
    ) -> Result<proto::ListSecretsResponse, Error> {
        let permit = self.permit(caller, Operation::ListSecrets).await?;
        let size = page::size(request.page_size, 50, 200)?;
        let after = page::open(SECRETS, &request.page_token, |name| {
            String::from_utf8(name.to_vec()).ok()
        })?;
        let after = after.unwrap_or_default();
        let mut rows = self
            .0
            .database
            .list_secrets(permit.user_id(), &after, size as u64 + 1)
            .await?;
        let has_more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| has_more);
        Ok(proto::ListSecretsResponse {
            next_page_token: last
                .map(|last| page::seal(SECRETS, last.name.as_bytes()))
                .unwrap_or_default(),
            secrets: rows.into_iter().map(encode::secret).collect(),
        })
    }

    async fn rotate(
        &self,
        caller: Option<Principal>,
        request: proto::RotateSecretRequest,
    ) -> Result<proto::RotateSecretResponse, Error> {
        let value = SecretString::from(request.value);
        let permit = self.permit(caller, Operation::ManageSecrets).await?;
        let _in_hand = self.0.redactions.hold(&value);
        let row = self
            .0
            .secrets
            .rotate(permit.user_id(), &request.name, &value)
            .await?;
        self.0.redactions.learn_of_user(permit.user_id(), &value);
        self.0.log.hub.signals().secrets();
        Ok(proto::RotateSecretResponse {
            secret: Some(encode::secret(row)),
        })
    }

    async fn delete(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteSecretRequest,
    ) -> Result<proto::DeleteSecretResponse, Error> {
        let permit = self.permit(caller, Operation::ManageSecrets).await?;
        self.0
            .database
            .delete_secret(permit.user_id(), &request.name)
            .await?;
        Ok(proto::DeleteSecretResponse {})
    }
}
