//! What can be done to an entry. Whatever it changes is read again.

use std::collections::HashSet;

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use super::{Files, Shown, Task};
use crate::{
    api::{self, ApiError},
    path, text,
};

impl Files {
    /// Makes an empty file or a directory.
    pub async fn create(self, path: String, directory: bool) -> Result<(), ApiError> {
        let workspace_id = self.workspace_id.get_value();
        if directory {
            let request = pb::CreateDirectoryRequest {
                workspace_id,
                path: path.clone(),
            };
            api::files().create_directory(request).await?;
        } else {
            let request = pb::WriteFileRequest {
                workspace_id,
                path: path.clone(),
                create_only: true,
                ..Default::default()
            };
            api::files().write_file(request).await?;
        }
        self.changed(&[&path]).await;
        Ok(())
    }

    /// Moves an entry, or copies it.
    pub async fn put(self, path: String, new_path: String, copy: bool) -> Result<(), ApiError> {
        let workspace_id = self.workspace_id.get_value();
        if copy {
            let request = pb::CopyFileRequest {
                workspace_id,
                path: path.clone(),
                new_path: new_path.clone(),
            };
            api::files().copy_file(request).await?;
        } else {
            let request = pb::MoveFileRequest {
                workspace_id,
                path: path.clone(),
                new_path: new_path.clone(),
                etag: String::new(),
            };
            api::files().move_file(request).await?;
        }
        self.changed(&[&path, &new_path]).await;
        if !copy {
            self.leave(&path, &new_path);
        }
        Ok(())
    }

    /// Deletes an entry, and offers to take that back.
    pub async fn delete(self, path: String) -> Result<(), ApiError> {
        let request = pb::DeleteFileRequest {
            workspace_id: self.workspace_id.get_value(),
            path: path.clone(),
            etag: String::new(),
        };
        let answer = api::files().delete_file(request).await?.into_inner();
        let id = answer.item.unwrap_or_default().id;
        let words = format!("Deleted {}", text::plain(path::name(&path)));
        let gone = path.clone();
        self.toasts.offer(words, "Undo", move || {
            spawn_local(self.restore(id.clone(), gone.clone()));
        });
        self.changed(&[&path]).await;
        self.leave(&path, path::parent(&path));
        Ok(())
    }

    /// Goes elsewhere if what is shown is no longer there.
    fn leave(self, gone: &str, instead: &str) {
        let is_shown = |shown: &Shown| path::is_within(shown.path(), gone);
        if self.shown.try_with_untracked(is_shown) == Some(true) {
            self.go(self.address(instead));
        }
    }

    async fn restore(self, trash_item_id: String, path: String) {
        // The page may be gone while the offer still stands.
        let Some(workspace_id) = self.workspace_id.try_get_value() else {
            return self
                .toasts
                .say("Restore it from the trash of its workspace.".to_owned());
        };
        let request = pb::RestoreFileRequest {
            workspace_id,
            trash_item_id,
            path: String::new(),
        };
        match api::files().restore_file(request).await {
            Ok(_) => {
                let words = format!("{} is back", text::plain(path::name(&path)));
                self.toasts.say(words);
                self.changed(&[&path]).await;
            }
            Err(status) => self.toasts.say(ApiError::from(status).message),
        }
    }

    /// Says that something was done.
    pub fn say(self, words: String) {
        self.toasts.say(words);
    }

    /// Reads what holds some entries anew, and forgets what is known below them.
    async fn changed(self, paths: &[&str]) {
        self.directories.try_update(|known| {
            known.retain(|path, _| !paths.iter().any(|changed| path::is_within(path, changed)));
        });
        let above = paths.iter().flat_map(|path| path::ancestors(path));
        let above: HashSet<_> = above.map(str::to_owned).collect();
        self.reload_known(above).await;
    }

    /// Does something, and shows why it failed if it does.
    pub fn attempt(self, done: impl Future<Output = Result<(), ApiError>> + 'static) {
        self.task.set(Task::None);
        self.problem.set(None);
        spawn_local(async move {
            if let Err(problem) = done.await {
                self.problem.try_set(Some(problem));
            }
        });
    }
}
