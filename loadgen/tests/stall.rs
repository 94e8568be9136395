//! The heart of the matter: a server that stalls is charged with every message that should have been sent meanwhile.

mod binary;

use std::time::{Duration, Instant};

use binary::{EmbeddedServer, Json, loadgen};
use hdrhistogram::Histogram;
use rustix::process::Signal;

/// Messages per second, over 20 connections.
const RATE: f64 = 2000.0;

/// How long the server is stopped.
const STALL: Duration = Duration::from_millis(500);

/// Runs `arguments` against a server that is stopped for [`STALL`] in the middle; returns the report and the real
/// length of the stall in ns.
fn measure_a_stall(arguments: &[&str]) -> (Json, f64) {
    let server = EmbeddedServer::start(&[]);
    let common = ["run", &server.url, "--connections", "20", "--warmup", "500ms", "--duration", "4s"];
    let run = loadgen(&[&common[..], arguments, &["--format", "json"]].concat());
    // Half a second of warm-up and a second of measuring later, give or take a slow start.
    std::thread::sleep(Duration::from_millis(1700));
    server.stop();
    let stopped = Instant::now();
    std::thread::sleep(STALL);
    server.signal(Signal::CONT);
    let stall = stopped.elapsed();
    (run.json(&[0, 98]), stall.as_nanos() as f64)
}

/// Values in `histogram` above `ns`.
fn above(histogram: &Histogram<u64>, ns: f64) -> f64 {
    histogram.len() as f64 - histogram.count_between(0, ns as u64) as f64
}

#[test]
fn an_open_loop_charges_a_stall_to_every_message_due_in_it() {
    let (report, stall) = measure_a_stall(&["--rate", &RATE.to_string()]);
    assert_eq!(report.number("/messages/sent"), 4.0 * RATE);
    assert_eq!(report.number("/messages/verified"), 4.0 * RATE);
    let latency = report.histogram("/latency");
    assert_eq!(latency.len() as f64, 4.0 * RATE);
    // The messages due in the stall wait 0 to `stall` ns, uniformly: RATE * (stall - x) of them wait longer than x.
    for share in [0.1, 0.25, 0.5, 0.75, 0.9] {
        let expected = RATE / 1e9 * stall * (1.0 - share);
        let counted = above(&latency, stall * share);
        assert!(
            (counted - expected).abs() <= 0.05 * RATE / 1e9 * stall,
            "above {share}: {counted}, in theory {expected}"
        );
    }
    // A share s of all messages falls into the stall; of those, 1% / s wait for longer than the 99th percentile.
    let stalled = stall / 4e9;
    for (quantile, name) in [(0.99, "p99"), (0.999, "p99_9")] {
        let expected = stall * (1.0 - (1.0 - quantile) / stalled);
        let measured = report.number(&format!("/latency/{name}"));
        assert!((measured / expected - 1.0).abs() < 0.05, "{name}: {measured} ns, in theory {expected} ns");
    }
}

#[test]
fn a_closed_loop_hides_it_behind_one_message_per_connection() {
    let (report, stall) = measure_a_stall(&[]);
    let waited = above(&report.histogram("/latency"), stall * 0.9);
    assert_eq!(waited, 20.0, "one message per connection sees the stall");
    assert!(report.number("/messages/sent") > 4000.0, "so that its 99th percentile is none of them");
    assert!(report.number("/latency/p99") < stall * 0.1);
}
