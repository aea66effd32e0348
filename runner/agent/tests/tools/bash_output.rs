use std::fs;
use std::os::unix::fs::symlink;

use membrane_agent::host::{Host, HostRequest};
use membrane_agent::tools::OutputSink;
use membrane_proto::v1::BlockKind;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, command, good, invocation, text};

const FIVE_MEBIBYTES: &str = "head -c 5242880 /dev/zero | tr '\\0' x";

#[tokio::test]
async fn output_that_fits_is_not_cut() {
    let bench = Bench::new().await;
    let output = bench.bash("head -c 30000 /dev/zero | tr '\\0' x").await;
    assert_eq!(
        good(&output).matches('x').count(),
        30_001,
        "one more in `Exit`"
    );
    assert_eq!(output.truncation, None);
    assert!(!bench.home(".membrane").exists());
}

#[tokio::test]
async fn one_character_more_goes_to_a_file_with_a_preview() {
    let bench = Bench::new().await;
    let output = bench
        .bash("echo first; head -c 29990 /dev/zero | tr '\\0' x; echo last")
        .await;
    let text = good(&output);
    assert!(text.starts_with("first\nx"), "the beginning");
    assert!(text.contains("xlast\n(Exit code 0.)"), "the end");
    let truncation = output.truncation.expect("it is cut");
    assert_eq!(truncation.total_bytes, 30_001);
    assert_eq!(truncation.path, "/home/agent/.membrane/outputs/call_1.txt");
    assert!(text.contains(&truncation.path));
    let whole = fs::read(bench.home(".membrane/outputs/call_1.txt")).expect("the file");
    assert_eq!(
        truncation.digest,
        format!("blake3:{}", blake3::hash(&whole).to_hex())
    );
    let read = bench.read(&truncation.path).await;
    assert!(good(&read).contains("first"));
}

#[tokio::test]
async fn five_mebibytes_of_output_work() {
    let bench = Bench::new().await;
    let output = bench.bash(FIVE_MEBIBYTES).await;
    assert!(good(&output).chars().count() < 30_000);
    let truncation = output.truncation.expect("it is cut");
    assert_eq!(truncation.total_bytes, 5 * 1024 * 1024);
    let whole = fs::read(bench.home(".membrane/outputs/call_1.txt")).expect("the file");
    assert_eq!(whole.len(), 5 * 1024 * 1024);
    assert_eq!(
        truncation.digest,
        format!("blake3:{}", blake3::hash(&whole).to_hex())
    );
}

#[tokio::test]
async fn more_than_the_file_may_hold_is_dropped_and_said() {
    let bench = Bench::new().await;
    let output = bench
        .bash("head -c 70000000 /dev/zero | tr '\\0' x; echo end")
        .await;
    let text = good(&output);
    assert!(
        text.contains("70000004 bytes in all, the first 67108864 of them"),
        "the remark"
    );
    assert!(text.contains("xend\n"), "the end is still shown");
    let kept = fs::metadata(bench.home(".membrane/outputs/call_1.txt"))
        .expect("the file")
        .len();
    assert_eq!(kept, 64 * 1024 * 1024);
    assert_eq!(
        output.truncation.expect("it is cut").total_bytes,
        70_000_004
    );
}

#[tokio::test]
async fn characters_count_not_bytes() {
    let bench = Bench::new().await;
    let output = bench.bash("for i in {1..29000}; do printf 😀; done").await;
    assert_eq!(good(&output).matches('😀').count(), 29_000);
    assert_eq!(output.truncation, None);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_as_replacements_and_kept_in_the_file() {
    let bench = Bench::new().await;
    let output = bench
        .bash("printf 'a\\xffb'; head -c 200000 /dev/zero")
        .await;
    assert!(good(&output).starts_with("a\u{fffd}b"));
    let whole = fs::read(bench.home(".membrane/outputs/call_1.txt")).expect("the file");
    assert_eq!(&whole[..4], b"a\xffb\0");
}

#[tokio::test]
async fn a_link_planted_for_the_output_file_leads_nowhere() {
    let bench = Bench::new().await;
    let outside = tempfile::tempdir().expect("a directory outside");
    symlink(outside.path(), bench.home(".membrane")).expect("a link");
    let output = bench.bash(FIVE_MEBIBYTES).await;
    assert!(
        good(&output).contains("could not be kept"),
        "{}",
        text(&output)
    );
    assert_eq!(output.truncation.expect("it is cut").path, "");
    assert_eq!(fs::read_dir(outside.path()).expect("outside").count(), 0);
}

#[tokio::test]
async fn a_file_fifo_or_link_in_the_place_of_the_output_file_is_replaced() {
    let bench = Bench::new().await;
    let outside = tempfile::NamedTempFile::new().expect("a file outside");
    fs::create_dir_all(bench.home(".membrane/outputs")).expect("its directory");
    symlink(outside.path(), bench.home(".membrane/outputs/call_1.txt")).expect("a link");
    good(&bench.bash(FIVE_MEBIBYTES).await);
    assert_eq!(outside.as_file().metadata().expect("metadata").len(), 0);

    let plant = "rm ~/.membrane/outputs/call_1.txt; mkfifo ~/.membrane/outputs/call_1.txt";
    good(&bench.bash(plant).await);
    good(&bench.bash(FIVE_MEBIBYTES).await);
    let written = fs::metadata(bench.home(".membrane/outputs/call_1.txt")).expect("the file");
    assert!(written.is_file());
}

#[tokio::test]
async fn a_call_id_is_never_a_path() {
    let bench = Bench::new().await;
    let mut call = invocation("Bash", json!({ "command": FIVE_MEBIBYTES }));
    call.id = "../../files/evil\n".to_owned();
    let output = bench
        .tools
        .call(call, OutputSink::discard(), CancellationToken::new())
        .await;
    let path = output.truncation.expect("it is cut").path;
    assert_eq!(path, "/home/agent/.membrane/outputs/______files_evil_.txt");
}

#[tokio::test]
async fn output_is_streamed_in_order_up_to_its_bound() {
    let bench = Bench::new().await;
    let (host, mut served) = Host::channel(8);
    let call = invocation(
        "Bash",
        json!({ "command": "echo now; head -c 2000000 /dev/zero | tr '\\0' é" }),
    );
    let sink = OutputSink::new(host, "call_1");
    let watching = async {
        let (mut offset, mut all) = (0, String::new());
        while let Some(HostRequest::Delta(delta)) = served.recv().await {
            assert_eq!(delta.block_id, "call_1");
            assert_eq!(delta.kind(), BlockKind::ToolOutput);
            assert_eq!(delta.offset, offset, "no gap and no overlap");
            offset += i64::try_from(delta.text.len()).expect("a small number");
            all.push_str(&delta.text);
        }
        all
    };
    let calling = async {
        let output = bench.tools.call(call, sink, CancellationToken::new()).await;
        assert_eq!(command(&output).exit_code, Some(0));
    };
    let (all, ()) = tokio::join!(watching, calling);
    assert!(all.starts_with("now\n"));
    assert!(
        all.len() <= 256 * 1024 && all.len() > 200 * 1024,
        "{}",
        all.len()
    );
}

#[tokio::test]
async fn a_host_that_takes_nothing_does_not_outlast_an_interrupt() {
    let bench = Bench::new().await;
    let (host, _served) = Host::channel(1);
    let cancel = CancellationToken::new();
    let call = invocation("Bash", json!({ "command": "while echo more; do :; done" }));
    let calling = bench
        .tools
        .call(call, OutputSink::new(host, "call_1"), cancel.clone());
    let interrupting = async {
        while !bench.home("begun").exists() {
            tokio::task::yield_now().await;
            fs::write(bench.home("begun"), "").expect("a mark");
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(calling, interrupting).0 };
    let output = tokio::time::timeout(crate::support::HANG, both)
        .await
        .expect("it ends");
    assert!(command(&output).interrupted);
}
