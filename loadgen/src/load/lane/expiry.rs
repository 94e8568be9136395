//! Messages that are given up when their reply does not come in time, where a connection can go on without them: datagrams.

use std::time::Duration;

use super::{Lane, Pace};
use crate::load::ledger::Ledger;
use crate::load::lines::Lines;
use crate::measure::clock::nanoseconds;

/// When messages are given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry {
    /// How long each waits for its reply, ns.
    patience: u64,
    /// When to look next, ns of the run's clock; never where no connection can go on without a message.
    pub(super) next: u64,
}

impl Expiry {
    /// For the lines of a worker, whose books are to tell of datagrams where there are any.
    pub(super) fn new(lines: &Lines, patience: Duration, ledger: &mut Ledger) -> Self {
        let applies = lines.all.iter().flatten().any(|line| line.dialogue.outlives_losses());
        if applies {
            ledger.expect_datagrams();
        }
        let patience = nanoseconds(patience);
        Self { patience, next: if applies { patience } else { u64::MAX } }
    }
}

impl Lane<'_> {
    /// Gives up the messages that have waited for too long; a closed loop sends others in their place.
    #[cold]
    pub(super) fn expire(&mut self, now: u64) {
        let Expiry { patience, .. } = self.expiry;
        self.expiry.next = now + (patience / LOOKS).max(1);
        let before = now.saturating_sub(patience);
        for index in 0..self.lines.all.len() {
            let Some(line) = &mut self.lines.all[index] else { continue };
            let in_flight = line.flight.len();
            line.dialogue.expire(&mut line.flight, self.corpus, before, &mut self.ledger);
            let lost = in_flight - line.flight.len();
            if lost > 0 {
                self.outstanding -= lost;
                if let Pace::Closed(_) = self.pace {
                    self.refill(index, lost, self.clock.now());
                }
            }
        }
    }
}

/// How often it is looked for messages to give up in the time that one waits: each waits longer by an eighth at the most.
const LOOKS: u64 = 8;
