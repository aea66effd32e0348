//! Manifests and contents, in and out.

use std::{collections::HashSet, io::Read as _, sync::Arc};

use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream::try_unfold};
use membrane_agent::entries::{self, BadEntry, decode_digest, decode_size};
use membrane_files::store::{Blob, Digest, Entry, Manifest, Node};
use membrane_proto::v1::{
    self as proto, commit_snapshot_request::Part as CommitPart,
    upload_blobs_request::Part as UploadPart,
};
use tonic::Streaming;

use super::{
    Parts, Service, check_named, header_first, new_snapshot, next, snapshot_id, wire::encode,
};
use crate::{
    authz::Principal,
    error::Error,
    files::CHUNK,
    id::WorkspaceId,
    server::App,
    snapshots::{Arriving, Kind},
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
        Ok(Box::pin(pages(manifest).map(|entries| {
            Ok(proto::ReadManifestResponse { entries })
        })))
    }

    pub(super) async fn download(
        &self,
        caller: Option<Principal>,
        request: proto::DownloadBlobsRequest,
    ) -> Result<Parts<proto::DownloadBlobsResponse>, Error> {
        let permit = self.may_read(caller, &request.workspace_id).await?;
        let id = snapshot_id(&request.snapshot_id)?;
        let manifest = self.0.snapshots.manifest(permit.workspace, id).await?;
        let digests = wanted(&manifest, &request.digests)?;
        let parts = contents(self.0.clone(), permit.workspace, digests);
        Ok(Box::pin(parts.map(|part| {
            let (digest, data) = part?;
            Ok(proto::DownloadBlobsResponse { digest, data })
        })))
    }

    pub(super) async fn missing(
        &self,
        caller: Option<Principal>,
        request: proto::FindMissingBlobsRequest,
    ) -> Result<proto::FindMissingBlobsResponse, Error> {
        let permit = self.may_manage(caller, &request.workspace_id).await?;
        let files = decode_files(&request.files)?;
        let snapshots = &self.0.snapshots;
        let missing = snapshots.missing(permit.workspace, files, None).await?;
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
        let _sending = self.0.snapshots.begin_sending(permit.user_id())?;
        let mut blobs = Blobs::new(&self.0, permit.workspace);
        while let Some(message) = next(&mut parts).await? {
            match message.part {
                Some(UploadPart::Digest(digest)) => blobs.begin(&digest).await?,
                Some(UploadPart::Data(data)) => blobs.go_on(data).await?,
                Some(UploadPart::Header(_)) | None => {
                    return Err(Error::invalid("header", "must be sent once"));
                }
            }
        }
        let blob_count = blobs.finish().await?;
        Ok(proto::UploadBlobsResponse { blob_count })
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
        let _sending = self.0.snapshots.begin_sending(permit.user_id())?;
        let new = new_snapshot(header, &permit, "CommitSnapshot")?;
        let mut entries = Entries::default();
        while let Some(message) = next(&mut parts).await? {
            let Some(CommitPart::Entries(more)) = message.part else {
                return Err(Error::invalid("header", "must be sent once"));
            };
            entries.add(more)?;
        }
        let committed = self.0.snapshots.commit(new, entries.0, Kind::Received);
        let row = committed.await?;
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

/// Which contents are wanted of a manifest's.
pub(in crate::grpc) fn wanted(
    manifest: &Manifest,
    digests: &[String],
) -> Result<Vec<Digest>, Error> {
    check_named("digests", digests.len())?;
    let known: HashSet<Digest> = manifest.entries().iter().filter_map(digest_of).collect();
    let digests = digests.iter().map(|digest| decode_digest(digest));
    let digests: Vec<Digest> = digests.collect::<Result<_, BadEntry>>()?;
    if digests.iter().any(|digest| !known.contains(digest)) {
        return Err(Error::NotFound("blob in this snapshot"));
    }
    Ok(digests)
}

/// Digests and sizes of a request.
pub(in crate::grpc) fn decode_files(
    files: &[proto::SnapshotFile],
) -> Result<Vec<(Digest, u64)>, Error> {
    check_named("files", files.len())?;
    let decode = |file: &proto::SnapshotFile| {
        let digest = decode_digest(&file.digest)?;
        Ok((digest, decode_size("files.size", file.size)?))
    };
    files.iter().map(decode).collect()
}

/// Contents that are sent, one after the other.
pub(in crate::grpc) struct Blobs<'a> {
    app: &'a App,
    workspace: WorkspaceId,
    arriving: Option<Arriving>,
    count: i32,
}

impl<'a> Blobs<'a> {
    pub(in crate::grpc) fn new(app: &'a App, workspace: WorkspaceId) -> Self {
        Self {
            app,
            workspace,
            arriving: None,
            count: 0,
        }
    }

    /// The next contents begin, and those before are complete.
    pub(in crate::grpc) async fn begin(&mut self, digest: &str) -> Result<(), Error> {
        let begun = Arriving::new(decode_digest(digest)?);
        let complete = self.arriving.replace(begun);
        self.keep(complete).await
    }

    /// The next bytes.
    pub(in crate::grpc) async fn go_on(&mut self, data: Bytes) -> Result<(), Error> {
        match &mut self.arriving {
            Some(arriving) => arriving.write(self.app, data).await,
            None => Err(Error::invalid("digest", "must come before its data")),
        }
    }

    /// Answers how many were stored.
    pub(in crate::grpc) async fn finish(mut self) -> Result<i32, Error> {
        let complete = self.arriving.take();
        self.keep(complete).await?;
        Ok(self.count)
    }

    async fn keep(&mut self, complete: Option<Arriving>) -> Result<(), Error> {
        let Some(blob) = complete else {
            return Ok(());
        };
        self.app.snapshots.keep(self.workspace, blob).await?;
        self.count += 1;
        Ok(())
    }
}

/// Entries that are sent.
#[derive(Default)]
pub(in crate::grpc) struct Entries(pub(in crate::grpc) Vec<Entry>);

impl Entries {
    pub(in crate::grpc) fn add(&mut self, more: proto::SnapshotEntries) -> Result<(), Error> {
        let count = more.entries.len();
        if count > ENTRIES || self.0.len() + count > MAX_ENTRIES {
            let message =
                format!("must be at most {ENTRIES} in a message and {MAX_ENTRIES} in all");
            return Err(Error::invalid("entries", message));
        }
        for entry in more.entries {
            self.0.push(entries::decode(entry)?);
        }
        Ok(())
    }
}

/// A manifest in messages; an empty one in one.
pub(in crate::grpc) fn pages(manifest: Manifest) -> impl Stream<Item = Vec<proto::SnapshotEntry>> {
    let manifest = Arc::new(manifest);
    let messages = manifest.entries().len().div_ceil(ENTRIES).max(1);
    futures::stream::iter(0..messages).map(move |message| {
        let rest = manifest.entries().iter().skip(message * ENTRIES);
        rest.take(ENTRIES).map(entries::encode).collect()
    })
}

/// Where a stream of contents is.
struct Place {
    digests: std::vec::IntoIter<Digest>,
    open: Option<Blob>,
}

/// Contents one after the other, part by part, the first of each with its digest. No thread waits
/// for a slow reader.
pub(in crate::grpc) fn contents(
    app: App,
    workspace: WorkspaceId,
    digests: Vec<Digest>,
) -> impl Stream<Item = Result<(String, Bytes), Error>> {
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
                    return Ok(Some(((String::new(), data.into()), place)));
                }
            }
            let Some(digest) = place.digests.next() else {
                return Ok(None);
            };
            let (data, blob) = part(app.snapshots.blob(workspace, digest).await?).await?;
            place.open = Some(blob);
            Ok(Some(((digest.to_string(), data.into()), place)))
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
