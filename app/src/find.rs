//! Finds files of a workspace while somebody types a part of a path. The last question wins.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1 as pb;

use crate::{api, browser};

/// How long typing must rest before the server is asked.
const REST: Duration = Duration::from_millis(60);
/// Longest query, in characters: the most that the server takes.
pub const LONGEST: usize = 200;

/// The question and its answer.
#[derive(Clone, Copy)]
pub struct Finder {
    query: RwSignal<String>,
    /// What was found, the best first.
    pub found: RwSignal<Vec<pb::FoundFile>>,
    /// Whether the server has been asked and has not yet answered.
    pub asking: RwSignal<bool>,
}

impl Finder {
    /// Begins with no question.
    pub fn new() -> Self {
        Self {
            query: RwSignal::default(),
            found: RwSignal::default(),
            asking: RwSignal::new(false),
        }
    }

    /// Asks for at most so many files; nothing is found for an empty or an overlong query.
    pub fn ask(self, workspace_id: String, query: &str, most: i32) {
        let query = query.to_owned();
        self.query.set(query.clone());
        if query.is_empty() || query.chars().count() > LONGEST {
            self.found.set(Vec::new());
            return self.asking.set(false);
        }
        self.asking.set(true);
        spawn_local(async move {
            browser::sleep(REST).await;
            let still = || self.query.try_with_untracked(|now| *now == query) == Some(true);
            if !still() {
                return;
            }
            let request = pb::FindFilesRequest {
                workspace_id,
                query: query.clone(),
                max_results: most,
                ..Default::default()
            };
            let answer = api::files().find_files(request).await;
            if still() {
                // What can not be found can still be typed, or looked for in the tree.
                let found = answer.map_or_else(|_| Vec::new(), |answer| answer.into_inner().files);
                self.found.set(found);
                self.asking.set(false);
            }
        });
    }

    /// Forgets the question and its answer.
    pub fn clear(self) {
        self.ask(String::new(), "", 0);
    }
}
