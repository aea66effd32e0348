//! What the words of a program are: syntect's scopes, reduced to the few kinds that have a colour.

use std::{sync::LazyLock, time::Duration};

use membrane_proto::v1::{CodeKind, CodeLine, CodeSpan};
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};
use tokio::time::Instant;

/// Longest line that is looked into, in bytes.
const LINE_MAX: usize = 2_000;
/// How long one file may take; what comes after it has no colours.
const BUDGET: Duration = Duration::from_secs(1);

/// Grammars that keep the ends of lines; those without are full of mistakes.
static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// Prefixes of scopes, the special ones first, and the kinds that they stand for.
static KINDS: LazyLock<Vec<(Scope, CodeKind)>> = LazyLock::new(|| {
    let kinds = [
        ("comment", CodeKind::Comment),
        ("meta.interpolation", CodeKind::Unspecified),
        ("meta.template.expression", CodeKind::Unspecified),
        ("constant.character.escape", CodeKind::Number),
        ("string", CodeKind::String),
        ("constant", CodeKind::Number),
        ("keyword.operator.word", CodeKind::Keyword),
        ("keyword.operator", CodeKind::Unspecified),
        ("keyword", CodeKind::Keyword),
        ("storage.type.function", CodeKind::Keyword),
        ("storage", CodeKind::Keyword),
        ("entity.name.function", CodeKind::Name),
        ("entity.other.attribute-name", CodeKind::Name),
        ("entity.name.tag", CodeKind::Type),
        ("entity.name", CodeKind::Type),
        ("entity.other.inherited-class", CodeKind::Type),
        ("support.type.property-name", CodeKind::Name),
        ("support.type", CodeKind::Type),
        ("support.class", CodeKind::Type),
        ("support.function", CodeKind::Name),
        ("support.macro", CodeKind::Name),
        ("variable.function", CodeKind::Name),
        ("markup.heading", CodeKind::Keyword),
        ("markup.inserted", CodeKind::String),
        ("markup.deleted", CodeKind::Keyword),
        ("markup.raw", CodeKind::String),
        ("markup.underline.link", CodeKind::Name),
    ];
    let scope = |(prefix, kind)| Some((Scope::new(prefix).ok()?, kind));
    kinds.into_iter().filter_map(scope).collect()
});

/// Goes through one text from its beginning, line by line.
pub(super) struct Highlighter {
    syntax: &'static SyntaxReference,
    state: ParseState,
    scopes: ScopeStack,
    deadline: Instant,
}

impl Highlighter {
    /// For the text of a file with this name and first line, if its language is known.
    pub(super) fn of_file(name: &str, first_line: &str) -> Option<Self> {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let syntax = SYNTAXES.find_syntax_by_extension(name);
        let syntax = syntax.or_else(|| SYNTAXES.find_syntax_by_extension(extension));
        let syntax = syntax.or_else(|| SYNTAXES.find_syntax_by_first_line(first_line));
        Self::new(syntax)
    }

    /// For a text in the language of this name, in any spelling, if there is one.
    pub(super) fn of_language(language: &str) -> Option<Self> {
        Self::new(SYNTAXES.find_syntax_by_token(language))
    }

    fn new(syntax: Option<&'static SyntaxReference>) -> Option<Self> {
        let syntax =
            syntax.filter(|syntax| syntax.name != SYNTAXES.find_syntax_plain_text().name)?;
        Some(Self {
            syntax,
            state: ParseState::new(syntax),
            scopes: ScopeStack::new(),
            deadline: Instant::now() + BUDGET,
        })
    }

    /// The language's name.
    pub(super) fn language(&self) -> &'static str {
        &self.syntax.name
    }

    /// What the pieces of the next line are.
    pub(super) fn spans(&mut self, line: &str) -> Vec<CodeSpan> {
        if line.len() > LINE_MAX || Instant::now() > self.deadline {
            return Vec::new();
        }
        let parsed = self.state.parse_line(&format!("{line}\n"), &SYNTAXES);
        let mut spans = Spans::default();
        // A grammar that gives up on a line may find its way on the next one.
        for (at, change) in parsed.unwrap_or_default() {
            spans.add(at.min(line.len()), kind(&self.scopes));
            if self.scopes.apply(&change).is_err() {
                self.scopes = ScopeStack::new();
            }
        }
        spans.add(line.len(), kind(&self.scopes));
        spans.finish()
    }
}

/// Adds what the pieces of lines are.
pub(super) fn paint(lines: &mut [CodeLine], highlighter: Option<&mut Highlighter>) {
    let Some(highlighter) = highlighter else {
        return;
    };
    for line in lines {
        line.spans = highlighter.spans(&line.text);
    }
}

fn kind(scopes: &ScopeStack) -> CodeKind {
    let of_scope = |scope: &Scope| {
        let mut kinds = KINDS.iter();
        kinds.find(|(prefix, _)| prefix.is_prefix_of(*scope))
    };
    let innermost = scopes.as_slice().iter().rev().find_map(of_scope);
    innermost.map_or(CodeKind::Unspecified, |(_, kind)| *kind)
}

/// The pieces of a line, each as long as its kind goes.
#[derive(Default)]
struct Spans {
    spans: Vec<(usize, CodeKind)>,
    end: usize,
}

impl Spans {
    fn add(&mut self, end: usize, kind: CodeKind) {
        let length = end.saturating_sub(self.end);
        if length == 0 {
            return;
        }
        self.end = end;
        match self.spans.last_mut() {
            Some((last, same)) if *same == kind => *last += length,
            _ => self.spans.push((length, kind)),
        }
    }

    fn finish(mut self) -> Vec<CodeSpan> {
        if self
            .spans
            .last()
            .is_some_and(|(_, kind)| *kind == CodeKind::Unspecified)
        {
            self.spans.pop();
        }
        let span = |(length, kind): (usize, CodeKind)| CodeSpan {
            length: i32::try_from(length).unwrap_or_default(),
            kind: kind.into(),
        };
        self.spans.into_iter().map(span).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(name: &str, lines: &[&str]) -> Vec<(String, CodeKind)> {
        let mut highlighter = Highlighter::of_file(name, lines[0]).expect("a language");
        let mut pieces = Vec::new();
        for line in lines {
            let mut at = 0;
            for span in highlighter.spans(line) {
                let end = at + usize::try_from(span.length).expect("a length");
                if span.kind() != CodeKind::Unspecified {
                    pieces.push((line[at..end].trim().to_owned(), span.kind()));
                }
                at = end;
            }
        }
        pieces
    }

    #[test]
    fn words_are_what_they_are() {
        let found = pieces(
            "a.rs",
            &["/* one", "two */ fn f() -> u8 { 7 } // é", "\"text\""],
        );
        for wanted in [
            ("/* one", CodeKind::Comment),
            ("two */", CodeKind::Comment),
            ("fn", CodeKind::Keyword),
            ("f", CodeKind::Name),
            ("7", CodeKind::Number),
            ("// é", CodeKind::Comment),
            ("\"text\"", CodeKind::String),
        ] {
            let wanted = (wanted.0.to_owned(), wanted.1);
            assert!(found.contains(&wanted), "{wanted:?} in {found:?}");
        }
    }

    #[test]
    fn languages_are_known_by_name_and_first_line() {
        for (name, first_line, language) in [
            ("a.toml", "", "TOML"),
            ("Makefile", "", "Makefile"),
            ("a.ts", "", "TypeScript"),
            ("run", "#!/bin/bash", "Bourne Again Shell (bash)"),
        ] {
            let found = Highlighter::of_file(name, first_line).expect(name);
            assert_eq!(found.language(), language);
        }
        assert!(Highlighter::of_file("notes.txt", "words").is_none());
        assert!(Highlighter::of_language("python").is_some());
    }

    #[test]
    fn a_huge_line_is_passed_over() {
        let mut highlighter = Highlighter::of_file("a.js", "").expect("a language");
        assert!(highlighter.spans(&"[".repeat(100_000)).is_empty());
        assert!(!highlighter.spans("let a = 1;").is_empty());
    }
}
