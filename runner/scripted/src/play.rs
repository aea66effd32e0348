//! Which step answers a request. Scenarios of steps count what they have played; the built-in
//! ones only count attempts of the same request, since a retry leaves no trace in a conversation.

use std::collections::HashMap;

use serde_json::Value;

use crate::conversation::Conversation;
use crate::error::ApiError;
use crate::scenario::{Otherwise, Pace, Scenario, Step, When};
use crate::template::Values;
use crate::{demo, puppet, usage};

/// A scenario and how far it got.
#[derive(Debug)]
pub(crate) struct Player {
    scenario: Scenario,
    played: Vec<u32>,
    requests: u64,
    attempts: HashMap<u64, u32>,
    root: String,
}

/// More conversations than this are not retried at the same time; those before are forgotten.
const REMEMBERED_ATTEMPTS: usize = 10_000;

impl Player {
    /// Starts a scenario; relative paths in directives are below `root`.
    pub(crate) fn new(scenario: Scenario, root: &str) -> Self {
        Self {
            played: vec![0; scenario.steps.len()],
            scenario,
            requests: 0,
            attempts: HashMap::new(),
            root: root.to_owned(),
        }
    }

    /// The step that answers this request, its placeholders filled in, and its pace.
    pub(crate) fn answer(&mut self, request: &Value) -> Result<(Step, Pace), ApiError> {
        self.requests += 1;
        self.check_length(request)?;
        let conversation = Conversation::read(request);
        let step = match self.applicable(&conversation) {
            Some(index) => self.play(index, &conversation),
            None => self.otherwise(&conversation)?,
        };
        let pace = step.pace.unwrap_or(self.scenario.pace);
        Ok((step, pace))
    }

    fn check_length(&self, request: &Value) -> Result<(), ApiError> {
        let Some(limit) = self.scenario.context_tokens else {
            return Ok(());
        };
        let tokens = usage::estimate_request(request);
        if tokens <= limit {
            return Ok(());
        }
        let message = format!("prompt is too long: {tokens} tokens > {limit} maximum");
        Err(ApiError::invalid(message))
    }

    fn applicable(&self, conversation: &Conversation) -> Option<usize> {
        let steps = self.scenario.steps.iter().zip(&self.played);
        steps
            .enumerate()
            .find(|(_, (step, played))| {
                let once = if step.when.is_some() { u32::MAX } else { 1 };
                **played < step.times.unwrap_or(once)
                    && step
                        .when
                        .as_ref()
                        .is_none_or(|when| when.holds(conversation, self.requests))
            })
            .map(|(index, _)| index)
    }

    fn play(&mut self, index: usize, conversation: &Conversation) -> Step {
        self.played[index] = self.played[index].saturating_add(1);
        let mut step = self.scenario.steps[index].clone();
        let values = step_values(&step, conversation);
        step.content
            .iter_mut()
            .for_each(|block| values.fill_block(block));
        step
    }

    fn otherwise(&mut self, conversation: &Conversation) -> Result<Step, ApiError> {
        let steps = match self.scenario.otherwise {
            Otherwise::Error => return Err(self.incomplete()),
            Otherwise::Puppet => puppet::answer(conversation, &self.root),
            Otherwise::Demo => demo::answer(conversation, &self.root),
        };
        let step = self.attempt(conversation.fingerprint, steps);
        step.ok_or_else(|| self.incomplete())
    }

    /// Takes the step for this attempt of a request. After the last step the count starts over,
    /// so that the same prompt in another session meets the same errors.
    fn attempt(&mut self, fingerprint: u64, steps: Vec<Step>) -> Option<Step> {
        let attempt = self.attempts.remove(&fingerprint).unwrap_or(0);
        let mut before = 0u32;
        for step in steps {
            let Some(times) = step.times else {
                return Some(step);
            };
            before = before.saturating_add(times);
            if attempt < before {
                self.remember(fingerprint, attempt + 1);
                return Some(step);
            }
        }
        None
    }

    fn remember(&mut self, fingerprint: u64, attempts: u32) {
        if self.attempts.len() >= REMEMBERED_ATTEMPTS {
            self.attempts.clear();
        }
        self.attempts.insert(fingerprint, attempts);
    }

    fn incomplete(&self) -> ApiError {
        let (name, number) = (&self.scenario.name, self.requests);
        let message = format!("the scenario {name:?} has no answer to request {number}");
        ApiError::new(500, message)
    }
}

impl When {
    fn holds(&self, conversation: &Conversation, request: u64) -> bool {
        let result = conversation.last_result();
        let first = self.user_text.is_some() && self.tool_result.is_none();
        let round = self.round.or(first.then_some(0));
        self.user_text
            .as_ref()
            .is_none_or(|p| p.is_match(conversation.prompt()))
            && self
                .tool_result
                .as_ref()
                .is_none_or(|p| result.is_some_and(|text| p.is_match(text)))
            && round.is_none_or(|round| conversation.rounds().len() == round)
            && self
                .model
                .as_ref()
                .is_none_or(|p| p.is_match(&conversation.model))
            && self.offers_tool.as_ref().is_none_or(|tool| {
                conversation.offers(tool) || tool.is_empty() && !conversation.tools.is_empty()
            })
            && self.request.is_none_or(|number| number == request)
    }
}

fn step_values(step: &Step, conversation: &Conversation) -> Values {
    let mut values = Values::default();
    let result = conversation.last_result().unwrap_or_default();
    if let Some(when) = &step.when {
        if let Some(pattern) = &when.tool_result {
            pattern.capture(result, &mut values);
        }
        if let Some(pattern) = &when.user_text {
            pattern.capture(conversation.prompt(), &mut values);
        }
    }
    values.set("user_text", conversation.prompt());
    values.set("last_tool_result", result);
    values
}
