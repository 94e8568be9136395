//! What the starts of a course cost, as those that were made have shown: whether another one has room in the time, and how much
//! time so many of them take.

use std::time::Duration;

use super::{Course, Restarts};
use crate::judge::statistics::Prices;
use crate::trials::tempo::enough;

impl Course<'_> {
    /// Rounds of the next start.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Changes that.
    pub fn set_rounds(&mut self, rounds: u32) {
        self.rounds = rounds;
    }

    /// What the next start costs before its first round and after its last, and what each round does.
    pub fn prices(&self) -> Prices {
        Prices { start: self.price_of_start().as_secs_f64(), trial: self.round.as_secs_f64() }
    }

    /// Whether the time is too short for another start with one round.
    pub fn is_over(&self) -> bool {
        self.elapsed() + self.price_of_start() + self.more_to_study() + self.round > self.over_after
    }

    /// What so many more starts take at the least, with one round each, in seconds.
    pub fn seconds_of(&self, starts: usize) -> f64 {
        let more = if starts > 0 { self.more_to_study() } else { Duration::ZERO };
        starts as f64 * self.prices().of_start(1) + more.as_secs_f64()
    }

    /// The most rounds of a start with which so many starts have room in so many seconds; one at the least.
    pub fn rounds_with_room_for(&self, starts: usize, seconds: f64) -> u32 {
        if starts == 0 {
            return u32::MAX;
        }
        let (prices, of_each) = (self.prices(), (seconds - self.more_to_study().as_secs_f64()) / starts as f64);
        ((of_each - prices.start) / prices.trial).clamp(1.0, f64::from(u32::MAX)) as u32
    }

    /// The shortest maximal time, in seconds, of each of so many `attempts` that hold so many starts, which take `seconds` in all as
    /// it is: of a longer time servers may take more to settle and trials to have replies.
    pub fn enough(&self, starts: usize, seconds: f64, attempts: u32) -> f64 {
        let lives = if matches!(self.tempo.restarts, Restarts::Never(_)) { 1 } else { starts };
        let shares = |time: Duration| {
            let rounds = starts as f64 * self.lengths.round(time).as_secs_f64();
            self.warming.all(lives, time, &mut self.specs()) + rounds
        };
        let (now, time) = (shares(self.tempo.max_time), self.tempo.max_time.as_secs_f64());
        enough(time, attempts, |time| seconds + shares(Duration::from_secs_f64(time)) - now)
    }

    /// How much longer the next start takes than its price, since servers are looked at in it as well.
    fn more_to_study(&self) -> Duration {
        let again = !matches!(self.tempo.restarts, Restarts::Never(_));
        if again { self.warming.more_to_study() } else { Duration::ZERO }
    }

    fn price_of_start(&self) -> Duration {
        match self.tempo.restarts {
            Restarts::Never(_) => Duration::ZERO,
            Restarts::Auto(_) | Restarts::Every(_) => self.overhead + self.warming.price(&mut self.specs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::cores::Cores;
    use crate::host::interrupt::Interrupt;
    use crate::report::warmup::UnsteadyKind;
    use crate::trials::course::{Tempo, Warmup};
    use crate::trials::question::tests::question;
    use crate::trials::repetition::tests::arms;
    use crate::trials::warming::Warming;
    use crate::trials::warming::tests::seen;

    /// With a course of two servers that a command starts, which takes a minute, and what is known of their warm-up.
    fn with_course<T>(known: impl FnOnce(Warming) -> Warming, then: impl FnOnce(&mut Course<'_>) -> T) -> T {
        let (arms, interrupt) = (arms("serve {port}"), Interrupt::install(1).unwrap());
        let warmup = Warmup::Auto { at_most: Duration::from_secs(10) };
        let tempo = Tempo { warmup, max_time: Duration::from_secs(60), ..question().tempo };
        let mut course = Course::new(&arms, &[], tempo, &Cores::allowed(), &interrupt);
        course.warming = known(Warming::new(tempo.warmup, tempo.max_time, 2));
        then(&mut course)
    }

    #[test]
    fn the_starts_to_come_are_paid_for_with_what_is_still_looked_at() {
        // Two seconds showed that half a second is enough. The third start is looked at for as long as the second.
        let [once, twice] = [2, 3].map(|starts| {
            with_course(
                |warming| seen(warming, 20, None, starts),
                |course| [course.seconds_of(8), 8.0 * course.prices().of_start(1), course.seconds_of(0)],
            )
        });
        assert!((once[0] - once[1] - 3.0).abs() < 1e-9 && once[2] == 0.0, "{once:?}");
        assert!((twice[0] - twice[1]).abs() < 1e-9 && once[1] == twice[1], "{twice:?}");
    }

    #[test]
    fn rounds_leave_room_for_the_starts_of_a_verdict() {
        with_course(
            |warming| seen(warming, 20, None, 1),
            |course| {
                let seconds = course.seconds_of(8) + 8.0 * 9.5 * course.prices().trial;
                assert_eq!(course.rounds_with_room_for(8, seconds), 10);
                assert_eq!(course.rounds_with_room_for(8, course.seconds_of(8) / 2.0), 1);
                assert_eq!(course.rounds_with_room_for(0, seconds), u32::MAX);
            },
        );
    }

    #[test]
    fn what_is_proposed_is_not_refused_again() {
        // Nothing has settled within 4 s, which is all that a minute has for one server.
        let enough = with_course(
            |warming| seen(warming, 40, Some(UnsteadyKind::Trends), 1),
            |course| course.enough(9, 8.1 + course.seconds_of(8), 1),
        );
        // Nine starts of two servers for 10 s each (--max-warmup).
        assert!((180.0..182.0).contains(&enough), "{enough}");
        let settled = with_course(
            |warming| seen(warming, 20, None, 2),
            |course| {
                let seconds = 4.0 + course.seconds_of(8);
                course.enough(9, seconds, 1) - seconds
            },
        );
        assert!(settled.abs() < 1e-9, "{settled}");
    }

    #[test]
    fn a_course_that_ends_early_has_the_same_shares_of_its_time() {
        with_course(
            |warming| warming,
            |course| {
                assert!(!course.is_over());
                course.end_after(Duration::ZERO);
                assert!(course.is_over());
                assert_eq!(
                    (course.warmup().max_seconds, course.lengths().longest()),
                    (Some(4.0), Duration::from_millis(1500))
                );
            },
        );
    }
}
