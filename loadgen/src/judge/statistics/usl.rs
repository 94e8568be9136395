//! The Universal Scalability Law: throughput by load (threads, messages in flight), fitted to measured points.
//!
//! X(N) = gamma N / (1 + alpha (N - 1) + beta N (N - 1)), where gamma is the throughput at a load of 1, alpha the share of
//! the work that is done by one at a time (contention) and beta what it costs to keep two of them in agreement (coherency).
//! Gunther, Guerrilla Capacity Planning, 2007, chapters 4 to 6. Neither alpha nor beta is below 0, which the libraries for
//! least squares that are kept up cannot be told: `fit` has its own.

mod fit;
#[cfg(test)]
mod tests;

use statrs::distribution::{ContinuousCDF, StudentsT};

use self::fit::{ALPHA, BETA, Coefficients, GAMMA};

/// A fitted law.
#[derive(Debug, Clone, PartialEq)]
pub struct Usl {
    /// Contention, a share.
    pub alpha: Coefficient,
    /// Coherency, a share.
    pub beta: Coefficient,
    /// Throughput at a load of 1, in the points' unit.
    pub gamma: Coefficient,
    /// Measured minus fitted throughput of each point, in their order and unit.
    pub residuals: Vec<f64>,
    /// The standard error of the residuals, in the points' unit; `None`: 3 points leave none.
    pub residual_error: Option<f64>,
    /// The smallest and the largest load measured.
    pub measured: (f64, f64),
}

/// What was measured at one load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Threads, messages in flight or whatever is scaled: 1 or more.
    pub load: f64,
    /// Messages per second, or another rate of work done: above 0.
    pub throughput: f64,
}

/// An estimate, and the interval in which the true value lies with the confidence that was asked for, if the law holds and
/// the points differ from it independently and alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficient {
    /// The value that fits best.
    pub estimate: f64,
    /// The lower end, 0 at the least; `None`: the points are too few to tell one.
    pub low: Option<f64>,
    /// The upper end; likewise.
    pub high: Option<f64>,
}

/// What the law says of a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The load.
    pub load: f64,
    /// The throughput there, in the points' unit.
    pub throughput: f64,
    /// Whether that may be relied on.
    pub support: Support,
}

/// How far a prediction stands on what was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Support {
    /// The load is at most twice the largest that was measured, and at least half the smallest.
    Measured,
    /// The load is so many times the largest that was measured, more than twice; or, below 0.5, the smallest. Other laws
    /// that fit the points as well may say something else there: a warning is due.
    Extrapolated {
        /// The load, as a multiple of the largest or smallest that was measured.
        times: f64,
    },
}

/// Why points cannot be fitted.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// Three coefficients need three loads.
    #[error("expected measurements at 3 different loads at least, found {0}")]
    TooFew(usize),
    /// A load or a throughput that is none.
    #[error("expected loads of 1 or more and throughputs above 0, found {} at a load of {}", .0.throughput, .0.load)]
    OutOfRange(Point),
}

impl Usl {
    /// The law that fits `points` best, with intervals of this confidence (0..1).
    ///
    /// # Errors
    /// When there are too few points, or one of them is none.
    ///
    /// # Panics
    /// When the confidence does not lie between 0 and 1.
    pub fn fit(points: &[Point], confidence: f64) -> Result<Self, Unfit> {
        assert!(confidence > 0.0 && confidence < 1.0, "a confidence of {confidence}");
        let measured = range(points)?;
        // Throughputs of about 1, so that their squares keep all digits.
        let unit = points.iter().map(|point| point.throughput).fold(0.0, f64::max);
        let scaled: Vec<(f64, f64)> = points.iter().map(|point| (point.load, point.throughput / unit)).collect();
        let (coefficients, squares) = fit::best(&scaled);
        let freedom = points.len() as f64 - coefficients.len() as f64;
        let variance = (freedom > 0.0).then(|| squares / freedom);
        let covariance = fit::covariance(&scaled, &coefficients);
        let coefficient = |i: usize, unit: f64| {
            let half_width = variance.zip(covariance).map(|(variance, covariance)| {
                let student = StudentsT::new(0.0, 1.0, freedom).expect("there are degrees of freedom");
                student.inverse_cdf(0.5 + confidence / 2.0) * (variance * covariance[i][i]).sqrt()
            });
            let (estimate, end) = (coefficients[i], |ends: f64| (ends * unit).max(0.0));
            Coefficient {
                estimate: estimate * unit,
                low: half_width.map(|half| end(estimate - half)),
                high: half_width.map(|half| end(estimate + half)),
            }
        };
        Ok(Self {
            alpha: coefficient(ALPHA, 1.0),
            beta: coefficient(BETA, 1.0),
            gamma: coefficient(GAMMA, unit),
            residuals: scaled.iter().map(|&(load, of)| (of - fit::at(&coefficients, load)) * unit).collect(),
            residual_error: variance.map(|variance| variance.sqrt() * unit),
            measured,
        })
    }

    /// What it says of a load.
    pub fn at(&self, load: f64) -> Prediction {
        let (smallest, largest) = self.measured;
        let support = if load > FAR * largest {
            Support::Extrapolated { times: load / largest }
        } else if load < smallest / FAR {
            Support::Extrapolated { times: load / smallest }
        } else {
            Support::Measured
        };
        Prediction { load, throughput: fit::at(&self.coefficients(), load), support }
    }

    /// Where throughput is greatest; `None` where it grows with the load for ever.
    pub fn peak(&self) -> Option<Prediction> {
        let (alpha, beta) = (self.alpha.estimate, self.beta.estimate);
        // From the second on the law's derivative has no zero above a load of 1.
        let load = if beta > 0.0 { ((1.0 - alpha).max(0.0) / beta).sqrt().max(1.0) } else { f64::INFINITY };
        if load.is_finite() { Some(self.at(load)) } else { (alpha >= 1.0).then(|| self.at(1.0)) }
    }

    /// What throughput would come up to if there were contention alone; `None` without contention.
    pub fn limit(&self) -> Option<f64> {
        (self.alpha.estimate > 0.0).then(|| self.gamma.estimate / self.alpha.estimate)
    }

    fn coefficients(&self) -> Coefficients {
        [self.alpha, self.beta, self.gamma].map(|coefficient| coefficient.estimate)
    }
}

/// The smallest and the largest load, if the points can be fitted.
fn range(points: &[Point]) -> Result<(f64, f64), Unfit> {
    let is_one = |point: &Point| {
        point.load >= 1.0 && point.load.is_finite() && point.throughput > 0.0 && point.throughput.is_finite()
    };
    if let Some(&point) = points.iter().find(|point| !is_one(point)) {
        return Err(Unfit::OutOfRange(point));
    }
    let mut loads: Vec<f64> = points.iter().map(|point| point.load).collect();
    loads.sort_unstable_by(f64::total_cmp);
    loads.dedup();
    match loads[..] {
        [smallest, _, .., largest] => Ok((smallest, largest)),
        _ => Err(Unfit::TooFew(loads.len())),
    }
}

/// How many times the largest load measured is far beyond it.
const FAR: f64 = 2.0;
