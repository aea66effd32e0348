//! ActivityService.

use membrane_agent::egress::{PRESETS, Preset};
use membrane_proto::v1::{
    self as proto, activity_entry, activity_service_server::ActivityService, event_payload,
    tool_result::Detail,
};
use tonic::Request;

use super::{Answer, answer, principal};
use crate::{
    authz::{Operation, Principal, Resource},
    db::{Activity, ActivityFilter},
    error::Error,
    page::{Keyset, Page},
    server::App,
    time::timestamp,
};

/// Tag of page tokens.
const ACTIVITY: u8 = 9;

pub struct Service(pub App);

#[tonic::async_trait]
impl ActivityService for Service {
    async fn list_activity(
        &self,
        request: Request<proto::ListActivityRequest>,
    ) -> Answer<proto::ListActivityResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn list_egress_presets(
        &self,
        request: Request<proto::ListEgressPresetsRequest>,
    ) -> Answer<proto::ListEgressPresetsResponse> {
        let caller = principal(&request);
        answer(self.presets(caller).await)
    }
}

impl Service {
    async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListActivityRequest,
    ) -> Result<proto::ListActivityResponse, Error> {
        let permit = self
            .0
            .permit_in(
                caller.as_ref(),
                Operation::ReadActivity,
                &request.workspace_id,
            )
            .await?;
        let page = Page::parse(ACTIVITY, request.page_size, &request.page_token)?;
        let filter = decode_filter(request.filter());
        let mut rows = self
            .0
            .database
            .list_activity(permit.workspace, filter, &request.host, &page)
            .await?;
        let next_page_token = page.cut(&mut rows, |row| Keyset {
            time: row.create_time,
            id: row.id,
        });
        Ok(proto::ListActivityResponse {
            entries: rows.into_iter().map(encode).collect(),
            next_page_token,
        })
    }

    async fn presets(
        &self,
        caller: Option<Principal>,
    ) -> Result<proto::ListEgressPresetsResponse, Error> {
        self.0
            .authority
            .permit(
                caller.as_ref(),
                Operation::ListEgressPresets,
                Resource::Server,
            )
            .await?;
        Ok(proto::ListEgressPresetsResponse {
            presets: PRESETS.iter().map(encode_preset).collect(),
        })
    }
}

fn decode_filter(filter: proto::ActivityFilter) -> ActivityFilter {
    match filter {
        proto::ActivityFilter::Unspecified => ActivityFilter::All,
        proto::ActivityFilter::Allowed => ActivityFilter::Allowed,
        proto::ActivityFilter::Refused => ActivityFilter::Refused,
        proto::ActivityFilter::Totals => ActivityFilter::Totals,
        proto::ActivityFilter::Limits => ActivityFilter::Limits,
    }
}

fn encode(activity: Activity) -> proto::ActivityEntry {
    use activity_entry::Kind;
    let kind = activity.kind.and_then(|kind| match kind {
        event_payload::Kind::EgressDecision(decision) => Some(Kind::EgressDecision(decision)),
        event_payload::Kind::EgressTotals(totals) => Some(Kind::EgressTotals(totals)),
        event_payload::Kind::LimitMet(met) => Some(Kind::LimitMet(met)),
        event_payload::Kind::ToolResult(result) => limit_of(result).map(Kind::SandboxLimit),
        _ => None,
    });
    proto::ActivityEntry {
        id: activity.id.to_string(),
        session_id: activity.session.to_string(),
        sequence: activity.sequence,
        create_time: Some(timestamp(activity.create_time)),
        kind,
    }
}

fn limit_of(result: proto::ToolResult) -> Option<proto::SandboxLimit> {
    let Some(Detail::Command(command)) = result.detail else {
        return None;
    };
    Some(proto::SandboxLimit {
        tool_call_id: result.tool_call_id,
        limit: command.exceeded_limit,
    })
}

fn encode_preset(preset: &Preset) -> proto::EgressPreset {
    proto::EgressPreset {
        name: preset.name.clone(),
        title: preset.title.clone(),
        purpose: preset.purpose.clone(),
        hosts: preset.hosts.clone(),
    }
}
