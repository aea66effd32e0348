//! A workspace's settings: its name, its model, its tools, its keys, and its end.

use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use leptos_meta::Title;
use membrane_proto::v1 as pb;
use prost_types::FieldMask;

use crate::{
    api::{self, ApiError, Wire},
    browser,
    components::{
        agent_fields::{InstructionFields, PermissionFields, ToolFields},
        danger_zone::DangerZone,
        egress_fields::EgressFields,
        field::Field,
        header::Header,
        icon::{Glyph, Icon},
        limit_fields::{LimitFields, allowed_models, limits, max_concurrent_runs},
        model_fields::ModelFields,
        problem::{InlineProblem, PageProblem},
        provider_keys::ProviderKeys,
        skeleton::Skeleton,
        toolchain_fields::ToolchainFields,
    },
    context::Place,
    egress,
    words::{PERMISSION_MODES, PROMPT_MODES, provider_of},
};

/// The page.
#[component]
pub fn Settings() -> impl IntoView {
    let place = expect_context::<Place>();
    // Read once: what is being typed must survive the rail's reading it again.
    let workspace = Resource::new(
        move || place.workspace_id.get(),
        |id| api::load(workspace(id.unwrap_or_default())),
    );
    let presets = Resource::new(|| (), |()| api::load(presets()));
    let toolchains = Resource::new(|| (), |()| api::load(toolchains()));
    view! {
        <Title text="Settings" />
        <Header title="Settings" />
        <div class="page narrow">
            <Transition fallback=|| {
                view! { <Skeleton lines=8 /> }
            }>
                {move || Suspend::new(async move {
                    let (workspace, presets) = (workspace.await, presets.await);
                    let toolchains = toolchains.await;
                    let offers = presets.and_then(|presets| Ok(Offers {
                        presets: presets.0.presets,
                        toolchains: toolchains?.0.toolchains,
                    }));
                    match workspace.and_then(|workspace| Ok((workspace, offers?))) {
                        Ok((workspace, offers)) => view! { <Forms workspace offers /> }.into_any(),
                        Err(error) => view! { <PageProblem error /> }.into_any(),
                    }
                })}
            </Transition>
        </div>
    }
    .into_any()
}

/// What a workspace can choose from.
struct Offers {
    presets: Vec<pb::EgressPreset>,
    toolchains: Vec<pb::Toolchain>,
}

#[component]
fn Forms(workspace: Wire<pb::Workspace>, offers: Offers) -> impl IntoView {
    let workspace = workspace.0;
    let owner = workspace.role() == pb::Role::Owner;
    let settings = workspace.settings.clone().unwrap_or_default();
    let provider = RwSignal::new(settings.provider());
    let id = workspace.id.clone();
    let name = workspace.name.clone();
    view! {
        <SettingsForm workspace=workspace offers provider />
        <ProviderKeys workspace_id=id.clone() provider owner />
        {owner.then(|| view! { <DangerZone workspace_id=id name /> })}
    }
    .into_any()
}

/// Where saving stands.
#[derive(Clone, Copy, PartialEq)]
enum Saving {
    Same,
    Changed,
    Busy,
    Saved,
}

#[component]
fn SettingsForm(
    workspace: pb::Workspace,
    offers: Offers,
    provider: RwSignal<pb::Provider>,
) -> impl IntoView {
    let place = expect_context::<Place>();
    let saving = RwSignal::new(Saving::Same);
    let error = RwSignal::new(None::<ApiError>);
    let settings = workspace.settings.clone().unwrap_or_default();
    let reader = workspace.role() == pb::Role::Viewer;
    let name = workspace.name.clone();
    let held = StoredValue::new(workspace);
    let submit = move |event: SubmitEvent| {
        let Some((_, data)) = browser::submitted(&event) else {
            return;
        };
        saving.set(Saving::Busy);
        error.set(None);
        let request = update(&held.get_value(), &data);
        spawn_local(async move {
            match save(request).await {
                Ok(workspace) => {
                    held.try_set_value(workspace);
                    saving.try_set(Saving::Saved);
                    place.workspace.refetch();
                }
                Err(problem) => {
                    saving.try_set(Saving::Changed);
                    error.try_set(Some(problem));
                }
            }
        });
    };
    view! {
        <form class="form settings" on:submit=submit on:input=move |_| saving.set(Saving::Changed)>
            <fieldset class="bare" disabled=reader>
                <section class="block" aria-labelledby="general">
                    <h2 class="section-heading" id="general">"General"</h2>
                    <Field id="name" label="Name">
                        <input
                            class="input"
                            id="name"
                            name="name"
                            required
                            maxlength="100"
                            autocomplete="off"
                            value=name
                        />
                    </Field>
                </section>
                <ModelFields settings=settings.clone() provider />
                <InstructionFields settings=settings.clone() />
                <LimitFields settings=settings.clone() />
                <PermissionFields mode=settings.permission_mode() />
                <ToolFields allowed=settings.allowed_tools.clone() />
                <ToolchainFields hidden=settings.hidden_toolchains.clone() offered=offers.toolchains />
                <EgressFields settings presets=offers.presets />
            </fieldset>
            <InlineProblem error />
            <SaveBar saving />
        </form>
    }
    .into_any()
}

#[component]
fn SaveBar(saving: RwSignal<Saving>) -> impl IntoView {
    let words = move || match saving.get() {
        Saving::Same => "",
        Saving::Changed => "Not saved yet",
        Saving::Busy => "Saving…",
        Saving::Saved => "Saved. It holds from the next turn on.",
    };
    view! {
        <div class="save-bar" class:shown=move || saving.get() != Saving::Same>
            <span class="quiet" role="status">
                {move || (saving.get() == Saving::Saved).then(|| view! { <Glyph icon=Icon::Check /> })}
                {words}
            </span>
            <button
                type="submit"
                class="button primary"
                disabled=move || saving.get() != Saving::Changed
            >
                "Save changes"
            </button>
        </div>
    }
    .into_any()
}

/// Reads the form. Everything on it is sent; what is not on it stays as it is.
fn update(held: &pb::Workspace, data: &web_sys::FormData) -> pb::UpdateWorkspaceRequest {
    let text = |name| browser::field(data, name);
    let provider = provider_of(&text("provider"));
    let thinking = text("thinking").trim().parse().unwrap_or(0);
    let prompt_mode = PROMPT_MODES
        .iter()
        .find(|(_, word, _)| *word == text("prompt_mode"));
    let permission = PERMISSION_MODES
        .iter()
        .find(|(_, word)| *word == text("permission_mode"));
    let settings = pb::WorkspaceSettings {
        provider: provider.into(),
        base_url: if provider == pb::Provider::Custom {
            text("base_url")
        } else {
            String::new()
        },
        model: text("model").trim().to_owned(),
        thinking_budget_tokens: thinking,
        system_prompt_mode: prompt_mode.map_or(0, |(mode, ..)| (*mode).into()),
        system_prompt: text("system_prompt"),
        allowed_tools: all(data, "tool"),
        permission_mode: permission.map_or(0, |(mode, _)| (*mode).into()),
        limits: Some(limits(data)),
        allowed_models: allowed_models(data),
        model_access: !text("model_access").is_empty(),
        egress: Some(policy(data)),
        hidden_toolchains: hidden_toolchains(held, data),
        max_concurrent_runs: max_concurrent_runs(data),
        ..Default::default()
    };
    let fields = [
        "provider",
        "base_url",
        "model",
        "thinking_budget_tokens",
        "system_prompt_mode",
        "system_prompt",
        "allowed_tools",
        "permission_mode",
        "limits",
        "allowed_models",
        "model_access",
        "egress",
        "hidden_toolchains",
        "max_concurrent_runs",
    ];
    let mut paths: Vec<String> = fields
        .iter()
        .map(|field| format!("settings.{field}"))
        .collect();
    paths.push("name".to_owned());
    pb::UpdateWorkspaceRequest {
        workspace: Some(pb::Workspace {
            id: held.id.clone(),
            name: text("name").trim().to_owned(),
            settings: Some(settings),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths }),
        etag: held.etag.clone(),
    }
}

/// What is not ticked of what is offered. What was hidden and is not offered now stays hidden.
fn hidden_toolchains(held: &pb::Workspace, data: &web_sys::FormData) -> Vec<String> {
    let (offered, shown) = (all(data, "offered_toolchain"), all(data, "toolchain"));
    let settings = held.settings.as_ref();
    let before = settings.map_or(&[][..], |settings| &settings.hidden_toolchains);
    let gone = before
        .iter()
        .filter(|name| !offered.contains(name))
        .cloned();
    let unticked = offered.iter().filter(|name| !shown.contains(name)).cloned();
    gone.chain(unticked).collect()
}

fn policy(data: &web_sys::FormData) -> pb::EgressPolicy {
    let hosts = browser::field(data, "egress_hosts");
    let hosts = hosts.lines().map(str::trim).filter(|host| !host.is_empty());
    pb::EgressPolicy {
        mode: egress::mode_of(&browser::field(data, "egress_mode")).into(),
        presets: all(data, "egress_preset"),
        hosts: hosts.map(str::to_owned).collect(),
    }
}

/// The values of all ticked boxes of a name.
fn all(data: &web_sys::FormData, name: &str) -> Vec<String> {
    let values = data.get_all(name).into_iter();
    values.filter_map(|value| value.as_string()).collect()
}

async fn save(request: pb::UpdateWorkspaceRequest) -> Result<pb::Workspace, ApiError> {
    let answer = api::workspaces()
        .update_workspace(request)
        .await?
        .into_inner();
    answer.workspace.ok_or_else(ApiError::incomplete)
}

async fn presets() -> Result<pb::ListEgressPresetsResponse, ApiError> {
    let request = pb::ListEgressPresetsRequest {};
    let answer = api::activity().list_egress_presets(request).await?;
    Ok(answer.into_inner())
}

async fn toolchains() -> Result<pb::ListToolchainsResponse, ApiError> {
    let request = pb::ListToolchainsRequest {};
    Ok(api::workspaces()
        .list_toolchains(request)
        .await?
        .into_inner())
}

async fn workspace(workspace_id: String) -> Result<pb::Workspace, ApiError> {
    let request = pb::GetWorkspaceRequest { workspace_id };
    let answer = api::workspaces().get_workspace(request).await?.into_inner();
    answer.workspace.ok_or_else(ApiError::incomplete)
}
