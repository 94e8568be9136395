//! The Universal Scalability Law in reports: how the rate grows with threads, or with messages in flight.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::statistics::{Coefficient, Point, Support, Unfit, Usl};
use crate::units;

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
    /// Where the rate is greatest; null where it grows for ever, if only ever more slowly.
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

impl Law {
    /// The law that fits these rates best.
    ///
    /// # Errors
    /// When there are too few points, or one of them is none.
    pub fn fitted(points: &[Point]) -> Result<Self, Unfit> {
        let law = Usl::fit(points, CONFIDENCE)?;
        let of = |of: Coefficient| Fitted { estimate: of.estimate, low: of.low, high: of.high };
        let peak = law.peak().map(|peak| Peak {
            load: peak.load,
            rate: peak.throughput,
            extrapolated: peak.support != Support::Measured,
        });
        Ok(Self { alpha: of(law.alpha), beta: of(law.beta), gamma: of(law.gamma), residuals: law.residuals, peak })
    }

    /// In sentences.
    pub(crate) fn in_words(&self, scaled: Scaled) -> Vec<String> {
        let of = |fitted: Fitted, show: fn(f64) -> String| match (fitted.low, fitted.high) {
            (Some(low), Some(high)) => format!("{} (95%: {} to {})", show(fitted.estimate), show(low), show(high)),
            _ => show(fitted.estimate),
        };
        let coefficient = |value: f64| format!("{value:.3e}");
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

/// Why there is no law, in a sentence.
pub(crate) fn no_law(why: &str) -> String {
    format!("no scalability law: {why}")
}

/// Of the law's intervals.
const CONFIDENCE: f64 = 0.95;
