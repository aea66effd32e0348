//! Redaction of known secrets in whatever leaves an engine or goes to a log.
//!
//! A secret is searched for as it is and in the forms that programs commonly give it: base64 in
//! both alphabets wherever it begins in a longer text, hex, escaped for URLs, for JSON and for
//! shells; each longer line of it as well. Line breaks are passed over, so that wrapped base64 and
//! keys in PEM are found. Other transformations, and parts of a secret, are not.
//!
//! Whatever any form covers is masked, also where forms overlap. Text that comes in pieces is masked
//! exactly like the whole, because both are done by [`Stream`].
//!
//! Knows nothing of where secrets come from. Patterns are in memory in the clear for as long as
//! their secret is [`Known`].

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use secrecy::{ExposeSecret as _, SecretString};

mod event;
mod filter;
mod forms;
mod patterns;
mod stream;
#[cfg(test)]
mod tests;
mod unbroken;

pub use stream::Stream;

use patterns::{Found, Patterns};

/// What stands for a secret.
pub const MASK: &str = "[redacted]";

/// Shorter secrets, in bytes and line breaks not counted, are not redacted: they would be found in
/// text that has nothing to do with them.
pub const MIN_SECRET_BYTES: usize = 8;

/// Whether a secret is long enough to be redacted.
#[must_use]
pub fn is_redactable(secret: &str) -> bool {
    forms::length(secret) >= MIN_SECRET_BYTES
}

/// Masks the secrets that it knows. Clones know the same. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor {
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    next: u64,
    secrets: BTreeMap<u64, SecretString>,
    /// Made when something is searched after the secrets changed.
    patterns: Option<Option<Arc<Patterns>>>,
}

/// A secret that a redactor knows, until this is dropped.
pub struct Known {
    redactor: Redactor,
    number: u64,
}

impl Redactor {
    /// Learns a secret, also while streams are being masked. One that is too short is not searched
    /// for.
    #[must_use]
    pub fn know(&self, secret: &SecretString) -> Known {
        let mut book = self.book();
        let number = book.next;
        book.next += 1;
        book.secrets.insert(number, secret.clone());
        book.patterns = None;
        Known {
            redactor: self.clone(),
            number,
        }
    }

    /// Masks a whole text.
    #[must_use]
    pub fn mask<'text>(&self, text: &'text str) -> Cow<'text, str> {
        if !self.finds(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let mut stream = self.stream();
        let mut masked = stream.push(text);
        masked.push_str(&stream.finish());
        Cow::Owned(masked)
    }

    /// Whether there is anything to mask.
    #[must_use]
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.patterns()
            .is_some_and(|patterns| !patterns.search(bytes, 0).ranges.is_empty())
    }

    /// Begins to mask something that comes in pieces.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    fn patterns(&self) -> Option<Arc<Patterns>> {
        let mut book = self.book();
        let book = &mut *book;
        let compile = || compile(&book.secrets).map(Arc::new);
        book.patterns.get_or_insert_with(compile).clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // The book is whole after every statement, so a panic elsewhere does not spoil it.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compile(secrets: &BTreeMap<u64, SecretString>) -> Option<Patterns> {
    let mut forms: Vec<_> = secrets
        .values()
        .flat_map(|secret| forms::of(secret.expose_secret()))
        .collect();
    forms.sort_unstable_by(|one, other| one.cmp(other));
    forms.dedup();
    Patterns::new(&forms)
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut book = self.redactor.book();
        book.secrets.remove(&self.number);
        book.patterns = None;
    }
}

impl Found {
    /// What is found by whoever knows no secret any more.
    fn masked(masked: usize) -> Self {
        let ranges = (masked > 0).then_some(0..masked).into_iter().collect();
        Self { ranges, settled: 0 }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Known").finish_non_exhaustive()
    }
}
