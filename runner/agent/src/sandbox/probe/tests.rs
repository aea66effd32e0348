use super::judge;

const GOOD: &str = "true: ran
status: CapInh:	0000000000000000
status: CapPrm:	0000000000000000
status: CapEff:	0000000000000000
status: CapBnd:	0000000000000000
status: CapAmb:	0000000000000000
status: NoNewPrivs:	1
status: Seccomp:	2
net: Inter-|   Receive
net: face |bytes
net: lo:       0
process: /proc/1
process: /proc/2
";

#[test]
fn a_process_that_finds_itself_confined_is_believed() {
    assert_eq!(judge(GOOD), Ok(()));
}

#[test]
fn each_broken_promise_makes_the_sandbox_unavailable() {
    let broken = [
        GOOD.replace("true: ran", ""),
        GOOD.replace("CapEff:	0000000000000000", "CapEff:	00000000a80425fb"),
        GOOD.replace("CapBnd:	0000000000000000", "CapBnd:	0000000000000001"),
        GOOD.replace("NoNewPrivs:	1", "NoNewPrivs:	0"),
        GOOD.replace("status: NoNewPrivs:	1\n", ""),
        GOOD.replace("Seccomp:	2", "Seccomp:	0"),
        format!("{GOOD}net: eth0:       0\n"),
        format!("{GOOD}writable: /proc/sys/kernel/core_pattern\n"),
        format!("{GOOD}process: /proc/3\nprocess: /proc/4\nprocess: /proc/5\n"),
        String::new(),
    ];
    for report in broken {
        assert!(judge(&report).is_err(), "{report}");
    }
}
