//! What a server answers, as a tool's output.

use membrane_proto::v1::Truncation;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};

use crate::tools::ToolOutput;

/// Longest text of an answer in bytes. The rest is not kept.
const TEXT_MAX: usize = 100_000;

pub(super) fn of(result: CallToolResult) -> ToolOutput {
    let parts: Vec<String> = result.content.into_iter().map(text).collect();
    let (text, truncation) = cut(parts.join("\n"));
    ToolOutput {
        is_error: result.is_error.unwrap_or_default(),
        truncation,
        ..ToolOutput::text(text)
    }
}

/// Text as it is; of anything else, that it is there.
fn text(block: ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text,
        ContentBlock::Resource(embedded) => match embedded.resource {
            ResourceContents::TextResourceContents { text, .. } => text,
            _ => "[a resource that is not text]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[a resource: {}]", link.uri),
        ContentBlock::Image(_) => "[an image]".to_owned(),
        ContentBlock::Audio(_) => "[a recording]".to_owned(),
        _ => "[something that is not text]".to_owned(),
    }
}

fn cut(text: String) -> (String, Option<Truncation>) {
    if text.len() <= TEXT_MAX {
        return (text, None);
    }
    let truncation = Truncation {
        total_bytes: i64::try_from(text.len()).unwrap_or(i64::MAX),
        digest: format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex()),
        path: String::new(),
    };
    let kept = &text[..text.floor_char_boundary(TEXT_MAX)];
    let text = format!(
        "{kept}\n\n[The answer had {} bytes; the rest was left out.]",
        text.len()
    );
    (text, Some(truncation))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(output: &ToolOutput) -> String {
        format!("{:?}", output.content)
    }

    #[test]
    fn text_is_passed_on_and_an_error_stays_one() {
        let blocks = ["one", "two"].map(ContentBlock::text).to_vec();
        let output = of(CallToolResult::error(blocks));
        assert!(output.is_error);
        assert!(said(&output).contains("one\\ntwo"), "{output:?}");
    }

    #[test]
    fn a_long_answer_is_cut_between_characters_and_says_so() {
        let long = "é".repeat(TEXT_MAX);
        let output = of(CallToolResult::success(vec![ContentBlock::text(long)]));
        assert!(said(&output).contains("the rest was left out"));
        let truncation = output.truncation.expect("a truncation");
        assert_eq!(truncation.total_bytes, 200_000);
    }
}
