//! The tools as models are told about them.

use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};

/// Names of all tools, in the order in which they are offered.
pub const TOOLS: [&str; 9] = [
    "list_runs",
    "get_run",
    "create_run",
    "cancel_run",
    "list_schedules",
    "create_schedule",
    "update_schedule",
    "delete_schedule",
    "run_schedule",
];

/// All of them.
pub(super) fn all() -> Vec<Tool> {
    TOOLS.map(tool).to_vec()
}

fn tool(name: &'static str) -> Tool {
    let (description, properties, required): (_, _, &[&str]) = match name {
        "list_runs" => (LIST_RUNS, list_runs(), &[]),
        "get_run" => (GET_RUN, json!({ "run_id": run_id() }), &["run_id"]),
        "create_run" => (CREATE_RUN, create_run(), &["prompt"]),
        "cancel_run" => (CANCEL_RUN, json!({ "run_id": run_id() }), &["run_id"]),
        "list_schedules" => (LIST_SCHEDULES, json!({}), &[]),
        "create_schedule" => (
            CREATE_SCHEDULE,
            schedule_fields(),
            &["cron", "time_zone", "prompt"],
        ),
        "update_schedule" => (UPDATE_SCHEDULE, update_schedule(), &["schedule_id"]),
        "delete_schedule" => (DELETE_SCHEDULE, one_schedule(), &["schedule_id"]),
        _ => (RUN_SCHEDULE, one_schedule(), &["schedule_id"]),
    };
    Tool::new(name, description, schema(properties, required))
}

const LIST_RUNS: &str = "Lists the runs of this workspace, the latest first. A run is a job for an \
    agent that works on its own, from a copy of the workspace's files, and whose result comes back \
    when it has ended.";
const GET_RUN: &str = "Returns one run of this workspace: its state, its prompt, what became of its \
    result, and what it has used.";
const CREATE_RUN: &str = "Queues a run in this workspace: another agent does what the prompt says, \
    later and on its own, with the workspace's settings. It begins with the files as they are in the \
    workspace now; if you work in a run yourself, what you have changed in it is not among them. \
    Nobody can answer its questions, and it knows nothing of this conversation, so the prompt must \
    say everything. The agent of a run that you queue may not queue runs or manage schedules.";
const CANCEL_RUN: &str = "Cancels a run of this workspace. One that is queued ends at once, one that \
    is at work soon. Cancelling what has ended changes nothing.";
const LIST_SCHEDULES: &str = "Lists the schedules of this workspace, the latest first, with when they \
    fire next. A schedule queues a run whenever its rule fires.";
const CREATE_SCHEDULE: &str = "Makes a schedule in this workspace, which queues a run whenever its \
    rule fires, until it is disabled or deleted. Each run begins with the files as they are then and \
    knows nothing of this conversation, so the prompt must say everything. The agents of its runs \
    may not queue runs or manage schedules.";
const UPDATE_SCHEDULE: &str = "Changes a schedule of this workspace: enables or disables it, or changes \
    its rule or what its runs do. What is not given stays as it is. The agents of its runs may not \
    queue runs or manage schedules from then on.";
const DELETE_SCHEDULE: &str = "Deletes a schedule of this workspace for good. The runs that it has made stay. To pause it, \
    disable it with update_schedule instead.";
const RUN_SCHEDULE: &str = "Queues a run of a schedule of this workspace now, whatever its rule says. \
    When it fires next does not change.";

fn list_runs() -> Value {
    json!({
        "states": {
            "type": "array",
            "items": {
                "type": "string",
                "enum": ["queued", "claimed", "running", "succeeded", "failed", "cancelled"],
            },
            "description": "Only runs in these states; all if not given.",
        },
        "schedule_id": string("Only runs that this schedule has made."),
        "page_size": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "description": "At most so many; 20 if not given.",
        },
        "page_token": string("The next_page_token of the page before."),
    })
}

fn create_run() -> Value {
    json!({
        "prompt": prompt(),
        "title": title(),
        "apply": apply(),
        "timeout_seconds": timeout(),
    })
}

fn schedule_fields() -> Value {
    json!({
        "cron": string(
            "When it fires: five fields (minute, hour, day of the month, month, day of the week), \
             or one of @hourly, @daily, @weekly, @monthly, @yearly."
        ),
        "time_zone": string(
            "The zone in which cron is read, by its IANA name, such as Europe/Zurich or UTC."
        ),
        "prompt": prompt(),
        "title": title(),
        "enabled": {
            "type": "boolean",
            "description": "Whether it fires; a new one does if not given.",
        },
        "overlap": {
            "type": "string",
            "enum": ["skip", "queue", "cancel_previous"],
            "description": "What it does when it fires while its last run has not ended; a new one \
                skips if not given.",
        },
        "apply": apply(),
        "timeout_seconds": timeout(),
    })
}

fn update_schedule() -> Value {
    let mut fields = schedule_fields();
    fields["schedule_id"] = schedule_id();
    fields
}

fn one_schedule() -> Value {
    json!({ "schedule_id": schedule_id() })
}

fn run_id() -> Value {
    string("The run's id, a UUID, as create_run and list_runs tell it.")
}

fn schedule_id() -> Value {
    string("The schedule's id, a UUID, as create_schedule and list_schedules tell it.")
}

fn prompt() -> Value {
    string("What the agent of the run is to do, in full.")
}

fn title() -> Value {
    string("What people call it, at most 100 characters; the prompt's first words if not given.")
}

fn apply() -> Value {
    json!({
        "type": "string",
        "enum": ["if_unchanged", "manual"],
        "description": "What becomes of the files that a run has changed: if_unchanged brings them \
            into the workspace at once if its files have not changed meanwhile, manual leaves that \
            to people; if_unchanged if not given.",
    })
}

fn timeout() -> Value {
    json!({
        "type": "integer",
        "minimum": 1,
        "maximum": 86_400,
        "description": "How long one attempt at a run may work, in seconds; 3600 if not given.",
    })
}

fn string(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// The schema of an object. Every tool takes the workspace's id, which models tend to send.
fn schema(mut properties: Value, required: &[&str]) -> JsonObject {
    properties["workspace_id"] = string(
        "Not needed: the workspace is always the one that you work in, and any other is refused.",
    );
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}
