//! Hosts, patterns and presets.

use super::super::host::{BadTarget, HostName, Target};
use super::super::{EgressPolicy, HostPattern, PRESETS};

/// What each text is read as; none for what is refused.
#[test]
fn a_target_has_one_spelling() {
    let table = [
        ("example.com:443", Some("example.com:443")),
        ("EXAMPLE.Com:443", Some("example.com:443")),
        ("example.com.:443", Some("example.com:443")),
        ("8.8.8.8:53", Some("8.8.8.8:53")),
        ("[2606:4700::1]:443", Some("[2606:4700::1]:443")),
        ("[::ffff:8.8.8.8]:443", Some("8.8.8.8:443")),
        ("[::FFFF:0808:0808]:443", Some("8.8.8.8:443")),
        ("a_b.example-1.com:1", Some("a_b.example-1.com:1")),
        ("localhost:65535", Some("localhost:65535")),
        ("xn--bcher-kva.example:80", Some("xn--bcher-kva.example:80")),
        // No host
        ("", None),
        (":443", None),
        (".:443", None),
        ("..:443", None),
        ("example..com:443", None),
        ("example.com..:443", None),
        (".example.com:443", None),
        ("*.example.com:443", None),
        ("-a.com:443", None),
        ("a-.com:443", None),
        ("exa mple.com:443", None),
        ("example.com\0.evil.com:443", None),
        ("example.com\n:443", None),
        ("example.com%00:443", None),
        ("example.com%2eevil.com:443", None),
        ("example.com/:443", None),
        ("example.com#:443", None),
        ("example.com?:443", None),
        ("example.com\\:443", None),
        ("bücher.example:443", None),
        ("example。com:443", None),
        ("１２７.0.0.1:443", None),
        // Addresses in disguise
        ("127.1:443", None),
        ("127.0.1:443", None),
        ("2130706433:443", None),
        ("0x7f000001:443", None),
        ("0x7f.1:443", None),
        ("0177.0.0.1:443", None),
        ("127.0.0.01:443", None),
        ("127.0.0.1.:443", None),
        ("256.1.1.1:443", None),
        ("1.2.3.4.5:443", None),
        ("example.0x7f:443", None),
        ("example.0x:443", None),
        ("::1:443", None),
        ("[::1:443", None),
        ("::1]:443", None),
        ("[[::1]]:443", None),
        ("[fe80::1%eth0]:443", None),
        ("[127.0.0.1]:443", None),
        ("[example.com]:443", None),
        // User names
        ("user@example.com:443", None),
        ("user:password@example.com:443", None),
        ("example.com@evil.com:443", None),
        ("@example.com:443", None),
        // Ports
        ("example.com", None),
        ("example.com:", None),
        ("example.com:0", None),
        ("example.com:00", None),
        ("example.com:0443", None),
        ("example.com:+443", None),
        ("example.com:-1", None),
        ("example.com:65536", None),
        ("example.com:4294967739", None),
        ("example.com: 443", None),
        ("example.com:443 ", None),
        ("example.com:https", None),
        ("example.com:443:443", None),
        ("[::1]", None),
        ("[::1]443", None),
    ];
    for (text, expected) in table {
        let parsed = Target::parse(text, None).ok();
        let shown = parsed.map(|target| target.to_string());
        assert_eq!(shown.as_deref(), expected, "{text:?}");
    }
    let long = format!("{}.com:443", "a".repeat(64));
    assert_eq!(Target::parse(&long, None), Err(BadTarget::Host));
    let longer = format!("{}com:443", "a.".repeat(126));
    assert_eq!(Target::parse(&longer, None), Err(BadTarget::Host));
}

/// What was read is spelled so that it is read as the same again.
#[test]
fn a_host_that_was_read_is_read_again_as_itself() {
    for text in ["Example.COM.", "[::ffff:1.2.3.4]", "[2001:DB8::1]", "a.b"] {
        let host = HostName::parse(text).expect("a host");
        assert_eq!(HostName::parse(&host.to_string()), Ok(host), "{text}");
    }
}

#[test]
fn a_pattern_covers_what_it_says_and_nothing_else() {
    let table = [
        ("example.com", "example.com:443", true),
        ("example.com", "example.com:80", true),
        ("EXAMPLE.com.", "Example.com.:443", true),
        ("example.com", "example.com:22", false),
        ("example.com", "www.example.com:443", false),
        ("example.com", "notexample.com:443", false),
        ("example.com", "example.com.evil.com:443", false),
        ("*.example.com", "www.example.com:443", true),
        ("*.example.com", "a.b.example.com:443", true),
        ("*.example.com", "example.com:443", false),
        ("*.example.com", "notexample.com:443", false),
        ("*.example.com", "www.example.com.evil.com:443", false),
        ("*.example.com:22", "www.example.com:22", true),
        ("*.example.com:22", "www.example.com:443", false),
        ("example.com:8080", "example.com:8080", true),
        ("example.com:8080", "example.com:80", false),
        ("8.8.8.8", "8.8.8.8:443", true),
        ("8.8.8.8", "[::ffff:8.8.8.8]:443", true),
        ("[::ffff:8.8.8.8]", "8.8.8.8:443", true),
        ("8.8.8.8", "8.8.4.4:443", false),
        ("[2606:4700::1]:53", "[2606:4700:0::1]:53", true),
        ("*.8", "8.8.8.8:443", false),
    ];
    for (pattern, target, expected) in table {
        let Ok(parsed) = pattern.parse::<HostPattern>() else {
            assert!(!expected, "{pattern}");
            continue;
        };
        let policy = EgressPolicy::Hosts(vec![parsed]);
        let target = Target::parse(target, None).expect("a target");
        assert_eq!(policy.allows(&target), expected, "{pattern} {target}");
    }
}

#[test]
fn an_empty_list_means_none() {
    let target = Target::parse("example.com:443", None).expect("a target");
    for (policy, opens) in [
        (EgressPolicy::None, false),
        (EgressPolicy::Hosts(Vec::new()), false),
        (EgressPolicy::Public, true),
    ] {
        assert_eq!(policy.opens_anything(), opens);
        assert_eq!(policy.allows(&target), opens);
    }
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    for text in [
        "",
        "*",
        "*.",
        "*.*.com",
        "a.*.com",
        "*example.com",
        "https://example.com",
        "example.com/path",
        "example.com:0",
        "example.com:https",
        "user@example.com",
        "10.0.0.0/8",
        "::1",
        "*.127.0.0.1",
    ] {
        let parsed = text.parse::<HostPattern>();
        assert!(parsed.is_err(), "{text}: {parsed:?}");
    }
}

#[test]
fn presets_name_hosts_each_once() {
    let mut names: Vec<_> = PRESETS.iter().map(|preset| &preset.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), PRESETS.len());
    for preset in PRESETS.iter() {
        let parsed: Vec<_> = preset.patterns().map(|host| host.to_string()).collect();
        assert_eq!(parsed, preset.hosts, "{}", preset.name);
        assert!(!parsed.is_empty() && !preset.title.is_empty());
    }
}
