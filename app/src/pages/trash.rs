//! What was deleted from a workspace, until it goes for good.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::components::A;
use membrane_proto::v1 as pb;

use crate::{
    api::{self, ApiError},
    components::{
        files::{Name, icon_of},
        header::Header,
        icon::{Glyph, Icon},
        problem::{InlineProblem, Problem},
        skeleton::Skeleton,
        time::Time,
        toasts::Toasts,
    },
    context::Place,
    format, path, text,
};

/// How long the question "really?" stands.
const ASKING: Duration = Duration::from_secs(6);
/// Items on the page; the API has the others.
const PAGE: i32 = 200;

#[derive(Clone, Copy)]
struct Trash {
    workspace_id: Memo<Option<String>>,
    list: Resource<api::Reply<pb::ListTrashResponse>>,
    problem: RwSignal<Option<ApiError>>,
    toasts: Toasts,
}

/// The page.
#[component]
pub fn TrashPage() -> impl IntoView {
    let workspace_id = expect_context::<Place>().workspace_id;
    let trash = Trash {
        workspace_id,
        list: Resource::new(
            move || workspace_id.get().unwrap_or_default(),
            |id| api::load(load(id)),
        ),
        problem: RwSignal::new(None),
        toasts: expect_context(),
    };
    let back = move || path::address(&workspace_id.get().unwrap_or_default(), "");
    view! {
        <Title text="Trash" />
        <Header title="Trash">
            <A href=back attr:class="button small">"Back to the files"</A>
        </Header>
        <div class="page">
            <InlineProblem error=trash.problem />
            <Transition fallback=|| {
                view! { <Skeleton lines=5 /> }
            }>
                {move || Suspend::new(async move {
                    match trash.list.await {
                        Ok(list) if list.0.items.is_empty() => empty(),
                        Ok(list) => rows(trash, list.0),
                        Err(error) => view! { <Problem error /> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

async fn load(workspace_id: String) -> Result<pb::ListTrashResponse, ApiError> {
    let request = pb::ListTrashRequest {
        workspace_id,
        page_size: PAGE,
        page_token: String::new(),
    };
    Ok(api::files().list_trash(request).await?.into_inner())
}

fn empty() -> AnyView {
    view! {
        <section class="empty">
            <span class="empty-icon"><Glyph icon=Icon::Trash /></span>
            <h2>"The trash is empty"</h2>
            <p>
                "What you delete from the files of this workspace stays here for seven days and can be "
                "put back. What agents delete with commands does not pass through here."
            </p>
        </section>
    }
    .into_any()
}

fn rows(trash: Trash, list: pb::ListTrashResponse) -> AnyView {
    let more = (!list.next_page_token.is_empty())
        .then(|| view! { <p class="quiet">"The API lists what was deleted before that."</p> });
    let rows = list.items.into_iter().map(|item| row(trash, item));
    view! {
        <div class="trash-head">
            <p class="quiet">"Kept for seven days after they were deleted."</p>
            <EmptyButton trash />
        </div>
        <ul class="rows">{rows.collect_view()}</ul>
        {more}
    }
    .into_any()
}

fn row(trash: Trash, item: pb::TrashItem) -> AnyView {
    let file = item.file.unwrap_or_default();
    let kind = file.kind();
    let size = (kind == pb::FileKind::File).then(|| format::bytes(file.size));
    let label = format!("Restore {}", text::plain(path::name(&file.path)));
    let (id, path) = (item.id, file.path.clone());
    let restore = move |_| spawn_local(trash.restore(id.clone(), path.clone()));
    view! {
        <li>
            <div class="row">
                <span class="row-icon"><Glyph icon=icon_of(kind) /></span>
                <span class="row-main">
                    <span class="row-title"><Name text=path::name(&file.path).to_owned() /></span>
                    <span class="row-sub">
                        <span>"from " <Name text=format!("/{}", path::parent(&file.path)) /></span>
                        <span>{size}</span>
                        <span>"deleted " <Time time=item.delete_time /></span>
                    </span>
                </span>
                <button type="button" class="button small needs-script" aria-label=label on:click=restore>
                    "Restore"
                </button>
            </div>
        </li>
    }
    .into_any()
}

#[component]
fn EmptyButton(trash: Trash) -> impl IntoView {
    let asked = RwSignal::new(false);
    let click = move |_| {
        if asked.get_untracked() {
            return spawn_local(trash.empty());
        }
        asked.set(true);
        set_timeout(
            move || {
                asked.try_set(false);
            },
            ASKING,
        );
    };
    view! {
        <button type="button" class="button small danger needs-script" on:click=click>
            <Glyph icon=Icon::Trash />
            <span aria-live="polite">
                {move || if asked.get() { "Really? There is no way back" } else { "Empty the trash" }}
            </span>
        </button>
    }
    .into_any()
}

impl Trash {
    fn id(self) -> String {
        self.workspace_id.get_untracked().unwrap_or_default()
    }

    async fn restore(self, trash_item_id: String, path: String) {
        let request = pb::RestoreFileRequest {
            workspace_id: self.id(),
            trash_item_id,
            path: String::new(),
        };
        match api::files().restore_file(request).await {
            Ok(_) => self.done(format!("{} is back", text::plain(&path))),
            Err(status) => {
                self.problem.try_set(Some(status.into()));
            }
        }
    }

    async fn empty(self) {
        let request = pb::EmptyTrashRequest {
            workspace_id: self.id(),
        };
        match api::files().empty_trash(request).await {
            Ok(answer) => {
                let count = answer.into_inner().removed_count.into();
                let items = format::count(count, "thing is", "things are");
                self.done(format!("{items} gone for good"));
            }
            Err(status) => {
                self.problem.try_set(Some(status.into()));
            }
        }
    }

    fn done(self, words: String) {
        self.toasts.say(words);
        self.problem.try_set(None);
        self.list.refetch();
    }
}
