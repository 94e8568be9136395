//! WebSocket over TLS (`wss://`), against servers of the tests' own with certificates of an authority of their own.

#[path = "../binary/mod.rs"]
mod binary;
#[path = "../faults/servers.rs"]
#[allow(dead_code, reason = "servers over plain TCP are others' affair")]
mod servers;
#[path = "../../../server/tests/support/skipped.rs"]
mod skipped;

mod authority;
mod ending;
mod experiments;
mod handshakes;
mod openssl;
mod proxies;
mod records;
mod secure;

use binary::{Finished, Json, loadgen};

/// What the servers' threads do first.
fn on_server_thread() {}

/// Runs with these flags, 3 connections and 300 messages unless they say otherwise.
fn run(flags: &[&str]) -> Finished {
    let mut arguments = vec!["run", "--warmup", "0s", "--threads", "1", "-q"];
    for default in [["-c", "3"], ["--messages", "300"]] {
        if !flags.contains(&default[0]) {
            arguments.extend(default);
        }
    }
    loadgen(&[&arguments, flags].concat()).wait()
}

/// What it says on either stream, however its lines are broken.
fn said(finished: &Finished) -> String {
    let both = [finished.stdout.as_str(), finished.stderr.as_str()].join(" ");
    both.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The report of a run that measured; a busy machine may have made it late (98).
#[track_caller]
fn report(flags: &[&str]) -> Json {
    let finished = run(&[&["--format", "json"], flags].concat());
    assert!(
        matches!(finished.code, Some(0 | 98)),
        "{flags:?}: {:?} {}{}",
        finished.code,
        finished.stdout,
        finished.stderr
    );
    let report = Json(serde_json::from_str(&finished.stdout).expect("a report"));
    assert_eq!(report.number("/messages/verified"), report.number("/messages/sent"), "{flags:?}");
    report
}

/// What is said of flags or files that nothing can be measured with.
#[track_caller]
fn unusable(flags: &[&str]) -> String {
    let finished = run(flags);
    assert_eq!(finished.code, Some(2), "{flags:?}: {}{}", finished.stdout, finished.stderr);
    said(&finished)
}

/// What a run says that could open no connection.
#[track_caller]
fn refused(flags: &[&str]) -> String {
    let finished = run(flags);
    assert_eq!(finished.code, Some(1), "{flags:?}: {}{}", finished.stdout, finished.stderr);
    said(&finished)
}
