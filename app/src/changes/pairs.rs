//! Lines of a hunk side by side.

use membrane_proto::v1::{DiffLine, DiffLineKind};

/// What stands in one row: the old line, the new one, or both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair<'a> {
    /// On the left.
    pub old: Option<&'a DiffLine>,
    /// On the right.
    pub new: Option<&'a DiffLine>,
}

/// Puts the lines of a hunk side by side. Unchanged lines face themselves. In a run of changed
/// lines, those that were compared word by word face each other if there are as many on both sides;
/// where nothing tells which belong together, the first faces the first.
pub fn pairs(lines: &[DiffLine]) -> Vec<Pair<'_>> {
    let mut rows = Vec::with_capacity(lines.len());
    for run in lines.chunk_by(|one, next| is_changed(one) == is_changed(next)) {
        if run.first().is_some_and(is_changed) {
            change(run, &mut rows);
        } else {
            rows.extend(run.iter().map(|line| Pair {
                old: Some(line),
                new: Some(line),
            }));
        }
    }
    rows
}

fn is_changed(line: &DiffLine) -> bool {
    matches!(line.kind(), DiffLineKind::Removed | DiffLineKind::Added)
}

fn change<'a>(run: &'a [DiffLine], rows: &mut Vec<Pair<'a>>) {
    let (old, new): (Vec<_>, Vec<_>) = run
        .iter()
        .partition(|line| line.kind() == DiffLineKind::Removed);
    let (old_met, new_met) = (met(&old), met(&new));
    if old_met.len() != new_met.len() {
        return face(&old, &new, rows);
    }
    let (mut old_from, mut new_from) = (0, 0);
    for (old_at, new_at) in old_met.into_iter().zip(new_met) {
        face(&old[old_from..old_at], &new[new_from..new_at], rows);
        face(&old[old_at..=old_at], &new[new_at..=new_at], rows);
        (old_from, new_from) = (old_at + 1, new_at + 1);
    }
    face(&old[old_from..], &new[new_from..], rows);
}

/// Where lines are that share words with a line of the other side.
fn met(lines: &[&DiffLine]) -> Vec<usize> {
    let shares = |line: &DiffLine| {
        line.spans.iter().any(|span| span.changed)
            && line
                .spans
                .iter()
                .any(|span| !span.changed && !span.text.trim().is_empty())
    };
    let met = lines.iter().enumerate().filter(|(_, line)| shares(line));
    met.map(|(at, _)| at).collect()
}

/// The first faces the first, and so on; what is left over faces nothing.
fn face<'a>(old: &[&'a DiffLine], new: &[&'a DiffLine], rows: &mut Vec<Pair<'a>>) {
    let height = old.len().max(new.len());
    rows.extend((0..height).map(|at| Pair {
        old: old.get(at).copied(),
        new: new.get(at).copied(),
    }));
}

#[cfg(test)]
mod tests {
    use membrane_proto::v1::DiffSpan;

    use super::*;

    /// Lines from a sign and a text; what stands between stars differs from the other side.
    fn lines(signed: &[&str]) -> Vec<DiffLine> {
        signed
            .iter()
            .map(|line| {
                let (sign, text) = line.split_at(1);
                let kind = match sign {
                    "-" => DiffLineKind::Removed,
                    "+" => DiffLineKind::Added,
                    _ => DiffLineKind::Context,
                };
                let spans = text
                    .split('*')
                    .enumerate()
                    .filter(|(_, text)| !text.is_empty());
                DiffLine {
                    kind: kind as i32,
                    spans: spans
                        .map(|(at, text)| DiffSpan {
                            text: text.to_owned(),
                            changed: at % 2 == 1,
                        })
                        .collect(),
                    ..DiffLine::default()
                }
            })
            .collect()
    }

    fn text(line: Option<&DiffLine>) -> String {
        line.map_or_else(
            || "·".to_owned(),
            |line| line.spans.iter().map(|span| span.text.as_str()).collect(),
        )
    }

    fn shown(signed: &[&str]) -> Vec<String> {
        let lines = lines(signed);
        let rows = pairs(&lines);
        rows.iter()
            .map(|pair| format!("{}|{}", text(pair.old), text(pair.new)))
            .collect()
    }

    #[test]
    fn unchanged_lines_face_themselves() {
        assert_eq!(shown(&[" a", " b"]), ["a|a", "b|b"]);
        assert!(shown(&[]).is_empty());
    }

    #[test]
    fn what_only_one_side_has_faces_nothing() {
        assert_eq!(shown(&["-a", "-b"]), ["a|·", "b|·"]);
        assert_eq!(shown(&["+a", " b", "+c"]), ["·|a", "b|b", "·|c"]);
    }

    #[test]
    fn replaced_lines_face_each_other_from_the_first_on() {
        assert_eq!(shown(&["-a", "-b", "+c"]), ["a|c", "b|·"]);
        assert_eq!(shown(&["-a", "+b", "+c"]), ["a|b", "·|c"]);
    }

    #[test]
    fn runs_stay_apart() {
        let rows = shown(&["-a", "+b", " same", "-c", "+d", "+e"]);
        assert_eq!(rows, ["a|b", "same|same", "c|d", "·|e"]);
    }

    #[test]
    fn order_within_a_run_does_not_matter() {
        assert_eq!(shown(&["+b", "-a"]), ["a|b"]);
        assert_eq!(shown(&["-a", "+b", "-c", "+d"]), ["a|b", "c|d"]);
    }

    #[test]
    fn lines_that_share_words_face_each_other() {
        let rows = shown(&["-gone", "-let *a* = 1;", "+let *b* = 1;", "+new"]);
        assert_eq!(rows, ["gone|·", "let a = 1;|let b = 1;", "·|new"]);
        let rows = shown(&["-x *1*", "-gone", "-y *1*", "+x *2*", "+y *2*"]);
        assert_eq!(rows, ["x 1|x 2", "gone|·", "y 1|y 2"]);
    }

    #[test]
    fn sharing_nothing_but_blanks_is_not_sharing() {
        let rows = shown(&["-gone", "-  *a*", "+  *b*"]);
        assert_eq!(rows, ["gone|  b", "  a|·"]);
    }

    #[test]
    fn where_shared_words_do_not_pair_up_the_first_faces_the_first() {
        let rows = shown(&["-x *1*", "-x *2*", "+x *3*"]);
        assert_eq!(rows, ["x 1|x 3", "x 2|·"]);
    }

    #[test]
    fn no_line_is_lost_or_doubled() {
        let lines = lines(&["-a *b*", "+c", "-d", "+a *e*", "+f", " g", "-h"]);
        let rows = pairs(&lines);
        let old = rows.iter().filter_map(|pair| pair.old).count();
        let new = rows.iter().filter_map(|pair| pair.new).count();
        assert_eq!((old, new), (4, 4));
    }
}
