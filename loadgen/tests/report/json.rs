//! The JSON report is what its schema says, reads back as it was, and holds what later tools need.

use std::num::NonZeroUsize;

use hdrhistogram::Histogram;
use jsonschema::Validator;
use loadgen::host::environment::Environment;
use loadgen::judge::outcome::Outcome;
use loadgen::judge::trust::Level;
use loadgen::measure::glimpse::Glimpse;
use loadgen::measure::histogram::histogram;
use loadgen::measure::mismatch::{Mismatch, MismatchKind};
use loadgen::plan::Kind;
use loadgen::program::cli;
use loadgen::report::{Report, Runs};
use serde_json::{Value, json};

use crate::fixture::{REPLIES, bounded, few, gated, how_fast, how_late, measured, plan, rendered};

/// The validators of one run and of several.
fn validators() -> [Validator; 2] {
    [include_str!("../../schema/run-v2.schema.json"), include_str!("../../schema/runs-v2.schema.json")]
        .map(|text| jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap())
}

#[track_caller]
fn assert_valid(validator: &Validator, document: &Value) {
    let errors: Vec<String> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn reports_are_what_the_schema_says() {
    let [run, runs] = validators();
    for report in [how_fast(), how_late(), gated(), few(&["latency.p99<1s"]), bounded(&["latency.p99<1ms"])] {
        assert_valid(&run, &json!(report));
    }
    assert_valid(&runs, &json!(Runs::from(vec![how_fast(), how_late()])));

    let mut bare = measured(0);
    (bare.times.latency, bare.server, bare.counts.replies_in_window) = (histogram(), None, 0);
    bare.intervals.clear();
    bare.counts.mismatches.count(MismatchKind::Unasked, || Mismatch {
        kind: MismatchKind::Unasked,
        times: 1,
        got: Glimpse::new(Kind::Text, None, &[0; 100]),
        expected: None,
        offset: 0,
    });
    let here = Environment::collect(&cli::default_plan(NonZeroUsize::MIN), None, None);
    assert_valid(&run, &json!(Report::new("bare", "ws://[::1]:1/", &bare, here)));
}

#[test]
fn the_schema_is_strict_everywhere() {
    let [run, runs] = validators();
    let mut report = json!(gated());
    report["least"] = json!(how_late().least);
    report["mismatches"] = json!(how_late().mismatches);
    let mut objects = Vec::new();
    paths(&report, String::new(), &mut objects);
    // Within the server's own configuration anything goes, and failures and addresses have what happened and where as their names.
    objects.retain(|path| {
        !path.starts_with("/environment/server_config") && !["/failures", "/addresses"].contains(&path.as_str())
    });
    assert!(objects.len() > 20, "{objects:?}");
    for path in objects {
        let mut changed = report.clone();
        let object = changed.pointer_mut(&path).unwrap().as_object_mut().unwrap();
        let fields: Vec<_> = object.keys().cloned().collect();
        object.insert("surprise".to_owned(), json!(1));
        assert!(!run.is_valid(&changed), "a surprise in {path:?}");
        assert!(!runs.is_valid(&json!({ "schema": "fathom/runs/v2", "runs": [changed] })), "a surprise in {path:?}");
        for field in fields {
            let mut changed = report.clone();
            changed.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(&field);
            assert!(!run.is_valid(&changed), "{path}/{field} is missing");
        }
    }
}

/// The paths of all objects, of the first one in each array.
fn paths(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.push(at.clone());
            fields.iter().for_each(|(name, field)| paths(field, format!("{at}/{name}"), into));
        }
        Value::Array(items) => items.iter().take(1).for_each(|item| paths(item, format!("{at}/0"), into)),
        _ => {}
    }
}

#[test]
fn a_saved_report_reads_back_as_it_was() {
    for report in [how_fast(), how_late(), gated(), few(&["latency.p99<1s"])] {
        let saved = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&saved).unwrap(), report);
    }
    let other = serde_json::to_string(&how_fast()).unwrap().replace("fathom/run/v2", "fathom/run/v9");
    assert!(serde_json::from_str::<Report>(&other).unwrap_err().to_string().contains("fathom/run/v9"));
}

#[test]
fn a_report_of_an_earlier_version_reads_as_one_of_today() {
    for report in [how_late(), few(&["latency.p99<1s"])] {
        let mut saved = json!(report);
        // Nothing was null, and there was no p95.
        for name in ["latency", "service_time", "send_lag", "connect"] {
            let stats = saved[name].as_object_mut().unwrap();
            stats.remove("p95");
            stats.values_mut().filter(|value| value.is_null()).for_each(|value| *value = json!(1));
        }
        for interval in saved["intervals"].as_array_mut().unwrap() {
            let fields = interval.as_object_mut().unwrap();
            fields.values_mut().filter(|value| value.is_null()).for_each(|value| *value = json!(1));
        }
        for judged in saved["thresholds"].as_array_mut().unwrap() {
            judged.as_object_mut().unwrap().remove("why_unknown");
            judged.as_object_mut().unwrap().remove("interval");
        }
        saved["trust"].as_object_mut().unwrap().remove("level");
        saved.as_object_mut().unwrap().remove("least");
        let mut expected = report;
        expected.thresholds.iter_mut().for_each(|judged| judged.why_unknown = None);
        expected.least = None;
        assert_eq!(serde_json::from_value::<Report>(saved).unwrap(), expected);
    }
}

#[test]
fn saved_histograms_add_up_to_the_whole() {
    let report = how_late();
    let mut sum = histogram();
    for interval in &report.intervals {
        sum.add(interval.histogram.decode().unwrap()).unwrap();
    }
    let whole: Histogram<u64> = report.latency.histogram.decode().unwrap();
    assert_eq!(sum, whole);
    assert_eq!((whole.len(), Some(whole.value_at_quantile(0.999))), (REPLIES, report.latency.p99_9));
}

#[test]
fn figures_follow_from_what_was_measured() {
    let report = json!(how_fast());
    for (path, figure) in [
        ("/throughput/messages_per_second", json!(20_000.0)),
        ("/throughput/bytes_per_second", json!(1_280_000.0)),
        ("/load/mode", json!("closed")),
        ("/load/in_flight", json!(1)),
        ("/load/offered_rate", json!(null)),
        ("/load/achieved_rate", json!(20_000.0)),
        ("/resources/loadgen/cpu_us_per_message", json!(20.65)),
        ("/resources/server/cpu_seconds", json!(5.02)),
        ("/environment/plan/load/in_flight", json!(1)),
        ("/environment/seed", json!(1)),
        ("/began_at", json!("2023-11-14T22:13:20.000Z")),
    ] {
        assert_eq!(report.pointer(path), Some(&figure), "{path}");
    }
    let late = json!(how_late());
    assert_eq!((&late["load"]["mode"], &late["load"]["arrival"]), (&json!("open"), &json!("poisson")));
}

#[test]
fn secrets_stay_out() {
    assert!(plan().connect.headers.iter().any(|(_, value)| value.contains("secret")));
    let saved = serde_json::to_string(&how_fast()).unwrap();
    assert!(saved.contains("Authorization") && !saved.contains("secret"));
}

#[test]
fn what_a_run_is_worth_decides_its_exit_code() {
    let fine = how_fast();
    assert_eq!(fine.outcome(), Outcome::Ok);
    assert_eq!(how_late().outcome(), Outcome::Failed);
    let changed = |change: &dyn Fn(&mut Report)| {
        let mut report = fine.clone();
        change(&mut report);
        report.outcome()
    };
    assert_eq!(changed(&|report| report.trust.level = Level::NotValid), Outcome::Untrusted);
    assert_eq!(changed(&|report| report.connections.established = 0), Outcome::Failed);
    let judged = |text: &str| fine.clone().judged_by(&[text.parse().unwrap()]).unwrap();
    assert_eq!(judged("latency.p99<1s").outcome(), Outcome::Ok);
    assert_eq!(judged("latency.p99<1ns").outcome(), Outcome::Crossed);
    let untrusted = |mut report: Report| {
        report.trust.level = Level::NotValid;
        report.outcome()
    };
    assert_eq!(untrusted(judged("latency.p99<1ns")), Outcome::Untrusted, "who knows whether the server crossed it");
    assert_eq!(gated().outcome(), Outcome::Untrusted, "a limit on what has no value is not known to be kept");
    assert_eq!(changed(&|report| report.aborted = true), Outcome::Crossed);
    let failures: [&dyn Fn(&mut Report) -> &mut u64; 4] = [
        &|report| &mut report.messages.lost,
        &|report| &mut report.messages.corrupted,
        &|report| &mut report.messages.reordered,
        &|report| &mut report.messages.unexpected,
    ];
    for failure in failures {
        assert_eq!(changed(&|report| *failure(report) = 1), Outcome::Failed);
    }
    assert_eq!(changed(&|report| (report.interrupted, report.messages.lost) = (true, 1)), Outcome::Interrupted);
    assert_eq!(changed(&|report| report.all_lost_after_seconds = Some(1.0)), Outcome::Failed);
}

#[test]
fn a_limit_on_errors_decides_what_they_are_worth() {
    // 5 corrupted, 3 lost and a connection that was dropped, of 200,000 messages.
    let judged = |limits: &[&str], valid: bool| {
        let limits: Vec<_> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
        let mut report = how_late().judged_by(&limits).unwrap();
        report.trust.level = if valid { Level::Valid } else { Level::NotValid };
        report
    };
    for (limits, valid, verdict) in [
        (&["errors.rate<1%"][..], true, Outcome::Ok),
        (&["errors.rate<1%"], false, Outcome::Untrusted),
        (&["errors.rate<1%", "latency.p99<1ns"], true, Outcome::Crossed),
        (&["errors<=9"], true, Outcome::Ok),
        (&["errors<9"], true, Outcome::Crossed),
        (&["errors<9"], false, Outcome::Crossed),
        (&["errors.rate<1%", "errors==0"], false, Outcome::Crossed),
        (&["errors==0", "errors.rate<1%"], false, Outcome::Crossed),
        (&["latency.p99<10s"], true, Outcome::Failed),
    ] {
        assert_eq!(judged(limits, valid).outcome(), verdict, "{limits:?}, {valid}");
    }
    let ended = Report { all_lost_after_seconds: Some(9.0), ..judged(&["errors.rate<1%"], true) };
    assert_eq!(ended.outcome(), Outcome::Failed, "whatever is allowed");
    let junit = |report: Report| rendered(&report, "junit");
    let allowed = junit(judged(&["errors.rate<1%"], true));
    assert!(allowed.contains("<skipped") && allowed.contains("3 lost, 5 corrupted"), "{allowed}");
    assert!(allowed.contains("within the limits on errors") && !allowed.contains("<failure"), "{allowed}");
    let crossed = junit(judged(&["errors==0"], true));
    assert_eq!(crossed.matches("<failure").count(), 2, "{crossed}");
    assert!(junit(ended).contains("no connection was left at the end"));
}

#[test]
fn the_share_achieved_is_of_what_was_due_where_that_is_more() {
    let mut report = how_late();
    assert!((report.achieved_share().unwrap() - 200_000.0 / 202_000.0).abs() < 1e-6, "{:?}", report.achieved_share());
    report.load.offered_rate = Some(0.01);
    report.load.achieved_rate = 0.1;
    (report.messages.received, report.messages.lost) = (1, 0);
    assert_eq!(report.achieved_share(), Some(1.0));
    report.messages.lost = 1;
    assert_eq!(report.achieved_share(), Some(0.5));
    assert_eq!(how_fast().achieved_share(), None);
}
