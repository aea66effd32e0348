//! A picture before and after. Fetched by the browser alone: inside the page it would be sent
//! twice.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1::{self as pb, ChangeSide};

use super::review::Review;
use crate::{
    api::{self, ApiError},
    changes::media_type,
    format,
};

/// Largest picture that is shown, in bytes.
const MAX_BYTES: i64 = 3_750_000;

/// Both sides; nothing if the file is no picture.
#[component]
pub fn Pictures(
    /// The review.
    review: Review,
    /// The file.
    change: pb::Change,
) -> impl IntoView {
    let old_path = match change.old_path.as_str() {
        "" => &change.path,
        old => old,
    };
    let sides = [
        (ChangeSide::Before, "Before", old_path, change.old_size),
        (ChangeSide::After, "After", &change.path, change.new_size),
    ];
    let shown = sides.into_iter().filter_map(|(side, words, path, size)| {
        let (kind, size) = (media_type(path)?, size?);
        let path = change.path.clone();
        Some(view! { <Picture review path side words kind size /> })
    });
    let shown: Vec<_> = shown.collect();
    (!shown.is_empty()).then(|| view! { <div class="pictures">{shown}</div> })
}

#[component]
fn Picture(
    review: Review,
    path: String,
    side: ChangeSide,
    words: &'static str,
    kind: &'static str,
    size: i64,
) -> impl IntoView {
    let source = RwSignal::new(None::<Result<String, ApiError>>);
    let fits = size <= MAX_BYTES;
    Effect::new(move || {
        let path = path.clone();
        if !fits {
            return;
        }
        spawn_local(async move {
            let bytes = read(review, path, side).await;
            let address = bytes.map(|bytes| format!("data:{kind};base64,{}", BASE64.encode(bytes)));
            source.try_set(Some(address));
        });
    });
    let picture = move || {
        match &*source.read() {
        Some(Ok(address)) => {
            view! { <img src=address.clone() alt=format!("The picture {}", words.to_lowercase()) /> }
                .into_any()
        }
        Some(Err(error)) => view! { <p class="quiet">{error.message.clone()}</p> }.into_any(),
        None if fits => view! { <p class="quiet">"Scripts fetch the picture."</p> }.into_any(),
        None => view! { <p class="quiet">"Too large to be shown here."</p> }.into_any(),
    }
    };
    view! {
        <figure class="picture">
            <div class="picture-ground">{picture}</div>
            <figcaption>{words} " " <span class="quiet">{format::bytes(size)}</span></figcaption>
        </figure>
    }
    .into_any()
}

async fn read(review: Review, path: String, side: ChangeSide) -> Result<Vec<u8>, ApiError> {
    let address = review
        .address
        .get_untracked()
        .ok_or_else(ApiError::incomplete)?;
    let request = pb::ReadChangedFileRequest {
        workspace_id: address.workspace_id,
        scope: Some(address.scope.to_wire()),
        path,
        side: side as i32,
    };
    let mut parts = api::changes()
        .read_changed_file(request)
        .await?
        .into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await? {
        bytes.extend_from_slice(&part.data);
        if bytes.len() as i64 > MAX_BYTES {
            return Err(ApiError::local("TOO_LARGE", "Too large to be shown here."));
        }
    }
    Ok(bytes)
}
