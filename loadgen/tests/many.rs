//! Many connections from one process, and the limit of the system that is named before any is opened.

mod binary;
#[path = "../../server/tests/support/skipped.rs"]
mod skipped;

use std::process::{Command, Stdio};

use binary::loadgen;
use rustix::process::{Resource, getrlimit};
use skipped::skipped;

const CONNECTIONS: u64 = 15_000;

/// The connections' descriptors and what a process needs beside them.
const DESCRIPTORS: u64 = CONNECTIONS + 200;

/// Whether there are descriptors for them; else the calling test is skipped.
fn has_descriptors() -> bool {
    let limit = getrlimit(Resource::Nofile).maximum;
    let is_enough = limit.is_none_or(|limit| limit >= DESCRIPTORS);
    if !is_enough {
        skipped(&format!("the hard limit of descriptors is {limit:?}, and this takes {DESCRIPTORS}"));
    }
    is_enough
}

#[test]
fn fifteen_thousand_connections() {
    if !has_descriptors() {
        return;
    }
    let connections = CONNECTIONS.to_string();
    let report = loadgen(&["run", "-c", &connections, "-d", "1s", "--warmup", "1s", "--format", "json"]).json(&[0, 98]);
    assert_eq!(report.number("/connections/established"), CONNECTIONS as f64);
    assert_eq!(report.number("/connections/dropped"), 0.0);
    assert!(report.number("/messages/sent") > 0.0);
    assert_eq!(report.number("/messages/verified"), report.number("/messages/sent"));
}

#[test]
fn fifteen_thousand_connections_are_held() {
    if !has_descriptors() {
        return;
    }
    let connections = CONNECTIONS.to_string();
    let report = loadgen(&["connections", "-n", &connections, "--hold", "1s", "-q", "--format", "json"]).json(&[0]);
    let counts = ["requested", "established", "failed", "dropped"];
    let counts = counts.map(|count| report.number(&format!("/connections/{count}")));
    assert_eq!(counts, [CONNECTIONS as f64, CONNECTIONS as f64, 0.0, 0.0]);
    assert_eq!(report.number("/handshake/count"), CONNECTIONS as f64);
    assert_eq!(report.number("/memory/steps/7/connections"), CONNECTIONS as f64);
    assert!(report.number("/hold/seconds") >= 1.0);
}

#[test]
fn too_low_a_limit_is_named_before_anything_is_connected() {
    // Nothing listens there: had it been tried, that would be the error.
    let command = format!("ulimit -n 50; exec {} run ws://127.0.0.1:1/ -c 100", env!("CARGO_BIN_EXE_loadgen"));
    let output = Command::new("sh").args(["-c", &command]).stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for word in ["100 connections", "file descriptors", "may have 50", "ulimit"] {
        assert!(stderr.contains(word), "{word} is missing in: {stderr}");
    }
    assert!(!stderr.contains("refused"), "{stderr}");
}
