//! Building a request: system prompt, tools, conversation, and where the provider's cache is worth
//! a mark.

use crate::{
    model::{
        OutputOptions, output_options,
        types::{CacheControl, Message, MessagesRequest, Role, SystemBlock, Tool},
    },
    tools::ToolDefinition,
    turn::TurnSpec,
};

use super::prompt;

/// The request for a conversation. Without thinking, only what cannot be turned off is left of it.
pub(super) fn build(
    spec: &TurnSpec,
    tools: Vec<ToolDefinition>,
    mut messages: Vec<Message>,
    with_thinking: bool,
) -> MessagesRequest {
    let budget = if with_thinking {
        spec.thinking_budget_tokens
    } else {
        0
    };
    let OutputOptions {
        max_tokens,
        thinking,
        output_config,
    } = output_options(&spec.model, budget);
    mark_last_user_message(&mut messages);
    MessagesRequest {
        model: spec.model.clone(),
        max_tokens,
        messages,
        system: system(spec),
        tools: offer(tools),
        thinking,
        output_config,
        stream: true,
    }
}

fn system(spec: &TurnSpec) -> Vec<SystemBlock> {
    let mut blocks: Vec<SystemBlock> = prompt::blocks(&spec.system_prompt)
        .into_iter()
        .map(|text| SystemBlock {
            text,
            cache_control: None,
        })
        .collect();
    if let Some(last) = blocks.last_mut() {
        last.cache_control = Some(CacheControl {});
    }
    blocks
}

fn offer(tools: Vec<ToolDefinition>) -> Vec<Tool> {
    let mut tools: Vec<Tool> = tools
        .into_iter()
        .map(|tool| Tool {
            name: tool.name.into_owned(),
            description: tool.description.into_owned(),
            input_schema: tool.input_schema,
            cache_control: None,
        })
        .collect();
    if let Some(last) = tools.last_mut() {
        last.cache_control = Some(CacheControl {});
    }
    tools
}

fn mark_last_user_message(messages: &mut [Message]) {
    let last = messages
        .iter_mut()
        .rfind(|message| message.role == Role::User)
        .and_then(|message| message.content.last_mut());
    if let Some(block) = last {
        block.cache();
    }
}
