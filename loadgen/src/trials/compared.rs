//! The report of a comparison, from what its starts have come to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use super::contrast::{Contrast, log_ratios as log_ratios_of};
use super::course::Course;
use super::notes;
use super::question::Question;
use super::start::{Lives, Round, Start};
use crate::host::environment::Environment;
use crate::judge::statistics::{self, Band, Change, Judge, LOOKS, Ruling, Sample};
use crate::judge::trust;
use crate::measure::counts::Messages;
use crate::measure::metric::Metric;
use crate::measure::trial::{Figures, Trial};
use crate::plan::Plan;
use crate::report::comparison::{
    CompareSchema, Comparison, Ended, MetricReport, PairReport, Rules, RulingReport, Side, StartReport, Which,
};
use crate::report::estimate::{Estimate, Shown, Spread, share};
use crate::report::repetition::{self, Repetition};

/// What a comparison has come to.
pub(super) struct Compared {
    /// When it began.
    pub began_at: SystemTime,
    /// What ended it.
    pub ended: Ended,
    /// The metrics that are judged.
    pub gated: Vec<Metric>,
    /// What is said of them.
    pub judge: Judge,
    /// All that was measured.
    pub starts: Vec<Start>,
    /// What was known at the end of how trials are shared out.
    pub repetition: Option<Repetition>,
}

/// The report.
pub(super) fn document(question: &Question, plan: &Plan, course: &Course<'_>, compared: Compared) -> Comparison {
    let Compared { began_at, ended, gated, judge, starts, repetition } = compared;
    let lives = course.lives();
    let rulings: BTreeMap<Metric, Option<Ruling>> = gated.iter().copied().zip(judge.rulings()).collect();
    let elapsed_seconds = course.elapsed().as_secs_f64();
    let max_time = question.tempo.max_time.as_secs_f64();
    let times = max_time / elapsed_seconds.min(max_time);
    let mut metrics: Vec<MetricReport> = measured(&starts)
        .chain(gated)
        .collect::<BTreeSet<Metric>>()
        .into_iter()
        .filter_map(|metric| {
            let ruling = rulings.get(&metric).copied();
            report(metric, ruling, rulings.len(), question, (&starts, lives), elapsed_seconds, times)
        })
        .collect();
    metrics.sort_by_key(|metric| !metric.gated);
    let change = metrics.iter().filter_map(|metric| Some(metric.ruling?.change)).max().unwrap_or(Change::Inconclusive);
    let mut trust = trust::of_paired_trials([0, 1].map(|i| (["A", "B"][i], plan, trials(i, &starts))))
        .of_trials_with(course.withheld());
    trust.notes.extend(notes::of(course, &starts, |server| ["A", "B"][server].to_owned()));
    trust.notes.extend(repetition.as_ref().and_then(repetition::choice));
    Comparison {
        schema: CompareSchema::V1,
        began_at,
        ended,
        aa: question.aa,
        change,
        trust,
        ends_at: Some(course.ends_at()),
        a: side(0, &starts),
        b: side(1, &starts),
        rules: rules(question, course),
        warmup: Some(course.warmup()),
        repetition,
        elapsed_seconds,
        metrics,
        starts: starts.into_iter().map(start_report).collect(),
        environment: Environment::collect(plan, None, None),
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

fn report(
    metric: Metric,
    ruling: Option<Option<Ruling>>,
    gates: usize,
    question: &Question,
    (starts, lives): (&[Start], Lives),
    elapsed: f64,
    times: f64,
) -> Option<MetricReport> {
    let log_ratios = log_ratios_of(&Contrast::between(1, 0), metric, starts, lives);
    if log_ratios.is_empty() && ruling.is_none() {
        return None;
    }
    let spread = |server: usize| Spread::of(starts.iter().flat_map(|start| start.figures(metric, server)).collect());
    let sample = Sample::new(&log_ratios);
    // The last look has about half of the error.
    let last = question.alpha * (1.0 - LOOKS[LOOKS.len() - 2].powi(3)) / gates as f64;
    let max_time = question.tempo.max_time.as_secs_f64();
    let undecided = ruling.flatten().filter(|ruling| ruling.change == Change::Inconclusive);
    let (band, aim) = (Band::of(question.tolerance), question.aim());
    let more = undecided.and_then(|_| statistics::times_more(&sample, last, band, aim, metric.better()));
    let middle = Sample::new(&log_ratios_of(&Contrast::middle_of(0, 1), metric, starts, lives)).estimate();
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

fn rules(question: &Question, course: &Course<'_>) -> Rules {
    let Question { tempo, alpha, tolerance, fail_on_regression, allow_inconclusive, require_conclusive, .. } =
        *question;
    Rules {
        alpha,
        tolerance,
        trial_seconds: tempo.trial.as_secs_f64(),
        settle_seconds: tempo.settle.as_secs_f64(),
        restart_every: course.rounds(),
        max_time_seconds: tempo.max_time.as_secs_f64(),
        seed: tempo.seed,
        fail_on_regression,
        require_conclusive,
        allow_inconclusive: allow_inconclusive || !(fail_on_regression || require_conclusive),
    }
}

fn start_report(start: Start) -> StartReport {
    let pair = |round: Round| {
        let mut trials = round.trials.into_iter().map(|trial| trial.figures);
        let mut next = || trials.next().unwrap_or_default();
        let first = if round.order[0] == 0 { Which::A } else { Which::B };
        PairReport { at_seconds: round.at_seconds, first, a: next(), b: next() }
    };
    let mut lives = start.lives.into_iter().map(|life| life.figures);
    let mut next = || -> Figures { lives.next().unwrap_or_default() };
    StartReport {
        at_seconds: start.at_seconds,
        a: next(),
        b: next(),
        pairs: start.rounds.into_iter().map(pair).collect(),
    }
}
