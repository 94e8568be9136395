//! How a phase ends on a lane: with all sent and answered, given up, or with no connection left.

use std::sync::atomic::Ordering;

use wire::CloseCode;

use super::{Lane, Pace};
use crate::load::ledger::Outcome;
use crate::load::lines::goodbye;

impl Lane<'_> {
    /// Notes that this worker has no connection left. Returns whether no other has one either; else what is due is lost as
    /// it becomes due, since the others may yet be interrupted.
    #[cold]
    pub(super) fn note_that_none_is_left(&mut self, now: u64) -> bool {
        if self.ledger.all_lost(now) {
            self.connected.fetch_sub(1, Ordering::AcqRel);
            if let Pace::Closed(_) = self.pace {
                self.ledger.lose_quota();
            }
        }
        self.connected.load(Ordering::Acquire) == 0
    }

    /// Takes a connection out of the run. What TLS has to say last, a `close_notify` or an alert, is tried once.
    #[cold]
    pub(super) fn drop_line(&mut self, index: usize, why: &str) {
        let Some(mut line) = self.lines.all[index].take() else { return };
        self.outstanding -= line.flight.len();
        line.stream.write_last(&[]);
        line.dialogue.abandon(&mut line.flight, self.corpus, &mut self.ledger);
        self.ledger.gave_up_pings(line.dialogue.give_up_pings(), "the connection was lost before a Pong came");
        self.lines.alive -= 1;
        self.ledger.dropped(why);
    }

    /// Ends the phase before its time, since nothing can come any more.
    pub(super) fn finish_ahead(mut self, now: u64) -> Outcome {
        if let Pace::Open(schedule) = &self.pace {
            self.ledger.lose_the_rest(schedule);
        }
        self.ledger.close_ahead(now)
    }

    pub(super) fn finish(mut self, now: u64) -> Outcome {
        // A server that closes what has nothing left to do loses nothing.
        if self.lines.alive == 0 && self.ledger.has_lost() {
            self.ledger.all_lost(now);
        }
        for line in self.lines.all.iter_mut().flatten() {
            self.ledger.gave_up_pings(line.dialogue.give_up_pings(), "no Pong with its bytes came");
        }
        for slot in &mut self.lines.all {
            let Some(line) = slot.as_mut().filter(|line| !line.flight.is_empty()) else { continue };
            if line.dialogue.outlives_losses() {
                line.dialogue.abandon(&mut line.flight, self.corpus, &mut self.ledger);
                continue;
            }
            goodbye(line, Some(CloseCode::NORMAL));
            line.dialogue.abandon(&mut line.flight, self.corpus, &mut self.ledger);
            *slot = None;
            self.lines.alive -= 1;
        }
        self.ledger.close(now)
    }
}
