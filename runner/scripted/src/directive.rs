//! The lines of a prompt that tell the puppet what to do, and the tool calls they stand for.

use serde_json::{Value, json};

use crate::scenario::Block;

/// A line such as `!bash ls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    /// The word after the exclamation mark.
    pub(crate) name: String,
    /// The rest of the line, or of the lines up to the end mark of `<<END`.
    pub(crate) argument: String,
}

/// Where relative paths are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Root<'a>(pub(crate) &'a str);

/// Reads the directives; other lines are remarks. An argument that ends with `<<WORD` goes on with
/// the lines until one that is only `WORD`.
pub(crate) fn parse(text: &str) -> Vec<Directive> {
    let mut directives = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(line) = line.trim_start().strip_prefix('!') else {
            continue;
        };
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let mut argument = argument.trim().to_owned();
        if let Some((before, mark)) = heredoc(&argument) {
            let body: Vec<&str> = lines.by_ref().take_while(|l| l.trim() != mark).collect();
            let body = body.join("\n");
            argument = if before.is_empty() {
                body
            } else {
                format!("{before} {body}\n")
            };
        }
        let name = name.to_owned();
        directives.push(Directive { name, argument });
    }
    directives
}

fn heredoc(argument: &str) -> Option<(String, String)> {
    let (before, mark) = argument.rsplit_once("<<")?;
    let word = !mark.is_empty() && mark.chars().all(|c| c.is_ascii_uppercase());
    word.then(|| (before.trim().to_owned(), mark.to_owned()))
}

impl Directive {
    /// The tool call that it stands for; none if it is not a call; a sentence if it is a wrong one.
    pub(crate) fn call(&self, root: Root<'_>) -> Option<Result<Block, String>> {
        let argument = self.argument.as_str();
        let (name, input) = match self.name.as_str() {
            "bash" => ("Bash", json!({"command": argument})),
            "read" => ("Read", read(argument, root)),
            "write" => ("Write", write(argument, root)),
            "edit" => return Some(edit(argument, root)),
            "glob" => ("Glob", search(argument, root)),
            "grep" => ("Grep", search(argument, root)),
            "todo" => ("TodoWrite", todo(argument)),
            "fetch" => ("WebFetch", fetch(argument)),
            "task" => ("Task", task(argument)),
            "ask" => ("AskUserQuestion", ask(argument)),
            "plan" => ("ExitPlanMode", json!({"plan": unescape(argument)})),
            "json" => return Some(json_call(argument)),
            _ => return None,
        };
        Some(Ok(Block::tool(name, input)))
    }

    /// The argument with `\n` as the end of a line.
    pub(crate) fn text(&self) -> String {
        unescape(&self.argument)
    }

    /// The argument as a number, or a sentence about it.
    pub(crate) fn number(&self) -> Result<u64, String> {
        let number = self.argument.trim().parse();
        number.map_err(|_| format!("`!{}` takes a number.", self.name))
    }
}

impl Root<'_> {
    fn resolve(self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        let path = path.strip_prefix("./").unwrap_or(path);
        format!("{}/{path}", self.0.trim_end_matches('/'))
    }
}

/// `path [offset [limit]]`
fn read(argument: &str, root: Root<'_>) -> Value {
    let mut words = argument.split_whitespace();
    let mut input = json!({"file_path": root.resolve(words.next().unwrap_or_default())});
    for field in ["offset", "limit"] {
        if let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) {
            input[field] = json!(number);
        }
    }
    input
}

/// `path content`
fn write(argument: &str, root: Root<'_>) -> Value {
    let (path, content) = split(argument);
    json!({"file_path": root.resolve(path), "content": unescape(content)})
}

/// `path old => new`
fn edit(argument: &str, root: Root<'_>) -> Result<Block, String> {
    let (path, change) = split(argument);
    let Some((old, new)) = change.split_once("=>") else {
        return Err("`!edit` takes a path, the old text, `=>` and the new text.".to_owned());
    };
    let input = json!({
        "file_path": root.resolve(path),
        "old_string": unescape(old.trim()),
        "new_string": unescape(new.trim()),
    });
    Ok(Block::tool("Edit", input))
}

/// `pattern [in path]`
fn search(argument: &str, root: Root<'_>) -> Value {
    match argument.rsplit_once(" in ") {
        Some((pattern, path)) => {
            json!({"pattern": pattern.trim(), "path": root.resolve(path.trim())})
        }
        None => json!({"pattern": argument}),
    }
}

/// `done; doing; to do`: an item that begins with `[x]` is completed, with `[~]` in progress.
fn todo(argument: &str) -> Value {
    let items = argument.split(';').map(str::trim);
    let items = items.filter(|item| !item.is_empty()).map(|item| {
        let (status, content) = match item.split_once(']') {
            Some(("[x", content)) => ("completed", content.trim()),
            Some(("[~", content)) => ("in_progress", content.trim()),
            _ => ("pending", item),
        };
        json!({"content": content, "status": status, "activeForm": content})
    });
    json!({"todos": items.collect::<Vec<_>>()})
}

/// `url prompt`
fn fetch(argument: &str) -> Value {
    let (url, prompt) = split(argument);
    json!({"url": url, "prompt": prompt})
}

/// `description => prompt`
fn task(argument: &str) -> Value {
    let (description, prompt) = argument.split_once("=>").unwrap_or(("Task", argument));
    json!({
        "description": description.trim(),
        "prompt": unescape(prompt.trim()),
        "subagent_type": "general-purpose",
    })
}

/// `question | option | option`
fn ask(argument: &str) -> Value {
    let mut parts = argument.split('|').map(str::trim);
    let question = parts.next().unwrap_or_default();
    let options: Vec<Value> = parts
        .map(|label| json!({"label": label, "description": label}))
        .collect();
    json!({"questions": [{
        "question": question,
        "header": "Question",
        "options": options,
        "multiSelect": false,
    }]})
}

/// `{"name": "Bash", "input": {}}`
fn json_call(argument: &str) -> Result<Block, String> {
    let call: Value = serde_json::from_str(argument)
        .map_err(|error| format!("`!json` takes a JSON object: {error}."))?;
    let Some(name) = call["name"].as_str() else {
        return Err("`!json` takes a JSON object with a `name`.".to_owned());
    };
    Ok(Block::ToolUse {
        id: call["id"].as_str().map(str::to_owned),
        name: name.to_owned(),
        input: call.get("input").cloned().unwrap_or_else(|| json!({})),
    })
}

fn split(argument: &str) -> (&str, &str) {
    argument
        .split_once(char::is_whitespace)
        .unwrap_or((argument, ""))
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Root, parse};
    use crate::scenario::Block;

    fn call(line: &str) -> (String, Value) {
        match parse(line)[0].call(Root("/workspace")) {
            Some(Ok(Block::ToolUse { name, input, .. })) => (name, input),
            other => panic!("{line:?} is {other:?}"),
        }
    }

    #[test]
    fn directives_are_lines_and_other_lines_remarks() {
        let directives = parse("!bash ls -l\nplease\n  !say hi");
        let names: Vec<_> = directives.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["bash", "say"]);
        assert_eq!(directives[0].argument, "ls -l");
    }

    #[test]
    fn an_argument_may_go_on_until_a_mark() {
        let (name, input) = call("!write a.txt <<END\none\n!two\nEND\n!say hi");
        assert_eq!(name, "Write");
        assert_eq!(
            input,
            json!({"file_path": "/workspace/a.txt", "content": "one\n!two\n"})
        );
        let (_, input) = call("!bash <<END\nls\npwd\nEND");
        assert_eq!(input, json!({"command": "ls\npwd"}));
    }

    #[test]
    fn a_heredoc_of_the_shell_is_left_alone() {
        let (_, input) = call("!bash cat <<eof | wc");
        assert_eq!(input["command"], "cat <<eof | wc");
    }

    #[test]
    fn paths_are_below_the_root_unless_absolute() {
        assert_eq!(call("!read ./a 5 9").1["file_path"], "/workspace/a");
        assert_eq!(call("!read ./a 5 9").1["limit"], 9);
        assert_eq!(call("!edit /b x y => z\\n").1["file_path"], "/b");
        assert_eq!(call("!edit /b x y => z").1["old_string"], "x y");
        assert_eq!(call("!grep fn main in src").1["path"], "/workspace/src");
    }

    #[test]
    fn a_list_knows_what_is_done() {
        let (_, input) = call("!todo [x] a; [~] b; c");
        let of = |i: usize| input["todos"][i]["status"].as_str().map(str::to_owned);
        assert_eq!(of(0).as_deref(), Some("completed"));
        assert_eq!(of(1).as_deref(), Some("in_progress"));
        assert_eq!(of(2).as_deref(), Some("pending"));
    }

    #[test]
    fn a_wrong_call_is_explained() {
        for line in ["!edit a b", "!json nonsense", "!json {}"] {
            assert!(
                matches!(parse(line)[0].call(Root("/")), Some(Err(_))),
                "{line}"
            );
        }
    }
}
