//! The comparison as JUnit's XML: a test case for trust and for each gated metric.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Suites, TestCase, TestCaseStatus, TestSuite};

use crate::judge::statistics::Change;
use crate::report::comparison::Comparison;
use crate::report::formats::junit::run::{serialize, trust, unsuccessful};
use crate::report::formats::text::comparison as text;

/// The comparison as JUnit XML. A regression is a failure; what is inconclusive is one of type `inconclusive`, or
/// skipped where that is allowed.
pub fn render(comparison: &Comparison) -> Vec<u8> {
    let lasted = Duration::try_from_secs_f64(comparison.elapsed_seconds).unwrap_or_default();
    let mut suite = TestSuite::new("compare");
    suite.set_time(lasted);
    suite.add_property(("a", comparison.a.target.as_str()));
    suite.add_property(("b", comparison.b.target.as_str()));
    let mut case = |name: &str, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname("loadgen.compare").set_time(Duration::ZERO);
        suite.add_test_case(case);
    };
    case("figures to be trusted", trust(&comparison.trust));
    for metric in comparison.metrics.iter().filter(|metric| metric.gated) {
        let [a, b, change, ..] = text::cells(metric);
        let called = metric.ruling.map_or(Change::Inconclusive, |ruling| ruling.change);
        let is_open = comparison.open().any(|open| open.metric == metric.metric);
        let tells = is_open.then(|| text::what_would_tell(comparison)).flatten();
        let tells = tells.map(|tells| format!("; {tells}")).unwrap_or_default();
        // Nothing was looked at where there is no ruling; why not is what the comparison as a whole says.
        let why = metric.ruling.map_or_else(|| text::verdict(comparison), |_| text::reason(comparison, metric));
        let what = format!("{a} to {b}, {change}: {why}{tells}");
        let status = match called {
            Change::Equivalent | Change::Improved | Change::NotWorse => TestCaseStatus::success(),
            Change::Regressed => unsuccessful(NonSuccessKind::Failure, "regressed", &what),
            Change::Inconclusive if comparison.inconclusive_fails() => {
                unsuccessful(NonSuccessKind::Failure, "inconclusive", &what)
            }
            Change::Inconclusive => {
                let mut skipped = TestCaseStatus::skipped();
                skipped.set_message(what);
                skipped
            }
        };
        case(&metric.metric.older_name(), status);
    }
    let mut suites = Suites::new("loadgen");
    suites.set_time(lasted).add_test_suite(suite);
    serialize(&suites)
}
