//! Connections that are pinged while they are held, and that come back after a storm, or do not.

use std::fs;
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use wire::OpCode;

use super::servers::{echo, frame, serve, server};
use super::{assert_valid, finished, held, trickling};

/// A server that lets so many connections in, closes the next `refused` without an answer, and lets all others in.
fn away_for(refused: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            if !(LET_IN..LET_IN + refused).contains(&number) {
                // It ends with an error whenever loadgen drops its end.
                thread::spawn(move || serve(stream, &[], |_, payload, _| echo(&payload), &mpsc::channel().0));
            }
        }
    });
    url
}

/// Connections that are let in first.
const LET_IN: usize = 20;

#[test]
fn what_does_not_come_back_is_tried_again_until_all_are_back() {
    for jitter in [&[][..], &["--jitter", "100ms"]] {
        let url = away_for(25);
        let flags = [&url, "-n", "20", "--steps", "1", "--hold", "50ms", "--storm", "--retry-delay", "10ms"];
        let report = held(&[&flags[..], jitter].concat(), 0);
        assert_valid(&report.0);
        let counts = ["dropped", "back", "failed", "tries"].map(|count| report.number(&format!("/storm/{count}")));
        assert_eq!(counts, [20.0, 20.0, 0.0, 45.0]);
        assert!(report.number("/storm/most_tries") >= 2.0);
        assert_eq!(failed_times(&report.0["storm"]["failures"]), 25);
        let all = report.number("/storm/all_back_seconds");
        assert!((all * 1e9 / report.number("/storm/wait/max") - 1.0).abs() < 0.01, "the worst wait ends it: {all}");
    }
}

#[test]
fn tries_end_with_their_time() {
    let storm = |delay: &str| {
        let url = away_for(usize::MAX - LET_IN);
        let flags = ["-n", "20", "--steps", "1", "--hold", "50ms", "--storm", "--retry-time", "400ms"];
        held(&[&[url.as_str()][..], &flags, &["--retry-delay", delay]].concat(), 1)
    };
    let report = storm("20ms");
    assert_eq!((report.number("/storm/back"), report.number("/storm/failed")), (0.0, 20.0));
    assert_eq!(report.0["storm"]["all_back_seconds"], serde_json::Value::Null);
    assert_eq!(report.number("/storm/retry_time_seconds"), 0.4);
    let tries = report.number("/storm/tries");
    assert!(tries > 20.0 && failed_times(&report.0["storm"]["failures"]) as f64 == tries, "{tries}");
    // The second try would be due after the time is over.
    assert_eq!(storm("10s").number("/storm/tries"), 20.0);
}

#[test]
fn a_server_that_dies_in_the_storm_is_named_whatever_may_not_come_back() {
    // It ends once all ten are open and fewer than that are left.
    let open = "$(grep -c \"$port [0-9A-F:]* 01\" /proc/net/tcp)";
    let mortal = format!(
        "sh -c '{} embedded-server --listen 127.0.0.1:$1 & pid=$!; port=$(printf :%04X $1); \
         until test {open} -ge 10; do sleep 0.01; done; while test {open} -ge 10; do sleep 0.01; done; \
         kill -KILL $pid; exit 7' - {{port}}",
        env!("CARGO_BIN_EXE_loadgen")
    );
    let flags = ["--server", &mortal, "-n", "10", "--steps", "2", "--hold", "50ms", "--storm", "--jitter", "3s"];
    let report = held(&[&flags[..], &["--retry-time", "3s", "--threshold", "storm.failed<100"]].concat(), 1);
    assert_valid(&report.0);
    assert!(report.number("/storm/failed") > 0.0);
    assert_eq!(report.0["thresholds"][0]["outcome"], "met");
    let ended = &report.0["server_ended"];
    assert!(ended.as_str().is_some_and(|status| status.contains('7')), "{ended}");
}

#[test]
fn ports_that_a_storm_lacks_are_named_before_anything_is_opened() {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let ends: Vec<u32> = range.split_whitespace().map(|end| end.parse().unwrap()).collect();
    let more_than_half = ((ends[1] - ends[0]) / 2 + 2).to_string();
    // Nothing listens there: had it been tried, that would be the error.
    let refused = finished(&["ws://127.0.0.1:1/", "-n", &more_than_half, "--storm"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    // Descriptors may be fewer still.
    let named = refused.stderr.contains("local ports, since") || refused.stderr.contains("file descriptors");
    assert!(named && !refused.stderr.contains("refused"), "{}", refused.stderr);
}

fn failed_times(failures: &serde_json::Value) -> u64 {
    failures.as_object().unwrap().values().map(|times| times.as_u64().unwrap()).sum()
}

#[test]
fn pings_are_answered_on_every_connection() {
    let report = trickling(&["-n", "20", "--hold", "600ms", "--ping", "100ms", "--trickle", "100ms"]);
    assert_valid(&report.0);
    assert_eq!(report.number("/hold/pings/every_seconds"), 0.1);
    let [sent, answered, round_trips] =
        ["sent", "answered", "round_trip/count"].map(|name| report.number(&format!("/hold/pings/{name}")));
    // One is due every 5 ms; how many a busy machine does not come to send is not known.
    assert!((20.0..=120.0).contains(&sent), "{sent}");
    assert_eq!((answered, round_trips), (sent, sent));
    assert_eq!(report.number("/hold/trickle/messages/verified"), 120.0);
    let refused = finished(&["--server", "--listen tcp://127.0.0.1:0", "-n", "2", "--ping", "1s"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("--ping: "), "{}", refused.stderr);
}

#[test]
fn pings_that_are_not_answered_fail_it_by_cause() {
    let url = server(|n, payload, _| match n {
        // The next one's Pong answers this one too.
        0 => Vec::new(),
        1 => [frame(OpCode::Pong, b"hello"), frame(OpCode::Pong, &payload)].concat(),
        _ => frame(OpCode::Close, &1000u16.to_be_bytes()),
    });
    let report = held(&[&url, "-n", "2", "--steps", "1", "--hold", "3s", "--ping", "300ms"], 1);
    assert_valid(&report.0);
    let count = |name: &str| report.number(&format!("/hold/pings/{name}"));
    assert_eq!(["answered", "passed_over", "unsolicited"].map(count), [2.0; 3]);
    assert!(count("unanswered") >= 2.0);
    assert_eq!(count("sent"), count("answered") + count("passed_over") + count("unanswered"));
    let failures = report.0["hold"]["pings"]["failures"].as_object().unwrap();
    assert!(failures.keys().all(|why| why.contains("lost before a Pong came")), "{failures:?}");
    let text = finished(&["-n", "4", "--hold", "200ms", "--ping", "50ms", "--threshold", "ping.p50<10s"]);
    assert!(text.stdout.contains("with a Ping every 50.0 ms on each") && text.stdout.contains("Ping to Pong"));
}
