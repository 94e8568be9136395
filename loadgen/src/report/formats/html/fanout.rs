//! A fan-out on a page: what became of the deliveries, when they came, and what disturbed them.

use maud::{Markup, html};

use super::{reasons, thresholds, times};
use crate::judge::held_threshold::show;
use crate::judge::outcome::Outcome;
use crate::measure::fanout_metric::FanoutMetric;
use crate::report::fanout::{FanoutReport, words};
use crate::units;

/// The report.
pub(super) fn section(report: &FanoutReport) -> Markup {
    let class = match report.outcome() {
        Outcome::Ok => "good",
        Outcome::Crossed | Outcome::Failed | Outcome::Usage => "bad",
        Outcome::Untrusted | Outcome::OutOfSight(_) | Outcome::Interrupted => "doubtful",
    };
    html! {
        section {
            div.title { h1 { "Fan-out" } span.badge.(class) { (words::verdict(report)) } }
            p.lead { (words::course(report).join(", ")) br; (report.target) }
            (reasons(&report.trust))
            (tiles(report))
            (thresholds(&report.thresholds, show::<FanoutMetric>))
            (times(&words::distributions(report)))
            div.panel {
                h3 { "Reach, counts, machine" }
                dl.facts {
                    @for (name, fact) in words::facts(report) { div { dt { (name) } dd { (fact) } } }
                    @for note in &report.trust.notes { div { dt { "note" } dd { (note) } } }
                }
            }
        }
    }
}

fn tiles(report: &FanoutReport) -> Markup {
    let by = |ns: Option<u64>| ns.map_or_else(|| "never".to_owned(), |ns| units::time(ns as f64));
    let tiles = [
        ("deliveries per second", units::number(report.deliveries_per_second)),
        ("came at all", report.reach.share.map_or_else(|| "-".to_owned(), units::percent)),
        ("half had come by", by(report.reach.p50)),
        ("99% had come by", by(report.reach.p99)),
        ("the last had come by", by(report.reach.last)),
    ];
    html! { dl.tiles { @for (name, value) in tiles { div { dt { (name) } dd { (value) } } } } }
}
