//! How late an open loop's worker may have made a reply: the largest send lag since it had nothing in flight.
//!
//! In a server that answers in the order of arrival and never idles while a message waits, a message can only have waited
//! for those sent before it in the same busy period, and no busy period reaches back past a time at which nothing was in
//! flight. So no reply came later by more than the largest send lag since then, of the messages sent up to it
//! (docs/loadgen.md derives it).

/// The largest send lag since nothing was in flight, ns. Times of sending must not go back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lateness {
    largest: u64,
    /// When the message was sent that has it.
    since: u64,
    /// The largest one of those that were sent before that.
    before: u64,
    /// The largest of all.
    longest: u64,
}

impl Lateness {
    /// Nothing is in flight, so that what is sent from now on waits for nothing that was sent before.
    #[inline]
    pub fn nothing_in_flight(&mut self) {
        *self = Self { longest: self.longest, ..Self::default() };
    }

    /// A message that was due at `due` is sent at `sent`.
    #[inline]
    pub fn sends(&mut self, due: u64, sent: u64) {
        let lag = sent.saturating_sub(due);
        if lag > self.largest {
            if sent > self.since {
                (self.before, self.since) = (self.largest, sent);
            }
            self.largest = lag;
            self.longest = self.longest.max(lag);
        }
    }

    /// The largest send lag of all, ns, those in the warm-up included.
    pub fn longest(self) -> u64 {
        self.longest
    }

    /// The most by which the reply to a message that was due and sent then can be later than an on-time generator would
    /// have seen it.
    #[inline]
    pub fn of(&self, due: u64, sent: u64) -> u64 {
        // What was sent after the message cannot have delayed it: a generator that wakes up from a long stop first sends
        // what is due, and then reads replies that came in time.
        let up_to = if sent < self.since { self.before } else { self.largest };
        up_to.max(sent.saturating_sub(due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_late_by_the_largest_lag_of_those_before_it() {
        let mut lateness = Lateness::default();
        lateness.sends(100, 110);
        assert_eq!(lateness.of(100, 110), 10);
        lateness.sends(150, 155);
        assert_eq!(lateness.of(150, 155), 10, "it may have waited for the one before it");
        lateness.sends(200, 260);
        lateness.sends(210, 260);
        assert_eq!(lateness.of(210, 260), 60);
        assert_eq!(lateness.of(150, 155), 10, "it was sent before that");
        lateness.sends(220, 300);
        assert_eq!(lateness.of(210, 260), 60);
        assert_eq!(lateness.of(220, 300), 80);
        assert_eq!(lateness.of(150, 155), 60, "one step back is remembered, and more is never too little");
        lateness.nothing_in_flight();
        lateness.sends(400, 401);
        assert_eq!(lateness.of(400, 401), 1);
        assert_eq!(lateness.of(300, 350), 50, "its own lag always counts");
        assert_eq!(lateness.longest(), 80);
    }

    #[test]
    fn two_records_at_one_time_leave_what_was_before_them() {
        let mut lateness = Lateness::default();
        lateness.sends(100, 105);
        lateness.sends(150, 200);
        lateness.sends(140, 200);
        assert_eq!((lateness.of(100, 105), lateness.of(150, 200)), (5, 60));
    }
}
