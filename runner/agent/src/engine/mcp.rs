//! The MCP servers of a turn, connected before the model is asked for the first time. One that can't
//! be had takes nothing from the turn but its tools, and the log says so.

use std::pin::pin;

use futures::future::{Either, select};
use membrane_proto::v1::event_payload::Kind;

use super::{Stop, Turn};
use crate::{
    host::HostGone,
    mcp::{ConnectError, Connection, McpServer, is_offered},
};

const UNSUPPORTED: &str = "MCP_UNSUPPORTED";
const UNAVAILABLE: &str = "MCP_UNAVAILABLE";

impl Turn<'_> {
    /// Connects to the servers of which any tool is allowed.
    pub(super) async fn connect(&mut self) -> Result<(), Stop> {
        let mut servers = std::mem::take(&mut self.spec.mcp_servers);
        servers.retain(|server| is_offered(&self.spec.allowed_tools, server));
        if servers.is_empty() {
            return Ok(());
        }
        if !self.spec.takes_mcp {
            return Ok(self.tell_unsupported().await?);
        }
        for server in servers {
            self.connect_to(server).await?;
        }
        Ok(())
    }

    async fn connect_to(&mut self, server: McpServer) -> Result<(), Stop> {
        let name = server.name.clone();
        let connecting = Connection::open(server);
        let connected = match select(pin!(self.stopped()), pin!(connecting)).await {
            Either::Left((stop, _)) => return Err(stop),
            Either::Right((connected, _)) => connected,
        };
        match connected {
            Ok(connection) => self.mcp.add(connection),
            Err(error) => self.tell_unavailable(&name, &error).await?,
        }
        Ok(())
    }

    async fn tell_unavailable(&mut self, name: &str, error: &ConnectError) -> Result<(), HostGone> {
        let source = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(mcp.server = name, %error, error.source = source, "an MCP server can't be had");
        let message = format!(
            "The tools of the MCP server {name} are not offered in this turn: the server could not be reached."
        );
        self.notice(UNAVAILABLE, &message).await
    }

    /// Said once in a conversation: the settings are no news in its second turn.
    async fn tell_unsupported(&mut self) -> Result<(), HostGone> {
        let is_notice =
            |kind: &Kind| matches!(kind, Kind::Notice(notice) if notice.reason == UNSUPPORTED);
        let mut kinds = self
            .log
            .iter()
            .filter_map(|event| event.payload.as_ref()?.kind.as_ref());
        if kinds.any(is_notice) {
            return Ok(());
        }
        let message = "MCP tools are not offered here: the provider of this workspace's model changes the schemas of tools in ways that MCP servers do not expect. With another provider they are.";
        self.notice(UNSUPPORTED, message).await
    }
}
