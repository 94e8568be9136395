//! Messages of a few that reach many: [`measure`] has threads open the members of all rooms, starts them together, puts
//! together what they find of each message, and looks on until the last delivery. All are in one process, so that there is one
//! clock.

mod awaited;
mod frames;
mod gathered;
mod incoming;
mod lane;
mod ledger;
mod members;
mod message;
mod order;
mod pointer;
mod senders_first;
mod timetable;
mod visitors;
mod watch;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::host::addresses::Addresses;
use crate::host::cores::Cores;
use crate::host::relay_losses::RelayLosses;
use crate::load::error::RunError;
use crate::load::live::{Live, Phase, SHOW_EVERY};
use crate::load::stamping;
use crate::measure::arrivals::Arrivals;
use crate::measure::clock::Clock;
use crate::measure::failures;
use crate::measure::fanout::{Measured, Sent, Tally, Visitors};
use crate::measure::histogram::{add, histogram};
use crate::plan::Plan;
use crate::plan::fanout::Fanout;
use crate::plan::url::Url;
use gathered::Members;
use lane::{Outcome, Shared};
pub use message::{FIRST_RUN, LAST_RUN, Message};
use senders_first::SendersFirst;
use timetable::{Part, Timetable};
use visitors::Invitation;
use watch::{Watch, Watched};
use worker::Start;

/// What is measured, and with what.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Who sends and who receives.
    pub fanout: &'a Fanout,
    /// At which rate, for how long; its connections are all members.
    pub plan: &'a Plan,
    /// Where each room is.
    pub urls: &'a [Url],
    /// The addresses of their host.
    pub addresses: &'a Addresses,
    /// The server's processes, where they run on this machine and are known.
    pub server_pids: &'a [i32],
    /// The cores for the threads; `None` leaves them to the scheduler.
    pub cores: Option<&'a Cores>,
    /// Set when it is to end early.
    pub interrupted: &'a AtomicBool,
    /// Counters for the progress display.
    pub live: &'a Live,
}

/// Measures it. `losses` asks a server that has named itself Fathom what it has not delivered.
///
/// # Errors
/// When there is nothing to measure: no sender or no receiver could connect, or it was interrupted before.
pub fn measure(
    world: World<'_>,
    message: Message,
    losses: &dyn Fn() -> Option<RelayLosses>,
    show: &mut dyn FnMut(Phase),
) -> Result<Measured, RunError> {
    let stamped = stamping::decide(world.plan.timestamps)?;
    let message = Arc::new(message);
    let (timetable, shared, stalled) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
    let (over, senders_first) = (AtomicBool::new(false), SendersFirst::of(world.plan.workers()));
    thread::scope(|scope| {
        let (joined_to, joined) = mpsc::channel();
        let (mut starts, mut threads) = (Vec::new(), Vec::new());
        for index in 0..world.plan.workers() {
            let (start, started) = mpsc::channel();
            let (joined_to, message, senders_first) = (joined_to.clone(), &*message, &senders_first);
            let body = move || worker::run(index, world, message, stamped, senders_first, joined_to, started);
            let thread = thread::Builder::new().name(format!("worker-{index}")).spawn_scoped(scope, body);
            threads.push(thread.inspect_err(|_| senders_first.give_up())?);
            starts.push(start);
        }
        drop(joined_to);
        let members = match Members::gather(&joined, world, show) {
            Ok(members) => members,
            Err(error) => {
                starts.clear();
                return join(threads).and(Err(error));
            }
        };
        let losses_before = members.is_fathom.then(losses).flatten();
        let stalled: &Vec<bool> = stalled.get_or_init(|| worker::stalled(world));
        let timetable: &Timetable = timetable.get_or_init(|| members.timetable(world, stalled));
        let shared: &Shared = shared.get_or_init(|| members.shared(world));
        let clock = Clock::starting_at(Instant::now() + START_DELAY);
        let (reached_to, reached) = mpsc::channel();
        let mut first_sender = 0;
        for (start, [senders, _]) in starts.iter().zip(&members.by_worker) {
            let reached = reached_to.clone();
            // One that has failed says so when it is joined.
            let _ = start.send(Start { timetable, shared, stalled, first_sender, clock, reached });
            first_sender += senders.len();
        }
        drop(reached_to);
        let visitors = world.fanout.churn.map(|rate| {
            let (message, times) = (message.clone(), Arc::new(timetable.clone()));
            let invitation = Invitation { message, timetable: times, clock, rate };
            let (over, from) = (&over, clock.instant(timetable.measured_from));
            let body = move || {
                while Instant::now() < from && !over.load(Ordering::Relaxed) {
                    thread::sleep(from.saturating_duration_since(Instant::now()).min(SHOW_EVERY));
                }
                visitors::run(world, &invitation, over)
            };
            thread::Builder::new().name("visitors".to_owned()).spawn_scoped(scope, body)
        });
        let watched = Watch::new(world, timetable, clock, &over).until_done(&reached, show);
        let outcomes = join(threads)?;
        over.store(true, Ordering::Relaxed);
        let visitors = match visitors {
            Some(thread) => Some(thread?.join().expect("the visitors' thread does not panic")?),
            None => None,
        };
        let mut measured = put_together(world, members, stalled, timetable, shared, watched, outcomes, visitors)?;
        measured.relay_losses = losses_before.and_then(|before| losses()?.since(before));
        Ok(measured)
    })
}

fn join<'a>(
    threads: Vec<ScopedJoinHandle<'_, std::io::Result<Option<Outcome<'a>>>>>,
) -> Result<Vec<Outcome<'a>>, RunError> {
    let mut outcomes = Vec::new();
    for thread in threads {
        outcomes.extend(thread.join().expect("a worker does not panic")?);
    }
    Ok(outcomes)
}

#[expect(clippy::too_many_arguments, reason = "all that there is, in one place")]
fn put_together(
    world: World<'_>,
    mut members: Members,
    stalled: &[bool],
    timetable: &Timetable,
    shared: &Shared,
    watched: Watched,
    outcomes: Vec<Outcome<'_>>,
    visitors: Option<Visitors>,
) -> Result<Measured, RunError> {
    let ended = outcomes.iter().map(|outcome| outcome.ended).max().unwrap_or(0);
    let interrupted = world.interrupted.load(Ordering::Relaxed);
    if interrupted && ended <= timetable.measured_from {
        return Err(RunError::Interrupted);
    }
    let stalled_in = members.receivers_in(world, stalled, true);
    let Watched { loadgen, server, withheld, reached_all, everyone, skew } = watched;
    let (mut tally, mut of_stalled, mut undisturbed) = (Tally::new(), Tally::new(), Tally::new());
    let (mut messages, mut arrivals, mut in_window, mut dropped) = (Sent::default(), Arrivals::default(), 0, [0; 3]);
    let (mut send_lag, mut read_lag, mut worker_busy, mut paced) = (histogram(), histogram(), Vec::new(), Vec::new());
    let mut mismatches = visitors.as_ref().map(|visitors| visitors.mismatches.clone()).unwrap_or_default();
    for outcome in outcomes {
        tally += &outcome.ledger.measured;
        of_stalled += &outcome.ledger.of_stalled;
        undisturbed += &outcome.ledger.undisturbed;
        messages += outcome.ledger.sent;
        arrivals += outcome.ledger.arrivals;
        mismatches.merge(outcome.ledger.mismatches);
        in_window += outcome.ledger.in_window;
        add(&mut send_lag, &outcome.ledger.send_lag);
        add(&mut read_lag, &outcome.ledger.read_lag);
        (0..3).for_each(|kind| dropped[kind] += outcome.dropped[kind]);
        failures::merge(&mut members.failures, outcome.failures);
        worker_busy.push(outcome.busy);
        paced.push(outcome.paced);
    }
    tally.deliveries = tally.deliveries.of(shared.deliveries(&timetable.receivers_in, Part::Measured));
    of_stalled.deliveries = of_stalled.deliveries.of(shared.deliveries(&stalled_in, Part::Measured));
    undisturbed.deliveries = undisturbed.deliveries.of(shared.deliveries(&timetable.receivers_in, Part::Undisturbed));
    Ok(Measured {
        interrupted,
        senders: members.connections(0, world.fanout.senders.get(), dropped[0]),
        receivers: members.connections(1, world.fanout.receivers.get(), dropped[1]),
        stalled: (stalled_in.iter().map(|count| u64::from(*count)).sum(), dropped[2]),
        failures: members.failures,
        addresses: members.addresses,
        tls: members.tls,
        is_fathom: members.is_fathom,
        relay_losses: None,
        window: Duration::from_nanos(ended.saturating_sub(timetable.measured_from)),
        messages,
        tally,
        mismatches,
        in_window,
        of_stalled,
        undisturbed: timetable.undisturbed().map(|length| (length, undisturbed)),
        send_lag,
        read_lag,
        arrivals,
        reached_all,
        everyone,
        skew,
        visitors,
        loadgen,
        server,
        withheld,
        worker_busy,
        paced,
    })
}

/// How long after the last member is there the load starts: time for every thread to reach its lane.
const START_DELAY: Duration = Duration::from_millis(20);
