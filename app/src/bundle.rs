//! What a browser loads beside a page, as `bundle.mjs` lists it in `bundle.json`.

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;

/// The files of the browser bundle.
#[derive(Clone, Debug, Default)]
pub struct Bundle(Arc<Listing>);

#[derive(Debug, Default, Deserialize)]
struct Listing {
    /// Their directory below `/pkg`, which is named after what is in it.
    directory: String,
    /// The wasm files of each part that is fetched when it is needed.
    parts: HashMap<String, Vec<String>>,
}

impl Bundle {
    /// Reads the listing.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json).map(Arc::new).map(Self)
    }

    /// The address of a file.
    pub(crate) fn address(&self, file: &str) -> String {
        format!("/pkg/{}/{file}", self.0.directory)
    }

    /// The addresses of a part's wasm files.
    pub(crate) fn part(&self, part: &str) -> impl Iterator<Item = String> {
        let files = self.0.parts.get(part).into_iter().flatten();
        files.map(|file| self.address(file))
    }
}
