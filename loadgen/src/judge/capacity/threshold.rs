//! Limits on the capacity itself, as `capacity>40k`.

use std::fmt;
use std::str::FromStr;

use crate::judge::threshold::{Comparison, Judged, Standing};
use crate::measure::metric::Unit;
use crate::plan::Rate;
use crate::units;

/// A limit on the capacity.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityThreshold {
    text: String,
    comparison: Comparison,
    limit: f64,
}

impl CapacityThreshold {
    /// Judges what is proven of the capacity: that it is `sustains` messages per second at least, and less than `breaks`.
    pub fn judge(&self, sustains: Option<f64>, breaks: Option<f64>) -> Judged {
        let (low, high) = (sustains.unwrap_or(0.0), breaks.unwrap_or(f64::INFINITY));
        let outcome = match (self.comparison.holds(low, self.limit), self.comparison.holds(high, self.limit)) {
            // Of an end that is not proven nothing follows.
            (true, true) => Standing::Met,
            (false, false) => Standing::Crossed,
            _ => Standing::Unknown,
        };
        let why = || "the limit lies between what is proven to be sustained and what is proven to break".to_owned();
        Judged {
            threshold: self.text.clone(),
            metric: NAME.to_owned(),
            comparison: self.comparison,
            limit: self.limit,
            value: sustains.filter(|_| outcome != Standing::Unknown),
            interval: sustains.zip(breaks),
            why_unknown: (outcome == Standing::Unknown).then(why),
            unit: Unit::MessagesPerSecond.symbol().to_owned(),
            outcome,
        }
    }
}

/// A judged limit and what was found, for people.
pub fn show(judged: &Judged) -> (String, String) {
    let rate = |rate: f64| format!("{}/s", units::number(rate));
    let value = match (judged.interval, judged.value) {
        (Some((low, high)), _) => format!("{}..{}", units::number(low), rate(high)),
        (None, Some(value)) => rate(value),
        (None, None) => "no value".to_owned(),
    };
    (format!("{} {} {}", judged.metric, judged.comparison, rate(judged.limit)), value)
}

impl FromStr for CapacityThreshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, comparison, limit) = Comparison::split(text, EXAMPLE)?;
        if name != NAME {
            return Err(format!("'{name}' is no metric of a capacity; expected capacity, as in {EXAMPLE}"));
        }
        if comparison == Comparison::Equal {
            return Err(format!(
                "a capacity is found between two rates, and equals none; expected < or >, as {EXAMPLE}"
            ));
        }
        let limit = limit.trim().parse::<Rate>()?.get();
        Ok(Self { text: text.trim().to_owned(), comparison, limit })
    }
}

/// As it was written.
impl fmt::Display for CapacityThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const NAME: &str = "capacity";
const EXAMPLE: &str = "capacity>40k";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_proven_decides() {
        let judge =
            |text: &str, sustains, breaks| text.parse::<CapacityThreshold>().unwrap().judge(sustains, breaks).outcome;
        assert_eq!(judge("capacity>40k", Some(41e3), Some(42e3)), Standing::Met);
        assert_eq!(judge("capacity>40k", Some(41e3), None), Standing::Met);
        assert_eq!(judge("capacity>40k", Some(39e3), Some(41e3)), Standing::Unknown);
        assert_eq!(judge("capacity>40k", Some(39e3), None), Standing::Unknown);
        assert_eq!(judge("capacity>40k", None, Some(39e3)), Standing::Crossed);
        assert_eq!(judge("capacity>40k", None, None), Standing::Unknown);
        assert_eq!(judge("capacity<40k", Some(41e3), None), Standing::Crossed);
        assert_eq!(judge("capacity<40k", None, Some(39e3)), Standing::Met);
    }

    #[test]
    fn refusals_say_what_was_expected() {
        for (text, expected) in [
            ("capacity", "METRIC<LIMIT, as capacity>40k"),
            ("latency.p99<5ms", "no metric of a capacity"),
            ("capacity==40k", "expected < or >"),
            ("capacity>fast", "expected one as 5000"),
        ] {
            let error = text.parse::<CapacityThreshold>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
