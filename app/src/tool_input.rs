//! Reads the input of a tool call, also while it is still being written.

use serde_json::Value;

use crate::format;

/// Most characters of what a tool is about.
const LINE: usize = 160;

/// The input of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolInput {
    whole: Option<Value>,
    raw: String,
}

impl ToolInput {
    /// Takes a JSON object or the beginning of one.
    pub fn new(json: &str) -> Self {
        Self {
            whole: serde_json::from_str(json).ok(),
            raw: json.to_owned(),
        }
    }

    /// A field's text; of an unfinished object, as much of it as is there.
    pub fn text(&self, field: &str) -> Option<String> {
        match &self.whole {
            Some(value) => value.get(field)?.as_str().map(str::to_owned),
            None => unfinished_text(&self.raw, field),
        }
    }

    /// Number of items in a field that is a list.
    pub fn count(&self, field: &str) -> Option<i64> {
        let items = self.whole.as_ref()?.get(field)?.as_array()?;
        i64::try_from(items.len()).ok()
    }

    /// The first field that is a text, for tools that nobody here knows.
    pub fn first_text(&self) -> Option<String> {
        let fields = self.whole.as_ref()?.as_object()?;
        fields.values().find_map(Value::as_str).map(str::to_owned)
    }

    /// The whole in a form for reading: indented if it is complete.
    pub fn pretty(&self) -> String {
        let pretty = self
            .whole
            .as_ref()
            .and_then(|value| serde_json::to_string_pretty(value).ok());
        pretty.unwrap_or_else(|| self.raw.clone())
    }
}

/// The one part of a tool's input that tells what it is about, on one line.
pub fn essential(tool: &str, input: &str) -> String {
    let input = ToolInput::new(input);
    let text = match tool {
        "Bash" => input.text("command"),
        "Read" | "Write" | "Edit" => input
            .text("file_path")
            .map(|path| format::path(&path).to_owned()),
        "Glob" | "Grep" => input.text("pattern"),
        "WebFetch" => input.text("url"),
        "TodoWrite" => input
            .count("todos")
            .map(|items| format::count(items, "item", "items")),
        _ => input.first_text(),
    };
    let text = text.unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    let cut: String = first.chars().take(LINE).collect();
    if cut.len() < text.len() {
        format!("{cut} …")
    } else {
        cut
    }
}

/// The text after `"field":"`, up to its end or to where the object breaks off.
fn unfinished_text(raw: &str, field: &str) -> Option<String> {
    let after_name = raw.split_once(&format!("\"{field}\""))?.1;
    let text = after_name
        .trim_start()
        .strip_prefix(':')?
        .trim_start()
        .strip_prefix('"')?;
    let mut end = text.len();
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == '"' {
            end = at;
            break;
        }
    }
    decode(&text[..end])
}

/// Decodes the inside of a JSON string that may break off within an escape.
fn decode(text: &str) -> Option<String> {
    // An escape is at most twelve letters long (a surrogate pair); shorten until it is whole.
    let shortened = text.char_indices().rev().map(|(at, _)| at).take(12);
    std::iter::once(text.len())
        .chain(shortened)
        .find_map(|end| serde_json::from_str(&format!("\"{}\"", &text[..end])).ok())
}

#[cfg(test)]
mod tests {
    use super::ToolInput;

    #[test]
    fn a_whole_object_is_read_as_json() {
        let input = ToolInput::new(r#"{"file_path":"a \"b\"","todos":[1,2]}"#);
        assert_eq!(input.text("file_path").as_deref(), Some("a \"b\""));
        assert_eq!(input.count("todos"), Some(2));
        assert_eq!(input.text("missing"), None);
        assert_eq!(input.first_text().as_deref(), Some("a \"b\""));
    }

    #[test]
    fn an_unfinished_object_gives_what_is_there() {
        for (raw, expected) in [
            (r#"{"command":"#, None),
            (r#"{"command":""#, Some("")),
            (r#"{"command":"ls -"#, Some("ls -")),
            (r#"{"command":"a\"b"#, Some("a\"b")),
            (r#"{"command":"a\"#, Some("a")),
            (r#"{"command":"a\u00"#, Some("a")),
            (r#"{"command":"ls","description":"li"#, Some("ls")),
        ] {
            assert_eq!(
                ToolInput::new(raw).text("command").as_deref(),
                expected,
                "{raw}"
            );
        }
    }
}
