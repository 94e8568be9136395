//! How long a trial of each server is: as long as was asked for, or longer where a slow server would have too few replies in it,
//! or none since each takes its time.

use std::time::Duration;

use super::pace::Pace;
use super::tempo::Tempo;

/// The lengths of the trials of several servers.
#[derive(Debug)]
pub struct Lengths {
    tempo: Tempo,
    /// How each server answers; `None` where its replies are not counted, or none came.
    paces: Vec<Option<Pace>>,
    all: Vec<Duration>,
}

/// Trials of a server that were made longer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Longer {
    /// The server.
    pub server: usize,
    /// How long they are.
    pub length: Duration,
    /// How long the server's quickest reply took, where that is why.
    pub quickest: Option<Duration>,
    /// About how many replies they have, where those are fewer than each is to have, since longer ones have no room in the time.
    pub too_few: Option<u64>,
}

impl Lengths {
    /// Of so many servers, of which nothing is known yet.
    pub fn new(tempo: Tempo, servers: usize) -> Self {
        Self { tempo, paces: vec![None; servers], all: vec![tempo.trial; servers] }
    }

    /// Learns how a server answers.
    pub fn learn(&mut self, server: usize, pace: Pace) {
        self.paces[server] = Some(pace);
        self.all[server] = self.within(server, self.tempo.max_time);
    }

    /// That of each server.
    pub fn all(&self) -> &[Duration] {
        &self.all
    }

    /// The longest that trials are made for the sake of replies.
    pub fn longest(&self) -> Duration {
        longest(self.tempo.max_time, self.all.len())
    }

    /// How long a round is in which each server settles and is measured, in an experiment that takes at most `time`.
    pub fn round(&self, time: Duration) -> Duration {
        (0..self.all.len()).map(|server| self.within(server, time) + self.tempo.settle).sum()
    }

    /// The trials that were made longer.
    pub fn longer(&self) -> impl Iterator<Item = Longer> + '_ {
        let is_longer = |(_, length): &(usize, &Duration)| **length > self.tempo.trial;
        self.all.iter().enumerate().filter(is_longer).map(|(server, length)| {
            let replies = self.paces[server].map(|pace| (pace.rate * length.as_secs_f64()).round() as u64);
            let quickest = self.paces[server].map(|pace| pace.quickest);
            Longer {
                server,
                length: *length,
                quickest: quickest.filter(|quickest| round_trips(*quickest) == *length),
                too_few: replies.filter(|replies| *replies < self.tempo.replies),
            }
        })
    }

    fn within(&self, server: usize, time: Duration) -> Duration {
        let Some(Pace { rate, quickest }) = self.paces[server] else { return self.tempo.trial };
        let needed = Duration::from_secs_f64(self.tempo.replies as f64 / rate);
        needed.min(longest(time, self.all.len())).max(round_trips(quickest)).max(self.tempo.trial)
    }
}

fn longest(time: Duration, servers: usize) -> Duration {
    time / (MOST_OF_TIME * servers as u32)
}

/// How long a trial is at the least of a server whose quickest reply takes so long, whatever the time: without a reply it tells nothing.
/// It has two of them, and a quarter more, so that all of the second come, where replies to all connections come at once, and not
/// those alone that come before it ends.
fn round_trips(quickest: Duration) -> Duration {
    quickest * 9 / 4
}

/// A round of trials that were made longer for more replies takes at most this part of the time: there are to be many of them.
const MOST_OF_TIME: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::question::tests::question;

    /// Of eight servers, whose trials are to have 50 replies, in a minute.
    fn eight() -> Lengths {
        let tempo = Tempo { replies: 50, max_time: Duration::from_secs(60), ..question().tempo };
        Lengths::new(tempo, 8)
    }

    #[test]
    fn a_trial_of_each_server_has_replies_enough_whatever_the_others_do() {
        let mut lengths = eight();
        let pace = |rate| Pace { rate, quickest: Duration::from_micros(80) };
        // At 100,000 replies a second the 10 ms that were asked for hold a thousand.
        lengths.learn(0, pace(100_000.0));
        lengths.learn(1, pace(1_000.0));
        let of = |server: usize| lengths.all()[server];
        assert_eq!([of(0), of(1), of(2)], [10, 50, 10].map(Duration::from_millis));
        let longer: Vec<Longer> = lengths.longer().collect();
        assert_eq!(longer, [Longer { server: 1, length: Duration::from_millis(50), quickest: None, too_few: None }]);
        assert_eq!(lengths.round(Duration::from_secs(60)), Duration::from_millis(120));
    }

    #[test]
    fn where_the_time_has_no_room_for_as_many_it_is_known_how_many_there_are() {
        let mut lengths = eight();
        lengths.learn(3, Pace { rate: 105.0, quickest: Duration::from_millis(9) });
        let longer: Vec<Longer> = lengths.longer().collect();
        assert_eq!(
            longer,
            [Longer { server: 3, length: Duration::from_millis(375), quickest: None, too_few: Some(39) }]
        );
        // 50 replies take 476 ms, which a longer time has room for.
        let [now, later] = [60, 100].map(|seconds| lengths.round(Duration::from_secs(seconds)));
        assert_eq!((later - now).as_millis(), 101);
        assert_eq!(lengths.longest(), Duration::from_millis(375));
    }

    #[test]
    fn a_trial_holds_replies_that_take_their_time_whatever_the_time() {
        let mut lengths = eight();
        // A hundred connections at once.
        lengths.learn(2, Pace { rate: 333.0, quickest: Duration::from_millis(300) });
        assert_eq!(lengths.all()[2], Duration::from_millis(675));
        let longer: Vec<Longer> = lengths.longer().collect();
        assert_eq!(
            longer,
            [Longer {
                server: 2,
                length: Duration::from_millis(675),
                quickest: Some(Duration::from_millis(300)),
                too_few: None
            }]
        );
    }
}
