//! Each guard is missed when it is switched off: at least one of the other tests' questions gets
//! another answer.

use membrane_agent::sandbox::Guard;

use crate::denials::{CALLS, STATUS, namespaces};
use crate::support::Scene;

/// What must be said by all of them.
const GOOD: &str = "tried\n(Exit code 0.)";
const MASKS: &str = "for file in kcore keys timer_list; do [ ! -e /proc/$file ] || [ -c /proc/$file ] || echo OPEN $file; done; echo tried";
const MOUNTS: &str = r#"while read -r _ _ _ _ place options _; do
case $place in / | /dev | /usr) case ,$options, in *,ro,*) ;; *) echo WRITABLE $place ;; esac ;; esac
done < /proc/self/mountinfo; echo tried"#;

/// What breaks without some guards; none if nothing does.
async fn breach(without: &[Guard]) -> Option<String> {
    let scene = Scene::without(without);
    // Inherited by whoever does not close it.
    let leaked = rustix::io::dup(std::io::stderr()).expect("a descriptor");
    for script in [STATUS, MASKS, MOUNTS, &namespaces()] {
        let said = scene.bash(script).await;
        if said != GOOD {
            return Some(said);
        }
    }
    drop(leaked);
    let said = scene.python(CALLS).await;
    (said != GOOD).then_some(said)
}

#[tokio::test]
async fn with_all_guards_nothing_breaks() {
    assert_eq!(breach(&[]).await, None);
}

/// All but the lifeline, the watchdog and late descriptors, which have tests beside what they do.
#[tokio::test]
async fn each_guard_is_missed() {
    for guard in [
        Guard::Capabilities,
        Guard::CgroupNamespace,
        Guard::Descriptors,
        Guard::Environment,
        Guard::HostNamespace,
        Guard::IpcNamespace,
        Guard::KernelLimits,
        Guard::Landlock,
        Guard::MaskedProc,
        Guard::Memory,
        Guard::Neighbours,
        Guard::NetworkNamespace,
        Guard::ProcessNamespace,
        Guard::ReadOnlyRoot,
        Guard::ReadOnlySystem,
        Guard::Seccomp,
        Guard::Session,
        Guard::User,
    ] {
        let found = breach(&[guard]).await;
        // Whoever has the number of the agent's user anyway, as many first users do, sees no other.
        let same = guard == Guard::User && rustix::process::getuid().as_raw() == 1000;
        assert!(found.is_some() || same, "nobody misses {guard:?}");
    }
}

/// Two guards forbid the same: each does it without the other.
#[tokio::test]
async fn namespaces_inside_are_forbidden_twice() {
    const NESTED: &str = "unshare -U true 2>/dev/null && echo NESTED; echo tried";
    for (without, said) in [
        (vec![Guard::Seccomp], false),
        (vec![Guard::NestedNamespaces], false),
        (vec![Guard::Seccomp, Guard::NestedNamespaces], true),
    ] {
        let scene = Scene::without(&without);
        let output = scene.bash(NESTED).await;
        assert_eq!(output.contains("NESTED"), said, "{without:?}: {output}");
    }
}
