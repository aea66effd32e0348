//! Tools of MCP servers: which are offered and under which names, and one call that never fails
//! otherwise than as a tool's output. How a server is reached is [`connect`]'s matter; whether a call
//! may run is the engine's.

mod connect;
mod names;
mod output;

use std::time::Duration;

use membrane_proto::v1::Provider;
use rmcp::{
    model::{CallToolRequestParams, Tool},
    service::ServiceError,
};
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::tools::{ToolDefinition, ToolInvocation, ToolOutput};

pub(crate) use connect::Connection;
pub use connect::{ConnectError, McpServer, Transport};
pub use names::{BUILT_IN, is_allowed, tool_name};

/// How long a call may take.
const CALL_TIME: Duration = Duration::from_mins(2);

/// Whether a model behind this provider is offered MCP tools. OpenRouter translates the schemas of
/// tools for other models' APIs, and what it makes of these is not what the servers said.
#[must_use]
pub fn is_compatible(provider: Provider, base_url: &str) -> bool {
    match provider {
        Provider::Openrouter => false,
        Provider::Custom => !is_openrouter(base_url),
        Provider::Unspecified | Provider::Anthropic | Provider::Demo => true,
    }
}

fn is_openrouter(base_url: &str) -> bool {
    let url = Url::parse(base_url);
    let Some(Host::Domain(name)) = url.as_ref().ok().and_then(Url::host) else {
        return false;
    };
    let name = name.trim_end_matches('.');
    name == "openrouter.ai" || name.ends_with(".openrouter.ai")
}

/// Whether any tool of a server may be allowed by a list.
pub(crate) fn is_offered(allowed: &[String], server: &McpServer) -> bool {
    names::has_any_of(allowed, &server.name)
}

/// The tools of the servers that a turn is connected to. Dropping it ends the connections.
#[derive(Debug, Default)]
pub(crate) struct McpTools {
    connections: Vec<Connection>,
}

impl McpTools {
    /// Adds those of one more server.
    pub(crate) fn add(&mut self, connection: Connection) {
        self.connections.push(connection);
    }

    /// The definitions of those tools that are allowed, in the order of their servers. A tool whose
    /// name no model could say is left out.
    pub(crate) fn definitions(&self, allowed: &[String]) -> Vec<ToolDefinition> {
        let all = self.connections.iter().flat_map(|connection| {
            let tools = connection.tools.iter();
            tools.filter_map(|tool| Some((connection.name_of(tool)?, tool)))
        });
        all.filter(|(name, _)| is_allowed(allowed, name))
            .map(|(name, tool)| definition(name, tool))
            .collect()
    }

    /// Whether there is a tool of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Runs one call. It never fails: every error is an output that says so. Dropping the future
    /// gives the call up, as `cancel` does.
    pub(crate) async fn call(
        &self,
        call: ToolInvocation,
        cancel: &CancellationToken,
    ) -> ToolOutput {
        let Some((connection, tool)) = self.find(&call.name) else {
            return ToolOutput::error(format!("There is no tool named {}.", call.name));
        };
        let mut params = CallToolRequestParams::new(tool.name.clone());
        if let Value::Object(input) = call.input {
            params = params.with_arguments(input);
        }
        let calling = timeout(CALL_TIME, connection.service.call_tool(params));
        match cancel.run_until_cancelled(calling).await {
            Some(Ok(Ok(result))) => output::of(result),
            Some(Ok(Err(error))) => failed(&connection.name, error),
            Some(Err(_)) => unknown(&connection.name, "did not answer in time"),
            None => unknown(&connection.name, "had not answered before the interrupt"),
        }
    }

    fn find(&self, name: &str) -> Option<(&Connection, &Tool)> {
        self.connections.iter().find_map(|connection| {
            let is_it = |tool: &&Tool| connection.name_of(tool).as_deref() == Some(name);
            Some((connection, connection.tools.iter().find(is_it)?))
        })
    }
}

fn definition(name: String, tool: &Tool) -> ToolDefinition {
    ToolDefinition {
        name: name.into(),
        description: tool.description.clone().unwrap_or_default(),
        input_schema: Value::Object((*tool.input_schema).clone()),
    }
}

/// What the model is told of a call that failed. What a library or the network says goes to the log.
fn failed(server: &str, error: ServiceError) -> ToolOutput {
    if let ServiceError::McpError(error) = error {
        return ToolOutput::error(format!("The call was refused: {}", error.message));
    }
    tracing::warn!(mcp.server = server, %error, "a call of an MCP server's tool failed");
    unknown(server, "could not be reached, or stopped answering")
}

fn unknown(server: &str, what: &str) -> ToolOutput {
    ToolOutput::error(format!(
        "The MCP server {server} {what}, so nobody knows whether the call had an effect. Look before you call again."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openrouter_is_known_by_its_name_and_by_its_address() {
        let custom = |base_url| is_compatible(Provider::Custom, base_url);
        assert!(!is_compatible(Provider::Openrouter, ""));
        assert!(!custom("https://openrouter.ai/api"));
        assert!(!custom("https://OpenRouter.ai./api/v1"));
        assert!(!custom("https://eu.openrouter.ai/api"));
        assert!(custom("https://notopenrouter.ai/api"));
        assert!(custom("https://models.example/openrouter.ai"));
        assert!(is_compatible(Provider::Anthropic, ""));
        assert!(is_compatible(Provider::Demo, ""));
    }
}
