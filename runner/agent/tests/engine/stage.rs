//! What the tests stand on: a scripted model, a workspace, and a host that stores events in memory
//! and reacts to them.

use std::{fs, path::PathBuf, sync::OnceLock, time::Duration};

use membrane_agent::{
    Host, HostRequest, PermissionAnswer, PermissionMode, SystemPrompt, TurnSpec,
    egress::EgressGuard,
    meter::{Limits, Meter},
    model::{ModelClient, ModelConfig, Provider, RetryPolicy},
    run_turn,
    sandbox::{Sandbox, SandboxConfig, SandboxMode, WorkspacePlace},
    tools::{TOOL_NAMES, Toolbox},
};
use membrane_proto::v1::{
    Delta, Event, EventPayload, PermissionDecision, TurnEnded, TurnStarted, Usage, UserMessage,
    event_payload::Kind,
};
use membrane_scripted::{Handle, Options, Recorded, Scenario, Server};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{join, sync::mpsc, task::yield_now, time};
use tokio_util::sync::CancellationToken;

use crate::played::{Played, retry_delay};

/// The key of all tests.
pub const KEY: &str = "a-key-of-the-tests-0123456789";

/// One session with a scripted model.
pub struct Stage {
    pub model: Handle,
    pub client: ModelClient,
    pub tools: Toolbox,
    pub files: PathBuf,
    /// The session's log.
    pub log: Vec<Event>,
    pub cancel: CancellationToken,
    turns: usize,
    _directory: TempDir,
}

/// What the host of a turn does when something happens.
pub enum Do {
    /// Nothing but what every host does.
    Nothing,
    /// Interrupts the turn.
    Cancel,
    /// Answers the permission request.
    Answer(PermissionDecision, &'static str),
    /// Goes away.
    Leave,
}

/// What happens at a host.
pub enum Seen<'seen> {
    Event(&'seen Kind),
    Delta(&'seen Delta),
    Ask,
}

pub fn install_crypto() {
    // A second test of the same process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The file to which all valid requests of these tests are written, one JSON object a line, for
/// whoever wants to check them against something else.
fn bodies() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("native-requests.jsonl");
        fs::write(&file, "").expect("a writable file");
        file
    })
    .clone()
}

pub fn scenario(value: Value) -> Scenario {
    serde_json::from_value(value).expect("a scenario")
}

/// A scenario of these steps.
pub fn steps(steps: Value) -> Scenario {
    scenario(json!({ "steps": steps }))
}

/// The scenario that does what the user's text says.
pub fn puppet() -> Scenario {
    scenario(json!({ "otherwise": "puppet" }))
}

pub fn spec(history: Vec<Event>) -> TurnSpec {
    TurnSpec {
        model: "scripted".to_owned(),
        thinking_budget_tokens: 0,
        system_prompt: SystemPrompt::Default,
        allowed_tools: TOOL_NAMES.iter().map(|name| (*name).to_owned()).collect(),
        mcp_servers: Vec::new(),
        takes_mcp: true,
        permission_mode: PermissionMode::BypassPermissions,
        history,
        max_requests: 20,
        meter: Meter::new(Limits::default(), Usage::default()),
    }
}

pub fn event(turn: &str, kind: Kind) -> Event {
    Event {
        turn_id: turn.to_owned(),
        payload: Some(EventPayload {
            kind: Some(kind),
            ..EventPayload::default()
        }),
        ..Event::default()
    }
}

impl Stage {
    pub async fn new(scenario: Scenario) -> Self {
        install_crypto();
        let options = Options {
            key: Some(KEY.to_owned()),
            bodies: Some(bodies()),
            ..Options::default()
        };
        let model = Server::bind(([127, 0, 0, 1], 0).into(), scenario, options)
            .await
            .expect("a free port");
        let directory = tempfile::tempdir().expect("a directory");
        let place = WorkspacePlace {
            files: directory.path().join("files"),
            home: directory.path().join("home"),
        };
        fs::create_dir(&place.files).expect("a directory");
        fs::create_dir(&place.home).expect("a directory");
        let files = place.files.clone();
        Self {
            client: client_at(&model.base_url()),
            model,
            tools: Toolbox::new(place, sandbox().await).expect("a toolbox"),
            files,
            log: Vec::new(),
            cancel: CancellationToken::new(),
            turns: 0,
            _directory: directory,
        }
    }

    /// Plays a turn that answers this message.
    pub async fn play(&mut self, text: &str) -> Played {
        self.play_with(text, |_| {}, |_| Do::Nothing).await
    }

    /// The same with another spec and a host that reacts.
    pub async fn play_with(
        &mut self,
        text: &str,
        change: impl FnOnce(&mut TurnSpec),
        react: impl FnMut(Seen<'_>) -> Do,
    ) -> Played {
        self.turns += 1;
        let turn = format!("turn-{}", self.turns);
        self.say(&turn, text);
        let mut spec = spec(self.log.clone());
        change(&mut spec);
        let started = TurnStarted {
            model: spec.model.clone(),
            ..TurnStarted::default()
        };
        self.log.push(event(&turn, Kind::TurnStarted(started)));
        spec.history.clone_from(&self.log);
        let played = self.run(spec, react).await;
        let stored = played.events.iter().map(|kind| event(&turn, kind.clone()));
        self.log.extend(stored);
        let ended = TurnEnded {
            outcome: played.report.outcome.into(),
            ..TurnEnded::default()
        };
        self.log.push(event(&turn, Kind::TurnEnded(ended)));
        played
    }

    pub fn say(&mut self, turn: &str, text: &str) {
        let message = UserMessage {
            text: text.to_owned(),
            ..UserMessage::default()
        };
        self.log.push(event(turn, Kind::UserMessage(message)));
    }

    async fn run(&self, spec: TurnSpec, mut react: impl FnMut(Seen<'_>) -> Do) -> Played {
        let begun = time::Instant::now();
        let (host, served) = Host::channel(16);
        let turn = run_turn(spec, &self.client, &self.tools, host, self.cancel.clone());
        let (report, mut played) = join!(turn, serve(served, &self.cancel, &mut react));
        played.report = report;
        played.took = begun.elapsed();
        played
    }

    /// The requests for messages so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.model.requests()
    }

    /// The body of the newest request.
    pub fn last_body(&self) -> Value {
        self.requests().pop().expect("a request").body
    }
}

/// A client of the scripted model with the tests' key.
pub fn client_at(base_url: &str) -> ModelClient {
    ModelClient::new(config_at(base_url)).expect("a client")
}

pub fn config_at(base_url: &str) -> ModelConfig {
    install_crypto();
    let guard = EgressGuard::new(vec!["127.0.0.1".parse().expect("a rule")]);
    let config = ModelConfig::new(Provider::Anthropic, SecretString::from(KEY), guard);
    ModelConfig {
        retry: RetryPolicy {
            seed: 7,
            ..RetryPolicy::default()
        },
        ..config.with_base_url(base_url)
    }
}

async fn sandbox() -> Sandbox {
    let config = SandboxConfig {
        mode: SandboxMode::None,
        inside: Some(env!("CARGO_BIN_EXE_membrane-inside").into()),
        ..SandboxConfig::default()
    };
    Sandbox::start(config).await.expect("a sandbox")
}

/// Serves a turn until it is over.
async fn serve(
    mut served: mpsc::Receiver<HostRequest>,
    cancel: &CancellationToken,
    react: &mut impl FnMut(Seen<'_>) -> Do,
) -> Played {
    let mut played = Played::default();
    let mut unanswered = Vec::new();
    while let Some(request) = served.recv().await {
        match request {
            HostRequest::Append { payload, done } => {
                let kind = payload.kind.expect("a kind");
                let reaction = react(Seen::Event(&kind));
                if matches!(reaction, Do::Leave) {
                    return played;
                }
                let retry = retry_delay(&kind);
                played.events.push(kind);
                done.send(()).expect("an engine that waits for its event");
                follow(reaction, cancel);
                if let Some(delay) = retry {
                    skip(delay).await;
                }
            }
            HostRequest::Delta(delta) => {
                let reaction = react(Seen::Delta(&delta));
                if matches!(reaction, Do::Leave) {
                    return played;
                }
                follow(reaction, cancel);
                played.deltas.push(delta);
            }
            HostRequest::AskPermission { ask, answer } => {
                let reaction = react(Seen::Ask);
                played.asks.push(ask);
                if let Do::Answer(decision, reason) = reaction {
                    let reason = reason.to_owned();
                    let sent = answer.send(PermissionAnswer { decision, reason });
                    sent.expect("an engine that waits for its answer");
                } else if matches!(reaction, Do::Leave) {
                    return played;
                } else {
                    follow(reaction, cancel);
                    unanswered.push(answer);
                }
            }
        }
    }
    played
}

fn follow(reaction: Do, cancel: &CancellationToken) {
    if matches!(reaction, Do::Cancel) {
        cancel.cancel();
    }
}

/// Moves the clock past a back-off. The engine is in the same task as the host: after it was let
/// run, it sleeps.
async fn skip(delay: Duration) {
    for _ in 0..3 {
        yield_now().await;
    }
    time::pause();
    time::advance(delay + Duration::from_millis(1)).await;
    time::resume();
}
