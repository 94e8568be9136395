//! The report of a capacity as JUnit's XML: a test case for the answer, and one for each limit on the capacity.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use crate::judge::capacity::{Verdict, show};
use crate::report::capacity::{CapacityReport, words};
use crate::report::formats::junit::run::{limit, serialize, unsuccessful};

/// Reports as JUnit XML, a suite each, those along an axis with their value of it.
pub fn render<'a>(reports: impl IntoIterator<Item = (Option<String>, &'a CapacityReport)>) -> Vec<u8> {
    let mut suites = Suites::new("loadgen");
    let mut lasted = Duration::ZERO;
    for (value, report) in reports {
        lasted += Duration::try_from_secs_f64(report.elapsed_seconds).unwrap_or_default();
        suites.add_test_suite(suite(value, report));
    }
    suites.set_time(lasted);
    serialize(&suites)
}

fn suite(value: Option<String>, report: &CapacityReport) -> TestSuite {
    let mut suite = TestSuite::new(value.map_or_else(|| "capacity".to_owned(), |value| format!("capacity {value}")));
    suite.set_time(Duration::try_from_secs_f64(report.elapsed_seconds).unwrap_or_default());
    suite.add_property(("target", report.target.as_str()));
    suite.add_property(("git_revision", report.environment.git_revision.as_str()));
    suite.add_property(("answer", words::answer(report).as_str()));
    let mut case = |name: &str, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname("loadgen.capacity").set_time(Duration::ZERO);
        suite.add_test_case(case);
    };
    case(&format!("capacity for {}", report.slos.join(", ")), answered(report));
    for judged in &report.thresholds {
        case(&judged.threshold, limit(judged, show(judged)));
    }
    suite
}

/// An answer is a success; where limits on the capacity are given, they say for themselves what an answer that is no bracket
/// is worth.
fn answered(report: &CapacityReport) -> TestCaseStatus {
    let what = [vec![words::answer(report)], words::explanations(report)].concat().join("\n");
    match report.answer.verdict {
        _ if report.failure.is_some() => unsuccessful(NonSuccessKind::Failure, "failed", &what),
        _ if report.interrupted => unsuccessful(NonSuccessKind::Error, "interrupted", &what),
        Verdict::Found => TestCaseStatus::success(),
        _ if !report.thresholds.is_empty() => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(what);
            status
        }
        Verdict::BelowRange => unsuccessful(NonSuccessKind::Failure, "below-range", &what),
        Verdict::AboveRange => unsuccessful(NonSuccessKind::Error, "above-range", &what),
        Verdict::GeneratorLimited => unsuccessful(NonSuccessKind::Error, "generator-limited", &what),
        Verdict::Inconclusive => unsuccessful(NonSuccessKind::Error, "inconclusive", &what),
    }
}
