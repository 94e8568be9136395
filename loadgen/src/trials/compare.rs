//! `loadgen compare`: starts of both servers until every gated metric is decided or the time is up, and the report of
//! it. The statistics are `verdict`'s, the trials `trials`'s.

use std::mem;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::climbing::Climbs;
use super::compared::{Compared, Judged, asked, document};
use super::failure::replies_for;
use super::question::{Question, SoFar, Watchers};
use super::repetition;
use super::resumed::{Earlier, ResumeError, Saved};
use crate::host::cores::Cores;
use crate::host::interrupt::Interrupt;
use crate::judge::statistics::{Band, Judge, LOOKS};
use crate::measure::metric::Metric;
use crate::plan::Plan;
use crate::report::comparison::{Comparison, Ended};
use crate::report::repetition::{Repetition, forecast};
use crate::trials::course::{Arm, Course, Start, TrialError};
use crate::units;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The trials failed.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// What was saved cannot go on.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A metric that was to be judged is not there.
    #[error("--gate {0}: the servers' processes cannot be seen from here; expected servers on this machine")]
    NoProcess(Metric),
    /// Or there was not a reply to have figures of, or too few of them.
    #[error(
        "no pair of trials had a figure of {metric}, which takes {needs} in each: {lacks}; expected a longer --trial"
    )]
    NoFigures {
        /// The first of the metrics that lack figures.
        metric: Metric,
        /// The replies that a trial must have for it.
        needs: String,
        /// Which server lacks them, and how long its trials were.
        lacks: String,
    },
    /// Nothing was measured.
    #[error("interrupted before anything was measured")]
    Interrupted,
}

impl CompareError {
    /// Whether the user did not want to wait for it.
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::Trial(error) => error.is_interruption(),
            Self::Interrupted => true,
            Self::NoProcess(_) | Self::NoFigures { .. } | Self::Resume(_) => false,
        }
    }
}

/// Compares the second of `arms` with the first, going on from what was `saved`; `show` is told of the time that has passed
/// and of the starts so far, `say` what a verdict takes, once that is known.
///
/// # Errors
/// When trials cannot be made, a metric that is to be judged cannot be measured, or what was saved cannot go on.
pub fn run(
    question: &Question,
    arms: &[Arm; 2],
    saved: Option<Saved>,
    cores: &Cores,
    interrupt: &Interrupt,
    (show, say): Watchers<'_>,
) -> Result<Comparison, CompareError> {
    let plan = &arms[0].plan;
    let mut earlier = match saved {
        Some(saved) => Earlier::of(saved, &asked(question, arms), MOST_STARTS)?,
        None => Earlier::none(question.attempts),
    };
    let judged = question.gate.as_deref().unwrap_or_default();
    let mut course = Course::new(arms, judged, earlier.tempo(question.tempo), cores, interrupt);
    course.end_after(earlier.rest(question.tempo.max_time));
    course.climbs = question.capacity.clone().map(|limits| Climbs::new(limits, plan));
    let mut starts: Vec<Start> = mem::take(&mut earlier.starts);
    let before = starts.len();
    course.must_hold(question.needed().saturating_sub(before), question.tempo.max_time.as_secs_f64() * earlier.left());
    let mut trial: Option<Judged> = None;
    let mut repetition: Option<Repetition> = None;
    let lives = course.lives();
    let mut looks = LOOKS.into_iter().peekable();
    while looks.next_if(|due| *due <= earlier.part()).is_some() {}
    let (ended, part) = course.run(show, &mut |course, start| {
        if !start.rounds.is_empty() {
            starts.push(earlier.follow(start));
        }
        let interrupted = interrupt.flag().load(Ordering::Relaxed);
        if starts.len() == before {
            return Err(CompareError::Interrupted);
        }
        let over = course.is_over() || starts.len() >= MOST_STARTS;
        if trial.is_none() {
            let may_wait = course.may_be_answered(&starts[before..]) && !over && !interrupted;
            trial = match judge(question, plan, &earlier, &starts, (course.lengths().all(), may_wait)) {
                Err(CompareError::NoFigures { .. }) if may_wait => return Ok(None),
                judge => Some(judge?),
            };
        }
        let judged = trial.as_mut().expect("it is made with the first start");
        let so_far = SoFar { starts: &starts, before, left: earlier.left() };
        let planned = planned(question, &judged.gated, so_far, course, repetition, say);
        repetition = Some(planned);
        let part = if over { 1.0 } else { earlier.part_after(course.elapsed(), question.tempo.max_time) };
        let mut look = interrupted.then_some(part.min(1.0));
        while let Some(due) = looks.next_if(|due| *due <= part) {
            look = Some(due);
        }
        let too_short = question.is_too_short(&planned, so_far);
        // Where no verdict can come nothing is looked at, so that nothing of the error is spent.
        if let Some(part) = look.filter(|_| !too_short) {
            judged.look(earlier.look(part), &starts, lives);
        }
        let ended = match () {
            () if interrupted => Some(Ended::Interrupted),
            () if judged.judge.decided() && !question.aa => Some(Ended::Decided),
            // Also where one start has taken all of it.
            () if too_short => Some(Ended::TooShort),
            () if over => Some(Ended::MaxTime),
            () => None,
        };
        Ok::<_, CompareError>(ended.map(|ended| (ended, part)))
    })?;
    let judged = trial.expect("there was a start");
    Ok(document(question, plan, &course, Compared { earlier, before, ended, part, judged, starts, repetition }))
}

/// What a verdict takes, as the starts so far tell. It is said twice: once it is known what starts cost, and once it is known how
/// much they vary.
fn planned(
    question: &Question,
    gated: &[Metric],
    so_far: SoFar<'_>,
    course: &mut Course<'_>,
    last: Option<Repetition>,
    say: &mut dyn FnMut(&str),
) -> Repetition {
    let mut planned = repetition::plan(question, gated, so_far, course);
    if question.aa {
        // It ends with what it resolves, which its noise floor tells of each metric.
        planned.resolves = None;
    }
    if last.is_none_or(|last| last.resolves.is_some() != planned.resolves.is_some()) {
        say(&forecast(&planned, question.tempo.max_time.as_secs_f64()));
    }
    planned
}

/// The metrics that are judged, as in attempts before where there were any, and who judges them.
fn judge(
    question: &Question,
    plan: &Plan,
    earlier: &Earlier,
    starts: &[Start],
    (lengths, may_wait): (&[Duration], bool),
) -> Result<Judged, CompareError> {
    let gated = match &earlier.gated[..] {
        [] => gated(question, plan, starts, may_wait).map_err(|why| why.of(starts, lengths))?,
        before => before.to_vec(),
    };
    let (band, betters) = (Band::of(question.tolerance), gated.iter().map(|metric| metric.better()));
    let judge = Judge::new(question.aim(), question.alpha, band, betters);
    let mut stands_on = earlier.stands_on.clone();
    stands_on.resize(gated.len(), None);
    Ok(Judged { gated, judge: earlier.judge(judge), stands_on })
}

/// The metrics that are judged: those asked for, all of which must be there, or those of the load that are. One that is
/// missing may come with the next start if the comparison `may_wait` for it.
fn gated(question: &Question, plan: &Plan, starts: &[Start], may_wait: bool) -> Result<Vec<Metric>, Missing> {
    let there = |metric: Metric| match metric {
        // Resident memory grows in pages, and may not have grown yet.
        Metric::ConnectionMemory => there(Metric::ServerMemory, starts),
        metric => there(metric, starts),
    };
    let gate = question.gate.as_deref();
    let wanted = gate.unwrap_or(Metric::gated_by_default(&plan.load)).iter().copied();
    let (found, missing): (Vec<Metric>, Vec<Metric>) = wanted.partition(|metric| there(*metric));
    // A process that can be seen has memory at least; a trial on a busy machine may have no reply, and so no CPU time.
    let seen = there(Metric::ServerMemory);
    // What only the server's process tells is left out where nobody asked for it.
    let left_out = |metric: &Metric| gate.is_none() && metric.is_of_the_process() && !(seen && may_wait);
    match missing.iter().find(|metric| !left_out(metric)) {
        Some(metric) if metric.is_of_the_process() && !seen => Err(Missing::Process(*metric)),
        Some(metric) => Err(Missing::Figures(*metric)),
        None => Ok(found),
    }
}

/// Why a metric that is to be judged is not there.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Missing {
    /// The servers' processes cannot be seen.
    Process(Metric),
    /// No pair of trials had a figure of it.
    Figures(Metric),
}

impl Missing {
    /// The error, after these starts, whose trials were so long.
    fn of(self, starts: &[Start], lengths: &[Duration]) -> CompareError {
        let metric = match self {
            Self::Process(metric) => return CompareError::NoProcess(metric),
            Self::Figures(metric) => metric,
        };
        let lacks = |server: &usize| starts.iter().all(|start| start.figures(metric, *server).is_empty());
        let length = |server: usize| units::seconds(lengths[server].as_secs_f64());
        let lacking: Vec<String> = (0..2)
            .filter(lacks)
            .map(|server| format!("no trial of {} ({} long)", ["A", "B"][server], length(server)))
            .collect();
        let lacks = if lacking.is_empty() {
            "none had it of both servers".to_owned()
        } else {
            format!("{} had it", lacking.join(" and "))
        };
        CompareError::NoFigures { metric, needs: replies_for(metric), lacks }
    }
}

fn there(metric: Metric, starts: &[Start]) -> bool {
    starts.iter().any(|start| [0, 1].iter().all(|&server| !start.figures(metric, server).is_empty()))
}

/// Starts after which the time is up: their Walsh averages take 64 MB for each gated metric, and more starts than this
/// would tell apart servers that differ by less than anybody cares for.
const MOST_STARTS: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::trial::Figures;
    use crate::plan::tests::plan;
    use crate::trials::question::tests::question as asked;
    use crate::trials::start::tests::start as start_with;

    /// A start with one pair, in which the trials of both servers have these metrics, and the servers' lives those.
    fn start(trial: &[Metric], life: &[Metric]) -> Start {
        let figures = |metrics: &[Metric]| -> Figures { metrics.iter().map(|metric| (*metric, 1.0)).collect() };
        start_with([figures(trial), figures(trial)], [figures(life), figures(life)])
    }

    fn question(gate: Option<Metric>) -> Question {
        Question { gate: gate.map(|metric| vec![metric]), force: true, ..asked() }
    }

    #[test]
    fn what_a_busy_machine_left_out_is_waited_for_and_what_cannot_be_seen_is_not() {
        let (seen, without_cpu) = ([Metric::ServerMemory], [Metric::Throughput]);
        let (cpu, default) = (question(Some(Metric::ServerCpu)), question(None));
        let gated = |question: &Question, starts: &[Start], may_wait| gated(question, &plan(), starts, may_wait);
        let late = [start(&without_cpu, &seen)];
        for question in [&cpu, &default] {
            assert_eq!(gated(question, &late, true), Err(Missing::Figures(Metric::ServerCpu)));
        }
        // Nobody asked for it by name, and there is no time to wait.
        assert_eq!(gated(&default, &late, false).unwrap(), [Metric::Throughput]);
        assert_eq!(gated(&cpu, &late, false), Err(Missing::Figures(Metric::ServerCpu)));
        let lengths = [Duration::from_millis(10), Duration::from_millis(600)];
        let error = Missing::Figures(Metric::ServerCpu).of(&late, &lengths).to_string();
        assert!(error.contains("server.cpu, which takes a reply in each: no trial of A (10.0 ms long) and no trial of B (600 ms long) had it"), "{error}");
        let came = [start(&without_cpu, &seen), start(&[Metric::Throughput, Metric::ServerCpu], &seen)];
        assert_eq!(gated(&cpu, &came, true).unwrap(), [Metric::ServerCpu]);
        assert_eq!(gated(&default, &came, true).unwrap(), [Metric::Throughput, Metric::ServerCpu]);
        let elsewhere = [start(&without_cpu, &[])];
        assert_eq!(gated(&cpu, &elsewhere, true), Err(Missing::Process(Metric::ServerCpu)));
        assert_eq!(gated(&default, &elsewhere, true).unwrap(), [Metric::Throughput]);
    }
}
