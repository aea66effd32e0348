//! The tool TodoWrite.

use membrane_proto::v1::{Todo, TodoStatus};
use serde::Deserialize;

use super::ToolOutput;
use super::failure::{Answer, Failure};

const ITEMS_MAX: usize = 200;
const ITEM_BYTES_MAX: usize = 4000;

/// Input of TodoWrite.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TodoWrite {
    todos: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Item {
    content: String,
    status: Status,
    active_form: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    InProgress,
    Completed,
}

/// Replaces the list.
pub(super) fn write(input: TodoWrite) -> Answer {
    if input.todos.len() > ITEMS_MAX {
        return Err(Failure::new("The list has more than 200 items."));
    }
    let todos = input
        .todos
        .into_iter()
        .map(todo)
        .collect::<Result<Vec<_>, _>>()?;
    let done = TodoStatus::Completed as i32;
    let completed = todos.iter().filter(|todo| todo.status == done).count();
    let text = format!("The list has {} items, {completed} completed.", todos.len());
    Ok(ToolOutput {
        todos: Some(todos),
        ..ToolOutput::text(text)
    })
}

fn todo(item: Item) -> Result<Todo, Failure> {
    if item.content.trim().is_empty() || item.active_form.trim().is_empty() {
        return Err(Failure::new("An item has an empty content or activeForm."));
    }
    if item.content.len().max(item.active_form.len()) > ITEM_BYTES_MAX {
        return Err(Failure::new("An item is longer than 4000 bytes."));
    }
    let status = match item.status {
        Status::Pending => TodoStatus::Pending,
        Status::InProgress => TodoStatus::InProgress,
        Status::Completed => TodoStatus::Completed,
    };
    Ok(Todo {
        content: item.content,
        status: status.into(),
        active_form: item.active_form,
    })
}
