//! What commands may reach, and what is written down of it.

use std::net::SocketAddr;

use membrane_proto::v1::{
    self as proto, ActivityFilter, EgressMode, EgressPolicy, EgressVerdict, activity_entry,
    event_payload::Kind,
};
use membrane_server::db::NewEvent;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::fixture::{Caller, TestServer};

/// A server on this machine, which the fixture's operator allows.
async fn outside() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\nfrom outside";
            let _ = stream.write_all(answer).await;
        }
    });
    address
}

fn listed(hosts: &[&str]) -> EgressPolicy {
    EgressPolicy {
        mode: EgressMode::Listed.into(),
        presets: vec!["rust".to_owned()],
        hosts: hosts.iter().map(ToString::to_string).collect(),
    }
}

async fn set(user: &Caller, workspace: &str, egress: EgressPolicy) -> Result<EgressPolicy, Status> {
    let request = proto::UpdateWorkspaceRequest {
        workspace: Some(proto::Workspace {
            id: workspace.to_owned(),
            settings: Some(proto::WorkspaceSettings {
                egress: Some(egress),
                ..Default::default()
            }),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["settings.egress".to_owned()],
        }),
        ..Default::default()
    };
    let answer = user.workspaces().update_workspace(request).await?;
    let workspace = answer.into_inner().workspace.expect("a workspace");
    Ok(workspace
        .settings
        .and_then(|settings| settings.egress)
        .expect("a policy"))
}

async fn activity(
    user: &Caller,
    request: proto::ListActivityRequest,
) -> proto::ListActivityResponse {
    let answer = user.activity().list_activity(request).await;
    answer.expect("activity").into_inner()
}

/// Runs a command in a turn of its own; what it printed. It asks the proxy for addresses of the
/// machine as well.
async fn run(user: &Caller, session: &str, turn: usize, command: &str) -> String {
    user.say(
        session,
        &format!("!bash export NO_PROXY= no_proxy=; {command}"),
    )
    .await
    .expect("sent");
    user.until_turn_ended(session, turn).await;
    let history = user.history(session).await;
    let last =
        history
            .iter()
            .rev()
            .find_map(|event| match event.payload.as_ref()?.kind.as_ref()? {
                Kind::ToolResult(result) => Some(format!("{:?}", result.content)),
                _ => None,
            });
    last.expect("a result")
}

fn verdicts(entries: &[proto::ActivityEntry]) -> Vec<Option<(String, EgressVerdict)>> {
    let verdict = |entry: &proto::ActivityEntry| match entry.kind.as_ref() {
        Some(activity_entry::Kind::EgressDecision(told)) => {
            Some((told.host.clone(), told.verdict()))
        }
        _ => None,
    };
    entries.iter().map(verdict).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_host_is_told_allowed_and_reached() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    user.bypass_permissions(&workspace).await;
    let session = user.new_session(&workspace).await;
    let outside = outside().await;
    let fetch = format!("curl -sS http://{outside}/");

    let said = run(&user, &session, 1, &fetch).await;
    assert!(!said.contains("from outside"), "no policy, no way: {said}");
    set(&user, &workspace, listed(&["example.com"]))
        .await
        .expect("set");
    let said = run(&user, &session, 2, &fetch).await;
    assert!(said.contains("is not on this workspace's list"), "{said}");
    set(
        &user,
        &workspace,
        listed(&["example.com", &outside.to_string()]),
    )
    .await
    .expect("set");
    let said = run(&user, &session, 3, &fetch).await;
    assert!(said.contains("from outside"), "{said}");

    let host = outside.ip().to_string();
    let all = activity(
        &user,
        proto::ListActivityRequest {
            workspace_id: workspace.clone(),
            ..Default::default()
        },
    )
    .await;
    let expected = [
        None,
        Some((host.clone(), EgressVerdict::Allowed)),
        None,
        Some((host.clone(), EgressVerdict::NotListed)),
    ];
    assert_eq!(verdicts(&all.entries), expected);
    let Some(activity_entry::Kind::EgressTotals(totals)) = &all.entries[0].kind else {
        panic!("no totals: {:?}", all.entries[0]);
    };
    assert_eq!((totals.connection_count, totals.refused_count), (1, 0));
    assert!(
        totals.received_bytes > 12 && totals.sent_bytes > 0,
        "{totals:?}"
    );
    // Each entry is an event of its session.
    let history = user.history(&session).await;
    for entry in &all.entries {
        assert_eq!(entry.session_id, session);
        let event = history
            .iter()
            .find(|event| event.sequence == entry.sequence);
        let kind = event.and_then(|event| event.payload.clone()?.kind);
        let same = match (kind, entry.kind.clone()) {
            (
                Some(Kind::EgressDecision(one)),
                Some(activity_entry::Kind::EgressDecision(other)),
            ) => one == other,
            (Some(Kind::EgressTotals(one)), Some(activity_entry::Kind::EgressTotals(other))) => {
                one == other
            }
            _ => false,
        };
        assert!(same, "{entry:?}");
    }
    filtered_and_paged(&user, &workspace, &host).await;
}

async fn filtered_and_paged(user: &Caller, workspace: &str, host: &str) {
    let asked = |filter: ActivityFilter, host: &str, token: &str| proto::ListActivityRequest {
        workspace_id: workspace.to_owned(),
        filter: filter.into(),
        host: host.to_owned(),
        page_size: 1,
        page_token: token.to_owned(),
    };
    for (filter, host, expected) in [
        (ActivityFilter::Unspecified, "", 4),
        (ActivityFilter::Allowed, "", 1),
        (ActivityFilter::Refused, "", 1),
        (ActivityFilter::Totals, "", 2),
        (ActivityFilter::Limits, "", 0),
        (ActivityFilter::Unspecified, host, 2),
        (ActivityFilter::Refused, host, 1),
        (ActivityFilter::Unspecified, "example.com", 0),
    ] {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page = activity(user, asked(filter, host, &token)).await;
            assert!(page.entries.len() <= 1);
            found.extend(page.entries);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(found.len(), expected, "{filter:?} {host}");
        let newest_first = |pair: &[proto::ActivityEntry]| pair[0].sequence > pair[1].sequence;
        assert!(found.windows(2).all(newest_first));
    }
    let mut bad = asked(ActivityFilter::Unspecified, "", "nonsense");
    let refused = user.activity().list_activity(bad.clone()).await;
    assert_eq!(
        refused.expect_err("a bad token").code(),
        Code::InvalidArgument
    );
    bad.page_token.clear();
    bad.page_size = -1;
    let refused = user.activity().list_activity(bad).await;
    assert_eq!(
        refused.expect_err("a bad size").code(),
        Code::InvalidArgument
    );
}

/// Whatever the operator and a list allow.
#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_port_is_out_of_reach() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    user.bypass_permissions(&workspace).await;
    let session = user.new_session(&workspace).await;
    let own = server.address.to_string();
    set(&user, &workspace, listed(&[&own])).await.expect("set");
    let said = run(
        &user,
        &session,
        1,
        &format!("curl -sS {}", server.url("/health")),
    )
    .await;
    assert!(said.contains("it is this server itself"), "{said}");
    assert!(!said.contains("healthy"), "{said}");

    let public = EgressPolicy {
        mode: EgressMode::Public.into(),
        ..Default::default()
    };
    set(&user, &workspace, public).await.expect("set");
    let outside = outside().await;
    let said = run(&user, &session, 2, &format!("curl -sS http://{outside}/")).await;
    assert!(
        said.contains("is a loopback address"),
        "public is public: {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_checked_and_kept_in_one_spelling() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let kept = set(
        &user,
        &workspace,
        listed(&["EXAMPLE.com.", " *.Example.org:8443", "[::FFFF:8.8.8.8]"]),
    );
    let kept = kept.await.expect("set");
    assert_eq!(kept.hosts, ["example.com", "*.example.org:8443", "8.8.8.8"]);
    assert_eq!(kept.presets, ["rust"]);

    let many: Vec<String> = (0..201)
        .map(|number| format!("host-{number}.example"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let preset = |names: &[&str]| EgressPolicy {
        presets: names.iter().map(ToString::to_string).collect(),
        ..listed(&[])
    };
    for (policy, field) in [
        (listed(&["http://example.com"]), "settings.egress.hosts"),
        (listed(&["user@example.com"]), "settings.egress.hosts"),
        (listed(&["127.1"]), "settings.egress.hosts"),
        (
            listed(&["example.com", "Example.COM."]),
            "settings.egress.hosts",
        ),
        (listed(&many), "settings.egress.hosts"),
        (preset(&["nonsense"]), "settings.egress.presets"),
        (preset(&["rust", "rust"]), "settings.egress.presets"),
        (EgressPolicy::default(), "settings.egress.mode"),
    ] {
        let refused = set(&user, &workspace, policy.clone())
            .await
            .expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        let violations = refused
            .get_details_bad_request()
            .expect("details")
            .field_violations;
        assert_eq!(violations[0].field, field, "{policy:?}");
    }
    let presets = user
        .activity()
        .list_egress_presets(proto::ListEgressPresetsRequest {})
        .await;
    let presets = presets.expect("presets").into_inner().presets;
    assert!(
        presets
            .iter()
            .any(|preset| preset.name == "rust" && !preset.hosts.is_empty())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_deleted_takes_its_activity_along() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    user.bypass_permissions(&workspace).await;
    let session = user.new_session(&workspace).await;
    set(&user, &workspace, listed(&["example.com"]))
        .await
        .expect("set");
    run(&user, &session, 1, "curl -sS http://other.example/").await;
    let request = proto::ListActivityRequest {
        workspace_id: workspace,
        ..Default::default()
    };
    assert_eq!(activity(&user, request.clone()).await.entries.len(), 2);
    let delete = proto::DeleteSessionRequest {
        session_id: session,
    };
    user.sessions()
        .delete_session(delete)
        .await
        .expect("deleted");
    assert_eq!(activity(&user, request).await.entries, []);
}

/// What a command was ended for, without what it printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_the_sandbox_is_part_of_the_activity() {
    let server = TestServer::start().await;
    let user = server.user("user").await;
    let workspace = user.new_workspace().await;
    let session = user.new_session(&workspace).await;
    for exceeded in ["", "200 MiB of memory"] {
        let command = proto::CommandDetail {
            exceeded_limit: exceeded.to_owned(),
            ..Default::default()
        };
        let result = proto::ToolResult {
            tool_call_id: "call_1".to_owned(),
            is_error: true,
            detail: Some(proto::tool_result::Detail::Command(command)),
            ..Default::default()
        };
        let event = NewEvent {
            stream: format!("sessions/{session}"),
            turn_id: String::new(),
            payload: proto::EventPayload {
                kind: Some(Kind::ToolResult(result)),
                ..Default::default()
            },
        };
        server.app.log.append(event).await.expect("stored");
    }
    let limits = activity(
        &user,
        proto::ListActivityRequest {
            workspace_id: workspace,
            filter: ActivityFilter::Limits.into(),
            ..Default::default()
        },
    )
    .await;
    let expected = proto::SandboxLimit {
        tool_call_id: "call_1".to_owned(),
        limit: "200 MiB of memory".to_owned(),
    };
    assert_eq!(limits.entries.len(), 1);
    let kind = limits.entries[0].kind.clone();
    assert_eq!(kind, Some(activity_entry::Kind::SandboxLimit(expected)));
    assert_eq!(limits.entries[0].sequence, 2);
}
