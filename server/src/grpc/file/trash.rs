//! The trash.

use membrane_files::root::{Root, TrashId, TrashItem};
use membrane_proto::v1 as proto;
use uuid::Uuid;

use super::{Service, TRASH, encode, etag};
use crate::{
    authz::{Operation, Principal},
    error::Error,
    files::parse_path,
    page::{Keyset, Page},
    time::timestamp,
};

impl Service {
    pub(super) async fn delete(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteFileRequest,
    ) -> Result<proto::DeleteFileResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        let path = parse_path("path", &request.path)?;
        let (etag, trash_id) = (etag(&request.etag), self.0.files.trash_id());
        self.0.files.purge(permit.workspace).await;
        let gone = path.clone();
        let delete = self.0.files.change(permit.workspace, move |root| {
            root.delete(&path, etag.as_ref(), trash_id)
        });
        let item = Some(encode_item(&delete.await?));
        self.0.changes.person_touched(permit.workspace, &gone).await;
        Ok(proto::DeleteFileResponse { item })
    }

    pub(super) async fn trash(
        &self,
        caller: Option<Principal>,
        request: proto::ListTrashRequest,
    ) -> Result<proto::ListTrashResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ReadFiles, id)
            .await?;
        let page = Page::parse(TRASH, request.page_size, &request.page_token)?;
        let before = page.after.map(|place| TrashId {
            time: place.time,
            number: place.id.as_u128(),
        });
        let fetch = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
        let list = self
            .0
            .files
            .read(permit.workspace, move |root| root.trash(before, fetch));
        let mut items = list.await?;
        let next_page_token = page.cut(&mut items, |item| Keyset {
            time: item.id.time,
            id: Uuid::from_u128(item.id.number),
        });
        Ok(proto::ListTrashResponse {
            items: items.iter().map(encode_item).collect(),
            next_page_token,
        })
    }

    pub(super) async fn restore(
        &self,
        caller: Option<Principal>,
        request: proto::RestoreFileRequest,
    ) -> Result<proto::RestoreFileResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ChangeFiles, id)
            .await?;
        let item: TrashId = request
            .trash_item_id
            .parse()
            .map_err(|_| Error::NotFound("file"))?;
        let path = parse_path("path", &request.path)?;
        let restore = move |root: &Root| {
            let elsewhere = Some(&path).filter(|path| !path.is_top());
            root.restore(item, elsewhere)
        };
        let entry = self.change(permit.workspace, restore).await?;
        let file = Some(encode(&entry));
        Ok(proto::RestoreFileResponse { file })
    }

    pub(super) async fn empty(
        &self,
        caller: Option<Principal>,
        request: proto::EmptyTrashRequest,
    ) -> Result<proto::EmptyTrashResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::EmptyTrash, id)
            .await?;
        let empty = self
            .0
            .files
            .change(permit.workspace, |root| root.purge(None));
        let removed_count = i32::try_from(empty.await?).unwrap_or(i32::MAX);
        Ok(proto::EmptyTrashResponse { removed_count })
    }
}

fn encode_item(item: &TrashItem) -> proto::TrashItem {
    proto::TrashItem {
        id: item.id.to_string(),
        file: Some(encode(&item.entry)),
        delete_time: Some(timestamp(item.id.time)),
    }
}
