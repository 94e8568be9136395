//! Reports of `fathom/run/v1` are read, and not taken for what they do not hold. `run-v1.json` was written by the version
//! before `fathom/run/v2`.

use std::path::PathBuf;
use std::time::Duration;

use loadgen::measure::arrivals::EndsAt;
use loadgen::report::Report;
use loadgen::report::baseline::Request;
use loadgen::report::merge::merge;
use loadgen::report::saved::{Document, read};

use crate::fixture::rendered;

fn file() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/run-v1.json").into()
}

fn saved() -> Report {
    let Document::Runs(mut runs) = read(&file()).unwrap() else { panic!("it holds a run") };
    runs.remove(0)
}

/// A later run of the same plan, whose replies the kernel stamped.
fn stamped() -> Report {
    let mut report = saved();
    report.ends_at = EndsAt::Kernel;
    report.began_at += Duration::from_secs(60);
    report
}

#[test]
fn what_it_calls_latency_ended_at_the_reading() {
    let report = saved();
    assert_eq!((report.ends_at, &report.read_lag, &report.seen), (EndsAt::Read, &None, &report.latency));
    assert_eq!((report.arrivals.unstamped, report.arrivals.stamped), (report.latency.count, 0));
    assert!(rendered(&report, "text").contains("ends where the reply was read"));
    assert!(rendered(&report, "json").contains("\"fathom/run/v2\""));
}

#[test]
fn it_is_merged_with_its_like_alone() {
    let mut later = saved();
    later.began_at += Duration::from_secs(60);
    let merged = merge(vec![saved(), later], false).unwrap();
    assert_eq!((merged.seen.count, merged.read_lag), (2 * saved().seen.count, None));
    let refused = merge(vec![saved(), stamped()], false).unwrap_err().to_string();
    assert!(refused.contains("latency ends elsewhere"), "{refused}");
}

#[test]
fn as_a_baseline_it_is_compared_in_what_both_saw() {
    let compared = |now: Report| {
        let request = Request { file: file(), environment_may_change: false };
        let baseline = request.accept(request.read().unwrap(), &now.environment).unwrap().compare(&now).unwrap();
        let named = |name: &str| baseline.figures.iter().any(|change| change.metric == name);
        (named("latency.p50"), named("seen.p50"), baseline.caveat.contains("latency ends at the kernel's stamp"))
    };
    assert_eq!(compared(saved()), (true, true, false));
    assert_eq!(compared(stamped()), (false, true, true));
}
