//! The sweep as JUnit's XML: a test case for trust and one for the replies of each combination. What a flag is worth is no
//! test, and how the rate grows along it a property.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use crate::measure::counts::Messages;
use crate::report::datagrams::lost;
use crate::report::formats::junit::run::{serialize, trust, unsuccessful, verification};
use crate::report::sweep::{Sweep, words};

/// The sweep as JUnit XML.
pub fn render(sweep: &Sweep) -> Vec<u8> {
    let lasted = Duration::try_from_secs_f64(sweep.elapsed_seconds).unwrap_or_default();
    let mut suite = TestSuite::new("sweep");
    suite.set_time(lasted);
    for along in &sweep.scaling {
        let said = along.scalability.in_words(along.of).join("; ");
        suite.add_property((format!("scaling along {}", along.name).as_str(), said.as_str()));
    }
    let mut case = |name: &str, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname("loadgen.sweep").set_time(Duration::ZERO);
        suite.add_test_case(case);
    };
    case("figures to be trusted", trust(&sweep.trust));
    if let Some(why) = words::ended_too_short(sweep) {
        case("time enough to tell an effect", unsuccessful(NonSuccessKind::Failure, "inconclusive", &why));
    }
    for arm in &sweep.arms {
        // What UDP loses is a result and fails nothing.
        let lost = arm.messages.lost.saturating_sub(lost([arm.datagrams]));
        case(
            &format!("every reply verified: {}", words::settings(arm)),
            verification(&Messages { lost, ..arm.messages }, &Default::default()),
        );
    }
    let mut suites = Suites::new("loadgen");
    suites.set_time(lasted).add_test_suite(suite);
    serialize(&suites)
}
