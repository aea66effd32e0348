//! Sends one file in pieces, and goes on where it stopped when the connection was lost.

use std::time::Duration;

use js_sys::Uint8Array;
use membrane_proto::v1 as pb;
use prost::bytes::Bytes;
use wasm_bindgen_futures::JsFuture;

use super::uploads::{How, State, Upload};
use crate::{
    api::{self, ApiError},
    browser, path,
};

/// Bytes in a piece: the most that the server takes.
const PIECE: i64 = 1 << 20;
/// Longest pause before the server is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Whether an upload was refused because something is in its place.
pub fn is_taken(error: &ApiError) -> bool {
    error.code == tonic::Code::AlreadyExists as i32
}

/// Sends it, and tells how far it is. Returns when it is in its place, refused, or given up.
pub async fn send(upload: &Upload, how: How) -> Result<(), ApiError> {
    let request_id = browser::request_id();
    let begun = patiently(upload, 0, || create(upload, how, &request_id)).await?;
    let id = begun.id;
    let mut sent = begun.received;
    while sent < upload.size && !upload.is_cancelled() {
        let data = piece(upload, sent).await?;
        sent = match write(upload, &id, sent, data).await {
            Ok(now) => now.received,
            // The server knows how much has come.
            Err(error) if is_lost(&error) || error.reason == "UPLOAD_OFFSET" => {
                patiently(upload, sent, || get(upload, &id)).await?.received
            }
            Err(error) => return Err(error),
        };
        upload.set(State::Sending(sent));
    }
    if upload.is_cancelled() {
        return cancel(upload, &id).await;
    }
    upload.set(State::Finishing);
    finish(upload, &id).await
}

/// Whether no answer came, or none that the server meant.
fn is_lost(error: &ApiError) -> bool {
    error.reason == "UNREACHABLE"
        || error.code == tonic::Code::Unavailable as i32
        || error.code == tonic::Code::DeadlineExceeded as i32
}

/// Asks again until an answer comes, or the upload is given up.
async fn patiently<T, F: Future<Output = Result<T, ApiError>>>(
    upload: &Upload,
    sent: i64,
    call: impl Fn() -> F,
) -> Result<T, ApiError> {
    let mut pause = Duration::from_millis(500);
    loop {
        let error = match call().await {
            Err(error) if is_lost(&error) && !upload.is_cancelled() => error,
            answer => return answer,
        };
        upload.set(State::Offline(sent));
        browser::sleep(pause.mul_f64(0.5 + browser::jitter())).await;
        if upload.is_cancelled() {
            return Err(error);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn piece(upload: &Upload, from: i64) -> Result<Bytes, ApiError> {
    let unreadable = || {
        ApiError::local(
            "FILE_UNREADABLE",
            "The browser can not read this file any more. Choose it again.",
        )
    };
    let to = (from + PIECE).min(upload.size);
    let blob = upload
        .file
        .slice_with_f64_and_f64(from as f64, to as f64)
        .map_err(|_| unreadable())?;
    let buffer = JsFuture::from(blob.array_buffer()).await;
    let bytes = Uint8Array::new(&buffer.map_err(|_| unreadable())?).to_vec();
    // A file that has shrunk since it was chosen would never be complete.
    if bytes.len() as i64 != to - from {
        return Err(unreadable());
    }
    Ok(bytes.into())
}

async fn create(upload: &Upload, how: How, request_id: &str) -> Result<pb::Upload, ApiError> {
    let path = match how.unpack {
        true => path::parent(&upload.path),
        false => &upload.path,
    };
    let request = pb::CreateUploadRequest {
        workspace_id: upload.workspace_id.clone(),
        path: path.to_owned(),
        size: upload.size,
        overwrite: how.overwrite,
        unpack: how.unpack,
        request_id: request_id.to_owned(),
    };
    let answer = api::files().create_upload(request).await?.into_inner();
    answer.upload.ok_or_else(ApiError::incomplete)
}

async fn get(upload: &Upload, id: &str) -> Result<pb::Upload, ApiError> {
    let request = pb::GetUploadRequest {
        workspace_id: upload.workspace_id.clone(),
        upload_id: id.to_owned(),
    };
    let answer = api::files().get_upload(request).await?.into_inner();
    answer.upload.ok_or_else(ApiError::incomplete)
}

async fn write(
    upload: &Upload,
    id: &str,
    offset: i64,
    data: Bytes,
) -> Result<pb::Upload, ApiError> {
    let request = pb::WriteUploadRequest {
        workspace_id: upload.workspace_id.clone(),
        upload_id: id.to_owned(),
        offset,
        data,
    };
    let answer = api::files().write_upload(request).await?.into_inner();
    answer.upload.ok_or_else(ApiError::incomplete)
}

/// An answer may be lost after the work was done: then the upload is gone, and its file is there.
async fn finish(upload: &Upload, id: &str) -> Result<(), ApiError> {
    let mut asked_before = false;
    loop {
        let request = pb::FinishUploadRequest {
            workspace_id: upload.workspace_id.clone(),
            upload_id: id.to_owned(),
        };
        let error = match api::files().finish_upload(request).await {
            Ok(_) => return Ok(()),
            Err(status) => ApiError::from(status),
        };
        if asked_before && error.is_not_found() {
            return Ok(());
        }
        if !is_lost(&error) {
            return Err(error);
        }
        asked_before = true;
        patiently(upload, upload.size, || async {
            match get(upload, id).await {
                Err(error) if error.is_not_found() => Ok(()),
                answer => answer.map(drop),
            }
        })
        .await?;
    }
}

async fn cancel(upload: &Upload, id: &str) -> Result<(), ApiError> {
    let request = pb::CancelUploadRequest {
        workspace_id: upload.workspace_id.clone(),
        upload_id: id.to_owned(),
    };
    api::files().cancel_upload(request).await?;
    Ok(())
}
