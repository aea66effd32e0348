//! The forms in which a secret may be met: as it is, encoded, and escaped. Pure.

use std::fmt::Write as _;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

use super::MIN_SECRET_BYTES;

/// A line of a secret is a secret of its own from so many bytes on: a key in PEM is shown with
/// numbers before its lines.
const MIN_LINE_BYTES: usize = 16;

/// Bytes to search for.
pub(super) type Form = Zeroizing<Vec<u8>>;

/// All forms of a secret, without line breaks: whoever searches skips those. Some come twice. None
/// of a secret that is too short.
pub(super) fn of(secret: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    if length(secret) < MIN_SECRET_BYTES {
        return forms;
    }
    let mut add = |form: String| {
        let form = without_breaks(form);
        if form.len() >= MIN_SECRET_BYTES {
            forms.push(form);
        }
    };
    encoded(secret.as_bytes(), &mut add);
    escaped(secret, &mut add);
    let lines = secret.lines().map(str::trim);
    for line in lines.filter(|line| line.len() >= MIN_LINE_BYTES) {
        escaped(line, &mut add);
    }
    forms
}

/// Bytes of a secret that count: line breaks do not.
pub(super) fn length(secret: &str) -> usize {
    secret.bytes().filter(|byte| !is_break(*byte)).count()
}

/// Whether this byte is passed over.
pub(super) fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn without_breaks(form: String) -> Form {
    let form = Zeroizing::new(form);
    let mut kept = Zeroizing::new(Vec::with_capacity(form.len()));
    kept.extend(form.bytes().filter(|byte| !is_break(*byte)));
    kept
}

fn encoded(secret: &[u8], add: &mut impl FnMut(String)) {
    for before in 0..3 {
        let (standard, url) = base64_after(secret, before);
        add(standard);
        add(url);
    }
    for upper in [false, true] {
        add(secret.iter().fold(String::new(), |mut hex, byte| {
            push_hex(&mut hex, *byte, upper);
            hex
        }));
        for kept in URL_KEPT {
            add(percent(secret, kept, false, upper));
        }
        // Forms, by the standard of browsers and by Python's `quote_plus`.
        for kept in ["*-._", "-._~"] {
            add(percent(secret, kept, true, upper));
        }
    }
}

/// The characters of base64 that a secret decides alone when so many bytes stand before it, in the
/// standard and the URL alphabet.
fn base64_after(secret: &[u8], before: usize) -> (String, String) {
    let mut bytes = Zeroizing::new(vec![0; before]);
    bytes.extend_from_slice(secret);
    let whole = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
    let standard = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(&*bytes));
    let url = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&*bytes));
    (standard[whole.clone()].to_owned(), url[whole].to_owned())
}

fn push_hex(text: &mut String, byte: u8, upper: bool) {
    // Writing to a string can't fail.
    let _ = if upper {
        write!(text, "{byte:02X}")
    } else {
        write!(text, "{byte:02x}")
    };
}

/// What else than letters and digits stays as it is in a URL: by RFC 3986, by `encodeURIComponent`,
/// by `encodeURI`, and by Python's `quote`.
const URL_KEPT: [&str; 4] = ["-._~", "-._~!*'()", "-._~!*'();/?:@&=+$,#", "-._~/"];

fn percent(secret: &[u8], kept: &str, plus_for_space: bool, upper: bool) -> String {
    secret.iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else if byte == b' ' && plus_for_space {
            text.push('+');
        } else {
            text.push('%');
            push_hex(&mut text, byte, upper);
        }
        text
    })
}

fn escaped(secret: &str, add: &mut impl FnMut(String)) {
    add(secret.to_owned());
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    add(json.replace('/', "\\/"));
    add(escaped_where(&json, |one| !one.is_ascii()));
    add(escaped_where(&json, |one| matches!(one, '<' | '>' | '&')));
    add(json);
    // Within single quotes, as shells and Python's `shlex` write a quote there.
    add(secret.replace('\'', r"'\''"));
    add(secret.replace('\'', r#"'"'"'"#));
    add(backslashed(secret, |one| r#""$`\"#.contains(one)));
    add(backslashed(secret, |one| {
        one.is_ascii() && !one.is_ascii_alphanumeric() && !"-_./:=@%+,".contains(one)
    }));
    add(backslashed(secret, |one| {
        one.is_ascii() && !one.is_ascii_alphanumeric() && !"-_./:=@%+".contains(one)
    }));
}

/// JSON with some characters as `\u` and four digits.
fn escaped_where(json: &str, is_escaped: impl Fn(char) -> bool) -> String {
    json.chars().fold(String::new(), |mut text, one| {
        if !is_escaped(one) {
            text.push(one);
            return text;
        }
        for unit in one.encode_utf16(&mut [0; 2]) {
            // Writing to a string can't fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
        text
    })
}

fn backslashed(secret: &str, is_escaped: impl Fn(char) -> bool) -> String {
    secret.chars().fold(String::new(), |mut text, one| {
        if is_escaped(one) && !one.is_ascii_control() {
            text.push('\\');
        }
        text.push(one);
        text
    })
}
