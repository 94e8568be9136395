//! The heart of the matter: a server that stalls is charged with every message that should have been sent meanwhile.

mod binary;

use std::time::{Duration, Instant};

use binary::{EmbeddedServer, Json, loadgen};
use hdrhistogram::Histogram;
use rustix::process::Signal;

/// Messages per second, over 20 connections.
const RATE: f64 = 2000.0;

/// How often a stall is measured at the most.
const ATTEMPTS: usize = 6;

/// How long the server is stopped.
const STALL: Duration = Duration::from_millis(500);

/// Runs `arguments` against a server that is stopped for [`STALL`] in the middle; returns the report and how long the stall
/// was at the least, in ns.
fn measure_a_stall(arguments: &[&str]) -> (Json, f64) {
    let server = EmbeddedServer::start(&[]);
    let before = server.sockets();
    let common = ["run", &server.url, "--connections", "20", "--warmup", "500ms", "--duration", "4s"];
    let run = loadgen(&[&common[..], arguments, &["--format", "json"]].concat());
    // Half a second of warm-up and a second of measuring later.
    server.wait_for_sockets(before, 20);
    std::thread::sleep(Duration::from_millis(1500));
    server.stop();
    let stopped = Instant::now();
    std::thread::sleep(STALL);
    // It may have been longer by now, and not shorter.
    let stall = stopped.elapsed();
    server.signal(Signal::CONT);
    (run.json(&[0, 98]), stall.as_nanos() as f64)
}

/// Values in `histogram` above `ns`.
fn above(histogram: &Histogram<u64>, ns: f64) -> f64 {
    histogram.len() as f64 - histogram.count_between(0, ns as u64) as f64
}

#[test]
fn an_open_loop_charges_a_stall_to_every_message_due_in_it() {
    // What else the machine does can only add to the latencies: that no message is charged with less holds whatever it does,
    // that none is charged with more holds where it leaves the two programs alone. So that is tried a few times.
    let is_left_alone = |attempt: usize| {
        let added = added_to_a_stall();
        eprintln!("attempt {attempt}: up to {:.1}% more than in theory", added * 100.0);
        added <= 0.05
    };
    assert!((1..=ATTEMPTS).any(is_left_alone), "more than 5% above what is due in every attempt");
}

/// Measures a stall in an open loop, in which no latency may fall short of what is due to it; returns by how much they
/// exceed it, as a share.
fn added_to_a_stall() -> f64 {
    let (report, stall) = measure_a_stall(&["--rate", &RATE.to_string()]);
    assert_eq!(report.number("/messages/sent"), 4.0 * RATE);
    assert_eq!(report.number("/messages/verified"), 4.0 * RATE);
    let latency = report.histogram("/latency");
    assert_eq!(latency.len() as f64, 4.0 * RATE);
    let all = RATE / 1e9 * stall;
    // The messages due in the stall wait 0 to `stall` ns, uniformly: RATE * (stall - x) of them wait longer than x.
    let counts = [0.1, 0.25, 0.5, 0.75, 0.9].map(|share| {
        let (counted, expected) = (above(&latency, stall * share), all * (1.0 - share));
        assert!(counted >= expected - 0.01 * all, "above {share}: {counted}, in theory {expected}");
        (counted - expected) / all
    });
    // A share s of all messages falls into the stall; of those, 1% / s wait for longer than the 99th percentile.
    let stalled = stall / 4e9;
    let percentiles = [(0.99, "p99"), (0.999, "p99_9")].map(|(quantile, name)| {
        let expected = stall * (1.0 - (1.0 - quantile) / stalled);
        let measured = report.number(&format!("/latency/{name}"));
        assert!(measured >= 0.99 * expected, "{name}: {measured} ns, in theory {expected} ns");
        measured / expected - 1.0
    });
    counts.into_iter().chain(percentiles).fold(0.0, f64::max)
}

#[test]
fn a_closed_loop_hides_it_behind_one_message_per_connection() {
    // A machine that stands still besides has more of them wait, or fewer.
    let is_hidden = |_| {
        let (report, stall) = measure_a_stall(&[]);
        let waited = above(&report.histogram("/latency"), stall * 0.9);
        // Of over 4,000 messages 20 are less than 1%.
        waited == 20.0 && report.number("/messages/sent") > 4000.0 && report.number("/latency/p99") < stall * 0.5
    };
    assert!((1..=ATTEMPTS).any(is_hidden), "more or fewer than one message per connection saw the stall every time");
}

#[test]
fn a_server_that_stands_still_between_its_trials_passes_no_gate() {
    let stall = "--inject-stall 200ms/250ms";
    let gate = ["--gate", "throughput", "--fail-on-regression", "25%", "--max-time", "12s", "--restart-every", "20"];
    let compare = ["compare", "--a", "", "--b", stall, "-c", "4", "--seed", "1", "--format", "json", "-q"];
    // By typical trials, or by all of them together: between pauses it is as fast as ever.
    let report = loadgen(&[&compare[..], &gate].concat()).json(&[98, 99]);
    let starts = report.0["starts"].as_array().unwrap();
    let waited = starts.iter().flat_map(|start| start["pairs"].as_array().unwrap());
    let waited = waited.map(|pair| pair["time"]["b_waited"].as_f64().unwrap());
    let all: f64 = waited.sum();
    assert!(all > 1.0, "it stood still for most of the time and was waited for {all} s");
}

#[test]
fn a_sweep_says_what_pauses_take_where_its_effects_do_not_tell() {
    let vary = ["sweep", "--vary", "inject-stall=none,200ms/250ms", "--gate", "throughput", "-c", "4"];
    let brief = ["--max-time", "12s", "--restart-every", "3", "--force", "--seed", "1", "--format", "json", "-q"];
    let report = loadgen(&[&vary[..], &brief].concat()).json(&[0, 98]);
    let notes = report.0["trust"]["notes"].as_array().unwrap();
    let said = |note: &&str| note.starts_with("throughput of inject-stall=200ms/250ms in all trials together");
    let note = notes.iter().filter_map(|note| note.as_str()).find(said).unwrap_or_else(|| panic!("{notes:?}"));
    let change: f64 = note.split("changed by ").nth(1).unwrap().split('%').next().unwrap().parse().unwrap();
    // It answers for a fifth of the time.
    assert!((-90.0..-50.0).contains(&change), "{note}");
}
