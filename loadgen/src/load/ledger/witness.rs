//! What the ledger enters of the replies that a flight tells of.

use super::Ledger;
use crate::load::flight::{Checked, Stamp, UNSENT, Witness};
use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::measure::recorder::{INTERVAL_NS, SLICES};
use crate::measure::times::Moments;
use crate::plan::messages::Volume;

impl Witness for Ledger {
    #[inline]
    fn verified(&mut self, stamp: Stamp, count: u64) {
        self.answered(count);
        if stamp.intended >= self.begin {
            self.messages.received += count;
            self.messages.verified += count;
            let slice = (self.now - self.interval_begin) / (INTERVAL_NS / SLICES as u64);
            let moments = Moments { due: stamp.intended, sent: stamp.sent, arrived: self.arrived, read: self.now };
            self.interval.record(slice as usize, moments, count);
            if let Some(lateness) = self.lateness {
                let late = lateness.of(stamp.intended, stamp.sent);
                self.interval.times.record_least(moments, late, count);
            }
        }
    }

    // Those of the warm-up count too: a server that does wrong there does not do right.
    fn reordered(&mut self, stamp: Stamp) {
        self.answered(1);
        self.messages.received += u64::from(stamp.intended >= self.begin);
        self.messages.reordered += 1;
    }

    fn corrupted(&mut self, stamp: Stamp) -> bool {
        self.messages.received += u64::from(stamp.intended >= self.begin);
        self.messages.corrupted += 1;
        self.answered(1)
    }

    fn withdrawn(&mut self, stamp: Stamp, in_window: bool) {
        self.messages.received -= u64::from(stamp.intended >= self.begin);
        self.messages.corrupted -= 1;
        self.replies_in_window -= u64::from(in_window);
        self.messages.unexpected += 1;
    }

    fn unexpected(&mut self) {
        self.messages.unexpected += 1;
    }

    fn mismatched(&mut self, kind: MismatchKind, example: impl FnOnce() -> Mismatch) {
        self.mismatches.count(kind, example);
    }

    /// One that was never sent says so in its stamp. One of the warm-up counts too: a connection that waits for its reply in
    /// vain is silent in the measured phase.
    fn lost(&mut self, stamp: Stamp) {
        let (measured, sent) = (stamp.intended >= self.begin, stamp.sent != UNSENT);
        self.messages.lost += u64::from(measured || sent);
        self.messages.sent -= u64::from(measured && !sent);
        self.last_lost = self.last_lost.max(stamp.intended);
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
