//! What one thread has counted: its receivers' deliveries and its senders' messages. Entering a delivery allocates nothing and
//! shares nothing; what came of whole messages is handed on a thousand at a time.

use std::sync::mpsc;

use hdrhistogram::Histogram;

use super::awaited::{Awaited, Reached};
use super::incoming::Came;
use super::order::{Order, Place};
use super::timetable::{Part, Timetable};
use crate::measure::arrivals::{Arrivals, Reading};
use crate::measure::delivery_mismatch::{DeliveryMismatch, DeliveryMismatchKind, DeliveryMismatches};
use crate::measure::fanout::{Deliveries, Sent, Tally};
use crate::measure::histogram::histogram;

/// A receiver, as far as its deliveries go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    /// Its room.
    pub room: u32,
    /// Where its senders' orders begin.
    pub orders: usize,
    /// Whether it does not read in the measured part.
    pub stalls: bool,
}

/// What one thread has counted.
#[derive(Debug)]
pub struct Ledger<'a> {
    timetable: &'a Timetable,
    orders: Vec<Order>,
    /// Of the parts before the measured one that are counted.
    pub undisturbed: Tally,
    /// Of the measured part.
    pub measured: Tally,
    /// Of the receivers that do not read meanwhile.
    pub of_stalled: Tally,
    /// What was wrong with any of them.
    pub mismatches: DeliveryMismatches,
    /// Deliveries of the measured part that arrived before its end.
    pub in_window: u64,
    /// Deliveries of all parts, to receivers that read and to those that do not meanwhile.
    pub all: [u64; 2],
    /// What was sent.
    pub sent: Sent,
    /// From due to sent, ns.
    pub send_lag: Histogram<u64>,
    /// From arrived to read, ns.
    pub read_lag: Histogram<u64>,
    /// What says when deliveries arrived.
    pub arrivals: Arrivals,
    /// This thread's receivers of each room that read all the time.
    own: Vec<u32>,
    awaited: Awaited,
    reached: Vec<Reached>,
    reached_to: mpsc::Sender<Vec<Reached>>,
}

impl<'a> Ledger<'a> {
    /// Nothing yet of these receivers, which have so many orders. Whole messages go to `reached_to`.
    pub fn new(
        timetable: &'a Timetable,
        receivers: impl Iterator<Item = Receiver>,
        orders: usize,
        reached_to: mpsc::Sender<Vec<Reached>>,
    ) -> Self {
        let mut own = vec![0; timetable.receivers_in.len()];
        receivers.filter(|receiver| !receiver.stalls).for_each(|receiver| own[receiver.room as usize] += 1);
        let seconds = (timetable.drain + AWAITED_NS) as f64;
        Self {
            timetable,
            orders: vec![Order::default(); orders],
            undisturbed: Tally::new(),
            measured: Tally::new(),
            of_stalled: Tally::new(),
            mismatches: DeliveryMismatches::default(),
            in_window: 0,
            all: [0; 2],
            sent: Sent::default(),
            send_lag: histogram(),
            read_lag: histogram(),
            arrivals: Arrivals::default(),
            own,
            awaited: Awaited::new((seconds / timetable.gap_ns) as u64 + timetable.burst),
            reached: Vec::with_capacity(AT_ONCE),
            reached_to,
        }
    }

    /// A message has come whole to a receiver, in a read at `read`. `example` makes one of it, where something is wrong.
    #[inline]
    pub fn delivered(
        &mut self,
        receiver: Receiver,
        came: Came,
        reading: &mut Reading,
        read: u64,
        example: impl FnOnce(DeliveryMismatchKind) -> DeliveryMismatch,
    ) {
        let (id, altered) = match came {
            Came::Number { id, altered } => (id, altered),
            Came::Unknown(why) => return self.unexpected(read, why, example),
        };
        let due = self.timetable.due(id);
        let (sender, number) = self.timetable.sender(id);
        if !self.timetable.is_sent(id, read) {
            return self.unexpected(read, DeliveryMismatchKind::OtherNumber, example);
        }
        if self.timetable.room_of[sender] != receiver.room {
            return self.unexpected(read, DeliveryMismatchKind::OtherRoom, example);
        }
        let place = self.orders[receiver.orders + self.timetable.place_of[sender] as usize].take(number);
        let is_new = matches!(place, Place::InTurn | Place::Late);
        self.all[usize::from(receiver.stalls)] += u64::from(is_new);
        let part = self.timetable.part(due);
        let tally = match (part, receiver.stalls) {
            (Part::Measured, false) => &mut self.measured,
            (Part::Measured, true) => &mut self.of_stalled,
            (Part::Undisturbed, false) => &mut self.undisturbed,
            (Part::Undisturbed, true) | (Part::WarmUp, _) => return,
        };
        if let Some(kind) = enter(&mut tally.deliveries, place, altered) {
            self.mismatches.count(kind, || example(kind));
        }
        if !is_new {
            return;
        }
        let counted = part == Part::Measured && !receiver.stalls;
        let mut others = Arrivals::default();
        let arrivals = if counted { &mut self.arrivals } else { &mut others };
        let arrived = reading.take(arrivals, 1, due, read);
        tally.latency.saturating_record(arrived.saturating_sub(due));
        if counted {
            self.in_window += u64::from(arrived < self.timetable.end);
            self.read_lag.saturating_record(read - arrived.min(read));
            let all = self.own[receiver.room as usize];
            let (reached, to) = (&mut self.reached, &self.reached_to);
            self.awaited.add(Reached::one(id, arrived), all, &mut |message| hand_on(reached, to, message));
        }
    }

    /// A message has come whole to a sender, which is this one, in a read at `read`. What was sent by nobody, or in another room,
    /// is neither its own nor of others that it hears.
    pub fn came_to_sender(&mut self, sender: u32, came: Came, read: u64) {
        let Came::Number { id, .. } = came else { return };
        let (from, _) = self.timetable.sender(id);
        let room_of = &self.timetable.room_of;
        if self.timetable.is_sent(id, read) && room_of[from] == room_of[sender as usize] {
            let own = from == sender as usize;
            *if own { &mut self.sent.returned } else { &mut self.sent.to_senders } += 1;
        }
    }

    /// Hands on what is known of the messages that have not reached all of this thread's receivers. Whoever listens knows
    /// thereby that nothing more comes.
    pub fn close(&mut self) {
        let to = std::mem::replace(&mut self.reached_to, mpsc::channel().0);
        let reached = &mut self.reached;
        self.awaited.rest(&mut |message| hand_on(reached, &to, message));
        let _ = to.send(std::mem::take(reached));
    }

    /// Greetings and what is left of an earlier run come before it begins, and do no harm.
    #[cold]
    fn unexpected(
        &mut self,
        read: u64,
        why: DeliveryMismatchKind,
        example: impl FnOnce(DeliveryMismatchKind) -> DeliveryMismatch,
    ) {
        if read >= self.timetable.undisturbed_from {
            self.measured.deliveries.unexpected += 1;
            self.mismatches.count(why, || example(why));
        }
    }
}

/// Enters a message in the counts of deliveries; what makes it count as altered.
#[inline]
pub fn enter(
    deliveries: &mut Deliveries,
    place: Place,
    altered: Option<DeliveryMismatchKind>,
) -> Option<DeliveryMismatchKind> {
    match place {
        Place::InTurn => deliveries.received += 1,
        Place::Late => {
            deliveries.received += 1;
            deliveries.out_of_order += 1;
        }
        Place::TooLate => deliveries.out_of_order += 1,
        Place::Again => deliveries.duplicated += 1,
    }
    let altered = altered.filter(|_| place != Place::Again);
    if altered.is_some() {
        *deliveries.altered.get_or_insert(0) += 1;
    }
    altered
}

#[inline]
fn hand_on(reached: &mut Vec<Reached>, to: &mpsc::Sender<Vec<Reached>>, message: Reached) {
    reached.push(message);
    if reached.len() == AT_ONCE {
        // Nobody listens only when the run is being given up.
        let _ = to.send(std::mem::replace(reached, Vec::with_capacity(AT_ONCE)));
    }
}

/// Messages that are handed on at once: at the highest rates a hundred times a second, which nobody notices.
const AT_ONCE: usize = 1_024;

/// How long at least a message's last receivers are waited for before its place may be needed, ns.
const AWAITED_NS: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::arrivals::Arrived;
    use crate::measure::glimpse::Glimpse;
    use crate::plan::Kind;

    fn example(kind: DeliveryMismatchKind) -> DeliveryMismatch {
        let got = Glimpse::new(Kind::Text, Some(2), b"47");
        DeliveryMismatch { kind, times: 1, got, expected: None, offset: 0 }
    }

    #[test]
    fn deliveries_are_counted_by_what_became_of_them() {
        use DeliveryMismatchKind::{Content, OtherNumber, OtherRoom, Unnumbered};
        let timetable = Timetable {
            gap_ns: 10.0,
            burst: 1,
            undisturbed_from: 100,
            measured_from: 200,
            end: 1_000,
            drain: 0,
            room_of: vec![0, 1],
            place_of: vec![0, 0],
            senders_in: vec![1, 1],
            receivers_in: vec![2, 1],
        };
        let receiver = |room, orders, stalls| Receiver { room, orders, stalls };
        let all = [receiver(0, 0, false), receiver(0, 1, false), receiver(1, 2, false), receiver(0, 3, true)];
        let (to, reached) = mpsc::channel();
        let mut ledger = Ledger::new(&timetable, all.into_iter(), 4, to);
        let mut came = |receiver: usize, id, arrived, altered: bool| {
            let mut reading = Reading::new(Arrived::Stamped(arrived));
            let altered = altered.then_some(Content);
            ledger.delivered(all[receiver], Came::Number { id, altered }, &mut reading, arrived + 3, example);
        };
        came(0, 4, 90, false);
        came(0, 12, 130, false);
        came(0, 30, 305, false);
        came(1, 30, 335, true);
        came(0, 20, 340, false);
        came(0, 30, 350, false);
        came(3, 30, 1_200, false);
        came(2, 30, 360, false);
        came(2, 31, 1_300, false);
        came(2, 999, 1_300, false);
        // From the end on nothing is due, so that whoever numbers a message so has not got it from a sender.
        came(0, 98, 1_300, false);
        came(0, 100, 1_300, false);
        came(3, 100, 1_300, false);
        for read in [99, 100] {
            ledger.delivered(all[0], Came::Unknown(Unnumbered), &mut Reading::new(Arrived::Unstamped), read, example);
        }
        let told: Vec<String> = ledger.mismatches.sentences(None).collect();
        let wrong = [(Unnumbered, "once"), (OtherNumber, "3 times"), (OtherRoom, "once"), (Content, "once")];
        for (told, (kind, times)) in told.iter().zip(wrong) {
            assert!(told.starts_with(&format!("{times}: {}", example(kind))), "{kind:?}: {told}");
        }
        assert_eq!(told.len(), 4, "{told:?}");
        let Deliveries { received, duplicated, out_of_order, altered, unexpected, .. } = ledger.measured.deliveries;
        assert_eq!((received, duplicated, out_of_order, altered, unexpected), (5, 1, 1, Some(1), 5));
        assert_eq!((ledger.undisturbed.deliveries.received, ledger.of_stalled.deliveries.received), (1, 1));
        assert_eq!((ledger.all, ledger.in_window), ([7, 1], 3));
        assert_eq!((ledger.measured.latency.max(), ledger.read_lag.max()), (990, 3));
        ledger.close();
        let reached: Vec<Reached> = reached.try_iter().flatten().collect();
        let whole = Reached { id: 30, receivers: 2, first: 305, last: 335 };
        assert_eq!(reached, [whole, Reached::one(31, 1_300), Reached::one(20, 340), Reached::one(98, 1_300)]);
    }

    #[test]
    fn what_comes_to_senders_is_their_own_or_others() {
        let timetable = Timetable {
            gap_ns: 10.0,
            burst: 1,
            undisturbed_from: 0,
            measured_from: 0,
            end: 1_000,
            drain: 0,
            room_of: vec![0, 0, 1],
            place_of: vec![0, 1, 0],
            senders_in: vec![2, 1],
            receivers_in: vec![1, 1],
        };
        let mut ledger = Ledger::new(&timetable, std::iter::empty(), 0, mpsc::channel().0);
        let came = [(0, 0), (1, 0), (1, 4), (1, 3)];
        // Not due yet, not before the end, of the other room.
        let of_nobody = [(0, 21), (0, 300), (1, 301), (0, 2), (2, 3)];
        for (sender, id) in came.into_iter().chain(of_nobody) {
            ledger.came_to_sender(sender, Came::Number { id, altered: None }, if id < 300 { 200 } else { 9_000 });
        }
        assert_eq!((ledger.sent.returned, ledger.sent.to_senders), (2, 2));
    }
}
