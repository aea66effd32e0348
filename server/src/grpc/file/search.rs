//! Searching.

use futures::{Stream, StreamExt as _};
use membrane_files::search::{Case, FileMatches, Hit, Line, Query, Totals};
use membrane_proto::v1::{self as proto, search_files_response};

use super::{Service, encode_kind, signed};
use crate::{
    authz::{Operation, Principal},
    error::Error,
    files::parse_path,
    searches::Part,
};

const QUERY_CHARS_MAX: usize = 200;
const PATTERN_CHARS_MAX: usize = 1_000;
const GLOBS_MAX: usize = 50;
const GLOB_CHARS_MAX: usize = 500;
const CONTEXT_MAX: usize = 10;

impl Service {
    pub(super) async fn find(
        &self,
        caller: Option<Principal>,
        request: proto::FindFilesRequest,
    ) -> Result<proto::FindFilesResponse, Error> {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ReadFiles, id)
            .await?;
        let query = text("query", request.query, QUERY_CHARS_MAX)?;
        let count = number("max_results", request.max_results, 50, 100)?;
        let everything = request.include_ignored;
        let searches = &self.0.searches;
        let (hits, complete) = searches
            .find(permit.workspace, query, everything, count)
            .await?;
        Ok(proto::FindFilesResponse {
            files: hits.into_iter().map(encode_hit).collect(),
            truncated: !complete,
        })
    }

    pub(super) async fn search(
        &self,
        caller: Option<Principal>,
        request: proto::SearchFilesRequest,
    ) -> Result<impl Stream<Item = Result<proto::SearchFilesResponse, Error>> + Send + 'static, Error>
    {
        let id = &request.workspace_id;
        let permit = self
            .permit(caller.as_ref(), Operation::ReadFiles, id)
            .await?;
        let query = decode_query(request)?;
        let parts = self.0.searches.search(permit.workspace, query)?;
        Ok(parts.map(|part| {
            let part = Some(encode_part(part?));
            Ok(proto::SearchFilesResponse { part })
        }))
    }
}

fn decode_query(request: proto::SearchFilesRequest) -> Result<Query, Error> {
    let case = match request.case() {
        proto::SearchCase::Unspecified => Case::Smart,
        proto::SearchCase::Sensitive => Case::Sensitive,
        proto::SearchCase::Insensitive => Case::Insensitive,
    };
    let context = usize::try_from(request.context_lines).ok();
    let context = context.filter(|lines| *lines <= CONTEXT_MAX);
    Ok(Query {
        pattern: text("pattern", request.pattern, PATTERN_CHARS_MAX)?,
        is_regex: request.regex,
        case,
        words: request.whole_words,
        include: globs("include", request.include)?,
        exclude: globs("exclude", request.exclude)?,
        path: parse_path("path", &request.path)?,
        context: context.ok_or_else(|| Error::invalid("context_lines", "must be 0 to 10"))?,
        max_matches: number("max_matches", request.max_matches, 1_000, 10_000)? as u64,
        include_ignored: request.include_ignored,
    })
}

fn text(field: &str, text: String, max: usize) -> Result<String, Error> {
    if text.chars().count() > max {
        return Err(Error::invalid(
            field,
            format!("must have at most {max} characters"),
        ));
    }
    Ok(text)
}

fn globs(field: &str, globs: Vec<String>) -> Result<Vec<String>, Error> {
    if globs.len() > GLOBS_MAX {
        return Err(Error::invalid(
            field,
            format!("must have at most {GLOBS_MAX} globs"),
        ));
    }
    globs
        .into_iter()
        .map(|glob| text(field, glob, GLOB_CHARS_MAX))
        .collect()
}

/// A number of things: 0 means the usual one.
fn number(field: &str, given: i32, usual: usize, max: usize) -> Result<usize, Error> {
    match usize::try_from(given) {
        Ok(0) => Ok(usual),
        Ok(given) => Ok(given.min(max)),
        Err(_) => Err(Error::invalid(field, "must not be negative")),
    }
}

fn encode_hit(hit: Hit) -> proto::FoundFile {
    proto::FoundFile {
        path: hit.path,
        kind: encode_kind(hit.kind).into(),
        positions: hit.positions.into_iter().map(short).collect(),
    }
}

fn encode_part(part: Part) -> search_files_response::Part {
    match part {
        Part::File(matches) => search_files_response::Part::File(encode_file(matches)),
        Part::Totals(totals) => search_files_response::Part::Summary(encode_totals(totals)),
    }
}

fn encode_file(matches: FileMatches) -> proto::FileMatches {
    proto::FileMatches {
        path: matches.path.to_string(),
        lines: matches.lines.into_iter().map(encode_line).collect(),
    }
}

fn encode_line(line: Line) -> proto::SearchLine {
    let ranges = line.ranges.into_iter().map(|range| proto::TextRange {
        start: short(range.start),
        end: short(range.end),
    });
    proto::SearchLine {
        number: signed(line.number),
        ranges: ranges.collect(),
        text: line.text,
        matched: line.matched,
        cut_start: line.cut_start,
        cut_end: line.cut_end,
    }
}

fn encode_totals(totals: Totals) -> proto::SearchSummary {
    proto::SearchSummary {
        file_count: signed(totals.files),
        match_count: signed(totals.matches),
        truncated: totals.truncated,
    }
}

fn short(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
