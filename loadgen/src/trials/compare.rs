//! `loadgen compare`: starts of both servers until every gated metric is decided or the time is up, and the report of
//! it. The statistics are `verdict`'s, the trials `trials`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::contrast::{self, Contrast};
use crate::host::cores::Cores;
use crate::host::environment::Environment;
use crate::host::interrupt::Interrupt;
use crate::judge::statistics::{self, Aim, Band, Change, Judge, LOOKS, Ruling, Sample};
use crate::judge::trust;
use crate::measure::counts::Messages;
use crate::measure::metric::Metric;
use crate::measure::trial::Trial;
use crate::plan::Plan;
use crate::report::comparison::{CompareSchema, Comparison, Ended, MetricReport, Rules, RulingReport, Side};
use crate::report::estimate::{Estimate, Shown, Spread, share};
use crate::trials::course::{Arm, Course, STARTS_FOR_A_REPLY, Start, Tempo, TrialError};
use crate::trials::resumed::{Asked, Earlier, ResumeError, Saved, start_report};

/// What a comparison is to find out.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// How trials follow each other.
    pub tempo: Tempo,
    /// The metrics to judge; `None` for those that the load is usually judged by.
    pub gate: Option<Vec<Metric>>,
    /// The chance of a wrong verdict, over all attempts.
    pub alpha: f64,
    /// Attempts that share it: this one, and those that may go on from what was saved.
    pub attempts: u32,
    /// Changes up to this share either way do not matter.
    pub tolerance: f64,
    /// Whether B is A once more; then it takes all its time, whatever is decided.
    pub aa: bool,
    /// Whether a regression fails the command: then it is asked whether B is worse by more than the tolerance, and else
    /// whether it differs by more.
    pub fail_on_regression: bool,
    /// Whether an inconclusive metric passes where a regression fails the command.
    pub allow_inconclusive: bool,
    /// Whether an inconclusive metric fails it.
    pub require_conclusive: bool,
}

impl Question {
    fn aim(&self) -> Aim {
        if self.fail_on_regression { Aim::Worse } else { Aim::Changed }
    }
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The trials failed.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// A metric that was to be judged is not there.
    #[error("--gate {0}: the servers' processes cannot be seen from here; expected servers on this machine")]
    NoProcess(Metric),
    /// Or there was not a reply to have figures of, or too few of them.
    #[error(
        "no trial of both servers had a reply, or replies enough for a percentile that is judged: there is nothing to judge; \
         expected a longer --trial"
    )]
    NoFigures,
    /// The saved comparison cannot go on.
    #[error(transparent)]
    Resume(#[from] ResumeError),
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
            Self::NoProcess(_) | Self::NoFigures | Self::Resume(_) => false,
        }
    }
}

/// Compares the second of `arms` with the first, going on from what was `saved`; `show` is told of the time that has passed and of the starts so far.
///
/// # Errors
/// When trials cannot be made, a metric that is to be judged cannot be measured, or what was saved cannot go on.
pub fn run(
    question: &Question,
    arms: &[Arm; 2],
    saved: Option<Saved>,
    cores: &Cores,
    interrupt: &Interrupt,
    show: &mut dyn FnMut(Duration, usize),
) -> Result<Comparison, CompareError> {
    let plan = &arms[0].plan;
    let mut earlier = match saved {
        Some(saved) => Earlier::of(saved, &asked(question, arms), MOST_STARTS)?,
        None => Earlier::none(question.attempts),
    };
    let judged = question.gate.as_deref().unwrap_or_default();
    let mut course = Course::new(arms, judged, earlier.tempo(question.tempo), cores, interrupt);
    let mut starts: Vec<Start> = mem::take(&mut earlier.starts);
    let before = starts.len();
    let mut trial: Option<(Vec<Metric>, Judge)> = None;
    let mut looks = LOOKS.into_iter().peekable();
    while looks.next_if(|due| *due <= earlier.part()).is_some() {}
    let (ended, part) = loop {
        let start = earlier.follow(course.start(&mut |elapsed| show(elapsed, starts.len()))?);
        if !start.rounds.is_empty() {
            starts.push(start);
        }
        let interrupted = interrupt.flag().load(Ordering::Relaxed);
        if starts.len() == before {
            return Err(CompareError::Interrupted);
        }
        let over = course.is_over() || starts.len() >= MOST_STARTS;
        if trial.is_none() {
            // A figure that is missing may be the machine's fault, once or twice.
            let may_wait = starts.len() - before < STARTS_FOR_A_REPLY && !over && !interrupted;
            let gated = match gated(question, plan, &starts, may_wait) {
                _ if !earlier.gated.is_empty() => earlier.gated.clone(),
                Err(CompareError::NoFigures) if may_wait => continue,
                gated => gated?,
            };
            let (band, betters) = (Band::of(question.tolerance), gated.iter().map(|metric| metric.better()));
            let judge = Judge::new(question.aim(), question.alpha, band, betters);
            trial = Some((gated, earlier.judge(judge)));
        }
        let (gated, judge) = trial.as_mut().expect("it is made with the first start");
        let part = if over { 1.0 } else { earlier.part_after(course.elapsed(), question.tempo.max_time) };
        let mut look = interrupted.then_some(part.min(1.0));
        while let Some(due) = looks.next_if(|due| *due <= part) {
            look = Some(due);
        }
        if let Some(part) = look {
            let samples: Vec<Sample> = gated.iter().map(|metric| Sample::new(&log_ratios(*metric, &starts))).collect();
            judge.look(earlier.look(part), &samples);
        }
        match () {
            () if interrupted => break (Ended::Interrupted, part),
            () if judge.decided() && !question.aa => break (Ended::Decided, part),
            () if over => break (Ended::MaxTime, part),
            () => {}
        }
    };
    let (gated, judge) = trial.expect("there was a start");
    Ok(document(question, plan, &course, Compared { earlier, before, ended, part, gated, judge, starts }))
}

/// What a comparison has come to.
struct Compared {
    earlier: Earlier,
    /// Starts of attempts before.
    before: usize,
    ended: Ended,
    /// The part of this attempt's time that had passed when it ended.
    part: f64,
    gated: Vec<Metric>,
    judge: Judge,
    starts: Vec<Start>,
}

fn document(question: &Question, plan: &Plan, course: &Course<'_>, compared: Compared) -> Comparison {
    let Compared { earlier, before, ended, part, gated, judge, starts } = compared;
    let attempts = earlier.report(ended, part);
    let rulings: BTreeMap<Metric, Option<Ruling>> = gated.iter().copied().zip(judge.rulings()).collect();
    let elapsed_seconds = earlier.seconds + course.elapsed().as_secs_f64();
    let max_time = question.tempo.max_time.as_secs_f64() * f64::from(attempts.made);
    let times = max_time / elapsed_seconds.min(max_time);
    let mut metrics: Vec<MetricReport> = measured(&starts)
        .chain(gated)
        .collect::<BTreeSet<Metric>>()
        .into_iter()
        .filter_map(|metric| {
            report(metric, rulings.get(&metric).copied(), rulings.len(), question, &starts, elapsed_seconds, times)
        })
        .collect();
    metrics.sort_by_key(|metric| !metric.gated);
    let change = metrics.iter().filter_map(|metric| Some(metric.ruling?.change)).max().unwrap_or(Change::Inconclusive);
    // Earlier attempts were judged by the same rules when they ended; those of which they were not true cannot go on.
    let mut trust = trust::of_paired_trials([0, 1].map(|i| (["A", "B"][i], plan, trials(i, &starts[before..]))))
        .of_trials_with(course.withheld());
    let new = earlier.notes.into_iter().filter(|note| !trust.notes.contains(note)).collect::<Vec<_>>();
    trust.notes.extend(new);
    Comparison {
        schema: CompareSchema::V1,
        began_at: earlier.began_at,
        ended,
        aa: question.aa,
        change,
        trust,
        ends_at: Some(course.ends_at()),
        a: side(0, &starts),
        b: side(1, &starts),
        rules: rules(question),
        elapsed_seconds,
        attempts: (attempts.announced > 1).then_some(attempts),
        metrics,
        starts: starts.into_iter().map(start_report).collect(),
        environment: Environment::collect(plan, None, None),
    }
}

/// What a saved comparison must have asked as well.
fn asked(question: &Question, arms: &[Arm; 2]) -> Asked {
    Asked {
        targets: [0, 1].map(|i| arms[i].spec.to_string()),
        aa: question.aa,
        rules: rules(question),
        attempts: question.attempts,
        gate: question.gate.clone(),
        environment: Environment::collect(&arms[0].plan, None, None),
    }
}

/// The metrics that a trial or a start has a figure of.
fn measured(starts: &[Start]) -> impl Iterator<Item = Metric> {
    starts.iter().flat_map(|start| {
        let trials = start.rounds.iter().flat_map(|round| &round.trials).map(|trial| &trial.figures);
        let lives = start.lives.iter().map(|life| &life.figures);
        trials.chain(lives).flat_map(|figures| figures.keys().copied())
    })
}

/// The metrics that are judged: those asked for, all of which must be there, or those of the load that are. One that is
/// missing may come with the next start if the comparison `may_wait` for it.
fn gated(question: &Question, plan: &Plan, starts: &[Start], may_wait: bool) -> Result<Vec<Metric>, CompareError> {
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
        Some(metric) if metric.is_of_the_process() && !seen => Err(CompareError::NoProcess(*metric)),
        Some(_) => Err(CompareError::NoFigures),
        None => Ok(found),
    }
}

fn there(metric: Metric, starts: &[Start]) -> bool {
    starts.iter().any(|start| [0, 1].iter().all(|&server| !start.figures(metric, server).is_empty()))
}

/// The log ratios B/A, one for each start: its pairs share the servers' memory layout, so that all of them together are
/// one observation. It is their Hodges-Lehmann estimate, which a disturbed trial hardly moves.
pub fn log_ratios(metric: Metric, starts: &[Start]) -> Vec<f64> {
    contrast::log_ratios(&Contrast::between(1, 0), metric, starts)
}

fn report(
    metric: Metric,
    ruling: Option<Option<Ruling>>,
    gates: usize,
    question: &Question,
    starts: &[Start],
    elapsed: f64,
    times: f64,
) -> Option<MetricReport> {
    let log_ratios = log_ratios(metric, starts);
    if log_ratios.is_empty() && ruling.is_none() {
        return None;
    }
    let spread = |server: usize| Spread::of(starts.iter().flat_map(|start| start.figures(metric, server)).collect());
    let sample = Sample::new(&log_ratios);
    // The last look of an attempt has about half of its error.
    let last = question.alpha / f64::from(question.attempts) * (1.0 - LOOKS[LOOKS.len() - 2].powi(3)) / gates as f64;
    let max_time = question.tempo.max_time.as_secs_f64();
    let undecided = ruling.flatten().filter(|ruling| ruling.change == Change::Inconclusive);
    let (band, aim) = (Band::of(question.tolerance), question.aim());
    let more = undecided.and_then(|_| statistics::times_more(&sample, last, band, aim, metric.better()));
    let middle = Sample::new(&contrast::log_ratios(&Contrast::middle_of(0, 1), metric, starts)).estimate();
    Some(MetricReport {
        metric,
        unit: metric.unit().in_words().to_owned(),
        better: metric.better(),
        gated: ruling.is_some(),
        a: spread(0),
        b: spread(1),
        estimate: Estimate::of(&sample),
        shown: middle.and_then(|middle| match ruling.flatten() {
            Some(ruling) => Shown::of(middle, ruling.estimate?, ruling.interval, ruling.level),
            None => Shown::of_sample(middle, &sample),
        }),
        ruling: ruling.flatten().map(|ruling| RulingReport {
            change: ruling.change,
            p_value: ruling.p_value,
            level: ruling.level,
            low: share(ruling.interval.low),
            high: share(ruling.interval.high),
            at_seconds: (ruling.part * max_time).min(elapsed),
        }),
        more_seconds: more.map(|times| ((times - 1.0) * elapsed).max(0.0)),
        resolution: statistics::resolution(&sample, last, times).map(f64::exp_m1),
        log_ratios,
    })
}

fn trials(server: usize, starts: &[Start]) -> impl Iterator<Item = &Trial> {
    starts.iter().flat_map(|start| &start.rounds).map(move |round| &round.trials[server])
}

fn side(server: usize, starts: &[Start]) -> Side {
    let first = &starts[0].lives[server];
    let mut messages = Messages::default();
    starts.iter().for_each(|start| messages += start.lives[server].messages);
    Side { target: first.target.clone(), server_config: first.config.clone(), messages }
}

fn rules(question: &Question) -> Rules {
    let Question { tempo, alpha, tolerance, fail_on_regression, allow_inconclusive, require_conclusive, .. } =
        *question;
    Rules {
        alpha,
        tolerance,
        trial_seconds: tempo.trial.as_secs_f64(),
        settle_seconds: tempo.settle.as_secs_f64(),
        restart_every: tempo.restart_every,
        max_time_seconds: tempo.max_time.as_secs_f64(),
        seed: tempo.seed,
        fail_on_regression,
        require_conclusive,
        allow_inconclusive: allow_inconclusive || !(fail_on_regression || require_conclusive),
    }
}

/// Starts after which the time is up: their Walsh averages take 64 MB for each gated metric, and more starts than this
/// would tell apart servers that differ by less than anybody cares for.
const MOST_STARTS: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::trial::Figures;
    use crate::plan::tests::plan;
    use crate::trials::course::{Life, Round};

    /// A start with one pair, in which the trials of both servers have these metrics, and the servers' lives those.
    fn start(trial: &[Metric], life: &[Metric]) -> Start {
        let figures = |metrics: &[Metric]| -> Figures { metrics.iter().map(|metric| (*metric, 1.0)).collect() };
        let trial = Trial { figures: figures(trial), ..Trial::default() };
        let life =
            || Life { target: String::new(), config: None, figures: figures(life), messages: Messages::default() };
        let round = Round { at_seconds: 0.0, order: vec![0, 1], trials: vec![trial.clone(), trial] };
        Start { at_seconds: 0.0, rounds: vec![round], lives: vec![life(), life()] }
    }

    fn question(gate: Option<Metric>) -> Question {
        let tempo = Tempo {
            trial: Duration::from_millis(10),
            settle: Duration::ZERO,
            restart_every: 1,
            max_time: Duration::from_secs(1),
            seed: 1,
        };
        Question {
            tempo,
            gate: gate.map(|metric| vec![metric]),
            alpha: 0.01,
            attempts: 1,
            tolerance: 0.02,
            aa: false,
            fail_on_regression: false,
            allow_inconclusive: false,
            require_conclusive: false,
        }
    }

    #[test]
    fn what_a_busy_machine_left_out_is_waited_for_and_what_cannot_be_seen_is_not() {
        let (seen, without_cpu) = ([Metric::ServerMemory], [Metric::Throughput]);
        let (cpu, default) = (question(Some(Metric::ServerCpu)), question(None));
        let gated = |question: &Question, starts: &[Start], may_wait| gated(question, &plan(), starts, may_wait);
        let late = [start(&without_cpu, &seen)];
        for question in [&cpu, &default] {
            assert!(matches!(gated(question, &late, true), Err(CompareError::NoFigures)));
        }
        // Nobody asked for it by name, and there is no time to wait.
        assert_eq!(gated(&default, &late, false).unwrap(), [Metric::Throughput]);
        assert!(matches!(gated(&cpu, &late, false), Err(CompareError::NoFigures)));
        let came = [start(&without_cpu, &seen), start(&[Metric::Throughput, Metric::ServerCpu], &seen)];
        assert_eq!(gated(&cpu, &came, true).unwrap(), [Metric::ServerCpu]);
        assert_eq!(gated(&default, &came, true).unwrap(), [Metric::Throughput, Metric::ServerCpu]);
        let elsewhere = [start(&without_cpu, &[])];
        assert!(matches!(gated(&cpu, &elsewhere, true), Err(CompareError::NoProcess(Metric::ServerCpu))));
        assert_eq!(gated(&default, &elsewhere, true).unwrap(), [Metric::Throughput]);
    }
}
