//! What changes a session's connections between its phases: more of them are opened, or all are closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::{Opened, Session, gather};
use crate::load::live::Phase;
use crate::load::opening::AT_ONCE;
use crate::load::retrying::Retry;
use crate::load::worker::{Order, Reopen};
use crate::measure::histogram::add;

/// When more connections are opened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Manner {
    /// At the plan's rate, with a bounded number of handshakes at once.
    Paced,
    /// All at the same time, or each at a random moment within `jitter`, drawn by the plan's seed; what fails is tried again.
    Back {
        /// The time for the random moments.
        jitter: Option<Duration>,
        /// How it is tried again.
        retry: Retry,
    },
}

impl Session<'_, '_> {
    /// Opens more connections beside those that there are, and waits for them.
    pub fn open_more(&mut self, connections: u32, manner: Manner, show: &mut dyn FnMut(Phase)) -> Opened {
        let (opened_by, opened) = mpsc::channel();
        let (at_once, jitter, retry) = match manner {
            Manner::Paced => (AT_ONCE * self.orders.len(), None, None),
            Manner::Back { jitter, retry } => (connections as usize, jitter, Some(retry)),
        };
        let jitter = jitter.map(|within| (within, self.plan.seed));
        for order in &self.orders {
            let before = u32::try_from(self.opened.requested).unwrap_or(u32::MAX);
            let reopen = Reopen {
                all: connections,
                before,
                jitter,
                retry,
                paced: manner == Manner::Paced,
                at_once: at_once.div_ceil(self.orders.len()),
                opened: opened_by.clone(),
            };
            // One that has failed says so when it is joined.
            let _ = order.send(Order::Open(reopen));
        }
        drop(opened_by);
        let more = gather(&opened, Opened::nothing(self.orders.len(), connections.into()), show);
        self.opened.requested += more.requested;
        for (all, more) in self.opened.established.iter_mut().zip(&more.established) {
            *all += more;
        }
        add(&mut self.opened.connect, &more.connect);
        more
    }

    /// Closes all connections, so many in a second or all at once, and waits until that is done; the server is told before
    /// where `goodbyes` are said. More can be opened then.
    pub fn close_all(&mut self, per_second: Option<f64>, goodbyes: bool) {
        self.close_all_unless(per_second, goodbyes, &mut || false);
    }

    /// The same; from the moment on when `gone` says so, those that are left are closed at once.
    pub fn close_all_unless(&mut self, per_second: Option<f64>, goodbyes: bool, gone: &mut dyn FnMut() -> bool) {
        let (done, all_done) = mpsc::channel();
        let at_once = Arc::new(AtomicBool::new(false));
        let all: u64 = self.opened.established.iter().sum();
        for (order, own) in self.orders.iter().zip(&self.opened.established) {
            let per_second = per_second.map(|rate| rate * *own as f64 / all.max(1) as f64).filter(|rate| *rate > 0.0);
            let _ = order.send(Order::Close { per_second, goodbyes, at_once: at_once.clone(), done: done.clone() });
        }
        drop(done);
        // Nothing is ever sent: it ends when the last worker has let go of its end.
        while let Err(RecvTimeoutError::Timeout) = all_done.recv_timeout(LOOK_EVERY) {
            if gone() {
                at_once.store(true, Ordering::Relaxed);
            }
        }
        let is_fathom = self.opened.is_fathom;
        self.opened = Opened { is_fathom, ..Opened::nothing(self.orders.len(), 0) };
    }

    /// Takes what came of the connections that were opened first, but for their number.
    pub fn take_opened(&mut self) -> Opened {
        let mut first = Opened::nothing(self.orders.len(), self.opened.requested);
        first.established.clone_from(&self.opened.established);
        std::mem::swap(&mut first.tcp, &mut self.opened.tcp);
        std::mem::swap(&mut first.tls, &mut self.opened.tls);
        std::mem::swap(&mut first.upgrade, &mut self.opened.upgrade);
        std::mem::swap(&mut first.back, &mut self.opened.back);
        std::mem::swap(&mut first.failures, &mut self.opened.failures);
        first.connect.clone_from(&self.opened.connect);
        first
    }
}

/// How often it is looked whether the server is gone while connections are closed.
const LOOK_EVERY: Duration = Duration::from_millis(100);
