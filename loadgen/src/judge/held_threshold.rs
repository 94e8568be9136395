//! Thresholds on the figures of held connections and of fan-outs, as `memory.user_per_connection<400B` and `reach.p99<50ms`.

use std::fmt;
use std::str::FromStr;

use crate::judge::outcome::Outcome;
use crate::judge::threshold::{Comparison, Judged, Standing};
use crate::judge::trust::Trust;
use crate::measure::fanout_metric::{self, FanoutMetric};
use crate::measure::held_metric::{self, HeldMetric};
use crate::measure::metric::{Better, Unit};
use crate::units;

/// A limit on a figure of held connections.
pub type HeldThreshold = Limit<HeldMetric>;

/// A limit on a figure of a fan-out.
pub type FanoutThreshold = Limit<FanoutMetric>;

/// A figure that a limit may be set on.
pub trait Limited: Copy + PartialEq + fmt::Display + FromStr<Err = String> {
    /// A limit on one, for errors.
    const EXAMPLE: &'static str;

    /// What it counts.
    fn unit(self) -> Unit;

    /// Which way it improves.
    fn better(self) -> Better;

    /// Whether it counts what went wrong.
    fn is_of_errors(self) -> bool;

    /// Whether a limit on it stands in place of the rule that nothing of `errors` may go wrong.
    fn stands_for(self, errors: Self) -> bool;
}

/// How many errors no limit is on.
pub fn unlimited<M: Limited>(thresholds: &[Judged], errors: &[(M, u64)]) -> u64 {
    let limits: Vec<M> = thresholds.iter().filter_map(|judged| judged.metric.parse().ok()).collect();
    let without = errors.iter().filter(|(of, _)| !limits.iter().any(|limit| limit.stands_for(*of)));
    without.map(|(_, count)| count).sum()
}

/// Whether limits are on all that went wrong, and kept.
pub fn allowed<M: Limited>(thresholds: &[Judged], errors: &[(M, u64)]) -> bool {
    let kept = |judged: &Judged| match judged.metric.parse::<M>() {
        Ok(limit) if errors.iter().any(|(of, count)| *count > 0 && limit.stands_for(*of)) => {
            judged.outcome == Standing::Met
        }
        _ => true,
    };
    unlimited(thresholds, errors) == 0 && thresholds.iter().all(kept)
}

/// How an experiment ended that was not interrupted and found something: with so many errors of each kind, of which only those
/// that a limit is on may be.
pub fn outcome<M: Limited>(thresholds: &[Judged], trust: &Trust, errors: &[(M, u64)]) -> Outcome {
    let of_errors = |judged: &&Judged| judged.metric.parse().is_ok_and(M::is_of_errors);
    let any = |standing: Standing| thresholds.iter().any(|judged| judged.outcome == standing);
    if thresholds.iter().filter(of_errors).any(|judged| judged.outcome == Standing::Crossed) {
        Outcome::Crossed
    } else if unlimited(thresholds, errors) > 0 {
        Outcome::Failed
    } else if !trust.is_valid() && !trust.is_bounded() || any(Standing::Unknown) {
        Outcome::Untrusted
    } else if any(Standing::Crossed) {
        Outcome::Crossed
    } else {
        Outcome::Ok
    }
}

/// A limit on a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit<M> {
    text: String,
    metric: M,
    comparison: Comparison,
    limit: f64,
}

impl Limited for HeldMetric {
    const EXAMPLE: &'static str = "handshake.p99<50ms";

    fn unit(self) -> Unit {
        self.unit()
    }

    fn better(self) -> Better {
        self.better()
    }

    fn is_of_errors(self) -> bool {
        self.is_of_errors()
    }

    fn stands_for(self, errors: Self) -> bool {
        let failed = Self::Plain(held_metric::Plain::Failed);
        self == errors || errors == failed && self == Self::Plain(held_metric::Plain::Established)
    }
}

impl Limited for FanoutMetric {
    const EXAMPLE: &'static str = "reach.p99<50ms";

    fn unit(self) -> Unit {
        self.unit()
    }

    fn better(self) -> Better {
        self.better()
    }

    fn is_of_errors(self) -> bool {
        self.is_of_errors()
    }

    fn stands_for(self, errors: Self) -> bool {
        use fanout_metric::Plain::{Lost, ReachEveryone, ReachShare};
        self == errors || errors == Self::Plain(Lost) && matches!(self, Self::Plain(ReachShare | ReachEveryone))
    }
}

impl<M: Limited> Limit<M> {
    /// What it limits.
    pub fn metric(&self) -> M {
        self.metric
    }

    /// Judges the value that was measured. Where it is an estimate within an `interval`, what all of the interval keeps is
    /// kept, what all of it crosses is crossed, and else it is not known.
    pub fn judge(&self, value: Option<f64>, interval: Option<(f64, f64)>) -> Judged {
        let unit = self.metric.unit();
        let holds = |value: f64| self.comparison.holds(value, self.limit);
        let (low, high) = interval.or(value.map(|value| (value, value))).unwrap_or((f64::NAN, f64::NAN));
        let within = self.comparison == Comparison::Equal && low < high && (low..=high).contains(&self.limit);
        let (outcome, why_unknown) = match (holds(low), holds(high)) {
            _ if value.is_none() => (Standing::Unknown, Some("there is no value".to_owned())),
            (true, true) => (Standing::Met, None),
            (false, false) if !within => (Standing::Crossed, None),
            _ => (Standing::Unknown, Some(format!("it lies anywhere in its interval, {}", range(unit, low, high)))),
        };
        self.judged(value.filter(|_| outcome != Standing::Unknown), interval, why_unknown, outcome)
    }

    /// Judges what never came to be: it is beyond every limit that something is to be below.
    pub fn judge_never(&self) -> Judged {
        let holds = self.comparison.holds(f64::INFINITY, self.limit);
        self.judged(None, None, None, if holds { Standing::Met } else { Standing::Crossed })
    }

    fn judged(
        &self,
        value: Option<f64>,
        interval: Option<(f64, f64)>,
        why_unknown: Option<String>,
        outcome: Standing,
    ) -> Judged {
        Judged {
            threshold: self.text.clone(),
            metric: self.metric.to_string(),
            comparison: self.comparison,
            limit: self.limit,
            value,
            interval,
            why_unknown,
            unit: self.metric.unit().symbol().to_owned(),
            outcome,
        }
    }
}

/// A judged limit and what was measured, for people.
pub fn show<M: Limited>(judged: &Judged) -> (String, String) {
    let Ok(metric) = judged.metric.parse::<M>() else { return judged.show() };
    let unit = metric.unit();
    let value = match (judged.value, judged.interval) {
        (None, _) if judged.outcome == Standing::Crossed => "never".to_owned(),
        (None, _) => "no value".to_owned(),
        (Some(_), Some((low, high))) => range(unit, low, high),
        (Some(value), None) => unit.show(value),
    };
    (format!("{} {} {}", judged.metric, judged.comparison, unit.show(judged.limit)), value)
}

/// From the one to the other, for people.
pub fn range(unit: Unit, low: f64, high: f64) -> String {
    if unit.is_time() { units::times(low, high) } else { format!("{} to {}", unit.show(low), unit.show(high)) }
}

impl<M: Limited> FromStr for Limit<M> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, comparison, limit) = Comparison::split(text, M::EXAMPLE)?;
        let metric: M = name.parse()?;
        let limit = metric.unit().parse(limit.trim(), false)?;
        Ok(Self { text: text.trim().to_owned(), metric, comparison, limit })
    }
}

impl<M> fmt::Display for Limit<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_interval_decides() {
        let judge = |text: &str, value, interval| text.parse::<HeldThreshold>().unwrap().judge(value, interval).outcome;
        let memory = "memory.user_per_connection<400B";
        assert_eq!(judge(memory, Some(300.0), Some((290.0, 399.0))), Standing::Met);
        assert_eq!(judge(memory, Some(300.0), Some((290.0, 410.0))), Standing::Unknown);
        assert_eq!(judge(memory, Some(500.0), Some((401.0, 600.0))), Standing::Crossed);
        assert_eq!(judge(memory, None, None), Standing::Unknown);
        assert_eq!(judge("handshake.p99<50ms", Some(49e6), None), Standing::Met);
        assert_eq!(judge("handshake.p99<50ms", Some(51e6), None), Standing::Crossed);
        assert_eq!(judge("connections.dropped==0", Some(0.0), None), Standing::Met);
        assert_eq!(judge("memory.user_per_connection==5B", Some(5.0), Some((1.0, 9.0))), Standing::Unknown);
    }

    #[test]
    fn a_limit_allows_only_the_errors_that_it_is_on() {
        let judged = |texts: &[&str]| -> Vec<Judged> {
            texts.iter().map(|text| text.parse::<FanoutThreshold>().unwrap().judge(Some(0.0), None)).collect()
        };
        let [lost, duplicated] = ["deliveries.lost", "deliveries.duplicated"].map(|name| name.parse().unwrap());
        let errors: [(FanoutMetric, u64); 2] = [(lost, 3), (duplicated, 2)];
        for (limits, without, all) in [
            (&[][..], 5, false),
            (&["latency.p99<1s"], 5, false),
            (&["deliveries.duplicated<9"], 3, false),
            (&["deliveries.duplicated<9", "deliveries.lost<9"], 0, true),
            (&["deliveries.duplicated<9", "reach.everyone>=0%"], 0, true),
            (&["deliveries.duplicated<9", "reach.share>50%"], 0, false),
        ] {
            let thresholds = judged(limits);
            assert_eq!((unlimited(&thresholds, &errors), allowed(&thresholds, &errors)), (without, all), "{limits:?}");
        }
        let [established, failed, dropped]: [HeldMetric; 3] =
            ["established", "failed", "dropped"].map(|name| format!("connections.{name}").parse().unwrap());
        assert!(established.stands_for(failed) && failed.stands_for(failed) && !failed.stands_for(dropped));
    }

    #[test]
    fn what_never_came_is_beyond_every_limit() {
        let judge = |text: &str| text.parse::<FanoutThreshold>().unwrap().judge_never();
        let never = judge("reach.p99<50ms");
        assert_eq!((never.outcome, never.value), (Standing::Crossed, None));
        assert_eq!(show::<FanoutMetric>(&never), ("reach.p99 < 50.0 ms".to_owned(), "never".to_owned()));
        assert_eq!(judge("reach.p99>50ms").outcome, Standing::Met);
        let error = "reach.p99".parse::<FanoutThreshold>().unwrap_err();
        assert!(error.contains("as reach.p99<50ms"), "{error}");
    }

    #[test]
    fn refusals_say_what_was_expected() {
        for (text, expected) in [
            ("handshake.p99", "METRIC<LIMIT, as handshake.p99<50ms"),
            ("handshake.p99<50", "a time with its unit"),
            ("memory.user_per_connection<5ms", "bytes"),
            ("throughput>5", "no metric"),
        ] {
            let error = text.parse::<HeldThreshold>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
