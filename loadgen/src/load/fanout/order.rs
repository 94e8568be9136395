//! Whether a sender's messages reach one receiver once each and in their order. 16 bytes for each pair of the two.

/// What has come from one sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    /// One more than the highest number that has come.
    next: u64,
    /// Which of the [`KNOWN`] numbers before `next` have come: the lowest bit is that of `next - 1`.
    came: u64,
}

/// Where a message that has come belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind all that have come; some before it may be missing.
    InTurn,
    /// Before one that has come already.
    Late,
    /// It has come before.
    Again,
    /// So far behind that it is not known any more whether it has come before.
    TooLate,
}

impl Order {
    /// Takes the sender's message of this number, from 0 on.
    #[inline]
    pub fn take(&mut self, number: u64) -> Place {
        if number >= self.next {
            let ahead = number - self.next + 1;
            self.came = if ahead < KNOWN { self.came << ahead | 1 } else { 1 };
            self.next = number + 1;
            return Place::InTurn;
        }
        let behind = self.next - 1 - number;
        if behind >= KNOWN {
            return Place::TooLate;
        }
        let bit = 1 << behind;
        if self.came & bit != 0 {
            return Place::Again;
        }
        self.came |= bit;
        Place::Late
    }
}

/// How many numbers are known back from the highest.
const KNOWN: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_has_its_place() {
        let mut order = Order::default();
        let places: Vec<Place> = [0, 1, 1, 5, 3, 3, 0, 4, 6].map(|number| order.take(number)).to_vec();
        use Place::{Again, InTurn, Late};
        assert_eq!(places, [InTurn, InTurn, Again, InTurn, Late, Again, Again, Late, InTurn]);
        assert_eq!(order.take(500), InTurn);
        assert_eq!([order.take(437), order.take(436), order.take(6)], [Late, Place::TooLate, Place::TooLate]);
        assert_eq!(order.take(564), InTurn);
        assert_eq!([order.take(501), order.take(500)], [Late, Place::TooLate]);
        let mut first = Order::default();
        assert_eq!([first.take(63), first.take(0), first.take(0)], [InTurn, Late, Again]);
    }
}
