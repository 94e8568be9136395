//! The report of a fan-out as JUnit's XML: a test case for the members, one for the deliveries, one for trust and one for each
//! limit.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use crate::judge::held_threshold::{allowed, show};
use crate::measure::fanout_metric::FanoutMetric;
use crate::report::fanout::{FanoutReport, words};
use crate::report::formats::junit::run::{limit, serialize, skipped_if, trust, unsuccessful};
use crate::units;

/// The report as JUnit XML.
pub fn render(report: &FanoutReport) -> Vec<u8> {
    let lasted = Duration::try_from_secs_f64(report.elapsed_seconds).unwrap_or_default();
    let mut suite = TestSuite::new("fanout");
    suite.set_time(lasted);
    suite.add_property(("target", report.target.as_str()));
    suite.add_property(("git_revision", report.environment.git_revision.as_str()));
    let mut case = |name: &str, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname("loadgen.fanout").set_time(Duration::ZERO);
        suite.add_test_case(case);
    };
    let within = |errors: &[(FanoutMetric, u64)]| allowed(&report.thresholds, errors);
    case("every member connected and stayed", skipped_if(within(&report.member_errors()), members(report)));
    let within = within(&report.delivery_errors()) && report.deliveries.received > 0;
    let whole = if report.compared { ", whole and in order" } else { " and in order" };
    case(&format!("every delivery came once{whole}"), skipped_if(within, deliveries(report)));
    case("figures to be trusted", trust(&report.trust));
    for judged in &report.thresholds {
        case(&judged.threshold, limit(judged, show::<FanoutMetric>(judged)));
    }
    let mut suites = Suites::new("loadgen");
    suites.set_time(lasted).add_test_suite(suite);
    serialize(&suites)
}

fn members(report: &FanoutReport) -> TestCaseStatus {
    let churn = report.churn.as_ref().map_or(0, |churn| churn.failed + churn.dropped);
    let counts = [report.senders, report.receivers];
    if churn + counts.iter().map(|counts| counts.failed + counts.dropped).sum::<u64>() == 0 {
        return TestCaseStatus::success();
    }
    let mut what = format!("{churn} of those that joined and left failed or were dropped");
    for (who, counts) in ["sender", "receiver"].iter().zip(counts) {
        what += &format!(
            "; {} of {} could not connect, {} lost their connection",
            counts.failed,
            units::counted(counts.requested, who),
            counts.dropped
        );
    }
    let of_churn = report.churn.iter().flat_map(|churn| &churn.failures);
    for (why, times) in report.failures.iter().chain(of_churn) {
        what += &format!("\n{}: {why}", units::often(*times));
    }
    unsuccessful(NonSuccessKind::Failure, "failed", &what)
}

fn deliveries(report: &FanoutReport) -> TestCaseStatus {
    let wrong: u64 = report.delivery_errors().iter().map(|(_, count)| count).sum();
    if wrong == 0 && report.deliveries.received > 0 {
        return TestCaseStatus::success();
    }
    let told = ["reach", "deliveries", "messages", "disturbed", "churn"];
    let facts = words::facts(report).into_iter().filter(|(name, _)| told.contains(name));
    let what: Vec<String> =
        facts.map(|(name, fact)| format!("{name}: {fact}")).chain(words::mismatches(report)).collect();
    unsuccessful(NonSuccessKind::Failure, "failed", &what.join("\n"))
}
