//! How often to restart, and how many starts a verdict needs: Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time",
//! ISMM 2013, for starts and the trials within them.

use std::ops::RangeInclusive;

use super::judge::{Band, deviations};
use super::sequential::LOOKS;
use super::series::EFFICIENCY;
use super::signed_rank::fewest;
use super::variances::Variances;

/// What is paid for, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// A start of all servers with its warm-up, up to its first trial and after its last.
    pub start: f64,
    /// A trial of every server.
    pub trial: f64,
}

/// The question that starts are to answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// The error of all verdicts.
    pub alpha: f64,
    /// How many metrics are gated.
    pub gates: usize,
    /// The changes that do not matter.
    pub tolerance: Band,
    /// The longest that all starts may take, in seconds.
    pub time: f64,
}

/// What comes of starts with so many trials each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Trials in each start.
    pub trials: u32,
    /// The seconds until servers that are alike are found to be so in 4 of 5 cases; `None` without a tolerance.
    pub needs: Option<f64>,
    /// The smallest log ratio beyond the tolerance that is found in 4 of 5 cases in the time there is; `None` where
    /// too few starts fit into it for any verdict.
    pub resolves: Option<f64>,
}

impl Prices {
    /// Of a start with this many trials.
    pub fn of_start(self, trials: u32) -> f64 {
        self.start + self.trial * f64::from(trials)
    }

    /// The fewest trials that a start is worth. So few starts as there are first show hardly whether a few trials of each differ
    /// by chance or as starts do; with these, a start takes a quarter longer at the most than with a single one.
    pub fn worth(self) -> u32 {
        (WORTH * self.start / self.trial).ceil().clamp(1.0, f64::from(u32::MAX)) as u32
    }

    /// The trials per start that tell most in a time that is used up, whatever is found in it: those with which the variance of a
    /// start's estimate times its price is least. Kalibera and Jones' (section 6.3) for any number of starts, and no fewer than a
    /// start is worth; of several variances the greatest counts.
    pub fn best(self, variances: &[Variances], most: u32) -> u32 {
        let variance = |trials: u32| variances.iter().map(|variances| variances.of_start(trials)).fold(0.0, f64::max);
        let cost = |trials: u32| variance(trials) * self.of_start(trials);
        self.choices(most).min_by(|one, other| cost(*one).total_cmp(&cost(*other))).unwrap_or(1)
    }

    /// How many trials a start may have: as many as it is worth, up to `most`.
    fn choices(self, most: u32) -> RangeInclusive<u32> {
        let most = most.max(1);
        self.worth().min(most)..=most
    }
}

impl Asked {
    /// The fewest starts that can bring a verdict at the last look, if none before was taken.
    pub fn fewest_starts(self) -> usize {
        fewest(self.level())
    }

    /// The level for one metric of a judge who looks once, when the time is up.
    pub fn level(self) -> f64 {
        self.share(1.0)
    }

    /// The level of the last look for one metric, which is what a verdict is planned with.
    pub fn last_level(self) -> f64 {
        self.level() - self.share(LOOKS[LOOKS.len() - 2])
    }

    /// One metric's part of what may be spent up to this part of the time.
    fn share(self, part: f64) -> f64 {
        self.alpha * part.powi(3) / self.gates.max(1) as f64
    }

    /// What is to be expected of this many trials per start.
    pub fn forecast(self, variances: &[Variances], prices: Prices, trials: u32) -> Forecast {
        let price = prices.of_start(trials);
        let in_time = (self.time / price).floor();
        let deviation = variances.iter().map(|variances| variances.of_start(trials).sqrt()).fold(0.0, f64::max);
        Forecast {
            trials,
            needs: (self.distance() > 0.0).then(|| self.starts(variances, trials).ceil() * price),
            resolves: (in_time >= self.fewest_starts() as f64).then(|| resolved(deviation, self.last_level(), in_time)),
        }
    }

    /// The trials per start with which it is found soonest that nothing changed. Where many starts are needed those are Kalibera
    /// and Jones' (section 6.3), sqrt((price of a start / of a trial) (variance within / between)); where even the fewest starts
    /// of a verdict are enough, it may be others. No fewer than a start is worth.
    pub fn trials(self, variances: &[Variances], prices: Prices, most: u32) -> u32 {
        let most = most.min(self.most(prices));
        let seconds = |trials: u32| self.starts(variances, trials).ceil() * prices.of_start(trials);
        prices.choices(most).min_by(|one, other| seconds(*one).total_cmp(&seconds(*other))).unwrap_or(1)
    }

    /// The most trials per start that leave room for as many starts as a verdict takes: at the second look already, which is
    /// where a verdict mostly comes, if starts then still measure for at least as long as they take to begin and to end; else at
    /// a later one.
    pub fn most(self, prices: Prices) -> u32 {
        let room = |part: f64| {
            let starts = fewest(self.share(part)) as f64;
            ((self.time * part / starts - prices.start) / prices.trial).floor().min(f64::from(u32::MAX))
        };
        let early = LOOKS[1..].iter().map(|part| room(*part)).find(|trials| trials * prices.trial >= prices.start);
        early.unwrap_or_else(|| room(1.0)).max(1.0) as u32
    }

    /// The starts that bring every metric to the verdict that nothing changed.
    fn starts(self, variances: &[Variances], trials: u32) -> f64 {
        let distance = self.distance().max(WITHOUT_TOLERANCE);
        let needed = variances
            .iter()
            .map(|variances| starts_for(variances.of_start(trials).sqrt(), self.last_level(), distance));
        needed.fold(self.fewest_starts() as f64, f64::max)
    }

    /// How far an unchanged server is from the border of the tolerance.
    fn distance(self) -> f64 {
        self.tolerance.high.min(-self.tolerance.low)
    }
}

/// The log ratio that `starts` starts find in 4 of 5 cases at this level, where the estimates of one start have this
/// standard deviation.
fn resolved(deviation: f64, level: f64, starts: f64) -> f64 {
    deviation / (starts * EFFICIENCY).sqrt() * deviations(level)
}

/// The starts that find a log ratio of `distance`, likewise.
fn starts_for(deviation: f64, level: f64, distance: f64) -> f64 {
    (deviation * deviations(level) / distance).powi(2) / EFFICIENCY
}

/// The trials of a start take this part of the time that it takes besides them, at least.
const WORTH: f64 = 0.25;

/// The log ratio that trials are planned to find where every change matters, but in what time is not said.
const WITHOUT_TOLERANCE: f64 = 0.005;

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked { alpha: 0.01, gates: 2, tolerance: Band { low: -0.02, high: 0.02 }, time: 60.0 };

    #[test]
    fn where_many_starts_are_needed_the_optimum_is_kalibera_and_jones() {
        // sqrt(2 s / 0.02 s * (16 / efficiency)) = 41; around it the price hardly changes, but for whole starts.
        let variances = Variances { between: 1e-2, within: 16e-2 };
        let (long, prices) = (Asked { time: 36_000.0, ..ASKED }, Prices { start: 2.0, trial: 0.02 });
        let trials = long.trials(&[variances], prices, 1000);
        assert!((38..=44).contains(&trials), "{trials}");
        assert_eq!(long.trials(&[variances], prices, 7), 7);
        // Of two metrics that with the greater variance decides.
        let other = Variances { between: 1e-6, within: 1e-6 };
        assert_eq!(long.trials(&[other, variances], prices, 1000), trials);
        let none = Variances { between: 0.0, within: 0.0 };
        assert_eq!(long.trials(&[none], Prices { start: 0.0, ..prices }, 1000), 1);
    }

    #[test]
    fn a_start_has_as_many_trials_as_it_is_worth_where_fewer_would_seem_enough() {
        let (long, prices) = (Asked { time: 36_000.0, ..ASKED }, Prices { start: 2.0, trial: 0.02 });
        // A quarter of 2 s; of the time there is, no more than leaves room for the starts of a verdict.
        assert_eq!(prices.worth(), 25);
        let differ = Variances { between: 1e-2, within: 1e-6 };
        assert_eq!((long.trials(&[differ], prices, 1000), prices.best(&[differ], 1000)), (25, 25));
        let short = Asked { time: 20.0, ..ASKED };
        assert_eq!(short.trials(&[differ], prices, 1000), short.most(prices));
        assert!(short.most(prices) < 25);
        assert_eq!(Prices { start: 0.0, ..prices }.worth(), 1);
    }

    #[test]
    fn where_all_of_the_time_is_used_more_trials_tell_more_however_little_is_asked() {
        let prices = Prices { start: 2.0, trial: 0.02 };
        // Kalibera and Jones' optimum again, now also where the fewest starts would be enough.
        let little = Variances { between: 1e-8, within: 16e-8 };
        assert!((38..=44).contains(&prices.best(&[little], 1000)));
        assert_eq!(ASKED.trials(&[little], prices, 1000), prices.worth());
        assert_eq!(prices.best(&[little], 7), 7);
        // That of the greatest counts.
        let other = Variances { between: 1e-2, within: 1e-3 };
        assert_eq!(prices.best(&[little, other], 1000), prices.best(&[other], 1000));
        // Starts that are all alike need not be many.
        assert_eq!(prices.best(&[Variances { between: 0.0, within: 1e-2 }], 300), 300);
    }

    #[test]
    fn there_are_starts_enough_for_a_verdict() {
        assert_eq!(ASKED.fewest_starts(), 9);
        // No starts, however many trials they have, would be enough of these.
        let alike = Variances { between: 0.0, within: 1.0 };
        // Cheap starts leave room for a verdict at the second look: 13 in 24 s.
        let cheap = Prices { start: 0.2, trial: 0.025 };
        let trials = ASKED.trials(&[alike], cheap, 1000);
        assert!((13.0..14.0).contains(&(24.0 / cheap.of_start(trials))), "{trials}");
        // Dear ones do not: all of the time is needed for 9.
        let dear = Prices { start: 6.0, trial: 0.025 };
        let trials = ASKED.trials(&[alike], dear, 1000);
        assert!((9.0..9.1).contains(&(60.0 / dear.of_start(trials))), "{trials}");
        assert_eq!(ASKED.trials(&[alike], Prices { start: 60.0, trial: 0.025 }, 1000), 1);
        // Where a few trials of the fewest starts tell, there are no more.
        let steady = Variances { between: 0.0, within: 1e-4 };
        assert!(ASKED.trials(&[steady], cheap, 1000) < 10);
    }

    #[test]
    fn a_forecast_says_what_the_time_is_good_for() {
        let prices = Prices { start: 0.2, trial: 0.025 };
        let variances = Variances { between: 1e-4, within: 1e-4 };
        let forecast = ASKED.forecast(&[variances], prices, 24);
        // 75 starts, a standard deviation of 1.02%, 2.81 + 0.84 deviations at 0.244%...
        let resolves = forecast.resolves.unwrap();
        assert!((0.003..0.006).contains(&resolves), "{resolves}");
        let needs = forecast.needs.unwrap();
        assert!((7.2..12.0).contains(&needs), "{needs}");
        let longer = Asked { time: 240.0, ..ASKED }.forecast(&[variances], prices, 24).resolves.unwrap();
        assert!((resolves / longer / 2.0 - 1.0).abs() < 0.01, "{resolves} {longer}");
        let never =
            Asked { tolerance: Band { low: 0.0, high: 0.0 }, time: 1.0, ..ASKED }.forecast(&[variances], prices, 24);
        assert_eq!((never.needs, never.resolves), (None, None));
    }
}
