//! How each kind of stored event changes a transcript.

use membrane_proto::v1::{self as pb, event_payload::Kind, tool_result::Detail};

use super::{
    Activity, Body, Entry, FileTouched, Inside, Key, Permission, Tool, ToolPhase, Transcript, Turn,
    TurnSummary, entry::Attachment,
};

impl Transcript {
    pub(super) fn fold(&mut self, event: &pb::Event) {
        let Some(kind) = event
            .payload
            .as_ref()
            .and_then(|payload| payload.kind.as_ref())
        else {
            return self.line(
                event,
                Body::Unknown {
                    sequence: event.sequence,
                },
            );
        };
        match kind {
            Kind::UserMessage(message) => self.user_message(event, message),
            Kind::TurnQueued(queued) => {
                self.activity = Some(Activity::Queued);
                self.line(
                    event,
                    Body::Queued {
                        ahead: queued.ahead,
                        over: false,
                    },
                );
            }
            Kind::TurnStarted(started) => self.turn_started(event, started),
            Kind::TurnEnded(ended) => self.turn_ended(event, ended),
            Kind::AgentText(block) => {
                let body = Body::Text {
                    text: block.text.clone(),
                    open: false,
                };
                self.block(event, &block.block_id, body);
            }
            Kind::AgentThinking(block) => {
                let body = Body::Thinking {
                    text: block.text.clone(),
                    open: false,
                    duration: block.duration,
                };
                self.block(event, &block.block_id, body);
            }
            Kind::ToolCall(call) => self.tool(event, &call.tool_call_id, |tool| {
                tool.name.clone_from(&call.name);
                tool.input.clone_from(&call.input_json);
                tool.input_open = false;
            }),
            Kind::ToolResult(result) => self.tool_result(event, result),
            Kind::PermissionRequested(request) => self.permission_requested(event, request),
            Kind::PermissionResolved(answer) => self.permission_resolved(event, answer),
            Kind::TodosUpdated(list) => self.todos.clone_from(&list.todos),
            // The last two are in no session's stream.
            Kind::ModelUsage(_) | Kind::RunStateChanged(_) | Kind::RunOutput(_) => {}
            Kind::ModelRetry(retry) => {
                self.drop_open_blocks(&event.turn_id);
                self.line(event, Body::Retry(retry.clone()));
            }
            Kind::EgressDecision(decision) => self.egress_decision(event, decision),
            Kind::EgressTotals(totals) => self.tool(event, &totals.tool_call_id, |tool| {
                tool.traffic = Some(totals.clone());
            }),
            Kind::Notice(notice) => self.line(event, Body::Notice(notice.clone())),
            Kind::LimitMet(met) => self.line(event, Body::Limit(met.clone())),
            Kind::InsideRequest(request) => self.inside_request(event, request),
        }
    }

    fn line(&mut self, event: &pb::Event, body: Body) {
        self.put(entry(Key::Event(event.sequence), event, body));
    }

    fn block(&mut self, event: &pb::Event, block_id: &str, body: Body) {
        self.put(entry(Key::Block(block_id.to_owned()), event, body));
    }

    fn user_message(&mut self, event: &pb::Event, message: &pb::UserMessage) {
        // The turn follows at once; a message is never accepted without one.
        self.activity = Some(Activity::Running);
        self.turn = Turn::default();
        let (text, name) = (message.text.clone(), message.user_name.clone());
        let attachments = message.attachments.iter().map(Attachment::of).collect();
        let body = Body::User {
            text,
            name,
            attachments,
        };
        self.line(event, body);
    }

    fn turn_started(&mut self, event: &pb::Event, started: &pb::TurnStarted) {
        self.activity = Some(Activity::Running);
        self.turn = Turn {
            model: started.model.clone(),
            provider: started.provider.clone(),
            ..Turn::default()
        };
        self.end_waiting_line(&event.turn_id);
    }

    fn turn_ended(&mut self, event: &pb::Event, ended: &pb::TurnEnded) {
        self.activity = Some(Activity::Idle);
        self.end_waiting_line(&event.turn_id);
        self.drop_open_blocks(&event.turn_id);
        self.abandon_tools(&event.turn_id);
        let turn = std::mem::take(&mut self.turn);
        let summary = TurnSummary {
            ended: ended.clone(),
            files: turn.files.into_values().collect(),
            model: turn.model,
            provider: turn.provider,
        };
        self.line(event, Body::Ended(Box::new(summary)));
    }

    /// Changes a tool call, which appears here if nothing told of it before.
    fn tool(&mut self, event: &pb::Event, call_id: &str, change: impl FnOnce(&mut Tool)) {
        let key = Key::Tool(call_id.to_owned());
        if self.entry(&key).is_none() {
            let tool = Tool {
                call_id: call_id.to_owned(),
                ..Tool::default()
            };
            self.push(entry(key.clone(), event, Body::Tool(Box::new(tool))));
        }
        let Some(entry) = self.entry_mut(&key) else {
            return;
        };
        entry.time = entry.time.or(event.create_time);
        if entry.sequence == 0 {
            entry.sequence = event.sequence;
        }
        if let Body::Tool(tool) = &mut entry.body {
            change(tool);
            self.changes.entries.insert(key);
        }
    }

    /// Requests of programs that follow each other are one line.
    fn inside_request(&mut self, event: &pb::Event, request: &pb::InsideRequest) {
        let last = self.entries.last().filter(|entry| {
            entry.turn_id == event.turn_id && matches!(entry.body, Body::Inside(_))
        });
        let Some(key) = last.map(|entry| entry.key.clone()) else {
            let mut inside = Inside::default();
            inside.add(request);
            return self.line(event, Body::Inside(Box::new(inside)));
        };
        if let Some(Entry {
            body: Body::Inside(inside),
            ..
        }) = self.entry_mut(&key)
        {
            inside.add(request);
            self.changes.entries.insert(key);
        }
    }

    fn tool_result(&mut self, event: &pb::Event, result: &pb::ToolResult) {
        if let Some(Detail::FileChange(change)) = &result.detail
            && !result.is_error
        {
            self.touch(change);
        }
        self.tool(event, &result.tool_call_id, |tool| {
            tool.input_open = false;
            tool.output.clear();
            tool.result = Some(result.clone());
        });
    }

    fn touch(&mut self, change: &pb::FileChangeDetail) {
        let file = self
            .turn
            .files
            .entry(change.path.clone())
            .or_insert_with(|| FileTouched {
                path: change.path.clone(),
                ..FileTouched::default()
            });
        file.created |= change.created;
        file.added += change.lines_added;
        file.removed += change.lines_removed;
    }

    fn permission_requested(&mut self, event: &pb::Event, request: &pb::PermissionRequested) {
        self.activity = Some(Activity::Waiting);
        self.tool(event, &request.tool_call_id, |tool| {
            tool.name.clone_from(&request.tool_name);
            tool.input.clone_from(&request.input_json);
            tool.input_open = false;
            tool.permission = Some(Permission {
                request_id: request.permission_request_id.clone(),
                explanation: request.explanation.clone(),
                resolved: None,
            });
        });
    }

    fn permission_resolved(&mut self, event: &pb::Event, answer: &pb::PermissionResolved) {
        self.tool(event, &answer.tool_call_id, |tool| {
            tool.permission.get_or_insert_default().resolved = Some(answer.clone());
        });
        if self.activity == Some(Activity::Waiting) && self.waiting().is_empty() {
            self.activity = Some(Activity::Running);
        }
    }

    fn egress_decision(&mut self, event: &pb::Event, decision: &pb::EgressDecision) {
        if decision.verdict() != pb::EgressVerdict::Allowed {
            return self.line(event, Body::Refused(Box::new(decision.clone())));
        }
        self.tool(event, &decision.tool_call_id, |tool| {
            tool.reached.push(decision.clone());
        });
    }

    fn end_waiting_line(&mut self, turn_id: &str) {
        let waits = |entry: &Entry| {
            entry.turn_id == turn_id && matches!(entry.body, Body::Queued { over: false, .. })
        };
        let Some(at) = self.entries.iter().rposition(|entry| waits(entry)) else {
            return;
        };
        let key = self.entries[at].key.clone();
        if let Some(Entry {
            body: Body::Queued { over, .. },
            ..
        }) = self.entry_mut(&key)
        {
            *over = true;
            self.changes.entries.insert(key);
        }
    }

    /// What was being generated and will never be stored.
    fn drop_open_blocks(&mut self, turn_id: &str) {
        self.remove_where(|entry| entry.body.is_open() && entry.turn_id == turn_id);
    }

    fn abandon_tools(&mut self, turn_id: &str) {
        let unfinished: Vec<Key> = self
            .entries
            .iter()
            .filter(|entry| entry.turn_id == turn_id)
            .filter(|entry| match &entry.body {
                Body::Tool(tool) => matches!(tool.phase(), ToolPhase::Running | ToolPhase::Waiting),
                _ => false,
            })
            .map(|entry| entry.key.clone())
            .collect();
        for key in unfinished {
            if let Some(Entry {
                body: Body::Tool(tool),
                ..
            }) = self.entry_mut(&key)
            {
                tool.abandoned = true;
                self.changes.entries.insert(key);
            }
        }
    }
}

fn entry(key: Key, event: &pb::Event, body: Body) -> Entry {
    let parent = event
        .payload
        .as_ref()
        .map(|payload| payload.parent_tool_call_id.as_str());
    Entry {
        key,
        sequence: event.sequence,
        turn_id: event.turn_id.clone(),
        time: event.create_time,
        nested: parent.is_some_and(|parent| !parent.is_empty()),
        body,
    }
}
