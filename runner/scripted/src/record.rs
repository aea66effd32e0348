//! What was asked of the scripted model, kept for tests to look at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, Method, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request that arrived, answered or refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The n-th request since the server started, from 1.
    pub number: u64,
    /// HTTP method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query without the question mark; empty if there is none.
    pub query: String,
    /// Headers, names in lower case; repeated ones joined with a comma.
    pub headers: BTreeMap<String, String>,
    /// The key that came with it.
    pub key: Option<Key>,
    /// The body; null if it was empty or not JSON.
    pub body: Value,
    /// Status of the response.
    pub status: u16,
}

/// A key and how it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `x-api-key` or `authorization`.
    pub header: String,
    /// The key itself, without `Bearer`.
    pub value: String,
}

/// The last requests, at most `keep` of them.
#[derive(Debug)]
pub(crate) struct Record {
    keep: usize,
    requests: Mutex<(u64, VecDeque<Recorded>)>,
}

impl Record {
    pub(crate) fn new(keep: usize) -> Self {
        let requests = Mutex::default();
        Self { keep, requests }
    }

    /// All requests kept, oldest first.
    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.lock().1.iter().cloned().collect()
    }

    /// Forgets all requests; numbers go on.
    pub(crate) fn clear(&self) {
        self.lock().1.clear();
    }

    /// Keeps a request and gives it its number.
    pub(crate) fn add(&self, mut request: Recorded) {
        let mut kept = self.lock();
        kept.0 += 1;
        request.number = kept.0;
        kept.1.push_back(request);
        let excess = kept.1.len().saturating_sub(self.keep);
        kept.1.drain(..excess);
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<Recorded>)> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    /// A request with everything but its number and the response's status.
    pub(crate) fn new(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Self {
        Self {
            number: 0,
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers: join(headers),
            key: Key::read(headers),
            body: serde_json::from_slice(body).unwrap_or_default(),
            status: 0,
        }
    }

    /// A header's value, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Key {
    /// The key in these headers; a key of its own header goes before a bearer token.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let found = |header: &str, value: &str| Self {
            header: header.to_owned(),
            value: value.to_owned(),
        };
        if let Some(key) = text("x-api-key").filter(|key| !key.is_empty()) {
            return Some(found("x-api-key", key));
        }
        let (scheme, token) = text("authorization")?.split_once(' ')?;
        let bearer = scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty();
        bearer.then(|| found("authorization", token.trim()))
    }
}

fn join(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.to_string())
            .and_modify(|earlier| {
                earlier.push_str(", ");
                earlier.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    joined
}
