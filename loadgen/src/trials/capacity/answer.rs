//! What a search and its holdout come to: the answer, and what to know when reading it.

use super::Prober;
use super::holdout::{Ending, Held};
use crate::judge::capacity::{Found, Probe, Search, Verdict};
use crate::report::capacity::parts::{Answer, End, ProbeReport};
use crate::report::capacity::words::rate_of;
use crate::units;

/// The answer of a search that has `found` something, or ended before.
pub(super) fn of(prober: &Prober<'_>, found: Option<Found>, search: &Search, held: &Held) -> Answer {
    let so_far = search.so_far();
    let end = |rate: f64| {
        let own = prober.probes.iter().chain(&held.probes).filter(|probe| probe.offered_rate == rate);
        End::of(rate, &own.collect::<Vec<_>>())
    };
    let verdict = match found {
        _ if held.ending == Ending::NotKept => Verdict::Inconclusive,
        None => Verdict::Inconclusive,
        Some(Found::Bracket { .. }) => Verdict::Found,
        Some(Found::GeneratorLimited { .. } | Found::GeneratorLimitedFromStart) => Verdict::GeneratorLimited,
        Some(Found::BelowRange) => Verdict::BelowRange,
        Some(Found::AboveRange) => Verdict::AboveRange,
    };
    let sustains = match held.ending {
        Ending::NotKept => None,
        _ => held.rate.or(so_far.sustains),
    };
    let late_at = match found {
        Some(Found::GeneratorLimited { late_at, .. }) => Some(late_at),
        Some(Found::GeneratorLimitedFromStart) => Some(prober.experiment.limits.min_rate),
        _ => None,
    };
    let unfinished = found.is_none();
    Answer {
        verdict,
        sustains: sustains.map(end),
        breaks: so_far.breaks.map(end),
        why: why(prober, verdict, held, (so_far.breaks, late_at)),
        narrowed: unfinished.then(|| Prober::narrowed(search)),
        generator_late_at: late_at,
        stepped_down: held.stepped_down,
        needs_seconds: unfinished.then(|| more_seconds(prober, search)).flatten(),
    }
}

/// What to know when reading the answer.
pub(super) fn notes(prober: &Prober<'_>, search: &Search, held: &Held) -> Vec<String> {
    let mut notes = Vec::new();
    let starts = units::counted(prober.experiment.holdout.into(), "fresh start");
    match held.ending {
        Ending::CannotTell => notes.push(format!(
            "the generator was late too often to tell whether {starts} of the server keep the rate: it rests on one start"
        )),
        Ending::TimeOver => notes.push(format!(
            "the time was over before {starts} of the server could be held to the rate; see --max-time"
        )),
        Ending::None | Ending::Kept | Ending::NotKept => {}
    }
    if search.moved() {
        notes.push(
            "a rate broke a limit that is below one that kept all before: the capacity moved while it was looked for, or the \
             machine did"
                .to_owned(),
        );
    }
    if prober.is_url() && !held.probes.is_empty() {
        notes.push("a server given by its URL is not started anew: the holdout is of new connections to it".to_owned());
    }
    notes
}

/// Which limit was broken, or why there is no answer.
fn why(
    prober: &Prober<'_>,
    verdict: Verdict,
    held: &Held,
    (breaks, late_at): (Option<f64>, Option<f64>),
) -> Option<String> {
    if held.ending == Ending::NotKept {
        return Some(format!(
            "fresh starts of the server did not keep {} either: they differ by more than --precision",
            held.rate.map(rate_of).unwrap_or_default()
        ));
    }
    if prober.untold >= super::MOST_UNTOLD {
        return prober.probes.last().and_then(|probe| probe.why.clone());
    }
    let last = |tells: &dyn Fn(&ProbeReport) -> bool| {
        let probe = prober.probes.iter().rev().find(|probe| tells(probe))?;
        probe.why.as_ref().map(|why| format!("at {} {why}", rate_of(probe.offered_rate)))
    };
    match verdict {
        Verdict::Found | Verdict::BelowRange | Verdict::Inconclusive => {
            last(&|probe| probe.outcome == Probe::Failed && breaks.is_none_or(|rate| probe.offered_rate == rate))
        }
        Verdict::GeneratorLimited => {
            last(&|probe| probe.outcome == Probe::CannotTell && late_at.is_none_or(|rate| probe.offered_rate == rate))
        }
        Verdict::AboveRange => None,
    }
}

/// How much longer the search would take, at the length of its probes so far; `None` where more time would not help.
fn more_seconds(prober: &Prober<'_>, search: &Search) -> Option<f64> {
    let made = prober.probes.len();
    let each = match made {
        0 => prober.experiment.probe.as_secs_f64(),
        _ => prober.probes.iter().map(|probe| probe.seconds).sum::<f64>() / made as f64,
    };
    let seconds = f64::from(search.remaining()) * (each + prober.probe_took_more.as_secs_f64());
    (seconds > 0.0 && prober.untold < super::MOST_UNTOLD).then_some(seconds)
}
