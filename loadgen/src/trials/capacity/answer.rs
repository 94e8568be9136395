//! What a search and its holdout come to: the answer, and what to know when reading it.

use std::time::Duration;

use super::Experiment;
use super::holdout::{Ending, Held};
use crate::judge::capacity::{Bracket, Disturbance, Found, Probe, Search, Verdict, disturbance, late_from};
use crate::judge::trust::bounds::held_back;
use crate::plan::Plan;
use crate::report::capacity::parts::{Answer, End, Narrowed, ProbeReport};
use crate::report::capacity::words::rate_of;
use crate::units;

/// What is known once all is over.
pub(super) struct Told<'a> {
    /// What was asked.
    pub experiment: &'a Experiment,
    /// The probes of the search.
    pub probes: &'a [ProbeReport],
    /// What became of the fresh starts.
    pub held: &'a Held,
    /// What the search has found, if it came to its end.
    pub found: Option<Found>,
    /// Whether it did not because the time was over.
    pub is_over: bool,
    /// Whether it did not because probes had no value to hold against a limit.
    pub is_untold: bool,
    /// The plan of a probe, but for its load.
    pub plan: &'a Plan,
    /// Whether the server was given by its URL.
    pub is_url: bool,
    /// How long the last probe took beyond the time that it offered messages.
    pub probe_took_more: Duration,
}

/// Of the probes above what is proven to be sustained, how many broke a limit, and in how many the generator was too late to tell.
struct Above {
    failed: usize,
    late: usize,
}

/// The answer.
pub(super) fn of(told: &Told<'_>, search: &Search) -> Answer {
    let so_far = search.so_far();
    let end = |rate: f64| {
        let own = told.probes.iter().chain(&told.held.probes).filter(|probe| probe.offered_rate == rate);
        End::of(rate, &own.collect::<Vec<_>>())
    };
    let verdict = told.verdict(so_far);
    let late_at =
        (verdict == Verdict::GeneratorLimited).then(|| late_from(&told.made_above(so_far.sustains))).flatten();
    let narrowed = || {
        let (low, high) = search.narrowed();
        Narrowed { low, high }
    };
    let unfinished = told.found.is_none();
    Answer {
        verdict,
        sustains: told.sustains(so_far).map(end),
        breaks: so_far.breaks.map(end),
        why: told.why(verdict, so_far, late_at),
        narrowed: unfinished.then(narrowed),
        generator_late_at: late_at,
        stepped_down: told.held.stepped_down,
        needs_seconds: unfinished.then(|| told.more_seconds(search)).flatten(),
    }
}

/// What to know when reading the answer.
pub(super) fn notes(told: &Told<'_>, search: &Search) -> Vec<String> {
    let (mut notes, held) = (Vec::new(), told.held);
    let sustains = told.sustains(search.so_far());
    let starts = units::counted(told.experiment.holdout.into(), "fresh start");
    let not_held = told.is_over && sustains.is_some() && told.experiment.holdout > 0;
    match held.ending {
        Ending::CannotTell => notes.push(format!(
            "{LATE} too often to tell whether {starts} of the server keep the rate: it rests on one start"
        )),
        Ending::None if !not_held => {}
        Ending::TimeOver | Ending::None => notes
            .push(format!("the time was over before {starts} of the server could be held to the rate; see --max-time")),
        Ending::Kept | Ending::NotKept => {}
    }
    let Above { failed, late } = told.above(sustains);
    if told.is_over && late >= SOME && late > failed {
        let of = units::counted((failed + late) as u64, "probe");
        let above = sustains.map_or_else(String::new, |rate| format!(" above {}", rate_of(rate)));
        notes.push(format!(
            "{LATE} in {late} of {of}{above} that did not keep the limits, which tells nothing of the server: a generator \
             with more cores or a machine of its own, or a quieter machine, would tell"
        ));
    }
    notes.extend(told.late_between(search.so_far()));
    // Where lateness is what is told, what the kernel has in it is told too.
    if told.verdict(search.so_far()) == Verdict::GeneratorLimited || notes.iter().any(|note| note.starts_with(LATE)) {
        notes.extend(held_back(told.plan).map(str::to_owned));
    }
    let made = told.made_above(None);
    if let Some(Disturbance { kept, passed, below, broken, probes }) = disturbance(&made) {
        notes.push(format!(
            "the machine was disturbed, or the server changed: {broken} of {probes} probes at {} or less did not keep the limits, though {passed} at \
             {} or more did; a quieter machine would tell more, or a longer --max-time",
            rate_of(below),
            rate_of(kept)
        ));
    }
    if search.moved() {
        notes.push(
            "a rate broke a limit that is below one that kept all before: the capacity moved while it was looked for, or the \
             machine did"
                .to_owned(),
        );
    }
    if told.is_url && !held.probes.is_empty() {
        notes.push("a server given by its URL is not started anew: the holdout is of new connections to it".to_owned());
    }
    notes
}

impl Told<'_> {
    fn verdict(&self, so_far: Bracket) -> Verdict {
        match self.found {
            _ if self.held.ending == Ending::NotKept => Verdict::Inconclusive,
            None if self.was_generator_limited(so_far) => Verdict::GeneratorLimited,
            None => Verdict::Inconclusive,
            Some(Found::Bracket { .. }) => Verdict::Found,
            Some(Found::GeneratorLimited { .. } | Found::GeneratorLimitedFromStart) => Verdict::GeneratorLimited,
            Some(Found::BelowRange) => Verdict::BelowRange,
            Some(Found::AboveRange) => Verdict::AboveRange,
        }
    }

    /// Whether it was the generator that left no time to tell more: a rate is sustained, none is proven to break, and of the probes
    /// above it that did not pass most were late.
    fn was_generator_limited(&self, so_far: Bracket) -> bool {
        let Above { failed, late } = self.above(so_far.sustains);
        self.is_over && so_far.sustains.is_some() && so_far.breaks.is_none() && late >= SOME && late > failed
    }

    fn above(&self, sustains: Option<f64>) -> Above {
        let above = self.made_above(sustains);
        let of = |outcome| above.iter().filter(|probe| probe.1 == outcome).count();
        Above { failed: of(Probe::Failed), late: of(Probe::CannotTell) }
    }

    /// The rates of the probes above this one, and what they showed.
    fn made_above(&self, sustains: Option<f64>) -> Vec<(f64, Probe)> {
        let made = self.probes.iter().map(|probe| (probe.offered_rate, probe.outcome));
        made.filter(|probe| sustains.is_none_or(|rate| probe.0 > rate)).collect()
    }

    /// What kept two ends of the answer apart, where it was the generator.
    fn late_between(&self, so_far: Bracket) -> Option<String> {
        let (low, high) = (self.sustains(so_far)?, so_far.breaks?);
        let between = self.made_above(Some(low)).into_iter().filter(|probe| probe.0 < high);
        let (late, told): (Vec<_>, Vec<_>) = between.partition(|probe| probe.1 == Probe::CannotTell);
        (late.len() >= SOME && late.len() > told.len()).then(|| {
            format!(
                "{LATE} in {} of {} between {} and {}, which keeps the two apart: a generator with more cores or a \
                 machine of its own, or a quieter machine, would bring them closer",
                late.len(),
                units::counted((late.len() + told.len()) as u64, "probe"),
                rate_of(low),
                rate_of(high)
            )
        })
    }

    /// The rate that is sustained: what fresh starts were held to, or what the search has proven.
    fn sustains(&self, so_far: Bracket) -> Option<f64> {
        match self.held.ending {
            Ending::NotKept => None,
            _ => self.held.rate.or(so_far.sustains),
        }
    }

    /// Which limit was broken, or why there is no answer.
    fn why(&self, verdict: Verdict, so_far: Bracket, late_at: Option<f64>) -> Option<String> {
        if self.held.ending == Ending::NotKept {
            return Some(format!(
                "fresh starts of the server did not keep {} either: they differ by more than --precision",
                self.held.rate.map(rate_of).unwrap_or_default()
            ));
        }
        if self.is_untold {
            return self.probes.last().and_then(|probe| probe.why.clone());
        }
        let last = |probes: &[ProbeReport], outcome, rate: Option<f64>| {
            let tells =
                |probe: &&ProbeReport| probe.outcome == outcome && rate.is_none_or(|rate| probe.offered_rate == rate);
            let probe = probes.iter().rev().find(tells)?;
            probe.why.as_ref().map(|why| format!("at {} {why}", rate_of(probe.offered_rate)))
        };
        match verdict {
            // It is fresh starts that did not keep the lowest rate.
            Verdict::BelowRange if so_far.breaks.is_none_or(|rate| rate > self.experiment.limits.min_rate) => {
                last(&self.held.probes, Probe::Failed, None).map(|why| format!("on a fresh start, {why}"))
            }
            Verdict::Found | Verdict::BelowRange | Verdict::Inconclusive => {
                last(self.probes, Probe::Failed, so_far.breaks)
            }
            Verdict::GeneratorLimited => last(self.probes, Probe::CannotTell, late_at),
            Verdict::AboveRange => None,
        }
    }

    /// How much longer the search would take, at the length of its probes so far; `None` where more time would not help.
    fn more_seconds(&self, search: &Search) -> Option<f64> {
        let made = self.probes.len();
        let each = match made {
            0 => self.experiment.probe.as_secs_f64(),
            _ => self.probes.iter().map(|probe| probe.seconds).sum::<f64>() / made as f64,
        };
        let seconds = f64::from(search.remaining()) * (each + self.probe_took_more.as_secs_f64());
        (seconds > 0.0 && !self.is_untold).then_some(seconds)
    }
}

/// What a note of a late generator begins with.
const LATE: &str = "the generator was late";

/// Of fewer late probes nothing is made.
const SOME: usize = 3;

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
