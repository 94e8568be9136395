//! One thread of a fan-out: a loop over one epoll set that sends what its senders have due and takes what has come to its
//! receivers. It is not an echo's lane, whose messages each have a connection of their own and a reply: here a receiver has
//! asked for nothing. Once warm it allocates nothing.

mod sending;

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, Event, EventData, EventFlags};
use wire::CloseCode;

use super::ledger::Ledger;
use super::members::{Member, Role};
use super::message::Message;
use super::timetable::{Part, Timetable, Turns};
use crate::host::resources::thread_cpu;
use crate::load::live::Live;
use crate::load::pacing::Pacer;
use crate::measure::arrivals::{Arrived, Reading};
use crate::measure::clock::{Clock, nanoseconds};
use crate::measure::failures::{self, Failures};
use crate::measure::paced::Paced;
use crate::measure::wall::Wall;

/// What all threads share while they run. Senders are few: only what they do is counted here.
#[derive(Debug)]
pub struct Shared {
    /// Messages sent whole, by part and room.
    pub sent: [Vec<AtomicU64>; 3],
    /// Senders that have a connection.
    pub senders: AtomicUsize,
    /// Receivers that have one.
    pub receivers: AtomicUsize,
    /// Threads that have sent all that was due.
    pub done: AtomicUsize,
}

impl Shared {
    /// What the messages of a part make of deliveries, where each room has so many receivers.
    pub fn deliveries(&self, receivers_in: &[u32], part: Part) -> u64 {
        let rooms = self.sent[part as usize].iter().zip(receivers_in);
        rooms.map(|(sent, receivers)| sent.load(Ordering::Relaxed) * u64::from(*receivers)).sum()
    }
}

/// What a thread runs with.
#[derive(Debug)]
pub struct Lane<'a> {
    pub timetable: &'a Timetable,
    pub message: &'a Message,
    pub shared: &'a Shared,
    /// How many threads there are.
    pub threads: usize,
    pub clock: Clock,
    pub pacer: Pacer,
    pub stamped: bool,
    pub interrupted: &'a AtomicBool,
    pub live: &'a Live,
    pub epoll: OwnedFd,
    /// `None` once a connection is lost.
    pub members: Vec<Option<Member>>,
    /// Where the thread's senders are among them, in the order of their numbers.
    pub senders: Vec<usize>,
    pub turns: Turns,
    pub ledger: Ledger<'a>,
    /// What came right behind the handshakes.
    pub read_ahead: Vec<(usize, Vec<u8>)>,
}

/// What a thread found.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// Its counts.
    pub ledger: Ledger<'a>,
    /// Connections lost: of senders, of receivers, of those that did not read.
    pub dropped: [u64; 3],
    /// Why.
    pub failures: Failures,
    /// The share of the measured part that it was on the CPU.
    pub busy: f64,
    /// How it waited.
    pub paced: Paced,
    /// When its measured part ended, ns.
    pub ended: u64,
}

/// What changes while a lane runs.
struct State {
    frame: Vec<u8>,
    buffer: Box<[u8]>,
    wall: Option<Wall>,
    /// When it stopped sending, ns.
    ended: Option<u64>,
    /// Whether the others know that all is sent.
    told: bool,
    /// When all had come that is expected, ns.
    complete_at: Option<u64>,
    /// Whether those that are to stop reading have.
    stalling: bool,
    dropped: [u64; 3],
    failures: Failures,
    cpu: [Option<Duration>; 2],
    untold: u64,
}

impl<'a> Lane<'a> {
    /// Runs until all is sent and has come, or nothing can come any more.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub fn run(mut self) -> io::Result<Outcome<'a>> {
        let mut state = State {
            frame: self.message.frame(),
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            wall: None,
            ended: None,
            told: false,
            complete_at: None,
            stalling: false,
            dropped: [0; 3],
            failures: Failures::new(),
            cpu: [None; 2],
            untold: 0,
        };
        self.pacer.start(self.timetable.measured_from, true);
        // The clock stands at 0 until all threads can start together.
        thread::sleep(self.clock.instant(0).saturating_duration_since(Instant::now()));
        state.wall = self.stamped.then(|| Wall::new(&self.clock));
        for (index, bytes) in std::mem::take(&mut self.read_ahead) {
            let now = self.clock.now();
            self.take(&mut state, index, &bytes, Arrived::Unstamped, now);
        }
        let mut events = Vec::with_capacity(EVENTS);
        let mut now = self.clock.now();
        while !self.is_over(&mut state, now) {
            self.send_due(&mut state, &mut now);
            self.stall(&mut state, now)?;
            events.clear();
            let before = now;
            let wait = self.pacer.decide(now, self.next_due(&state), self.next_mark(&state, now));
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait.timeout(now))) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            now = self.clock.now();
            if events.is_empty() {
                self.pacer.woke(wait, before, now);
            }
            for event in &events {
                let Event { flags, data, .. } = *event;
                self.serve(&mut state, data.u64() as usize, flags, &mut now);
                // Many receivers must not make what is due wait.
                self.send_due(&mut state, &mut now);
            }
            if state.untold > 0 {
                self.live.replies.fetch_add(std::mem::take(&mut state.untold), Ordering::Relaxed);
            }
        }
        Ok(self.close(state))
    }

    /// Whether there is nothing left to do; notes what has come to an end.
    fn is_over(&mut self, state: &mut State, now: u64) -> bool {
        self.look_at_the_cpu(state, now);
        let nobody =
            self.shared.senders.load(Ordering::Acquire) == 0 || self.shared.receivers.load(Ordering::Acquire) == 0;
        if state.ended.is_none() {
            // Acquire: whoever ends the run has done so before.
            let interrupted = self.interrupted.load(Ordering::Acquire);
            if nobody && !interrupted {
                self.give_up_the_rest();
            }
            let all_due = now >= self.timetable.end && self.next_due(state).is_none();
            if interrupted || nobody || all_due {
                state.ended = Some(now.min(self.timetable.end));
                self.look_at_the_cpu(state, u64::MAX);
            }
        }
        let Some(ended) = state.ended else { return false };
        if !state.told && self.senders.iter().all(|&index| self.has_sent_all(index)) {
            self.shared.done.fetch_add(1, Ordering::AcqRel);
            state.told = true;
        }
        if state.complete_at.is_none() && self.is_complete(state) {
            state.complete_at = Some(now);
        }
        // What is sent twice comes soon after the first.
        nobody
            || now >= ended.saturating_add(self.timetable.drain)
            || state.complete_at.is_some_and(|complete| now >= complete.saturating_add(GRACE_NS))
    }

    fn has_sent_all(&self, index: usize) -> bool {
        match &self.members[index] {
            Some(Member { role: Role::Sender(sender), .. }) => sender.backlog.is_empty() && sender.in_part.is_none(),
            _ => true,
        }
    }

    /// Whether every message that was sent has come to each of this thread's receivers.
    fn is_complete(&self, state: &State) -> bool {
        if self.shared.done.load(Ordering::Acquire) < self.threads {
            return false;
        }
        let sent = |room: usize| self.shared.sent.iter().map(|rooms| rooms[room].load(Ordering::Relaxed)).sum::<u64>();
        let mut expected = [0; 2];
        let receivers = self.members.iter().flatten().filter_map(|member| match member.role {
            Role::Receiver(receiver) => Some(receiver),
            Role::Sender(_) => None,
        });
        receivers.for_each(|receiver| expected[usize::from(receiver.stalls)] += sent(receiver.room as usize));
        // Lost receivers have had some, too: then it is told by the time.
        state.dropped[1..] == [0, 0] && self.ledger.all == expected
    }

    /// What is due from here on is sent by nobody.
    fn give_up_the_rest(&mut self) {
        while let Some(id) = self.turns.next().filter(|id| self.timetable.due(*id) < self.timetable.end) {
            let part = self.timetable.part(self.timetable.due(id));
            self.ledger.sent.due += u64::from(part == Part::Measured);
            self.turns.advance();
        }
    }

    /// When the next message is due.
    #[inline]
    fn next_due(&self, state: &State) -> Option<u64> {
        let due = self.turns.next().map(|id| self.timetable.due(id));
        due.filter(|due| *due < self.timetable.end && state.ended.is_none())
    }

    /// Until when it sleeps at the most, whatever is due.
    fn next_mark(&self, state: &State, now: u64) -> u64 {
        let Timetable { measured_from, end, .. } = *self.timetable;
        let grace = state.complete_at.map(|complete| complete + GRACE_NS);
        let marks = [Some(measured_from), Some(end), grace].into_iter().flatten().filter(|mark| *mark > now);
        marks.fold(now + if state.ended.is_some() { POLL_NS } else { LONGEST_SLEEP_NS }, u64::min)
    }

    fn look_at_the_cpu(&self, state: &mut State, now: u64) {
        let [begin, end] = &mut state.cpu;
        if begin.is_none() && now >= self.timetable.measured_from {
            *begin = Some(thread_cpu());
        }
        if end.is_none() && now >= self.timetable.end {
            *end = Some(thread_cpu());
        }
    }

    /// Serves one ready connection.
    #[inline]
    fn serve(&mut self, state: &mut State, index: usize, flags: EventFlags, now: &mut u64) {
        if flags.contains(EventFlags::OUT) {
            self.flush(state, index);
        }
        let Some(member) = &mut self.members[index] else { return };
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let read = match state.wall {
            None => member.stream.read(&mut state.buffer).map(|received| (received, None)),
            Some(_) => member.stream.read_stamped(&mut state.buffer),
        };
        let (received, stamp) = match read {
            Ok((0, _)) => return self.lose(state, index, "closed by the server without a Close frame"),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(error) => return self.lose(state, index, &format!("receiving: {error}")),
        };
        *now = self.clock.now();
        let clock = &self.clock;
        let arrived = state.wall.as_mut().map_or(Arrived::Unstamped, |wall| wall.arrived(clock, stamp, *now));
        let buffer = std::mem::take(&mut state.buffer);
        self.take(state, index, &buffer[..received], arrived, *now);
        state.buffer = buffer;
    }

    /// Takes what one read has brought.
    #[inline]
    fn take(&mut self, state: &mut State, index: usize, bytes: &[u8], arrived: Arrived, read: u64) {
        let Some(member) = &mut self.members[index] else { return };
        let before = self.ledger.all;
        let taken = member.take(bytes, self.message, &mut self.ledger, Reading::new(arrived), read);
        state.untold += self.ledger.all[0] - before[0];
        match taken {
            Ok(()) if !member.unsent.is_empty() && !member.blocked => self.flush(state, index),
            Ok(()) => {}
            Err(gone) => {
                member.goodbye(gone.close_code());
                self.lose(state, index, &gone.to_string());
            }
        }
    }

    /// Has those that are to do so stop reading for the measured part, and read again after it.
    fn stall(&mut self, state: &mut State, now: u64) -> io::Result<()> {
        let stalls = state.ended.is_none() && now >= self.timetable.measured_from;
        if stalls == state.stalling {
            return Ok(());
        }
        state.stalling = stalls;
        for (index, member) in self.members.iter().enumerate() {
            let Some(Member { role: Role::Receiver(receiver), stream, .. }) = member else { continue };
            if !receiver.stalls {
                continue;
            }
            if stalls {
                epoll::delete(&self.epoll, stream)?;
            } else {
                epoll::add(&self.epoll, stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            }
        }
        Ok(())
    }

    #[cold]
    fn lose(&mut self, state: &mut State, index: usize, why: &str) {
        let Some(mut member) = self.members[index].take() else { return };
        // What TLS has to say last.
        member.stream.write_last(&[]);
        let kind = match member.role {
            Role::Sender(_) => {
                self.shared.senders.fetch_sub(1, Ordering::AcqRel);
                0
            }
            Role::Receiver(receiver) => {
                self.shared.receivers.fetch_sub(1, Ordering::AcqRel);
                1 + usize::from(receiver.stalls)
            }
        };
        state.dropped[kind] += 1;
        failures::add(&mut state.failures, why, 1);
    }

    fn close(mut self, state: State) -> Outcome<'a> {
        self.ledger.close();
        self.members.iter_mut().flatten().for_each(|member| member.goodbye(Some(CloseCode::NORMAL)));
        let ended = state.ended.unwrap_or(self.timetable.end);
        let window = ended.saturating_sub(self.timetable.measured_from);
        let busy = match state.cpu {
            [Some(begin), Some(end)] if window > 0 => nanoseconds(end - begin) as f64 / window as f64,
            _ => 0.0,
        };
        self.ledger.sent.unsent = self.ledger.sent.due - self.ledger.sent.sent;
        let State { dropped, failures, .. } = state;
        Outcome { ledger: self.ledger, dropped, failures, busy: busy.min(1.0), paced: self.pacer.paced(window), ended }
    }
}

/// Readable connections taken from the kernel at a time: enough to save system calls, few enough that the last one's
/// deliveries have not aged in the generator's own queue.
const EVENTS: usize = 64;

/// The receive buffer in bytes: one read takes all that a socket holds.
const RECEIVE_BYTES: usize = 512 << 10;

/// The longest sleep in ns: an interruption is noticed within it.
const LONGEST_SLEEP_NS: u64 = 50_000_000;

/// The longest sleep in ns once all is sent: how soon it is noticed that the other threads have sent all.
const POLL_NS: u64 = 10_000_000;

/// How long something more may come after all has come that was expected, ns.
const GRACE_NS: u64 = 100_000_000;
