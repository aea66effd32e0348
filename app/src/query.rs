//! The query of an address: its values, read and written. Not left to the router, which decodes
//! twice what a browser decoded already, so that a file called `100%25` would be another one.

use crate::path;

/// One value of a query; none if it is empty.
pub fn value(query: &str, key: &str) -> Option<String> {
    let found = query
        .trim_start_matches('?')
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == key)?;
    Some(decode(found.1)).filter(|value| !value.is_empty())
}

/// Adds those pairs that have a value.
pub fn push<'a>(href: &mut String, pairs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) {
    for (key, value) in pairs {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        href.push(if href.contains('?') { '&' } else { '?' });
        href.push_str(key);
        href.push('=');
        encode(value, href);
    }
}

/// Encodes a value, in which a slash may stand and a path stays readable.
fn encode(value: &str, href: &mut String) {
    for (at, part) in value.split('/').enumerate() {
        if at > 0 {
            href.push('/');
        }
        path::encode(part, href);
    }
}

/// A plus sign is how forms write a space.
fn decode(value: &str) -> String {
    path::decode(&value.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_encoded_well_is_taken_as_it_stands() {
        assert_eq!(decode("a%2"), "a%2");
        assert_eq!(decode("%zz%+1"), "%zz% 1");
        assert_eq!(decode("%FF"), "\u{fffd}");
    }

    #[test]
    fn values_are_found_as_they_were_given() {
        let mut href = "/page".to_owned();
        push(
            &mut href,
            [("a", Some("1 + 1=2&?#")), ("b", None), ("c", Some("x/y"))],
        );
        assert_eq!(href, "/page?a=1%20%2B%201%3D2%26%3F%23&c=x/y");
        let (_, query) = href.split_once('?').expect("a query");
        assert_eq!(value(query, "a").as_deref(), Some("1 + 1=2&?#"));
        assert_eq!(value("?a=&b=two+words", "a"), None);
        assert_eq!(value("?a=&b=two+words", "b").as_deref(), Some("two words"));
    }
}
