//! SessionService and EventService.

use membrane_proto::v1 as proto;
use uuid::Uuid;

use super::{Allowed, Method, mask, one};

pub const METHODS: &[Method] = &[
    ("SessionService/CreateSession", Allowed::Editors, |place| {
        one(proto::CreateSessionRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("SessionService/GetSession", Allowed::Viewers, |place| {
        one(proto::GetSessionRequest {
            session_id: place.session.clone(),
        })
    }),
    ("SessionService/ListSessions", Allowed::Viewers, |place| {
        one(proto::ListSessionsRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("SessionService/UpdateSession", Allowed::Editors, |place| {
        one(proto::UpdateSessionRequest {
            session: Some(proto::Session {
                id: place.session.clone(),
                title: "renamed".to_owned(),
                ..Default::default()
            }),
            update_mask: mask("title"),
            etag: String::new(),
        })
    }),
    ("SessionService/DeleteSession", Allowed::Editors, |place| {
        one(proto::DeleteSessionRequest {
            session_id: place.session.clone(),
        })
    }),
    ("SessionService/SendMessage", Allowed::Editors, |place| {
        one(proto::SendMessageRequest {
            session_id: place.session.clone(),
            text: "!say hello".to_owned(),
            request_id: String::new(),
            ..Default::default()
        })
    }),
    (
        "SessionService/InterruptSession",
        Allowed::Editors,
        |place| {
            one(proto::InterruptSessionRequest {
                session_id: place.session.clone(),
            })
        },
    ),
    // Allowed callers are told that there is no such request: there is none to answer.
    (
        "SessionService/ResolvePermission",
        Allowed::Editors,
        |place| {
            one(proto::ResolvePermissionRequest {
                session_id: place.session.clone(),
                permission_request_id: Uuid::new_v4().to_string(),
                decision: proto::PermissionDecision::Allow.into(),
                reason: String::new(),
            })
        },
    ),
    ("EventService/ListEvents", Allowed::Viewers, |place| {
        one(proto::ListEventsRequest {
            stream: format!("sessions/{}", place.session),
            ..Default::default()
        })
    }),
    ("EventService/Watch", Allowed::Viewers, |place| {
        let cursor = proto::StreamCursor {
            stream: format!("sessions/{}", place.session),
            after_sequence: 0,
        };
        one(proto::WatchRequest {
            cursors: vec![cursor],
            ..Default::default()
        })
    }),
];
