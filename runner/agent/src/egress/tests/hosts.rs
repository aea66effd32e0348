//! What a program names as a host, at random: whatever is accepted means one thing to everybody.

use std::net::IpAddr;

use proptest::prelude::*;

use super::super::host::{HostName, Target};

/// Pieces of names and addresses, and what is put between them to deceive.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("127.0.0.1".to_owned()),
        Just("0x7f000001".to_owned()),
        Just("2130706433".to_owned()),
        Just("0177.0.0.1".to_owned()),
        Just("[::1]".to_owned()),
        Just("[::ffff:10.0.0.1]".to_owned()),
        Just("metadata.google.internal".to_owned()),
        Just("EXAMPLE.com".to_owned()),
        Just("%31".to_owned()),
        Just("\u{ff11}\u{ff12}\u{ff17}".to_owned()),
        Just("ex\u{430}mple".to_owned()),
        "[a-z0-9-]{1,8}",
        prop_oneof![
            ".", ":", "@", "/", "\\\\", "#", "\\?", "\0", " ", "\r\n", "\\[", "\\]", "80", "_"
        ],
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn an_accepted_target_has_one_spelling_and_one_meaning(text in hostile()) {
        let Ok(target) = Target::parse(&text, Some(80)) else {
            return Ok(());
        };
        let shown = format!("{}:{}", target.host, target.port);
        prop_assert_eq!(Target::parse(&shown, None), Ok(target.clone()), "{}", text);
        let plain = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || ".-_:[]".contains(one);
        prop_assert!(shown.chars().all(plain), "{text:?} became {shown:?}");
        // A browser's parser, and so what many programs use, sees the same host.
        let url = url::Url::parse(&format!("http://{shown}/"));
        let url = url.expect("an accepted target makes an address");
        prop_assert_eq!(url.host_str().map(ToOwned::to_owned), Some(target.host.to_string()));
        if let HostName::Name(name) = &target.host {
            prop_assert!(name.parse::<IpAddr>().is_err(), "{name} is an address");
        }
    }

    #[test]
    fn no_bytes_break_the_parser(text in "\\PC*") {
        let _ = Target::parse(&text, None);
        let _ = HostName::parse(&text);
    }
}
