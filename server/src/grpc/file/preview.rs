//! Previews.

use membrane_proto::v1 as proto;

use super::{Service, encode};
use crate::{
    authz::{Operation, Principal},
    error::Error,
    files::parse_path,
    page,
    previews::{PLACE, Place, Wanted},
};

impl Service {
    pub(super) async fn preview(
        &self,
        caller: Option<Principal>,
        request: proto::GetPreviewRequest,
    ) -> Result<proto::GetPreviewResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ReadFiles, id)
            .await?;
        let wanted = Wanted {
            path: parse_path("path", &request.path)?,
            source: request.source,
            place: page::open(PLACE, &request.page_token, Place::from_bytes)?,
        };
        let previews = &self.0.previews;
        let (entry, preview) = previews.preview(permit.workspace, wanted).await?;
        Ok(proto::GetPreviewResponse {
            file: Some(encode(&entry)),
            preview: Some(preview),
        })
    }
}
