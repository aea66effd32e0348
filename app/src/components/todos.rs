//! The agent's checklist, pinned above the composer while there is one.

use leptos::prelude::*;
use membrane_proto::v1::{Todo, TodoStatus};

use super::icon::{Glyph, Icon};
use crate::transcript::Activity;

/// The checklist; nothing once it is done and the agent is, too.
#[component]
pub fn Todos(
    /// The items.
    todos: RwSignal<Vec<Todo>>,
    /// What the session is doing.
    activity: RwSignal<Activity>,
) -> impl IntoView {
    let done = |todo: &Todo| todo.status() == TodoStatus::Completed;
    let some = Memo::new(move |_| {
        let busy = activity.get() != Activity::Idle;
        todos.with(|todos| !todos.is_empty() && (busy || !todos.iter().all(done)))
    });
    let progress = move || {
        todos.with(|todos| {
            let done = todos
                .iter()
                .filter(|todo| todo.status() == TodoStatus::Completed)
                .count();
            format!("{done} of {}", todos.len())
        })
    };
    let current = move || todos.with(|todos| current(todos));
    let list = move || todos.get().into_iter().map(item).collect_view();
    move || {
        some.get().then(|| {
            view! {
                <details class="todos">
                    <summary>
                        <Glyph icon=Icon::Checklist />
                        <span class="todos-title">"Checklist"</span>
                        <span class="quiet">{progress}</span>
                        <span class="todos-current">{current}</span>
                        <span class="tool-chevron"><Glyph icon=Icon::Chevron /></span>
                    </summary>
                    <ul>{list}</ul>
                </details>
            }
        })
    }
}

/// What is being done, or what comes next.
fn current(todos: &[Todo]) -> String {
    let with = |status| todos.iter().find(move |todo| todo.status() == status);
    match (with(TodoStatus::InProgress), with(TodoStatus::Pending)) {
        (Some(todo), _) if !todo.active_form.is_empty() => todo.active_form.clone(),
        (Some(todo), _) | (None, Some(todo)) => todo.content.clone(),
        (None, None) => "All done".to_owned(),
    }
}

fn item(todo: Todo) -> impl IntoView {
    let (class, icon, word) = match todo.status() {
        TodoStatus::Completed => ("todo done", Icon::Check, "done"),
        TodoStatus::InProgress => ("todo running", Icon::ArrowUp, "being done"),
        TodoStatus::Pending | TodoStatus::Unspecified => ("todo", Icon::Circle, "to do"),
    };
    view! {
        <li class=class>
            <Glyph icon />
            <span>{todo.content}</span>
            <span class="for-readers">{format!(" ({word})")}</span>
        </li>
    }
    .into_any()
}
