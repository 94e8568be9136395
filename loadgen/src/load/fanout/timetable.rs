//! When each message is due, who sends it and who is to get it. Messages are numbered over all senders, who take turns, so
//! that the number alone tells its sender and its due time, in whichever thread it is read.

use std::time::Duration;

/// The parts of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Load that is not counted.
    WarmUp,
    /// Counted apart: nothing disturbs it yet.
    Undisturbed,
    /// What is measured.
    Measured,
}

/// The run in figures, the same for all threads.
#[derive(Debug, Clone, PartialEq)]
pub struct Timetable {
    /// Between two messages, ns; in the mean where several are due at once.
    pub gap_ns: f64,
    /// Messages that are due at once, 1 at least.
    pub burst: u64,
    /// When the undisturbed part begins, ns.
    pub undisturbed_from: u64,
    /// When the measured part begins, ns; at the same time where nothing disturbs it.
    pub measured_from: u64,
    /// When it ends, ns: nothing is due from then on.
    pub end: u64,
    /// How long deliveries are waited for after that, ns.
    pub drain: u64,
    /// The room of each sender that is there.
    pub room_of: Vec<u32>,
    /// The sender's number among those of its room.
    pub place_of: Vec<u32>,
    /// Senders in each room.
    pub senders_in: Vec<u32>,
    /// Receivers in each room that read all the time.
    pub receivers_in: Vec<u32>,
}

/// The messages of senders of consecutive numbers, in the order in which they are due.
#[derive(Debug, Clone)]
pub struct Turns {
    first: u64,
    count: u64,
    all: u64,
    taken: u64,
}

impl Timetable {
    /// When the message of this number is due, ns.
    #[inline]
    pub fn due(&self, id: u64) -> u64 {
        // From the number, not from the message before: rounding never adds up.
        ((id - id % self.burst) as f64 * self.gap_ns) as u64
    }

    /// How long nothing disturbs the load before it is measured, where something is to disturb it then.
    pub fn undisturbed(&self) -> Option<Duration> {
        let length = Duration::from_nanos(self.measured_from - self.undisturbed_from);
        (!length.is_zero()).then_some(length)
    }

    /// Whether the message of this number can have been sent by the time of a read at `read`: what is not due yet, or not before the
    /// end, is sent by nobody.
    #[inline]
    pub fn is_sent(&self, id: u64, read: u64) -> bool {
        let due = self.due(id);
        due <= read && due < self.end
    }

    /// The part of the run in which a message is due.
    #[inline]
    pub fn part(&self, due: u64) -> Part {
        match due {
            due if due >= self.measured_from => Part::Measured,
            due if due >= self.undisturbed_from => Part::Undisturbed,
            _ => Part::WarmUp,
        }
    }

    /// The sender of a message, and its number among this sender's.
    #[inline]
    pub fn sender(&self, id: u64) -> (usize, u64) {
        let senders = self.room_of.len() as u64;
        ((id % senders) as usize, id / senders)
    }

    /// Gives each sender its number in its room, by the rooms of all of them.
    pub fn places(rooms: usize, room_of: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut senders_in = vec![0; rooms];
        let place = |&room: &u32| {
            let place: &mut u32 = &mut senders_in[room as usize];
            *place += 1;
            *place - 1
        };
        (room_of.iter().map(place).collect(), senders_in)
    }
}

impl Turns {
    /// Those of `count` senders from number `first` on, of `all`.
    pub fn new(first: usize, count: usize, all: usize) -> Self {
        Self { first: first as u64, count: count as u64, all: all as u64, taken: 0 }
    }

    /// The next message's number; `None` where there are no senders.
    #[inline]
    pub fn next(&self) -> Option<u64> {
        (self.count > 0).then(|| self.taken / self.count * self.all + self.first + self.taken % self.count)
    }

    /// The number of the first sender.
    #[inline]
    pub fn first(&self) -> usize {
        self.first as usize
    }

    /// Goes on to the one after it.
    #[inline]
    pub fn advance(&mut self) {
        self.taken += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timetable() -> Timetable {
        let room_of = vec![0, 1, 0];
        let (place_of, senders_in) = Timetable::places(2, &room_of);
        Timetable {
            gap_ns: 1e9 / 3.0,
            burst: 1,
            undisturbed_from: 1_000_000_000,
            measured_from: 2_000_000_000,
            end: 4_000_000_000,
            drain: 0,
            room_of,
            place_of,
            senders_in,
            receivers_in: vec![1, 1],
        }
    }

    #[test]
    fn a_number_tells_the_sender_and_the_time() {
        let timetable = timetable();
        assert_eq!((timetable.place_of.as_slice(), timetable.senders_in.as_slice()), (&[0, 0, 1][..], &[2, 1][..]));
        assert_eq!([0, 1, 2, 3, 7].map(|id| timetable.sender(id)), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 2)]);
        assert_eq!([1, 3].map(|id| timetable.due(id)), [333_333_333, 1_000_000_000]);
        assert_eq!(
            [2, 3, 6].map(|id| timetable.part(timetable.due(id))),
            [Part::WarmUp, Part::Undisturbed, Part::Measured]
        );
    }

    #[test]
    fn what_is_due_later_or_from_the_end_on_is_sent_by_nobody() {
        let timetable = timetable();
        let found = [(3, 999_999_999), (3, 1_000_000_000), (11, 9_000_000_000), (12, 9_000_000_000)];
        assert_eq!(found.map(|(id, read)| timetable.is_sent(id, read)), [false, true, true, false]);
    }

    #[test]
    fn messages_of_a_burst_are_due_at_once() {
        let timetable = Timetable { burst: 3, ..timetable() };
        assert_eq!([0, 2, 3, 5, 6].map(|id| timetable.due(id)), [0, 0, 1_000_000_000, 1_000_000_000, 2_000_000_000]);
    }

    #[test]
    fn senders_take_turns_over_all_threads() {
        let mut all: Vec<u64> = Vec::new();
        for (first, count) in [(0, 2), (2, 1), (3, 0)] {
            let mut turns = Turns::new(first, count, 3);
            for _ in 0..3 * count {
                all.extend(turns.next());
                turns.advance();
            }
            assert_eq!(turns.next().is_none(), count == 0);
        }
        assert_eq!(all[..6], [0, 1, 3, 4, 6, 7]);
        all.sort_unstable();
        assert_eq!(all, (0..9).collect::<Vec<_>>());
    }
}
