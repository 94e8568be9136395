//! One worker's books: which phase the run is in, which messages count, and what became of them. A message belongs to
//! the measured phase when its intended send time does; its reply counts whenever it comes.

use std::sync::mpsc;
use std::time::Duration;

use crate::clock::nanoseconds;
use crate::flight::{Checked, Stamp, UNSENT, Witness};
use crate::payload::Volume;
use crate::recorder::{Checks, INTERVAL_NS, Interval, Messages, SLICES, Traffic};
use crate::resources::thread_cpu;

/// When a worker warms up, measures, stops sending and gives up, in ns of the run's clock.
#[derive(Debug, Clone, Copy)]
pub struct Phases {
    /// The beginning of the measured phase.
    pub begin: u64,
    /// Its end.
    pub end: End,
    /// How long after the end replies are waited for.
    pub drain: u64,
}

/// What ends the measured phase.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// The clock.
    At(u64),
    /// This worker's share of the messages, all sent; the last reply ends the phase.
    Messages(u64),
}

/// Where full intervals go, and where emptied ones come back from.
#[derive(Debug)]
pub struct Exchange {
    /// To the collector.
    pub full: mpsc::Sender<Box<Interval>>,
    /// From the collector.
    pub spare: mpsc::Receiver<Box<Interval>>,
}

/// One worker's books.
#[derive(Debug)]
pub struct Ledger {
    begin: u64,
    /// The end of the measured phase, once it is known; `u64::MAX` before.
    end: u64,
    drain: u64,
    /// When replies are no longer waited for, once it is known.
    give_up: u64,
    /// The next time at which there is something to do.
    mark: u64,
    /// Measured messages that may still be started.
    quota: u64,
    now: u64,
    interval: Box<Interval>,
    /// When the current interval began and when it ends.
    interval_begin: u64,
    interval_end: u64,
    exchange: Exchange,
    messages: Messages,
    replies_in_window: u64,
    bytes_in_window: u64,
    traffic: Traffic,
    checks: Checks,
    last_reply: u64,
    /// Within the measured phase.
    last_in_window: u64,
    cpu_at_begin: Option<Duration>,
    cpu_at_end: Option<Duration>,
}

/// The closed books.
#[derive(Debug)]
pub struct Closed {
    /// What became of the measured messages.
    pub messages: Messages,
    /// Replies that came within the measured phase.
    pub replies_in_window: u64,
    /// Bytes received within it, frame headers included.
    pub reply_bytes_in_window: u64,
    /// Messages and replies that were sent and that came within it.
    pub traffic: Traffic,
    /// How replies were checked, as far as they were not compared as they came.
    pub checks: Checks,
    /// The end of the measured phase.
    pub ended: u64,
    /// When the last reply of the measured phase came, or its beginning.
    pub last_in_window: u64,
    /// The worker's CPU time in the measured phase over its length.
    pub busy: f64,
}

impl Ledger {
    /// Opens the books at 0 of the run's clock.
    pub fn new(phases: Phases, exchange: Exchange) -> Self {
        let (end, quota) = match phases.end {
            End::At(end) => (end, u64::MAX),
            End::Messages(quota) => (u64::MAX, quota),
        };
        Self {
            begin: phases.begin,
            end,
            drain: phases.drain,
            give_up: end.saturating_add(phases.drain),
            mark: phases.begin,
            quota,
            now: 0,
            interval: exchange.spare.try_recv().map_or_else(
                |_| Box::new(Interval::new(0)),
                |mut spare| {
                    spare.reset(0);
                    spare
                },
            ),
            interval_begin: phases.begin,
            interval_end: phases.begin + INTERVAL_NS,
            exchange,
            messages: Messages::default(),
            replies_in_window: 0,
            bytes_in_window: 0,
            traffic: Traffic::default(),
            checks: Checks::default(),
            last_reply: phases.begin,
            last_in_window: phases.begin,
            cpu_at_begin: None,
            cpu_at_end: None,
        }
    }

    /// It is `now`: hands over a full interval and moves from phase to phase. Returns whether to go on.
    #[inline]
    pub fn turn(&mut self, now: u64, interrupted: bool) -> bool {
        self.now = now;
        if now < self.mark && !interrupted {
            return true;
        }
        self.pass_marks(interrupted);
        now < self.give_up
    }

    /// `bytes` of replies have come at `now`.
    #[inline]
    pub fn received(&mut self, bytes: usize, now: u64) {
        self.now = now;
        if now >= self.begin && now < self.end {
            self.bytes_in_window += bytes as u64;
        }
    }

    /// These messages have been sent whole at `now`.
    #[inline]
    pub fn sent(&mut self, volume: Volume, now: u64) {
        if now >= self.begin && now < self.end {
            self.traffic.sent += volume;
        }
    }

    /// Whether messages are still to be sent.
    #[inline]
    pub fn sending(&self) -> bool {
        self.now < self.end && self.quota > 0
    }

    /// Whether a run that ends with its last message has had no reply for as long as replies are waited for.
    #[inline]
    pub fn silent(&self) -> bool {
        self.end == u64::MAX && self.now.saturating_sub(self.last_reply) >= self.drain
    }

    /// Whether a message that is due at `due` is to be sent; if so, it is entered as one.
    #[inline]
    pub fn takes(&mut self, due: u64) -> bool {
        if due >= self.end || self.quota == 0 {
            return false;
        }
        if due >= self.begin {
            self.quota -= 1;
            self.messages.sent += 1;
            if self.quota == 0 {
                self.give_up = self.now.saturating_add(self.drain);
                self.mark = self.mark.min(self.give_up);
            }
        }
        true
    }

    /// A message got no reply and will get none; one that was never sent says so in its stamp. One of the warm-up counts
    /// too: a connection that waits for its reply in vain is silent in the measured phase.
    pub fn lost(&mut self, stamp: Stamp) {
        let (measured, sent) = (stamp.intended >= self.begin, stamp.sent != UNSENT);
        self.messages.lost += u64::from(measured || sent);
        self.messages.sent -= u64::from(measured && !sent);
    }

    /// A message that is due at `due` and was entered is not sent after all.
    pub fn refused(&mut self, due: u64) {
        self.messages.sent -= u64::from(due >= self.begin);
    }

    /// The next time at which [`Ledger::turn`] has something to do.
    #[inline]
    pub fn next_mark(&self) -> u64 {
        self.mark
    }

    /// Closes the books at `now`.
    pub fn close(mut self, now: u64) -> Closed {
        self.now = now;
        let ended = if self.end == u64::MAX { self.last_reply.max(self.begin) } else { self.end.min(now) };
        self.end = ended;
        self.pass_marks(false);
        // The collector is gone only when the run is being given up.
        let _ = self.exchange.full.send(self.interval);
        let cpu = match (self.cpu_at_begin, self.cpu_at_end) {
            (Some(begin), Some(end)) => end.saturating_sub(begin),
            _ => Duration::ZERO,
        };
        let window = ended.saturating_sub(self.begin);
        let busy = if window == 0 { 0.0 } else { nanoseconds(cpu) as f64 / window as f64 };
        Closed {
            messages: self.messages,
            replies_in_window: self.replies_in_window,
            reply_bytes_in_window: self.bytes_in_window,
            traffic: self.traffic,
            checks: self.checks,
            ended,
            last_in_window: self.last_in_window,
            busy,
        }
    }

    #[cold]
    fn pass_marks(&mut self, interrupted: bool) {
        if interrupted {
            self.end = self.end.min(self.now);
            self.give_up = self.give_up.min(self.now.saturating_add(self.drain.min(INTERRUPTED_DRAIN_NS)));
        }
        if self.now >= self.begin && self.cpu_at_begin.is_none() {
            self.cpu_at_begin = Some(thread_cpu());
        }
        while self.now >= self.interval_end && self.interval_end < self.end {
            let index = self.interval.index + 1;
            let next = self.exchange.spare.try_recv().map(|mut spare| {
                spare.reset(index);
                spare
            });
            let next = next.unwrap_or_else(|_| Box::new(Interval::new(index)));
            let _ = self.exchange.full.send(std::mem::replace(&mut self.interval, next));
            self.interval_begin = self.interval_end;
            self.interval_end += INTERVAL_NS;
        }
        if self.now >= self.end && self.cpu_at_end.is_none() {
            self.cpu_at_end = Some(thread_cpu());
        }
        self.mark = match self.now {
            now if now < self.begin => self.begin,
            now if now < self.end => self.interval_end.min(self.end).min(self.give_up),
            _ => self.give_up,
        };
    }

    /// A message was answered, rightly or not.
    #[inline]
    fn answered(&mut self, count: u64) {
        if self.now >= self.begin && self.now < self.end {
            self.replies_in_window += count;
            self.last_in_window = self.now;
        }
        self.last_reply = self.now;
    }
}

impl Witness for Ledger {
    #[inline]
    fn verified(&mut self, stamp: Stamp, count: u64) {
        self.answered(count);
        if stamp.intended >= self.begin {
            self.messages.received += count;
            self.messages.verified += count;
            let slice = (self.now - self.interval_begin) / (INTERVAL_NS / SLICES as u64);
            self.interval.record(slice as usize, stamp.intended, stamp.sent, self.now, count);
        }
    }

    // Those of the warm-up count too: a server that does wrong there does not do right.
    fn reordered(&mut self, stamp: Stamp) {
        self.answered(1);
        self.messages.received += u64::from(stamp.intended >= self.begin);
        self.messages.reordered += 1;
    }

    fn corrupted(&mut self, stamp: Stamp) {
        self.answered(1);
        self.messages.received += u64::from(stamp.intended >= self.begin);
        self.messages.corrupted += 1;
    }

    fn unexpected(&mut self) {
        self.messages.unexpected += 1;
    }

    #[inline]
    fn received(&mut self, volume: Volume) {
        if self.now >= self.begin && self.now < self.end {
            self.traffic.received += volume;
        }
    }

    #[inline]
    fn checked(&mut self, stamp: Stamp, how: Checked) {
        if stamp.intended >= self.begin {
            match how {
                Checked::Inflated => self.checks.inflated += 1,
                Checked::Identical => self.checks.identical += 1,
                Checked::Length => self.checks.length += 1,
                Checked::Frame => self.checks.frame += 1,
            }
        }
    }
}

/// How long replies are waited for after an interruption, in ns: whoever interrupts does not want to wait.
const INTERRUPTED_DRAIN_NS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn ledger(end: End) -> (Ledger, mpsc::Receiver<Box<Interval>>) {
        let (full, intervals) = mpsc::channel();
        let (_, spare) = mpsc::channel();
        let phases = Phases { begin: 100 * MS, end, drain: 50 * MS };
        (Ledger::new(phases, Exchange { full, spare }), intervals)
    }

    fn stamp(intended: u64, sent: u64) -> Stamp {
        Stamp { sent, ..Stamp::due(intended) }
    }

    #[test]
    fn a_message_counts_by_its_intended_time_and_throughput_by_the_reply() {
        let (mut ledger, intervals) = ledger(End::At(2_100 * MS));
        assert!(ledger.takes(99 * MS) && ledger.takes(100 * MS));
        assert!(ledger.turn(101 * MS, false));
        ledger.verified(stamp(99 * MS, 99 * MS), 1);
        ledger.verified(stamp(100 * MS, 100 * MS), 1);
        assert!(ledger.takes(2_099 * MS) && !ledger.takes(2_100 * MS));
        assert!(ledger.turn(2_110 * MS, false) && !ledger.sending());
        ledger.verified(stamp(2_099 * MS, 2_100 * MS), 1);
        assert!(!ledger.turn(2_150 * MS, false), "the drain has a limit");
        let closed = ledger.close(2_150 * MS);
        assert_eq!((closed.replies_in_window, closed.ended), (2, 2_100 * MS));
        assert_eq!(closed.messages, Messages { sent: 2, received: 2, verified: 2, ..Messages::default() });
        let intervals: Vec<_> = intervals.iter().map(|interval| (interval.index, interval.latency.len())).collect();
        assert_eq!(intervals, [(0, 1), (1, 1)], "what comes in the drain belongs to the last interval");
    }

    #[test]
    fn lost_messages_are_told_from_unsent_ones() {
        let (mut ledger, _intervals) = ledger(End::At(1_100 * MS));
        (0..3).for_each(|i| assert!(ledger.takes(200 * MS + i)));
        ledger.lost(stamp(200 * MS, UNSENT));
        ledger.lost(stamp(200 * MS, 201 * MS));
        ledger.lost(stamp(50 * MS, 51 * MS));
        ledger.lost(stamp(50 * MS, UNSENT));
        ledger.refused(200 * MS);
        let messages = ledger.close(1_100 * MS).messages;
        assert_eq!(messages, Messages { sent: 1, lost: 3, ..Messages::default() }, "one of them in the warm-up");
    }

    #[test]
    fn a_quota_of_messages_ends_with_the_last_reply() {
        let (mut ledger, _intervals) = ledger(End::Messages(2));
        assert!(ledger.takes(0), "warm-up messages are not counted");
        assert!(ledger.turn(100 * MS, false));
        assert!(ledger.takes(100 * MS) && ledger.takes(100 * MS) && !ledger.takes(100 * MS));
        assert!(!ledger.sending());
        ledger.received(2, 130 * MS);
        ledger.verified(stamp(100 * MS, 100 * MS), 2);
        assert!(
            ledger.turn(149 * MS, false) && !ledger.turn(150 * MS, false),
            "the drain begins with the last message"
        );
        let closed = ledger.close(150 * MS);
        assert_eq!((closed.ended, closed.replies_in_window), (130 * MS, 2));
    }

    #[test]
    fn an_interruption_ends_the_measured_phase_at_once() {
        let (mut ledger, _intervals) = ledger(End::At(u64::MAX - 1));
        assert!(ledger.turn(300 * MS, true));
        assert!(!ledger.sending());
        assert!(!ledger.turn(350 * MS, true));
        assert_eq!(ledger.close(350 * MS).ended, 300 * MS);
    }
}
