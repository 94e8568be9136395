//! When a server that was just started has warmed up: whether slices of its load (the cost of a message, the rate) still
//! trend, looked at while they come in.
//!
//! A look takes the last half of all slices so far, and compares the first half of those with the second. The server has
//! settled once an interval of their difference lies within [`MARGIN`]: what is asked for is evidence that there is no
//! trend, since a lack of evidence that there is one is what a few noisy slices always give. The window grows with
//! the time, so no time constant has to be known. With a cost of 1 + exp(-t/T), looked at after the time t = T ln(1/b),
//! when the bias is still b, the halves differ by b (2T/w) (exp(w/2T) - 1)^2, w = t/2. For b = 2% that is 5.6%, for 10% it is
//! 10%, and at t = T/3, which is the first look where T is 3 s and a slice 100 ms, 3.8% of the cost then: all above
//! [`MARGIN`]. Looks come after 10 slices and then each time there are a quarter more, so that there are few and their errors
//! do not add up to much. Where slices are so noisy that no interval gets as narrow, it has settled as far as they tell: once it
//! was seen for four times as long as it took to come to the level of the last half, within the noise, and those last two
//! quarters do not differ and hold no jump. `simulated.rs` beside this file says how often it errs.
//!
//! Of one that has not settled it is said why. A smooth rise looks like noise whose neighbours are alike, in which the quarters'
//! difference may be lost: so the order of the slices is asked too (`kendall`). And where a rise passes through levels, they are
//! jumps only if they fit better than a line.

use super::kendall::{kendall, levelled};
use super::normal::normal_quantile;
use super::series::{Noise, median};
use super::tiers::{Tier, tiers};

/// What is known of a server's warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Settling {
    /// It needs more slices.
    NotYet,
    /// It has settled: from slice `from` on (0 for a server that needs no warm-up) all is at one level. Later starts of the
    /// same server need not run longer than until there, uncounted.
    Settled {
        /// The first slice at the level it stayed at.
        from: usize,
    },
    /// It has not settled within the most slices: *not steady*.
    NotSteady(Why),
}

/// Why a server has not settled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Why {
    /// It was still becoming costlier (above 0) or cheaper: the log ratio of the last quarter's level to that of the quarter
    /// before it.
    Trends(f64),
    /// It jumped between levels: the log ratio of the last jump in the second half.
    Jumps(f64),
    /// The slices are so noisy that a change of this log ratio between the last two quarters would not be seen. Nothing
    /// speaks for one.
    Noise(f64),
}

/// The slices of one server since it was started, and what they have told.
#[derive(Debug, Clone)]
pub struct Slices {
    /// The log of each figure, by figure.
    series: Vec<Vec<f64>>,
    most: usize,
    next_look: usize,
    state: Settling,
    /// The figure that `state` is about where it is not steady.
    unsteady: Option<usize>,
}

impl Slices {
    /// No slices yet, of this many figures each; after `most` slices it is settled or never will be.
    pub fn new(figures: usize, most: usize) -> Self {
        let most = most.max(FIRST_LOOK);
        Self { series: vec![Vec::new(); figures], most, next_look: FIRST_LOOK, state: Settling::NotYet, unsteady: None }
    }

    /// Takes the figures of one slice and says what is known now. A slice in which a figure is missing (0, or not finite)
    /// counts for the others.
    pub fn push(&mut self, figures: &[f64]) -> Settling {
        assert_eq!(figures.len(), self.series.len(), "one value for each figure");
        for (series, figure) in self.series.iter_mut().zip(figures) {
            let value = figure.ln();
            // The place is kept, so that all series stand for the same time.
            series.push(if value.is_finite() { value } else { series.last().copied().unwrap_or(0.0) });
        }
        let slices = self.len();
        if self.state == Settling::NotYet && (slices >= self.next_look || slices >= self.most) {
            self.next_look = slices + slices.div_ceil(4);
            self.state = self.look();
        }
        self.state
    }

    /// Says what is known, where there is no time for more slices; nothing of fewer than a look takes.
    pub fn end(&mut self) -> Settling {
        if self.state == Settling::NotYet && self.len() >= FIRST_LOOK {
            self.most = self.len();
            self.state = self.look();
        }
        self.state
    }

    /// How many slices there were.
    pub fn len(&self) -> usize {
        self.series.first().map_or(0, Vec::len)
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which of the figures was not steady, where one was not.
    pub fn unsteady(&self) -> Option<usize> {
        self.unsteady
    }

    /// What is known.
    pub fn state(&self) -> Settling {
        self.state
    }

    /// The first slice from which on every figure lies at the level of its last half, as far as the noise tells. Slices are
    /// seen [`UNSEEN`] together: of the first ones from there, some may still be off it.
    pub fn level_from(&self) -> usize {
        self.series.iter().map(|series| level_from(series)).max().unwrap_or(0)
    }

    /// The logs of one figure, a value for each slice: the picture of a server that is not steady.
    pub fn series(&self, figure: usize) -> &[f64] {
        &self.series[figure]
    }

    fn look(&mut self) -> Settling {
        let looks: Vec<Look> = self.series.iter().map(|series| Look::at(series)).collect();
        let from = self.level_from();
        let within = looks.iter().all(|look| look.bound(EACH) <= MARGIN);
        let as_far_as_noise_tells = self.len() >= AT_NOISE.max(from * TIMES_AT_NOISE)
            && looks.iter().zip(&self.series).all(|(look, series)| !look.differs() && !jumps(series));
        if within || as_far_as_noise_tells {
            return Settling::Settled { from };
        }
        if self.len() < self.most {
            return Settling::NotYet;
        }
        let last = looks.iter().zip(&self.series).enumerate().filter(|(_, (look, _))| look.bound(EACH) > MARGIN);
        let whys = last.map(|(figure, (look, series))| (figure, look.why(series)));
        // What is known comes before what is not.
        let order = |why: &Why| match why {
            Why::Jumps(_) => 0,
            Why::Trends(_) => 1,
            Why::Noise(_) => 2,
        };
        let told = whys.min_by_key(|(_, why)| order(why));
        self.unsteady = told.map(|(figure, _)| figure);
        told.map_or(Settling::NotYet, |(_, why)| Settling::NotSteady(why))
    }
}

/// The last two quarters of a series, compared.
#[derive(Debug)]
struct Look {
    difference: f64,
    deviation: f64,
}

impl Look {
    fn at(series: &[f64]) -> Self {
        let window = &series[series.len() / 2..];
        let (before, after) = window.split_at(window.len() / 2);
        let shifts = before.iter().flat_map(|a| after.iter().map(move |b| b - a)).collect();
        let noise = Noise::of(&series[series.len() - window.len().max(NOISE_SLICES).min(series.len())..]);
        Self {
            difference: median(shifts).unwrap_or(0.0),
            deviation: noise.map_or(f64::INFINITY, |noise| noise.of_difference(before.len(), after.len())),
        }
    }

    /// The most that the quarters may differ by, but for an error of `error`.
    fn bound(&self, error: f64) -> f64 {
        self.difference.abs() + normal_quantile(1.0 - error) * self.deviation
    }

    /// Whether the quarters differ by more than chance.
    fn differs(&self) -> bool {
        self.difference.abs() > normal_quantile(1.0 - CALLED_A_DIFFERENCE / 2.0) * self.deviation
    }

    fn why(&self, series: &[f64]) -> Why {
        let window = &series[series.len() / 2..];
        let found = tiers(window, MARGIN);
        if let [.., before, after] = &found[..]
            && off_tiers(window, &found) < off_line(window)
        {
            return Why::Jumps(after.level - before.level);
        }
        let differs = self.difference.abs() > normal_quantile(1.0 - CALLED_A_TREND / 2.0) * self.deviation;
        if differs || self.is_of_a_trend(series) {
            return Why::Trends(self.difference);
        }
        Why::Noise(self.bound(EACH))
    }

    /// Whether the quarters differ since the series rises or falls, and its second half still does: a server may have come to its
    /// level before. In the first quarter it may become faster, whatever it does then.
    fn is_of_a_trend(&self, series: &[f64]) -> bool {
        let follows =
            |values: &[f64], error: f64| kendall(values) * self.difference.signum() > normal_quantile(1.0 - error);
        self.difference.abs() > MARGIN
            && follows(&series[series.len() / 4..], CALLED_A_RISE / 2.0)
            && follows(&series[series.len() / 2..], STILL_RISING)
    }
}

/// How far the values are from their tiers, all together.
fn off_tiers(values: &[f64], tiers: &[Tier]) -> f64 {
    let off = |tier: &Tier| values[tier.range.clone()].iter().map(|value| (value - tier.level).abs()).sum::<f64>();
    tiers.iter().map(off).sum()
}

/// How far they are from a line.
fn off_line(values: &[f64]) -> f64 {
    let levelled = levelled(values);
    let level = median(levelled.clone()).unwrap_or(0.0);
    levelled.into_iter().map(|value| (value - level).abs()).sum()
}

/// Whether its second half has more than one level.
fn jumps(series: &[f64]) -> bool {
    tiers(&series[series.len() / 2..], MARGIN).len() > 1
}

/// The first slice from which on the medians of five lie at the level of the last half.
fn level_from(series: &[f64]) -> usize {
    let window = &series[series.len() / 2..];
    let level = median(window.to_vec()).unwrap_or(0.0);
    let noise = Noise::of(series).map_or(0.0, |noise| noise.deviation);
    let near = |slices: &[f64]| {
        // The median of five has 0.54 of a value's deviation; three of those are beyond chance.
        median(slices.to_vec()).is_some_and(|median| (median - level).abs() <= MARGIN / 2.0 + 1.6 * noise)
    };
    let off = series.windows(UNSEEN).rposition(|slices| !near(slices));
    // The median of five is off its level until three of them are at it.
    off.map_or(0, |off| off + 3)
}

/// The log ratio that the last two quarters may differ by. Less than the 5.6% by which they differ while 2% of a cost's
/// warm-up are left, so that an estimate that is off by chance does not pass.
pub const MARGIN: f64 = 0.03;

/// The fewest slices after which a server has settled as far as the noise of its slices tells.
const AT_NOISE: usize = 30;

/// How many times longer than until it came to its level it must have been seen then: what falls exponentially never is, until
/// less is left than the noise.
pub const TIMES_AT_NOISE: usize = 4;

/// How many times as long as it took to come to its level a server is warmed up that has settled. Slices tell that it came within
/// some percent of it: of what falls exponentially and was a share e of the cost then, twice that time leaves the share e e.
pub const TIMES_SETTLED: usize = 2;

/// The slices whose median is held against the level: a server that was off it for fewer is not seen to have been.
pub const UNSEEN: usize = 5;

/// The error of calling the quarters different while there are slices to come.
const CALLED_A_DIFFERENCE: f64 = 0.05;

/// The error of one look's bound.
const EACH: f64 = 0.025;

/// The error of calling a difference at the last look a trend.
const CALLED_A_TREND: f64 = 0.01;

/// The error of calling a series that has no trend a rise or a fall: small, since neighbours may be more alike than it seems.
const CALLED_A_RISE: f64 = 0.002;

/// The error of taking a second half that has no trend for the rest of that rise or fall.
const STILL_RISING: f64 = 0.025;

/// The slices before the first look: fewer give no noise to go by.
pub const FIRST_LOOK: usize = 10;

/// The fewest slices that the noise is taken from, where there are as many.
const NOISE_SLICES: usize = 20;
