//! The Universal Scalability Law in reports: how the rate grows with threads, or with messages in flight.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::statistics::{Coefficient, Point, Support, Unfit, Usl};
use crate::units;

/// The law, or why there is none. Neither where the law is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scalability {
    /// The Universal Scalability Law; null where it cannot be fitted, and along an axis of which it says nothing.
    pub law: Option<Law>,
    /// Why it cannot be fitted.
    pub law_unknown: Option<String>,
}

/// The law that fits best: X(N) = gamma N / (1 + alpha (N - 1) + beta N (N - 1)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Law {
    /// Contention: the share of the work that is done by one thread, or one message, at a time.
    pub alpha: Fitted,
    /// Coherency: what it costs to keep two of them in agreement.
    pub beta: Fitted,
    /// Messages per second of one thread, or with one message in flight.
    pub gamma: Fitted,
    /// Measured minus fitted rate at each value, messages per second.
    pub residuals: Vec<f64>,
    /// Where the rate is greatest; null where it grows for ever.
    pub peak: Option<Peak>,
}

/// An estimate with its 95% interval, whose ends are null where the points are too few for one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fitted {
    /// The value that fits best.
    pub estimate: f64,
    /// The lower end.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// Where the rate is greatest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Peak {
    /// Threads, or messages in flight.
    // Earlier versions fitted the law along threads alone, and called it that.
    #[serde(alias = "threads")]
    pub load: f64,
    /// Messages per second.
    pub rate: f64,
    /// Whether that lies beyond twice what was measured, where other laws that fit as well may say something else.
    pub extrapolated: bool,
}

/// What there is more and more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scaled {
    /// Threads of the server.
    Threads,
    /// Messages in flight on all connections together.
    InFlight,
}

impl Scalability {
    /// The law that fits these rates best, if any does.
    pub fn of(points: &[Point]) -> Self {
        match Law::fitted(points) {
            Ok(law) => Self { law: Some(law), law_unknown: None },
            Err(why) => Self { law: None, law_unknown: Some(why.to_string()) },
        }
    }

    /// In sentences.
    pub(crate) fn in_words(&self, scaled: Scaled) -> Vec<String> {
        match &self.law {
            Some(law) => law.in_words(scaled),
            None => self.law_unknown.iter().map(|why| format!("no scalability law: {why}")).collect(),
        }
    }
}

impl Scaled {
    /// As reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::InFlight => "in-flight",
        }
    }
}

impl Law {
    /// The law that fits these rates best.
    ///
    /// # Errors
    /// When there are too few points, or one of them is none.
    fn fitted(points: &[Point]) -> Result<Self, Unfit> {
        let law = Usl::fit(points, CONFIDENCE)?;
        let of = |of: Coefficient| Fitted { estimate: of.estimate, low: of.low, high: of.high };
        let peak = law.peak().map(|peak| Peak {
            load: peak.load,
            rate: peak.throughput,
            extrapolated: peak.support != Support::Measured,
        });
        Ok(Self { alpha: of(law.alpha), beta: of(law.beta), gamma: of(law.gamma), residuals: law.residuals, peak })
    }

    fn in_words(&self, scaled: Scaled) -> Vec<String> {
        let of = |fitted: Fitted, show: fn(f64) -> String| match (fitted.low, fitted.high) {
            (Some(low), Some(high)) => format!("{} (95%: {} to {})", show(fitted.estimate), show(low), show(high)),
            _ => show(fitted.estimate),
        };
        let coefficient = |value: f64| if value == 0.0 { "0".to_owned() } else { format!("{value:.3e}") };
        let (one, many) = match scaled {
            Scaled::Threads => ("thread", "threads"),
            Scaled::InFlight => ("message in flight", "messages in flight"),
        };
        let law = format!(
            "scalability law (Gunther): alpha {} (contention), beta {} (coherency), gamma {} with one {one}",
            of(self.alpha, coefficient),
            of(self.beta, coefficient),
            of(self.gamma, |rate| format!("{}/s", units::number(rate)))
        );
        let peak = match self.peak {
            None if self.alpha.estimate == 0.0 => format!("by it, the rate grows in proportion to the {many}"),
            None => format!("by it, the rate grows with every {one}, if only ever more slowly"),
            Some(Peak { load, rate, extrapolated }) => format!(
                "by it, the rate is greatest at {} {many}, {}/s{}",
                units::number(load),
                units::number(rate),
                if extrapolated { ": far beyond what was measured, where other laws may hold" } else { "" }
            ),
        };
        let residuals: Vec<String> = self.residuals.iter().map(|of| format!("{of:+.0}")).collect();
        vec![law, peak, format!("measured less fitted: {} /s", residuals.join(", "))]
    }
}

/// Of the law's intervals.
const CONFIDENCE: f64 = 0.95;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::sweep::Scaling;

    fn points(rates: &[f64]) -> Vec<Point> {
        rates.iter().zip(1..).map(|(&throughput, load)| Point { load: f64::from(load), throughput }).collect()
    }

    #[test]
    fn the_law_or_why_there_is_none_stands_beside_what_it_is_fitted_to() {
        let document = |law, unknown| json!({"name": "threads", "of": "threads", "points": [{"load": 1, "rate": 5.0}], "law": law, "law_unknown": unknown});
        let fitted = |estimate: f64| json!({"estimate": estimate, "low": null, "high": null});
        let (alpha, beta, gamma) = (fitted(0.5), fitted(0.25), fitted(5.0));
        let law = |load: &str| {
            let peak = json!({load: 1.0, "rate": 5.0, "extrapolated": false});
            json!({"alpha": alpha, "beta": beta, "gamma": gamma, "residuals": [0.0], "peak": peak})
        };
        for saved in [document(law("load"), json!(null)), document(json!(null), json!("too few"))] {
            let read: Scaling = serde_json::from_value(saved.clone()).unwrap();
            assert_eq!(json!(read), saved);
        }
        let earlier: Scaling = serde_json::from_value(document(law("threads"), json!(null))).unwrap();
        assert_eq!(json!(earlier), document(law("load"), json!(null)));
    }

    #[test]
    fn words_are_of_the_law_or_of_why_there_is_none() {
        let said = |rates: &[f64]| Scalability::of(&points(rates)).in_words(Scaled::Threads);
        let law = said(&[10.0, 19.0, 27.0, 34.0]);
        assert!(law.len() == 3 && law[0].starts_with("scalability law (Gunther): alpha "), "{law:?}");
        // Faster than in proportion, which no law is: the one that is nearest has neither contention nor coherency.
        let proportional = said(&[10.0, 21.0, 33.0, 46.0]);
        assert!(proportional[0].contains(": alpha 0 (") && proportional[0].contains(", beta 0 ("), "{proportional:?}");
        assert_eq!(proportional[1], "by it, the rate grows in proportion to the threads");
        let none = said(&[10.0, 19.0]);
        assert!(none.len() == 1 && none[0].starts_with("no scalability law: expected "), "{none:?}");
        assert!(Scalability::default().in_words(Scaled::Threads).is_empty());
    }
}
