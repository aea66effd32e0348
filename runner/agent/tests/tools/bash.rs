use serde_json::json;

use crate::support::{Bench, bad, command, good, text};

#[tokio::test]
async fn a_command_runs_in_the_workspace_and_its_files_are_real() {
    let bench = Bench::new().await;
    let output = bench
        .bash("pwd; echo made > here.txt; id -u; hostname")
        .await;
    let text = good(&output);
    assert!(text.starts_with("/workspace\n1000\nmembrane\n"), "{text}");
    assert!(text.ends_with("(Exit code 0.)"), "{text}");
    assert_eq!(command(&output).exit_code, Some(0));
    assert_eq!(command(&output).cwd, "/workspace");
    assert_eq!(bench.content("here.txt"), "made\n");
}

#[tokio::test]
async fn an_exit_code_is_told_in_text_and_detail() {
    let bench = Bench::new().await;
    for (script, code) in [
        ("exit 7", 7),
        ("false", 1),
        ("no-such-program-here", 127),
        ("if then", 2),
    ] {
        let output = bench.bash(script).await;
        assert!(
            bad(&output).contains(&format!("(Exit code {code}.)")),
            "{script}: {}",
            text(&output)
        );
        assert_eq!(command(&output).exit_code, Some(code), "{script}");
    }
}

#[tokio::test]
async fn standard_output_and_error_come_in_the_order_they_were_written() {
    let bench = Bench::new().await;
    let output = bench.bash("echo 1; echo 2 >&2; echo 3; echo 4 >&2").await;
    assert!(good(&output).starts_with("1\n2\n3\n4\n"));
}

#[tokio::test]
async fn the_working_directory_is_kept_and_the_environment_is_not() {
    let bench = Bench::new().await;
    good(
        &bench
            .bash("mkdir -p 'a b/c' && cd 'a b/c' && export LEFT=over")
            .await,
    );
    let output = bench.bash("pwd; echo [$LEFT]").await;
    assert!(
        good(&output).starts_with("/workspace/a b/c\n[]\n"),
        "{}",
        text(&output)
    );
    assert_eq!(command(&output).cwd, "/workspace/a b/c");
}

#[tokio::test]
async fn the_working_directory_is_kept_after_exit_and_failure() {
    let bench = Bench::new().await;
    assert_eq!(
        command(&bench.bash("mkdir d; cd d; exit 3").await).exit_code,
        Some(3)
    );
    assert!(good(&bench.bash("pwd").await).starts_with("/workspace/d\n"));
}

#[tokio::test]
async fn a_working_directory_outside_of_the_workspace_is_reset_with_a_notice() {
    let bench = Bench::new().await;
    for elsewhere in ["/usr", "/tmp", "/home/agent", "/"] {
        let output = bench
            .bash(&format!("mkdir -p d; cd d; cd {elsewhere}"))
            .await;
        assert!(
            good(&output).contains("reset to /workspace"),
            "{}",
            text(&output)
        );
        assert_eq!(command(&output).cwd, "/workspace");
    }
    assert!(good(&bench.bash("pwd").await).starts_with("/workspace\n"));
}

#[tokio::test]
async fn a_working_directory_that_is_gone_is_reset_with_a_notice() {
    let bench = Bench::new().await;
    good(&bench.bash("mkdir gone; cd gone").await);
    std::fs::remove_dir(bench.file("gone")).expect("removed");
    let output = bench.bash("pwd").await;
    let text = good(&output);
    assert!(text.starts_with("/workspace\n"), "{text}");
    assert!(text.contains("/workspace/gone is gone"), "{text}");
}

#[tokio::test]
async fn a_working_directory_with_a_hostile_name_is_kept_and_shown_escaped() {
    let bench = Bench::new().await;
    let output = bench.bash("mkdir $'a\\nb' && cd $'a\\nb'").await;
    assert_eq!(command(&output).cwd, "$'/workspace/a\\x0ab'");
    assert!(good(&bench.bash("pwd").await).starts_with("/workspace/a\nb\n"));
}

#[tokio::test]
async fn forged_reports_of_a_working_directory_lead_nowhere() {
    let bench = Bench::new().await;
    for forged in [
        "/etc",
        "/workspace/../..",
        "/workspace/../../etc",
        "relative",
        "/workspace/missing",
    ] {
        let output = bench
            .bash(&format!("trap - EXIT; printf '\\0cwd {forged}\\0' >&3"))
            .await;
        assert_eq!(command(&output).cwd, "/workspace", "{forged}");
        assert!(
            good(&bench.bash("pwd").await).starts_with("/workspace\n"),
            "{forged}"
        );
    }
    std::os::unix::fs::symlink("/etc", bench.file("out")).expect("a link");
    let output = bench
        .bash("trap - EXIT; printf '\\0cwd /workspace/out\\0' >&3")
        .await;
    assert_eq!(command(&output).cwd, "/workspace");
}

#[tokio::test]
async fn here_documents_quotes_and_comments_survive() {
    let bench = Bench::new().await;
    let output = bench
        .bash("cat <<'E'\n$HOME \"x\" 'y'\nE\necho \"$#\" # comment")
        .await;
    assert!(
        good(&output).starts_with("$HOME \"x\" 'y'\n0\n"),
        "{}",
        text(&output)
    );
}

#[tokio::test]
async fn standard_input_is_empty() {
    let bench = Bench::new().await;
    assert!(good(&bench.bash("cat; read -r x || echo none").await).starts_with("none\n"));
}

#[tokio::test]
async fn a_command_that_reaches_its_time_limit_is_killed() {
    let bench = Bench::new().await;
    let input = json!({ "command": "echo begun; sleep 600", "timeout": 700 });
    let output = bench.call("Bash", input).await;
    let text = bad(&output);
    assert!(
        text.starts_with("begun\n(Killed: the time limit of 700 ms was reached.)"),
        "{text}"
    );
    assert!(command(&output).timed_out);
    assert_eq!(command(&output).exit_code, None);
}

#[tokio::test]
async fn limits_outside_of_the_bounds_are_refused() {
    let bench = Bench::new().await;
    for (limit, words) in [(0, "timeout is 0"), (600_001, "over 600000")] {
        let input = json!({ "command": "touch ran", "timeout": limit });
        assert!(bad(&bench.call("Bash", input).await).contains(words));
    }
    let long = json!({ "command": format!("touch ran; # {}", "x".repeat(100_000)) });
    assert!(bad(&bench.call("Bash", long).await).contains("longer than 100000 bytes"));
    let nul = json!({ "command": "touch ran \u{0}" });
    assert!(bad(&bench.call("Bash", nul).await).contains("NUL"));
    assert!(!bench.file("ran").exists());
}

#[tokio::test]
async fn what_is_not_declared_is_refused_by_name() {
    let bench = Bench::new().await;
    let input = json!({ "command": "touch ran", "run_in_background": true });
    assert!(bad(&bench.call("Bash", input).await).contains("run_in_background"));
    assert!(!bench.file("ran").exists());
}

#[tokio::test]
async fn commands_at_the_same_time_do_not_disturb_each_other() {
    let bench = Bench::new().await;
    let commands = (0..8).map(|number| format!("echo {number} > {number}.txt; cat {number}.txt"));
    let commands: Vec<String> = commands.collect();
    let calls = commands.iter().map(|command| bench.bash(command));
    for (number, output) in futures::future::join_all(calls).await.iter().enumerate() {
        assert!(good(output).starts_with(&format!("{number}\n")));
    }
}

#[tokio::test]
async fn a_workspaces_variables_are_set_for_commands() {
    let bench = Bench::new().await;
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    bench.tools.set_environment(&[
        variable("RUST_LOG", "debug, \"a b\""),
        variable("HOME", "/elsewhere"),
    ]);
    let output = bench.bash("echo [$RUST_LOG] $HOME").await;
    let said = good(&output);
    assert!(said.contains("[debug, \"a b\"] /home/agent\n"), "{said}");
    bench.tools.set_environment(&[]);
    let output = bench.bash("echo [$RUST_LOG]").await;
    assert!(good(&output).starts_with("[]\n"));
}

/// What a variable makes the loader load must not run before everything is locked.
#[tokio::test]
async fn a_library_that_a_variable_names_is_not_loaded_into_the_first_process() {
    let bench = Bench::new().await;
    bench.put(
        "evil.c",
        "#include <stdio.h>\n#include <unistd.h>\n\
        __attribute__((constructor)) static void loaded(void) {\n\
        FILE *file = fopen(\"/workspace/loaded\", \"a\");\n\
        if (file) { fprintf(file, \"by %d.\\n\", getpid()); fclose(file); }\n}\n",
    );
    good(&bench.bash("cc -shared -fPIC -o evil.so evil.c").await);
    let preload = ("LD_PRELOAD".to_owned(), "/workspace/evil.so".to_owned());
    bench.tools.set_environment(&[preload]);
    good(&bench.bash("/bin/true").await);
    let loaded = bench.content("loaded");
    assert!(
        loaded.contains("by ") && !loaded.contains("by 1."),
        "{loaded}"
    );
}
