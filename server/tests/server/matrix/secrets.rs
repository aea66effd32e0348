//! SecretService.

use membrane_proto::v1 as proto;
use uuid::Uuid;

use super::{Allowed, Method, one};

pub const METHODS: &[Method] = &[
    ("SecretService/CreateSecret", Allowed::Users, |_| {
        one(proto::CreateSecretRequest {
            name: Uuid::new_v4().to_string(),
            value: "canary-5b1c".to_owned(),
            request_id: String::new(),
        })
    }),
    ("SecretService/ListSecrets", Allowed::Users, |_| {
        one(proto::ListSecretsRequest::default())
    }),
    ("SecretService/RotateSecret", Allowed::Users, |place| {
        one(proto::RotateSecretRequest {
            name: place.secret.clone(),
            value: "canary-9d2e".to_owned(),
        })
    }),
    ("SecretService/DeleteSecret", Allowed::Users, |place| {
        one(proto::DeleteSecretRequest {
            name: place.secret.clone(),
        })
    }),
];
