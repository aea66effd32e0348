//! The tools as the model is told about them. Names and inputs follow Claude Code's public
//! definitions, so that prompts and habits carry over; what does not work here is not declared.

use serde_json::{Value, json};

use super::{ToolDefinition, ToolKind};

/// All tools, in the order of [`super::TOOL_NAMES`].
pub(super) fn all() -> Vec<ToolDefinition> {
    vec![
        read(),
        write(),
        edit(),
        bash(),
        glob(),
        grep(),
        todo_write(),
    ]
}

/// What a tool may do; none for an unknown name.
pub(super) fn kind(name: &str) -> Option<ToolKind> {
    match name {
        "Read" | "Glob" | "Grep" => Some(ToolKind::ReadOnly),
        "Write" | "Edit" => Some(ToolKind::Edit),
        "Bash" => Some(ToolKind::Execute),
        "TodoWrite" => Some(ToolKind::Internal),
        _ => None,
    }
}

fn read() -> ToolDefinition {
    ToolDefinition {
        name: "Read".into(),
        description: "Reads one file and returns its lines, each with its number. Give an absolute \
            path under /workspace or /home/agent, or one relative to /workspace. Without offset and \
            limit it returns the first 2000 lines; lines over 2000 characters are cut. When the file \
            has more, the answer begins with a PARTIAL notice that says how to go on. Images (PNG, \
            JPEG, GIF, WebP) are returned as images, notebooks (.ipynb) cell by cell. A directory is \
            an error: use Bash with ls, or Glob."
            .into(),
        input_schema: object(
            json!({
                "file_path": string("The file's path."),
                "offset": positive("The line to begin with, counted from 1."),
                "limit": positive("The number of lines to return."),
            }),
            &["file_path"],
        ),
    }
}

fn write() -> ToolDefinition {
    ToolDefinition {
        name: "Write".into(),
        description: "Writes a whole file, and creates it and its directories where they are \
            missing. A file that exists must have been read with Read first and must not have \
            changed since. Prefer Edit for a change to a part of a file."
            .into(),
        input_schema: object(
            json!({
                "file_path": string("The file's path."),
                "content": string("The whole new content."),
            }),
            &["file_path", "content"],
        ),
    }
}

fn edit() -> ToolDefinition {
    ToolDefinition {
        name: "Edit".into(),
        description: "Replaces one piece of text in a file. old_string must occur exactly as given, \
            indentation included and without the line numbers that Read shows, and only once, unless \
            replace_all is true. The file must have been read with Read first and must not have \
            changed since."
            .into(),
        input_schema: object(
            json!({
                "file_path": string("The file's path."),
                "old_string": string("The text to replace."),
                "new_string": string("The text to put in its place; not the same."),
                "replace_all": boolean("Replace every occurrence instead of the only one."),
            }),
            &["file_path", "old_string", "new_string"],
        ),
    }
}

fn bash() -> ToolDefinition {
    ToolDefinition {
        name: "Bash".into(),
        description: "Runs a shell command with bash in the workspace's sandbox and returns its \
            output, standard output and standard error together, and its exit code. Each call is a \
            new process: the working directory is kept as long as it stays inside /workspace, \
            environment variables are not. Processes that are still running when the command ends \
            are killed, and /tmp is emptied. There is no terminal and no network. Output over 30000 characters is written \
            to a file; the answer then has its beginning, its end and the file's path."
            .into(),
        input_schema: object(
            json!({
                "command": string("The command."),
                "timeout": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 600_000,
                    "description": "Time limit in milliseconds; 120000 if not given, at most 600000.",
                },
                "description": string("What the command does, in five to ten words."),
            }),
            &["command"],
        ),
    }
}

fn glob() -> ToolDefinition {
    ToolDefinition {
        name: "Glob".into(),
        description:
            "Finds files by a pattern such as **/*.rs or src/**/*.{ts,tsx}, newest first, \
            at most 100, and says when there are more."
                .into(),
        input_schema: object(
            json!({
                "pattern": string("The pattern, relative to path."),
                "path": string("The directory to search; /workspace if not given."),
            }),
            &["pattern"],
        ),
    }
}

fn grep() -> ToolDefinition {
    ToolDefinition {
        name: "Grep".into(),
        description: "Searches file contents for a regular expression in ripgrep's syntax. Files \
            that .gitignore excludes, hidden version control directories and binary files are left \
            out. output_mode is files_with_matches (paths; the default), content (matching lines, \
            with -A, -B, -C, -n, -o) or count (matches per file)."
            .into(),
        input_schema: object(
            json!({
                "pattern": string("The regular expression."),
                "path": string("The file or directory to search; /workspace if not given."),
                "glob": string("Only files that match this pattern, such as *.rs or **/*.{ts,tsx}."),
                "type": string("Only files of this type, such as rust, py, js, go."),
                "output_mode": {
                    "type": "string",
                    "enum": ["content", "files_with_matches", "count"],
                    "description": "What to return; files_with_matches if not given.",
                },
                "-A": count("Lines of context after each match."),
                "-B": count("Lines of context before each match."),
                "-C": count("Lines of context before and after each match."),
                "-n": boolean("Show line numbers; true if not given."),
                "-i": boolean("Ignore case."),
                "-o": boolean("Only the matching parts of lines."),
                "head_limit": count("At most so many lines or entries; 250 if not given, 0 for no limit."),
                "offset": count("Leave out so many lines or entries first."),
                "multiline": boolean("Let matches span lines, and . match line ends."),
            }),
            &["pattern"],
        ),
    }
}

fn todo_write() -> ToolDefinition {
    ToolDefinition {
        name: "TodoWrite".into(),
        description: "Replaces the list of what is to be done, which people see live. Use it for \
            work of three steps or more; keep exactly one item in_progress and mark items completed \
            as soon as they are."
            .into(),
        input_schema: object(
            json!({
                "todos": {
                    "type": "array",
                    "description": "The whole list.",
                    "items": object(
                        json!({
                            "content": string("What to do, in the imperative."),
                            "status": {
                                "type": "string",
                                "enum": ["pending", "in_progress", "completed"],
                                "description": "How far it is.",
                            },
                            "activeForm": string("The same while it is being done."),
                        }),
                        &["content", "status", "activeForm"],
                    ),
                },
            }),
            &["todos"],
        ),
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn string(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn boolean(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

fn positive(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 1, "description": description })
}

fn count(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": description })
}
