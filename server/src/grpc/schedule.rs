//! ScheduleService.

use membrane_entity::schedule;
use membrane_proto::v1::{self as proto, schedule_service_server::ScheduleService};
use tonic::{Request, async_trait};

use super::{Answer, answer, decode, principal, run};
use crate::{
    authz::{Operation, Permit, Principal, Resource},
    db::RequestKey,
    error::Error,
    id::ScheduleId,
    schedules::{FireTime, NewSchedule, Policies, Rule, stored_spec},
    server::App,
    time::timestamp,
};

/// Times that are told ahead.
const AHEAD: usize = 5;

#[derive(Debug)]
pub struct Service(pub App);

#[async_trait]
impl ScheduleService for Service {
    async fn create_schedule(
        &self,
        request: Request<proto::CreateScheduleRequest>,
    ) -> Answer<proto::CreateScheduleResponse> {
        let caller = principal(&request);
        answer(self.create(caller, request.into_inner()).await)
    }

    async fn get_schedule(
        &self,
        request: Request<proto::GetScheduleRequest>,
    ) -> Answer<proto::GetScheduleResponse> {
        let caller = principal(&request);
        answer(self.get(caller, request.into_inner()).await)
    }

    async fn list_schedules(
        &self,
        request: Request<proto::ListSchedulesRequest>,
    ) -> Answer<proto::ListSchedulesResponse> {
        let caller = principal(&request);
        answer(self.list(caller, request.into_inner()).await)
    }

    async fn update_schedule(
        &self,
        request: Request<proto::UpdateScheduleRequest>,
    ) -> Answer<proto::UpdateScheduleResponse> {
        let caller = principal(&request);
        answer(self.update(caller, request.into_inner()).await)
    }

    async fn delete_schedule(
        &self,
        request: Request<proto::DeleteScheduleRequest>,
    ) -> Answer<proto::DeleteScheduleResponse> {
        let caller = principal(&request);
        answer(self.delete(caller, request.into_inner()).await)
    }

    async fn run_schedule(
        &self,
        request: Request<proto::RunScheduleRequest>,
    ) -> Answer<proto::RunScheduleResponse> {
        let caller = principal(&request);
        answer(self.run_now(caller, request.into_inner()).await)
    }

    async fn preview_schedule(
        &self,
        request: Request<proto::PreviewScheduleRequest>,
    ) -> Answer<proto::PreviewScheduleResponse> {
        let caller = principal(&request);
        answer(self.preview(caller, request.into_inner()).await)
    }
}

impl Service {
    async fn permit(
        &self,
        caller: Option<&Principal>,
        operation: Operation,
        workspace_id: &str,
    ) -> Result<Permit, Error> {
        self.0.permit_in(caller, operation, workspace_id).await
    }

    pub(crate) async fn create(
        &self,
        caller: Option<Principal>,
        request: proto::CreateScheduleRequest,
    ) -> Result<proto::CreateScheduleResponse, Error> {
        let manage = Operation::ManageSchedules;
        let permit = self
            .permit(caller.as_ref(), manage, &request.workspace_id)
            .await?;
        let given = request
            .schedule
            .ok_or_else(|| Error::invalid("schedule", "is required"))?;
        let prompt = given.spec.clone().unwrap_or_default().prompt;
        let new = NewSchedule {
            workspace: permit.workspace,
            user: permit.user_id(),
            title: run::title("schedule.title", &given.title, &prompt)?,
            given,
            by_agent: permit.principal.is_agent(),
            key: RequestKey {
                user_id: permit.user_id(),
                request_id: decode::request_id(&request.request_id)?,
                method: "CreateSchedule",
            },
        };
        let row = self.0.schedules.create(new).await?;
        Ok(proto::CreateScheduleResponse {
            schedule: Some(self.encode(row)?),
        })
    }

    pub(crate) async fn get(
        &self,
        caller: Option<Principal>,
        request: proto::GetScheduleRequest,
    ) -> Result<proto::GetScheduleResponse, Error> {
        let read = Operation::ReadSchedules;
        let permit = self
            .permit(caller.as_ref(), read, &request.workspace_id)
            .await?;
        let id = id(&request.schedule_id)?;
        let row = self.0.schedules.get(permit.workspace, id).await?;
        Ok(proto::GetScheduleResponse {
            schedule: Some(self.encode(row)?),
        })
    }

    pub(crate) async fn list(
        &self,
        caller: Option<Principal>,
        request: proto::ListSchedulesRequest,
    ) -> Result<proto::ListSchedulesResponse, Error> {
        let read = Operation::ReadSchedules;
        let permit = self
            .permit(caller.as_ref(), read, &request.workspace_id)
            .await?;
        let rows = self.0.database.schedules(permit.workspace).await?;
        let encoded = rows.into_iter().map(|row| self.encode(row));
        Ok(proto::ListSchedulesResponse {
            schedules: encoded.collect::<Result<_, _>>()?,
        })
    }

    pub(crate) async fn update(
        &self,
        caller: Option<Principal>,
        request: proto::UpdateScheduleRequest,
    ) -> Result<proto::UpdateScheduleResponse, Error> {
        let manage = Operation::ManageSchedules;
        let permit = self
            .permit(caller.as_ref(), manage, &request.workspace_id)
            .await?;
        let given = request
            .schedule
            .ok_or_else(|| Error::invalid("schedule", "is required"))?;
        let id = id(&given.id)?;
        let paths = decode::mask(request.update_mask)?;
        let etag = decode::etag(&request.etag)?;
        let schedules = &self.0.schedules;
        let by_agent = permit.principal.is_agent();
        let row = schedules.update(permit.workspace, id, etag, &given, &paths, by_agent);
        Ok(proto::UpdateScheduleResponse {
            schedule: Some(self.encode(row.await?)?),
        })
    }

    pub(crate) async fn delete(
        &self,
        caller: Option<Principal>,
        request: proto::DeleteScheduleRequest,
    ) -> Result<proto::DeleteScheduleResponse, Error> {
        let manage = Operation::ManageSchedules;
        let permit = self
            .permit(caller.as_ref(), manage, &request.workspace_id)
            .await?;
        let id = id(&request.schedule_id)?;
        if !self
            .0
            .database
            .delete_schedule(permit.workspace, id)
            .await?
        {
            return Err(Error::NotFound("schedule"));
        }
        Ok(proto::DeleteScheduleResponse {})
    }

    pub(crate) async fn run_now(
        &self,
        caller: Option<Principal>,
        request: proto::RunScheduleRequest,
    ) -> Result<proto::RunScheduleResponse, Error> {
        let create = Operation::CreateRun;
        let permit = self
            .permit(caller.as_ref(), create, &request.workspace_id)
            .await?;
        let key = RequestKey {
            user_id: permit.user_id(),
            request_id: decode::request_id(&request.request_id)?,
            method: "RunSchedule",
        };
        let id = id(&request.schedule_id)?;
        let by_agent = permit.principal.is_agent();
        let schedules = &self.0.schedules;
        let row = schedules.run_now(permit.workspace, id, by_agent, key);
        let row = row.await?;
        Ok(proto::RunScheduleResponse {
            run: Some(run::encode(&row)?),
        })
    }

    async fn preview(
        &self,
        caller: Option<Principal>,
        request: proto::PreviewScheduleRequest,
    ) -> Result<proto::PreviewScheduleResponse, Error> {
        let preview = Operation::PreviewSchedule;
        let authority = &self.0.authority;
        authority
            .permit(caller.as_ref(), preview, Resource::Server)
            .await?;
        let rule = Rule::parse(request.cron.trim(), request.time_zone.trim())?;
        Ok(proto::PreviewScheduleResponse {
            description: rule.describe(),
            next_times: self.ahead(&rule),
        })
    }

    fn encode(&self, row: schedule::Model) -> Result<proto::Schedule, Error> {
        let rule = Rule::parse(&row.cron, &row.time_zone).ok();
        let firing = rule.as_ref().filter(|_| row.enabled);
        let policies = Policies::of(&row);
        let spec = stored_spec(&row)?;
        let user = row.user_id.map(|id| id.to_string());
        Ok(proto::Schedule {
            id: row.id.to_string(),
            workspace_id: row.workspace_id.to_string(),
            user_id: user.unwrap_or_default(),
            spec: Some(spec.encode_template(&row.apply_mode)),
            enabled: row.enabled,
            disabled_reason: row.disabled_reason,
            missed_policy: policies.missed.into(),
            missed_limit: policies.missed_limit,
            overlap_policy: policies.overlap.into(),
            max_failures: policies.max_failures,
            failures: row.failures,
            last_error: row.last_error,
            description: rule.as_ref().map(Rule::describe).unwrap_or_default(),
            next_times: firing.map(|rule| self.ahead(rule)).unwrap_or_default(),
            last_slot_time: row.last_slot_time.map(timestamp),
            create_time: Some(timestamp(row.create_time)),
            etag: row.version.to_string(),
            title: row.title,
            cron: row.cron,
            time_zone: row.time_zone,
            by_agent: row.by_agent,
        })
    }

    fn ahead(&self, rule: &Rule) -> Vec<proto::FireTime> {
        let times = rule.upcoming(self.0.clock.now(), AHEAD).into_iter();
        times.map(fire_time).collect()
    }
}

fn fire_time(time: FireTime) -> proto::FireTime {
    proto::FireTime {
        time: Some(timestamp(time.time)),
        local_time: time.local,
        offset_changed: time.offset_changed,
    }
}

fn id(text: &str) -> Result<ScheduleId, Error> {
    decode::id(text, "schedule").map(ScheduleId)
}
