//! One worker's books: which phase the run is in, which messages count, and what became of them. A message belongs to
//! the measured phase when its due time does; its reply counts whenever it comes.

mod observer;

use std::sync::mpsc;
use std::time::Duration;

use crate::host::resources::thread_cpu;
use crate::load::pings::Pings;
use crate::measure::arrivals::{Arrived, Reading};
use crate::measure::clock::nanoseconds;
use crate::measure::counts::Counts;
use crate::measure::failures::{self, Failures};
use crate::measure::lateness::Lateness;
use crate::measure::paced::Paced;
use crate::measure::recorder::{INTERVAL_NS, Interval};
use crate::measure::tally::Tally;
use crate::plan::messages::Volume;
use crate::plan::schedule::Schedule;

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
    /// How often what was recorded is handed over, ns: an interval whole, or in parts of it.
    pub every: u64,
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
    /// When the last turn began.
    turned: u64,
    /// How late an open loop is.
    lateness: Option<Lateness>,
    /// When what is being read reached the socket.
    reading: Reading,
    interval: Box<Interval>,
    /// When the current interval began, and when what was recorded of it is handed over next: at its end or before.
    interval_begin: u64,
    hand_over_at: u64,
    exchange: Exchange,
    counts: Counts,
    /// The tally of the counts when the last interval was handed over.
    handed_over: Tally,
    /// Why connections were lost, and how often.
    failures: Failures,
    /// When the last connection was lost, if none is left.
    all_lost_at: Option<u64>,
    last_reply: u64,
    /// When everything was found to be sent and answered.
    answered_at: Option<u64>,
    /// When the last message that was lost was due.
    last_lost: u64,
    /// Within the measured phase.
    last_in_window: u64,
    cpu_at_begin: Option<Duration>,
    cpu_at_end: Option<Duration>,
    /// What became of Pings, once one was sent.
    pings: Option<Box<Pings>>,
}

/// What a worker reports of a phase once all is sent and answered, or given up: the closed books.
#[derive(Debug)]
pub struct Outcome {
    /// What was counted; of the connections only those that were lost.
    pub counts: Counts,
    /// Why connections were lost, and how often.
    pub failures: Failures,
    /// When the last of them was lost, ns of the run's clock, if none is left.
    pub all_lost_at: Option<u64>,
    /// When the measured phase ended, ns of the run's clock.
    pub ended: u64,
    /// When the last reply within it came, or its beginning, likewise.
    pub last_in_window: u64,
    /// When the last one came of all, also behind it, likewise.
    pub last_reply: u64,
    /// The worker's CPU time in the measured phase over its length.
    pub busy: f64,
    /// How it waited in it; the lane's to say.
    pub paced: Paced,
    /// What became of the Pings; `None` where none was sent.
    pub pings: Option<Box<Pings>>,
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
            turned: 0,
            lateness: None,
            reading: Reading::new(Arrived::Unstamped),
            interval: spare_or_new(&exchange, 0),
            interval_begin: phases.begin,
            hand_over_at: phases.begin + exchange.every.min(INTERVAL_NS),
            exchange,
            counts: Counts::default(),
            handed_over: Tally::default(),
            failures: Failures::new(),
            all_lost_at: None,
            last_reply: phases.begin,
            answered_at: None,
            last_lost: phases.begin,
            last_in_window: phases.begin,
            cpu_at_begin: None,
            cpu_at_end: None,
            pings: None,
        }
    }

    /// It is `now`: hands over a full interval and moves from phase to phase. Returns whether to go on.
    #[inline]
    pub fn turn(&mut self, now: u64, interrupted: bool) -> bool {
        let turn = now.saturating_sub(self.turned);
        (self.now, self.turned) = (now, now);
        if turn > self.interval.times.longest_turn && now >= self.begin {
            self.interval.times.longest_turn = turn;
        }
        if now < self.mark && !interrupted {
            return true;
        }
        self.pass_marks(interrupted);
        now < self.give_up
    }

    /// `bytes` of replies were read at `now`, which `arrived` at the socket before.
    #[inline]
    pub fn received(&mut self, bytes: usize, arrived: Arrived, now: u64) {
        (self.reading, self.now) = (Reading::new(arrived), now);
        if now >= self.begin && now < self.end {
            self.counts.reply_bytes_in_window += bytes as u64;
        }
    }

    /// What was read ends with the beginning of another reply.
    #[inline]
    pub fn continues(&mut self) {
        self.reading.continues(&mut self.interval.arrivals);
    }

    /// These messages have been sent whole at `now`.
    #[inline]
    pub fn sent(&mut self, volume: Volume, now: u64) {
        if now >= self.begin && now < self.end {
            self.counts.traffic.sent += volume;
        }
    }

    /// An open loop has nothing in flight.
    #[inline]
    pub fn nothing_in_flight(&mut self) {
        self.lateness.get_or_insert_default().nothing_in_flight();
    }

    /// A message that was due at `due`, and perhaps others due after it, is sent at `sent`.
    #[inline]
    pub fn sends(&mut self, due: u64, sent: u64) {
        if let Some(lateness) = &mut self.lateness {
            lateness.sends(due, sent);
        }
    }

    /// Whether messages are still to be sent.
    #[inline]
    pub fn sending(&self) -> bool {
        self.now < self.end && self.quota > 0
    }

    /// All is sent and answered, but true replies may yet come where wrong ones did. Notes when that was first so, and
    /// returns whether to go on waiting for them.
    pub fn keep_waiting_for_true_replies(&mut self) -> bool {
        let since = *self.answered_at.get_or_insert(self.now);
        self.now.saturating_sub(since) < LONGEST_DOUBT_NS
    }

    /// Whether a run that ends with its last message has had no reply for as long as replies are waited for.
    #[inline]
    pub fn silent(&self) -> bool {
        self.end == u64::MAX && self.now.saturating_sub(self.last_reply) >= self.drain
    }

    /// Enters a message that is due at `due`, unless none is to be sent any more. Returns whether it is to be sent.
    #[inline]
    pub fn enter(&mut self, due: u64) -> bool {
        if due >= self.end || self.quota == 0 {
            return false;
        }
        if due >= self.begin {
            self.quota -= 1;
            self.counts.messages.sent += 1;
            if self.quota == 0 {
                self.give_up = self.now.saturating_add(self.drain);
                self.mark = self.mark.min(self.give_up);
            }
        }
        true
    }

    /// Datagrams are sent: what becomes of them is counted, be it nothing.
    pub fn expect_datagrams(&mut self) {
        self.counts.datagrams.get_or_insert_default();
    }

    /// Whether a message got no reply and will get none.
    pub fn has_lost(&self) -> bool {
        self.counts.messages.lost + self.counts.warmup_errors.lost > 0
    }

    /// A connection is lost.
    pub fn dropped(&mut self, why: &str) {
        self.counts.connections.dropped += 1;
        failures::add(&mut self.failures, why, 1);
    }

    /// No connection is left at `now`. Returns whether this is the first time that it is told.
    pub fn all_lost(&mut self, now: u64) -> bool {
        let first = self.all_lost_at.is_none();
        self.all_lost_at.get_or_insert(now);
        first
    }

    /// No connection is left to send a count of messages: those of it that have not been sent are lost.
    pub fn lose_quota(&mut self) {
        if self.end == u64::MAX {
            self.counts.messages.lost += self.quota;
            self.quota = 0;
        }
    }

    /// No connection is left to send what is still due by this schedule: it is lost.
    pub fn lose_the_rest(&mut self, schedule: &Schedule) {
        let warming_up = schedule.due_before(self.begin);
        let until_the_end = || schedule.due_before(self.end).saturating_sub(warming_up);
        let rest = if self.end == u64::MAX { self.quota } else { until_the_end() };
        if rest > 0 {
            self.counts.messages.lost += rest;
            self.last_lost = self.last_lost.max(schedule.due_at(warming_up + rest - 1));
        }
        self.quota = 0;
    }

    /// A message that is due at `due` and was entered is not sent after all.
    pub fn refused(&mut self, due: u64) {
        if due >= self.begin {
            self.counts.messages.sent -= 1;
            self.counts.over_backlog += 1;
        } else {
            self.counts.warmup_errors.over_backlog += 1;
        }
    }

    /// At `now` a socket took less than was to be sent.
    #[cold]
    pub fn found_full(&mut self, now: u64) {
        self.counts.full_sockets += u64::from(now >= self.begin);
    }

    /// The next time at which [`Ledger::turn`] has something to do.
    #[inline]
    pub fn next_mark(&self) -> u64 {
        self.mark
    }

    /// Closes the books before the end of the measured phase, when nothing can come any more: it ends when it was to end
    /// all the same. The intervals until then are not handed over one by one.
    pub fn close_ahead(mut self, now: u64) -> Outcome {
        self.hand_over_at = u64::MAX;
        let end = if self.end == u64::MAX { now } else { self.end.max(now) };
        self.close(end)
    }

    /// Closes the books at `now`.
    pub fn close(mut self, now: u64) -> Outcome {
        // A count of messages is through with the last reply, or when the last one was due that got none.
        let last = self.last_reply.max(self.last_lost).max(self.begin);
        let ended = if self.end == u64::MAX { last } else { self.end.min(now) };
        (self.now, self.end) = (now.max(ended), ended);
        self.pass_marks(false);
        self.complete_interval();
        // The collector is gone only when the run is being given up.
        let _ = self.exchange.full.send(self.interval);
        let cpu =
            self.cpu_at_begin.zip(self.cpu_at_end).map_or(Duration::ZERO, |(begin, end)| end.saturating_sub(begin));
        let window = ended.saturating_sub(self.begin);
        let busy = if window == 0 { 0.0 } else { nanoseconds(cpu) as f64 / window as f64 };
        let Self { counts, failures, all_lost_at, last_in_window, last_reply, pings, .. } = self;
        Outcome { counts, failures, all_lost_at, ended, last_in_window, last_reply, busy, paced: <_>::default(), pings }
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
        while self.now >= self.hand_over_at && self.hand_over_at < self.end {
            let interval_end = self.interval_begin + INTERVAL_NS;
            let is_over = self.hand_over_at == interval_end;
            let next = spare_or_new(&self.exchange, self.interval.index + u64::from(is_over));
            self.complete_interval();
            let _ = self.exchange.full.send(std::mem::replace(&mut self.interval, next));
            self.interval_begin = if is_over { interval_end } else { self.interval_begin };
            self.hand_over_at = (self.hand_over_at + self.exchange.every).min(self.interval_begin + INTERVAL_NS);
        }
        if self.now >= self.end && self.cpu_at_end.is_none() {
            self.cpu_at_end = Some(thread_cpu());
        }
        self.mark = match self.now {
            now if now < self.begin => self.begin,
            now if now < self.end => self.hand_over_at.min(self.end).min(self.give_up),
            _ => self.give_up,
        };
    }

    /// Enters what is known only when the interval is handed over.
    fn complete_interval(&mut self) {
        let tally = self.counts.tally();
        self.interval.tally = tally.since(std::mem::replace(&mut self.handed_over, tally));
        self.interval.times.longest_lag = self.lateness.map_or(0, Lateness::longest);
    }

    /// A message was answered, rightly or not. Returns whether that was within the measured phase.
    #[inline]
    fn answered(&mut self, count: u64) -> bool {
        let in_window = self.now >= self.begin && self.now < self.end;
        if in_window {
            self.counts.replies_in_window += count;
            self.last_in_window = self.now;
        }
        self.last_reply = self.now;
        in_window
    }
}

/// An empty interval of this number: one that the collector gave back, if there is one.
fn spare_or_new(exchange: &Exchange, index: u64) -> Box<Interval> {
    let Ok(mut spare) = exchange.spare.try_recv() else { return Box::new(Interval::new(index)) };
    spare.reset(index);
    spare
}

/// How long replies are waited for after an interruption, in ns: whoever interrupts does not want to wait.
const INTERRUPTED_DRAIN_NS: u64 = 1_000_000_000;

/// How long true replies are waited for, in ns, once every message has got something: many round trips of a server that
/// answers at all, and a short time for a run whose every reply is wrong.
const LONGEST_DOUBT_NS: u64 = 1_000_000_000;

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
