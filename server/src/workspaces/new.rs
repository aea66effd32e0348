//! A workspace that is asked for and checked, and does not exist yet.

use membrane_entity::workspace;
use membrane_proto::v1 as proto;

use crate::{
    clock::Millis,
    db::RequestKey,
    error::Error,
    grpc::decode,
    id::{UserId, WorkspaceId},
    settings::Settings,
};

/// A workspace to create.
#[derive(Debug)]
pub struct NewWorkspace {
    name: String,
    settings: Settings,
    key: RequestKey,
}

impl NewWorkspace {
    /// Checks a request.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn decode(request: proto::CreateWorkspaceRequest, user_id: UserId) -> Result<Self, Error> {
        Ok(Self {
            name: decode::name("name", &request.name, 100)?,
            settings: Settings::create(request.settings)?,
            key: RequestKey {
                user_id,
                request_id: decode::request_id(&request.request_id)?,
                method: "CreateWorkspace",
            },
        })
    }

    /// The row for it.
    ///
    /// # Errors
    /// [`Error::Internal`] if the settings can't be written.
    pub fn row(&self, id: WorkspaceId, now: Millis) -> Result<workspace::Model, Error> {
        let settings = serde_json::to_string(&self.settings)
            .map_err(|error| Error::Internal(format!("settings can't be stored: {error}")))?;
        Ok(workspace::Model {
            id: id.0,
            name: self.name.clone(),
            settings,
            version: 1,
            create_time: now,
            update_time: now,
            max_concurrent_runs: self.settings.max_concurrent_runs,
        })
    }

    /// What makes a repeated call the same call.
    #[must_use]
    pub fn key(&self) -> RequestKey {
        self.key
    }
}
