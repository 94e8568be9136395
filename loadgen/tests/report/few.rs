//! Percentiles of too few values are left out, alike in every format, and no limit is kept by one.

use std::collections::BTreeMap;

use loadgen::judge::outcome::Outcome;
use loadgen::judge::trust::Level;
use loadgen::report::baseline::Request;
use serde_json::{Value, json};

use crate::fixture::{few, rendered};

/// What two values have, by the names of the JSON report.
const KNOWN: [&str; 5] = ["min", "mean", "stdev", "p50", "max"];

/// What they have not.
const UNKNOWN: [&str; 6] = ["p75", "p90", "p95", "p99", "p99_9", "p99_99"];

#[test]
fn the_json_has_null_and_the_csv_nothing() {
    let report = few(&[]);
    let json = json!(report);
    for name in ["latency", "service_time", "send_lag"] {
        assert!(KNOWN.iter().all(|statistic| json[name][statistic].is_number()), "{}", json[name]);
        assert!(UNKNOWN.iter().all(|statistic| json[name][statistic].is_null()), "{}", json[name]);
    }
    // One connection has no median, and the second interval nothing at all.
    assert_eq!((&json["connect"]["p50"], &json["connect"]["max"]), (&Value::Null, &json!(1_000_447)));
    let intervals = &json["intervals"];
    assert_eq!((&intervals[0]["p50"], &intervals[0]["p99"]), (&json["latency"]["p50"], &Value::Null));
    assert_eq!((&intervals[1]["p50"], &intervals[1]["max"]), (&Value::Null, &Value::Null));

    let table = rendered(&report, "csv");
    let mut table = csv::Reader::from_reader(table.as_bytes());
    let line: BTreeMap<String, String> = table.deserialize().next().unwrap().unwrap();
    let cell = |statistic: &str| line[&format!("latency_{statistic}_ns")].as_str();
    assert!(UNKNOWN.iter().all(|statistic| cell(statistic).is_empty()), "{line:?}");
    assert_eq!(cell("p50"), json["latency"]["p50"].to_string());
}

#[test]
fn formats_for_people_say_so() {
    let report = few(&["latency.p99.99<1s"]);
    let note = "p75 and higher are left out: p75 needs 4 replies at least, and there are 2";
    let why = "p99.99 needs 10,000 values at least, and there are 2";
    let text = rendered(&report, "text");
    let row = |name: &str| -> Vec<&str> {
        let row = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        row.split_whitespace().skip(1).collect()
    };
    assert_eq!(row("p99.99 "), ["-", "-", "-", "-", "-"]);
    assert_eq!(row("max "), ["120", "us", "120", "us", "120", "us", "120", "ns", "0", "ns"]);
    assert!(text.contains(why) && text.split_whitespace().collect::<Vec<_>>().join(" ").contains(note), "{text}");
    assert!(text.contains("connections 100 of 100, opened in 1.00 ms\n"), "{text}");
    let markdown = rendered(&report, "markdown");
    assert!(
        markdown.contains("| p99 | - | - | - | - |") && markdown.contains(note) && markdown.contains(why),
        "{markdown}"
    );
    let html = rendered(&report, "html");
    assert!(html.contains(note) && html.contains(why) && !html.contains("<dt>p99</dt>"), "{html}");
    let junit = rendered(&report, "junit");
    assert!(junit.contains(why), "{junit}");
}

#[test]
fn lists_of_figures_leave_them_out() {
    let report = few(&[]);
    let metric = |statistic: &str| format!("latency.{}", statistic.replace('_', "."));
    let bmf: Value = serde_json::from_str(&rendered(&report, "bmf")).unwrap();
    let smaller = rendered(&report, "github-action-benchmark");
    let (openmetrics, benchfmt) = (rendered(&report, "openmetrics"), rendered(&report, "benchfmt"));
    let listed = |statistic: &str| {
        let (name, rank) = (metric(statistic), statistic[1..].replace('_', "."));
        [
            bmf["few"].get(name.replace('.', "-")).is_some(),
            smaller.contains(&format!("few: {name}\"")),
            openmetrics.contains(&format!("percentile=\"{rank}\"")),
            benchfmt.contains(&format!("{name}-ns")),
        ]
    };
    assert_eq!(listed("p50"), [true; 4]);
    for statistic in UNKNOWN {
        assert_eq!(listed(statistic), [false; 4], "{statistic}");
    }
}

#[test]
fn a_limit_on_one_is_not_known_to_be_kept() {
    for (limit, verdict) in [
        ("latency.p50<1s", Outcome::Ok),
        ("latency.p50<1ns", Outcome::Crossed),
        ("latency.max<1s", Outcome::Ok),
        ("latency.p100<1s", Outcome::Ok),
        ("latency.p99.99<1s", Outcome::Untrusted),
        ("p(95)<1", Outcome::Untrusted),
        ("send_lag.p75<1s", Outcome::Untrusted),
        // Whichever it is of the values that there are, it lies beyond the limit.
        ("send_lag.p75<1ns", Outcome::Crossed),
        ("connect.p50<1s", Outcome::Untrusted),
    ] {
        let mut report = few(&[limit]);
        report.trust.level = Level::Valid;
        assert_eq!(report.outcome(), verdict, "{limit}");
        let [judged] = &report.thresholds[..] else { panic!("{limit}") };
        assert_eq!(judged.why_unknown.is_some(), judged.value.is_none(), "{limit}");
    }
}

#[test]
fn a_baseline_compares_none() {
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/few-baseline.json");
    std::fs::write(file, serde_json::to_string(&few(&[])).unwrap()).unwrap();
    let request = Request { file: file.into(), environment_may_change: false };
    let now = few(&[]);
    let baseline = request.accept(request.read().unwrap(), &now.environment).unwrap().compare(&now).unwrap();
    let metrics: Vec<&str> = baseline.figures.iter().map(|change| change.metric.as_str()).collect();
    assert!(metrics.contains(&"latency.p50") && metrics.contains(&"latency.max"), "{metrics:?}");
    assert!(!metrics.iter().any(|metric| metric.starts_with("latency.p9")), "{metrics:?}");
}
