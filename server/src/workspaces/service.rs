//! What can be done with workspaces: rows and directories changed together, in an order that a
//! crash does not hurt.

use membrane_proto::v1 as proto;

use super::NewWorkspace;
use crate::{
    db::StoredSettings,
    error::Error,
    grpc::{decode, encode},
    id::{SessionId, UserId, WorkspaceId},
    server::App,
    settings::Settings,
    uploads::blocking,
};

impl App {
    /// Creates an empty workspace.
    ///
    /// # Errors
    /// The file system's and the database's own.
    pub async fn create_workspace(&self, new: NewWorkspace) -> Result<WorkspaceId, Error> {
        let id = WorkspaceId::new();
        let places = self.places.clone();
        blocking(move || Ok(places.create(id)?)).await?;
        self.insert_workspace(id, &new).await
    }

    /// Inserts the row of a workspace whose directories are there. When an earlier call with the
    /// same request id has made one, that one is answered and the directories go.
    ///
    /// # Errors
    /// The database's own; then the directories go too.
    pub async fn insert_workspace(
        &self,
        id: WorkspaceId,
        new: &NewWorkspace,
    ) -> Result<WorkspaceId, Error> {
        let row = new.row(id, self.clock.now())?;
        let inserted = self.database.create_workspace(row, new.key()).await;
        if !matches!(inserted, Ok(valid) if valid == id) {
            let places = self.places.clone();
            blocking(move || Ok(places.remove(id)?)).await?;
        }
        inserted
    }

    /// A workspace as one user sees it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn workspace(
        &self,
        user: UserId,
        id: WorkspaceId,
    ) -> Result<proto::Workspace, Error> {
        let summary = self.database.workspace(user, id).await?;
        encode::workspace(summary.ok_or(Error::NotFound("workspace"))?)
    }

    /// A workspace's settings.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn settings(&self, id: WorkspaceId) -> Result<Settings, Error> {
        let row = self.database.workspace_row(id).await?;
        encode::stored_settings(&row.ok_or(Error::NotFound("workspace"))?.settings)
    }

    /// A session's row.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn session_row(
        &self,
        id: SessionId,
    ) -> Result<membrane_entity::session::Model, Error> {
        let row = self.database.session_row(id).await?;
        row.ok_or(Error::NotFound("session"))
    }

    /// Changes the fields that `paths` name.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::StaleEtag`], [`Error::NotFound`].
    pub async fn update_workspace(
        &self,
        id: WorkspaceId,
        read_version: Option<i64>,
        given: &proto::Workspace,
        paths: &[String],
    ) -> Result<(), Error> {
        let row = self
            .database
            .workspace_row(id)
            .await?
            .ok_or(Error::NotFound("workspace"))?;
        let mut name = row.name.clone();
        let mut settings = encode::stored_settings(&row.settings)?;
        let given_settings = given.settings.clone().unwrap_or_default();
        for path in paths {
            match (path.as_str(), path.strip_prefix("settings.")) {
                ("name", _) => name = decode::name("workspace.name", &given.name, 100)?,
                ("settings", _) => settings.set_all(&given_settings)?,
                (_, Some(field)) => settings.set(field, &given_settings)?,
                _ => {
                    return Err(Error::invalid(
                        "update_mask",
                        format!("a workspace's {path:?} can't be changed"),
                    ));
                }
            }
        }
        settings.check()?;
        let json = serde_json::to_string(&settings)
            .map_err(|error| Error::Internal(format!("settings can't be stored: {error}")))?;
        let settings = StoredSettings {
            json,
            max_concurrent_runs: settings.max_concurrent_runs,
        };
        let version = read_version.unwrap_or(row.version);
        self.database
            .update_workspace(id, version, name, settings, self.clock.now())
            .await
    }

    /// Deletes a workspace: its turns stop, its row goes, its directories follow.
    ///
    /// # Errors
    /// [`Error::StaleEtag`], [`Error::NotFound`].
    pub async fn delete_workspace(
        &self,
        id: WorkspaceId,
        read_version: Option<i64>,
    ) -> Result<(), Error> {
        let row = self.database.workspace_row(id).await?;
        let version = row.ok_or(Error::NotFound("workspace"))?.version;
        if read_version.is_some_and(|read| read != version) {
            return Err(Error::StaleEtag);
        }
        let sessions = self.database.session_ids(id).await?;
        for session in &sessions {
            self.sessions.interrupt(*session).await?;
        }
        let remains = self.changes.has_bucket().then(|| self.clock.now());
        let database = &self.database;
        database.delete_workspace(id, read_version, remains).await?;
        self.files.forget(id);
        for session in sessions {
            self.sessions.forget(session).await;
        }
        let places = self.places.clone();
        blocking(move || Ok(places.remove(id)?)).await?;
        let changes = self.changes.clone();
        // Nobody waits for it, and if it is cut off, the next start goes on.
        tokio::spawn(async move { changes.remove_objects().await });
        Ok(())
    }
}
