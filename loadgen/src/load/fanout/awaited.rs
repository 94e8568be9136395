//! The messages that have not reached all of their receivers yet: for each how many have it, and when the first and the last
//! got it. A ring, so that what is kept is bounded: a message that is given up makes room for a later one.

/// What is known of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// Its number.
    pub id: u64,
    /// Receivers that have it.
    pub receivers: u32,
    /// When the first got it, ns.
    pub first: u64,
    /// When the last of these got it, ns.
    pub last: u64,
}

/// Messages that are awaited somewhere.
#[derive(Debug)]
pub struct Awaited {
    /// By the lower bits of their numbers; without receivers where there is none.
    slots: Vec<Reached>,
}

impl Reached {
    /// One receiver has it.
    pub fn one(id: u64, at: u64) -> Self {
        Self { id, receivers: 1, first: at, last: at }
    }
}

impl Awaited {
    /// Room for `messages` of them, or a little more; no more than [`MOST`].
    pub fn new(messages: u64) -> Self {
        let slots = messages.clamp(FEWEST, MOST).next_power_of_two() as usize;
        Self { slots: vec![Reached::default(); slots] }
    }

    /// More receivers have a message, which `all` of them are to have. Calls `finished` with what nothing more is waited for:
    /// this message, or one that is given up for it.
    #[inline]
    pub fn add(&mut self, more: Reached, all: u32, finished: &mut impl FnMut(Reached)) {
        let at = more.id as usize & (self.slots.len() - 1);
        let slot = &mut self.slots[at];
        if slot.receivers > 0 && slot.id > more.id {
            // Its place was needed.
            return finished(more);
        }
        if slot.receivers > 0 && slot.id < more.id {
            finished(std::mem::take(slot));
        }
        if slot.receivers == 0 {
            *slot = more;
        } else {
            slot.receivers += more.receivers;
            slot.first = slot.first.min(more.first);
            slot.last = slot.last.max(more.last);
        }
        if slot.receivers >= all {
            finished(std::mem::take(slot));
        }
    }

    /// Gives up all that are left.
    pub fn rest(&mut self, finished: &mut impl FnMut(Reached)) {
        self.slots.iter_mut().filter(|slot| slot.receivers > 0).for_each(|slot| finished(std::mem::take(slot)));
    }
}

/// The fewest messages that there is room for: at low rates a few seconds cost nothing.
const FEWEST: u64 = 1 << 10;

/// The most, at 32 bytes each: ten seconds of 100,000 messages per second.
const MOST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_finished_with_its_last_receiver_or_when_its_place_is_needed() {
        let (mut awaited, mut done) = (Awaited::new(0), Vec::new());
        for (id, at) in [(0, 10), (1, 12), (0, 5), (0, 30)] {
            awaited.add(Reached::one(id, at), 3, &mut |reached| done.push(reached));
        }
        assert_eq!(done, [Reached { id: 0, receivers: 3, first: 5, last: 30 }]);
        // The ring comes round.
        awaited.add(Reached::one(1 + FEWEST, 40), 3, &mut |reached| done.push(reached));
        assert_eq!(done[1], Reached::one(1, 12));
        awaited.add(Reached::one(1, 50), 3, &mut |reached| done.push(reached));
        assert_eq!(done[2], Reached::one(1, 50), "too late to be put together");
        awaited.rest(&mut |reached| done.push(reached));
        assert_eq!(done[3], Reached::one(1 + FEWEST, 40));
        awaited.rest(&mut |_| panic!("nothing is left"));
    }
}
