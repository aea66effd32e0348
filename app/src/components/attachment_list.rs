//! The files that went with a message.

use leptos::prelude::*;

use super::{
    files::Name,
    icon::{Glyph, Icon},
};
use crate::{browser, context::Place, format, path, transcript::Attachment};

/// The files, each leading to its page; nothing if there are none.
#[component]
pub fn AttachmentList(
    /// The files.
    attachments: Vec<Attachment>,
) -> impl IntoView {
    let place = use_context::<Place>();
    let workspace_id = place.and_then(|place| place.workspace_id.get_untracked());
    let Some(workspace_id) = workspace_id.filter(|_| !attachments.is_empty()) else {
        return ().into_any();
    };
    let items = attachments
        .into_iter()
        .map(|one| item(&workspace_id, one))
        .collect_view();
    view! { <ul class="attachments" aria-label="Attachments">{items}</ul> }.into_any()
}

fn item(workspace_id: &str, one: Attachment) -> AnyView {
    let href = path::address(workspace_id, &one.path);
    let name = path::name(&one.path).to_owned();
    let picture = if one.is_image {
        let source = path::raw(workspace_id, &one.path);
        view! { <img class="attachment-picture" src=source alt="" loading="lazy" on:error=hide /> }
            .into_any()
    } else {
        view! { <Glyph icon=Icon::File /> }.into_any()
    };
    view! {
        <li>
            <a class="attachment" href=href rel="external">
                {picture}
                <Name text=name />
                <span class="quiet">{format::bytes(one.size)}</span>
            </a>
        </li>
    }
    .into_any()
}

/// What went with the message may have been deleted since.
fn hide(event: web_sys::ErrorEvent) {
    if let Some(picture) = browser::target::<web_sys::HtmlElement>(&event) {
        picture.set_hidden(true);
    }
}
