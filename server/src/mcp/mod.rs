//! The built-in MCP server: the runs and schedules of an agent's own workspace, as tools.
//!
//! A call is the method of RunService or ScheduleService with the same name, made as the user whose
//! turn or run it is: decoded into the same request, permitted by the same [`Authority`], checked
//! and done by the same code. What is added is that no other workspace can be named, and that work
//! does not multiply: an agent whose run an agent has asked for starts nothing
//! ([`Operation::starts_work`]).
//!
//! [`Authority`]: crate::authz::Authority
//! [`Operation::starts_work`]: crate::authz::Operation::starts_work

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::BoxBody;
use membrane_agent::mcp::{BUILT_IN, is_allowed, tool_name};
use membrane_entity::{run, session};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use tokio::io::DuplexStream;

use crate::{
    error::Error,
    id::{RunId, SessionId, UserId, WorkspaceId},
    runs::Spec,
    server::App,
    settings::Settings,
};

mod boundary;
mod definitions;
mod input;
mod runs;
mod schedules;
mod words;

pub use definitions::TOOLS;

/// Whose agent calls, and from where.
#[derive(Debug, Clone)]
struct Agent {
    /// As whom it acts; none if that user is gone.
    user: Option<UserId>,
    /// The workspace that it is in.
    workspace: WorkspaceId,
    /// Whether it may ask for more work.
    may_start_work: bool,
    /// The tools that the workspace's settings allow.
    allowed_tools: Vec<String>,
    /// The log of its session or run.
    stream: String,
}

/// The server as one agent sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BuiltIn {
    app: App,
    agent: Arc<Agent>,
}

impl BuiltIn {
    /// For a turn of a session.
    #[must_use]
    pub fn of_turn(app: App, user: UserId, session: &session::Model, settings: &Settings) -> Self {
        let agent = Agent {
            user: Some(user),
            workspace: WorkspaceId(session.workspace_id),
            may_start_work: true,
            allowed_tools: settings.allowed_tools.clone(),
            stream: SessionId(session.id).stream(),
        };
        Self {
            app,
            agent: Arc::new(agent),
        }
    }

    /// For a run.
    ///
    /// # Errors
    /// [`Error::Internal`] if its settings can't be read.
    pub fn of_run(app: App, run: &run::Model) -> Result<Self, Error> {
        let agent = Agent {
            user: run.user_id.map(UserId),
            workspace: WorkspaceId(run.workspace_id),
            may_start_work: !run.by_agent,
            allowed_tools: Spec::settings(run)?.allowed_tools,
            stream: RunId(run.id).stream(),
        };
        Ok(Self {
            app,
            agent: Arc::new(agent),
        })
    }

    /// Whether the workspace's settings allow a tool. The engine asks for no other, but it is not the
    /// only one that can call.
    fn allows(&self, tool: &str) -> bool {
        let name = tool_name(BUILT_IN, tool);
        name.is_some_and(|name| is_allowed(&self.agent.allowed_tools, &name))
    }

    /// Serves one connection until it closes.
    pub async fn serve(&self, connection: DuplexStream) {
        match self.clone().serve(connection).await {
            Ok(serving) => {
                if let Err(error) = serving.waiting().await {
                    tracing::error!(%error, "the built-in MCP server failed");
                }
            }
            // An agent that is offered none of the tools closes it at once.
            Err(error) => tracing::debug!(%error, "the built-in MCP server was not used"),
        }
    }

    /// Answers one HTTP request. Nothing is kept between requests.
    pub async fn answer<B>(
        self,
        request: Request<B>,
    ) -> Response<BoxBody<Bytes, std::convert::Infallible>>
    where
        B: Body<Error: std::fmt::Display> + Send + 'static,
    {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            // Who may call by which name is decided around all routes.
            .disable_allowed_hosts();
        let sessions = Arc::new(NeverSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(self.clone()), sessions, config);
        service.handle(request).await
    }
}

impl ServerHandler for BuiltIn {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(BUILT_IN, env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut tools = definitions::all();
        tools.retain(|tool| self.allows(&tool.name));
        Ok(ListToolsResult::with_all_items(tools))
    }

    /// Every error is the answer of a tool, in words that the model can act on.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let calling = self.call(&request.name, arguments);
        // Whoever is interrupted starts nothing any more.
        let called = context.ct.run_until_cancelled(calling).await;
        let result = match called.unwrap_or(Err(Error::Cancelled)) {
            Ok(value) => CallToolResult::success(vec![ContentBlock::text(value.to_string())]),
            Err(error) => {
                error.log();
                CallToolResult::error(vec![ContentBlock::text(error.public_message())])
            }
        };
        Ok(result.into())
    }
}
