//! How many tokens a request can have, read from its JSON: no provider's tokenizer is at hand.

use serde_json::Value;

/// Tokens that one image has at most, at the largest size that a provider does not scale down.
const IMAGE_TOKENS: i64 = 5_000;

/// Tokens that one document has at most: it can't be longer than what any model reads at once.
const DOCUMENT_TOKENS: i64 = 1_000_000;

/// What providers add to a request: instructions for tools, and what frames messages.
const FRAME_TOKENS: i64 = 2_000;

/// Bytes of a token in common text.
const TOKEN_BYTES: i64 = 4;

/// The size of a request of the Messages API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSize {
    /// Bytes of JSON, without those of images.
    bytes: i64,
    images: i64,
    documents: i64,
}

impl RequestSize {
    /// The size of a request's body.
    #[must_use]
    pub fn of(body: &Value) -> Self {
        let mut size = Self {
            bytes: number(body.to_string().len()),
            images: 0,
            documents: 0,
        };
        for message in list(body, "messages") {
            size.add_media(message);
        }
        size
    }

    /// Input tokens at most. No tokenizer makes a token of less than a byte.
    #[must_use]
    pub fn most_tokens(&self) -> i64 {
        let media = self.images * IMAGE_TOKENS + self.documents * DOCUMENT_TOKENS;
        self.bytes + media + FRAME_TOKENS
    }

    /// The same for a request that goes on from one of which the size and the tokens are known.
    #[must_use]
    pub fn most_tokens_after(&self, earlier: &Self, tokens: i64) -> i64 {
        let grown = Self {
            bytes: (self.bytes - earlier.bytes).max(0),
            images: (self.images - earlier.images).max(0),
            documents: (self.documents - earlier.documents).max(0),
        };
        self.most_tokens()
            .min(tokens.saturating_add(grown.most_tokens()))
    }

    /// Input tokens as they probably are.
    #[must_use]
    pub fn likely_tokens(&self) -> i64 {
        self.bytes / TOKEN_BYTES + self.images * IMAGE_TOKENS / 3
    }

    /// Counts images and documents where the API takes them: in a message, and in a tool's answer.
    fn add_media(&mut self, parent: &Value) {
        for block in list(parent, "content") {
            match block["type"].as_str() {
                Some("image") => {
                    self.images += 1;
                    let data = block["source"]["data"].as_str().unwrap_or_default();
                    self.bytes -= number(data.len());
                }
                Some("document") => self.documents += 1,
                Some("tool_result") => self.add_media(block),
                _ => {}
            }
        }
    }
}

/// Tokens that text of so many bytes probably has.
#[must_use]
pub fn likely_tokens(bytes: usize) -> i64 {
    number(bytes).saturating_add(TOKEN_BYTES - 1) / TOKEN_BYTES
}

fn list<'value>(parent: &'value Value, name: &str) -> impl Iterator<Item = &'value Value> {
    parent[name].as_array().into_iter().flatten()
}

fn number(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
