//! Servers that end while they are measured: what is due from then on is lost, the rates are those of the whole time, and
//! the report says when and why.

mod binary;

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use binary::{EmbeddedServer, Json, Run, loadgen};
use rustix::process::Signal;

/// Starts a run, and sends its server a signal once all connections are open.
fn while_running(signal: Signal, flags: &[&str]) -> Run {
    let server = EmbeddedServer::start(&[]);
    let before = server.sockets();
    let run = loadgen(&[&["run", &server.url, "-c", "4", "--threads", "2", "-q", "--format", "json"], flags].concat());
    server.wait_for_sockets(before, 4);
    // Until the load has begun; where that takes longer, all of it is lost.
    thread::sleep(Duration::from_secs(1));
    server.signal(signal);
    // A server that is asked to end waits for its clients.
    thread::sleep(Duration::from_millis(500));
    run
}

fn reasons(report: &Json) -> String {
    assert_eq!(report.0["trust"]["valid"], false);
    report.0["trust"]["reasons"].to_string()
}

fn verified_and_lost(report: &Json) -> f64 {
    assert!(report.number("/messages/lost") > 0.0);
    report.number("/messages/verified") + report.number("/messages/lost")
}

#[test]
fn an_open_loop_loses_all_that_is_due_after_its_last_connection() {
    let hlog = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("server-ends-{}.hlog", std::process::id()));
    let limits = ["achieved>=99%", "rate<0.01", "throughput>=198"].map(|limit| ["--threshold", limit]);
    let flags = ["--rate", "200", "-d", "60s", "--warmup", "0s", "--hlog", hlog.to_str().unwrap()];
    let report = while_running(Signal::KILL, &[&flags[..], limits.as_flattened()].concat()).json(&[1]);
    assert_eq!(verified_and_lost(&report), 12_000.0);
    assert_eq!(report.number("/load/duration_seconds"), 60.0);
    let after = report.number("/all_lost_after_seconds");
    assert!((0.0..60.0).contains(&after), "{after}");
    let reasons = reasons(&report);
    assert!(reasons.contains("all 4 connections had ended") && reasons.contains(" into the 60.0 s: "), "{reasons}");
    let thresholds = report.0["thresholds"].as_array().unwrap();
    assert!(thresholds.iter().all(|judged| judged["outcome"] == "crossed"), "{thresholds:?}");
    // The time without connections is there, and empty.
    let intervals = report.0["intervals"].as_array().unwrap();
    assert_eq!((intervals.len(), &intervals[59]["messages"]), (60, &0.into()));
    let log = fs::read_to_string(&hlog).unwrap();
    assert_eq!(log.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count(), 60);
    fs::remove_file(hlog).unwrap();
}

#[test]
fn a_closed_loop_counts_in_its_whole_time_and_fails() {
    let report = while_running(Signal::KILL, &["-d", "60s", "--warmup", "0s"]).json(&[1]);
    assert_eq!(report.number("/load/duration_seconds"), 60.0);
    let rate = report.number("/throughput/messages_per_second");
    assert!(rate * 60.0 < report.number("/messages/verified") + 1.0, "{rate}");
    assert!(reasons(&report).contains("all 4 connections had ended"));
}

#[test]
fn a_count_of_messages_is_lost_as_far_as_it_was_not_sent() {
    let open = ["--rate", "200", "--messages", "12000", "--warmup", "0s"];
    let report = while_running(Signal::TERM, &open).json(&[1]);
    assert_eq!(verified_and_lost(&report), 12_000.0);
    assert!(report.number("/load/duration_seconds") > 59.0, "until the last one was due");
    let reasons = reasons(&report);
    assert!(reasons.contains("of 12,000 messages answered: closed by the server with code 1001"), "{reasons}");

    let closed = ["--messages", "1000000000", "--warmup", "0s"];
    let report = while_running(Signal::KILL, &closed).json(&[1]);
    assert_eq!(verified_and_lost(&report), 1e9);
}

#[test]
fn the_end_of_the_server_in_the_warm_up_is_that_of_the_run() {
    let report = while_running(Signal::KILL, &["--rate", "200", "-d", "60s", "--warmup", "60s"]).json(&[1]);
    let lost = report.number("/messages/lost");
    assert!((12_000.0..12_010.0).contains(&lost), "{lost}: all of the measured phase, and what was on its way");
    assert!(report.number("/all_lost_after_seconds") < 0.0);
    assert!(reasons(&report).contains("into the 60.0 s of warm-up"));
}

/// A server as a command that ends with exit code 7 after a while.
fn short_lived() -> String {
    let program = env!("CARGO_BIN_EXE_loadgen");
    format!("sh -c '{program} embedded-server --listen 127.0.0.1:$1 & sleep 4; kill -9 $!; exit 7' - {{port}}")
}

#[test]
fn the_exit_status_of_a_server_that_was_started_here_is_named() {
    let finished = loadgen(&["run", "--server", &short_lived(), "-c", "4", "-d", "60s", "--warmup", "0s"]).wait();
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    let all = [finished.stdout, finished.stderr].concat();
    assert!(all.contains("exit status: 7"), "{all}");
    let long = ["-c", "4", "--restart-every", "1000", "--force"];
    let compared = loadgen(&[&["compare", "--a", "", "--b", &short_lived()], &long[..]].concat()).wait();
    assert_eq!(compared.code, Some(1), "{}", compared.stdout);
    assert!(compared.stderr.contains("ended: exit status: 7"), "{}", compared.stderr);
}
