//! What connections that come and go do to those that are held: the latency of their messages without and with it, in
//! turns, so that a machine that changes its speed meanwhile changes both.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Held;
use crate::load::churning::{self, Churned};
use crate::load::error::RunError;
use crate::load::worker::Common;
use crate::measure::failures::{self, Failures};
use crate::measure::histogram::{add, histogram};
use crate::plan::Rate;
use crate::report::connections::parts::Churn;
use crate::report::{Stats, TlsReport};

/// Measures in turns, each of the two sides for as long as the hold.
///
/// # Errors
/// When the kernel refuses a thread or an epoll set.
pub(super) fn measure(held: &mut Held<'_, '_>, common: Common<'_>, rate: Rate) -> Result<Churn, RunError> {
    let Common { plan, url, addresses, corpus, .. } = common;
    let churning = churning::Churn { plan, url, addresses, corpus, rate };
    let turn = held.experiment.hold / TURNS;
    let (mut without, mut with) = (Side::new(), Side::new());
    let mut all = Churned::nothing();
    for number in 0..TURNS * 2 {
        if held.over() {
            break;
        }
        // Without, with, with, without: a drift in one direction falls on both alike.
        if matches!(number % 4, 0 | 3) {
            without.take(held, turn)?;
            continue;
        }
        let ended = AtomicBool::new(false);
        all += thread::scope(|scope| {
            let thread = thread::Builder::new().name("churn".to_owned());
            let churner = thread.spawn_scoped(scope, || churning::run(churning, &ended))?;
            let taken = with.take(held, turn);
            ended.store(true, Ordering::Relaxed);
            let churned = churner.join().expect("it does not panic")?;
            taken.map(|()| churned)
        })?;
    }
    failures::merge(&mut all.failures, without.failures);
    failures::merge(&mut all.failures, with.failures);
    Ok(Churn {
        asked_per_second: rate.get(),
        opened: all.opened,
        failed: all.failed,
        skipped: all.skipped,
        failures: all.failures,
        handshake: Stats::from(&all.handshake),
        tls: TlsReport::of(&plan.connect.tls, &all.tls),
        seconds: with.seconds,
        wrong_messages: without.wrong + with.wrong,
        without: Stats::from(&without.latency),
        with: Stats::from(&with.latency),
        send_lag_without: Stats::from(&without.send_lag),
        send_lag_with: Stats::from(&with.send_lag),
    })
}

/// The turns of one kind.
struct Side {
    latency: Histogram<u64>,
    send_lag: Histogram<u64>,
    seconds: f64,
    wrong: u64,
    /// What was wrong with messages of the held connections, and how often.
    failures: Failures,
}

impl Side {
    fn new() -> Self {
        Self { latency: histogram(), send_lag: histogram(), seconds: 0.0, wrong: 0, failures: Failures::new() }
    }

    fn take(&mut self, held: &mut Held<'_, '_>, turn: Duration) -> Result<(), RunError> {
        let measured = held.trickle(turn, None)?;
        add(&mut self.latency, &measured.times.latency);
        add(&mut self.send_lag, &measured.times.send_lag);
        self.seconds += measured.window.as_secs_f64();
        let messages = measured.counts.messages;
        self.wrong += messages.wrong();
        for (what, times) in [
            ("a message of a held connection got no reply", messages.lost),
            ("a reply on a held connection was corrupted", messages.corrupted),
            ("a reply on a held connection came out of order", messages.reordered),
            ("a reply came on a held connection that nothing had asked for", messages.unexpected),
        ] {
            if times > 0 {
                failures::add(&mut self.failures, what, times);
            }
        }
        Ok(())
    }
}

/// Turns of either kind.
const TURNS: u32 = 4;
