//! The up-and-down method (Dixon and Mood, Journal of the American Statistical Association 43, 1948): the rate goes up a step
//! where a probe passed and down where it did not, so that it stays about the rate at which as many pass as fail.

use super::verdict::Probe;
use crate::judge::outcome::OutOfSight;

/// The rate of one server, between two comparisons of it with another's.
#[derive(Debug, Clone, PartialEq)]
pub struct Staircase {
    /// Its logarithm.
    level: f64,
    /// How far it goes up or down, as a logarithm.
    step: f64,
    /// The step that it comes down to.
    least: f64,
    /// The logarithms of the lowest and the highest rate.
    range: (f64, f64),
    /// What the last probe made of it.
    went_up: Option<bool>,
    /// How many probes in a row showed the same at an end of the range that they led beyond, and what.
    stuck: (u32, Probe),
}

impl Staircase {
    /// One that begins at `start` messages per second and doubles, and whose steps get shorter with every turn until they are
    /// `precision` as a share.
    pub fn new(start: f64, (min, max): (f64, f64), precision: f64) -> Self {
        let level = start.clamp(min, max).ln();
        let (least, range, stuck) = (precision.ln_1p(), (min.ln(), max.ln()), (0, Probe::Passed));
        Self { level, step: 2f64.ln(), least, range, went_up: None, stuck }
    }

    /// The rate to probe next.
    pub fn rate(&self) -> f64 {
        self.level.exp()
    }

    /// Whether it has come to where it stays, so that its rates tell the capacity.
    pub fn has_arrived(&self) -> bool {
        self.step <= self.least
    }

    /// Takes what the probe of its rate showed. Where the generator was late it goes down, to where it is not.
    pub fn add(&mut self, probe: Probe) {
        let up = probe == Probe::Passed;
        if self.went_up.is_some_and(|went_up| went_up != up) {
            self.step = (self.step / 2.0).max(self.least);
        }
        self.went_up = Some(up);
        let beyond = if up { self.level >= self.range.1 } else { self.level <= self.range.0 };
        let again = if self.stuck.1 == probe { self.stuck.0 } else { 0 };
        self.stuck = (if beyond { again + 1 } else { 0 }, probe);
        let step = if up { self.step } else { -self.step };
        self.level = (self.level + step).clamp(self.range.0, self.range.1);
    }

    /// Why it shows no capacity, once it is sure that this lies beyond an end of the range.
    pub fn at_an_end(&self) -> Option<OutOfSight> {
        let (probes, showed) = self.stuck;
        (probes >= SURE).then_some(match showed {
            Probe::Passed => OutOfSight::AboveRange,
            Probe::Failed => OutOfSight::BelowRange,
            Probe::CannotTell => OutOfSight::GeneratorLimited,
        })
    }

    /// Brings those that have arrived to the rate in their middle, from where each goes to its own with long steps first, so
    /// that a start of the servers owes nothing to the starts before it but that rate, which is the same for all.
    pub fn gather(all: &mut [Self]) {
        if all.iter().all(Self::has_arrived) {
            let middle = all.iter().map(|one| one.level).sum::<f64>() / all.len() as f64;
            all.iter_mut().for_each(|one| {
                *one = Self { level: middle, step: one.least * LONG_STEPS, went_up: None, ..one.clone() };
            });
        }
    }
}

/// So many probes in a row that agree are chance in 1 of 256 cases where as many pass as fail.
const SURE: u32 = 8;

/// How many times as long as the shortest step the first of a start is.
const LONG_STEPS: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(staircase: &mut Staircase, capacity: f64) {
        staircase.add(if staircase.rate() <= capacity { Probe::Passed } else { Probe::Failed });
    }

    #[test]
    fn it_comes_to_the_capacity_and_stays_about_it() {
        let mut staircase = Staircase::new(500.0, (1.0, 1e8), 0.03);
        let mut probes = 0;
        while !staircase.has_arrived() {
            at(&mut staircase, 41_000.0);
            probes += 1;
        }
        assert!(probes < 30, "{probes}");
        for _ in 0..10 {
            at(&mut staircase, 41_000.0);
        }
        for _ in 0..100 {
            at(&mut staircase, 41_000.0);
            assert!((staircase.rate() / 41_000.0 - 1.0).abs() < 0.07, "{}", staircase.rate());
        }
    }

    #[test]
    fn it_stays_in_its_range_and_goes_down_where_the_generator_is_late() {
        let mut staircase = Staircase::new(500.0, (100.0, 1_000.0), 0.03);
        (0..20).for_each(|_| staircase.add(Probe::Passed));
        assert!((staircase.rate() - 1_000.0).abs() < 1e-6);
        (0..90).for_each(|_| staircase.add(Probe::CannotTell));
        assert!((staircase.rate() - 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_capacity_beyond_an_end_is_told_after_eight_probes_there_and_one_within_never() {
        let range = (100.0, 1_000.0);
        let probes_until_told = |start: f64, probe: &dyn Fn(f64) -> Probe| {
            let mut staircase = Staircase::new(start, range, 0.03);
            (1..200).find_map(|probes| {
                staircase.add(probe(staircase.rate()));
                staircase.at_an_end().map(|end| (probes, end))
            })
        };
        assert_eq!(probes_until_told(1_000.0, &|_| Probe::Passed), Some((8, OutOfSight::AboveRange)));
        assert_eq!(probes_until_told(100.0, &|_| Probe::Failed), Some((8, OutOfSight::BelowRange)));
        assert_eq!(probes_until_told(100.0, &|_| Probe::CannotTell), Some((8, OutOfSight::GeneratorLimited)));
        for capacity in [104.0, 400.0, 990.0] {
            let sharp = |rate| if rate <= capacity { Probe::Passed } else { Probe::Failed };
            assert_eq!(probes_until_told(500.0, &sharp), None, "{capacity}");
        }
    }

    #[test]
    fn those_that_have_arrived_begin_together() {
        let arrived = |rate: f64| {
            let mut staircase = Staircase::new(rate, (1.0, 1e6), 0.03);
            staircase.step = staircase.least;
            staircase
        };
        let mut both = [arrived(100.0), arrived(400.0)];
        Staircase::gather(&mut both);
        assert!(both.iter().all(|one| (one.rate() - 200.0).abs() < 1e-9 && !one.has_arrived()));
        let mut one_on_its_way = [arrived(100.0), Staircase::new(400.0, (1.0, 1e6), 0.03)];
        Staircase::gather(&mut one_on_its_way);
        assert!((one_on_its_way[0].rate() - 100.0).abs() < 1e-9);
    }
}
