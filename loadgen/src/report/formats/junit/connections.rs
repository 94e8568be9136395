//! The report of held connections as JUnit's XML: a test case for the connections, one for the messages, one for trust and
//! one for each limit.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use crate::judge::held_threshold::{allowed, show};
use crate::measure::held_metric::{HeldMetric, Plain};
use crate::report::connections::ConnectionsReport;
use crate::report::connections::parts::Pinged;
use crate::report::formats::junit::run::{limit, serialize, skipped_if, trust, unsuccessful, verification};
use crate::units;

/// The report as JUnit XML.
pub fn render(report: &ConnectionsReport) -> Vec<u8> {
    let lasted = Duration::try_from_secs_f64(report.elapsed_seconds).unwrap_or_default();
    let mut suite = TestSuite::new("connections");
    suite.set_time(lasted);
    suite.add_property(("target", report.target.as_str()));
    suite.add_property(("git_revision", report.environment.git_revision.as_str()));
    let mut case = |name: &str, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname("loadgen.connections").set_time(Duration::ZERO);
        suite.add_test_case(case);
    };
    let within = |kinds: &[Plain]| {
        let of = |(metric, _): &(HeldMetric, u64)| kinds.iter().any(|plain| *metric == HeldMetric::Plain(*plain));
        allowed(&report.thresholds, &report.errors().into_iter().filter(of).collect::<Vec<_>>())
    };
    let connections = [Plain::Failed, Plain::Dropped, Plain::ChurnFailed, Plain::StormFailed, Plain::Errors];
    let left_to_limits = report.server_ended.is_none() && within(&connections);
    case("every connection opened and held", skipped_if(left_to_limits, held(report)));
    if let Some(trickle) = report.hold.as_ref().and_then(|hold| hold.trickle.as_ref()) {
        let verified = verification(&trickle.messages, &Default::default());
        case("every reply verified", skipped_if(within(&[Plain::Errors]), verified));
    }
    if let Some(pings) = report.pings() {
        case("every Ping answered", skipped_if(within(&[Plain::PingsUnanswered]), answered(pings)));
    }
    case("figures to be trusted", trust(&report.trust));
    for judged in &report.thresholds {
        case(&judged.threshold, limit(judged, show::<HeldMetric>(judged)));
    }
    let mut suites = Suites::new("loadgen");
    suites.set_time(lasted).add_test_suite(suite);
    serialize(&suites)
}

fn answered(pings: &Pinged) -> TestCaseStatus {
    if pings.unanswered == 0 {
        return TestCaseStatus::success();
    }
    let mut what = format!("{} of {} not answered", pings.unanswered, pings.sent);
    for (why, times) in &pings.failures {
        what += &format!("\n{}: {why}", units::often(*times));
    }
    unsuccessful(NonSuccessKind::Failure, "failed", &what)
}

fn held(report: &ConnectionsReport) -> TestCaseStatus {
    let counts = &report.connections;
    let churn = report.churn.as_ref().map_or(0, |churn| churn.failed);
    let storm = report.storm.as_ref().map_or(0, |storm| storm.failed);
    let wrong = report.churn.as_ref().map_or(0, |churn| churn.wrong_messages);
    if let Some(status) = &report.server_ended {
        let what = format!("the server's process has ended: {status}");
        return unsuccessful(NonSuccessKind::Failure, "failed", &what);
    }
    if counts.failed + counts.dropped + churn + storm + wrong == 0 {
        if !report.interrupted {
            return TestCaseStatus::success();
        }
        let mut skipped = TestCaseStatus::skipped();
        skipped.set_message(format!("interrupted: {} of {} opened by then", counts.established, counts.requested));
        return skipped;
    }
    let mut what = format!(
        "{} of {} not opened, {} lost while held; {churn} of those that came and went failed, {wrong} messages meanwhile lost or \
         answered wrongly, {storm} did not come back",
        counts.failed, counts.requested, counts.dropped
    );
    let of_parts =
        report.churn.iter().map(|churn| &churn.failures).chain(report.storm.iter().map(|storm| &storm.failures));
    for (why, times) in std::iter::once(&report.failures).chain(of_parts).flatten() {
        what += &format!("\n{}: {why}", units::often(*times));
    }
    unsuccessful(NonSuccessKind::Failure, "failed", &what)
}
