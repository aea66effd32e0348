//! What changes are called on the page.

use membrane_proto::v1::{self as pb, ChangeSetKind, ChangeStatus};

use crate::format;

/// A status as one letter, as a word, and as a class of its colour.
pub fn status(status: ChangeStatus) -> (&'static str, &'static str, &'static str) {
    match status {
        ChangeStatus::Added => ("A", "Added", "good"),
        ChangeStatus::Deleted => ("D", "Deleted", "bad"),
        ChangeStatus::Modified => ("M", "Modified", "wait"),
        ChangeStatus::Renamed => ("R", "Renamed", "info"),
        ChangeStatus::Mode => ("P", "Permissions changed", "wait"),
        ChangeStatus::Type => ("T", "Kind changed", "wait"),
        ChangeStatus::Unspecified => ("?", "Changed", "wait"),
    }
}

/// Who made a change set.
pub fn makers(kind: ChangeSetKind) -> &'static str {
    match kind {
        ChangeSetKind::Turn => "Agent",
        ChangeSetKind::People => "People",
        ChangeSetKind::Unspecified => "Somebody",
    }
}

/// A path's directory with its slash, and its name.
pub fn split_path(path: &str) -> (&str, &str) {
    match path.rfind('/') {
        Some(at) => path.split_at(at + 1),
        None => ("", path),
    }
}

/// A directory of any length in a few lines: of a long one, its beginning and its end.
pub fn shortened(directory: &str) -> String {
    const KEPT: usize = 70;
    let length = directory.chars().count();
    if length <= 2 * KEPT + 1 {
        return directory.to_owned();
    }
    let first: String = directory.chars().take(KEPT).collect();
    let last: String = directory.chars().skip(length - KEPT).collect();
    format!("{first}…{last}")
}

/// Whether a file has lines around its changes that could be shown: a new one changes as a whole.
pub fn has_context(change: &pb::Change) -> bool {
    !matches!(change.status(), ChangeStatus::Added | ChangeStatus::Deleted)
}

/// What is asked before a file is put back.
pub fn discard_question(change: &pb::Change) -> &'static str {
    match change.status() {
        ChangeStatus::Added => "Delete this file? It was not there before.",
        ChangeStatus::Deleted => "Bring this file back?",
        ChangeStatus::Renamed => "Give this file its old name and contents back?",
        ChangeStatus::Mode => "Give this file its old permissions back?",
        _ => "Put this file back as it was?",
    }
}

/// The sizes of a file before and after, for what has no lines.
pub fn sizes(change: &pb::Change) -> String {
    match (change.old_size, change.new_size) {
        (Some(old), Some(new)) if old == new => format::bytes(new),
        (Some(old), Some(new)) => format!("{} → {}", format::bytes(old), format::bytes(new)),
        (Some(size), None) | (None, Some(size)) => format::bytes(size),
        (None, None) => String::new(),
    }
}

/// The media type of a picture, by its name. Only what browsers draw without running anything in
/// it.
pub fn media_type(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_directory_and_a_name() {
        assert_eq!(split_path("a/b/c.rs"), ("a/b/", "c.rs"));
        assert_eq!(split_path("c.rs"), ("", "c.rs"));
    }

    #[test]
    fn a_long_directory_keeps_its_ends() {
        assert_eq!(shortened("src/"), "src/");
        let long = format!("first/{}last/", "é".repeat(4_000));
        let short = shortened(&long);
        assert_eq!(short.chars().count(), 141);
        assert!(
            short.starts_with("first/é") && short.ends_with("élast/"),
            "{short}"
        );
    }

    #[test]
    fn pictures_are_known_by_their_names_and_never_run_anything() {
        assert_eq!(media_type("a/Logo.PNG"), Some("image/png"));
        for other in ["a.svg", "a.html", "png", "a.png/b"] {
            assert_eq!(media_type(other), None, "{other}");
        }
    }

    #[test]
    fn sizes_say_both_sides_only_where_they_differ() {
        let of = |old_size, new_size| {
            sizes(&pb::Change {
                old_size,
                new_size,
                ..pb::Change::default()
            })
        };
        assert_eq!(of(Some(10), Some(2_000)), "10 B → 2.0 kB");
        assert_eq!(of(Some(10), Some(10)), "10 B");
        assert_eq!(of(None, Some(3)), "3 B");
    }
}
