//! The thread of a session while its workers are busy with a phase: it takes what they have recorded, and looks at what
//! processes use of the machine as the measured part begins and ends.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::host::resources::{Sampler, Usage};
use crate::host::withheld::{Meter, Withheld};
use crate::load::live::{Live, Phase, SHOW_EVERY};
use crate::measure::percentile;
use crate::measure::recorder::Interval;
use crate::measure::so_far::Passed;
use crate::plan::{Load, Stop};

/// One phase of a session.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// How long the load runs before it is measured.
    pub warmup: Duration,
    /// When the measured phase ends.
    pub stop: Stop,
    /// Seed of an open loop's schedule.
    pub seed: u64,
    /// What keeps messages coming in it. `None` where none is sent: connections are held, and what the server sends is
    /// answered.
    pub load: Option<Load>,
    /// How often each connection is pinged beside it; not at all without.
    pub ping: Option<Duration>,
    /// How often the workers hand over what they have recorded; each second without.
    pub look_every: Option<Duration>,
    /// How long the workers have to reach their lanes.
    pub delay: Duration,
    /// The server's processes, whose use of the machine is looked at as the measured phase begins and ends.
    pub server_pids: &'a [i32],
    /// Of their control groups, and of this process's; `None` where whoever runs the phases looks at them.
    pub meter: Option<&'a Meter>,
}

impl Span<'_> {
    /// A phase of this load that begins with its first message, in which nothing but the connections is looked at.
    pub fn plain(load: Option<Load>, stop: Stop, seed: u64, delay: Duration) -> Self {
        Self {
            warmup: Duration::ZERO,
            stop,
            seed,
            load,
            ping: None,
            look_every: None,
            delay,
            server_pids: &[],
            meter: None,
        }
    }
}

/// The beginning of a measured phase.
#[derive(Clone, Copy)]
struct Began<'a> {
    at: Instant,
    /// Replies that had come by then.
    replies: u64,
    loadgen: &'a Sampler,
    server: Option<&'a Sampler>,
}

/// Looks on while the lanes run.
pub(super) struct Watch<'a> {
    pub intervals: mpsc::Receiver<Box<Interval>>,
    /// Where emptied intervals go back to, by turns.
    pub spares: Vec<mpsc::Sender<Box<Interval>>>,
    pub turn: usize,
    /// Where they go once the workers are done.
    #[expect(clippy::vec_box, reason = "workers pass them on in their boxes")]
    pub pool: &'a mut Vec<Box<Interval>>,
    pub take: &'a mut dyn FnMut(&Interval, Option<Passed<'_>>),
    pub live: &'a Live,
    pub show: &'a mut dyn FnMut(Phase),
}

impl Watch<'_> {
    /// Collects until the last worker is done; returns what this process and the server's used of the machine from
    /// `begin` to the end of the measured phase, and what was withheld from them.
    pub fn until_done(mut self, span: Span<'_>, begin: Instant) -> (Usage, Option<Usage>, Withheld) {
        let end = match span.stop {
            Stop::After(duration) => begin + duration,
            Stop::Messages(_) => begin + FOREVER,
        };
        self.until(begin, Phase::WarmingUp, None);
        let before = self.live.replies.load(Ordering::Relaxed);
        let (loadgen, server) = (Sampler::own().from_here(), Sampler::of(span.server_pids).map(Sampler::from_here));
        let metered = span.meter.map(|meter| (meter, meter.sample()));
        let began = Began { at: begin, replies: before, loadgen: &loadgen, server: server.as_ref() };
        self.until(end, Phase::Measuring, Some(began));
        let withheld = metered.map(|(meter, before)| meter.since(&before)).unwrap_or_default();
        let own = loadgen.finish().expect("this process lives");
        let usage = (own, server.and_then(Sampler::finish), withheld);
        self.until(end + FOREVER, Phase::Draining, None);
        usage
    }

    /// Collects until then, or until the last worker is done; what is measured has `began` so.
    fn until(&mut self, then: Instant, phase: Phase, began: Option<Began<'_>>) {
        loop {
            let now = Instant::now();
            if now >= then {
                return;
            }
            began.iter().flat_map(|began| began.server.into_iter().chain([began.loadgen])).for_each(Sampler::sample);
            match self.intervals.recv_timeout((then - now).min(SHOW_EVERY)) {
                Ok(mut interval) => {
                    // 0 is not shown.
                    let p99 = percentile::of(&interval.times.latency, 99.0).unwrap_or(0);
                    self.live.p99_ns.store(p99, Ordering::Relaxed);
                    let passed = began.map(|Began { at, replies, loadgen, server }| Passed {
                        elapsed: at.elapsed(),
                        replies: self.live.replies.load(Ordering::Relaxed).saturating_sub(replies),
                        loadgen,
                        server,
                    });
                    (self.take)(&interval, passed);
                    // Here rather than in a worker, which has messages to send meanwhile.
                    interval.reset(0);
                    self.turn = (self.turn + 1) % self.spares.len();
                    if let Err(mpsc::SendError(interval)) = self.spares[self.turn].send(interval) {
                        self.pool.push(interval);
                    }
                }
                Err(RecvTimeoutError::Timeout) => (self.show)(phase),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Longer than any run: 100 years.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
