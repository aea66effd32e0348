//! Work that agents ask for does not multiply.

use super::*;
use crate::runs::{Desk, claim};
use crate::turns::result_of;

/// Lets the agent of a session do these calls, and answers what it was told.
async fn play(user: &Caller, workspace: &str, lines: &[String]) -> Vec<(String, bool)> {
    let session = user.new_session(workspace).await;
    user.say(&session, &lines.join("\n")).await.expect("sent");
    user.until_turn_ended(&session, 1).await;
    result_of(&user.history(&session).await)
}

/// What each tool says to the agent of the next run, called with what would be right otherwise.
async fn tools_of_next_run(server: &TestServer, desk: &Desk, plan: &str) -> Vec<(String, bool)> {
    let (run, lease) = claim(&desk.runner).await.expect("a run");
    let calls = [
        ("list_runs", json!({})),
        ("get_run", json!({ "run_id": run.id })),
        ("list_schedules", json!({})),
        ("create_run", json!({ "prompt": "x" })),
        ("run_schedule", json!({ "schedule_id": plan })),
        ("create_schedule", nightly()),
        (
            "update_schedule",
            json!({ "schedule_id": plan, "title": "y" }),
        ),
        ("delete_schedule", json!({ "schedule_id": plan })),
        ("cancel_run", json!({ "run_id": run.id })),
    ];
    let mut answers = Vec::new();
    for (tool, input) in calls {
        answers.push(super::of_runs::call(server, &lease, tool, input).await);
    }
    answers
}

fn starts_nothing(answers: &[(String, bool)]) {
    let refused: Vec<bool> = answers.iter().map(|(_, is_error)| *is_error).collect();
    let expected = [false, false, false, true, true, true, true, true, false];
    assert_eq!(refused, expected, "{answers:?}");
    for (text, _) in &answers[3..8] {
        assert!(text.contains("an agent has asked for this run"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_an_agent_asked_for_starts_nothing() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.user.bypass_permissions(&desk.workspace).await;
    let plan = schedule(&desk.user, &desk.workspace).await.id;
    let lines = [line("create_run", &json!({ "prompt": "x" }))];
    play(&desk.user, &desk.workspace, &lines).await;
    let answers = tools_of_next_run(&server, &desk, &plan).await;
    starts_nothing(&answers);
    assert_eq!(runs(&desk.user, &desk.workspace).await.len(), 1);
    assert_eq!(schedules(&desk.user, &desk.workspace).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_of_a_schedule_that_an_agent_has_made_or_changed() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.user.bypass_permissions(&desk.workspace).await;
    let plan = schedule(&desk.user, &desk.workspace).await;
    assert!(!plan.by_agent);
    let run_now = async |id: &str| {
        let request = proto::RunScheduleRequest {
            workspace_id: desk.workspace.clone(),
            schedule_id: id.to_owned(),
            ..Default::default()
        };
        let answer = desk.user.schedules().run_schedule(request).await;
        answer.expect("queued").into_inner().run.expect("a run")
    };
    let by_a_person = run_now(&plan.id).await;
    assert!(!by_a_person.by_agent);
    desk.cancel(&by_a_person).await;
    let change = json!({ "schedule_id": plan.id, "prompt": "!say Something else." });
    let lines = [
        line("update_schedule", &change),
        line("create_schedule", &nightly()),
    ];
    let results = play(&desk.user, &desk.workspace, &lines).await;
    assert!(results.iter().all(|(_, is_error)| !is_error), "{results:?}");
    for made in schedules(&desk.user, &desk.workspace).await {
        assert!(made.by_agent, "{made:?}");
        assert!(run_now(&made.id).await.by_agent);
        starts_nothing(&tools_of_next_run(&server, &desk, &plan.id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_leave_room_for_people() {
    let server = TestServer::start().await;
    let desk = Desk::new(&server).await;
    desk.user.bypass_permissions(&desk.workspace).await;
    let run = line("create_run", &json!({ "prompt": "x" }));
    let results = play(&desk.user, &desk.workspace, &vec![run; 51]).await;
    assert!(
        results[..50].iter().all(|(_, is_error)| !is_error),
        "{results:?}"
    );
    let (text, is_error) = &results[50];
    assert!(
        *is_error && text.contains("agents can have at most 50"),
        "{text}"
    );
    let plan = line("create_schedule", &nightly());
    let results = play(&desk.user, &desk.workspace, &vec![plan; 21]).await;
    assert!(
        results[..20].iter().all(|(_, is_error)| !is_error),
        "{results:?}"
    );
    let (text, is_error) = &results[20];
    assert!(
        *is_error && text.contains("agents can have at most 20"),
        "{text}"
    );
    desk.queue("a person's").await;
    schedule(&desk.user, &desk.workspace).await;
}
