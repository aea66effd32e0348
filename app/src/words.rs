//! What the enums of the wire are called on the page.

use membrane_proto::v1::{PermissionMode, Provider, SystemPromptMode};

/// A provider's name.
pub fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Unspecified => "No provider",
        Provider::Anthropic => "Anthropic",
        Provider::Openrouter => "OpenRouter",
        Provider::Custom => "Custom",
        Provider::Demo => "Demo",
    }
}

/// What a provider is, in a sentence.
pub fn provider_explanation(provider: Provider) -> &'static str {
    match provider {
        Provider::Unspecified => "",
        Provider::Anthropic => "Anthropic's own API. Needs a key.",
        Provider::Openrouter => "Many models behind one key. Needs a key.",
        Provider::Custom => "Any address that speaks the Messages API, yours included.",
        Provider::Demo => "A script, not a model: free, offline, to see how it works.",
    }
}

/// The providers in the order in which they are offered, with the form's value for each.
pub const PROVIDERS: [(Provider, &str); 4] = [
    (Provider::Demo, "demo"),
    (Provider::Anthropic, "anthropic"),
    (Provider::Openrouter, "openrouter"),
    (Provider::Custom, "custom"),
];

/// The provider that a form's value stands for.
pub fn provider_of(value: &str) -> Provider {
    let found = PROVIDERS.iter().find(|(_, word)| *word == value);
    found.map_or(Provider::Unspecified, |(provider, _)| *provider)
}

/// Models to suggest; any other name may be typed.
pub fn suggested_models(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::Anthropic => &["claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"],
        Provider::Openrouter => &[
            "anthropic/claude-opus-4.5",
            "anthropic/claude-sonnet-4.5",
            "anthropic/claude-haiku-4.5",
        ],
        Provider::Demo => &["scripted"],
        Provider::Custom | Provider::Unspecified => &[],
    }
}

/// What a permission mode is called, and what it means.
pub fn permission_mode(mode: PermissionMode) -> (&'static str, &'static str) {
    match mode {
        PermissionMode::Default | PermissionMode::Unspecified => (
            "Ask before every change",
            "The agent asks before it writes a file or runs a command.",
        ),
        PermissionMode::AcceptEdits => (
            "Ask before commands",
            "The agent writes files without asking, and asks before it runs a command.",
        ),
        PermissionMode::BypassPermissions => (
            "Never ask",
            "The agent writes and runs without asking, inside the sandbox. Refused where the \
             sandbox is not enforced.",
        ),
    }
}

/// The permission modes in the order in which they are offered, with the form's value for each.
pub const PERMISSION_MODES: [(PermissionMode, &str); 3] = [
    (PermissionMode::Default, "default"),
    (PermissionMode::AcceptEdits, "accept-edits"),
    (PermissionMode::BypassPermissions, "bypass"),
];

/// The system prompt modes with the form's value and the words for each.
pub const PROMPT_MODES: [(SystemPromptMode, &str, &str); 3] = [
    (
        SystemPromptMode::Default,
        "default",
        "Membrane's own instructions",
    ),
    (
        SystemPromptMode::Append,
        "append",
        "Membrane's own, then yours",
    ),
    (SystemPromptMode::Replace, "replace", "Yours alone"),
];

/// The tools with what each lets an agent do.
pub const TOOLS: [(&str, &str); 8] = [
    ("Read", "Read files of the workspace."),
    ("Glob", "Find files by name."),
    ("Grep", "Search in files."),
    ("Write", "Create files and replace whole files."),
    ("Edit", "Change parts of files."),
    ("Bash", "Run commands in the sandbox."),
    ("TodoWrite", "Keep a checklist that you see while it works."),
    (
        "mcp__membrane__*",
        "Queue runs and keep schedules in this workspace.",
    ),
];
