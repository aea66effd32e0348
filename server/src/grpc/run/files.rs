//! A run's files for its runner: what it begins with and what it made, blob by blob.

use futures::StreamExt as _;
use membrane_proto::v1::{
    self as proto, commit_run_result_request::Part as CommitPart,
    upload_run_blobs_request::Part as BlobPart,
};
use tonic::Streaming;

use super::{
    Parts, Service,
    runner::{held, next},
};
use crate::{
    authz::Runner,
    error::Error,
    grpc::snapshot::sync::{Blobs, Entries, contents, decode_files, pages, wanted},
    id::WorkspaceId,
    tasks::to_the_end,
};

impl Service {
    pub(super) async fn manifest(
        &self,
        runner: Runner,
        request: proto::ReadRunManifestRequest,
    ) -> Result<Parts<proto::ReadRunManifestResponse>, Error> {
        let lease = held(runner, request.lease)?;
        let (_, manifest) = self.0.runs.begins_with(&lease).await?;
        Ok(Box::pin(pages(manifest).map(|entries| {
            Ok(proto::ReadRunManifestResponse { entries })
        })))
    }

    pub(super) async fn download_blobs(
        &self,
        runner: Runner,
        request: proto::DownloadRunBlobsRequest,
    ) -> Result<Parts<proto::DownloadRunBlobsResponse>, Error> {
        let lease = held(runner, request.lease)?;
        let (workspace, manifest) = self.0.runs.begins_with(&lease).await?;
        let digests = wanted(&manifest, &request.digests)?;
        let parts = contents(self.0.clone(), workspace, digests);
        Ok(Box::pin(parts.map(|part| {
            let (digest, data) = part?;
            Ok(proto::DownloadRunBlobsResponse { digest, data })
        })))
    }

    pub(super) async fn missing_blobs(
        &self,
        runner: Runner,
        request: proto::FindMissingRunBlobsRequest,
    ) -> Result<proto::FindMissingRunBlobsResponse, Error> {
        let lease = held(runner, request.lease)?;
        let run = self.0.runs.leased(&lease).await?;
        let files = decode_files(&request.files)?;
        let workspace = WorkspaceId(run.workspace_id);
        let (snapshots, base) = (&self.0.snapshots, Some(run.base_manifest));
        let missing = snapshots.missing(workspace, files, base).await?;
        Ok(proto::FindMissingRunBlobsResponse {
            digests: missing.iter().map(ToString::to_string).collect(),
        })
    }

    pub(super) async fn upload_blobs(
        &self,
        runner: Runner,
        mut parts: Streaming<proto::UploadRunBlobsRequest>,
    ) -> Result<proto::UploadRunBlobsResponse, Error> {
        let first = next(&mut parts).await?.and_then(|message| message.part);
        let Some(BlobPart::Lease(lease)) = first else {
            return Err(lease_first());
        };
        let lease = held(runner, Some(lease))?;
        // Before anything is taken from whoever lost it.
        let run = self.0.runs.leased(&lease).await?;
        let mut blobs = Blobs::new(&self.0, WorkspaceId(run.workspace_id));
        while let Some(message) = next(&mut parts).await? {
            match message.part {
                Some(BlobPart::Digest(digest)) => blobs.begin(&digest).await?,
                Some(BlobPart::Data(data)) => blobs.go_on(data).await?,
                Some(BlobPart::Lease(_)) | None => return Err(lease_once()),
            }
        }
        Ok(proto::UploadRunBlobsResponse {
            blob_count: blobs.finish().await?,
        })
    }

    pub(super) async fn commit_result(
        &self,
        runner: Runner,
        mut parts: Streaming<proto::CommitRunResultRequest>,
    ) -> Result<proto::CommitRunResultResponse, Error> {
        let first = next(&mut parts).await?.and_then(|message| message.part);
        let Some(CommitPart::Lease(lease)) = first else {
            return Err(lease_first());
        };
        let lease = held(runner, Some(lease))?;
        self.0.runs.leased(&lease).await?;
        let mut entries = Entries::default();
        while let Some(message) = next(&mut parts).await? {
            let Some(CommitPart::Entries(more)) = message.part else {
                return Err(lease_once());
            };
            entries.add(more)?;
        }
        let runs = self.0.runs.clone();
        let committing = async move { runs.commit(&lease, entries.0).await };
        let result = to_the_end(committing).await?;
        Ok(proto::CommitRunResultResponse {
            snapshot_id: result.id.to_string(),
        })
    }
}

fn lease_first() -> Error {
    Error::invalid("lease", "must be the first message of the stream")
}

fn lease_once() -> Error {
    Error::invalid("lease", "must be sent once")
}
