//! What the ledger enters of the replies that a dialogue tells of.

use super::Ledger;
use crate::load::dialogue::observer::{Checked, Datagram, Observer};
use crate::load::dialogue::pending::{Pending, UNSENT};
use crate::load::pings::Pong;
use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::measure::recorder::{INTERVAL_NS, SLICES};
use crate::measure::times::Moments;
use crate::plan::messages::Volume;

/// Pings of the generator, which no connection sends but those that are held.
impl Ledger {
    /// A Ping is sent.
    pub fn pinged(&mut self) {
        self.pings.get_or_insert_default().sent += 1;
    }

    /// Whether Pongs are awaited.
    #[inline]
    pub fn awaits_pongs(&self) -> bool {
        self.pings.as_ref().is_some_and(|pings| pings.waiting() > 0)
    }

    /// So many Pings are not answered.
    pub fn gave_up_pings(&mut self, count: u64, why: &str) {
        if let Some(pings) = &mut self.pings {
            pings.gave_up(count, why);
        }
    }
}

impl Observer for Ledger {
    #[inline]
    fn verified(&mut self, pending: Pending, count: u64) {
        self.answered(count);
        if pending.due >= self.begin {
            self.counts.messages.received += count;
            self.counts.messages.verified += count;
            let slice = (self.now - self.interval_begin) / (INTERVAL_NS / SLICES as u64);
            let arrived = self.reading.take(&mut self.interval.arrivals, count, pending.sent, self.now);
            let moments = Moments { due: pending.due, sent: pending.sent, arrived, read: self.now };
            self.interval.record(slice as usize, moments, count);
            if let Some(lateness) = self.lateness {
                let late = lateness.of(pending.due, pending.sent);
                self.interval.times.record_least(moments, late, count);
            }
        }
    }

    // Those of the warm-up are counted apart: a server that does wrong there does not do right, but no rate or limit of the
    // measured phase is about them.
    fn reordered(&mut self, pending: Pending) {
        self.answered(1);
        if pending.due >= self.begin {
            self.counts.messages.received += 1;
            self.counts.messages.reordered += 1;
        } else {
            self.counts.warmup_errors.reordered += 1;
        }
    }

    fn corrupted(&mut self, pending: Pending) -> bool {
        if pending.due >= self.begin {
            self.counts.messages.received += 1;
            self.counts.messages.corrupted += 1;
        } else {
            self.counts.warmup_errors.corrupted += 1;
        }
        self.answered(1)
    }

    fn withdrawn(&mut self, pending: Pending, in_window: bool) {
        if pending.due >= self.begin {
            self.counts.messages.received -= 1;
            self.counts.messages.corrupted -= 1;
            self.counts.messages.unexpected += 1;
        } else {
            self.counts.warmup_errors.corrupted -= 1;
            self.counts.warmup_errors.unexpected += 1;
        }
        self.counts.replies_in_window -= u64::from(in_window);
    }

    fn unexpected(&mut self) {
        if self.now >= self.begin {
            self.counts.messages.unexpected += 1;
        } else {
            self.counts.warmup_errors.unexpected += 1;
        }
    }

    fn mismatched(&mut self, kind: MismatchKind, example: impl FnOnce() -> Mismatch) {
        self.counts.mismatches.count(kind, example);
    }

    /// One that was never sent has no send time, and is no loss in the warm-up.
    fn lost(&mut self, pending: Pending) {
        let (measured, sent) = (pending.due >= self.begin, pending.sent != UNSENT);
        self.counts.messages.lost += u64::from(measured);
        self.counts.warmup_errors.lost += u64::from(!measured && sent);
        self.counts.messages.sent -= u64::from(measured && !sent);
        self.last_lost = self.last_lost.max(pending.due);
    }

    // Of the measured phase only: they are results, as latencies are.
    #[cold]
    fn datagram(&mut self, what: Datagram) {
        let counts = self.counts.datagrams.get_or_insert_default();
        match what {
            Datagram::Lost(pending) if pending.due >= self.begin => {
                counts.lost += 1;
                self.counts.messages.lost += 1;
                self.last_lost = self.last_lost.max(pending.due);
            }
            _ if self.now < self.begin => {}
            Datagram::Lost(_) => {}
            Datagram::Late => counts.late += 1,
            Datagram::Duplicated => counts.duplicated += 1,
            Datagram::Reordered => counts.reordered += 1,
        }
    }

    #[inline]
    fn received(&mut self, volume: Volume) {
        if self.now >= self.begin && self.now < self.end {
            self.counts.traffic.received += volume;
        }
    }

    fn pong(&mut self, pong: Pong) {
        let arrived = self.reading.at(self.now);
        if let Some(pings) = &mut self.pings {
            pings.came(pong, arrived);
        }
    }

    #[inline]
    fn checked(&mut self, pending: Pending, how: Checked) {
        if pending.due >= self.begin {
            match how {
                Checked::Inflated => self.counts.checks.inflated += 1,
                Checked::Identical => self.counts.checks.identical += 1,
                Checked::Length => self.counts.checks.length += 1,
                Checked::Frame => self.counts.checks.frame += 1,
                Checked::Order => self.counts.checks.order += 1,
            }
        }
    }
}
