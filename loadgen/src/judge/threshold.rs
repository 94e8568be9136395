//! Thresholds: limits that a run's figures have to keep, as `latency.p99<5ms`, and what became of them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::trust::bounds;
use crate::measure::metric::{self, Distribution, Metric, Unit};
use crate::measure::so_far::SoFar;
use crate::units;

/// A limit on a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As it was written.
    text: String,
    metric: Metric,
    comparison: Comparison,
    limit: f64,
}

/// How a value is to lie to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Comparison {
    /// Below it.
    #[serde(rename = "<")]
    Less,
    /// Not above it.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Above it.
    #[serde(rename = ">")]
    Greater,
    /// Not below it.
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// At it.
    #[serde(rename = "==")]
    Equal,
}

/// What became of a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// The threshold, as it was written.
    pub threshold: String,
    /// The metric's name.
    pub metric: String,
    /// How the value is to lie to the limit.
    pub comparison: Comparison,
    /// The limit, in the unit.
    pub limit: f64,
    /// The value, in the unit; null where the run has none.
    pub value: Option<f64>,
    /// The least and the most that it can be, where the generator was late itself: what all of it keeps is kept, and what
    /// all of it crosses is crossed.
    #[serde(default)]
    pub interval: Option<(f64, f64)>,
    /// Why there is no value; null where there is one.
    #[serde(default)]
    pub why_unknown: Option<String>,
    /// The unit of both; a share of 1 is all.
    #[schemars(with = "Unit")]
    pub unit: String,
    /// What became of it.
    pub outcome: Standing,
}

/// Whether a threshold was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The value keeps the limit.
    Met,
    /// It does not.
    Crossed,
    /// There is no value: nothing was answered, too few were for that percentile, the server is on another machine, or the
    /// generator was so late that it may lie on either side.
    Unknown,
}

/// What a finished run has of the metric that a threshold limits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Its value.
    pub value: Option<f64>,
    /// Without a value, the least and the most that it can be, as far as that is known.
    pub bounds: Option<(f64, f64)>,
    /// With a value, the least and the most that it would have been had the generator been on time, where that is not one
    /// figure.
    pub interval: Option<(f64, f64)>,
    /// Without a value, why.
    pub why_absent: Option<String>,
}

impl Threshold {
    /// What it limits.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The limit, in the metric's unit.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// Judges a finished run by what it has of the metric.
    pub fn judge(&self, found: Found) -> Judged {
        let Found { value, bounds, interval, why_absent } = found;
        let unit = self.metric.unit();
        let undecided = interval.filter(|&ends| !self.kept_by(ends) && !self.beyond(ends));
        let why_undecided = undecided.map(|(low, high)| {
            let (low, high) = (unit.show(low), unit.show(high));
            format!("the generator was late itself, and it lies anywhere between {low} and {high}")
        });
        let value = value.filter(|_| undecided.is_none());
        let outcome = match value {
            Some(_) if let Some(ends) = interval => match self.kept_by(ends) {
                true => Standing::Met,
                false => Standing::Crossed,
            },
            Some(value) if self.comparison.holds(value, self.limit) => Standing::Met,
            Some(_) => Standing::Crossed,
            None if undecided.is_some() => Standing::Unknown,
            None if bounds.is_some_and(|bounds| self.beyond(bounds)) => Standing::Crossed,
            None => Standing::Unknown,
        };
        Judged {
            threshold: self.text.clone(),
            metric: self.metric.to_string(),
            comparison: self.comparison,
            limit: self.limit,
            value,
            interval,
            why_unknown: why_undecided.or(why_absent).filter(|_| value.is_none()),
            unit: unit.symbol().to_owned(),
            outcome,
        }
    }

    /// Whether what a run has measured so far crosses it; what cannot be told yet does not, nor what may still be kept,
    /// as `errors>=1` before there is an error.
    pub fn crossed_by(&self, so_far: SoFar<'_>) -> bool {
        // What an on-time generator might not have crossed ends no run.
        if let Some(ends) = self.interval_so_far(so_far) {
            return self.beyond(ends);
        }
        let Some(value) = so_far.value(self.metric) else {
            return so_far.bounds(self.metric).is_some_and(|bounds| self.beyond(bounds));
        };
        let may_come = match self.comparison {
            Comparison::Less | Comparison::LessOrEqual => self.metric.only_falls(),
            Comparison::Greater | Comparison::GreaterOrEqual => self.metric.only_grows(),
            Comparison::Equal if value < self.limit => self.metric.only_grows(),
            Comparison::Equal => self.metric.only_falls(),
        };
        !may_come && !self.comparison.holds(value, self.limit)
    }

    /// The interval of a latency of an open loop, where it is not one figure.
    fn interval_so_far(&self, so_far: SoFar<'_>) -> Option<(f64, f64)> {
        let Metric::Time(Distribution::Latency, statistic) = self.metric else { return None };
        let least = so_far.offered_rate.map(|_| &so_far.times.least)?;
        bounds::interval(&so_far.times.latency, Some(least), statistic).filter(|ends| !bounds::is_narrow(*ends))
    }

    /// Whether everything from the one to the other keeps it.
    fn kept_by(&self, (least, most): (f64, f64)) -> bool {
        self.comparison.holds(least, self.limit) && self.comparison.holds(most, self.limit)
    }

    /// Whether everything from the one to the other crosses it: then a percentile that lies between them does, though too
    /// few values are there to tell which it is.
    fn beyond(&self, (least, most): (f64, f64)) -> bool {
        let equal_between = self.comparison == Comparison::Equal && (least..=most).contains(&self.limit);
        !equal_between && !self.comparison.holds(least, self.limit) && !self.comparison.holds(most, self.limit)
    }
}

impl Judged {
    /// Why there is no value, for people.
    pub fn why_unknown(&self) -> &str {
        self.why_unknown.as_deref().unwrap_or("there is no value")
    }

    /// Whether the limit is one on errors.
    pub fn is_of_errors(&self) -> bool {
        self.metric.parse().is_ok_and(Metric::is_of_errors)
    }

    /// The threshold, limit and value for people.
    pub fn show(&self) -> (String, String) {
        let show = |value: f64| metric::show_named(&self.metric, &self.unit, value);
        let without = if self.outcome == Standing::Crossed { "every value beyond it" } else { "no value" };
        let value = match (self.value, self.interval) {
            (Some(_), Some((low, high))) => units::times(low, high),
            (Some(value), None) => show(value),
            (None, _) => without.to_owned(),
        };
        (format!("{} {} {}", self.metric, self.comparison, show(self.limit)), value)
    }
}

impl Comparison {
    /// Reads what stands before the comparison, the comparison itself, and what stands behind it.
    pub(super) fn split<'a>(text: &'a str, example: &str) -> Result<(&'a str, Self, &'a str), String> {
        let at = text.find(['<', '>', '=']).ok_or_else(|| format!("expected METRIC<LIMIT, as {example}"))?;
        let (name, rest) = (text[..at].trim(), &text[at..]);
        // The longest first, k6's strict equality included.
        let operators = [
            ("===", Self::Equal),
            ("==", Self::Equal),
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("<", Self::Less),
            (">", Self::Greater),
        ];
        let (comparison, limit) = operators
            .into_iter()
            .find_map(|(operator, comparison)| Some((comparison, rest.strip_prefix(operator)?)))
            .ok_or_else(|| format!("expected one of <, <=, >, >= and ==, as {example}"))?;
        Ok((name, comparison, limit))
    }

    /// Whether a value lies so to a limit.
    pub(super) fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
            Self::Equal => value == limit,
        }
    }
}

impl FromStr for Threshold {
    type Err = String;

    /// Reads `latency.p99<5ms`, and k6's `p(99)<5`, which limits the latency in milliseconds, and `rate<0.01`, which
    /// limits the errors.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, comparison, limit) = Comparison::split(text, EXAMPLE)?;
        // In k6 the metric stands elsewhere, and its times are milliseconds.
        let k6 = match name {
            "rate" => Some(Metric::ErrorRate),
            name => name.parse().ok().map(|statistic| Metric::Time(Distribution::Latency, statistic)),
        };
        let metric: Metric = k6.map_or_else(|| name.parse(), Ok)?;
        if !metric.is_of_runs() {
            return Err(format!("'{name}' is measured by compare and sweep only"));
        }
        let limit = metric.unit().parse(limit.trim(), k6.is_some())?;
        Ok(Self { text: text.trim().to_owned(), metric, comparison, limit })
    }
}

/// As it was written.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "==",
        })
    }
}

const EXAMPLE: &str = "latency.p99<5ms";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::resources::Usage;
    use crate::measure::datagrams::Datagrams;
    use crate::measure::histogram::histogram;
    use crate::measure::tally::{Errors, Tally};
    use crate::measure::times::Times;

    #[test]
    fn both_spellings_say_the_same() {
        for (k6, own) in [
            ("p(99)<5", "latency.p99<5ms"),
            ("p(99.9) <= 1.5", "latency.p99.9<=1500us"),
            ("avg<200ms", "latency.mean<0.2s"),
            ("med < 1", "latency.p50 < 1ms"),
            ("rate<0.01", "errors.rate<1%"),
            ("max>=1", "latency.max >= 1ms"),
        ] {
            let (k6, own): (Threshold, Threshold) = (k6.parse().unwrap(), own.parse().unwrap());
            assert_eq!((k6.metric, k6.comparison, k6.limit), (own.metric, own.comparison, own.limit), "{k6}");
        }
        for (text, comparison) in [("errors==0", Comparison::Equal), ("errors===0", Comparison::Equal)] {
            assert_eq!(text.parse::<Threshold>().unwrap().comparison, comparison);
        }
    }

    #[test]
    fn a_share_of_all_or_more_needs_its_percent_sign_in_each_metric_and_spelling() {
        for threshold in ["achieved>=99", "errors.rate<1", "rate<1"] {
            assert!(threshold.parse::<Threshold>().unwrap_err().contains("percent sign"), "{threshold}");
        }
    }

    #[test]
    fn refusals_say_what_was_expected() {
        for (text, expected) in [
            ("", "METRIC<LIMIT"),
            ("latency.p99", "METRIC<LIMIT"),
            ("latency.p99=5ms", "one of <, <="),
            ("latency.p99<5", "a time with its unit"),
            ("latency.p99<", "a time with its unit"),
            ("latency.q99<5ms", "no statistic"),
            ("speed<5", "no metric"),
            ("connection.memory<1KiB", "compare and sweep only"),
            ("<5ms", "no metric"),
            ("throughput>fast", "messages per second"),
        ] {
            let error = text.parse::<Threshold>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_measured_so_far_crosses_or_cannot_tell() {
        let (mut times, mut connect) = (Times::new(), histogram());
        times.latency.saturating_record_n(6_000_000, 100);
        times.least.saturating_record_n(6_000_000, 100);
        connect.saturating_record(3_000_000);
        let usage = |ms| Some(Usage { cpu: Duration::from_millis(ms), max_rss_bytes: ms << 20, ..Usage::default() });
        let so_far = SoFar {
            times: &times,
            connect: &connect,
            replies: 100,
            seconds: 2.0,
            offered_rate: Some(100.0),
            tally: Tally {
                verified: 90,
                errors: Errors { wrong: 8, over_backlog: 2, failed: 3, dropped: 1 },
                datagrams: Datagrams { lost: 25, late: 5, duplicated: 2, reordered: 1 },
                bytes: 10_000,
            },
            loadgen: usage(10),
            server: usage(20),
        };
        let crossed = |text: &str| text.parse::<Threshold>().unwrap().crossed_by(so_far);
        for (kept, exceeded) in [
            ("latency.p99<7ms", "latency.p99<5ms"),
            ("latency.min<7ms", "latency.min>7ms"),
            ("connect.p50<4ms", "connect.p50<2ms"),
            ("connect.p99<4ms", "connect.p99<2ms"),
            ("throughput>=50", "throughput>51"),
            ("throughput.bytes>=5kB/s", "throughput.bytes>6kB/s"),
            ("achieved>=50%", "achieved>=99%"),
            ("errors<=14", "errors<14"),
            ("errors==14", "errors==0"),
            ("rate<0.11", "errors.rate<10%"),
            ("datagrams.lost<=20%", "datagrams.lost<20%"),
            ("datagrams.late<5%", "datagrams.late<4%"),
            ("datagrams.duplicated<2%", "datagrams.duplicated<1%"),
            ("datagrams.reordered<1%", "datagrams.reordered==0"),
            ("loadgen.cpu<=100us", "loadgen.cpu<99us"),
            ("loadgen.memory<=10MiB", "loadgen.memory<10MiB"),
            ("server.cpu<=200us", "server.cpu<199us"),
            ("server.memory<=20MiB", "server.memory<20MiB"),
        ] {
            assert!(crossed(exceeded) && !crossed(kept), "{kept}, {exceeded}");
        }
        assert!(!crossed("service_time.p99<1ns"), "nothing has been measured");
        for may_come in ["errors>20", "errors==20", "latency.max>1s", "latency.min<1ns", "server.memory>=1GiB"] {
            assert!(!crossed(may_come), "{may_come}");
        }
        let mut late = times.clone();
        late.least.reset();
        late.least.saturating_record_n(2_000_000, 100);
        let late = SoFar { times: &late, ..so_far };
        for (text, ends) in [("latency.p99<1ms", true), ("latency.p99<5ms", false), ("latency.p99<7ms", false)] {
            assert_eq!(text.parse::<Threshold>().unwrap().crossed_by(late), ends, "{text}: 2 to 6 ms");
        }
        let elsewhere = SoFar { server: None, ..so_far };
        assert!(!"server.cpu<1ns".parse::<Threshold>().unwrap().crossed_by(elsewhere));
    }
}
