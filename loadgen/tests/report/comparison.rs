//! What a comparison looks like in the formats for people, where it matters what its figures are: a real one, with figures that
//! are put into it.

use loadgen::judge::statistics::Change;
use loadgen::measure::metric::Metric;
use loadgen::report::comparison::{Comparison, Ended};
use loadgen::report::estimate::Shown;
use loadgen::report::formats::Format;
use loadgen::report::saved::Document;
use loadgen::report::warmup::{Study, Unsteady, UnsteadyKind, Warmup};
use loadgen::units;

use crate::binary::{comparison, loadgen};

/// A comparison of the embedded server with itself that was made.
fn made() -> Comparison {
    let flags = ["compare", "--aa", "-c", "4", "--max-time", "2s", "--gate", "server.cpu", "-q", "--format", "json"];
    comparison(&loadgen(&flags).wait(), 0)
}

fn rendered(comparison: &Comparison, format: &str) -> String {
    let document = Document::Comparison(Box::new(comparison.clone()));
    let parts = Format::named(format).unwrap().render(&document).unwrap();
    String::from_utf8(parts.into_iter().next().unwrap().content).unwrap()
}

/// The figure on the page whose title begins so.
fn figure(page: &str, title: &str) -> String {
    let figures = page.split("<figure>").skip(1).filter_map(|rest| rest.split("</figure>").next());
    let is_it = |figure: &&str| figure.contains(&format!("<h3>{title}"));
    figures.into_iter().find(is_it).unwrap_or_else(|| panic!("no figure {title} in {page}")).to_owned()
}

#[test]
fn the_page_scales_to_the_interval_and_counts_what_lies_beyond_it() {
    let mut report = made();
    let shown = report.metrics[0].shown.as_mut().unwrap();
    (shown.change, shown.low, shown.high) = (0.004, Some(-0.01), Some(0.018));
    // A busy machine has made few.
    let pair = report.starts[0].pairs[0].clone();
    report.starts[0].pairs.resize(10, pair);
    let pairs = report.starts.iter_mut().flat_map(|start| &mut start.pairs);
    for (number, pair) in pairs.enumerate() {
        // One costs B a thousand times as much, two a thousandth; the others nearly the same.
        let b = match number {
            0 => 1e6,
            1 | 2 => 1.0,
            _ => 1e3 + number as f64 % 10.0,
        };
        pair.a.insert(Metric::ServerCpu, 1e3);
        pair.b.insert(Metric::ServerCpu, b);
    }
    let count = report.starts.iter().map(|start| start.pairs.len()).sum::<usize>();
    let page = rendered(&report, "html");
    let figure = figure(&page, "server.cpu: B against A");
    let words = format!("Of {count} pairs, 1 lie above the picture and 2 below it; they stand at its rim.");
    assert!(figure.contains(&words), "{words} is missing in {figure}");
    // From the interval and the tolerance, and not from -99.9% to +99,900%.
    let labels = figure.split("</text>").filter_map(|before| before.rsplit('>').next());
    let ticks: Vec<f64> = labels.filter_map(|label| label.trim().strip_suffix('%')?.parse().ok()).collect();
    assert!(ticks.len() > 2 && ticks.iter().all(|tick: &f64| tick.abs() <= 4.0), "{ticks:?} in {figure}");
}

#[test]
fn the_page_has_a_picture_of_the_warm_up_of_each_server_that_was_looked_at() {
    let mut report = made();
    assert!(!rendered(&report, "html").contains("Warm-up of"), "nothing was looked at");
    let cost: Vec<f64> = (0..30).map(|slice| 1e4 * (1.0 + (-f64::from(slice) / 5.0).exp())).collect();
    let trends = Unsteady { kind: UnsteadyKind::Trends, figure: None, change: -0.2, level_after_seconds: None };
    let study = |server, settled_after_seconds: Option<f64>| Study {
        server,
        slice_seconds: 0.1,
        settled_after_seconds,
        unsteady: settled_after_seconds.is_none().then_some(trends),
        rate: vec![1e4; cost.len()],
        cost: cost.clone(),
    };
    let studies = vec![study(0, Some(1.5)), study(1, None), study(0, Some(0.0))];
    report.warmup = Some(Warmup { seconds: 2.0, max_seconds: Some(3.0), limit: None, studies });
    let page = rendered(&report, "html");
    let a = figure(&page, "Warm-up of A");
    assert!(
        a.contains("at its level after 1.50 s; at its level from the beginning.") && a.contains("the second"),
        "{a}"
    );
    let b = figure(&page, "Warm-up of B");
    assert!(b.contains("after each start: not settled.") && !b.contains("the second"), "{b}");
    // A line through all slices, in the wide picture and in the narrow one.
    let lines = |figure: &str| figure.split("<polyline").skip(1).filter(|line| line.matches(',').count() >= 30).count();
    assert_eq!((lines(&a), lines(&b)), (4, 2), "{a}\n{b}");
}

#[test]
fn what_ended_before_it_was_judged_is_said_so() {
    let mut report = made();
    report.metrics.iter_mut().for_each(|metric| metric.ruling = None);
    (report.ended, report.change) = (Ended::Interrupted, Change::Inconclusive);
    let text = rendered(&report, "text").split_whitespace().collect::<Vec<_>>().join(" ");
    let words = "inconclusive: it ended before its figures were judged for the first time; interrupted";
    assert!(text.contains(words), "{text}");
}

#[test]
fn formats_for_programs_tell_the_figures_and_the_interval_of_the_table() {
    let mut report = made();
    let metric = &mut report.metrics[0];
    (metric.a.median, metric.b.median) = (5_000.0, 6_000.0);
    metric.shown = Some(Shown { a: 1_000.0, b: 1_040.0, change: 0.04, low: Some(0.03), high: Some(0.05), error: 0.01 });
    report.metrics.truncate(1);
    let list: serde_json::Value = serde_json::from_str(&rendered(&report, "github-action-benchmark")).unwrap();
    assert_eq!(list[0]["value"], 1_040.0, "{list}");
    assert_eq!(list[0]["extra"], "A 1.00 us, change +4.00%, 99% interval +3.00%..+5.00%", "{list}");
    let openmetrics = rendered(&report, "openmetrics");
    for sample in [
        "fathom_compare_figure{metric=\"server-cpu\",side=\"a\",unit=\"ns/message\"} 1000.0",
        "fathom_compare_figure{metric=\"server-cpu\",side=\"b\",unit=\"ns/message\"} 1040.0",
        "fathom_compare_change_ratios{metric=\"server-cpu\",bound=\"estimate\"} 0.04",
        "fathom_compare_interval_error_ratios{metric=\"server-cpu\"} 0.01",
    ] {
        assert!(openmetrics.contains(sample), "{sample} is missing in\n{openmetrics}");
    }
}

#[test]
fn the_time_that_would_tell_is_one_figure_in_words_and_in_json() {
    let report = made();
    // A busy machine has made too few starts for a look.
    if report.metrics.iter().any(|metric| metric.ruling.is_some()) {
        let needs = report.repetition.unwrap().needs_seconds;
        let text = rendered(&report, "text");
        let told = needs.map(|seconds| format!("about {} in all would tell", units::seconds(seconds)));
        assert_eq!(text.contains(" in all would tell"), told.is_some(), "{needs:?} in\n{text}");
        assert!(told.is_none_or(|told| text.contains(&told)), "{needs:?} in\n{text}");
    }
}
