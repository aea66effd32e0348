//! How a text changed: hunks of lines, marked word by word, and a text with some of them undone.

use std::{collections::HashMap, ops::Range, time::Duration};

use membrane_proto::v1::{DiffHunk, DiffLine, DiffLineKind, DiffSpan};
use similar::{ChangeTag, DiffOp, InlineChange, TextDiff};

/// Longest text that is compared line by line, in bytes.
pub const MAX_TEXT: u64 = 1 << 20;
/// Lines of a diff that are returned.
const MAX_LINES: usize = 20_000;
/// Time after which a diff is finished coarsely.
const PATIENCE: Duration = Duration::from_millis(500);

/// For each hunk's id, the id of the same hunk in another diff.
pub type Standing = HashMap<String, Option<String>>;

type Diff<'a> = TextDiff<'a, 'a, [u8]>;

/// Whether contents have lines to compare.
#[must_use]
pub fn is_text(contents: &[u8]) -> bool {
    contents.len() as u64 <= MAX_TEXT && membrane_files::is_text(contents)
}

/// Numbers of lines added and removed.
#[must_use]
pub fn count(old: &[u8], new: &[u8]) -> (i32, i32) {
    let lines = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    compare(old, new)
        .ops()
        .iter()
        .filter(|op| !matches!(op, DiffOp::Equal { .. }))
        .fold((0, 0), |(added, removed), op| {
            (
                added + lines(op.new_range().len()),
                removed + lines(op.old_range().len()),
            )
        })
}

/// The hunks between two texts with `context` unchanged lines around each, and whether there are
/// more than are returned.
#[must_use]
pub fn hunks(old: &[u8], new: &[u8], context: usize) -> (Vec<DiffHunk>, bool) {
    let diff = compare(old, new);
    let mut hunks = Vec::new();
    let mut room = MAX_LINES;
    for group in diff.grouped_ops(context) {
        let Some(place) = Place::of(&group) else {
            continue;
        };
        let lines: Vec<DiffLine> = group
            .iter()
            .flat_map(|op| diff.iter_inline_changes(op))
            .take(room)
            .map(|change| line(&change))
            .collect();
        room -= lines.len();
        hunks.push(place.hunk(lines));
        if room == 0 {
            return (hunks, true);
        }
    }
    (hunks, false)
}

/// Which hunks between two texts are still in a third one, which the new text has become since: by
/// each one's id, the id of the same hunk between the old text and the third.
#[must_use]
pub fn standing(old: &[u8], new: &[u8], now: &[u8], context: usize) -> Standing {
    let (made, found) = (compare(old, new), compare(old, now));
    let found_places = places(&found, context);
    let same = |made_place: &Place, found_place: &Place| {
        made_place.old == found_place.old
            && lines_of(&made, &made_place.new) == lines_of(&found, &found_place.new)
    };
    let made_places = places(&made, context).into_iter();
    let ids = made_places.map(|place| {
        let standing = found_places.iter().find(|found| same(&place, found));
        (place.id(), standing.map(Place::id))
    });
    ids.collect()
}

/// The new text with the hunks of these ids as they were in the old one; `None` if there is no such
/// hunk.
#[must_use]
pub fn without(old: &[u8], new: &[u8], context: usize, ids: &[String]) -> Option<Vec<u8>> {
    let diff = compare(old, new);
    let mut places = places(&diff, context);
    if ids
        .iter()
        .any(|id| places.iter().all(|place| place.id() != *id))
    {
        return None;
    }
    places.retain(|place| ids.contains(&place.id()));
    let mut result = Vec::with_capacity(new.len());
    let mut done = 0;
    for place in places {
        copy_new(&diff, done..place.new.start, &mut result);
        for index in place.old {
            result.extend_from_slice(diff.old_slice(index).unwrap_or_default());
        }
        done = place.new.end;
    }
    copy_new(&diff, done..diff.new_len(), &mut result);
    Some(result)
}

fn compare<'a>(old: &'a [u8], new: &'a [u8]) -> Diff<'a> {
    TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines::<_, _, [u8]>(old, new)
}

fn places(diff: &Diff<'_>, context: usize) -> Vec<Place> {
    let groups = diff.grouped_ops(context);
    groups.iter().filter_map(|group| Place::of(group)).collect()
}

fn lines_of<'a>(diff: &'a Diff<'_>, lines: &Range<usize>) -> Vec<&'a [u8]> {
    let slices = lines.clone().map(|index| diff.new_slice(index));
    slices.map(Option::unwrap_or_default).collect()
}

fn copy_new(diff: &Diff<'_>, lines: Range<usize>, result: &mut Vec<u8>) {
    for index in lines {
        result.extend_from_slice(diff.new_slice(index).unwrap_or_default());
    }
}

/// Where a hunk is: its lines in both texts, from 0.
struct Place {
    old: Range<usize>,
    new: Range<usize>,
}

impl Place {
    fn of(group: &[DiffOp]) -> Option<Self> {
        let (first, last) = (group.first()?, group.last()?);
        Some(Self {
            old: first.old_range().start..last.old_range().end,
            new: first.new_range().start..last.new_range().end,
        })
    }

    /// A hunk of two given texts is named well enough by its place.
    fn id(&self) -> String {
        let (old, new) = (&self.old, &self.new);
        format!("{}+{}-{}+{}", old.start, old.len(), new.start, new.len())
    }

    fn hunk(self, lines: Vec<DiffLine>) -> DiffHunk {
        DiffHunk {
            id: self.id(),
            old_start: first(&self.old),
            old_count: int(self.old.len()),
            new_start: first(&self.new),
            new_count: int(self.new.len()),
            lines,
            current: true,
        }
    }
}

fn first(lines: &Range<usize>) -> i32 {
    if lines.is_empty() {
        return 0;
    }
    int(lines.start + 1)
}

fn int(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn line(change: &InlineChange<'_, [u8]>) -> DiffLine {
    let kind = match change.tag() {
        ChangeTag::Equal => DiffLineKind::Context,
        ChangeTag::Delete => DiffLineKind::Removed,
        ChangeTag::Insert => DiffLineKind::Added,
    };
    let number = |index: Option<usize>| index.map_or(0, |index| int(index + 1));
    let mut spans: Vec<DiffSpan> = Vec::new();
    for (changed, text) in change.iter_strings_lossy() {
        match spans.last_mut().filter(|last| last.changed == changed) {
            Some(last) => last.text.push_str(&text),
            None => spans.push(DiffSpan {
                text: text.into_owned(),
                changed,
            }),
        }
    }
    trim_line_end(&mut spans);
    DiffLine {
        kind: kind.into(),
        old_number: number(change.old_index()),
        new_number: number(change.new_index()),
        spans,
        no_newline: change.missing_newline(),
    }
}

fn trim_line_end(spans: &mut Vec<DiffSpan>) {
    while let Some(last) = spans.last_mut() {
        last.text
            .truncate(last.text.trim_end_matches(['\n', '\r']).len());
        if !last.text.is_empty() {
            return;
        }
        spans.pop();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(old: &str, new: &str, context: usize) -> String {
        let (hunks, truncated) = hunks(old.as_bytes(), new.as_bytes(), context);
        assert!(!truncated);
        let mut shown = String::new();
        for hunk in hunks {
            shown.push_str(&format!("@@ {}\n", hunk.id));
            for line in hunk.lines {
                let sign = match line.kind() {
                    DiffLineKind::Added => '+',
                    DiffLineKind::Removed => '-',
                    _ => ' ',
                };
                shown.push(sign);
                for span in line.spans {
                    let text = span.text;
                    shown.push_str(&if span.changed {
                        format!("[{text}]")
                    } else {
                        text
                    });
                }
                shown.push_str(if line.no_newline { "\\\n" } else { "\n" });
            }
        }
        shown
    }

    #[test]
    fn changed_words_are_marked_within_their_lines() {
        let old = "one\ntwo\nlet count = 1;\nfour\nfive\n";
        let new = "one\ntwo\nlet count = 2;\nfour\nfive\n";
        assert_eq!(
            shown(old, new, 1),
            "@@ 1+3-1+3\n two\n-let count = [1;]\n+let count = [2;]\n four\n"
        );
        assert_eq!(count(old.as_bytes(), new.as_bytes()), (1, 1));
    }

    #[test]
    fn a_missing_line_end_is_told() {
        assert_eq!(shown("a\n", "a\nb", 0), "@@ 1+0-1+1\n+b\\\n");
        assert_eq!(shown("", "", 3), "");
    }

    #[test]
    fn what_has_zeros_or_is_large_has_no_lines() {
        assert!(is_text("straße\n".as_bytes()));
        assert!(is_text(b""));
        assert!(!is_text(b"\x7fELF\0"));
        assert!(!is_text(&vec![b'a'; (1 << 20) + 1]));
    }

    #[test]
    fn one_hunk_is_undone_and_the_others_stay() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        let new = "A\nb\nc\nd\ne\nf\ng\nh\nI\n";
        let (hunks, _) = hunks(old.as_bytes(), new.as_bytes(), 1);
        assert_eq!(hunks.len(), 2);
        let undo = |id: &str| without(old.as_bytes(), new.as_bytes(), 1, &[id.to_owned()]);
        assert_eq!(
            undo(&hunks[0].id).as_deref(),
            Some(&b"a\nb\nc\nd\ne\nf\ng\nh\nI\n"[..])
        );
        assert_eq!(undo("0+1-0+9"), None);
    }

    #[test]
    fn hunks_that_others_left_alone_still_stand() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        let new = "A\nb\nc\nd\nE\nf\ng\nh\nI\n";
        let now = "a\nb\nc\nd\nE\nf\ng\nh\nI!\n";
        let texts = [old, new, now].map(str::as_bytes);
        let standing = standing(texts[0], texts[1], texts[2], 1);
        let (hunks, _) = hunks(texts[0], texts[1], 1);
        let stands: Vec<bool> = hunks
            .iter()
            .map(|hunk| standing[&hunk.id].is_some())
            .collect();
        assert_eq!(stands, [false, true, false]);
    }

    proptest! {
        #[test]
        fn undoing_every_hunk_gives_the_old_text(
            old in "[ab\n]{0,40}",
            new in "[ab\n]{0,40}",
            context in 0_usize..4,
        ) {
            let (old, new) = (old.as_bytes(), new.as_bytes());
            let (hunks, _) = hunks(old, new, context);
            let ids: Vec<String> = hunks.into_iter().map(|hunk| hunk.id).collect();
            if old == new {
                prop_assert!(ids.is_empty());
            } else {
                prop_assert_eq!(without(old, new, context, &ids), Some(old.to_vec()));
            }
        }
    }
}
