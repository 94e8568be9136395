//! How servers are warmed up after each start, before anything of them counts: for a time that was given, or until they
//! have settled. How long that takes is learned from the first starts; later ones take that long without being looked at.

mod looked;
mod turns;

use std::time::Duration;

use rand::rngs::SmallRng;

use super::failure::TrialError;
use super::up::Up;
use crate::host::target::Spec;
use crate::judge::statistics::{FIRST_LOOK, TIMES_AT_NOISE, TIMES_SETTLED, UNSEEN};
use crate::report::warmup::{self, Ran, Study, UnsteadyKind, WarmupLimit};
use looked::{Looked, seconds, study};
use turns::{TURN, in_turns, turns};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    /// Until the servers have settled.
    Auto {
        /// The longest that it is looked whether one has.
        at_most: Duration,
    },
    /// So long.
    For(Duration),
}

impl Warmup {
    /// The same in experiments of so many servers that take at most `time`: looking at one server takes no more than a
    /// fifteenth of it, and looking at all of them once no more than a seventh: three times that leaves half of it.
    pub fn within(self, time: Duration, servers: usize) -> Self {
        match self {
            Self::Auto { at_most } => {
                let share = time / MOST_OF_TIME.max(SHARED * u32::try_from(servers).unwrap_or(u32::MAX / SHARED));
                Self::Auto { at_most: at_most.min(share) }
            }
            Self::For(_) => self,
        }
    }
}

/// What the first starts have told.
#[derive(Debug)]
pub(super) struct Warming {
    /// What was asked for.
    asked: Warmup,
    /// That within the time.
    warmup: Warmup,
    looks: Vec<Looked>,
    /// How often each server was studied, or warmed up for a time that was given.
    studied: Vec<usize>,
}

impl Warming {
    /// Nothing known yet of so many servers, in an experiment that takes at most `time`.
    pub fn new(asked: Warmup, time: Duration, servers: usize) -> Self {
        Self { asked, warmup: asked.within(time, servers), looks: Vec::new(), studied: vec![0; servers] }
    }

    /// How this server is warmed up.
    pub fn ran(&self, spec: &Spec) -> Ran {
        match (self.warmup, spec) {
            (_, Spec::Url(_)) => Ran::Once,
            (Warmup::Auto { .. }, Spec::Embedded(_)) => Ran::Not,
            (Warmup::For(_), Spec::Embedded(_)) | (_, Spec::Command(_)) => Ran::InEachStart,
        }
    }

    /// Warms up the servers in turns of this order, so that none of them rests for much longer than between two of its trials. (One
    /// that is given by its URL and has had its warm-up rests meanwhile.) A slice is
    /// not shorter than any server's `trials`, if as many as a look takes have room in the time for looking at it. It is broken
    /// off once `show` says so. Returns how much of the time that took [`price`](Self::price) and
    /// [`more_to_study`](Self::more_to_study) tell of.
    pub fn warm(
        &mut self,
        ups: &mut [Up<'_, '_>],
        order: &[usize],
        trials: &[Duration],
        rng: &mut SmallRng,
        show: &mut dyn FnMut() -> bool,
    ) -> Result<Duration, TrialError> {
        let Warmup::Auto { at_most } = self.warmup else {
            return self.warm_for(self.length(), ups, order, rng, show);
        };
        let of = |server: &usize| &ups[*server].arm.spec;
        let (order, is_unknown) = (order.iter().copied(), |server: &usize| self.is_to_be_studied(*server, of(server)));
        let unknown: Vec<usize> = order.clone().filter(is_unknown).collect();
        if unknown.is_empty() {
            let again: Vec<usize> = order.filter(|server| matches!(of(server), Spec::Command(_))).collect();
            return in_turns(self.length(), ups, &again, rng, show);
        }
        for &server in &unknown {
            // One that is given by its URL goes on running between connections.
            self.studied[server] += if matches!(ups[server].arm.spec, Spec::Url(_)) { STUDIES } else { 1 };
        }
        let longest = unknown.iter().map(|server| trials[*server]).fold(TURN, Duration::max);
        let slice = longest.min(at_most / FIRST_LOOK as u32);
        let looked = study(&unknown, ups, slice, at_most, rng, show)?;
        self.looks.extend_from_slice(&looked);
        Ok(looked.iter().map(|looked| looked.apart(turns(self.length()))).sum())
    }

    /// Warms up for a time that was given: servers that were just started, and each of the others once, since it goes on running
    /// between connections.
    fn warm_for(
        &mut self,
        length: Duration,
        ups: &mut [Up<'_, '_>],
        order: &[usize],
        rng: &mut SmallRng,
        show: &mut dyn FnMut() -> bool,
    ) -> Result<Duration, TrialError> {
        let is_cold = |server: &usize| self.ran(&ups[*server].arm.spec) != Ran::Once || self.studied[*server] == 0;
        let cold: Vec<usize> = order.iter().copied().filter(is_cold).collect();
        let took = in_turns(length, ups, &cold, rng, show)?;
        cold.into_iter().for_each(|server| self.studied[server] += 1);
        Ok(took)
    }

    /// Whether the next start of this server is looked at.
    fn is_to_be_studied(&self, server: usize, spec: &Spec) -> bool {
        match spec {
            // Compiled beforehand, it is as fast with its first messages as ever.
            Spec::Embedded(_) => false,
            Spec::Url(_) | Spec::Command(_) => self.studied[server] < STUDIES,
        }
    }

    /// How long each server runs from now on: as long as the one that takes longest to settle, since what is compared is to
    /// have had the same.
    pub fn length(&self) -> Duration {
        match self.warmup {
            Warmup::For(length) => length,
            Warmup::Auto { at_most } => Duration::from_secs_f64(self.longest_needed(at_most.as_secs_f64())),
        }
    }

    /// How long the server that takes longest to settle needs where it is looked at for so long at the most, in seconds.
    fn longest_needed(&self, at_most: f64) -> f64 {
        let of = |server: usize| needed(self.studies_of(server), at_most);
        (0..self.studied.len()).filter_map(of).fold(0.0, f64::max)
    }

    fn studies_of(&self, server: usize) -> impl Iterator<Item = &Study> + Clone {
        self.looks.iter().map(|looked| &looked.study).filter(move |study| study.server == server)
    }

    /// How long warming up takes in so many lives of these servers, in seconds, in an experiment of at most `time`: being looked
    /// at in the first ones, in which one that has not settled takes as long as it may, and as long as that tells in the others.
    pub fn all(&self, lives: usize, time: Duration, specs: &mut dyn Iterator<Item = &Spec>) -> f64 {
        let at_most = match self.asked.within(time, self.studied.len()) {
            Warmup::For(length) => {
                let times = |spec: &Spec| if self.ran(spec) == Ran::Once { 1 } else { lives };
                return length.as_secs_f64() * specs.map(times).sum::<usize>() as f64;
            }
            Warmup::Auto { at_most } => at_most.as_secs_f64(),
        };
        let length = self.longest_needed(at_most);
        let of = |(server, spec): (usize, &Spec)| {
            let (looks, later) = match spec {
                Spec::Embedded(_) => return 0.0,
                Spec::Url(_) => (1, 0),
                Spec::Command(_) => (lives.min(STUDIES), lives.saturating_sub(STUDIES)),
            };
            let has_settled = |study: &Study| study.settled_after_seconds.is_some();
            let took = |study: &Study| if has_settled(study) { seconds(study).min(at_most) } else { at_most };
            // The next start is expected to take as long as the one before.
            let last = self.studies_of(server).last().map_or(at_most, took);
            let looked: f64 = self.studies_of(server).map(took).chain(std::iter::repeat(last)).take(looks).sum();
            looked + later as f64 * length
        };
        specs.enumerate().map(of).sum()
    }

    /// How long the warm-up of one start takes from now on, of all these servers.
    pub fn price(&self, specs: &mut dyn Iterator<Item = &Spec>) -> Duration {
        let length = |spec: &Spec| match self.ran(spec) {
            Ran::InEachStart => self.length(),
            Ran::Once | Ran::Not => Duration::ZERO,
        };
        specs.map(length).sum()
    }

    /// How much longer the next start takes than that, since servers are looked at in it as well: as long as the time before.
    pub fn more_to_study(&self) -> Duration {
        let again = |server: usize| self.studied[server] > 0 && self.studied[server] < STUDIES;
        let turns = turns(self.length());
        let looked = |server: usize| self.looks.iter().rev().find(|looked| looked.study.server == server);
        let servers = (0..self.studied.len()).filter(|server| again(*server));
        servers.filter_map(looked).map(|looked| looked.apart(turns).saturating_sub(self.length())).sum()
    }

    /// It as reports have it.
    pub fn report(&self) -> warmup::Warmup {
        warmup::Warmup {
            seconds: self.length().as_secs_f64(),
            max_seconds: match self.warmup {
                Warmup::Auto { at_most } => Some(at_most.as_secs_f64()),
                Warmup::For(_) => None,
            },
            limit: match self.warmup {
                Warmup::Auto { .. } if self.warmup == self.asked => Some(WarmupLimit::MaxWarmup),
                Warmup::Auto { .. } => Some(WarmupLimit::MaxTime),
                Warmup::For(_) => None,
            },
            studies: self.looks.iter().map(|looked| looked.study.clone()).collect(),
        }
    }
}

/// How long a server runs that was studied in these starts, in seconds; `None` of none.
///
/// A jump is the server's own, and what comes after it is not known. A trend may be the machine's, which changes its speed for
/// seconds at a time, and so may noise be: where another start has settled, which takes evidence, that one tells, and it runs for
/// twice as long as that took. Where noise hides in all of them whether it has settled, it runs for several times as long as it
/// took to come to its last level within the noise. Of several starts that tell, the one in the middle counts: the machine has
/// made some of them seem longer. Of two in the middle it is the shorter one where they have settled, and else the longer.
/// Where it is not known how long it needs, it runs for half of the time for looking at it, and where it is known for no longer than that
/// unless it took longer to settle: a longer time is to have room for the starts of a verdict as well as a shorter one, whatever one
/// look in a noisy moment tells. But it runs no shorter than servers take that compile while they run, if there is as much.
fn needed<'s>(studies: impl Iterator<Item = &'s Study> + Clone, at_most: f64) -> Option<f64> {
    let half = at_most / 2.0;
    let unknown = half.max(COMPILING);
    let all = |needed: &dyn Fn(f64) -> f64, after: fn(&Study) -> Option<f64>| {
        let needed = |study: &Study| Some(needed(after(study)?) + study.slice_seconds * UNSEEN as f64);
        let mut needed: Vec<f64> = studies.clone().filter_map(needed).collect();
        needed.sort_unstable_by(f64::total_cmp);
        needed
    };
    let is =
        |kind: UnsteadyKind| studies.clone().any(|study| study.unsteady.is_some_and(|unsteady| unsteady.kind == kind));
    let settled =
        all(&|after| (TIMES_SETTLED as f64 * after).min(unknown.max(after)), |study| study.settled_after_seconds);
    let in_noise = all(&|after| TIMES_AT_NOISE as f64 * after, |study| study.unsteady?.level_after_seconds);
    let shorter_middle = settled.get(settled.len().saturating_sub(1) / 2).copied();
    let longer_middle = in_noise.get(in_noise.len() / 2).copied();
    let needed = match (shorter_middle, longer_middle) {
        (settled, _) if is(UnsteadyKind::Jumps) => settled.map_or(unknown, |settled| settled.max(unknown)),
        (Some(settled), _) => settled,
        (None, Some(in_noise)) if !is(UnsteadyKind::Trends) => in_noise.min(half),
        _ => unknown,
    };
    studies.clone().next().map(|_| needed.min(at_most))
}

/// How long a server runs that has not settled, if there is as much time for looking at it, in seconds: most of what a compiler at
/// run time does is done by then.
const COMPILING: f64 = 2.0;

/// Starts in which each server is looked at: three, so that one that was disturbed does not tell alone.
const STUDIES: usize = 3;

/// Looking at one server once takes at most this part of the time.
const MOST_OF_TIME: u32 = 15;

/// Looking at all servers once takes at most this part of it.
const SHARED: u32 = 7;

#[cfg(test)]
pub(super) mod tests {
    use super::looked::longest;
    use super::*;
    use crate::report::warmup::Unsteady;

    /// The same with this seen of two servers, for 100 ms times the slices of each, in one start or more.
    pub fn seen(mut warming: Warming, slices: usize, unsteady: Option<UnsteadyKind>, starts: usize) -> Warming {
        let of = |server: usize| {
            let unsteady = unsteady.map(|kind| (kind, None));
            let study = study(if unsteady.is_none() { Some(0.0) } else { None }, unsteady);
            Study { server, cost: vec![1.0; slices], ..study }
        };
        warming.looks = (0..starts).flat_map(|_| [of(0), of(1)].map(looked)).collect();
        warming.studied = vec![starts; 2];
        warming
    }

    /// The same, looked at without any wait.
    fn looked(study: Study) -> Looked {
        Looked { took: Duration::from_secs_f64(seconds(&study)), study }
    }

    fn study(settled: Option<f64>, unsteady: Option<(UnsteadyKind, Option<f64>)>) -> Study {
        let unsteady = unsteady.map(|(kind, level_after_seconds)| Unsteady {
            kind,
            figure: None,
            change: 0.1,
            level_after_seconds,
        });
        let [cost, rate] = [Vec::new(), Vec::new()];
        Study { server: 0, slice_seconds: 0.1, settled_after_seconds: settled, unsteady, cost, rate }
    }

    #[test]
    fn a_start_that_has_settled_tells_more_than_one_in_which_the_machine_trends() {
        let settled = |seconds| study(Some(seconds), None);
        let noise = |level_after| study(None, Some((UnsteadyKind::Noise, Some(level_after))));
        let [trends, jumps] = [UnsteadyKind::Trends, UnsteadyKind::Jumps].map(|kind| study(None, Some((kind, None))));
        // What an earlier version saved has no such figure.
        let unknown = study(None, Some((UnsteadyKind::Noise, None)));
        let needed = |studies: &[&Study]| needed(studies.iter().copied(), 10.0).map(|seconds| (seconds * 10.0).round());
        assert_eq!(needed(&[]), None);
        for (studies, tenths) in [
            (vec![settled(0.0), settled(1.2)], 5.0),
            (vec![settled(1.2), trends.clone()], 29.0),
            (vec![settled(0.4), settled(4.0), settled(0.6)], 17.0),
            (vec![settled(0.4), noise(0.8)], 13.0),
            (vec![settled(0.5), noise(5.5)], 15.0),
            (vec![noise(0.2), noise(0.8)], 37.0),
            (vec![noise(3.0), noise(0.0)], 50.0),
            (vec![noise(0.2), trends.clone()], 50.0),
            (vec![trends.clone(), trends], 50.0),
            (vec![settled(0.0), jumps.clone()], 50.0),
            (vec![settled(3.0), jumps.clone()], 55.0),
            (vec![settled(3.0)], 55.0),
            (vec![settled(6.0), jumps], 65.0),
            (vec![settled(9.8)], 100.0),
            (vec![unknown], 50.0),
        ] {
            assert_eq!(needed(&studies.iter().collect::<Vec<_>>()), Some(tenths), "{studies:?}");
        }
    }

    #[test]
    fn all_servers_run_as_long_as_the_slowest_to_settle() {
        let mut warming = Warming::new(Warmup::Auto { at_most: Duration::from_secs(10) }, Duration::from_secs(150), 2);
        assert_eq!(warming.length(), Duration::ZERO);
        warming.looks = [study(Some(0.0), None), Study { server: 1, ..study(Some(2.0), None) }].map(looked).into();
        assert_eq!(warming.length(), Duration::from_millis(4500));
    }

    #[test]
    fn what_is_waited_for_after_slices_is_paid_for() {
        let commands = [0, 1].map(|_| Spec::Command(vec!["{port}".to_owned()]));
        let at_most = Duration::from_secs(10);
        let warming = Warming::new(Warmup::Auto { at_most }, Duration::from_secs(100), 2);
        let mut warming = seen(warming, 20, None, 1);
        // Half a second is enough, as 2 s have shown that took 22 s; a start that is not looked at waits for a second after each of
        // five turns, beside that.
        warming.looks.iter_mut().for_each(|looked| looked.took += Duration::from_secs(20));
        let all = warming.price(&mut commands.iter()) + warming.more_to_study();
        assert_eq!((all.as_secs_f64() * 1e3).round(), 2.0 * 17_000.0);
        assert_eq!(warming.looks[0].wait().as_secs(), 1);
        assert_eq!([9, 10].map(|slices| longest(slices, at_most).as_secs()), [20, 10]);
    }

    #[test]
    fn what_has_not_settled_takes_as_long_as_a_longer_time_allows() {
        let commands = [0, 1].map(|_| Spec::Command(vec!["{port}".to_owned()]));
        let mut warming = Warming::new(Warmup::Auto { at_most: Duration::from_secs(10) }, Duration::from_secs(60), 2);
        let all = |warming: &Warming, seconds: u64| {
            warming.all(9, Duration::from_secs(seconds), &mut commands.iter()).round()
        };
        warming = seen(warming, 60, Some(UnsteadyKind::Trends), 1);
        // A fifteenth for each of two servers in three of nine starts, until --max-warmup is reached, and half of it in the others, or
        // two seconds.
        let looked_at = [30, 60, 90, 120, 200].map(|seconds| all(&warming, seconds));
        assert_eq!(looked_at, [36.0, 48.0, 72.0, 96.0, 120.0]);
        // Two have shown in 2 s that half a second is enough, whatever the time is.
        warming = seen(warming, 20, None, 1);
        assert_eq!([60, 200].map(|seconds| all(&warming, seconds)), [18.0; 2]);
        let given = Warming::new(Warmup::For(Duration::from_secs(3)), Duration::from_secs(60), 2);
        assert_eq!([60, 200].map(|seconds| all(&given, seconds)), [54.0; 2]);
    }
}
