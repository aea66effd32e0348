//! ScheduleService, and what its calls are about.

use membrane_proto::v1 as proto;
use membrane_server::{db::RequestKey, id::WorkspaceId, schedules::NewSchedule};

use super::{Allowed, Cast, Method, mask, one};
use crate::fixture::TestServer;

/// A schedule in a workspace.
pub async fn furnish(server: &TestServer, cast: &Cast, workspace: WorkspaceId) -> String {
    let new = NewSchedule {
        workspace,
        user: cast.owner.id,
        title: "x".to_owned(),
        given: schedule(),
        by_agent: false,
        key: RequestKey {
            user_id: cast.owner.id,
            request_id: None,
            method: "CreateSchedule",
        },
    };
    let made = server.app.schedules.create(new).await;
    made.expect("a schedule").id.to_string()
}

fn schedule() -> proto::Schedule {
    proto::Schedule {
        cron: "0 3 * * *".to_owned(),
        time_zone: "UTC".to_owned(),
        spec: Some(proto::RunSpec {
            prompt: "x".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub const METHODS: &[Method] = &[
    (
        "ScheduleService/CreateSchedule",
        Allowed::Editors,
        |place| {
            one(proto::CreateScheduleRequest {
                workspace_id: place.workspace.clone(),
                schedule: Some(schedule()),
                request_id: String::new(),
            })
        },
    ),
    ("ScheduleService/GetSchedule", Allowed::Viewers, |place| {
        one(proto::GetScheduleRequest {
            workspace_id: place.workspace.clone(),
            schedule_id: place.schedule.clone(),
        })
    }),
    ("ScheduleService/ListSchedules", Allowed::Viewers, |place| {
        one(proto::ListSchedulesRequest {
            workspace_id: place.workspace.clone(),
        })
    }),
    (
        "ScheduleService/UpdateSchedule",
        Allowed::Editors,
        |place| {
            one(proto::UpdateScheduleRequest {
                workspace_id: place.workspace.clone(),
                schedule: Some(proto::Schedule {
                    id: place.schedule.clone(),
                    title: "y".to_owned(),
                    ..schedule()
                }),
                update_mask: mask("title"),
                etag: String::new(),
            })
        },
    ),
    (
        "ScheduleService/DeleteSchedule",
        Allowed::Editors,
        |place| {
            one(proto::DeleteScheduleRequest {
                workspace_id: place.workspace.clone(),
                schedule_id: place.schedule.clone(),
            })
        },
    ),
    ("ScheduleService/RunSchedule", Allowed::Editors, |place| {
        one(proto::RunScheduleRequest {
            workspace_id: place.workspace.clone(),
            schedule_id: place.schedule.clone(),
            request_id: String::new(),
        })
    }),
    ("ScheduleService/PreviewSchedule", Allowed::Users, |_| {
        one(proto::PreviewScheduleRequest {
            cron: "0 3 * * *".to_owned(),
            time_zone: "UTC".to_owned(),
        })
    }),
];
