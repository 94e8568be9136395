//! One phase of one worker: a loop over one epoll set that sends what is due, takes what has come, and records the
//! difference. Frames are prebuilt, replies are compared where they lie, and once warm it allocates nothing.

mod ending;
mod expiry;
mod pinging;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, Event, EventData, EventFlags};

use self::expiry::Expiry;
use crate::load::dialogue::observer::Observer as _;
use crate::load::dialogue::pending::Pending;
use crate::load::ledger::{Exchange, Ledger, Outcome, Phases};
use crate::load::lines::{Lines, goodbye};
use crate::load::live::Live;
use crate::load::pacing::{Pacer, Wait};
use crate::measure::arrivals::Arrived;
use crate::measure::clock::Clock;
use crate::measure::wall::Wall;
use crate::plan::messages::Corpus;
use crate::plan::schedule::Schedule;

/// What a lane is given.
#[derive(Debug)]
pub struct Orders<'a> {
    /// The messages to send.
    pub corpus: &'a Corpus,
    /// What keeps them coming; an open loop has the worker's own share of the schedule.
    pub pace: Pace,
    /// How it waits for what is due and for replies.
    pub pacer: &'a mut Pacer,
    /// When Pings are due, and on which connection.
    pub pings: Option<Schedule>,
    /// How long the reply to a datagram is waited for.
    pub udp_timeout: Duration,
    /// When to warm up, measure and stop.
    pub phases: Phases,
    /// The run's clock.
    pub clock: Clock,
    /// Set when the run is to end early.
    pub interrupted: &'a AtomicBool,
    /// Counters for the progress display.
    pub live: &'a Live,
    /// Where full intervals go.
    pub exchange: Exchange,
    /// How many workers of the phase still have a connection.
    pub connected: Arc<AtomicUsize>,
}

/// What keeps a worker's messages coming.
#[derive(Debug)]
pub enum Pace {
    /// Replies: every connection keeps this many messages in flight.
    Closed(usize),
    /// The clock.
    Open(Schedule),
}

struct Lane<'a> {
    corpus: &'a Corpus,
    pace: Pace,
    pacer: &'a mut Pacer,
    clock: Clock,
    /// Where the kernel's stamps lie on it; `None` where they are not asked for.
    wall: Option<Wall>,
    interrupted: &'a AtomicBool,
    live: &'a Live,
    lines: &'a mut Lines,
    /// Messages due or in flight, over all lines.
    outstanding: usize,
    expiry: Expiry,
    ledger: Ledger,
    connected: Arc<AtomicUsize>,
    /// Replies since the progress display was last told.
    untold: u64,
    pings: Option<Schedule>,
    /// When the next Ping is due; `u64::MAX` where none is.
    ping_at: u64,
}

/// Runs the load of `orders` over `lines`, until the phase's end, an interruption, or the loss of the last connection of
/// all workers; what is due from then on is lost, and the phase counts in its full length. Connections that have lost a
/// message, or on which it is open what a wrong message answers, are given up, so that whatever is left can go on with another phase.
///
/// # Errors
/// When the kernel refuses to wait.
pub fn run(orders: Orders<'_>, lines: &mut Lines) -> io::Result<Outcome> {
    let Orders { corpus, pace, pacer, pings, udp_timeout, phases, clock, interrupted, live, exchange, connected } =
        orders;
    let read_ahead = std::mem::take(&mut lines.read_ahead);
    pacer.start(phases.begin, matches!(pace, Pace::Open(_)));
    let mut ledger = Ledger::new(phases, exchange);
    let expiry = Expiry::new(lines, udp_timeout, &mut ledger);
    let mut lane = Lane {
        corpus,
        pace,
        pacer,
        clock,
        wall: None,
        interrupted,
        live,
        lines,
        outstanding: 0,
        expiry,
        ledger,
        connected,
        untold: 0,
        ping_at: pings.as_ref().map_or(u64::MAX, Schedule::next_at),
        pings,
    };
    for (index, bytes) in read_ahead {
        lane.take(index, &bytes, bytes.len());
    }
    lane.run()
}

impl Lane<'_> {
    fn run(mut self) -> io::Result<Outcome> {
        // The clock stands at 0 until all workers can start together.
        thread::sleep(self.clock.instant(0).saturating_duration_since(Instant::now()));
        self.wall = self.lines.stamped.then(|| Wall::new(&self.clock));
        let mut events = Vec::with_capacity(EVENTS);
        let mut now = self.clock.now();
        self.start(now);
        loop {
            // In this order: what ends the run because of lost connections comes after they were counted here.
            let interrupted = self.interrupted.load(Ordering::Acquire);
            if self.lines.alive == 0 && self.ledger.sending() && self.note_that_none_is_left(now) {
                return Ok(self.finish_ahead(now));
            }
            if !self.ledger.turn(now, interrupted) {
                break;
            }
            if now >= self.expiry.next {
                self.expire(now);
                now = self.clock.now();
            }
            self.send_due(&mut now);
            if now >= self.ping_at {
                self.send_pings(&mut now);
            }
            let sent_and_answered = !self.ledger.sending()
                && self.outstanding == 0
                && !self.ledger.awaits_pongs()
                && !self.keep_waiting_for_true_replies();
            // Every message in flight of a closed loop may be lost; then nothing would ever be sent again.
            let stuck = matches!(self.pace, Pace::Closed(_)) && self.ledger.silent();
            if sent_and_answered || stuck {
                break;
            }
            events.clear();
            let (wait, before) = (self.wait(now), now);
            let timeout = wait.timeout(now);
            match epoll::wait(&self.lines.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            now = self.clock.now();
            if events.is_empty() {
                self.pacer.woke(wait, before, now);
            }
            for event in &events {
                let Event { flags, data, .. } = *event;
                self.serve(data.u64() as usize, flags, &mut now);
                // A full lane must not make what is due wait for the whole batch of events.
                self.send_due(&mut now);
            }
            if self.untold > 0 {
                self.live.replies.fetch_add(std::mem::take(&mut self.untold), Ordering::Relaxed);
            }
        }
        Ok(self.finish(now))
    }

    /// Sends the first messages of a closed loop.
    fn start(&mut self, now: u64) {
        if let Pace::Closed(in_flight) = self.pace {
            for index in 0..self.lines.all.len() {
                self.refill(index, in_flight, now);
            }
        }
    }

    /// Sends what an open loop's schedule has due.
    #[inline]
    fn send_due(&mut self, now: &mut u64) {
        // Bounded, since a schedule that is faster than the sends would otherwise never let a reply be read.
        for _ in 0..SENDS {
            let Pace::Open(schedule) = &mut self.pace else { return };
            let Some(due) = schedule.pop(*now) else { return };
            if !self.ledger.enter(due.at) {
                return;
            }
            match &mut self.lines.all[due.connection] {
                Some(line) if line.flight.len() < MAX_BACKLOG => {
                    if self.outstanding == 0 {
                        self.ledger.nothing_in_flight();
                    }
                    line.flight.push(due.at);
                    self.outstanding += 1;
                    if !line.blocked {
                        self.flush(due.connection, *now);
                    }
                }
                Some(_) => self.ledger.refused(due.at),
                None => self.ledger.lost(Pending::new(due.at)),
            }
            *now = self.clock.now();
        }
    }

    /// Makes `count` messages due at `now` on a closed loop's connection, as far as the plan goes on.
    #[inline]
    fn refill(&mut self, index: usize, count: usize, mut now: u64) {
        let Lines { all, per_worker, .. } = &mut *self.lines;
        let Some(line) = &mut all[index] else { return };
        // What a message costs to compress is the generator's time: it is due once that is done.
        if line.dialogue.prepare(&line.flight, self.corpus, per_worker, line.flight.unsent() + count) {
            now = self.clock.now();
        }
        let mut taken = 0;
        while taken < count && self.ledger.enter(now) {
            line.flight.push(now);
            taken += 1;
        }
        self.outstanding += taken;
        if !line.blocked && taken > 0 {
            self.flush(index, now);
        }
    }

    /// Sends all that a connection has to send, or as much as its socket takes.
    #[inline]
    fn flush(&mut self, index: usize, mut now: u64) {
        let Lines { epoll, all, per_worker, .. } = &mut *self.lines;
        let Some(line) = &mut all[index] else { return };
        let corpus = self.corpus;
        let mut full = false;
        loop {
            if line.dialogue.prepare(&line.flight, corpus, per_worker, line.flight.unsent()) {
                now = self.clock.now();
            }
            let bytes = line.dialogue.unsent(&line.flight, corpus);
            let len = bytes.len();
            // Where all has been sent, what TLS has made of it may wait for room.
            let sent = match len {
                0 => line.stream.flush().map(|()| 0),
                _ => line.stream.send(bytes, line.dialogue.segment()),
            };
            match sent {
                Ok(_) if len == 0 => break,
                Ok(sent) => {
                    if let Some(due) = line.flight.next_due() {
                        self.ledger.sends(due, now);
                    }
                    self.ledger.sent(line.dialogue.sent(&mut line.flight, corpus, sent, now), now);
                    full = sent < len;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => full = true,
                Err(error) => return self.drop_line(index, &format!("sending: {error}")),
            }
            if full {
                self.ledger.found_full(now);
                break;
            }
        }
        if full != line.blocked {
            line.blocked = full;
            let interest = if full { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            if let Err(error) = epoll::modify(&*epoll, &line.stream, EventData::new_u64(index as u64), interest) {
                self.drop_line(index, &format!("epoll: {error}"));
            }
        }
    }

    /// Serves one ready connection; `now` is set to the time of its reply.
    #[inline]
    fn serve(&mut self, index: usize, flags: EventFlags, now: &mut u64) {
        if flags.contains(EventFlags::OUT) {
            self.flush(index, *now);
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let Some(line) = &mut self.lines.all[index] else { return };
        let read = match self.wall {
            None => line.stream.read(&mut self.lines.buffer).map(|received| (received, None)),
            Some(_) => line.stream.read_stamped(&mut self.lines.buffer),
        };
        let (received, stamp) = match read {
            Ok((0, _)) if line.stream.has_an_end() => {
                let why = line.dialogue.end_of_stream();
                return self.drop_line(index, why);
            }
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(error) => return self.drop_line(index, &format!("receiving: {error}")),
        };
        let segment = line.stream.segment(received);
        *now = self.clock.now();
        let clock = &self.clock;
        let arrived = self.wall.as_mut().map_or(Arrived::Unstamped, |wall| wall.arrived(clock, stamp, *now));
        self.ledger.received(received, arrived, *now);
        let buffer = std::mem::take(&mut self.lines.buffer);
        let answered = self.take(index, &buffer[..received], segment);
        self.lines.buffer = buffer;
        if let Pace::Closed(_) = self.pace {
            self.refill(index, answered, *now);
        }
    }

    /// Hands received bytes to a connection's dialogue, datagrams of `segment` bytes where there are any; returns the messages
    /// that they answered.
    #[inline]
    fn take(&mut self, index: usize, bytes: &[u8], segment: usize) -> usize {
        let Lines { all, per_worker, .. } = &mut *self.lines;
        let Some(line) = &mut all[index] else { return 0 };
        let before = line.flight.len();
        match line.dialogue.received(&mut line.flight, self.corpus, per_worker, bytes, segment, &mut self.ledger) {
            Ok(()) => {
                let answered = before - line.flight.len();
                self.outstanding -= answered;
                self.untold += answered as u64;
                if line.dialogue.mid_reply() {
                    self.ledger.continues();
                }
                if line.dialogue.owes_control() && !line.blocked {
                    self.flush(index, self.clock.now());
                }
                answered
            }
            Err(gone) => {
                self.outstanding -= before - line.flight.len();
                goodbye(line, gone.close_code());
                self.drop_line(index, &gone.to_string());
                0
            }
        }
    }

    /// All is sent and answered. Returns whether to go on waiting, since wrong messages may turn out to be no replies.
    #[cold]
    fn keep_waiting_for_true_replies(&mut self) -> bool {
        self.ledger.keep_waiting_for_true_replies()
            && self.lines.all.iter().flatten().any(|line| line.dialogue.has_ambiguous())
    }

    /// How to wait for what is due or comes next.
    #[inline]
    fn wait(&mut self, now: u64) -> Wait {
        let longest = self.ledger.next_mark().min(now + LONGEST_SLEEP_NS).min(self.ping_at).min(self.expiry.next);
        let due = match &self.pace {
            Pace::Open(schedule) => Some(schedule.next_at()),
            Pace::Closed(_) => None,
        };
        match () {
            () if !self.ledger.sending() => Wait::Sleep(longest),
            // What is due is lost; there is nothing to be late for.
            () if self.lines.alive == 0 => Wait::Sleep(due.map_or(longest, |due| due.min(longest))),
            () => self.pacer.decide(now, due, longest),
        }
    }
}

/// Readable connections taken from the kernel at a time: enough to save system calls, few enough that the last one's
/// reply has not aged in the generator's own queue before its time is read.
const EVENTS: usize = 64;

/// Due messages sent before replies have their turn again: as many as there are ready connections in one.
const SENDS: usize = EVENTS;

/// Messages that one connection may have due or in flight: 65,536 of them (24 bytes each) are over a second of what one
/// connection can carry, and a bound on what a dead server costs the generator.
const MAX_BACKLOG: usize = 1 << 16;

/// The longest sleep in ns: an interruption is noticed within it.
const LONGEST_SLEEP_NS: u64 = 50_000_000;
