//! `loadgen compare --resume`: a saved comparison taken up again. Its starts count in the looks to come, what it decided
//! stays, and what it spent of the error is spent: what is left is what its attempts had announced (`--attempts`), or
//! the time that an interruption left.

mod sound;
mod starts;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use self::sound::sound;
use crate::host::environment::Environment;
use crate::judge::statistics::{Change, Interval, Judge, Ruling};
use crate::measure::metric::Metric;
use crate::measure::tls::Secured;
use crate::report::TlsReport;
use crate::report::comparison::{Attempts, Comparison, Ended, MetricReport, Rules, RulingReport};
use crate::report::differences::{Difference, Differences};
use crate::report::repetition::RestartKind;
use crate::trials::start::Start;
use crate::trials::tempo::Tempo;
pub use starts::start_report;

/// A saved comparison that is to go on.
#[derive(Debug)]
pub struct Saved {
    /// Where it was saved.
    pub file: PathBuf,
    /// What the file holds.
    pub comparison: Comparison,
}

/// What is asked for now, which must be what was asked for then.
#[derive(Debug)]
pub struct Asked {
    /// How A and B are called in reports.
    pub targets: [String; 2],
    /// Whether B is A once more.
    pub aa: bool,
    /// The rules.
    pub rules: Rules,
    /// When servers are started anew.
    pub restarts: RestartKind,
    /// Attempts that share the error.
    pub attempts: u32,
    /// The metrics that were asked for by name.
    pub gate: Option<Vec<Metric>>,
    /// The machine and the plan.
    pub environment: Environment,
}

/// Why a saved comparison cannot go on.
#[derive(Debug, Error)]
pub enum ResumeError {
    /// It is another comparison.
    #[error("--resume {}: it is not the comparison that is asked for here:{}", file.display(), list(differences))]
    Differs {
        /// The file.
        file: PathBuf,
        /// In what they differ.
        differences: Vec<Difference>,
    },
    /// There is nothing to go on with.
    #[error("--resume {}: {why}", file.display())]
    Over {
        /// The file.
        file: PathBuf,
        /// What is used up, or not to be built upon, and what was expected.
        why: String,
    },
    /// Its figures are none.
    #[error("--resume {}: {what}: expected figures as loadgen compare saves them", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with which field.
        what: String,
    },
}

/// What came before the attempt that is being made: nothing, or that of a saved comparison.
#[derive(Debug)]
pub struct Earlier {
    /// When the first attempt began.
    pub began_at: SystemTime,
    /// How long all attempts before took, in seconds.
    pub seconds: f64,
    /// Its starts, in order.
    pub starts: Vec<Start>,
    /// The metrics that it judged; empty where nothing came before.
    pub gated: Vec<Metric>,
    /// How many of the starts the ruling on each of them stands on, where that is known.
    pub stands_on: Vec<Option<usize>>,
    /// What was noted on its figures.
    pub notes: Vec<String>,
    /// What TLS had settled with A and with B.
    pub tls: [Secured; 2],
    /// The longest that the attempt before might take.
    max_time: Option<Duration>,
    /// Attempts that were announced, and the time that has passed of them, in attempts.
    attempts: u32,
    passed: f64,
    rulings: Vec<Option<Ruling>>,
}

impl Earlier {
    /// Nothing: the first of so many attempts begins now.
    pub fn none(attempts: u32) -> Self {
        Self {
            began_at: SystemTime::now(),
            seconds: 0.0,
            starts: Vec::new(),
            gated: Vec::new(),
            stands_on: Vec::new(),
            notes: Vec::new(),
            tls: Default::default(),
            max_time: None,
            attempts,
            passed: 0.0,
            rulings: Vec::new(),
        }
    }

    /// What was saved, if it is the comparison that is asked for now, and `most_starts` leave room for more.
    ///
    /// # Errors
    /// When it is another comparison, has nothing left, or is damaged.
    pub fn of(saved: Saved, now: &Asked, most_starts: usize) -> Result<Self, ResumeError> {
        let Saved { file, comparison: then } = saved;
        let damaged = |what: String| ResumeError::Damaged { file: file.clone(), what };
        sound(&then, most_starts).map_err(damaged)?;
        let gated: Vec<Metric> =
            then.metrics.iter().filter(|metric| metric.gated).map(|metric| metric.metric).collect();
        let differences = differences(&then, now, &gated);
        if !differences.is_empty() {
            return Err(ResumeError::Differs { file, differences });
        }
        let attempts = now.attempts;
        let passed = passed(&then);
        if let Some(why) = nothing_left(&then, attempts, passed) {
            return Err(ResumeError::Over { file, why });
        }
        let max_time = then.rules.max_time_seconds;
        let of_gate = then.metrics.iter().filter(|metric| metric.gated);
        let (rulings, stands_on) = of_gate.map(|metric| (ruling(metric, max_time), stands_on(metric))).unzip();
        let Comparison { began_at, elapsed_seconds: seconds, trust, starts, a, b, .. } = then;
        let secured = |name: &str, tls: &Option<TlsReport>| {
            let secured = tls.as_ref().map_or_else(|| Ok(Secured::default()), TlsReport::secured);
            secured.map_err(|error| damaged(format!("{name}.tls.handshake: {error}")))
        };
        let tls = [secured("a", &a.tls)?, secured("b", &b.tls)?];
        let mut sides = [Some(a), Some(b)];
        let starts = starts.into_iter().map(|start| starts::start_of(start, &mut sides, &now.targets)).collect();
        let (notes, max_time) = (trust.notes, Some(Duration::from_secs_f64(max_time)));
        Ok(Self { began_at, seconds, starts, gated, stands_on, notes, tls, max_time, attempts, passed, rulings })
    }

    /// Attempts that are over.
    fn over(&self) -> f64 {
        self.passed.floor()
    }

    /// What is left of the time of all attempts, this one's included, in attempts.
    pub fn left(&self) -> f64 {
        f64::from(self.attempts) - self.passed
    }

    /// The part of this attempt's time (0..1) that had passed before.
    pub fn part(&self) -> f64 {
        self.passed - self.over()
    }

    /// The tempo of what is left of this attempt, whose starts are pooled with those before and so are warmed up alike: also where
    /// it has more time, a warm-up takes no more of it. Its order is drawn anew, not as that of an attempt before.
    pub fn tempo(&self, tempo: Tempo) -> Tempo {
        let seed = tempo.seed.wrapping_add((self.starts.len() as u64).wrapping_mul(STREAM));
        Tempo { seed, max_time: self.max_time.unwrap_or(tempo.max_time), ..tempo }
    }

    /// What is left of this attempt's time.
    pub fn rest(&self, max_time: Duration) -> Duration {
        max_time.mul_f64(1.0 - self.part())
    }

    /// The part of this attempt's time that has passed so long after it was taken up.
    pub fn part_after(&self, elapsed: Duration, max_time: Duration) -> f64 {
        self.part() + elapsed.as_secs_f64() / max_time.as_secs_f64()
    }

    /// The judge that this one is when it has judged what was judged before.
    pub fn judge(&self, judge: Judge) -> Judge {
        judge.of_attempts(self.attempts, self.passed, &self.rulings)
    }

    /// When a look of this attempt is, in attempts.
    pub fn look(&self, part: f64) -> f64 {
        self.over() + part
    }

    /// The start, its times counted from the beginning of the first attempt.
    pub fn follow(&self, mut start: Start) -> Start {
        start.at_seconds += self.seconds;
        start.rounds.iter_mut().for_each(|round| round.at_seconds += self.seconds);
        start
    }

    /// What the report says of the attempts once this one ended at that part of its time.
    pub fn report(&self, ended: Ended, part: f64) -> Attempts {
        let part = match ended {
            Ended::Interrupted | Ended::TooShort => part.min(1.0),
            Ended::Decided | Ended::MaxTime => 1.0,
        };
        Attempts { announced: self.attempts, made: self.over() as u32 + 1, passed: self.over() + part }
    }
}

/// The time that has passed of all attempts, in attempts. An attempt that was too short looked at nothing and has spent nothing:
/// it begins again, with the starts that it made.
fn passed(then: &Comparison) -> f64 {
    match (then.ended, then.attempts) {
        (Ended::TooShort, attempts) => attempts.map_or(0.0, |attempts| f64::from(attempts.made) - 1.0),
        (_, Some(attempts)) => attempts.passed,
        (Ended::Interrupted, None) => (then.elapsed_seconds / then.rules.max_time_seconds).min(1.0),
        (Ended::Decided | Ended::MaxTime, None) => 1.0,
    }
}

fn nothing_left(then: &Comparison, attempts: u32, passed: f64) -> Option<String> {
    if !then.trust.is_valid() {
        return Some("its figures are not to be trusted, and would count: expected a comparison begun anew".to_owned());
    }
    if then.ended == Ended::Decided {
        return Some("every metric that it judges is decided: expected one that is inconclusive".to_owned());
    }
    (passed >= f64::from(attempts)).then(|| {
        format!(
            "all of its error (--alpha) is spent: expected fewer attempts than were announced (--attempts {attempts}), or \
             one that was interrupted"
        )
    })
}

/// In what the saved comparison is another than this one.
fn differences(then: &Comparison, now: &Asked, gated: &[Metric]) -> Vec<Difference> {
    let mut found = Differences::between(&then.environment, &now.environment).in_the_way(false);
    let mut differ = |field: &str, then: String, now: String| {
        if then != now {
            found.push(Difference { field: field.to_owned(), then, now });
        }
    };
    differ("a.target", then.a.target.clone(), now.targets[0].clone());
    differ("b.target", then.b.target.clone(), now.targets[1].clone());
    differ("aa", then.aa.to_string(), now.aa.to_string());
    differ(
        "attempts.announced",
        then.attempts.map_or(1, |attempts| attempts.announced).to_string(),
        now.attempts.to_string(),
    );
    let [was, is] = [&then.environment, &now.environment].map(|environment| environment.git_revision.clone());
    differ("environment.git_revision", was, is);
    let restarts = |kind: RestartKind| format!("{kind:?}").to_lowercase();
    let were = then.repetition.map_or(now.restarts, |repetition| repetition.restarts);
    differ("repetition.restarts", restarts(were), restarts(now.restarts));
    // What is allowed to be inconclusive is a matter of the exit code alone.
    let fields = |rules: &Rules| {
        let Rules { alpha, tolerance, trial_seconds, settle_seconds, restart_every, .. } = *rules;
        [
            ("rules.alpha", alpha.to_string()),
            ("rules.tolerance", tolerance.to_string()),
            ("rules.trial_seconds", trial_seconds.to_string()),
            ("rules.settle_seconds", settle_seconds.to_string()),
            // What is chosen on the way may come out differently.
            (
                "rules.restart_every",
                if now.restarts == RestartKind::Fixed { restart_every.to_string() } else { String::new() },
            ),
            ("rules.seed", rules.seed.to_string()),
            ("rules.fail_on_regression", rules.fail_on_regression.to_string()),
        ]
    };
    for ((field, then), (_, now)) in fields(&then.rules).into_iter().zip(fields(&now.rules)) {
        differ(field, then, now);
    }
    let [had, has] = [then.rules.max_time_seconds, now.rules.max_time_seconds];
    // So few starts as it has could not be judged, whatever they had come to.
    if then.ended != Ended::TooShort || has < had {
        differ("rules.max_time_seconds", had.to_string(), has.to_string());
    }
    let names = |metrics: &[Metric]| {
        let mut names: Vec<String> = metrics.iter().map(Metric::to_string).collect();
        names.sort();
        names.join(", ")
    };
    match &now.gate {
        Some(gate) => differ("the gated metrics", names(gated), names(gate)),
        // Of those that are gated by default some may not be there.
        None => {
            let default = Metric::gated_by_default(&now.environment.plan.load);
            if gated.is_empty() || gated.iter().any(|metric| !default.contains(metric)) {
                differ("the gated metrics", names(gated), names(default));
            }
        }
    }
    found
}

/// A ruling as it was before it was saved; only one that decided something is needed again.
fn ruling(metric: &MetricReport, max_time: f64) -> Option<Ruling> {
    let RulingReport { change, p_value, level, low, high, at_seconds, .. } = metric.ruling?;
    let log_ratio = |share: Option<f64>, none: f64| share.map_or(none, f64::ln_1p);
    (change != Change::Inconclusive).then(|| Ruling {
        change,
        p_value,
        level,
        estimate: metric.shown.map(|shown| shown.change.ln_1p()),
        interval: Interval { low: log_ratio(low, f64::NEG_INFINITY), high: log_ratio(high, f64::INFINITY) },
        part: at_seconds / max_time,
        doubt: None,
    })
}

/// The starts that a ruling which stays stands on.
fn stands_on(metric: &MetricReport) -> Option<usize> {
    let ruling = metric.ruling.filter(|ruling| ruling.change != Change::Inconclusive)?;
    ruling.starts.and_then(|starts| usize::try_from(starts).ok())
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(|difference| format!("\n  {difference}")).collect()
}

/// What tells the random choices of one attempt from those of another: odd, so that no two numbers of starts come to the same
/// seed.
const STREAM: u64 = 0x9e37_79b9_7f4a_7c15;
