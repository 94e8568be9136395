//! The report of a comparison, from what its starts have come to.

use std::collections::{BTreeMap, BTreeSet};

use super::climbing::Climbs;
use super::contrast::{Contrast, figures, log_ratios as log_ratios_of, together};
use super::course::Course;
use super::notes;
use super::question::Question;
use super::resumed::{Asked, Earlier, start_report};
use super::start::{Lives, Start, datagrams};
use super::tempo::Restarts;
use super::up::Arm;
use crate::host::environment::Environment;
use crate::judge::statistics::{self, Band, Change, Doubt, Evidence, Judge, Ruling, Sample};
use crate::judge::trust::{self, Level};
use crate::measure::counts::Messages;
use crate::measure::metric::Metric;
use crate::measure::trial::Trial;
use crate::plan::Plan;
use crate::report::TlsReport;
use crate::report::comparison::{CompareSchema, Comparison, Ended, MetricReport, Rules, RulingReport, Side};
use crate::report::datagrams::{DatagramsReport, lost};
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
    /// The metrics that are judged, and what is said of them.
    pub judged: Judged,
    /// All that was measured.
    pub starts: Vec<Start>,
    /// What was known at the end of how trials are shared out.
    pub repetition: Option<Repetition>,
}

/// The metrics that are judged, and who judges them.
pub(super) struct Judged {
    /// The metrics.
    pub gated: Vec<Metric>,
    /// What is said of each.
    pub judge: Judge,
    /// How many starts, the first ones, the ruling on each stands on; `None` where that is not known.
    pub stands_on: Vec<Option<usize>>,
}

impl Judged {
    /// Looks at what the starts have come to at this time, in attempts.
    pub fn look(&mut self, at: f64, starts: &[Start], lives: Lives) {
        let change = Contrast::between(1, 0);
        let evidence = |metric: &Metric| Evidence {
            typical: Sample::new(&log_ratios_of(&change, *metric, starts, lives)),
            together: together(*metric, [0, 1], starts),
        };
        self.judge.look(at, &self.gated.iter().map(evidence).collect::<Vec<_>>());
        for (stands_on, ruling) in self.stands_on.iter_mut().zip(self.judge.rulings()) {
            if ruling.is_some_and(|ruling| ruling.part == at) {
                *stands_on = Some(starts.len());
            }
        }
    }
}

/// The report.
pub(super) fn document(question: &Question, plan: &Plan, course: &Course<'_>, compared: Compared) -> Comparison {
    let Compared { mut earlier, before, ended, part, judged, starts, repetition } = compared;
    let mut tls = std::mem::take(&mut earlier.tls);
    tls.iter_mut().zip(&course.tls).for_each(|(all, more)| *all += more.clone());
    let Judged { gated, judge, stands_on } = judged;
    let (lives, attempts) = (course.lives(), earlier.report(ended, part));
    let rulings: BTreeMap<Metric, Ruled> = gated.iter().copied().zip(judge.rulings().zip(stands_on)).collect();
    let elapsed_seconds = earlier.seconds + course.elapsed().as_secs_f64();
    let max_time = question.tempo.max_time.as_secs_f64() * f64::from(attempts.made);
    let times = max_time / elapsed_seconds.min(max_time);
    let unjudged = notes::not_judged(question.gate.is_none().then_some(plan), &gated, &starts, &["A", "B"]);
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
    trust.notes.extend(unjudged);
    let [a, b] = [0, 1].map(|i| side(i, &starts, plan, TlsReport::of(&plan.connect.tls, &tls[i])));
    trust.notes.extend(trust::without_lost(lost([&a, &b].map(|side| side.datagrams))));
    trust.notes.extend(repetition.as_ref().and_then(repetition::choice));
    if let Some(why) = course.climbs.as_ref().and_then(Climbs::distrust) {
        trust.level = Level::NotValid;
        trust.reasons.push(why);
    }
    trust.notes = notes::with_earlier(trust.notes, earlier.notes);
    let mut comparison = Comparison {
        schema: CompareSchema::V1,
        began_at: earlier.began_at,
        ended,
        aa: question.aa,
        change,
        trust,
        ends_at: Some(course.ends_at()),
        a,
        b,
        rules: rules(question, course.rounds()),
        slos: question.capacity.iter().flat_map(|limits| &limits.slos).map(ToString::to_string).collect(),
        warmup: Some(course.warmup()),
        repetition,
        elapsed_seconds,
        attempts: (attempts.announced > 1).then_some(attempts),
        metrics,
        starts: starts.into_iter().map(start_report).collect(),
        environment: Environment::collect(plan, None, None),
    };
    comparison.repetition = comparison.repetition.map(|repetition| told(repetition, &comparison));
    comparison
}

/// What was planned, with the time that the report says would decide what is judged, if anything was.
fn told(repetition: Repetition, comparison: &Comparison) -> Repetition {
    let is_judged = comparison.metrics.iter().any(|metric| metric.ruling.is_some());
    let needs_seconds = if is_judged { comparison.tells_after() } else { repetition.needs_seconds };
    Repetition { needs_seconds, ..repetition }
}

/// What a saved comparison must have asked as well.
pub(super) fn asked(question: &Question, arms: &[Arm; 2]) -> Asked {
    let (Restarts::Auto(rounds) | Restarts::Every(rounds) | Restarts::Never(rounds)) = question.tempo.restarts;
    Asked {
        targets: [0, 1].map(|i| arms[i].spec.to_string()),
        aa: question.aa,
        rules: rules(question, rounds),
        restarts: question.tempo.restarts.kind(arms.iter().map(|arm| &arm.spec)),
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

/// What is said of a gated metric, and how many starts it stands on.
type Ruled = (Option<Ruling>, Option<usize>);

/// A metric. All figures of one that is ruled on are of the starts that the ruling stands on; what more time would tell is
/// told by all of them.
fn report(
    metric: Metric,
    ruled: Option<Ruled>,
    gates: usize,
    question: &Question,
    (all, lives): (&[Start], Lives),
    elapsed: f64,
    times: f64,
) -> Option<MetricReport> {
    let (ruling, stands_on) = (ruled.map(|(ruling, _)| ruling), ruled.and_then(|(_, stands_on)| stands_on));
    let starts = &all[..stands_on.unwrap_or(all.len()).min(all.len())];
    let log_ratios = log_ratios_of(&Contrast::between(1, 0), metric, starts, lives);
    if ruling.is_none() && (log_ratios.is_empty() || is_of_few_lives(metric, &log_ratios, starts, lives)) {
        return None;
    }
    let spread = |server: usize| Spread::of(figures(metric, server, starts, lives));
    let sample = Sample::new(&log_ratios);
    let of_all = Sample::new(&log_ratios_of(&Contrast::between(1, 0), metric, all, lives));
    // The last look of an attempt has about half of its error.
    let last = question.asked(gates).last_level();
    let max_time = question.tempo.max_time.as_secs_f64();
    let undecided = ruling.flatten().filter(|ruling| ruling.change == Change::Inconclusive && ruling.doubt.is_none());
    let (band, aim) = (Band::of(question.tolerance), question.aim());
    let more = undecided.and_then(|_| statistics::times_more(&of_all, last, band, aim, metric.better()));
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
            starts: stands_on.map(|starts| starts as u64),
            doubt: ruling.doubt.map(|Doubt { estimate, interval }| Estimate {
                change: share(estimate),
                low: share(interval.low),
                high: share(interval.high),
            }),
        }),
        more_seconds: more.map(|times| ((times - 1.0) * elapsed).max(0.0)),
        resolution: statistics::resolution(&of_all, last, times).map(f64::exp_m1),
        log_ratios,
    })
}

/// Whether a metric of lives is there in fewer than half of them: what memory grew by with connections was not told in the others, and
/// what it was in some by chance is no figure to show.
fn is_of_few_lives(metric: Metric, log_ratios: &[f64], starts: &[Start], lives: Lives) -> bool {
    !metric.is_of_trials() && lives == Lives::Many && 2 * log_ratios.len() < starts.len()
}

fn trials(server: usize, starts: &[Start]) -> impl Iterator<Item = &Trial> {
    starts.iter().flat_map(|start| &start.rounds).map(move |round| &round.trials[server])
}

fn side(server: usize, starts: &[Start], plan: &Plan, tls: Option<TlsReport>) -> Side {
    let first = &starts[0].lives[server];
    let mut messages = Messages::default();
    starts.iter().for_each(|start| messages += start.lives[server].messages);
    let datagrams = datagrams(starts.iter().map(|start| &start.lives[server]));
    let datagrams = datagrams.map(|counts| DatagramsReport::new(plan, counts));
    Side { target: first.target.clone(), server_config: first.config.clone(), messages, datagrams, tls }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::statistics::Aim;
    use crate::measure::trial::Figures;
    use crate::report::repetition::RestartKind;
    use crate::trials::question::SoFar;
    use crate::trials::question::tests::question;
    use crate::trials::start::tests::start as start_with;

    /// A start with one pair, in which B needs so many times what A does.
    fn start(times: f64) -> Start {
        let trial = |cpu: f64| Figures::from([(Metric::ServerCpu, cpu)]);
        start_with([trial(1000.0), trial(1000.0 * times)], [Figures::new(), Figures::new()])
    }

    #[test]
    fn all_figures_of_a_decided_metric_stand_for_the_starts_up_to_its_decision() {
        let question = question();
        let mut starts: Vec<Start> = (0..12).map(|i| start(1.5 + f64::from(i) * 0.001)).collect();
        let judge = Judge::new(Aim::Changed, 0.2, Band::of(0.02), [Metric::ServerCpu.better()]);
        let mut judged = Judged { gated: vec![Metric::ServerCpu], judge, stands_on: vec![None] };
        judged.look(0.4, &starts, Lives::Many);
        assert!(judged.judge.decided());
        let told = |judged: &Judged, starts: &[Start]| {
            let ruled = judged.judge.rulings().zip(judged.stands_on.iter().copied()).next();
            report(Metric::ServerCpu, ruled, 1, &question, (starts, Lives::Many), 10.0, 1.0).unwrap()
        };
        let then = told(&judged, &starts);
        // What comes after the decision, while another metric is still open, is quite different.
        starts.extend((0..12).map(|_| start(3.0)));
        judged.look(0.6, &starts, Lives::Many);
        let now = told(&judged, &starts);
        assert_eq!((now.a, now.b, now.estimate, now.shown), (then.a, then.b, then.estimate, then.shown));
        assert_eq!((now.log_ratios.len(), now.ruling.unwrap().starts), (12, Some(12)));
        assert_eq!(now.estimate.change, now.shown.map(|shown| shown.change), "one estimator");
    }

    #[test]
    fn attempts_are_too_short_where_all_of_them_together_are() {
        let question = question();
        let planned = Repetition {
            restarts: RestartKind::Fixed,
            pairs: 1,
            start_seconds: 1.9,
            pair_seconds: 0.1,
            between_starts: None,
            within_starts: None,
            fewest_starts: 9,
            fewest_seconds: 18.0,
            enough_seconds: Some(18.0),
            needs_seconds: None,
            resolves: None,
        };
        let starts: Vec<Start> = (0..9).map(|_| start(1.0)).collect();
        let too_short = |question: &Question, all: usize, own: usize, left: f64| {
            question.is_too_short(&planned, SoFar { starts: &starts[..all], before: all - own, left })
        };
        assert!(!too_short(&question, 1, 1, 2.0), "two attempts of 10 s hold 18 s");
        assert!(too_short(&question, 1, 1, 1.0), "one does not");
        assert!(!too_short(&question, 9, 1, 1.0), "there are starts enough");
        assert!(!too_short(&question, 5, 5, 1.0), "what was not told early is not told late");
        assert!(!too_short(&Question { force: true, ..question.clone() }, 1, 1, 1.0));
    }
}
