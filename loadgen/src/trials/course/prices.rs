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

    /// The fewest rounds that a start is to have: one where their number is free.
    pub fn fewest_rounds(&self) -> u32 {
        match self.tempo.restarts {
            Restarts::Every(rounds) => rounds,
            Restarts::Auto(_) | Restarts::Never(_) => 1,
        }
    }

    /// Ends it so long after its beginning, where a part of its time is over. What warm-up and trials may take of the time stays
    /// what it is.
    pub fn end_after(&mut self, time: Duration) {
        self.over_after = time;
    }

    /// Whether it goes on since something must still be finished.
    pub(super) fn is_past_its_end(&self) -> bool {
        self.elapsed() >= self.over_after
    }

    /// Ends the first start early where its rounds show that so many starts, with as many rounds as were asked for, have no room in
    /// so many seconds.
    pub fn must_hold(&mut self, starts: usize, seconds: f64) {
        self.must_hold = (starts, seconds);
    }

    /// Whether so many rounds of the first start, which took so long, show that. What it lacks then is paid for later.
    pub(super) fn is_hopeless_after(&mut self, rounds: u32, took: Duration) -> bool {
        let ((starts, seconds), asked_for) = (self.must_hold, self.fewest_rounds());
        let all = took.as_secs_f64() / f64::from(rounds) * f64::from(asked_for) * starts as f64;
        let is_hopeless = self.starts == 0 && rounds >= ROUNDS_THAT_TELL.min(asked_for) && all > seconds;
        if is_hopeless {
            self.lacking = asked_for.saturating_sub(rounds);
        }
        is_hopeless
    }

    /// What the next start costs before its first round and after its last, and what each round does.
    pub fn prices(&self) -> Prices {
        Prices { start: self.price_of_start().as_secs_f64(), trial: self.round.as_secs_f64() }
    }

    /// Whether the time is too short for another start with one round.
    pub fn is_over(&self) -> bool {
        self.elapsed() + self.price_of_start() + self.more_to_study() + self.round > self.over_after
    }

    /// What so many more starts take at the least, in seconds, and what the first one lacks.
    pub fn seconds_of(&self, starts: usize) -> f64 {
        if starts == 0 {
            return 0.0;
        }
        let more = self.more_to_study() + self.round * self.lacking;
        starts as f64 * self.prices().of_start(self.fewest_rounds()) + more.as_secs_f64()
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
            let rounds = starts as f64 * f64::from(self.fewest_rounds()) * self.lengths.round(time).as_secs_f64();
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

/// Rounds of a start that tell what others will cost, whatever disturbs one of them.
const ROUNDS_THAT_TELL: u32 = 10;

/// How many times as long the rounds of the first start may take as trials and settling alone do.
pub(super) const LONGER: u32 = 2;

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
        with_restarts(Restarts::Every(1), known, then)
    }

    fn with_restarts<T>(
        restarts: Restarts,
        known: impl FnOnce(Warming) -> Warming,
        then: impl FnOnce(&mut Course<'_>) -> T,
    ) -> T {
        let (arms, interrupt) = (arms("serve {port}"), Interrupt::install(1).unwrap());
        let warmup = Warmup::Auto { at_most: Duration::from_secs(10) };
        let tempo = Tempo { warmup, restarts, max_time: Duration::from_secs(60), ..question().tempo };
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
    fn starts_take_as_many_rounds_as_were_asked_for() {
        let of = |restarts: Restarts| {
            with_restarts(
                restarts,
                |warming| warming,
                |course| {
                    // One round takes 100 ms.
                    course.round = Duration::from_millis(100);
                    (course.seconds_of(8).round(), course.seconds_of(0))
                },
            )
        };
        assert_eq!(of(Restarts::Every(1_000)), (800.0, 0.0));
        assert_eq!((of(Restarts::Auto(25)), of(Restarts::Never(25))), ((1.0, 0.0), (1.0, 0.0)));
    }

    #[test]
    fn a_first_start_ends_once_it_is_known_that_the_others_have_no_room() {
        with_restarts(
            Restarts::Every(1_000),
            |warming| warming,
            |course| {
                let is_hopeless = |course: &mut Course<'_>, (rounds, millis)| {
                    course.is_hopeless_after(rounds, Duration::from_millis(millis))
                };
                assert!(!is_hopeless(course, (20, 60_000)), "nobody has asked");
                course.must_hold(9, 60.0);
                // Nine starts of a thousand rounds have room if a round takes 6.6 ms.
                assert_eq!([(10, 60), (9, 700), (10, 70)].map(|took| is_hopeless(course, took)), [false, false, true]);
                // What it lacks is made up for: 990 rounds, beside eight starts of a thousand.
                course.round = Duration::from_millis(100);
                assert_eq!(course.seconds_of(8).round(), 899.0);
                course.starts = 1;
                assert!(!is_hopeless(course, (20, 60_000)));
            },
        );
    }

    #[test]
    fn what_is_proposed_is_not_refused_again() {
        // Nothing has settled within 4 s, which is all that a minute has for one server. That is taken twice more of each, and half
        // of it in six starts.
        let enough = |elapsed: f64| {
            with_course(
                |warming| seen(warming, 40, Some(UnsteadyKind::Trends), 1),
                |course| course.enough(9, elapsed + course.seconds_of(8), 1),
            )
        };
        let [soon, late] = [8.1, 38.1].map(enough);
        assert!((44.0..45.0).contains(&soon), "{soon}");
        // Of a longer time all this takes more: four fifths of it.
        assert!((131.0..132.0).contains(&late), "{late}");
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
