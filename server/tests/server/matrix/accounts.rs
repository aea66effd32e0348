//! AccountService.

use membrane_proto::v1 as proto;
use uuid::Uuid;

use super::{Allowed, Method, one};

pub const METHODS: &[Method] = &[
    ("AccountService/GetMe", Allowed::Users, |_| {
        one(proto::GetMeRequest {})
    }),
    ("AccountService/CreateApiToken", Allowed::Browsers, |_| {
        one(proto::CreateApiTokenRequest {
            name: "new".to_owned(),
            lifetime_days: 1,
        })
    }),
    ("AccountService/ListApiTokens", Allowed::Users, |_| {
        one(proto::ListApiTokensRequest::default())
    }),
    ("AccountService/DeleteApiToken", Allowed::Users, |place| {
        one(proto::DeleteApiTokenRequest {
            api_token_id: place.token.clone(),
        })
    }),
    ("AccountService/ListUsers", Allowed::Administrators, |_| {
        one(proto::ListUsersRequest::default())
    }),
    ("AccountService/CreateUser", Allowed::Administrators, |_| {
        one(proto::CreateUserRequest {
            name: Uuid::new_v4().to_string(),
            administrator: false,
        })
    }),
    (
        "AccountService/UpdateUser",
        Allowed::Administrators,
        |place| {
            one(proto::UpdateUserRequest {
                user_id: place.victim.clone(),
                disabled: Some(false),
                administrator: None,
            })
        },
    ),
];
