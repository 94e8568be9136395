//! The real program comparing servers: verdicts, exit codes, refusals, and a report that is what its schema says. What is
//! compared differs by so much, or so little, that no machine is too noisy to tell.

mod binary;
#[path = "faults/servers.rs"]
mod servers;

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use binary::{Finished, assert_valid, comparison, loadgen};
use loadgen::judge::statistics::Change;
use loadgen::measure::metric::Metric;
use loadgen::report::comparison::{Comparison, Ended};
use loadgen::report::formats::Format;
use loadgen::report::saved::Document;
use rustix::process::Signal;
use serde_json::{Value, json};
use servers::{echo, server};

/// A start has one pair, and a fifth of the verdicts may be wrong: 5 starts are enough for one.
const BRIEF: [&str; 10] =
    ["compare", "-c", "4", "--restart-every", "1", "--alpha", "20%", "--gate", "server-cpu", "-q"];

/// Two servers that are the same, with so much tolerance that this is soon decided.
const TO_ITSELF: [&str; 15] = [
    "compare",
    "--a",
    "",
    "--b",
    "",
    "-c",
    "4",
    "--alpha",
    "20%",
    "--tolerance",
    "95%",
    "--force",
    "-q",
    "--format",
    "json",
];

/// 100 us for each message, several times what one costs otherwise.
const SLOW: &str = "--inject-cost 100000";

fn compare(flags: &[&str]) -> Finished {
    loadgen(&[&BRIEF[..], flags].concat()).wait()
}

#[test]
fn a_slower_server_has_regressed_and_fails_the_command_if_asked_to() {
    let flags = ["--a", "", "--b", SLOW, "--max-time", "20s", "--format", "json"];
    let report = comparison(&compare(&[&flags[..], &["--fail-on-regression", "10%"]].concat()), 99);
    assert_eq!((report.change, report.ended), (Change::Regressed, Ended::Decided));
    assert_valid(&json!(report));
    let metric = &report.metrics[0];
    assert_eq!((metric.metric, metric.gated, report.rules.tolerance), (Metric::ServerCpu, true, 0.1));
    let ruling = metric.ruling.unwrap();
    assert!(ruling.low.unwrap() > 0.1 && ruling.p_value <= ruling.level, "{ruling:?}");
    let last = report.starts.last().unwrap().at_seconds;
    assert!(last <= ruling.at_seconds, "decided after {} s, and another start at {last} s", ruling.at_seconds);
    // Until this look the alpha of 1% that is the default would have had so much less to spend.
    let part = ruling.at_seconds / report.rules.max_time_seconds;
    assert!(ruling.level > 0.01 * part.powi(3), "{ruling:?}");
    assert!(metric.b.median - metric.a.median > 50_000.0, "{metric:?}");
    assert!(report.metrics.iter().any(|metric| metric.metric == Metric::Throughput && metric.ruling.is_none()));
    assert_eq!(report.b.messages.lost + report.b.messages.corrupted, 0);
    assert_eq!(report.b.server_config.as_ref().unwrap()["echo"]["inject_cost"], 100_000);
    assert!(metric.log_ratios.len() <= report.starts.len(), "one for each start that had a reply from both");
    assert!(report.starts.iter().all(|start| start.pairs.len() == 1));

    let report = comparison(&compare(&flags), 0);
    assert_eq!(report.change, Change::Regressed, "it is said, but nobody asked for an exit code");
    let shown = report.metrics[0].shown.unwrap();
    let ruling = report.metrics[0].ruling.unwrap();
    assert_eq!((shown.low, shown.high, shown.error), (ruling.low, ruling.high, ruling.level), "one interval");
    assert!((shown.b / shown.a - 1.0 - shown.change).abs() < 1e-9, "{shown:?}");
    assert!(shown.low.unwrap() <= shown.change && shown.change <= shown.high.unwrap(), "{shown:?}");
}

#[test]
fn a_faster_server_has_improved() {
    let finished = compare(&["--a", SLOW, "--b", "", "--max-time", "20s", "--fail-on-regression", "0%"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for words in
        ["A  embedded server --inject-cost 100000", "improved: server.cpu", "is better than 0.00%", "errors      none"]
    {
        assert!(finished.stdout.contains(words), "{words} is missing in\n{}", finished.stdout);
    }
    assert!(finished.stdout.lines().all(|line| line.chars().count() <= 80), "{}", finished.stdout);
}

#[test]
fn a_server_is_equivalent_to_itself_and_the_noise_floor_is_told() {
    let finished = compare(&["--aa", "--tolerance", "95%", "--max-time", "4s"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for words in ["A/A: closed loop", "noise floor", "in 4.00 s this machine tells changes in 4 of 5 cases:"] {
        assert!(finished.stdout.contains(words), "{words} is missing in\n{}", finished.stdout);
    }
}

#[test]
fn too_few_starts_are_inconclusive_and_say_how_many_it_takes() {
    // One start, with trials in which even a busy machine has replies.
    let flags = ["--aa", "--max-time", "450ms", "--trial", "200ms", "--format", "json"];
    let report = comparison(&compare(&[&flags[..], &["--require-conclusive"]].concat()), 98);
    assert_eq!((report.change, report.ended, report.aa), (Change::Inconclusive, Ended::MaxTime, true));
    assert!(report.metrics[0].more_seconds.is_some_and(|more| more > 0.0), "{:?}", report.metrics[0]);
    assert_valid(&json!(report));
    assert!(!report.rules.allow_inconclusive);
    assert_eq!(comparison(&compare(&flags), 0).change, Change::Inconclusive);
    let gate = [&flags[..], &["--fail-on-regression", "5%"]].concat();
    assert_eq!(comparison(&compare(&gate), 98).change, Change::Inconclusive);
    let report = comparison(&compare(&[&gate[..], &["--allow-inconclusive"]].concat()), 0);
    assert_eq!((report.change, report.rules.allow_inconclusive), (Change::Inconclusive, true));
    // However many metrics are open, there is one time for all of them.
    let both = compare(&["--aa", "--max-time", "450ms", "--trial", "200ms", "--gate", "throughput"]).stdout;
    let open = [" inconclusive: 1 start is too few", "would tell"].map(|words| both.matches(words).count());
    assert_eq!(open, [2, 1], "{both}");
    let junit = |report| {
        let parts = Format::named("junit").unwrap().render(&Document::Comparison(Box::new(report))).unwrap();
        String::from_utf8(parts.into_iter().next().unwrap().content).unwrap()
    };
    assert!(junit(report.clone()).contains("<skipped message"), "{}", junit(report));
    let report = comparison(&compare(&gate), 98);
    assert!(junit(report.clone()).contains("type=\"inconclusive\""), "{}", junit(report));
}

#[test]
fn a_server_that_is_not_worse_passes_the_gate_by_the_tolerance_too() {
    let flags = ["--a", "", "--b", "", "--max-time", "20s", "--format", "json", "--tolerance", "90%"];
    let report = comparison(&compare(&[&flags[..], &["--fail-on-regression"]].concat()), 0);
    assert_eq!((report.change, report.rules.fail_on_regression, report.rules.tolerance), (Change::NotWorse, true, 0.9));
    assert_valid(&json!(report));
    let ruling = report.metrics[0].ruling.unwrap();
    assert!(ruling.high.unwrap() < 0.9, "{ruling:?}");
    // Whether it is better by so much is no matter, and takes no time: the lower end may lie anywhere.
    let faster = ["--a", SLOW, "--b", "", "--max-time", "20s", "--fail-on-regression", "10%", "--format", "json"];
    let report = comparison(&compare(&faster), 0);
    assert!(matches!(report.change, Change::Improved | Change::NotWorse), "{:?}", report.change);
}

#[test]
fn an_open_loop_compares_latencies() {
    let mut flags = vec!["compare", "--aa", "-c", "4", "--rate", "500", "--max-time", "2s", "--restart-every", "2"];
    flags.extend(["--format", "json", "-q"]);
    let finished = loadgen(&flags).wait();
    assert!(
        matches!(finished.code, Some(0 | 98)),
        "98 where this machine is too busy to be on time: {}",
        finished.stderr
    );
    let report: Comparison = serde_json::from_str(&finished.stdout).unwrap();
    let gated: Vec<Metric> = report.metrics.iter().filter(|metric| metric.gated).map(|metric| metric.metric).collect();
    assert_eq!(gated, [Metric::latency(50.0), Metric::latency(99.0), Metric::ServerCpu]);
    assert_eq!(finished.code == Some(0), report.trust.is_valid());
    assert_valid(&json!(report));
}

#[test]
fn any_statistic_of_an_open_loop_may_be_gated() {
    let mut flags = vec!["compare", "--aa", "-c", "4", "--rate", "500", "--max-time", "2s", "--restart-every", "2"];
    flags.extend(["--gate", "service_time.p80,latency.mean,peak-memory", "--format", "json", "-q"]);
    let finished = loadgen(&flags).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "98 where the generator was late: {}", finished.stderr);
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_valid(&report);
    let metrics = report["metrics"].as_array().unwrap();
    let gated: Vec<&str> = metrics
        .iter()
        .filter(|metric| metric["gated"] == true)
        .filter_map(|metric| metric["metric"].as_str())
        .collect();
    assert_eq!(gated, ["latency.mean", "service_time.p80", "peak-memory"]);
    assert!(metrics.iter().any(|metric| metric["metric"] == "latency-p99"), "whatever is gated: {metrics:?}");
    let trial = report["starts"][0]["pairs"][0]["a"].as_object().unwrap();
    for (low, high) in [("service_time.p80", "latency-p99"), ("latency-p50", "latency-p99")] {
        assert!(trial[low].as_f64() <= trial[high].as_f64(), "{trial:?}");
    }
    let read: Comparison = serde_json::from_value(report.clone()).unwrap();
    assert_eq!(json!(read)["metrics"], report["metrics"]);
    people_and_programs_see_their_names(read);
}

/// People see the names that flags have, programs those that they have always seen.
fn people_and_programs_see_their_names(comparison: Comparison) {
    let document = Document::Comparison(Box::new(comparison));
    for (format, names) in [
        ("text", ["server.cpu ", "server.memory "]),
        ("markdown", ["| server.cpu |", "| server.memory |"]),
        ("html", ["server.cpu</th>", "service_time.p80</th>"]),
        ("csv", [",server-cpu,ns/message,", ",service_time.p80,ns,"]),
        ("junit", ["name=\"peak-memory\"", "name=\"service_time.p80\""]),
        ("benchfmt", [" server-cpu-ns", " service-time.p80-ns"]),
        ("bmf", ["\"peak-memory-change\"", "\"service-time-p80-change\""]),
        ("github-action-benchmark", ["\"compare: peak-memory\"", "\"bytes\""]),
        (
            "openmetrics",
            ["{metric=\"peak-memory\",side=\"a\",unit=\"bytes\"}", "{metric=\"latency-p50\",side=\"b\",unit=\"ns\"}"],
        ),
    ] {
        let parts = Format::named(format).unwrap().render(&document).unwrap();
        let text = String::from_utf8(parts.into_iter().next().unwrap().content).unwrap();
        assert!(names.iter().all(|name| text.contains(name)), "{format} misses one of {names:?} in\n{text}");
    }
}

#[test]
fn a_server_by_its_url_is_compared_over_new_connections() {
    let server = binary::EmbeddedServer::start(&[]);
    let flags = ["--a", &server.url, "--b", SLOW, "--max-time", "20s", "--format", "json"];
    let report = comparison(&compare(&flags), 0);
    assert_eq!((report.change, report.a.target), (Change::Regressed, server.url.clone()));
}

#[test]
fn what_compression_saves_on_the_wire_may_be_gated_and_is_shown() {
    let load = ["--permessage-deflate=prefer", "--payload", "json", "--text", "--size", "500"];
    let judged =
        ["compare", "-c", "4", "--alpha", "20%", "--gate", "wire.bytes,wire.ratio", "-q", "--restart-every", "1"];
    let declined =
        ["--a", "--permessage-deflate on", "--b", "--permessage-deflate off", "--format", "json", "--max-time", "20s"];
    let report = comparison(&loadgen(&[&judged[..], &load, &declined].concat()).wait(), 0);
    assert_valid(&json!(report));
    let of = |metric: Metric| report.metrics.iter().find(|found| found.metric == metric).unwrap();
    let (bytes, ratio) = (of(Metric::WireBytes), of(Metric::WireRatio));
    assert_eq!([bytes, ratio].map(|found| found.ruling.unwrap().change), [Change::Regressed; 2], "{report:?}");
    // Nothing is compressed: two payloads, with headers of 8 and 4 bytes.
    assert_eq!((bytes.b.median, ratio.b.median), (1_012.0, 1.0));
    assert!(bytes.a.median < 900.0 && ratio.a.median < 0.9, "{bytes:?} {ratio:?}");
    let shown = compare(&[&load[..], &["--aa", "--max-time", "1s", "--trial", "100ms"]].concat()).stdout;
    assert!(shown.contains("wire.bytes") && shown.contains("wire.ratio"), "{shown}");
    let plain = compare(&["--aa", "--max-time", "1s", "--trial", "100ms"]).stdout;
    assert!(!plain.contains("wire."), "{plain}");
}

#[test]
fn an_interrupted_comparison_tells_what_it_has() {
    // Most of the time is that of starts. On a loaded machine there may be none to tell of after a moment.
    for seconds in [5, 20] {
        let run = loadgen(&[&BRIEF[..], &["--aa", "--max-time", "60s", "--format", "json"]].concat());
        std::thread::sleep(Duration::from_secs(seconds));
        run.signal(Signal::INT);
        let finished = run.wait();
        if !finished.stdout.is_empty() {
            assert_eq!(comparison(&finished, 130).ended, Ended::Interrupted);
            return;
        }
        assert_eq!(finished.code, Some(130), "{}", finished.stderr);
    }
    panic!("nothing was compared in 20 s");
}

#[test]
fn a_server_that_does_not_answer_is_not_compared() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", mute.local_addr().unwrap());
    for (b, words) in [
        ("ws://127.0.0.1:1/", "none of 4 connections to ws://127.0.0.1:1/"),
        (url.as_str(), "sent nothing within 2s"),
        ("sh -c 'exit 3' {port}", "ended before it was ready"),
        ("/no/such/program {port}", "No such file"),
    ] {
        let finished = compare(&["--a", "", "--b", b, "--connect-timeout", "2s"]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{b}");
        assert!(finished.stderr.contains(words), "{words} is missing in {}", finished.stderr);
    }
}

#[test]
fn refusals_name_the_flag_and_what_was_expected() {
    for (flags, words) in [
        (&["compare", "--a", ""][..], ["--b <SPEC>", "required"]),
        (&["compare", "--aa", "--b", ""], ["--aa", "--b"]),
        (&["compare", "--a", "./echo", "--b", ""], ["--a <SPEC>", "{port}"]),
        (&["compare", "--a", "", "--b", "--no-such-flag"], ["--b <SPEC>", "'--no-such-flag'"]),
        (&["compare", "--a", "--threads 0", "--b", ""], ["--a <SPEC>", "--threads"]),
        (&["compare", "--aa", "--tolerance", "2"], ["--tolerance", "2% or 0.5%"]),
        (&["compare", "--aa", "--alpha", "0%"], ["--alpha", "more than 0%"]),
        (&["compare", "--aa", "--fail-on-regression", "100%"], ["--fail-on-regression", "2% or 0.5%"]),
        (
            &["compare", "--aa", "--fail-on-regression", "1%", "--tolerance", "1%"],
            ["--fail-on-regression", "--tolerance"],
        ),
        (&["compare", "--aa", "--allow-inconclusive"], ["--fail-on-regression", "required"]),
        (
            &["compare", "--aa", "--fail-on-regression", "--allow-inconclusive", "--require-conclusive"],
            ["--allow-inconclusive", "--require-conclusive"],
        ),
        (&["compare", "--aa", "--gate", "speed"], ["--gate", "throughput"]),
        (&["compare", "--aa", "--gate", "latency-p99"], ["--gate latency.p99", "--rate"]),
        (&["compare", "--aa", "--gate", "throughput", "--rate", "9"], ["--gate throughput", "no --rate"]),
        (&["compare", "--aa", "--gate", "server-cpu,server.cpu"], ["--gate server.cpu", "twice"]),
        (&["compare", "--aa", "--gate", "send_lag.p99", "--rate", "9"], ["--gate send_lag.p99", "expected throughput"]),
        (
            &["compare", "--aa", "--gate", "connection.memory", "--connections", "49"],
            ["--gate connection.memory with --connections 49", "--connections 50"],
        ),
        (&["compare", "--aa", "--gate", "errors"], ["--gate errors", "expected throughput"]),
        (&["compare", "--aa", "--gate", "capacity"], ["--gate capacity: comparisons", "expected throughput"]),
        (&["compare", "--aa", "--gate", "p99"], ["'p99' is no metric; expected throughput", "wire.ratio"]),
        (
            &["compare", "--aa", "--gate", "throughput.p50"],
            ["'throughput.p50' is no metric; expected throughput, latency", "wire.bytes or wire.ratio\n"],
        ),
        (&["compare", "--aa", "--gate", "latency.p101"], ["'p101' is no statistic", "expected a percentile"]),
        (
            &["compare", "--aa", "--gate", "connection.memory", "--restart-every", "never"],
            ["--gate connection.memory with --restart-every never", "expected --restart-every auto"],
        ),
        (
            &["compare", "--a", "", "--b", "ws://127.0.0.1:1/", "--gate", "server.memory"],
            ["--gate server.memory of ws://127.0.0.1:1/", "expected a command"],
        ),
        // Two times 8 s, and 9 starts of that with a tenth more.
        (
            &["compare", "--aa", "--warmup", "8s", "--max-time", "5s"],
            ["--max-time 5s has no room for --warmup 8s of 2 servers", "expected --max-time 159s"],
        ),
        (&["compare", "--aa", "--warmup", "8s", "--max-time", "5s"], ["Usage: loadgen compare", "[OPTIONS]"]),
        // Once for each there is room, and not in nine starts.
        (
            &["compare", "--a", "", "--b", "", "--warmup", "4s"],
            ["--warmup 4s of 2 servers", "--max-time 80s or a shorter --warmup, or --force"],
        ),
        (&["compare", "--aa", "--restart-every", "0"], ["--restart-every", "'0'"]),
        (&["compare", "--aa", "--max-time", "2h"], ["--max-time", "at most 1h"]),
        (&["compare", "--aa", "--max-time", "9ms"], ["--max-time", "no room"]),
        (&["compare", "--aa", "--trial", "0s"], ["--trial", "more than nothing"]),
        (&["compare", "--aa", "-d", "9s"], ["-d", "unexpected"]),
    ] {
        let finished = loadgen(flags).wait();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{flags:?}");
        let said = &finished.stderr;
        assert!(words.iter().all(|word| said.contains(word)), "{flags:?} misses one of {words:?} in:\n{said}");
    }
}

#[test]
fn pairs_begin_as_far_from_each_other_as_trial_and_settle_say_and_as_many_share_a_start() {
    let tempo = ["--trial", "200ms", "--settle", "100ms", "--restart-every", "2", "--max-time", "6s"];
    let report = comparison(&loadgen(&[&TO_ITSELF[..], &tempo].concat()).wait(), 0);
    let rules = report.rules;
    assert_eq!((rules.trial_seconds, rules.settle_seconds, rules.restart_every), (0.2, 0.1, 2));
    assert_eq!((rules.alpha, rules.tolerance, rules.max_time_seconds), (0.2, 0.95, 6.0));
    assert_eq!(report.starts[0].pairs.len(), 2);
    for start in &report.starts {
        assert!(start.pairs.len() <= 2, "{start:?}");
        for pair in start.pairs.windows(2) {
            let between = pair[1].at_seconds - pair[0].at_seconds;
            assert!(between >= 0.599, "two trials of 200 ms with 100 ms before each, in {between} s");
        }
    }
}

#[test]
fn the_order_of_trials_is_the_seed_s() {
    let order = |seed: &str| {
        let tempo = ["--trial", "2ms", "--settle", "0s", "--restart-every", "20", "--max-time", "4s", "--seed", seed];
        let report = comparison(&loadgen(&[&TO_ITSELF[..], &tempo].concat()).wait(), 0);
        report.starts[0].pairs.iter().map(|pair| pair.first).collect::<Vec<_>>()
    };
    let one = order("1");
    assert_eq!(one.len(), 20);
    assert_eq!(order("1"), one);
    assert_ne!(order("2"), one);
}

#[test]
fn servers_whose_round_trips_are_not_short_against_a_trial_are_told_apart() {
    fn after(ms: u64, payload: &[u8]) -> Vec<u8> {
        thread::sleep(Duration::from_millis(ms));
        echo(payload)
    }
    // Each has one reply within a trial.
    let [a, b] = [server(|_, payload, _| after(55, &payload)), server(|_, payload, _| after(75, &payload))];
    let tempo = ["--trial", "100ms", "--restart-every", "1", "--max-time", "20s"];
    let rules = ["--alpha", "20%", "--gate", "throughput", "--format", "json"];
    let finished = loadgen(&[&["compare", "--a", &a, "--b", &b, "-c", "1"], &tempo[..], &rules].concat()).wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(report["change"], "regressed", "{report}");
    let change = report["metrics"][0]["estimate"]["change"].as_f64().unwrap();
    assert!((-0.4..-0.15).contains(&change), "a quarter less, not {change}");
    let too_short = ["compare", "--a", &a, "--b", &b, "-c", "1", "--trial", "5ms", "--restart-every", "1"];
    let finished = loadgen(&[&too_short[..], &["--max-time", "5s", "-q"]].concat()).wait();
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    assert!(
        finished.stderr.contains("no trial of A (5.00 ms long) and no trial of B (5.00 ms long)"),
        "{}",
        finished.stderr
    );
}
