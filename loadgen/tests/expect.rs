//! What a run takes for an answer (`--expect`): the message, a template around it, or whatever comes next.

mod binary;

use binary::{EmbeddedServer, Finished, Json, loadgen};

const TEMPLATE: &str = "template:服务端收到了-{}-";

fn run(arguments: &[&str]) -> Finished {
    let fixed = ["run", "--connections", "3", "--messages", "600", "--warmup", "0s", "--drain-timeout", "5s"];
    loadgen(&[&fixed[..], &["--threads", "1"], arguments].concat()).wait()
}

/// The report of a run that measured; whether the machine was quiet enough is not the question here.
fn report(arguments: &[&str]) -> Json {
    let finished = run(&[&["--format", "json"], arguments].concat());
    assert!(matches!(finished.code, Some(0 | 98)), "{arguments:?}: {:?} {}", finished.code, finished.stderr);
    Json(serde_json::from_str(&finished.stdout).expect("a report"))
}

#[test]
fn replies_by_template_are_verified_to_the_byte() {
    // The embedded server answers as the run expects.
    for flags in [
        &["--text"][..],
        &["--binary", "--size", "0..3000"],
        &["--text", "--in-flight", "9", "--permessage-deflate"],
        &["--text", "--size", "100..900", "--permessage-deflate", "--deflate-context-takeover", "both"],
    ] {
        let report = report(&[flags, &["--expect", TEMPLATE]].concat());
        assert_eq!(report.number("/messages/verified"), 600.0, "{flags:?}");
        let checked = ["compared", "inflated", "identical"].map(|how| report.number(&format!("/verification/{how}")));
        assert_eq!(checked.iter().sum::<f64>(), 600.0, "{flags:?}");
        let [sent, received] = ["sent", "received"].map(|way| report.number(&format!("/wire/{way}/message_bytes")));
        let messages = report.number("/wire/received/messages");
        // The template has 20 bytes; all replies come within the measured phase, which ends with the last.
        assert_eq!(received - sent, 20.0 * messages, "{flags:?}");
    }
}

#[test]
fn a_reply_by_another_template_is_corrupted() {
    let server = EmbeddedServer::start(&["--reply", "服务端收到了-{}+"]);
    let finished = run(&[&server.url, "--text", "--size", "5", "--expect", TEMPLATE]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.contains("corrupted: 600"), "{}", finished.stdout);
    assert!(finished.stdout.contains("instead of \"-\""), "{}", finished.stdout);
    let finished = run(&[&server.url, "--text", "--expect", "echo"]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
}

#[test]
fn whatever_comes_next_is_an_answer_where_that_is_expected() {
    let server = EmbeddedServer::start(&["--reply", "{{\"ok\":true,\"of\":\"{}\"}}", "--permessage-deflate", "on"]);
    for flags in
        [&["--text"][..], &["--text", "--in-flight", "9", "--size", "9..2000"], &["--permessage-deflate", "--text"]]
    {
        let arguments = [&[&*server.url, "--expect", "order"], flags].concat();
        let report = report(&arguments);
        assert_eq!(report.number("/messages/verified"), 600.0, "{flags:?}");
        assert_eq!((report.number("/verification/order"), report.number("/verification/compared")), (600.0, 0.0));
        assert_eq!(report.0["environment"]["plan"]["expect"], "order");
        let finished = run(&arguments);
        assert!(finished.stdout.contains("600 taken as they came, not checked"), "{}", finished.stdout);
        assert!(finished.stdout.contains("the content of 600 replies was not checked"), "{}", finished.stdout);
    }
}

#[test]
fn what_is_no_expectation_is_refused() {
    for (expect, why) in
        [("ecko", "expected echo, order, or template:"), ("template:a", "expected one {} for the message")]
    {
        let finished = run(&["--expect", expect]);
        assert!(finished.code == Some(2) && finished.stderr.contains(why), "{}", finished.stderr);
        assert!(finished.stderr.contains("--expect"), "{}", finished.stderr);
    }
}
