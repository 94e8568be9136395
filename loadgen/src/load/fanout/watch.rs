//! The thread that looks on while the others run: it puts together what they find of each message, and looks at what processes
//! use of the machine as the measured part begins and ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::World;
use super::awaited::{Awaited, Reached};
use super::timetable::Timetable;
use crate::host::resources::{Sampler, Usage};
use crate::host::withheld::{Meter, Withheld};
use crate::load::live::{Phase, SHOW_EVERY};
use crate::measure::clock::Clock;
use crate::measure::histogram::histogram;

/// What was found while the threads ran.
pub(super) struct Watched {
    pub(super) loadgen: Usage,
    pub(super) server: Option<Usage>,
    pub(super) withheld: Withheld,
    pub(super) reached_all: u64,
    pub(super) everyone: Histogram<u64>,
    pub(super) skew: Histogram<u64>,
}

/// Looks on while the threads run.
pub(super) struct Watch<'a> {
    world: World<'a>,
    timetable: &'a Timetable,
    clock: Clock,
    /// Set once the measured part is over.
    over: &'a AtomicBool,
    awaited: Awaited,
    found: (u64, Histogram<u64>, Histogram<u64>),
}

impl<'a> Watch<'a> {
    pub(super) fn new(world: World<'a>, timetable: &'a Timetable, clock: Clock, over: &'a AtomicBool) -> Self {
        let awaited = Awaited::new((timetable.drain as f64 / timetable.gap_ns) as u64 * 2 + timetable.burst);
        Self { world, timetable, clock, over, awaited, found: (0, histogram(), histogram()) }
    }

    pub(super) fn until_done(mut self, reached: &mpsc::Receiver<Vec<Reached>>, show: &mut dyn FnMut(Phase)) -> Watched {
        let (begin, end) = (self.clock.instant(self.timetable.measured_from), self.clock.instant(self.timetable.end));
        self.until(begin, Phase::WarmingUp, reached, show);
        let meter = Meter::of(self.world.server_pids);
        let before = meter.sample();
        let (loadgen, server) =
            (Sampler::own().from_here(), Sampler::of(self.world.server_pids).map(Sampler::from_here));
        self.until(end, Phase::Measuring, reached, show);
        let withheld = meter.since(&before);
        let loadgen = loadgen.finish().expect("this process lives");
        let server = server.and_then(Sampler::finish);
        self.over.store(true, Ordering::Relaxed);
        self.until(end + FOREVER, Phase::Draining, reached, show);
        let Self { timetable, mut awaited, mut found, .. } = self;
        awaited.rest(&mut |message| finish(timetable, &mut found, message));
        let (reached_all, everyone, skew) = found;
        Watched { loadgen, server, withheld, reached_all, everyone, skew }
    }

    /// Puts together what comes of each message until then, or until the last thread is done.
    fn until(
        &mut self,
        then: Instant,
        phase: Phase,
        reached: &mpsc::Receiver<Vec<Reached>>,
        show: &mut dyn FnMut(Phase),
    ) {
        loop {
            let now = Instant::now();
            if now >= then || phase != Phase::Draining && self.world.interrupted.load(Ordering::Relaxed) {
                return;
            }
            match reached.recv_timeout((then - now).min(SHOW_EVERY)) {
                Ok(messages) => {
                    let Self { timetable, awaited, found, .. } = self;
                    for message in messages {
                        let all = timetable.receivers_in[timetable.room_of[timetable.sender(message.id).0] as usize];
                        awaited.add(message, all, &mut |message| finish(timetable, found, message));
                    }
                }
                Err(RecvTimeoutError::Timeout) => show(phase),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Nothing more is waited for of this message.
fn finish(timetable: &Timetable, found: &mut (u64, Histogram<u64>, Histogram<u64>), message: Reached) {
    let (reached_all, everyone, skew) = found;
    let Reached { id, receivers, first, last } = message;
    let all = timetable.receivers_in[timetable.room_of[timetable.sender(id).0] as usize];
    skew.saturating_record(last - first);
    if receivers >= all {
        *reached_all += 1;
        everyone.saturating_record(last.saturating_sub(timetable.due(id)));
    }
}

/// Longer than any drain: 100 years.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
