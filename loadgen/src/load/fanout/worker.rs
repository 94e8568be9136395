//! The life of one thread of a fan-out: it opens its share of the members, says which are there, waits for the common start, and
//! runs its lane.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::thread::set_current_timer_slack;

use super::World;
use super::awaited::Reached;
use super::lane::{Lane, Outcome, Shared};
use super::ledger::{Ledger, Receiver};
use super::members::{Member, Role, Sender};
use super::message::Message;
use super::senders_first::SendersFirst;
use super::timetable::{Timetable, Turns};
use crate::host::addresses::is_of_this_machine;
use crate::host::cores::Cores;
use crate::host::tls::Settled;
use crate::load::connect::Connection;
use crate::load::opening::{self, Share};
use crate::load::pacing::{Pacer, Room};
use crate::measure::clock::Clock;
use crate::measure::failures::{self, Failures};
use crate::measure::histogram;
use crate::measure::tls::Secured;

/// What a thread says once its members are there.
#[derive(Debug)]
pub struct Joined {
    /// The thread.
    pub worker: usize,
    /// The numbers of its members that are there: of senders, of receivers.
    pub numbers: [Vec<u32>; 2],
    /// Why others are not, and how often.
    pub failures: Failures,
    /// The server's addresses, and how many of them each took.
    pub addresses: BTreeMap<SocketAddr, u64>,
    /// What TLS has settled with them.
    pub tls: Secured,
    /// Whether the server has named itself as Fathom.
    pub is_fathom: bool,
}

/// The common start.
#[derive(Debug)]
pub struct Start<'a> {
    /// The run in figures.
    pub timetable: &'a Timetable,
    /// What the threads share.
    pub shared: &'a Shared,
    /// Which receivers are to stop reading, by number.
    pub stalled: &'a [bool],
    /// The number of this thread's first sender among those that are there.
    pub first_sender: usize,
    /// Stands at 0 when all start.
    pub clock: Clock,
    /// Where what became of messages goes.
    pub reached: mpsc::Sender<Vec<Reached>>,
}

/// Runs thread number `worker`. Without a start it closes what it has opened.
///
/// # Errors
/// When the kernel refuses an epoll set, or what is asked of a socket.
pub fn run<'a>(
    worker: usize,
    world: World<'a>,
    message: &'a Message,
    stamped: bool,
    senders_first: &SendersFirst,
    joined: mpsc::Sender<Joined>,
    start: mpsc::Receiver<Start<'a>>,
) -> io::Result<Option<Outcome<'a>>> {
    let room = room(world);
    if let Some(cores) = world.cores {
        cores.for_worker(worker).pin();
    }
    // A timeout in ns is worth little while the kernel may round it up by 50 us, its default for a thread.
    let timer_slack_refused = set_current_timer_slack(NonZeroU64::new(1)).is_err();
    let pacer = Pacer::new(world.plan, room, timer_slack_refused);
    let (members, report) = join(worker, world, senders_first)?;
    // Nobody listens only when the run is being given up; then there is no start either.
    let _ = joined.send(report);
    drop(joined);
    let Ok(start) = start.recv() else { return Ok(None) };
    let Start { timetable, shared, stalled, first_sender, clock, reached } = start;
    let seats = Seats::assign(members, world, timetable, stalled, first_sender, stamped)?;
    let receivers = seats.members.iter().flatten().filter_map(|member| match member.role {
        Role::Receiver(receiver) => Some(receiver),
        Role::Sender(_) => None,
    });
    let ledger = Ledger::new(timetable, receivers, seats.orders, reached);
    let turns = Turns::new(first_sender, seats.senders.len(), timetable.room_of.len());
    let Seats { epoll, members, senders, read_ahead, .. } = seats;
    let lane = Lane {
        timetable,
        message,
        shared,
        threads: world.plan.workers(),
        clock,
        pacer,
        stamped,
        interrupted: world.interrupted,
        live: world.live,
        epoll,
        members,
        senders,
        turns,
        ledger,
        read_ahead,
    };
    lane.run().map(Some)
}

/// The members of a thread, each with what it is there for.
struct Seats {
    epoll: std::os::fd::OwnedFd,
    members: Vec<Option<Member>>,
    senders: Vec<usize>,
    orders: usize,
    read_ahead: Vec<(usize, Vec<u8>)>,
}

impl Seats {
    fn assign(
        members: [Vec<(u32, Connection)>; 2],
        world: World<'_>,
        timetable: &Timetable,
        stalled: &[bool],
        first_sender: usize,
        stamped: bool,
    ) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (mut all, mut read_ahead, mut orders) = (Vec::new(), Vec::new(), 0);
        let [senders, receivers] = members;
        let count = senders.len();
        let sending = senders.into_iter().zip(first_sender as u32..).map(|((_, connection), number)| {
            let sender = Sender { number, backlog: Default::default(), in_part: None };
            (connection, Role::Sender(sender))
        });
        let receiving = receivers.into_iter().map(|(number, connection)| {
            let room = number % world.fanout.rooms.get();
            let stalls = stalled[(number - world.fanout.senders.get()) as usize];
            let receiver = Receiver { room, orders, stalls };
            orders += timetable.senders_in[room as usize] as usize;
            (connection, Role::Receiver(receiver))
        });
        for (index, (connection, role)) in sending.chain(receiving).enumerate() {
            let (member, ahead) = Member::new(connection, role, stamped)?;
            epoll::add(&epoll, &member.stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            all.push(Some(member));
            if !ahead.is_empty() {
                read_ahead.push((index, ahead));
            }
        }
        Ok(Self { epoll, members: all, senders: (0..count).collect(), orders, read_ahead })
    }
}

/// Opens a thread's share of the senders, and then of the receivers, each in the order of their numbers.
#[expect(clippy::type_complexity, reason = "numbered connections, of senders and of receivers")]
fn join(
    worker: usize,
    world: World<'_>,
    senders_first: &SendersFirst,
) -> io::Result<([Vec<(u32, Connection)>; 2], Joined)> {
    let (senders, receivers) = (world.fanout.senders.get(), world.fanout.receivers.get());
    let (mut failures, mut tls) = (Failures::new(), Secured::default());
    let stalled = (senders..).zip(stalled(world)).filter_map(|(number, stalls)| stalls.then_some(number as usize));
    let addresses = world.addresses.with_small_buffers(stalled);
    let mut open = |before: u32, all: u32| -> io::Result<Vec<(u32, Connection)>> {
        let (first, connections) = part(worker as u32, world.plan.workers() as u32, all);
        if world.interrupted.load(Ordering::Relaxed) || connections == 0 {
            return Ok(Vec::new());
        }
        let rate = world.plan.connect.rate;
        let share = Share {
            urls: world.urls,
            addresses: &addresses,
            how: &world.plan.connect,
            connections,
            first: before + first,
            rate: rate.map(|rate| rate.get() * f64::from(connections) / f64::from(all)),
            jitter: None,
            retry: None,
            at_once: opening::AT_ONCE,
        };
        let opened = opening::open_all(&share, None, world.interrupted, world.live)?;
        failures::merge(&mut failures, opened.failures);
        histogram::add(&mut tls.took, &opened.tls);
        let mut members: Vec<_> = opened.numbers.into_iter().zip(opened.connections).collect();
        members.sort_unstable_by_key(|(number, _)| *number);
        Ok(members)
    };
    let sending = open(0, senders);
    let any = senders_first.tried(sending.as_ref().is_ok_and(|sending| !sending.is_empty()));
    let members = [sending?, if any { open(senders, receivers)? } else { Vec::new() }];
    let mut addresses = BTreeMap::new();
    for (_, connection) in members.iter().flatten() {
        *addresses.entry(connection.address).or_default() += 1;
        if let Some(Settled { version, cipher_suite, resumed }) = connection.tls {
            tls.add(version, cipher_suite, resumed);
        }
    }
    let is_fathom = members.iter().flatten().any(|(_, connection)| connection.is_fathom);
    let numbers = members.each_ref().map(|members| members.iter().map(|(number, _)| *number).collect());
    Ok((members, Joined { worker, numbers, failures, addresses, tls, is_fathom }))
}

/// The first of a worker's part of `all`, and how many there are.
fn part(worker: u32, workers: u32, all: u32) -> (u32, u32) {
    let at = |worker: u32| (u64::from(all) * u64::from(worker) / u64::from(workers)) as u32;
    (at(worker), at(worker + 1) - at(worker))
}

/// What there is for the threads to spin on; asked before one is pinned to a core.
fn room(world: World<'_>) -> Room {
    let machine = Cores::allowed();
    Room {
        allowed: machine.count(),
        usable: machine.usable(),
        kept: world.cores.map(Cores::count),
        server_here: world.addresses.in_use().iter().any(|address| is_of_this_machine(address.ip())),
    }
}

/// Which receivers stop reading.
pub fn stalled(world: World<'_>) -> Vec<bool> {
    let receivers = world.fanout.receivers.get();
    draw(world.fanout.stall.map_or(0, |stall| stall.of(receivers)), receivers, world.plan.seed)
}

/// Draws as many as are to stop reading.
fn draw(stalled: u32, receivers: u32, seed: u64) -> Vec<bool> {
    use rand::SeedableRng as _;
    let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
    let drawn = rand::seq::index::sample(&mut rng, receivers as usize, stalled as usize);
    let mut stalls = vec![false; receivers as usize];
    drawn.into_iter().for_each(|number| stalls[number] = true);
    stalls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_of_one_worker() {
        let parts: Vec<_> = (0..3).map(|worker| part(worker, 3, 10)).collect();
        assert_eq!(parts, [(0, 3), (3, 3), (6, 4)]);
        assert_eq!((part(0, 3, 1), part(2, 3, 1)), ((0, 0), (0, 1)));
    }

    #[test]
    fn as_many_are_drawn_as_are_to_stop_reading() {
        let count = |stalls: Vec<bool>| stalls.into_iter().filter(|stalls| *stalls).count();
        assert_eq!([0, 10, 1_000].map(|stalled| count(draw(stalled, 1_000, 1))), [0, 10, 1_000]);
        assert!(draw(10, 1_000, 1) == draw(10, 1_000, 1) && draw(10, 1_000, 1) != draw(10, 1_000, 2));
    }
}
