//! The agent at work on a run: the same engine, tools and sandbox as in a live session. Its model is
//! asked through the server, with the lease's token; no key of a provider is here.

use std::{sync::Arc, time::Duration};

use membrane_agent::{
    Host, PermissionMode, SystemPrompt, TurnReport, TurnSpec,
    egress::{AllowRule, EgressGuard, EgressLimits, EgressPolicy, EgressProxy},
    engine,
    mcp::{self, McpServer, Transport},
    meter::Meter,
    model::{ModelClient, ModelConfig, Provider, RetryPolicy},
    redact::Redactor,
    sandbox::SandboxState,
    tools::Toolbox,
};
use membrane_proto::v1::{
    self as proto, Event, EventPayload, SystemPromptMode, TurnOutcome, UserMessage,
    WorkspaceSettings, event_payload::Kind,
};

use secrecy::SecretString;

use super::{Job, host, inside::ModelDoor, within_grace};
use crate::control::Failure;

/// Requests of an engine that may wait for its host.
const HOST_BUFFER: usize = 64;
/// Model requests of a run.
const MAX_REQUESTS: u32 = 200;
/// How long an agent may take to stop once the run is cancelled.
const GRACE: Duration = Duration::from_secs(10);
/// A server that is started again is waited for.
const MODEL_ATTEMPTS: u32 = 12;

impl Job {
    /// Lets the agent do what the run asks for.
    pub(super) async fn agent(&self) -> Result<TurnReport, Failure> {
        let spec = self.run.spec.clone().unwrap_or_default();
        let settings = spec.settings.unwrap_or_default();
        let model = self.model()?;
        let tools = self.toolbox(&settings)?;
        let redactor = Redactor::default();
        let _masked = redactor.know(&self.lease_token());
        let inside = self.model_door(&settings)?;
        let _also_masked = inside.as_ref().map(|door| redactor.know(door.token()));
        let (host, requests) = Host::channel(HOST_BUFFER);
        let host = host.masked_by(redactor);
        let way_out = EgressProxy::door(
            settings
                .egress
                .as_ref()
                .map_or(EgressPolicy::None, Into::into),
            self.context.guard.clone(),
            host.clone(),
            EgressLimits::default(),
        );
        let doors = way_out.into_iter().chain(inside.map(ModelDoor::door));
        tools.set_doors(&Vec::from_iter(doors));
        let turn = self.turn(spec.prompt, settings)?;
        let cancel = self.heart.cancel();
        let running = async {
            let report = engine::run_turn(turn, &model, &tools, host, cancel.clone()).await;
            // What answers behind them holds the host, whose end is waited for.
            tools.set_doors(&[]);
            report
        };
        let working = async {
            let (report, ()) = tokio::join!(running, host::serve(&self.outbox, requests));
            report
        };
        let stopped = TurnReport {
            outcome: TurnOutcome::Interrupted,
            usage: proto::Usage::default(),
            error: None,
        };
        let report = within_grace(cancel, working, GRACE).await;
        Ok(report.unwrap_or(stopped))
    }

    fn model(&self) -> Result<ModelClient, Failure> {
        let config = ModelConfig {
            retry: RetryPolicy {
                max_attempts: MODEL_ATTEMPTS,
                ..RetryPolicy::default()
            },
            ..ModelConfig::new(Provider::Anthropic, self.lease_token(), self.to_server()?)
        };
        let client = ModelClient::new(config.with_base_url(self.attempt_url()));
        client.map_err(|error| Failure::Refused(error.message))
    }

    /// Where programs inside may ask the model, if the workspace lets them.
    fn model_door(&self, settings: &WorkspaceSettings) -> Result<Option<Arc<ModelDoor>>, Failure> {
        if !settings.model_access {
            return Ok(None);
        }
        let door = ModelDoor::new(self.attempt_url(), self.lease_token(), &self.to_server()?)?;
        Ok(Some(Arc::new(door)))
    }

    /// Where the server answers for this attempt.
    fn attempt_url(&self) -> String {
        let server = &self.context.config.server;
        format!(
            "{server}runs/{}/attempts/{}",
            self.run.id, self.lease.attempt
        )
    }

    fn lease_token(&self) -> SecretString {
        self.lease.token.clone().into()
    }

    /// Reaches the operator's own server, wherever it is.
    fn to_server(&self) -> Result<EgressGuard, Failure> {
        let server = &self.context.config.server;
        let host = server.host_str().unwrap_or_default();
        let port = server.port_or_known_default().unwrap_or_default();
        let rule = format!("{host}:{port}").parse::<AllowRule>();
        let rule = rule.map_err(|error| Failure::Refused(error.to_string()))?;
        Ok(EgressGuard::new(vec![rule]))
    }

    fn toolbox(&self, settings: &WorkspaceSettings) -> Result<Arc<Toolbox>, Failure> {
        let tools = Toolbox::new(self.directory.place(), self.context.sandbox.clone())
            .map_err(|error| Failure::Refused(error.to_string()))?;
        let variables = settings.environment.iter();
        let variables: Vec<_> = variables
            .map(|variable| (variable.name.clone(), variable.value.clone()))
            .collect();
        tools.set_environment(&variables);
        tools.hide_toolchains(&settings.hidden_toolchains);
        Ok(Arc::new(tools))
    }

    fn turn(&self, prompt: String, settings: WorkspaceSettings) -> Result<TurnSpec, Failure> {
        let message = Event {
            turn_id: self.run.id.clone(),
            payload: Some(EventPayload {
                kind: Some(Kind::UserMessage(UserMessage {
                    text: prompt,
                    ..UserMessage::default()
                })),
                ..EventPayload::default()
            }),
            ..Event::default()
        };
        let used = self.run.usage.unwrap_or_default();
        Ok(TurnSpec {
            takes_mcp: mcp::is_compatible(settings.provider(), &settings.base_url),
            mcp_servers: vec![self.built_in()?],
            thinking_budget_tokens: u32::try_from(settings.thinking_budget_tokens)
                .unwrap_or_default(),
            system_prompt: match settings.system_prompt_mode() {
                SystemPromptMode::Append => SystemPrompt::Append(settings.system_prompt.clone()),
                SystemPromptMode::Replace => SystemPrompt::Replace(settings.system_prompt.clone()),
                _ => SystemPrompt::Default,
            },
            permission_mode: self.permissions(&settings),
            model: settings.model,
            allowed_tools: settings.allowed_tools,
            history: vec![message],
            max_requests: MAX_REQUESTS,
            meter: Meter::new(settings.limits.unwrap_or_default().into(), used),
        })
    }

    /// The server's own tools, with the lease's token.
    fn built_in(&self) -> Result<McpServer, Failure> {
        Ok(McpServer {
            name: mcp::BUILT_IN.to_owned(),
            transport: Transport::Http {
                url: format!("{}/mcp", self.attempt_url()),
                token: self.lease_token(),
                guard: self.to_server()?,
            },
        })
    }

    /// Nobody is there to ask: where the kernel keeps an agent in its place, what is allowed runs
    /// without asking.
    fn permissions(&self, settings: &WorkspaceSettings) -> PermissionMode {
        if self.context.sandbox.state() == SandboxState::Enforced {
            return PermissionMode::BypassPermissions;
        }
        match settings.permission_mode() {
            proto::PermissionMode::AcceptEdits => PermissionMode::AcceptEdits,
            _ => PermissionMode::Default,
        }
    }
}
