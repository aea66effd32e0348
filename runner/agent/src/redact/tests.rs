use base64::{Engine as _, prelude::BASE64_STANDARD};
use membrane_proto::v1::{AgentThinking, ToolCall, ToolContent, ToolResult, event_payload::Kind};
use proptest::prelude::*;

use super::*;

/// With every character that an escape cares for, and one that is not ASCII.
const SECRET: &str = r#"cañary "q'\ /<&>+= s3cr3t?$~!"#;

fn redactor(secrets: &[&str]) -> (Redactor, Vec<Known>) {
    let redactor = Redactor::default();
    let known = secrets
        .iter()
        .map(|secret| redactor.know(&SecretString::from(*secret)))
        .collect();
    (redactor, known)
}

fn streamed<'piece>(redactor: &Redactor, pieces: impl IntoIterator<Item = &'piece str>) -> String {
    let mut stream = redactor.stream();
    let mut shown: String = pieces.into_iter().map(|piece| stream.push(piece)).collect();
    shown.push_str(&stream.finish());
    shown
}

/// The text cut at these offsets, moved to where a character begins.
fn cut<'text>(text: &'text str, offsets: &[usize]) -> Vec<&'text str> {
    let mut offsets: Vec<usize> = offsets
        .iter()
        .map(|offset| text.floor_char_boundary(*offset))
        .collect();
    offsets.sort_unstable();
    offsets.push(text.len());
    let mut from = 0;
    let pieces = offsets.into_iter().map(|to| {
        let piece = &text[from..to];
        from = to;
        piece
    });
    pieces.collect()
}

/// The secret as other programs write it. Made with other code than the forms are.
fn spellings() -> Vec<(&'static str, String)> {
    let bytes = SECRET.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let python = r#"ca\u00f1ary \"q'\\ /<&>+= s3cr3t?$~!"#;
    vec![
        ("as it is", SECRET.to_owned()),
        ("hex", hex.clone()),
        ("upper-case hex", hex.to_uppercase()),
        (
            "URL component",
            "ca%C3%B1ary%20%22q'%5C%20%2F%3C%26%3E%2B%3D%20s3cr3t%3F%24~!".to_owned(),
        ),
        (
            "form",
            "ca%C3%B1ary+%22q%27%5C+%2F%3C%26%3E%2B%3D+s3cr3t%3F%24%7E%21".to_owned(),
        ),
        (
            "URL with lower-case hex",
            "ca%c3%b1ary%20%22q%27%5c%20%2f%3c%26%3e%2b%3d%20s3cr3t%3f%24~%21".to_owned(),
        ),
        ("JSON", serde_json::Value::from(SECRET).to_string()),
        ("JSON in ASCII", format!("\"{python}\"")),
        (
            "JSON for HTML",
            r#""cañary \"q'\\ /\u003c\u0026\u003e+= s3cr3t?$~!""#.to_owned(),
        ),
        (
            "single quotes",
            format!("'{}'", SECRET.replace('\'', r"'\''")),
        ),
        (
            "Python's quotes",
            format!("'{}'", SECRET.replace('\'', r#"'"'"'"#)),
        ),
        (
            "double quotes",
            r#""cañary \"q'\\ /<&>+= s3cr3t?\$~!""#.to_owned(),
        ),
    ]
}

#[test]
fn every_spelling_is_masked() {
    let (redactor, _known) = redactor(&[SECRET]);
    for (name, spelling) in spellings() {
        let masked = redactor.mask(&spelling).into_owned();
        let masked = masked.trim_matches(['"', '\'']);
        assert_eq!(masked, MASK, "{name}: {spelling}");
    }
}

#[test]
fn base64_is_masked_wherever_the_secret_begins_in_it() {
    let secret = "canary-5b1c-canary";
    let (redactor, _known) = redactor(&[secret]);
    for before in 0..7 {
        for after in 0..4 {
            let text = format!("{}{secret}{}", "x".repeat(before), "y".repeat(after));
            for encoded in [
                BASE64_STANDARD.encode(&text),
                base64::prelude::BASE64_URL_SAFE.encode(&text),
            ] {
                let masked = redactor.mask(&encoded).into_owned();
                assert!(masked.contains(MASK), "{before} {after} {encoded}");
                // At each side stays at most one character that the secret shares with others, and
                // none that it decides alone.
                let left = masked.len() - MASK.len();
                assert!(left <= (before + after + 4).div_ceil(3) * 4, "{masked}");
            }
        }
    }
}

#[test]
fn line_breaks_do_not_hide_anything() {
    let secret = "canary ".repeat(20);
    let (redactor, _known) = redactor(&[&secret]);
    let wrapped = |text: &str, columns: usize, end: &str| {
        let lines: Vec<&str> = cut(text, &(0..text.len()).step_by(columns).collect::<Vec<_>>());
        lines.join(end)
    };
    for end in ["\n", "\r\n"] {
        for columns in [7, 64, 76] {
            let base64 = wrapped(&BASE64_STANDARD.encode(&secret), columns, end);
            assert!(redactor.mask(&base64).len() < MASK.len() + 8);
            let plain = wrapped(&secret, columns, end);
            assert_eq!(redactor.mask(&plain).trim(), MASK);
        }
    }
}

#[test]
fn a_key_in_pem_is_masked_behind_line_numbers() {
    let lines = [
        "-----BEGIN A KEY-----",
        "MIIcanarycanarycanary",
        "Qcanarycanarycanary=",
    ];
    let secret = lines.join("\n");
    let (redactor, _known) = redactor(&[&secret]);
    assert_eq!(redactor.mask(&secret), MASK);
    let numbered = format!("  1\t{}\n  2\t{}\n  3\t{}\n", lines[0], lines[1], lines[2]);
    let masked = redactor.mask(&numbered).into_owned();
    assert_eq!(masked, format!("  1\t{MASK}\n  2\t{MASK}\n  3\t{MASK}\n"));
}

#[test]
fn what_overlaps_is_masked_as_one() {
    let (redactor, _known) = redactor(&["abcdefghij", "ghijklmnop", "efghefgh"]);
    assert_eq!(redactor.mask("<abcdefghijklmnop>"), format!("<{MASK}>"));
    assert_eq!(redactor.mask("<efghefghefghefgh>"), format!("<{MASK}>"));
    assert_eq!(redactor.mask("<abcdefghefgh>"), format!("<abcd{MASK}>"));
    assert_eq!(
        redactor.mask("abcdefghijabcdefghij"),
        format!("{MASK}{MASK}")
    );
}

#[test]
fn too_short_secrets_are_left_alone() {
    let (redactor, _known) = redactor(&["seven77", "\n\n\n\n\n\n\n\n\n", ""]);
    assert_eq!(redactor.mask("seven77 \n\n"), "seven77 \n\n");
    assert!(is_redactable("eight888") && !is_redactable("seven77\n"));
}

#[test]
fn a_line_of_breaks_is_no_line() {
    let secret = format!("abcdefgh\nx{}y", "\r".repeat(20));
    let (redactor, _known) = redactor(&[&secret]);
    assert_eq!(redactor.mask(&format!("<{secret}>")), format!("<{MASK}>"));
    assert_eq!(redactor.mask("xy"), "xy");
}

#[test]
fn a_secret_is_found_wherever_it_stands() {
    let (redactor, _known) = redactor(&["abcdefgh"]);
    for before in 0..40 {
        for after in 0..20 {
            let (before, after) = ("abc\n".repeat(before), "defgh".repeat(after));
            let text = format!("{before}abcd\nefgh{after}");
            let masked = redactor.mask(&text).into_owned();
            assert_eq!(masked, format!("{before}{MASK}{after}"));
        }
    }
}

#[test]
fn every_cut_in_two_is_masked_like_the_whole() {
    let (redactor, _known) = redactor(&[SECRET]);
    for (name, spelling) in spellings() {
        let text = format!("before {spelling} after");
        let whole = redactor.mask(&text).into_owned();
        assert!(whole.contains(MASK), "{name}");
        for at in 0..=text.len() {
            let shown = streamed(&redactor, cut(&text, &[at]));
            assert_eq!(shown, whole, "{name} cut at {at}");
        }
        let bytes: Vec<usize> = (0..text.len()).collect();
        assert_eq!(streamed(&redactor, cut(&text, &bytes)), whole, "{name}");
    }
}

#[test]
fn only_what_may_be_a_beginning_is_held_back() {
    let (redactor, _known) = redactor(&["abcdefgh"]);
    let mut stream = redactor.stream();
    assert_eq!(stream.push("no secret here. "), "no secret here. ");
    assert_eq!(stream.push("abcdefg"), "");
    assert_eq!(stream.push("!"), "abcdefg!");
    assert_eq!(stream.push("x abcdefg"), "x ");
    assert_eq!(stream.push("h y"), format!("{MASK} y"));
    assert_eq!(stream.push("abc"), "");
    assert_eq!(stream.finish(), "abc");
}

#[test]
fn a_run_that_never_ends_takes_no_memory_and_one_mask() {
    let (redactor, _known) = redactor(&["aaaaaaaaaa"]);
    let mut stream = redactor.stream();
    let mut shown = String::new();
    for _ in 0..1_000 {
        shown.push_str(&stream.push("aaaaaaa"));
        assert!(stream.held_bytes() <= 20);
    }
    shown.push_str(&stream.push("b"));
    shown.push_str(&stream.finish());
    assert_eq!(shown, format!("{MASK}b"));
}

#[test]
fn a_secret_can_be_learned_and_forgotten_on_the_way() {
    let redactor = Redactor::default();
    let mut stream = redactor.stream();
    assert_eq!(stream.push("abcdefgh "), "abcdefgh ");
    let known = redactor.know(&SecretString::from("abcdefgh"));
    assert_eq!(stream.push("abcdefgh abcd"), format!("{MASK} "));
    drop(known);
    assert_eq!(stream.push("efgh"), "abcdefgh");
}

#[test]
fn json_stays_json() {
    let (redactor, _known) = redactor(&[SECRET, "1234567890", r#"a1","y1":"c1"#]);
    let input = serde_json::json!({
        "command": format!("echo {SECRET}"),
        SECRET: [1_234_567_890, null, { "deep": SECRET }],
    });
    let mut json = input.to_string();
    redactor.mask_json(&mut json);
    let masked: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let wanted = serde_json::json!({
        "command": format!("echo {MASK}"),
        MASK: [MASK, null, { "deep": MASK }],
    });
    assert_eq!(masked, wanted);
    let mut across = r#"{"x":"a1","y1":"c1"}"#.to_owned();
    redactor.mask_json(&mut across);
    assert_eq!(across, format!(r#"{{"redacted":"{MASK}"}}"#));
}

#[test]
fn events_are_masked_all_through() {
    let (redactor, _known) = redactor(&[SECRET]);
    let thinking = AgentThinking {
        text: format!("It is {SECRET}"),
        signature: "signed".to_owned(),
        ..AgentThinking::default()
    };
    let Kind::AgentThinking(masked) = redactor.mask_kind(Kind::AgentThinking(thinking)) else {
        panic!("another kind");
    };
    assert_eq!(
        (masked.text, masked.signature),
        (format!("It is {MASK}"), String::new())
    );
    let kinds = [
        Kind::ToolCall(ToolCall {
            input_json: serde_json::json!({ "x": SECRET }).to_string(),
            ..ToolCall::default()
        }),
        Kind::ToolResult(ToolResult {
            content: vec![ToolContent {
                kind: Some(tool_content_of(SECRET)),
            }],
            ..ToolResult::default()
        }),
    ];
    for kind in kinds {
        let masked = format!("{:?}", redactor.mask_kind(kind));
        assert!(
            masked.contains(MASK) && !masked.contains("s3cr3t"),
            "{masked}"
        );
    }
}

fn tool_content_of(text: &str) -> membrane_proto::v1::tool_content::Kind {
    membrane_proto::v1::tool_content::Kind::Text(text.to_owned())
}

proptest! {
    /// D2: any secrets over a small alphabet, in any text, cut into two to five pieces.
    #[test]
    fn pieces_are_masked_like_the_whole(
        secrets in proptest::collection::vec("[ab\n]{8,14}", 1..4),
        noise in "[abc\n]{0,40}",
        at in 0..40_usize,
        cuts in proptest::collection::vec(0..80_usize, 1..5),
    ) {
        let borrowed: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let (redactor, _known) = redactor(&borrowed);
        let (left, right) = noise.split_at(noise.floor_char_boundary(at));
        let text = format!("{left}{}{right}", secrets[0]);
        let whole = redactor.mask(&text).into_owned();
        let kept: String = whole.replace(MASK, "|").chars().filter(|one| !is_break(*one)).collect();
        for secret in &secrets {
            let secret: String = secret.chars().filter(|one| !is_break(*one)).collect();
            prop_assert!(secret.len() < MIN_SECRET_BYTES || !kept.contains(&secret));
        }
        prop_assert_eq!(streamed(&redactor, cut(&text, &cuts)), whole);
    }

    /// No split of the real spellings shows a part of the secret.
    #[test]
    fn no_split_shows_a_spelling(
        which in 0..12_usize,
        cuts in proptest::collection::vec(0..120_usize, 1..5),
    ) {
        let (redactor, _known) = redactor(&[SECRET]);
        let (_, spelling) = &spellings()[which];
        let shown = streamed(&redactor, cut(spelling, &cuts));
        prop_assert_eq!(shown.trim_matches(['"', '\'']), MASK);
    }
}

fn is_break(one: char) -> bool {
    matches!(one, '\n' | '\r')
}
