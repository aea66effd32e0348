//! D1: what a panic says goes to the log, and a secret in it does not, in none of its forms.

use std::{
    env,
    process::{Command, Stdio},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use membrane_agent::redact::Redactor;
use membrane_server::{config::LogFormat, logging};
use secrecy::SecretString;

use super::rotating::config;

const CANARY: &str = "canary-of-a-panic-5b1c";

pub fn panic_again_and_again() {
    for format in ["text", "json"] {
        let child = Command::new(env::current_exe().expect("this program"))
            .args(["panic", format])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .expect("started");
        let log = String::from_utf8_lossy(&child.stderr);
        let told = log.matches("a part of the server panicked").count();
        assert_eq!(told, 3, "{log}");
        assert!(log.contains("before [redacted] after"), "{log}");
        for form in [
            CANARY.to_owned(),
            BASE64_STANDARD.encode(CANARY),
            hex(CANARY),
        ] {
            assert!(!log.contains(&form), "{form} is in the log:\n{log}");
        }
    }
    println!("panicked six times, and no secret was told");
}

/// The child: a thread, a task and what runs beside it panic with a secret in hand.
pub async fn panic(arguments: &[String]) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config(directory.path());
    if arguments.first().is_some_and(|format| format == "json") {
        config.log_format = LogFormat::Json;
    }
    let redactor = Redactor::default();
    let _known = redactor.know(&SecretString::from(CANARY));
    logging::start(&config, redactor).expect("a log");
    let in_thread = thread::spawn(|| panic!("before {CANARY} after"));
    in_thread.join().expect_err("it panics");
    let in_task = tokio::spawn(async { panic!("{}", BASE64_STANDARD.encode(CANARY)) });
    in_task.await.expect_err("it panics");
    let blocking = tokio::task::spawn_blocking(|| panic!("{}", hex(CANARY)));
    blocking.await.expect_err("it panics");
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
