//! What is searched for in the files of a workspace, as an address, and what was found.

use std::{collections::HashMap, sync::Arc};

use membrane_proto::v1::{self as pb, search_files_response::Part};

use crate::query::{self, value};

/// Matches at which a search ends.
pub const MOST: i32 = 1_000;
/// Matches that a page is rendered with.
pub const FIRST: i32 = 100;

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Text, or a regular expression.
    pub pattern: String,
    /// Whether it is a regular expression.
    pub regex: bool,
    /// Whether capitals count; otherwise only if the pattern has some.
    pub case: bool,
    /// Whether only whole words match.
    pub words: bool,
    /// Globs of which a file must match one, with white space between them.
    pub include: String,
    /// Globs of what is passed over, likewise.
    pub exclude: String,
    /// Whether to look also into what ignore files name.
    pub ignored: bool,
}

impl Query {
    /// Reads the query of an address.
    pub fn parse(query: &str) -> Self {
        let text = |key| value(query, key).unwrap_or_default();
        let on = |key| value(query, key).as_deref() == Some("1");
        Self {
            pattern: text("q"),
            regex: on("regex"),
            case: on("case"),
            words: on("words"),
            include: text("in"),
            exclude: text("not"),
            ignored: on("ignored"),
        }
    }

    /// Its address in a workspace.
    pub fn href(&self, workspace_id: &str) -> String {
        let on = |is_on: bool| is_on.then_some("1");
        let mut href = format!("/workspaces/{workspace_id}/search");
        let pairs = [
            ("q", Some(self.pattern.as_str())),
            ("regex", on(self.regex)),
            ("case", on(self.case)),
            ("words", on(self.words)),
            ("in", Some(self.include.as_str())),
            ("not", Some(self.exclude.as_str())),
            ("ignored", on(self.ignored)),
        ];
        query::push(&mut href, pairs);
        href
    }

    /// As the wire says it, with at most so many matches.
    pub fn to_wire(&self, workspace_id: String, max_matches: i32) -> pb::SearchFilesRequest {
        let globs = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let case = match self.case {
            true => pb::SearchCase::Sensitive,
            false => pb::SearchCase::Unspecified,
        };
        pb::SearchFilesRequest {
            workspace_id,
            pattern: self.pattern.clone(),
            regex: self.regex,
            case: case.into(),
            whole_words: self.words,
            include: globs(&self.include),
            exclude: globs(&self.exclude),
            include_ignored: self.ignored,
            max_matches,
            ..Default::default()
        }
    }
}

/// What was found so far, each file once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    files: Vec<Arc<pb::FileMatches>>,
    places: HashMap<String, usize>,
    matches: usize,
}

impl Found {
    /// What some messages say together.
    pub fn of(files: impl IntoIterator<Item = pb::FileMatches>) -> Self {
        let mut found = Self::default();
        for file in files {
            found.add(file);
        }
        found
    }

    /// Takes a part of the stream; answers the summary if that is what it is.
    pub fn take(&mut self, part: pb::SearchFilesResponse) -> Option<pb::SearchSummary> {
        match part.part? {
            Part::File(file) => {
                self.add(file);
                None
            }
            Part::Summary(summary) => Some(summary),
        }
    }

    fn add(&mut self, file: pb::FileMatches) {
        self.matches += file.lines.iter().filter(|line| line.matched).count();
        match self.places.get(&file.path) {
            Some(at) => Arc::make_mut(&mut self.files[*at]).lines.extend(file.lines),
            None => {
                self.places.insert(file.path.clone(), self.files.len());
                self.files.push(Arc::new(file));
            }
        }
    }

    /// The files, in the order in which they were found.
    pub fn files(&self) -> &[Arc<pb::FileMatches>] {
        &self.files
    }

    /// Number of lines with a match.
    pub fn lines(&self) -> usize {
        self.matches
    }
}

/// Why a search has ended before everything was searched, and what to do; none if it has not.
pub fn stopped(summary: &pb::SearchSummary, most: i32) -> Option<String> {
    if !summary.truncated {
        return None;
    }
    Some(if summary.match_count >= i64::from(most) {
        format!(
            "Stopped after {most} matches, which is as many as this page shows. Search for \
             something longer, or name the files."
        )
    } else {
        "Not everything was searched: the tree is very large or very deep, or a file has a line of \
         more than 16 MiB. Name the files to search."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: &[i64]) -> pb::FileMatches {
        let line = |number: &i64| pb::SearchLine {
            number: *number,
            matched: true,
            ..Default::default()
        };
        pb::FileMatches {
            path: path.to_owned(),
            lines: lines.iter().map(line).collect(),
        }
    }

    #[test]
    fn every_search_survives_its_address() {
        let all = Query {
            pattern: "a+b c/%25 <é>&q=1".to_owned(),
            regex: true,
            case: true,
            words: true,
            include: "*.rs src/**".to_owned(),
            exclude: "*.{a,b}".to_owned(),
            ignored: true,
        };
        for query in [all, Query::default()] {
            let href = query.href("w");
            let (_, read) = href.split_once('?').unwrap_or_default();
            assert_eq!(Query::parse(read), query, "{href}");
        }
    }

    #[test]
    fn a_form_is_read_like_a_link() {
        let query = Query::parse("?q=two+words&in=&not=&words=1");
        assert_eq!(query.pattern, "two words");
        assert!(query.words && !query.regex && query.include.is_empty());
    }

    #[test]
    fn globs_are_told_apart() {
        let query = Query {
            include: " *.rs  src/** ".to_owned(),
            ..Query::default()
        };
        let request = query.to_wire("w".to_owned(), 5);
        assert_eq!(request.include, ["*.rs", "src/**"]);
        assert!(request.exclude.is_empty());
    }

    #[test]
    fn a_file_that_comes_in_parts_is_one() {
        let found = Found::of([file("a", &[1]), file("b", &[7]), file("a", &[2, 3])]);
        let paths: Vec<_> = found.files().iter().map(|file| &file.path).collect();
        assert_eq!(paths, ["a", "b"]);
        assert_eq!(found.files()[0].lines.len(), 3);
        assert_eq!(found.lines(), 4);
    }

    #[test]
    fn a_search_says_why_it_stopped() {
        let summary = |match_count, truncated| pb::SearchSummary {
            match_count,
            truncated,
            ..Default::default()
        };
        assert_eq!(stopped(&summary(3, false), 100), None);
        let why = stopped(&summary(100, true), 100).expect("a reason");
        assert!(why.contains("after 100 matches"));
        let why = stopped(&summary(3, true), 100).expect("a reason");
        assert!(why.contains("very large"));
    }
}
