//! `membrane workspace import`.

use std::path::Path;

use anyhow::Context as _;
use membrane_files::Limits;
use membrane_proto::v1::CreateWorkspaceRequest;

use super::{find_user, open_database};
use crate::{
    clock::Clock,
    config::Config,
    id::{UserId, WorkspaceId},
    workspaces::{NewWorkspace, Places},
};

pub async fn import(
    config: &Config,
    path: &Path,
    name: Option<String>,
    user: Option<&str>,
) -> anyhow::Result<()> {
    let name = name.or_else(|| {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    });
    let database = open_database(config).await?;
    let user = find_user(&database, user).await?;
    let request = CreateWorkspaceRequest {
        name: name.unwrap_or_default(),
        ..CreateWorkspaceRequest::default()
    };
    let new = NewWorkspace::decode(request, UserId(user.id))
        .map_err(|error| anyhow::anyhow!("--name: {}", error.public_message()))?;
    let places = Places::open(&config.workspace_root())?;
    let _announced = places.announce()?;
    let id = WorkspaceId::new();
    fill(&places, id, path)?;
    let row = new.row(id, Clock::system().now())?;
    database.create_workspace(row, new.key()).await?;
    println!("{id}");
    Ok(database.close().await?)
}

fn fill(places: &Places, id: WorkspaceId, path: &Path) -> anyhow::Result<()> {
    let limits = Limits::default();
    let filled = if path.is_dir() {
        places.import_directory(id, path, &limits)
    } else {
        let file =
            std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        places.import_archive(id, &file, &limits)
    };
    filled
        .map(|_| ())
        .with_context(|| format!("{} was not imported", path.display()))
}
