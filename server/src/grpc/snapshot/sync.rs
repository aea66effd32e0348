//! Manifests and contents, in and out.

use std::{collections::HashSet, io::Read as _, sync::Arc};

use futures::{Stream, StreamExt as _, stream::try_unfold};
use membrane_files::store::{Blob, Digest, Entry, Manifest, Node};
use membrane_proto::v1::{
    self as proto, commit_snapshot_request::Part as CommitPart,
    upload_blobs_request::Part as UploadPart,
};
use tonic::{Status, Streaming};

use super::{
    Parts, Service, check_named, header_first, new_snapshot, next, snapshot_id,
    wire::{decode_entry, encode, encode_entry, parse_digest, size},
};
use crate::{
    authz::{Permit, Principal},
    error::Error,
    files::CHUNK,
    id::WorkspaceId,
    server::App,
    snapshots::Arriving,
    uploads::blocking,
};

/// Entries of a message.
const ENTRIES: usize = 1_000;
/// Most entries of a manifest that is sent.
const MAX_ENTRIES: usize = 1_000_000;

impl Service {
    pub(super) async fn manifest(
        &self,
        caller: Option<Principal>,
        request: proto::ReadManifestRequest,
    ) -> Result<Parts<proto::ReadManifestResponse>, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let id = snapshot_id(&request.snapshot_id)?;
        let manifest = self.0.snapshots.manifest(permit.workspace, id).await?;
        Ok(Box::pin(pages(manifest)))
    }

    pub(super) async fn download(
        &self,
        caller: Option<Principal>,
        request: proto::DownloadBlobsRequest,
    ) -> Result<Parts<proto::DownloadBlobsResponse>, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let id = snapshot_id(&request.snapshot_id)?;
        check_named("digests", request.digests.len())?;
        let manifest = self.0.snapshots.manifest(permit.workspace, id).await?;
        let known: HashSet<Digest> = manifest.entries().iter().filter_map(digest_of).collect();
        let digests = request.digests.iter().map(|digest| parse_digest(digest));
        let digests: Vec<Digest> = digests.collect::<Result<_, _>>()?;
        if digests.iter().any(|digest| !known.contains(digest)) {
            return Err(Error::NotFound("blob in this snapshot"));
        }
        Ok(Box::pin(contents(
            self.0.clone(),
            permit.workspace,
            digests,
        )))
    }

    pub(super) async fn missing(
        &self,
        caller: Option<Principal>,
        request: proto::FindMissingBlobsRequest,
    ) -> Result<proto::FindMissingBlobsResponse, Error> {
        let permit = self.may_manage(caller, &request.workspace_id).await?;
        check_named("files", request.files.len())?;
        let files = request.files.iter().map(|file| {
            let digest = parse_digest(&file.digest)?;
            Ok((digest, size("files.size", file.size)?))
        });
        let files = files.collect::<Result<_, Error>>()?;
        let missing = self.0.snapshots.missing(permit.workspace, files).await?;
        Ok(proto::FindMissingBlobsResponse {
            digests: missing.iter().map(ToString::to_string).collect(),
        })
    }

    pub(super) async fn upload(
        &self,
        caller: Option<Principal>,
        mut parts: Streaming<proto::UploadBlobsRequest>,
    ) -> Result<proto::UploadBlobsResponse, Error> {
        let first = next(&mut parts).await?.and_then(|message| message.part);
        let Some(UploadPart::Header(header)) = first else {
            return Err(header_first());
        };
        let permit = self.may_manage(caller, &header.workspace_id).await?;
        let (mut arriving, mut blob_count) = (None::<Arriving>, 0);
        while let Some(message) = next(&mut parts).await? {
            match (message.part, &mut arriving) {
                (Some(UploadPart::Data(data)), Some(blob)) => blob.write(&self.0, data).await?,
                (Some(UploadPart::Data(_)), None) => {
                    return Err(Error::invalid("digest", "must come before its data"));
                }
                (Some(UploadPart::Digest(digest)), _) => {
                    let begun = Arriving::new(parse_digest(&digest)?);
                    blob_count += self.keep(&permit, arriving.replace(begun)).await?;
                }
                (Some(UploadPart::Header(_)) | None, _) => {
                    return Err(Error::invalid("header", "must be sent once"));
                }
            }
        }
        blob_count += self.keep(&permit, arriving).await?;
        Ok(proto::UploadBlobsResponse { blob_count })
    }

    /// Stores a blob that is complete; answers how many that were.
    pub(super) async fn keep(&self, permit: &Permit, blob: Option<Arriving>) -> Result<i32, Error> {
        let Some(blob) = blob else {
            return Ok(0);
        };
        self.0.snapshots.keep(permit.workspace, blob).await?;
        Ok(1)
    }

    pub(super) async fn commit(
        &self,
        caller: Option<Principal>,
        mut parts: Streaming<proto::CommitSnapshotRequest>,
    ) -> Result<proto::CommitSnapshotResponse, Error> {
        let first = next(&mut parts).await?.and_then(|message| message.part);
        let Some(CommitPart::Header(header)) = first else {
            return Err(header_first());
        };
        let permit = self.may_manage(caller, &header.workspace_id).await?;
        let new = new_snapshot(header, &permit, "CommitSnapshot")?;
        let mut entries = Vec::new();
        while let Some(message) = next(&mut parts).await? {
            let Some(CommitPart::Entries(more)) = message.part else {
                return Err(Error::invalid("header", "must be sent once"));
            };
            if more.entries.len() > ENTRIES || entries.len() + more.entries.len() > MAX_ENTRIES {
                let message =
                    format!("must be at most {ENTRIES} in a message and {MAX_ENTRIES} in all");
                return Err(Error::invalid("entries", message));
            }
            for entry in more.entries {
                entries.push(decode_entry(entry)?);
            }
        }
        let row = self.0.snapshots.commit(new, entries).await?;
        Ok(proto::CommitSnapshotResponse {
            snapshot: Some(encode(row)?),
        })
    }
}

fn digest_of(entry: &Entry) -> Option<Digest> {
    match entry.node {
        Node::File { digest, .. } => Some(digest),
        _ => None,
    }
}

/// A manifest in messages; an empty one in one.
fn pages(manifest: Manifest) -> impl Stream<Item = Result<proto::ReadManifestResponse, Status>> {
    let manifest = Arc::new(manifest);
    let messages = manifest.entries().len().div_ceil(ENTRIES).max(1);
    futures::stream::iter(0..messages).map(move |message| {
        let rest = manifest.entries().iter().skip(message * ENTRIES);
        let entries = rest.take(ENTRIES).map(encode_entry).collect();
        Ok(proto::ReadManifestResponse { entries })
    })
}

/// Where a stream of contents is.
struct Place {
    digests: std::vec::IntoIter<Digest>,
    open: Option<Blob>,
}

/// Contents one after the other, part by part. No thread waits for a slow reader.
fn contents(
    app: App,
    workspace: WorkspaceId,
    digests: Vec<Digest>,
) -> impl Stream<Item = Result<proto::DownloadBlobsResponse, Status>> {
    let place = Place {
        digests: digests.into_iter(),
        open: None,
    };
    try_unfold(place, move |mut place| {
        let app = app.clone();
        async move {
            if let Some(blob) = place.open.take() {
                let (data, blob) = part(blob).await?;
                if !data.is_empty() {
                    place.open = Some(blob);
                    let response = proto::DownloadBlobsResponse {
                        digest: String::new(),
                        data: data.into(),
                    };
                    return Ok(Some((response, place)));
                }
            }
            let Some(digest) = place.digests.next() else {
                return Ok(None);
            };
            let (data, blob) = part(app.snapshots.blob(workspace, digest).await?).await?;
            place.open = Some(blob);
            let response = proto::DownloadBlobsResponse {
                digest: digest.to_string(),
                data: data.into(),
            };
            Ok(Some((response, place)))
        }
    })
}

async fn part(mut blob: Blob) -> Result<(Vec<u8>, Blob), Error> {
    blocking(move || {
        let mut data = Vec::with_capacity(CHUNK);
        blob.by_ref().take(CHUNK as u64).read_to_end(&mut data)?;
        Ok((data, blob))
    })
    .await
}
