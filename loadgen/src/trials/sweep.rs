//! `loadgen sweep`: every combination of some flags, measured in turn against each other, and what each flag is worth by
//! itself and together with another. The trials are `trials`'s; an effect is a contrast of log figures, one for each
//! start, and is judged like the log ratios of a comparison.

mod needs;
mod scaling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::contrast::{Contrast, figures, log_ratios, together};
use super::design::Design;
use super::failure::replies_for;
use crate::host::cores::Cores;
use crate::host::environment::Environment;
use crate::host::interrupt::Interrupt;
use crate::judge::statistics::{Asked, Band, Change, Sample, adjusted};
use crate::judge::trust;
use crate::measure::counts::Messages;
use crate::measure::metric::{Better, Metric};
use crate::plan::Plan;
use crate::report::TlsReport;
use crate::report::comparison::Ended;
use crate::report::datagrams::{DatagramsReport, lost};
use crate::report::estimate::{Estimate, Spread};
use crate::report::sweep::{ArmReport, Effect, Needs, Sweep, SweepRules, SweepSchema, words};
use crate::trials::course::{Arm, Course, Lives, Start, Tempo, TrialError};
use crate::trials::notes;
use crate::trials::question::Watchers;
use crate::trials::start::{STANDS_STILL, datagrams, stood_still};
use crate::trials::tempo::is_too_short;
use crate::units;

/// What a sweep is to find out of its design.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// How trials follow each other.
    pub tempo: Tempo,
    /// The metrics that effects are judged on; `None` for those that the load is usually judged by.
    pub gate: Option<Vec<Metric>>,
    /// The chance of a wrong effect.
    pub alpha: f64,
    /// Whether it goes on where its time is too short for any effect to be told.
    pub force: bool,
}

impl Question {
    /// What the starts are to answer of so many effects, each on one metric: Holm's first step shares alpha among all of them.
    pub fn asked(&self, effects: usize) -> Asked {
        let (tolerance, time) = (Band::of(0.0), self.tempo.max_time.as_secs_f64());
        Asked { alpha: self.alpha, gates: effects, tolerance, time }
    }

    /// The starts that its time must hold for any effect to be told; none where it takes all its time anyway.
    fn needed(&self) -> usize {
        if self.force { 0 } else { self.asked(1).fewest_starts() }
    }

    fn judged(&self, plan: &Plan) -> &[Metric] {
        self.gate.as_deref().unwrap_or(Metric::gated_by_default(&plan.load))
    }

    /// Whether it is known after so many starts that the time cannot hold as many as any effect takes; also where one start has
    /// taken all of it.
    fn is_too_short(&self, needs: &Needs, starts: usize) -> bool {
        let is_missing = (starts as u64) < needs.starts;
        is_missing && is_too_short(needs.seconds, self.tempo.max_time.as_secs_f64(), starts) && !self.force
    }

    /// What ended it where its time is up after so many starts: fewer than an effect takes tell nothing.
    fn ended_in_time(&self, needs: Option<Needs>, starts: usize) -> Ended {
        let lacks_starts = needs.is_some_and(|needs| (starts as u64) < needs.starts);
        if lacks_starts && !self.force { Ended::TooShort } else { Ended::MaxTime }
    }
}

/// Why there is no sweep.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The trials failed.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// A combination without a figure: of effects nothing can be said.
    #[error(
        "no trial of {combination} ({length} long) had a figure of {metric}, which takes {needs}; expected a longer --trial"
    )]
    NoFigures {
        /// Its flags.
        combination: String,
        /// How long its trials were.
        length: String,
        /// What they lack a figure of.
        metric: Metric,
        /// The replies that a trial must have for that.
        needs: String,
    },
    /// A metric that was to be judged is not there.
    #[error("--gate {0}: the servers' processes cannot be seen from here; expected servers on this machine")]
    NoProcess(Metric),
    /// Nothing was measured.
    #[error("interrupted before anything was measured")]
    Interrupted,
}

/// Measures the arms of a design, its reference first, until the time is up. `show` is told of the time that has passed and of
/// the starts so far, `say` what it takes to tell an effect, once that is known.
///
/// # Errors
/// When trials cannot be made, or those of a combination have no figures.
pub fn run(
    design: &Design,
    question: &Question,
    arms: &[Arm],
    cores: &Cores,
    interrupt: &Interrupt,
    (show, say): Watchers<'_>,
) -> Result<Sweep, SweepError> {
    let began_at = SystemTime::now();
    let Question { tempo, alpha, .. } = *question;
    let (plan, judged) = (&arms[0].plan, question.judged(&arms[0].plan));
    let mut course = Course::new(arms, judged, tempo, cores, interrupt);
    course.must_hold(question.needed(), tempo.max_time.as_secs_f64());
    let (mut starts, mut needs): (Vec<Start>, Option<Needs>) = (Vec::new(), None);
    let ended = course.run(show, &mut |course, start| {
        if !start.rounds.is_empty() {
            starts.push(start);
        }
        if interrupt.flag().load(Ordering::Relaxed) {
            return Ok(Some(Ended::Interrupted));
        }
        let over = course.is_over() || starts.len() >= MOST_STARTS;
        if !starts.is_empty() {
            let now = needs::of(design, question, judged, &starts, course);
            tell(&now, needs.replace(now), course, say);
            if question.is_too_short(&now, starts.len()) {
                return Ok(Some(Ended::TooShort));
            }
        }
        if over || !course.may_be_answered(&starts) {
            all_have_figures(design, question, plan, &starts, course.lengths().all())?;
        }
        Ok::<_, SweepError>(over.then(|| question.ended_in_time(needs, starts.len())))
    })?;
    if starts.is_empty() {
        return Err(SweepError::Interrupted);
    }
    let reports = arm_reports(design, arms, &starts, &course);
    let trials = |arm: usize| starts.iter().flat_map(|start| &start.rounds).map(move |round| &round.trials[arm]);
    let names: Vec<String> = reports.iter().map(words::settings).collect();
    let named = names.iter().cloned().zip(arms).enumerate();
    let mut trust = trust::of_paired_trials(named.map(|(i, (name, arm))| (name, &arm.plan, trials(i))))
        .of_trials_with(course.withheld());
    trust.notes.extend(notes::of(&course, &starts, |arm| names[arm].clone()));
    trust.notes.extend((1..names.len()).flat_map(|arm| with_pauses(judged, arm, &starts, &names[arm])));
    trust.notes.extend(needs.and_then(|needs| words::choice(&needs, course.rounds(), course.restarts())));
    let effects = effects(design, alpha, judged, &starts, course.lives());
    trust.notes.extend(without_memory(judged, &effects));
    trust.notes.extend(trust::without_lost(lost(reports.iter().map(|report| report.datagrams))));
    let told: Vec<Metric> = effects.iter().map(|effect| effect.metric).collect();
    trust.notes.extend(notes::not_judged(question.gate.is_none().then_some(plan), &told, &starts, &names));
    Ok(Sweep {
        schema: SweepSchema::V1,
        began_at,
        ended,
        trust,
        needs,
        warmup: Some(course.warmup()),
        ends_at: Some(course.ends_at()),
        rules: rules(design, question, &course),
        elapsed_seconds: course.elapsed().as_secs_f64(),
        rounds: starts.iter().map(|start| start.rounds.len() as u64).sum(),
        starts: starts.len() as u64,
        factors: design.factors().to_vec(),
        scaling: scaling::of(design, arms, &reports),
        arms: reports,
        effects,
        environment: Environment::collect(plan, None, None),
    })
}

fn rules(design: &Design, question: &Question, course: &Course<'_>) -> SweepRules {
    let Question { tempo, alpha, .. } = *question;
    SweepRules {
        alpha,
        trial_seconds: tempo.trial.as_secs_f64(),
        settle_seconds: tempo.settle.as_secs_f64(),
        restart_every: course.rounds(),
        restarts: Some(course.restarts()),
        max_time_seconds: tempo.max_time.as_secs_f64(),
        seed: tempo.seed,
        one_at_a_time: design.is_one_at_a_time(),
    }
}

/// Says what it takes to tell an effect, twice: once it is known what starts cost, and once it is known how much they vary.
fn tell(now: &Needs, before: Option<Needs>, course: &Course<'_>, say: &mut dyn FnMut(&str)) {
    if before.is_none_or(|before| before.resolves.is_some() != now.resolves.is_some()) {
        say(&words::forecast(now, course.tempo().max_time.as_secs_f64(), course.restarts()));
    }
}

impl SweepError {
    /// Whether the user did not want to wait for it.
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::Trial(error) => error.is_interruption(),
            Self::Interrupted => true,
            Self::NoProcess(_) | Self::NoFigures { .. } => false,
        }
    }
}

/// Whether every combination has a figure of every metric that is judged. What only the server's process tells may be
/// missing where nobody asked for it; resident memory grows in pages, and may not have grown yet.
fn all_have_figures(
    design: &Design,
    question: &Question,
    plan: &Plan,
    starts: &[Start],
    lengths: &[Duration],
) -> Result<(), SweepError> {
    let lacks = |arm: usize, metric: Metric| starts.iter().all(|start| start.figures(metric, arm).is_empty());
    let hidden =
        |metric: &&Metric| metric.is_of_the_process() && (0..design.arms()).any(|arm| lacks(arm, Metric::ServerMemory));
    if let Some(metric) = question.gate.iter().flatten().find(hidden) {
        return Err(SweepError::NoProcess(*metric));
    }
    let may_lack =
        |metric: &Metric| *metric == Metric::ConnectionMemory || question.gate.is_none() && metric.is_of_the_process();
    let judged = question.judged(plan).iter().filter(|metric| !may_lack(metric));
    let mut lacking = (0..design.arms()).flat_map(|arm| judged.clone().map(move |metric| (arm, *metric)));
    let Some((arm, metric)) = lacking.find(|(arm, metric)| lacks(*arm, *metric)) else { return Ok(()) };
    let flags: Vec<String> = design.settings(arm).iter().map(ToString::to_string).collect();
    let length = units::seconds(lengths[arm].as_secs_f64());
    Err(SweepError::NoFigures { combination: flags.join(" "), length, metric, needs: replies_for(metric) })
}

/// What pauses do to what is judged of a combination, where it or the reference stands still at times: effects do not tell.
fn with_pauses(judged: &[Metric], arm: usize, starts: &[Start], name: &str) -> Vec<String> {
    if [0, arm].iter().all(|arm| stood_still(starts, *arm) <= STANDS_STILL) {
        return Vec::new();
    }
    let note = |metric: &Metric| {
        let together = together(*metric, [0, arm], starts)?;
        let interval = together.interval(PAUSES_ERROR);
        let [change, low, high] =
            [together.log_ratio, interval.low, interval.high].map(|log_ratio| 100.0 * log_ratio.exp_m1());
        Some(format!(
            "{metric} of {name} in all trials together, with what was waited for, changed by {change:+.1}% \
             ({low:+.1}%..{high:+.1}%, 90%) against the reference: effects are of typical trials, of which pauses change little"
        ))
    };
    judged.iter().filter_map(note).collect()
}

/// What is said where the memory of connections was to be judged and cannot be had.
fn without_memory(judged: &[Metric], effects: &[Effect]) -> Option<String> {
    let memory = Metric::ConnectionMemory;
    let lacks = judged.contains(&memory) && effects.iter().all(|effect| effect.metric != memory);
    lacks.then(|| {
        format!(
            "effects on {memory} are not told, since memory did not clearly grow with connections: more connections may \
             tell, more time does not"
        )
    })
}

fn arm_reports(design: &Design, arms: &[Arm], starts: &[Start], course: &Course<'_>) -> Vec<ArmReport> {
    let report = |(number, arm): (usize, &Arm)| {
        let tls = TlsReport::of(&arm.plan.connect.tls, &course.tls[number]);
        ArmReport { tls, ..arm_report(design, (number, arm), starts, course.lives()) }
    };
    arms.iter().enumerate().map(report).collect()
}

fn arm_report(design: &Design, (arm, of): (usize, &Arm), starts: &[Start], lives: Lives) -> ArmReport {
    let mut metrics: BTreeSet<Metric> = BTreeSet::new();
    let mut messages = Messages::default();
    for start in starts {
        let life = &start.lives[arm];
        messages += life.messages;
        let trials = start.rounds.iter().map(|round| &round.trials[arm].figures);
        metrics.extend(trials.chain([&life.figures]).flat_map(|figures| figures.keys()));
    }
    let spread = |metric: Metric| (metric, Spread::of(figures(metric, arm, starts, lives)));
    let figures: BTreeMap<Metric, Spread> = metrics.into_iter().map(spread).collect();
    let against_reference = Contrast::between(arm, 0);
    let sample = |contrast: &Contrast, metric: Metric| Sample::new(&log_ratios(contrast, metric, starts, lives));
    let change =
        |metric: Metric| Some((metric, sample(&against_reference, metric))).filter(|(_, sample)| !sample.is_empty());
    let changes: BTreeMap<Metric, Sample> =
        if arm == 0 { BTreeMap::new() } else { figures.keys().filter_map(|metric| change(*metric)).collect() };
    let shown = |metric: Metric| {
        let log = match changes.get(&metric).and_then(Sample::estimate) {
            Some(change) => sample(&Contrast::level(0), metric).estimate()? + change,
            None => sample(&Contrast::level(arm), metric).estimate()?,
        };
        Some((metric, log.exp()))
    };
    ArmReport {
        settings: design.settings(arm),
        target: starts[0].lives[arm].target.clone(),
        messages,
        datagrams: datagrams(starts.iter().map(|start| &start.lives[arm]))
            .map(|counts| DatagramsReport::new(&of.plan, counts)),
        tls: None,
        messages_per_cpu_second: figures.get(&Metric::ServerCpu).map(|cpu| 1e9 / cpu.median),
        shown: figures.keys().filter_map(|metric| shown(*metric)).collect(),
        change: changes.iter().map(|(metric, sample)| (*metric, Estimate::of(sample))).collect(),
        figures,
    }
}

/// Every effect on every one of these metrics, the largest first.
fn effects(design: &Design, alpha: f64, metrics: &[Metric], starts: &[Start], lives: Lives) -> Vec<Effect> {
    let mut effects = Vec::new();
    for &metric in metrics {
        for (steps, contrast) in design.contrasts() {
            let log_ratios = log_ratios(&contrast, metric, starts, lives);
            let sample = Sample::new(&log_ratios);
            if sample.is_empty() {
                continue;
            }
            let p_value = (2.0 * sample.p_above(0.0).min(sample.p_below(0.0))).min(1.0);
            let estimate = Estimate::of(&sample);
            effects.push(Effect { metric, steps, estimate, p_value, change: Change::Inconclusive, log_ratios });
        }
    }
    let corrected = adjusted(&effects.iter().map(|effect| effect.p_value).collect::<Vec<_>>());
    for (effect, p_value) in effects.iter_mut().zip(corrected) {
        effect.p_value = p_value;
        if p_value <= alpha {
            let more = effect.estimate.change.unwrap_or_default() > 0.0;
            let better = more == (effect.metric.better() == Better::Higher);
            effect.change = if better { Change::Improved } else { Change::Regressed };
        }
    }
    let size = |effect: &Effect| effect.estimate.change.map_or(0.0, |change| change.ln_1p().abs());
    effects.sort_by(|a, b| a.metric.cmp(&b.metric).then(size(b).total_cmp(&size(a))));
    effects
}

/// The error of the interval of what pauses do.
const PAUSES_ERROR: f64 = 0.1;

/// Starts after which the time is up: the Walsh averages of an effect take 4 MB then.
const MOST_STARTS: usize = 1_000;
