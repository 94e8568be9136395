//! Pings on connections that are held, beside whatever else they carry.

use super::{Lane, SENDS};

impl Lane<'_> {
    /// Sends the Pings that are due, until no message is to be sent any more either.
    #[cold]
    pub(super) fn send_pings(&mut self, now: &mut u64) {
        for _ in 0..SENDS {
            let sending = self.ledger.sending();
            let Some(schedule) = self.pings.as_mut().filter(|_| sending) else {
                self.ping_at = u64::MAX;
                return;
            };
            let Some(due) = schedule.pop(*now) else { break };
            let Some(line) = &mut self.lines.all[due.connection] else { continue };
            if line.dialogue.ping(*now) {
                self.ledger.pinged();
                if !line.blocked {
                    self.flush(due.connection, *now);
                }
            }
            *now = self.clock.now();
        }
        self.ping_at = self.pings.as_ref().map_or(u64::MAX, |pings| pings.next_at());
    }
}
