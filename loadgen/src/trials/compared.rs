//! The report of a comparison, from what its starts have come to.

use std::collections::{BTreeMap, BTreeSet};

use super::climbing::Climbs;
use super::contrast::{Contrast, log_ratios as log_ratios_of};
use super::course::Course;
use super::notes;
use super::question::Question;
use super::repetition::kind;
use super::resumed::{Asked, Earlier, start_report};
use super::start::{Lives, Start};
use super::tempo::Restarts;
use super::up::Arm;
use crate::host::environment::Environment;
use crate::judge::statistics::{self, Band, Change, Judge, Ruling, Sample};
use crate::judge::trust::{self, Level};
use crate::measure::counts::Messages;
use crate::measure::metric::Metric;
use crate::measure::trial::Trial;
use crate::plan::Plan;
use crate::report::TlsReport;
use crate::report::comparison::{CompareSchema, Comparison, Ended, MetricReport, Rules, RulingReport, Side};
use crate::report::estimate::{Estimate, Shown, Spread, share};
use crate::report::repetition::{self, Repetition};

/// What a comparison has come to.
pub(super) struct Compared {
    /// What came before this attempt.
    pub earlier: Earlier,
    /// Starts of attempts before.
    pub before: usize,
    /// What ended it.
    pub ended: Ended,
    /// The part of this attempt's time that had passed when it ended.
    pub part: f64,
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
    let Compared { mut earlier, before, ended, part, gated, judge, starts, repetition } = compared;
    let mut tls = std::mem::take(&mut earlier.tls);
    tls.iter_mut().zip(&course.tls).for_each(|(all, more)| *all += more.clone());
    let (lives, attempts) = (course.lives(), earlier.report(ended, part));
    let rulings: BTreeMap<Metric, Option<Ruling>> = gated.iter().copied().zip(judge.rulings()).collect();
    let elapsed_seconds = earlier.seconds + course.elapsed().as_secs_f64();
    let max_time = question.tempo.max_time.as_secs_f64() * f64::from(attempts.made);
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
    let mut trust = trust::of_paired_trials([0, 1].map(|i| (["A", "B"][i], plan, trials(i, &starts[before..]))))
        .of_trials_with(course.withheld());
    // Earlier attempts were judged by the same rules when they ended; those that were not valid cannot go on.
    trust.notes.extend(notes::of(course, &starts[before..], |server| ["A", "B"][server].to_owned()));
    trust.notes.extend(repetition.as_ref().and_then(repetition::choice));
    if let Some(why) = course.climbs.as_ref().and_then(Climbs::distrust) {
        trust.level = Level::NotValid;
        trust.reasons.push(why);
    }
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
        a: side(0, &starts, TlsReport::of(&plan.connect.tls, &tls[0])),
        b: side(1, &starts, TlsReport::of(&plan.connect.tls, &tls[1])),
        rules: rules(question, course.rounds()),
        slos: question.capacity.iter().flat_map(|limits| &limits.slos).map(ToString::to_string).collect(),
        warmup: Some(course.warmup()),
        repetition,
        elapsed_seconds,
        attempts: (attempts.announced > 1).then_some(attempts),
        metrics,
        starts: starts.into_iter().map(start_report).collect(),
        environment: Environment::collect(plan, None, None),
    }
}

/// What a saved comparison must have asked as well.
pub(super) fn asked(question: &Question, arms: &[Arm; 2]) -> Asked {
    let (Restarts::Auto(rounds) | Restarts::Every(rounds) | Restarts::Never(rounds)) = question.tempo.restarts;
    Asked {
        targets: [0, 1].map(|i| arms[i].spec.to_string()),
        aa: question.aa,
        rules: rules(question, rounds),
        restarts: kind(question.tempo.restarts),
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
    // The last look of an attempt has about half of its error.
    let last = question.asked(gates).last_level();
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

fn side(server: usize, starts: &[Start], tls: Option<TlsReport>) -> Side {
    let first = &starts[0].lives[server];
    let mut messages = Messages::default();
    starts.iter().for_each(|start| messages += start.lives[server].messages);
    Side { target: first.target.clone(), server_config: first.config.clone(), messages, tls }
}

fn rules(question: &Question, rounds: u32) -> Rules {
    let Question { tempo, alpha, tolerance, fail_on_regression, allow_inconclusive, require_conclusive, .. } =
        *question;
    Rules {
        alpha,
        tolerance,
        trial_seconds: tempo.trial.as_secs_f64(),
        settle_seconds: tempo.settle.as_secs_f64(),
        restart_every: rounds,
        max_time_seconds: tempo.max_time.as_secs_f64(),
        seed: tempo.seed,
        fail_on_regression,
        require_conclusive,
        allow_inconclusive: allow_inconclusive || !(fail_on_regression || require_conclusive),
    }
}
