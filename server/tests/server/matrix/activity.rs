//! ActivityService.

use membrane_proto::v1 as proto;

use super::{Allowed, Method, one};

pub const METHODS: &[Method] = &[
    ("ActivityService/ListActivity", Allowed::Viewers, |place| {
        one(proto::ListActivityRequest {
            workspace_id: place.workspace.clone(),
            ..Default::default()
        })
    }),
    ("ActivityService/ListEgressPresets", Allowed::Users, |_| {
        one(proto::ListEgressPresetsRequest {})
    }),
];
