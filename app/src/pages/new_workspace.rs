//! Making a workspace: empty, or from a zip. Without scripts the form posts the zip as it is;
//! with them the upload shows how far it is, and an empty workspace needs no file.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::hooks::use_navigate;
use membrane_proto::v1 as pb;
use prost_types::FieldMask;

use crate::{
    api::{self, ApiError},
    browser,
    components::{
        field::Field,
        header::Header,
        icon::{Glyph, Icon},
        problem::InlineProblem,
    },
    format, upload,
    words::{PROVIDERS, provider_explanation, provider_name},
};

/// What the form is doing.
#[derive(Clone, Copy, PartialEq)]
enum Progress {
    Editing,
    Creating,
    Uploading { sent: f64, total: f64 },
    Unpacking,
}

/// The page.
#[component]
pub fn NewWorkspace() -> impl IntoView {
    let from_zip = RwSignal::new(false);
    let provider = RwSignal::new(pb::Provider::Demo);
    let progress = RwSignal::new(Progress::Editing);
    let error = RwSignal::new(None::<ApiError>);
    let file = RwSignal::new(None::<(String, f64)>);
    let navigate = use_navigate();
    let submit = move |event: SubmitEvent| {
        let Some(form) = browser::target::<web_sys::HtmlFormElement>(&event) else {
            return;
        };
        event.prevent_default();
        if progress.get_untracked() != Progress::Editing {
            return;
        }
        error.set(None);
        let navigate = navigate.clone();
        spawn_local(async move {
            let made = match from_zip.get_untracked() {
                true => import(form, provider.get_untracked(), progress).await,
                false => create(form, provider.get_untracked(), progress).await,
            };
            match made {
                Ok(id) => navigate(&format!("/workspaces/{id}"), Default::default()),
                Err(problem) => {
                    progress.set(Progress::Editing);
                    error.set(Some(problem));
                }
            }
        });
    };
    view! {
        <Title text="New workspace" />
        <Header title="New workspace" />
        <div class="page narrow">
            <form
                class="form"
                method="post"
                action="/workspaces/import"
                enctype="multipart/form-data"
                on:submit=submit
            >
                <Field id="name" label="Name" hint="What you and others will call it.">
                    <input
                        class="input"
                        id="name"
                        name="name"
                        required
                        maxlength="100"
                        autocomplete="off"
                        placeholder="my-project"
                        aria-describedby="name-hint"
                    />
                </Field>
                <Source from_zip file />
                <ProviderChoice provider />
                <InlineProblem error />
                <Submit progress />
            </form>
        </div>
    }
    .into_any()
}

#[component]
fn Source(from_zip: RwSignal<bool>, file: RwSignal<Option<(String, f64)>>) -> impl IntoView {
    let choose = move |event: web_sys::Event| {
        let input = browser::target::<web_sys::HtmlInputElement>(&event);
        let chosen = input.and_then(|input| input.files()?.get(0));
        from_zip.set(chosen.is_some());
        file.set(chosen.map(|chosen| (chosen.name(), chosen.size())));
    };
    let words = move || match file.get() {
        Some((name, size)) => format!("{name} · {}", format::bytes(size as i64)),
        None => "No file: the workspace starts empty.".to_owned(),
    };
    view! {
        <Field
            id="archive"
            label="Start from"
            hint="A zip of your project. It is checked as a whole before anything is written."
        >
            <div class="drop">
                <Glyph icon=Icon::Upload />
                <input
                    class="file"
                    type="file"
                    id="archive"
                    name="archive"
                    accept=".zip,application/zip"
                    aria-describedby="archive-hint"
                    on:change=choose
                />
                <span class="quiet drop-words">{words}</span>
            </div>
        </Field>
    }
    .into_any()
}

/// Radio buttons that a form without scripts does not send: the import takes only what it names.
#[component]
fn ProviderChoice(provider: RwSignal<pb::Provider>) -> impl IntoView {
    let choices = PROVIDERS.map(|(choice, word)| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="provider"
                    form="not-sent"
                    value=word
                    checked=choice == pb::Provider::Demo
                    on:change=move |_| provider.set(choice)
                />
                <span class="choice-words">
                    <span class="choice-title">{provider_name(choice)}</span>
                    <span class="choice-sub">{provider_explanation(choice)}</span>
                </span>
            </label>
        }
    });
    view! {
        <fieldset class="fieldset">
            <legend class="field-label">"Where is the model?"</legend>
            <div class="choices">{choices.collect_view()}</div>
            <p class="field-hint">"It can be changed at any time in the settings, where keys are stored too."</p>
        </fieldset>
    }
    .into_any()
}

#[component]
fn Submit(progress: RwSignal<Progress>) -> impl IntoView {
    let words = move || match progress.get() {
        Progress::Editing => "Create workspace".to_owned(),
        Progress::Creating => "Creating…".to_owned(),
        Progress::Unpacking => "Checking and unpacking…".to_owned(),
        Progress::Uploading { sent, total } => format!(
            "Uploading {} of {}",
            format::bytes(sent as i64),
            format::bytes(total as i64)
        ),
    };
    let bar = move || match progress.get() {
        Progress::Uploading { sent, total } => Some(view! {
            <progress class="progress" max=total.to_string() value=sent.to_string() aria-label="Upload"></progress>
        }),
        _ => None,
    };
    view! {
        {bar}
        <div class="form-actions">
            <button
                type="submit"
                class="button primary"
                disabled=move || progress.get() != Progress::Editing
            >
                {words}
            </button>
        </div>
    }
    .into_any()
}

async fn create(
    form: web_sys::HtmlFormElement,
    provider: pb::Provider,
    progress: RwSignal<Progress>,
) -> Result<String, ApiError> {
    progress.set(Progress::Creating);
    let data = form_data(&form)?;
    let request = pb::CreateWorkspaceRequest {
        name: browser::field(&data, "name").trim().to_owned(),
        settings: Some(pb::WorkspaceSettings {
            provider: provider.into(),
            ..Default::default()
        }),
        request_id: browser::request_id(),
    };
    let answer = api::workspaces()
        .create_workspace(request)
        .await?
        .into_inner();
    Ok(answer.workspace.ok_or_else(ApiError::incomplete)?.id)
}

async fn import(
    form: web_sys::HtmlFormElement,
    provider: pb::Provider,
    progress: RwSignal<Progress>,
) -> Result<String, ApiError> {
    let data = form_data(&form)?;
    let workspace_id = upload::import(&data, move |sent, total| {
        progress.set(if sent < total {
            Progress::Uploading { sent, total }
        } else {
            Progress::Unpacking
        });
    })
    .await?;
    let settings = pb::WorkspaceSettings {
        provider: provider.into(),
        ..Default::default()
    };
    let request = pb::UpdateWorkspaceRequest {
        workspace: Some(pb::Workspace {
            id: workspace_id.clone(),
            settings: Some(settings),
            ..Default::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["settings.provider".to_owned()],
        }),
        etag: String::new(),
    };
    // The files are there; where the model is can still be chosen in the settings.
    let _ = api::workspaces().update_workspace(request).await;
    Ok(workspace_id)
}

fn form_data(form: &web_sys::HtmlFormElement) -> Result<web_sys::FormData, ApiError> {
    web_sys::FormData::new_with_form(form).map_err(|_| {
        ApiError::local(
            "FORM_UNREADABLE",
            "The form could not be read. Load the page again.",
        )
    })
}
