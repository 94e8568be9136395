//! The members that have connected, over all threads, and what follows from who is there: the run's timetable.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};

use super::World;
use super::lane::Shared;
use super::timetable::Timetable;
use super::worker::Joined;
use crate::load::error::RunError;
use crate::load::live::{Phase, SHOW_EVERY};
use crate::measure::clock::nanoseconds;
use crate::measure::counts::Connections;
use crate::measure::failures::{self, Failures};
use crate::measure::tls::Secured;
use crate::plan::{Plan, Stop};

/// Who is there.
pub(super) struct Members {
    /// By thread, the numbers of senders and of receivers.
    pub(super) by_worker: Vec<[Vec<u32>; 2]>,
    pub(super) failures: Failures,
    pub(super) addresses: BTreeMap<SocketAddr, u64>,
    pub(super) tls: Secured,
    pub(super) is_fathom: bool,
}

impl Members {
    pub(super) fn gather(
        joined: &mpsc::Receiver<Joined>,
        world: World<'_>,
        show: &mut dyn FnMut(Phase),
    ) -> Result<Self, RunError> {
        let mut members = Self {
            by_worker: vec![Default::default(); world.plan.workers()],
            failures: Failures::new(),
            addresses: BTreeMap::new(),
            tls: Secured::default(),
            is_fathom: false,
        };
        loop {
            match joined.recv_timeout(SHOW_EVERY) {
                Ok(Joined { worker, numbers, failures, addresses, tls, is_fathom }) => {
                    members.tls += tls;
                    members.by_worker[worker] = numbers;
                    failures::merge(&mut members.failures, failures);
                    addresses.into_iter().for_each(|(address, n)| *members.addresses.entry(address).or_default() += n);
                    members.is_fathom |= is_fathom;
                }
                Err(RecvTimeoutError::Timeout) => show(Phase::Connecting),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if world.interrupted.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let asked = [world.fanout.senders, world.fanout.receivers];
        for (of, requested) in asked.into_iter().enumerate() {
            if members.of(of).next().is_none() {
                let most = members.failures.iter().max_by_key(|(_, times)| **times);
                let why = most.map_or_else(|| "no attempt was made".to_owned(), |(why, _)| why.clone());
                let url = world.urls[0].clone();
                return Err(RunError::NoConnection { requested: requested.get(), url, why });
            }
        }
        Ok(members)
    }

    /// The numbers of all senders (0) or receivers (1).
    pub(super) fn of(&self, kind: usize) -> impl Iterator<Item = u32> {
        self.by_worker.iter().flat_map(move |numbers| numbers[kind].iter().copied())
    }

    pub(super) fn connections(&self, kind: usize, requested: u32, dropped: u64) -> Connections {
        let (requested, established) = (u64::from(requested), self.of(kind).count() as u64);
        Connections { requested, established, failed: requested - established, dropped }
    }

    /// In each room, the receivers that are among the stalled, or those that are not.
    pub(super) fn receivers_in(&self, world: World<'_>, stalled: &[bool], which: bool) -> Vec<u32> {
        let (senders, rooms) = (world.fanout.senders.get(), world.fanout.rooms.get());
        let mut receivers_in = vec![0; rooms as usize];
        let receivers = self.of(1).filter(|number| stalled[(number - senders) as usize] == which);
        receivers.for_each(|number| receivers_in[(number % rooms) as usize] += 1);
        receivers_in
    }

    pub(super) fn timetable(&self, world: World<'_>, stalled: &[bool]) -> Timetable {
        let Plan { warmup, stop, drain_timeout, .. } = world.plan;
        let rate = world.plan.offered_rate().expect("a fan-out is an open loop");
        let Stop::After(duration) = *stop else { unreachable!("a fan-out lasts for a time") };
        let rooms = world.fanout.rooms.get();
        let room_of: Vec<u32> = self.of(0).map(|number| number % rooms).collect();
        let (place_of, senders_in) = Timetable::places(rooms as usize, &room_of);
        let receivers_in = self.receivers_in(world, stalled, false);
        let disturbed = world.fanout.churn.is_some() || world.fanout.stall.is_some();
        let undisturbed_from = nanoseconds(*warmup);
        let measured_from = undisturbed_from + if disturbed { nanoseconds(duration) } else { 0 };
        Timetable {
            gap_ns: 1e9 / rate,
            burst: world.fanout.burst.get().into(),
            undisturbed_from,
            measured_from,
            end: measured_from + nanoseconds(duration),
            drain: nanoseconds(*drain_timeout),
            room_of,
            place_of,
            senders_in,
            receivers_in,
        }
    }

    pub(super) fn shared(&self, world: World<'_>) -> Shared {
        let rooms = || (0..world.fanout.rooms.get()).map(|_| AtomicU64::new(0)).collect();
        Shared {
            sent: [rooms(), rooms(), rooms()],
            senders: AtomicUsize::new(self.of(0).count()),
            receivers: AtomicUsize::new(self.of(1).count()),
            done: AtomicUsize::new(0),
        }
    }
}
