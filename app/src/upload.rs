//! Sends an archive with its progress. Not `fetch`, which can't tell how much has been sent.

use std::{cell::RefCell, rc::Rc};

use futures::channel::oneshot;
use serde::Deserialize;
use wasm_bindgen::{JsCast as _, prelude::Closure};
use web_sys::{FormData, ProgressEvent, XmlHttpRequest};

use crate::{api::ApiError, browser};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    workspace_id: String,
    reason: String,
    message: String,
}

/// Posts `name` and `archive` of the form to the import route, and returns the workspace's id.
/// `progress` is told how many bytes of how many are sent.
pub async fn import(
    form: &FormData,
    progress: impl Fn(f64, f64) + 'static,
) -> Result<String, ApiError> {
    let body = ordered(form).ok_or_else(not_sent)?;
    let request = XmlHttpRequest::new().map_err(|_| not_sent())?;
    let on_progress = Closure::<dyn FnMut(ProgressEvent)>::new(move |event: ProgressEvent| {
        progress(event.loaded(), event.total());
    });
    let (done, wait) = oneshot::channel();
    let done = Rc::new(RefCell::new(Some(done)));
    let on_end = Closure::<dyn FnMut()>::new(move || {
        if let Some(done) = done.borrow_mut().take() {
            let _ = done.send(());
        }
    });
    if let Ok(upload) = request.upload() {
        upload.set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    }
    request.set_onloadend(Some(on_end.as_ref().unchecked_ref()));
    request
        .open("POST", "/workspaces/import")
        .map_err(|_| not_sent())?;
    request
        .set_request_header("accept", "application/json")
        .map_err(|_| not_sent())?;
    request
        .send_with_opt_form_data(Some(&body))
        .map_err(|_| not_sent())?;
    let _ = wait.await;
    let status = request.status().unwrap_or(0);
    answer(
        status,
        request.response_text().ok().flatten().unwrap_or_default(),
    )
}

/// The server reads the parts in this order and writes the archive while it arrives.
fn ordered(form: &FormData) -> Option<FormData> {
    let body = FormData::new().ok()?;
    body.append_with_str("name", browser::field(form, "name").trim())
        .ok()?;
    body.append_with_str("request_id", &browser::request_id())
        .ok()?;
    let archive: web_sys::File = form.get("archive").dyn_into().ok()?;
    body.append_with_blob_and_filename("archive", &archive, &archive.name())
        .ok()?;
    Some(body)
}

fn answer(status: u16, text: String) -> Result<String, ApiError> {
    let answer: Answer = serde_json::from_str(&text).unwrap_or_default();
    match status {
        200..300 if !answer.workspace_id.is_empty() => Ok(answer.workspace_id),
        0 => Err(ApiError::local(
            "UNREACHABLE",
            "The upload broke off. No workspace was made. Try again.",
        )),
        _ if answer.message.is_empty() => Err(ApiError::local(
            "IMPORT_REFUSED",
            &format!("The server refused the archive (HTTP {status}). No workspace was made."),
        )),
        _ => Err(ApiError::local(&answer.reason, &answer.message)),
    }
}

fn not_sent() -> ApiError {
    ApiError::local(
        "UPLOAD_NOT_STARTED",
        "The browser could not start the upload. Choose the file again.",
    )
}
