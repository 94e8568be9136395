//! All connections lost at once, and how they come back: each is tried, and tried again with longer and longer waits, until all
//! are back or the time for it is over.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Held;
use crate::load::retrying::Retry;
use crate::load::session::Manner;
use crate::measure::counts::Connections;
use crate::report::connections::parts::Storm;
use crate::report::{Stats, TlsReport};

/// How connections come back after all are dropped at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comeback {
    /// Each is first tried at a random moment within this time, and its waits are random too; all at the same time without.
    pub jitter: Option<Duration>,
    /// The wait after the first try of a connection; it doubles after each other.
    pub retry_delay: Duration,
    /// From the moment when all were gone; after it none is tried.
    pub retry_time: Duration,
}

impl Held<'_, '_> {
    /// The storm, or that it did not take place.
    pub(super) fn storm_if_asked_for(&mut self) {
        match self.experiment.storm {
            Some(comeback) if !self.over() => self.storm(comeback),
            Some(_) => self.found.trust.notes.push(NO_STORM.to_owned()),
            None => {}
        }
    }

    /// Drops all connections and waits until they are back.
    fn storm(&mut self, comeback: Comeback) {
        let Comeback { jitter, retry_delay, retry_time } = comeback;
        let dropped = self.found.alive();
        let began = Instant::now();
        self.session.close_all(None, false);
        let dropping = began.elapsed();
        let retry = Retry {
            delay: retry_delay,
            within: retry_time,
            jitter: jitter.map(|_| self.experiment.plan.seed.wrapping_add(RETRY_SEED)),
        };
        let connections = u32::try_from(dropped).unwrap_or(u32::MAX);
        let back = self.session.open_more(connections, Manner::Back { jitter, retry }, self.show);
        let Connections { established, failed, .. } = back.connections();
        let interrupted = self.interrupted.load(Ordering::Relaxed);
        self.found.storm = Some(Storm {
            dropped,
            dropping_seconds: dropping.as_secs_f64(),
            jitter_seconds: jitter.map(|within| within.as_secs_f64()),
            retry_delay_seconds: Some(retry_delay.as_secs_f64()),
            retry_time_seconds: Some(retry_time.as_secs_f64()),
            back: established,
            // What was still to be tried when it was interrupted has not failed.
            failed: if interrupted { 0 } else { failed },
            tries: back.tries,
            most_tries: back.most_tries,
            failures: back.failures.clone(),
            all_back_seconds: (failed == 0 && established == dropped)
                .then(|| Duration::from_nanos(back.back.max()).as_secs_f64()),
            wait: Stats::from(&back.back),
            handshake: Stats::from(&back.connect),
            tls: TlsReport::of(&self.experiment.plan.connect.tls, &back.tls),
        });
    }
}

/// What is said where it was asked for and did not come.
const NO_STORM: &str = "the storm did not take place: it was interrupted before, or no connection was left to drop";

/// Sets the waits' random numbers apart from those of the first moments.
const RETRY_SEED: u64 = 1 << 32;
