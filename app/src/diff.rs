//! Unified diffs and pairs of texts as numbered lines for showing.

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// On both sides.
    Same,
    /// New.
    Added,
    /// Gone.
    Removed,
    /// Where a part begins, or another remark of the format.
    Remark,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// Its number before the change.
    pub old: Option<u32>,
    /// Its number after the change.
    pub new: Option<u32>,
    /// Its text without the sign.
    pub text: String,
}

/// Reads a unified diff without file headers.
pub fn parse(diff: &str) -> Vec<Line> {
    let (mut old, mut new) = (0, 0);
    let mut lines = Vec::new();
    for line in diff.lines() {
        if let Some((first_old, first_new)) = hunk(line) {
            (old, new) = (first_old, first_new);
            lines.push(remark(line));
            continue;
        }
        let (sign, text) = line.split_at(line.chars().next().map_or(0, char::len_utf8));
        let kind = match sign {
            "+" => LineKind::Added,
            "-" => LineKind::Removed,
            " " | "" => LineKind::Same,
            _ => {
                lines.push(remark(line));
                continue;
            }
        };
        let is_old = kind != LineKind::Added;
        let is_new = kind != LineKind::Removed;
        lines.push(Line {
            kind,
            old: is_old.then_some(old),
            new: is_new.then_some(new),
            text: text.to_owned(),
        });
        old += u32::from(is_old);
        new += u32::from(is_new);
    }
    lines
}

/// What an edit would do, before it is done: some lines go, others come.
pub fn replacement(old: &str, new: &str) -> Vec<Line> {
    let side = |text: &str, kind| {
        text.lines()
            .map(|line| Line {
                kind,
                old: None,
                new: None,
                text: line.to_owned(),
            })
            .collect::<Vec<_>>()
    };
    let mut lines = side(old, LineKind::Removed);
    lines.extend(side(new, LineKind::Added));
    lines
}

fn remark(line: &str) -> Line {
    Line {
        kind: LineKind::Remark,
        old: None,
        new: None,
        text: line.to_owned(),
    }
}

/// The first lines that `@@ -3,4 +5,6 @@` names.
fn hunk(line: &str) -> Option<(u32, u32)> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let new = rest.split([' ', ',']).next()?;
    Some((old.split(',').next()?.parse().ok()?, new.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_on_both_sides() {
        let lines = parse("@@ -3,3 +3,4 @@\n a\n-b\n+c\n+d\n\n\\ No newline at end of file");
        let numbers: Vec<_> = lines
            .iter()
            .map(|line| (line.kind, line.old, line.new))
            .collect();
        assert_eq!(
            numbers,
            [
                (LineKind::Remark, None, None),
                (LineKind::Same, Some(3), Some(3)),
                (LineKind::Removed, Some(4), None),
                (LineKind::Added, None, Some(4)),
                (LineKind::Added, None, Some(5)),
                (LineKind::Same, Some(5), Some(6)),
                (LineKind::Remark, None, None),
            ]
        );
        assert_eq!(lines[2].text, "b");
    }

    #[test]
    fn a_replacement_shows_what_goes_and_what_comes() {
        let lines = replacement("a\nb", "c");
        let kinds: Vec<_> = lines.iter().map(|line| line.kind).collect();
        assert_eq!(
            kinds,
            [LineKind::Removed, LineKind::Removed, LineKind::Added]
        );
    }

    #[test]
    fn nothing_is_nothing() {
        assert!(parse("").is_empty() && replacement("", "").is_empty());
    }
}
