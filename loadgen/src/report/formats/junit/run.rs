//! JUnit's XML, as CI servers show it: a suite for each run, a test case for verification, for trust and for each
//! threshold.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use crate::judge::threshold::{Judged, Standing};
use crate::judge::trust::{Level, Trust};
use crate::measure::counts::Messages;
use crate::measure::mismatch::Mismatches;
use crate::report::{Report, words};

/// The runs as JUnit XML.
pub fn render(runs: &[Report]) -> Vec<u8> {
    let mut suites = Suites::new("loadgen");
    suites.set_time(runs.iter().map(lasted).fold(Duration::ZERO, Duration::saturating_add));
    for run in runs {
        suites.add_test_suite(suite(run));
    }
    serialize(&suites)
}

/// The suites as XML that Jenkins' schema accepts too: it knows no `skipped` on the root element.
pub(crate) fn serialize(suites: &Suites) -> Vec<u8> {
    let xml = suites.to_string().expect("the report is well-formed, and a String takes every write");
    xml.replacen(&format!(" skipped=\"{}\"", suites.skipped), "", 1).into_bytes()
}

/// A test case that did not succeed, and why.
pub(crate) fn unsuccessful(kind: NonSuccessKind, of_type: &str, why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(of_type).set_message(why);
    status
}

/// The same, unless it failed `within` limits, which allow that.
pub(crate) fn skipped_if(within: bool, status: TestCaseStatus) -> TestCaseStatus {
    match status {
        TestCaseStatus::NonSuccess { message, .. } if within => {
            let mut status = TestCaseStatus::skipped();
            let what = message.as_ref().map_or("", |message| message.as_str());
            status.set_message(format!("{what}; within the limits on errors"));
            status
        }
        status => status,
    }
}

fn suite(run: &Report) -> TestSuite {
    let mut suite = TestSuite::new(run.name.as_str());
    suite.set_time(lasted(run));
    suite.add_property(("target", run.target.as_str()));
    suite.add_property(("git_revision", run.environment.git_revision.as_str()));
    suite.add_property(("latency_ends_at", run.ends_at.to_string().as_str()));
    suite.add_property(("messages_per_second", run.throughput.messages_per_second.to_string().as_str()));
    let mut case = |name: &str, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname(format!("loadgen.{}", run.name));
        case.set_time(Duration::ZERO);
        suite.add_test_case(case);
    };
    let verified = match run.connections.established {
        0 => unsuccessful(NonSuccessKind::Failure, "failed", "no connection was opened"),
        _ if run.all_lost_after_seconds.is_some() => {
            unsuccessful(NonSuccessKind::Failure, "failed", "no connection was left at the end")
        }
        _ if run.nothing_came() => unsuccessful(NonSuccessKind::Failure, "failed", "nothing came back"),
        _ => skipped_if(run.errors_limited() == Some(Standing::Met), of_replies(run)),
    };
    case(
        if run.is_unchecked() { "every message answered, content not checked" } else { "every reply verified" },
        verified,
    );
    case("figures to be trusted", trust(&run.trust));
    for judged in &run.thresholds {
        case(&judged.threshold, limit(judged, judged.show()));
    }
    suite
}

/// Whether the figures are to be trusted: an error and not a failure if not, as what was to be tested could not be. Where
/// latencies are bounds, each limit on one says for itself whether that was enough.
pub(crate) fn trust(trust: &Trust) -> TestCaseStatus {
    match trust.level {
        Level::Valid => TestCaseStatus::success(),
        Level::Bounded => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("latencies are bounds: {}", trust.reasons.join("\n")));
            status
        }
        Level::NotValid => unsuccessful(NonSuccessKind::Error, "not valid", &trust.reasons.join("\n")),
    }
}

/// Whether a limit was kept; it and the value that it is held against are those for people.
pub(crate) fn limit(judged: &Judged, (limit, value): (String, String)) -> TestCaseStatus {
    match judged.outcome {
        Standing::Met => TestCaseStatus::success(),
        Standing::Crossed => unsuccessful(NonSuccessKind::Failure, "crossed", &format!("{limit}: it was {value}")),
        Standing::Unknown => {
            unsuccessful(NonSuccessKind::Error, "unknown", &format!("{limit}: {}", judged.why_unknown()))
        }
    }
}

/// Whether every message was answered, in the warm-up too; what UDP loses is a result and fails nothing.
fn of_replies(run: &Report) -> TestCaseStatus {
    let mut what = wrong(&run.failing(), if run.is_unchecked() { "answered" } else { "verified" });
    if run.warmup_failing() > 0 {
        what.extend(words::warmup_errors(&run.warmup_errors));
    }
    told(what, &run.mismatches)
}

/// Whether every message was answered by its own reply.
pub(crate) fn verification(messages: &Messages, mismatches: &Mismatches) -> TestCaseStatus {
    told(wrong(messages, "verified"), mismatches)
}

/// What went wrong with the messages, those that went well being so called.
fn wrong(messages: &Messages, well: &str) -> Vec<String> {
    let Messages { sent, verified, corrupted, reordered, lost, unexpected, .. } = messages;
    let counts = format!("{lost} lost, {corrupted} corrupted, {reordered} reordered, {unexpected} unexpected");
    let what = format!("{verified} of {sent} messages {well}: {counts}");
    if messages.wrong() > 0 { vec![what] } else { Vec::new() }
}

fn told(mut what: Vec<String>, mismatches: &Mismatches) -> TestCaseStatus {
    if what.is_empty() {
        return TestCaseStatus::success();
    }
    what.extend(mismatches.sentences());
    unsuccessful(NonSuccessKind::Failure, "failed", &what.join("\n"))
}

fn lasted(run: &Report) -> Duration {
    Duration::try_from_secs_f64(run.load.duration_seconds).unwrap_or_default()
}
