//! One run of a plan against a server: a session of one phase.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::host::addresses::Addresses;
use crate::host::cores::Cores;
use crate::host::running::Running;
use crate::host::target::END_TIMEOUT;
use crate::host::withheld::Meter;
use crate::load::error::RunError;
use crate::load::live::{Live, Phase};
use crate::load::session::{Session, Span};
use crate::load::worker::Common;
use crate::measure::collector::{Collector, Opened};
use crate::measure::measured::Measured;
use crate::measure::recorder::Interval;
use crate::measure::so_far::Passed;
use crate::measure::so_far::SoFar;
use crate::plan::messages::Corpus;
use crate::plan::url::Url;
use crate::plan::{Plan, Stop};

/// What a run works with.
pub struct World<'a> {
    /// Where the server listens.
    pub url: &'a Url,
    /// The addresses of its host.
    pub addresses: &'a Addresses,
    /// The server's processes, where they run on this machine and are known.
    pub server_pids: &'a [i32],
    /// The messages.
    pub corpus: &'a Corpus,
    /// The cores for the workers; `None` leaves them to the scheduler.
    pub cores: Option<&'a Cores>,
    /// Set when the run is to end early.
    pub interrupted: &'a AtomicBool,
    /// Whether what the run has measured so far is to end it.
    pub abort: &'a dyn Fn(SoFar<'_>) -> bool,
    /// Counters for the progress display.
    pub live: &'a Live,
    /// Shows the progress; called every [`SHOW_EVERY`](crate::load::live::SHOW_EVERY) or oftener.
    pub show: &'a mut dyn FnMut(Phase),
}

/// Notes how `server` ended, if it did and connections failed: a command that leaves its server behind ends too.
pub fn note_end_of(server: &Running, measured: &mut Measured) {
    let patience = if measured.all_lost.is_some() { END_TIMEOUT } else { Duration::ZERO };
    if measured.counts.connections.failed + measured.counts.connections.dropped > 0 {
        measured.server_ended = server.ended(patience).map(|status| status.to_string());
    }
}

/// Runs the plan.
///
/// # Errors
/// When nothing could be measured. Connections and messages that fail are part of [`Measured`].
pub fn measure(plan: &Plan, world: World<'_>) -> Result<Measured, RunError> {
    let World { url, addresses, server_pids, corpus, cores, interrupted, abort, live, show } = world;
    let workers = plan.workers();
    let common = Common { plan, url, addresses, corpus, cores, interrupted, live, workers, server_pids };
    thread::scope(|scope| {
        let mut session = Session::open(scope, common, show)?;
        let meter = Meter::of(server_pids);
        let meter = Some(&meter);
        let (warmup, stop, seed) = (plan.warmup, plan.stop, plan.seed);
        let load = Some(plan.load);
        let (ping, look_every, delay) = (None, None, START_DELAY);
        let span = Span { warmup, stop, seed, load, ping, look_every, delay, server_pids, meter };
        let mut collector = Collector::new();
        let mut crossed = false;
        let opened = Opened { connect: session.connect().clone(), failed: session.connections().failed };
        let take = &mut |interval: &Interval, passed: Option<Passed<'_>>| {
            collector.take(interval);
            // An interval that the user cut short tells nothing.
            let cut = interrupted.load(Ordering::Relaxed);
            let offered_rate = plan.offered_rate();
            if !cut && passed.is_some_and(|passed| abort(collector.so_far(&opened, passed, offered_rate))) {
                crossed = true;
                interrupted.store(true, Ordering::Release);
            }
        };
        let mut measured = session.phase(span, take, show)?;
        if measured.interrupted && measured.window.is_zero() {
            session.close()?;
            return Err(RunError::Interrupted);
        }
        if crossed {
            // It may have come with the last interval, when there was nothing left to end.
            (measured.interrupted, measured.aborted) = (false, !complete(plan, &measured));
        }
        collector.finish(&mut measured);
        measured.connect.clone_from(session.connect());
        measured.tcp.clone_from(session.tcp());
        measured.upgrade.clone_from(session.upgrade());
        measured.growth.clone_from(session.growth());
        measured.is_fathom = session.is_fathom();
        session.close()?;
        Ok(measured)
    })
}

/// Whether the run got to where its plan ends it.
fn complete(plan: &Plan, measured: &Measured) -> bool {
    match plan.stop {
        Stop::After(duration) => measured.window >= duration,
        Stop::Messages(messages) => measured.counts.messages.received + measured.counts.messages.lost >= messages.get(),
    }
}

/// How long after the last connection is open the load starts: time for every worker to reach its lane.
const START_DELAY: Duration = Duration::from_millis(20);
