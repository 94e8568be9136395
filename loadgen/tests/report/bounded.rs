//! A run whose generator was late: latencies are intervals, and what they decide is decided.

use loadgen::judge::outcome::Outcome;
use loadgen::judge::threshold::Standing;
use loadgen::judge::trust::Level;
use loadgen::judge::trust::bounds::LowerEnd;
use loadgen::report::Report;
use loadgen::report::merge::merge;
use serde_json::json;

use crate::fixture::{bounded, few, how_fast, rendered};

#[test]
fn limits_that_the_intervals_decide_are_decided() {
    // p99 lies between 0.92 and 1.32 ms.
    for (limit, standing, verdict) in [
        ("latency.p99<2ms", Standing::Met, Outcome::Ok),
        ("latency.p99<1ms", Standing::Unknown, Outcome::Untrusted),
        ("latency.p99<500us", Standing::Crossed, Outcome::Crossed),
        ("latency.p99>500us", Standing::Met, Outcome::Ok),
        ("service_time.p99<1ms", Standing::Met, Outcome::Ok),
        ("latency.stdev<1s", Standing::Unknown, Outcome::Untrusted),
        ("send_lag.p99<100us", Standing::Crossed, Outcome::Crossed),
        ("throughput>=10k", Standing::Met, Outcome::Ok),
    ] {
        let report = bounded(&[limit]);
        assert_eq!(report.trust.level, Level::Bounded);
        assert_eq!((report.thresholds[0].outcome, report.outcome()), (standing, verdict), "{limit}");
    }
    assert_eq!(bounded(&[]).outcome(), Outcome::Ok, "without a limit it has measured what it could");
}

#[test]
fn an_estimate_keeps_limits_and_crosses_none() {
    let judged = |limit: &str| {
        let mut report = bounded(&[]);
        report.least.as_mut().unwrap().lower_end = LowerEnd::Estimate;
        report.judged_by(&[limit.parse().unwrap()]).unwrap()
    };
    assert_eq!(judged("latency.p99<2ms").outcome(), Outcome::Ok);
    assert_eq!(judged("latency.p99<500us").outcome(), Outcome::Untrusted);
    assert_eq!(judged("latency.p99>500us").outcome(), Outcome::Untrusted);
    assert!(rendered(&judged("latency.p99<2ms"), "text").contains("the lower ends are estimates"));
}

#[test]
fn a_run_that_is_not_valid_is_not_saved_by_its_bounds() {
    let mut report = bounded(&["latency.p99<2ms"]);
    report.trust.level = Level::NotValid;
    assert_eq!(report.outcome(), Outcome::Untrusted);
}

#[test]
fn formats_for_people_show_intervals() {
    let report = bounded(&["latency.p99<2ms", "latency.p99<1ms"]);
    let text = rendered(&report, "text");
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "trust BOUNDED, because",
        "latency BOUNDED: an on-time generator",
        "p50 123..260 us",
        "mean 162..337 us",
        "stdev - ",
    ] {
        assert!(joined.contains(part), "{part}: {text}");
    }
    assert!(joined.contains("it lies anywhere between 919 us and 1.32 ms"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let kept = bounded(&["latency.p99<2ms"]);
    for (format, parts) in [
        ("markdown", ["latencies as bounds", "123..260 us", "- bounded: send lag"]),
        ("html", ["Latencies are bounds, because", "123..260 us", "bounded</span>"]),
        ("junit", ["<skipped", "latencies are bounds: send lag", "latency.p99&lt;2ms"]),
    ] {
        let rendered = rendered(&kept, format);
        parts.iter().for_each(|part| assert!(rendered.contains(part), "{format} without {part}: {rendered}"));
    }
    // Where there is no room for an interval its upper end stands, and that it is bounded.
    assert!(rendered(&report, "csv").contains(",false,bounded,open,"));
    for (format, said) in [
        ("hgrm", "#[Bounded: "),
        ("benchfmt", "trust: bounded\n"),
        (
            "openmetrics",
            "fathom_latency_percentile_low_seconds{run=\"bounded\",target=\"ws://127.0.0.1:8181/\",percentile=\"99\"} 0.000919",
        ),
    ] {
        let rendered = rendered(&report, format);
        assert!(rendered.contains(said), "{format} without {said}: {rendered}");
    }
    assert!(
        rendered(&report, "openmetrics").contains("fathom_valid{run=\"bounded\",target=\"ws://127.0.0.1:8181/\"} 0.0")
    );
}

#[test]
fn a_saved_one_is_the_same() {
    let report = bounded(&["latency.p99<2ms", "latency.p99<1ms"]);
    let saved = json!(report);
    assert_eq!((&saved["trust"]["valid"], &saved["trust"]["level"]), (&json!(false), &json!("bounded")));
    assert_eq!(saved["least"]["lower_end"], "proven");
    let p99 = &saved["latency_intervals"]["p99"];
    assert!((919_000.0..920_000.0).contains(&p99["low"].as_f64().unwrap()), "{p99}");
    assert_eq!(p99["high"].as_f64(), saved["latency"]["p99"].as_f64());
    assert!(json!(how_fast())["latency_intervals"].as_object().unwrap().is_empty(), "it is not bounded");
    assert_eq!(serde_json::from_value::<Report>(saved).unwrap(), report);
}

#[test]
fn what_is_shown_is_what_decides_where_replies_share_stamps() {
    let mut report = bounded(&[]);
    let least = report.least.as_mut().unwrap();
    least.unsure = least.latency.count;
    report.arrivals.shared = least.latency.count;
    let report = report.judged_by(&["latency.p99<500us".parse().unwrap()]).unwrap();
    assert_eq!(report.thresholds[0].interval, Some((0.0, report.latency.p99.unwrap() as f64)));
    let text = rendered(&report, "text").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("p99 0..1.32 ms"), "{text}");
    assert!(text.contains("replies were read together with a later one"), "{text}");
}

#[test]
fn runs_that_are_merged_have_the_worst_level_and_the_intervals_of_all() {
    let (first, mut second) = (bounded(&[]), bounded(&[]));
    second.began_at += std::time::Duration::from_secs(60);
    second.least.as_mut().unwrap().lower_end = LowerEnd::Estimate;
    let merged = merge(vec![first.clone(), second.clone()], false).unwrap();
    let least = merged.least.as_ref().unwrap();
    assert_eq!((merged.trust.level, least.lower_end), (Level::Bounded, LowerEnd::Estimate));
    assert_eq!(least.latency.count, 2 * first.latency.count);
    second.least = None;
    let merged = merge(vec![first, second], false).unwrap();
    assert!(merged.least.is_none());
    assert!(rendered(&merged, "text").contains("0..260 us"), "an earlier version recorded no lower ends");
}

#[test]
fn a_valid_run_has_figures() {
    assert_eq!((few(&[]).trust.level, how_fast().trust.level), (Level::Valid, Level::Valid));
    assert!(how_fast().least.is_none(), "a closed loop has no schedule to be late for");
}
