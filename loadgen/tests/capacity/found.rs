//! What is found: a server of known speed, answers at both ends of the range, limits on the answer, what a need takes.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::binary::loadgen;
use crate::servers::{echo, server};
use crate::{assert_valid_by, capacity, finished, probes};

/// A message takes this server 2 ms, one after the other: it holds 500 messages a second.
fn five_hundred_a_second(_: usize, payload: Vec<u8>, _: &mut Vec<Vec<u8>>) -> Vec<u8> {
    static FREE_AT: Mutex<Option<Instant>> = Mutex::new(None);
    let done_at = {
        let mut free_at = FREE_AT.lock().unwrap();
        let now = Instant::now();
        let begins_at = free_at.map_or(now, |free| free.max(now));
        *free_at.insert(begins_at + Duration::from_millis(2))
    };
    thread::sleep(done_at.saturating_duration_since(Instant::now()));
    echo(&payload)
}

#[test]
fn no_more_is_found_than_a_server_of_known_speed_holds() {
    let url = server(five_hundred_a_second);
    let flags = [&url, "-c", "20", "--slo", "latency.p50<60ms", "--precision", "20%", "--max-time", "25s"];
    // A machine that stands still for a while breaks the limit at any rate.
    let report = capacity(&[&flags[..], &["--holdout", "2", "--probe", "500ms"]].concat(), &[0, 95, 96, 98]);
    if let Some(sustains) = report.0.pointer("/answer/sustains/rate").and_then(serde_json::Value::as_f64) {
        // Of half a second, 60 ms of backlog is an eighth, and the answers to half of the messages are later than that.
        assert!(sustains < 500.0 * 1.3, "{sustains}/s");
        assert!(report.number("/answer/sustains/values/0") < 60e6);
    }
    if report.0["answer"]["verdict"] == "found" {
        let [sustains, breaks] = ["sustains", "breaks"].map(|end| report.number(&format!("/answer/{end}/rate")));
        assert!(sustains < breaks, "{sustains} {breaks}");
        assert!(probes(&report, "holdout").iter().all(|probe| probe["start"].as_u64() > Some(1)));
        assert!(report.0["notes"].to_string().contains("is not started anew"), "{}", report.0["notes"]);
    }
    let all = probes(&report, "probes");
    assert!(all.len() >= 2 && all.iter().all(|probe| probe["start"] == 1), "{}", all.len());
    // The first rate that it does not hold ends the ramp, however busy the machine is.
    assert!(all.iter().any(|probe| probe["outcome"] != "passed"), "{all:?}");
    let beyond = all.iter().filter(|probe| probe["offered_rate"].as_f64() > Some(1_000.0));
    assert!(beyond.clone().all(|probe| probe["outcome"] != "passed"), "{:?}", beyond.collect::<Vec<_>>());
    let failed: Vec<_> = all.iter().filter(|probe| probe["outcome"] == "failed").collect();
    assert!(failed.iter().all(|probe| probe["why"].as_str().unwrap().contains("latency.p50 < 60")), "{failed:?}");
    assert!(report.number("/generator/closed_loop_rate") > 0.0);
}

#[test]
fn a_costlier_server_has_the_smaller_capacity() {
    let flags = ["--a", "", "--b", "--inject-cost 1000000", "--slo", "latency.p50<40ms", "--precision", "20%"];
    let more =
        ["--confidence", "70%", "--max-time", "25s", "--probe", "100ms", "--fail-on-regression", "20%", "-c", "5"];
    let run = loadgen(&[&["capacity", "-q", "--format", "json"], &flags[..], &more].concat()).wait();
    // On a machine that is busy the generator may be late, or the starts too few.
    assert!(matches!(run.code, Some(98 | 99)), "{:?} {}", run.code, run.stderr);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["slos"][0], "latency.p50<40ms");
    let capacity = report["metrics"].as_array().unwrap().iter().find(|metric| metric["metric"] == "capacity").unwrap();
    assert_eq!((capacity["gated"].clone(), capacity["better"].clone()), (true.into(), "higher".into()));
    // A millisecond of CPU time a message: a thousand messages a second, and what 40 ms of waiting add in a tenth of a second.
    assert!(capacity["b"]["median"].as_f64().unwrap() < 2_500.0, "{capacity}");
    assert!(capacity["a"]["median"].as_f64() >= capacity["b"]["median"].as_f64(), "{capacity}");
    // 99 is said of what is trusted and regressed, and of nothing else.
    let regressed = report["change"] == "regressed" && report["trust"]["valid"] == true;
    assert_eq!(regressed, run.code == Some(99), "{:?} {} {}", run.code, report["change"], report["trust"]);
    assert_ne!(report["change"], "improved");
    assert_valid_by(include_str!("../../schema/compare-v1.schema.json"), &report);
}

#[test]
fn of_two_servers_one_whose_capacity_is_out_of_the_range_is_named_with_the_side_at_once() {
    let flags = ["--a", "", "--b", "", "--slo", "latency.p50<4s", "--min-rate", "20", "--max-rate", "50"];
    let ended =
        finished(&[&flags[..], &["--probe", "100ms", "-c", "5", "--warmup", "100ms", "--max-time", "10m"]].concat());
    assert_eq!(ended.code, Some(97), "{}", ended.stderr);
    assert!(ended.stderr.contains("(embedded server) is above the range"), "{}", ended.stderr);
    let flags = ["--a", "", "--b", "", "--slo", "latency.p50<1ns", "--min-rate", "20", "--max-rate", "50"];
    let ended =
        finished(&[&flags[..], &["--probe", "100ms", "-c", "5", "--warmup", "100ms", "--max-time", "10m"]].concat());
    // Of a generator that is late itself it is not known that the server is.
    assert!(matches!(ended.code, Some(95 | 96)), "{:?} {}", ended.code, ended.stderr);
    assert!(ended.stderr.contains("down to 20"), "{}", ended.stderr);
}

#[test]
fn wrong_replies_that_a_limit_judges_end_nothing_outside_of_probes() {
    let wrong = server(|n, mut payload, _| {
        payload[5] ^= u8::from(n == 1);
        echo(&payload)
    });
    let flags = [&wrong, "--slo", "errors.rate<50%", "--min-rate", "20", "--max-rate", "50"];
    // Without such a limit it ends with 1. What else it finds is a matter of how busy the machine is.
    let report = capacity(&flags, &[95, 96, 97, 98]);
    assert_eq!(report.0["failure"], serde_json::Value::Null);
    assert!(!probes(&report, "probes").is_empty());
}

#[test]
fn time_for_fresh_starts_is_kept_only_once_there_is_a_rate_to_hold_them_to() {
    let flags = ["--slo", "latency.p50<4s", "--min-rate", "20", "--max-rate", "50", "--holdout", "100"];
    let report = capacity(&[&flags[..], &["--max-time", "15s"]].concat(), &[97, 98]);
    assert!(probes(&report, "probes").len() > 3, "{}", report.0);
}

#[test]
fn a_limit_that_no_rate_keeps_is_below_the_range() {
    let slow = server(|_, payload, _| {
        thread::sleep(Duration::from_millis(100));
        echo(&payload)
    });
    let flags = ["--slo", "latency.p50<20ms", "--min-rate", "20", "--max-rate", "40"];
    let report = capacity(&[&[slow.as_str()], &flags[..]].concat(), &[96]);
    assert_eq!(report.0["answer"]["verdict"], "below-range");
    assert_eq!(report.0["answer"]["sustains"], serde_json::Value::Null);
    assert_eq!(report.number("/answer/breaks/rate"), 20.0);
    assert!(report.0["answer"]["why"].as_str().unwrap().contains("latency.p50 < 20"), "{}", report.0["answer"]);
    assert_eq!(probes(&report, "holdout").len(), 0, "there is no rate to hold anything to");
}

#[test]
fn a_limit_that_the_highest_rate_keeps_is_above_it() {
    let flags = ["--slo", "latency.p50<4s", "--min-rate", "20", "--max-rate", "50"];
    let with = |more: &[&str], code| capacity(&[&flags[..], more].concat(), &[code]);
    let report = with(&["--holdout", "1"], 97);
    assert_eq!(report.0["answer"]["verdict"], "above-range");
    assert_eq!(report.number("/answer/sustains/rate"), 50.0);
    assert_eq!((probes(&report, "holdout").len(), probes(&report, "holdout")[0]["start"].clone()), (1, 2.into()));
    // Limits on the capacity decide, whatever was found.
    assert_eq!(with(&["--threshold", "capacity>40"], 0).0["thresholds"][0]["outcome"], "met");
    assert_eq!(with(&["--threshold", "capacity<40"], 99).0["thresholds"][0]["outcome"], "crossed");
    assert_eq!(with(&["--threshold", "capacity>60"], 98).0["thresholds"][0]["outcome"], "unknown");
}

#[test]
fn what_a_need_takes_is_worked_out_line_by_line() {
    let flags = ["-c", "60", "--slo", "latency.p50<4s", "--min-rate", "50", "--max-rate", "100"];
    let report =
        capacity(&[&flags[..], &["--need", "messages_per_second=1k connections=10k headroom=50%"]].concat(), &[97]);
    let lines = report.0["sizing"]["lines"].as_array().unwrap();
    let result = |what: &str| lines.iter().find(|line| line["what"] == what).map(|line| line["result"].clone());
    assert_eq!(result("messages per second to provide for"), Some("2,000".into()));
    assert_eq!(result("connections to provide for"), Some("20,000".into()));
    let per_core = 1e9 / report.number("/answer/sustains/server_cpu");
    assert!((report.number("/sizing/cores") * per_core / 2_000.0 - 1.0).abs() < 1e-6, "{lines:?}");
    // 64 B in a client's frame: 2 bytes of header, 4 of mask.
    assert_eq!((report.number("/probes/0/sent_bytes"), report.number("/probes/0/received_bytes")), (70.0, 66.0));
    assert!(report.number("/sizing/machines") >= 1.0);
}
