//! What the command palette offers, and what of it fits what somebody types.

use crate::components::icon::Icon;

/// What is remembered of what was used.
const REMEMBERED: usize = 30;
/// A letter that fits, one right after another that fits, and one that begins a word.
const FITS: i32 = 1;
const FOLLOWS: i32 = 4;
const BEGINS: i32 = 6;

/// What belongs together, in the order in which it is listed while nothing is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What was used lately.
    Recent,
    /// What can be done.
    Actions,
    /// Where one can go.
    Pages,
    /// Sessions of the workspace.
    Sessions,
    /// Files of the workspace.
    Files,
    /// All workspaces.
    Workspaces,
}

impl Section {
    /// Its heading.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recent => "Recently used",
            Self::Actions => "Actions",
            Self::Pages => "Pages",
            Self::Sessions => "Sessions",
            Self::Files => "Files",
            Self::Workspaces => "Workspaces",
        }
    }

    /// Most items that are listed of it, without and with something typed.
    fn most(self, typed: bool) -> usize {
        match (self, typed) {
            (Self::Recent, _) => 5,
            (Self::Actions | Self::Pages, _) => 20,
            (_, false) => 5,
            (_, true) => 10,
        }
    }
}

/// What choosing an item does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Goes to an address of this console.
    Go(String),
    /// Chooses files to upload into the workspace.
    Upload,
    /// Stops the agent in this session.
    Interrupt(String),
    /// Chooses a theme, by its word.
    Theme(&'static str),
    /// Puts the address of the page on the clipboard.
    CopyLink,
    /// Lists the keyboard shortcuts.
    Shortcuts,
    /// Signs out.
    SignOut,
}

/// One thing to choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Where it is listed.
    pub section: Section,
    /// What it is called.
    pub title: String,
    /// What tells it from others.
    pub detail: String,
    /// Its icon.
    pub icon: Icon,
    /// The keys that do the same.
    pub keys: &'static str,
    /// What it does.
    pub act: Act,
    /// Characters of the title that fit, counted from 0.
    pub positions: Vec<i32>,
}

impl Item {
    /// Without details and keys.
    pub fn new(section: Section, icon: Icon, title: impl Into<String>, act: Act) -> Self {
        Self {
            section,
            title: title.into(),
            detail: String::new(),
            icon,
            keys: "",
            act,
            positions: Vec::new(),
        }
    }

    /// With something that tells it from others.
    pub fn detail(self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { detail, ..self }
    }

    /// With the keys that do the same.
    pub fn keys(self, keys: &'static str) -> Self {
        Self { keys, ..self }
    }

    /// Names it among what was used. Addresses and words, and nothing that anybody wrote.
    pub fn id(&self) -> String {
        match &self.act {
            Act::Go(address) => address.clone(),
            Act::Theme(word) => format!("theme {word}"),
            Act::Interrupt(_) => "interrupt".to_owned(),
            Act::Upload => "upload".to_owned(),
            Act::CopyLink => "copy link".to_owned(),
            Act::Shortcuts => "shortcuts".to_owned(),
            Act::SignOut => "sign out".to_owned(),
        }
    }
}

/// What fits, in sections; `recent` are the ids of what was used, the last one first. Files come in
/// the order in which the server found them.
pub fn fitting(items: Vec<Item>, query: &str, recent: &[String]) -> Vec<(Section, Vec<Item>)> {
    let typed = !query.trim().is_empty();
    let mut ranked: Vec<(i32, Item)> = Vec::new();
    for mut item in items {
        let age = recent.iter().position(|id| *id == item.id());
        let bonus = age.map_or(0, |age| 2 * (REMEMBERED.saturating_sub(age)) as i32 / 3);
        if item.section == Section::Files && typed {
            ranked.push((bonus, item));
        } else if !typed {
            if age.is_some() {
                item.section = Section::Recent;
            }
            ranked.push((bonus, item));
        } else if let Some((score, positions)) = fit(query, &item.title) {
            item.positions = positions;
            ranked.push((score + bonus, item));
        } else if let Some((score, _)) = fit(query, &item.detail) {
            ranked.push((score / 2 + bonus, item));
        }
    }
    let best = |section: Section| {
        let of = ranked.iter().filter(|(_, item)| item.section == section);
        of.map(|(score, _)| *score).max().unwrap_or_default()
    };
    let mut sections: Vec<Section> = ranked.iter().map(|(_, item)| item.section).collect();
    sections.sort();
    sections.dedup();
    if typed {
        // Files are last unless nothing else fits: any letters are somewhere in some path.
        let rank = |section: &Section| match section {
            Section::Files => i32::MAX,
            section => -best(*section),
        };
        sections.sort_by_key(rank);
    }
    ranked.sort_by_key(|(score, _)| -score);
    let of = |section: Section| {
        let items = ranked.iter().filter(|(_, item)| item.section == section);
        let items = items.map(|(_, item)| item.clone());
        (section, items.take(section.most(typed)).collect())
    };
    sections.into_iter().map(of).collect()
}

/// How well the letters of a query, in this order and without its white space, fit a text, and
/// which of its characters they are; none if they do not.
fn fit(query: &str, text: &str) -> Option<(i32, Vec<i32>)> {
    let fold = |letter: char| letter.to_lowercase().next().unwrap_or(letter);
    let wanted: Vec<char> = query
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .map(fold)
        .collect();
    let letters: Vec<char> = text.chars().map(fold).collect();
    let first = wanted.first()?;
    let starts = letters
        .iter()
        .enumerate()
        .filter(|(_, letter)| *letter == first);
    let fits = starts.filter_map(|(start, _)| fit_from(&wanted, &letters, start));
    fits.max_by_key(|(score, _)| *score)
}

fn fit_from(wanted: &[char], letters: &[char], start: usize) -> Option<(i32, Vec<i32>)> {
    let mut score = -(letters.len() as i32) / 16;
    let mut positions: Vec<i32> = Vec::new();
    let mut at = start;
    for letter in wanted {
        at += letters
            .get(at..)?
            .iter()
            .position(|other| other == letter)?;
        let follows = positions.last().is_some_and(|last| *last + 1 == at as i32);
        let begins = at == 0 || !letters[at - 1].is_alphanumeric();
        score += FITS + i32::from(follows) * FOLLOWS + i32::from(begins) * BEGINS;
        positions.push(at as i32);
        at += 1;
    }
    Some((score, positions))
}

/// The list of what was used, with this as the last.
pub fn remember(recent: &[String], id: String) -> Vec<String> {
    let others = recent.iter().filter(|other| **other != id).cloned();
    std::iter::once(id.clone())
        .chain(others)
        .take(REMEMBERED)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(section: Section, title: &str) -> Item {
        Item::new(section, Icon::File, title, Act::Go(format!("/{title}")))
    }

    fn titles(sections: &[(Section, Vec<Item>)]) -> Vec<&str> {
        let items = sections.iter().flat_map(|(_, items)| items);
        items.map(|item| item.title.as_str()).collect()
    }

    #[test]
    fn letters_fit_in_their_order_and_best_at_the_beginning_of_words() {
        let items = || {
            ["Unusual", "New session", "Announce sales"]
                .map(|title| item(Section::Actions, title))
                .to_vec()
        };
        let found = fitting(items(), "ns", &[]);
        assert_eq!(titles(&found)[0], "New session");
        assert_eq!(found[0].1[0].positions, [0, 4]);
        assert_eq!(titles(&fitting(items(), "new SESS", &[])), ["New session"]);
        assert!(titles(&fitting(items(), "sn x", &[])).is_empty());
    }

    #[test]
    fn what_was_used_comes_first() {
        let items = || {
            vec![
                item(Section::Pages, "Settings"),
                item(Section::Pages, "Sessions"),
            ]
        };
        let recent = ["/Sessions".to_owned()];
        let found = fitting(items(), "", &recent);
        assert_eq!(found[0].0, Section::Recent);
        assert_eq!(titles(&found), ["Sessions", "Settings"]);
        assert_eq!(titles(&fitting(items(), "se", &recent))[0], "Sessions");
    }

    #[test]
    fn files_stay_as_the_server_found_them_and_come_last() {
        let items = vec![
            item(Section::Files, "zebra"),
            item(Section::Files, "alpha"),
            item(Section::Workspaces, "a zebra"),
        ];
        let found = fitting(items, "z", &[]);
        assert_eq!(titles(&found), ["a zebra", "zebra", "alpha"]);
    }

    #[test]
    fn what_was_used_is_remembered_once_and_not_for_ever() {
        let mut recent = Vec::new();
        for round in 0..REMEMBERED + 5 {
            recent = remember(&recent, round.to_string());
        }
        recent = remember(&recent, "30".to_owned());
        assert_eq!(recent.len(), REMEMBERED);
        assert_eq!(recent[..2], ["30".to_owned(), "34".to_owned()]);
    }
}
