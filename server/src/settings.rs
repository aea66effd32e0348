//! How an agent works in a workspace: the settings as they are stored and checked.

use membrane_agent::{
    PermissionMode, SystemPrompt,
    mcp::{BUILT_IN, tool_name},
    tools::TOOL_NAMES,
};
use membrane_proto::v1 as proto;
use serde::{Deserialize, Serialize};

use crate::{error::Error, mcp};

mod egress;
mod limits;

pub use egress::{Egress, EgressMode};
pub use limits::Limits;

const MAX_MODEL: usize = 200;
/// Most toolchains that a workspace hides, and the longest name of one in bytes.
const MAX_HIDDEN: usize = 50;
const MAX_TOOLCHAIN: usize = 64;
const MAX_PROMPT: usize = 100_000;
const CONCURRENT: std::ops::RangeInclusive<i32> = 0..=1_000;
const MAX_MODELS: usize = 50;
const MAX_VARIABLES: usize = 100;
const MAX_VARIABLE_NAME: usize = 200;
const MAX_VARIABLE_VALUE: usize = 4_000;
/// What the sandbox sets itself.
const FIXED_VARIABLES: [&str; 4] = ["HOME", "PATH", "TMPDIR", "USER"];
const THINKING: std::ops::RangeInclusive<i32> = 1_024..=64_000;

/// Where the model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Anthropic.
    Anthropic,
    /// OpenRouter.
    Openrouter,
    /// Another base URL.
    Custom,
    /// The scripted model.
    Demo,
}

impl Provider {
    /// The word in the database and in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openrouter => "openrouter",
            Self::Custom => "custom",
            Self::Demo => "demo",
        }
    }

    /// The provider of a word in the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Anthropic, Self::Openrouter, Self::Custom, Self::Demo]
            .into_iter()
            .find(|provider| provider.as_str() == word)
    }

    /// The model that a new workspace starts with.
    fn default_model(self) -> &'static str {
        match self {
            Self::Anthropic | Self::Custom => "claude-sonnet-4-5",
            Self::Openrouter => "anthropic/claude-sonnet-4.5",
            Self::Demo => "scripted",
        }
    }
}

/// How the workspace's own prompt is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptMode {
    /// Not at all.
    Default,
    /// After the engine's.
    Append,
    /// Instead of the engine's.
    Replace,
}

/// Which calls need an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// Whatever writes or runs.
    Default,
    /// Whatever runs.
    AcceptEdits,
    /// Nothing.
    BypassPermissions,
}

/// A workspace's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where the model is.
    pub provider: Provider,
    /// Base URL of a custom provider.
    pub base_url: String,
    /// Model name.
    pub model: String,
    /// Thinking budget in tokens, 0 for none.
    pub thinking_budget_tokens: i32,
    /// How `system_prompt` is used.
    pub system_prompt_mode: PromptMode,
    /// The workspace's own prompt.
    pub system_prompt: String,
    /// Tools by name.
    pub allowed_tools: Vec<String>,
    /// Which calls need an answer.
    pub permission_mode: Permissions,
    /// Variables of what an agent starts. Rows of earlier versions have none.
    #[serde(default)]
    pub environment: Vec<(String, String)>,
    /// What each session may use.
    #[serde(default)]
    pub limits: Limits,
    /// Models that may be asked; empty for any.
    #[serde(default)]
    pub allowed_models: Vec<String>,
    /// Whether programs inside may ask the model.
    #[serde(default)]
    pub model_access: bool,
    /// What the processes of an agent may reach. Rows of earlier versions have none.
    #[serde(default)]
    pub egress: Egress,
    /// Toolchains that agents do not see, by name.
    #[serde(default)]
    pub hidden_toolchains: Vec<String>,
    /// How many runs may be at work, 0 for any number.
    #[serde(default)]
    pub max_concurrent_runs: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            provider: Provider::Demo,
            base_url: String::new(),
            model: Provider::Demo.default_model().to_owned(),
            thinking_budget_tokens: 0,
            system_prompt_mode: PromptMode::Default,
            system_prompt: String::new(),
            allowed_tools: default_tools(),
            permission_mode: Permissions::Default,
            environment: Vec::new(),
            limits: Limits::default(),
            allowed_models: Vec::new(),
            model_access: false,
            egress: Egress::default(),
            hidden_toolchains: Vec::new(),
            max_concurrent_runs: 0,
        }
    }
}

impl Settings {
    /// Settings of a new workspace: what is given, and defaults for what is not.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn create(given: Option<proto::WorkspaceSettings>) -> Result<Self, Error> {
        let mut settings = Self::default();
        let Some(given) = given else {
            return Ok(settings);
        };
        settings.provider = match given.provider() {
            proto::Provider::Unspecified => Provider::Demo,
            provider => decode_provider(provider)?,
        };
        settings.model = settings.provider.default_model().to_owned();
        settings.base_url = given.base_url.clone();
        settings.thinking_budget_tokens = given.thinking_budget_tokens;
        settings.system_prompt = given.system_prompt.clone();
        if !given.model.is_empty() {
            settings.model = given.model.clone();
        }
        if given.system_prompt_mode() != proto::SystemPromptMode::Unspecified {
            settings.set("system_prompt_mode", &given)?;
        }
        if given.permission_mode() != proto::PermissionMode::Unspecified {
            settings.set("permission_mode", &given)?;
        }
        for field in [
            "environment",
            "egress",
            "limits",
            "allowed_models",
            "model_access",
            "hidden_toolchains",
            "max_concurrent_runs",
        ] {
            settings.set(field, &given)?;
        }
        if !given.allowed_tools.is_empty() {
            settings.allowed_tools = given.allowed_tools;
        }
        settings.check()?;
        Ok(settings)
    }

    /// Takes one field, named as in the field mask, from `given`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown field or an unspecified value.
    pub fn set(&mut self, field: &str, given: &proto::WorkspaceSettings) -> Result<(), Error> {
        match field {
            "provider" => self.provider = decode_provider(given.provider())?,
            "base_url" => self.base_url.clone_from(&given.base_url),
            "model" => self.model.clone_from(&given.model),
            "thinking_budget_tokens" => self.thinking_budget_tokens = given.thinking_budget_tokens,
            "system_prompt_mode" => {
                self.system_prompt_mode = match given.system_prompt_mode() {
                    proto::SystemPromptMode::Unspecified => {
                        return Err(unspecified("system_prompt_mode"));
                    }
                    proto::SystemPromptMode::Default => PromptMode::Default,
                    proto::SystemPromptMode::Append => PromptMode::Append,
                    proto::SystemPromptMode::Replace => PromptMode::Replace,
                }
            }
            "system_prompt" => self.system_prompt.clone_from(&given.system_prompt),
            "allowed_tools" => self.allowed_tools.clone_from(&given.allowed_tools),
            "permission_mode" => {
                self.permission_mode = match given.permission_mode() {
                    proto::PermissionMode::Unspecified => {
                        return Err(unspecified("permission_mode"));
                    }
                    proto::PermissionMode::Default => Permissions::Default,
                    proto::PermissionMode::AcceptEdits => Permissions::AcceptEdits,
                    proto::PermissionMode::BypassPermissions => Permissions::BypassPermissions,
                }
            }
            "environment" => self.environment = decode_environment(&given.environment),
            "limits" => self.limits = Limits::decode(given.limits.unwrap_or_default()),
            "allowed_models" => self.allowed_models.clone_from(&given.allowed_models),
            "model_access" => self.model_access = given.model_access,
            "hidden_toolchains" => self.hidden_toolchains.clone_from(&given.hidden_toolchains),
            "egress" => self.egress = Egress::decode(given.egress.as_ref())?,
            "max_concurrent_runs" => self.max_concurrent_runs = given.max_concurrent_runs,
            "engine" if given.engine() == proto::Engine::Native => {}
            "engine" => return Err(unspecified("engine")),
            _ => {
                return Err(Error::invalid(
                    "update_mask",
                    format!("settings have no field {field:?}"),
                ));
            }
        }
        Ok(())
    }

    /// Takes all fields from `given`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unspecified value.
    pub fn set_all(&mut self, given: &proto::WorkspaceSettings) -> Result<(), Error> {
        const FIELDS: [&str; 16] = [
            "provider",
            "base_url",
            "model",
            "thinking_budget_tokens",
            "system_prompt_mode",
            "system_prompt",
            "allowed_tools",
            "permission_mode",
            "engine",
            "environment",
            "limits",
            "allowed_models",
            "model_access",
            "egress",
            "hidden_toolchains",
            "max_concurrent_runs",
        ];
        FIELDS.iter().try_for_each(|field| self.set(field, given))
    }

    /// Checks that the values fit together.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that does not.
    pub fn check(&mut self) -> Result<(), Error> {
        let mut wrong = Vec::new();
        let mut complain =
            |field: &str, text: String| wrong.push((format!("settings.{field}"), text));
        if !is_model_name(&self.model) {
            complain(
                "model",
                format!("must have 1 to {MAX_MODEL} characters, no control characters"),
            );
        }
        if !self.allows_model(&self.model) {
            complain("model", "must be one of the allowed models".to_owned());
        }
        if let Err(text) = check_models(&self.allowed_models) {
            complain("allowed_models", text);
        }
        for (field, limit) in self.limits.fields() {
            if limit < 0 {
                complain(
                    &format!("limits.{field}"),
                    "must be 0 for no limit, or more".to_owned(),
                );
            }
        }
        if self.thinking_budget_tokens != 0 && !THINKING.contains(&self.thinking_budget_tokens) {
            complain(
                "thinking_budget_tokens",
                format!("must be 0, or {} to {}", THINKING.start(), THINKING.end()),
            );
        }
        if self.system_prompt.chars().count() > MAX_PROMPT {
            complain(
                "system_prompt",
                format!("must have at most {MAX_PROMPT} characters"),
            );
        }
        if let Some(unknown) = self.allowed_tools.iter().find(|tool| !is_tool(tool)) {
            complain(
                "allowed_tools",
                format!(
                    "{unknown:?} is not a tool; tools are {}, and {} for those of the built-in MCP server, or one of them by its name",
                    TOOL_NAMES.join(", "),
                    built_in_tools(),
                ),
            );
        }
        if let Err(text) = check_environment(&self.environment) {
            complain("environment", text);
        }
        let is_name = |name: &String| (1..=MAX_TOOLCHAIN).contains(&name.len());
        if self.hidden_toolchains.len() > MAX_HIDDEN || !self.hidden_toolchains.iter().all(is_name)
        {
            complain(
                "hidden_toolchains",
                format!("must be at most {MAX_HIDDEN} names of 1 to {MAX_TOOLCHAIN} bytes"),
            );
        }
        if !CONCURRENT.contains(&self.max_concurrent_runs) {
            let text = format!("must be 0 for no limit, or up to {}", CONCURRENT.end());
            complain("max_concurrent_runs", text);
        }
        if let Err((field, text)) = self.egress.check() {
            complain(field, text);
        }
        match (self.provider, self.base_url.is_empty()) {
            (Provider::Custom, true) => {
                complain("base_url", "is required for a custom provider".to_owned())
            }
            (Provider::Custom, false) => {
                if let Err(text) = check_base_url(&self.base_url) {
                    complain("base_url", text);
                }
            }
            // A base URL that another provider would ignore is dropped rather than misleading.
            (_, _) => self.base_url.clear(),
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(wrong))
        }
    }

    /// The settings on the wire.
    #[must_use]
    pub fn encode(&self) -> proto::WorkspaceSettings {
        proto::WorkspaceSettings {
            provider: encode_provider(self.provider).into(),
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            thinking_budget_tokens: self.thinking_budget_tokens,
            system_prompt_mode: match self.system_prompt_mode {
                PromptMode::Default => proto::SystemPromptMode::Default,
                PromptMode::Append => proto::SystemPromptMode::Append,
                PromptMode::Replace => proto::SystemPromptMode::Replace,
            }
            .into(),
            system_prompt: self.system_prompt.clone(),
            allowed_tools: self.allowed_tools.clone(),
            permission_mode: match self.permission_mode {
                Permissions::Default => proto::PermissionMode::Default,
                Permissions::AcceptEdits => proto::PermissionMode::AcceptEdits,
                Permissions::BypassPermissions => proto::PermissionMode::BypassPermissions,
            }
            .into(),
            engine: proto::Engine::Native.into(),
            environment: encode_environment(&self.environment),
            limits: Some(self.limits.encode()),
            allowed_models: self.allowed_models.clone(),
            model_access: self.model_access,
            egress: Some(self.egress.encode()),
            hidden_toolchains: self.hidden_toolchains.clone(),
            max_concurrent_runs: self.max_concurrent_runs,
        }
    }

    /// Whether this model may be asked.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.allowed_models.is_empty() || self.allowed_models.iter().any(|one| one == model)
    }

    /// The prompt as the engine takes it.
    #[must_use]
    pub fn prompt(&self) -> SystemPrompt {
        match self.system_prompt_mode {
            PromptMode::Default => SystemPrompt::Default,
            PromptMode::Append => SystemPrompt::Append(self.system_prompt.clone()),
            PromptMode::Replace => SystemPrompt::Replace(self.system_prompt.clone()),
        }
    }

    /// The permission mode as the engine takes it.
    #[must_use]
    pub fn permissions(&self) -> PermissionMode {
        match self.permission_mode {
            Permissions::Default => PermissionMode::Default,
            Permissions::AcceptEdits => PermissionMode::AcceptEdits,
            Permissions::BypassPermissions => PermissionMode::BypassPermissions,
        }
    }
}

/// All tools of a new workspace.
fn default_tools() -> Vec<String> {
    let own = TOOL_NAMES.iter().map(ToString::to_string);
    own.chain([built_in_tools()]).collect()
}

/// What stands for all tools of the built-in MCP server.
fn built_in_tools() -> String {
    format!("mcp__{BUILT_IN}__*")
}

fn is_tool(entry: &str) -> bool {
    let of_server = |tool: &&str| tool_name(BUILT_IN, tool).as_deref() == Some(entry);
    TOOL_NAMES.contains(&entry) || entry == built_in_tools() || mcp::TOOLS.iter().any(of_server)
}

fn is_model_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= MAX_MODEL && !name.chars().any(char::is_control)
}

fn check_models(models: &[String]) -> Result<(), String> {
    if models.len() > MAX_MODELS {
        return Err(format!("must have at most {MAX_MODELS} models"));
    }
    for (at, model) in models.iter().enumerate() {
        if !is_model_name(model) {
            return Err(format!(
                "{model:?} is no name: 1 to {MAX_MODEL} characters, no control characters"
            ));
        }
        if models[..at].contains(model) {
            return Err(format!("{model} stands there twice"));
        }
    }
    Ok(())
}

fn decode_environment(given: &[proto::EnvironmentVariable]) -> Vec<(String, String)> {
    let pair = |given: &proto::EnvironmentVariable| (given.name.clone(), given.value.clone());
    given.iter().map(pair).collect()
}

fn encode_environment(environment: &[(String, String)]) -> Vec<proto::EnvironmentVariable> {
    let variable = |(name, value): &(String, String)| proto::EnvironmentVariable {
        name: name.clone(),
        value: value.clone(),
    };
    environment.iter().map(variable).collect()
}

fn check_environment(environment: &[(String, String)]) -> Result<(), String> {
    if environment.len() > MAX_VARIABLES {
        return Err(format!("must have at most {MAX_VARIABLES} variables"));
    }
    for (at, (name, value)) in environment.iter().enumerate() {
        if !is_variable_name(name) {
            return Err(format!(
                "{name:?} is no name: 1 to {MAX_VARIABLE_NAME} letters, digits and underscores, no digit first"
            ));
        }
        if FIXED_VARIABLES.contains(&name.as_str()) {
            return Err(format!("{name} can't be changed"));
        }
        if environment[..at].iter().any(|(earlier, _)| earlier == name) {
            return Err(format!("{name} stands there twice"));
        }
        if value.contains('\0') || value.chars().count() > MAX_VARIABLE_VALUE {
            return Err(format!(
                "{name} must have at most {MAX_VARIABLE_VALUE} characters, no NUL"
            ));
        }
    }
    Ok(())
}

fn is_variable_name(name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty()
        && name.len() <= MAX_VARIABLE_NAME
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(part)
}

/// A provider as the wire says it.
#[must_use]
pub fn encode_provider(provider: Provider) -> proto::Provider {
    match provider {
        Provider::Anthropic => proto::Provider::Anthropic,
        Provider::Openrouter => proto::Provider::Openrouter,
        Provider::Custom => proto::Provider::Custom,
        Provider::Demo => proto::Provider::Demo,
    }
}

/// A provider from the wire.
///
/// # Errors
/// [`Error::Invalid`] for an unspecified one.
pub fn decode_provider(provider: proto::Provider) -> Result<Provider, Error> {
    match provider {
        proto::Provider::Unspecified => Err(unspecified("provider")),
        proto::Provider::Anthropic => Ok(Provider::Anthropic),
        proto::Provider::Openrouter => Ok(Provider::Openrouter),
        proto::Provider::Custom => Ok(Provider::Custom),
        proto::Provider::Demo => Ok(Provider::Demo),
    }
}

fn unspecified(field: &str) -> Error {
    Error::invalid(field, "must be one of the named values")
}

/// The form only; where it leads is checked by the egress guard whenever it is dialled.
fn check_base_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password; store a key instead".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query or a fragment".to_owned());
    }
    Ok(())
}
