//! The real program holding connections: steps, memory, trickle, churn, storm, closing, limits, and servers that do wrong.

mod benchfmt;
mod binary;
#[path = "connections/disturbed.rs"]
mod disturbed;
#[path = "connections/memory.rs"]
mod memory;
#[path = "faults/servers.rs"]
#[allow(dead_code, reason = "the tests of faults use the rest")]
mod servers;

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use benchfmt::benchmarks;
use binary::{EmbeddedServer, Finished, Json, assert_formats, converted, loadgen};
use loadgen::plan::{Pacing, Plan};
use loadgen::program::cli::{Holding, Invocation, parse};
use rustix::process::Signal;
use servers::{echo, server};

/// Holds connections with these flags and expects this exit code; the report.
fn held(flags: &[&str], code: i32) -> Json {
    loadgen(&[&["connections", "-q", "--format", "json"], flags].concat()).json(&[code])
}

/// Holds connections with a trickle and these flags; a machine that is too busy for its rate makes it 98.
fn trickling(flags: &[&str]) -> Json {
    loadgen(&[&["connections", "-q", "--format", "json"], flags].concat()).json(&[0, 98])
}

fn finished(flags: &[&str]) -> Finished {
    loadgen(&[&["connections", "-q"], flags].concat()).wait()
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("fathom-connections-{}-{name}", std::process::id()))
}

#[track_caller]
fn assert_valid(document: &serde_json::Value) {
    let schema = serde_json::from_str(include_str!("../schema/connections-v1.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

fn array(report: &Json, pointer: &str) -> Vec<serde_json::Value> {
    report.0.pointer(pointer).and_then(|value| value.as_array().cloned()).unwrap_or_else(|| panic!("no {pointer}"))
}

#[test]
fn connections_are_opened_in_steps_and_held() {
    let report = held(&["--connections", "120", "--steps", "6", "--hold", "400ms"], 0);
    assert_valid(&report.0);
    let counts = ["requested", "established", "failed", "dropped"];
    assert_eq!(counts.map(|count| report.number(&format!("/connections/{count}"))), [120.0, 120.0, 0.0, 0.0]);
    let steps = array(&report, "/memory/steps");
    let connections: Vec<_> = steps.iter().map(|step| step["connections"].as_u64().unwrap()).collect();
    assert_eq!(connections, [20, 40, 60, 80, 100, 120]);
    assert!(steps.iter().all(|step| step["user_bytes"].as_u64().is_some_and(|bytes| bytes > 0)), "{steps:?}");
    for of in ["user_bytes_per_connection", "kernel_bytes_per_connection"] {
        let [low, estimate, high] =
            ["low", "estimate", "high"].map(|end| report.number(&format!("/memory/{of}/{end}")));
        assert!(low <= estimate && estimate <= high, "{of}: {low} {estimate} {high}");
    }
    assert_eq!(report.0["memory"]["kernel_has_both_ends"], true);
    assert!(report.number("/hold/seconds") >= 0.4);
    assert_eq!(report.0.pointer("/hold/trickle"), Some(&serde_json::Value::Null));
    for part in ["handshake", "tcp", "upgrade"] {
        assert_eq!(report.number(&format!("/{part}/count")), 120.0);
    }
    // The parts are of the same connections: neither is longer than the whole.
    assert!(report.number("/tcp/mean") + report.number("/upgrade/mean") <= report.number("/handshake/mean") * 1.01);
}

#[test]
fn too_few_steps_have_no_interval() {
    let report = held(&["-n", "40", "--steps", "4", "--hold", "100ms"], 0);
    assert_eq!(report.0["memory"]["user_bytes_per_connection"], serde_json::Value::Null);
    assert_eq!(array(&report, "/memory/steps").len(), 4);
}

#[test]
fn a_trickle_is_verified_on_every_connection() {
    let flags = ["-n", "30", "--hold", "1s", "--trickle", "250ms", "--seed", "3"];
    let report = trickling(&flags);
    assert_eq!(report.number("/hold/trickle/every_seconds"), 0.25);
    let [sent, verified] = ["sent", "verified"].map(|name| report.number(&format!("/hold/trickle/messages/{name}")));
    assert_eq!((sent, verified), (120.0, 120.0));
    let digest = |report: &Json| report.0["environment"]["payload_sha256"].clone();
    assert_ne!(digest(&report), digest(&trickling(&["-n", "1", "--hold", "1ms", "--trickle", "1s", "--seed", "4"])));
}

#[test]
fn churn_comes_and_goes_beside_the_held() {
    let report = trickling(&["-n", "20", "--hold", "1s", "--trickle", "50ms", "--churn", "40"]);
    assert_valid(&report.0);
    assert_eq!(report.number("/churn/asked_per_second"), 40.0);
    let opened = report.number("/churn/opened");
    // In each of four turns one more may have begun than the time makes of the rate.
    let most = 40.0 * report.number("/elapsed_seconds") + 4.0;
    assert!(opened > 0.0 && opened + report.number("/churn/skipped") <= most, "{opened}");
    assert_eq!((report.number("/churn/failed"), report.number("/churn/handshake/count")), (0.0, opened));
    assert!(report.number("/churn/without/count") > 0.0 && report.number("/churn/with/count") > 0.0);
    assert_eq!(report.number("/connections/dropped"), 0.0, "the held ones stay");
}

#[test]
fn all_come_back_after_a_storm_at_once_or_each_at_its_moment() {
    let at_once = held(&["-n", "50", "--hold", "50ms", "--storm"], 0);
    let jittered = held(&["-n", "50", "--hold", "50ms", "--storm", "--jitter", "2s"], 0);
    for report in [&at_once, &jittered] {
        assert_valid(&report.0);
        let counts = ["dropped", "back", "failed"].map(|count| report.number(&format!("/storm/{count}")));
        assert_eq!(counts, [50.0, 50.0, 0.0]);
        let all = report.number("/storm/all_back_seconds");
        assert!((all * 1e9 / report.number("/storm/wait/max") - 1.0).abs() < 0.01, "the worst wait ends it: {all}");
    }
    assert_eq!(at_once.0["storm"]["jitter_seconds"], serde_json::Value::Null);
    // The last of 50 moments within 2 s lies in the first quarter of it with a probability of 1e-30.
    assert!(jittered.number("/storm/all_back_seconds") > 0.5);
}

#[test]
fn they_are_closed_at_the_rate_asked_for() {
    let report = held(&["-n", "20", "--hold", "50ms", "--close-rate", "40"], 0);
    assert_eq!(report.number("/closing/per_second"), 40.0);
    // The last of 20 is due after 19/40 s.
    assert!(report.number("/closing/seconds") >= 0.475);
    assert_eq!(report.0["memory"]["after"]["connections"], 0);
}

#[test]
fn limits_are_kept_crossed_or_not_known() {
    let with = |threshold: &str, code| held(&["-n", "20", "--hold", "50ms", "--threshold", threshold], code);
    assert_eq!(with("connections.failed==0", 0).0["thresholds"][0]["outcome"], "met");
    assert_eq!(with("handshake.p50<1ns", 99).0["thresholds"][0]["outcome"], "crossed");
    // A p99.9 needs 1,000 connections.
    assert_eq!(with("upgrade.p99.9<1s", 98).0["thresholds"][0]["outcome"], "unknown");
    for (flags, expected) in [
        (&["--threshold", "latency.p99<5ms"][..], "needs --trickle"),
        (&["--threshold", "storm.time<5s"], "needs --storm"),
        (&["--threshold", "churn.with.p99<5ms"], "needs --churn"),
        (&["--threshold", "throughput>5"], "is no metric"),
        (&["--churn", "5"], "--trickle"),
        (&["--threshold", "pings.unanswered<5"], "needs --ping"),
        (&["--retry-time", "5s"], "--storm"),
        (&["--retry-delay", "5s"], "--storm"),
        (&["--jitter", "5s"], "--storm"),
        (&["--storm", "--jitter", "12s", "--retry-time", "2s"], "longer than --retry-time"),
    ] {
        let refused = finished(flags);
        assert_eq!(refused.code, Some(2), "{flags:?}");
        assert!(refused.stderr.contains(expected), "{flags:?}: {}", refused.stderr);
    }
}

#[test]
fn a_saved_report_is_read_back_in_every_format_but_one() {
    let saved = file("saved.json");
    let path = saved.to_str().unwrap();
    let flags = ["-n", "20", "--hold", "200ms", "--trickle", "50ms", "--storm", "--threshold", "errors==0"];
    let text = finished(&[&flags[..], &["--output", path]].concat());
    assert!(matches!(text.code, Some(0 | 98)), "{}", text.stderr);
    assert!(text.stdout.starts_with("connections: 20 connections asked for, opened in 8 steps"), "{}", text.stdout);
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 80 || line.contains("ws://")), "{}", text.stdout);
    assert_eq!(converted(path, "text").stdout.trim_end(), text.stdout.trim_end());
    let formats = [
        ("json", "fathom/connections/v1"),
        ("markdown", "### Connections: "),
        ("html", "<h1>Connections</h1>"),
        ("csv", "connections.established,count,20,,"),
        ("junit", "every connection opened and held"),
        ("benchfmt", "BenchmarkConnections/connections=20\t20\t"),
        ("bmf", "\"storm-time\""),
        ("openmetrics", "fathom_connections_figure{metric=\"connections.established\",unit=\"count\"} 20"),
    ];
    assert_formats(path, &formats, ("smaller-is-better.json", "connections: handshake.max"));
    let lines = benchmarks(&converted(path, "benchfmt").stdout);
    assert_eq!((lines.results.len(), lines.configuration.is_empty(), lines.units.is_empty()), (1, false, false));
    fs::remove_file(&saved).unwrap();
}

#[test]
fn a_server_that_dies_half_way_ends_it_with_the_cause() {
    let server = EmbeddedServer::start(&[]);
    let before = server.sockets();
    let run = loadgen(&["connections", &server.url, "-n", "40", "--hold", "600s", "--format", "json", "-q"]);
    server.wait_for_sockets(before, 40);
    server.signal(Signal::KILL);
    let report = run.json(&[1]);
    assert_valid(&report.0);
    assert_eq!(report.number("/connections/established"), report.number("/connections/dropped"));
    assert!(!report.0["failures"].as_object().unwrap().is_empty());
}

#[test]
fn a_server_that_answers_wrongly_fails_it() {
    let url = server(|n, mut payload, _| {
        payload[5] ^= u8::from(n == 1);
        echo(&payload)
    });
    let report = held(&[&url, "-n", "4", "--steps", "2", "--hold", "500ms", "--trickle", "100ms"], 1);
    assert_eq!(report.number("/hold/trickle/messages/corrupted"), 4.0);
}

#[test]
fn replies_that_are_wrong_during_churn_are_named() {
    let url = server(|n, mut payload, _| {
        payload[5] ^= u8::from(n >= 1);
        echo(&payload)
    });
    let flags = [&url, "-n", "2", "--steps", "1", "--hold", "500ms", "--trickle", "100ms", "--churn", "5"];
    let report = held(&flags, 1);
    assert!(report.number("/churn/wrong_messages") > 0.0);
    assert!(report.0["churn"]["failures"].to_string().contains("held connection"), "{}", report.0["churn"]["failures"]);
    let text = loadgen::report::formats::text::connections(&serde_json::from_value(report.0).unwrap());
    assert!(text.contains("of the others lost or answered wrongly"), "{text}");
}

#[test]
fn a_server_that_dies_while_they_are_closed_fails_it_and_ends_it() {
    let began = std::time::Instant::now();
    let program = env!("CARGO_BIN_EXE_loadgen");
    let mortal =
        format!("sh -c 'timeout -s KILL 10 {program} embedded-server --listen 127.0.0.1:$1; exit 7' - {{port}}");
    let flags = ["--server", &mortal, "-n", "10", "--steps", "2", "--hold", "100ms", "--close-rate", "0.01"];
    let report = held(&flags, 1);
    assert_valid(&report.0);
    assert!(
        report.0["server_ended"].as_str().is_some_and(|status| status.contains('7')),
        "{}",
        report.0["server_ended"]
    );
    // The last of them would be closed after 15 minutes.
    assert!(began.elapsed() < std::time::Duration::from_secs(300), "{:?}", began.elapsed());
}

#[test]
fn a_limit_on_failures_takes_the_place_of_junits_rule_too() {
    let saved = file("limited.json");
    let path = saved.to_str().unwrap();
    let flags = ["--server", "--max-connections 30", "-n", "50", "--steps", "5", "--hold", "50ms", "--output", path];
    assert_eq!(finished(&flags).code, Some(1));
    let failed = converted(path, "junit").stdout;
    assert!(failed.contains("<failure"), "{failed}");
    let allowed = finished(&[&flags[..], &["--threshold", "connections.failed<25"]].concat());
    assert_eq!(allowed.code, Some(0), "{}", allowed.stderr);
    let allowed = converted(path, "junit").stdout;
    assert!(!allowed.contains("<failure") && allowed.contains("<skipped"), "{allowed}");
    fs::remove_file(&saved).unwrap();
}

#[test]
fn a_server_that_dies_while_they_are_opened_ends_it() {
    let server = EmbeddedServer::start(&[]);
    let before = server.sockets();
    let run = loadgen(&["connections", &server.url, "-n", "1000", "--connect-rate", "50", "--format", "json", "-q"]);
    server.wait_for_sockets(before, 20);
    server.signal(Signal::KILL);
    let report = run.json(&[1]);
    assert_valid(&report.0);
    let [requested, established, failed, dropped] =
        ["requested", "established", "failed", "dropped"].map(|count| report.number(&format!("/connections/{count}")));
    assert_eq!((requested, established + failed, dropped), (1000.0, 1000.0, established));
    assert_eq!(report.0["hold"], serde_json::Value::Null);
}

#[test]
fn an_interruption_keeps_what_was_found() {
    let server = EmbeddedServer::start(&[]);
    let before = server.sockets();
    let run = loadgen(&["connections", &server.url, "-n", "40", "--hold", "600s", "--format", "json", "-q"]);
    server.wait_for_sockets(before, 40);
    run.signal(Signal::INT);
    let report = run.json(&[130]);
    assert_valid(&report.0);
    assert_eq!((report.0["interrupted"].clone(), report.number("/connections/failed")), (true.into(), 0.0));
    // The server has all of them when loadgen does not know of the last handshakes yet.
    let established = report.number("/connections/established");
    assert!((24.0..=40.0).contains(&established), "{established}");
}

#[test]
fn a_server_that_refuses_or_never_answers_ends_it_with_the_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let flags = ["-n", "20", "--hold", "600s", "--connect-timeout", "300ms"];
    let silent = finished(&[&[url.as_str()][..], &flags].concat());
    assert_eq!(silent.code, Some(1), "{}", silent.stderr);
    assert!(silent.stderr.contains("sent nothing within 300ms"), "{}", silent.stderr);
    drop(listener);
    let refused = finished(&[&[url.as_str()][..], &flags].concat());
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("none of") && refused.stderr.contains("refused"), "{}", refused.stderr);
}

#[test]
fn some_connections_that_fail_are_counted_by_their_cause() {
    let report = held(&["--server", "--max-connections 30", "-n", "50", "--steps", "5", "--hold", "50ms"], 1);
    let counts = ["established", "failed"].map(|count| report.number(&format!("/connections/{count}")));
    assert_eq!(counts, [30.0, 20.0]);
    let failures = report.0["failures"].as_object().unwrap();
    assert!(failures.keys().any(|why| why.contains("503")), "{failures:?}");
    // A limit on them takes the place of the rule that none may fail.
    let allowed =
        ["--server", "--max-connections 30", "-n", "50", "--hold", "50ms", "--threshold", "connections.failed<25"];
    assert_eq!(held(&allowed, 0).0["thresholds"][0]["outcome"], "met");
}

#[test]
fn the_server_s_own_limit_is_named_before_anything_is_opened() {
    let program = env!("CARGO_BIN_EXE_loadgen");
    let server = format!("sh -c 'ulimit -n 60; exec {program} embedded-server --listen 127.0.0.1:$1' - {{port}}");
    let refused = finished(&["--server", &server, "-n", "100", "--hold", "50ms"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    for words in ["100 connections need", "in the server's process", "may have 60", "ulimit -n"] {
        assert!(refused.stderr.contains(words), "{words} is missing in: {}", refused.stderr);
    }
}

#[test]
fn connections_are_opened_as_a_run_opens_its_own() {
    let invoke = |arguments: &[&str]| {
        parse(["loadgen"].iter().chain(arguments).map(OsString::from), NonZeroUsize::new(3).unwrap()).unwrap()
    };
    let run = |flags: &[&str]| match invoke(&[&["run", "wss://h/"], flags].concat()) {
        Invocation::Run { plan, .. } => plan,
        other => panic!("{flags:?} gave {other:?}"),
    };
    let held = |flags: &[&str]| -> Plan {
        match invoke(&[&["connections", "wss://h/"], flags].concat()) {
            Invocation::Connections(holding) => {
                let Holding { experiment, .. } = *holding;
                experiment.plan
            }
            other => panic!("{flags:?} gave {other:?}"),
        }
    };
    let plain = run(&[]).connect;
    let flags: [&[&str]; 17] = [
        &["--connect-rate", "9"],
        &["--connect-timeout", "3s"],
        &["-H", "X-A: b"],
        &["--subprotocol", "chat"],
        &["--tcp-nodelay", "off"],
        &["--source-ip", "127.0.0.2"],
        &["--permessage-deflate"],
        &["--permessage-deflate=prefer", "--deflate-level", "9", "--deflate-memory", "1"],
        &["--permessage-deflate", "--deflate-threshold", "9", "--deflate-window-bits", "9"],
        &["--permessage-deflate", "--deflate-context-takeover", "both"],
        &["--cacert", "x"],
        &["--insecure"],
        &["--tls-server-name", "x"],
        &["--tls-resume", "on"],
        &["--client-cert", "x", "--client-key", "y"],
        &["--tls-versions", "1.3"],
        &["--proxy", "http://127.0.0.1:1"],
    ];
    for flags in flags {
        assert_ne!(run(flags).connect, plain, "{flags:?} is not ignored");
        assert_eq!(held(flags).connect, run(flags).connect, "{flags:?}");
    }
    assert_eq!(held(&["--threads", "2"]).threads, NonZeroUsize::new(2).unwrap());
    assert_eq!((held(&[]).pacing, held(&["--pacing", "spin"]).pacing), (Pacing::Auto, Pacing::Spin));
}

#[test]
fn connections_are_opened_no_faster_than_asked_for_and_from_several_addresses() {
    let report = held(
        &["-n", "40", "--connect-rate", "80", "--source-ip", "127.0.0.2", "--source-ip", "127.0.0.3", "--hold", "50ms"],
        0,
    );
    assert_eq!(report.number("/opening/asked_per_second"), 80.0);
    // Each of 8 steps of 5 has its last connection due after 4/80 s.
    assert!(report.number("/opening/seconds") >= 8.0 * 0.05 * 0.99);
}
