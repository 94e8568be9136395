//! Members that join a room, stay for a while and leave, on a thread of their own. What they get is followed from the first
//! message of each sender to the last: when exactly the server counts a member in or out is its own affair.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wire::{CloseCode, OpCode};

use super::World;
use super::frames::{Frames, Sink};
use super::incoming::{Came, Incoming};
use super::ledger::enter;
use super::members::push_close;
use super::message::Message;
use super::order::{Order, Place};
use super::timetable::Timetable;
use crate::host::addresses::Addresses;
use crate::load::churning::MOST_AT_ONCE;
use crate::load::connect::{self, Stream};
use crate::load::dialogue::Gone;
use crate::measure::clock::{Clock, nanoseconds};
use crate::measure::delivery_mismatch::{DeliveryMismatchKind, DeliveryMismatches};
use crate::measure::failures::{self, Failures};
use crate::measure::fanout::{Deliveries, Visitors};
use crate::measure::histogram::histogram;
use crate::measure::tls::Secured;
use crate::plan::messages::push_frame;
use crate::plan::url::Url;
use crate::plan::{Connect, Rate};

/// What all of them are given.
#[derive(Debug)]
pub struct Invitation {
    /// What is sent.
    pub message: Arc<Message>,
    /// By whom and when.
    pub timetable: Arc<Timetable>,
    /// Stands at 0 when the senders start.
    pub clock: Clock,
    /// How many join in a second.
    pub rate: Rate,
}

/// Has members come and go until `ended` is set, and waits for those that are there.
///
/// # Errors
/// When the kernel refuses a runtime (an epoll set).
pub fn run(world: World<'_>, invitation: &Invitation, ended: &AtomicBool) -> io::Result<Visitors> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(LocalSet::new().block_on(&runtime, come_and_go(world, invitation, ended)))
}

async fn come_and_go(world: World<'_>, invitation: &Invitation, ended: &AtomicBool) -> Visitors {
    let mut visitors = Visitors {
        joined: 0,
        failed: 0,
        skipped: 0,
        dropped: 0,
        failures: Failures::new(),
        handshake: histogram(),
        tls: Secured::default(),
        deliveries: Deliveries::default(),
        mismatches: DeliveryMismatches::default(),
    };
    let (urls, how) = (Rc::new(world.urls.to_vec()), Rc::new(world.plan.connect.clone()));
    let mut visits = JoinSet::new();
    let (began, mut next) = (Instant::now(), 0u64);
    loop {
        let over = ended.load(Ordering::Relaxed);
        if over && visits.is_empty() {
            return visitors;
        }
        let due = began + Duration::from_secs_f64(next as f64 / invitation.rate.get());
        if !over && Instant::now() >= due {
            if visits.len() < MOST_AT_ONCE {
                let visit = Visit {
                    urls: urls.clone(),
                    how: how.clone(),
                    addresses: world.addresses.clone(),
                    number: next as usize,
                    message: invitation.message.clone(),
                    timetable: invitation.timetable.clone(),
                    clock: invitation.clock,
                };
                visits.spawn_local(visit.make());
            } else {
                visitors.skipped += 1;
            }
            next += 1;
            continue;
        }
        let wake = if over { Instant::now() + POLL } else { due.min(Instant::now() + POLL) };
        tokio::select! {
            Some(visit) = visits.join_next() => visitors.count(visit.expect("a visit does not panic and is not aborted")),
            () = sleep_until(wake) => {}
        }
    }
}

impl Visitors {
    fn count(&mut self, visit: Result<Visited, String>) {
        let why = match visit {
            Ok(Visited { took, tls, deliveries, mismatches, dropped }) => {
                self.joined += 1;
                self.handshake.saturating_record(nanoseconds(took));
                self.tls += tls;
                self.deliveries += deliveries;
                self.mismatches.merge(mismatches);
                self.dropped += u64::from(dropped.is_some());
                dropped
            }
            Err(why) => {
                self.failed += 1;
                Some(why)
            }
        };
        if let Some(why) = why {
            failures::add(&mut self.failures, &why, 1);
        }
    }
}

/// One that is to join, stay and leave.
struct Visit {
    urls: Rc<Vec<Url>>,
    how: Rc<Connect>,
    addresses: Addresses,
    number: usize,
    message: Arc<Message>,
    timetable: Arc<Timetable>,
    clock: Clock,
}

/// One that has.
struct Visited {
    took: Duration,
    tls: Secured,
    deliveries: Deliveries,
    mismatches: DeliveryMismatches,
    /// Why the server dropped it before it left.
    dropped: Option<String>,
}

impl Visit {
    async fn make(self) -> Result<Visited, String> {
        let room = self.number % self.urls.len();
        let opened = connect::open(&self.urls[room], &self.addresses, self.number, &self.how).await;
        let (connection, took) = opened.map_err(|error| error.to_string())?;
        let mut tls = Secured::default();
        connection.enter_tls(took, &mut tls);
        let mut stream = Stream::of(connection.stream).map_err(|error| error.to_string())?;
        let leaves = Instant::now() + STAY;
        let mut following = Following {
            incoming: Incoming::default(),
            message: &self.message,
            timetable: &self.timetable,
            room: room as u32,
            senders: vec![None; self.timetable.senders_in[room] as usize],
            deliveries: Deliveries::default(),
            mismatches: DeliveryMismatches::default(),
            pongs: Vec::new(),
            read: self.clock.now(),
        };
        let (mut frames, mut buffer) = (Frames::new(), vec![0; BUFFER_BYTES]);
        let mut last = Vec::new();
        let mut say = |gone: Gone| {
            push_close(&mut last, gone.close_code());
            gone.to_string()
        };
        let mut taken = frames.take(&connection.read_ahead, &mut following).map_err(&mut say);
        while taken.is_ok() {
            if !following.pongs.is_empty() {
                // A server that takes no more is noticed when it sends no more.
                let _ = timeout(Duration::ZERO, stream.write(&std::mem::take(&mut following.pongs))).await;
            }
            let read = timeout_at(leaves, stream.read(&mut buffer)).await;
            following.read = self.clock.now();
            taken = match read {
                Err(_) => break,
                Ok(Ok(0)) => Err("closed by the server without a Close frame".to_owned()),
                Ok(Ok(len)) => frames.take(&buffer[..len], &mut following).map_err(&mut say),
                Ok(Err(error)) => Err(format!("receiving: {error}")),
            };
        }
        if taken.is_ok() {
            push_close(&mut last, Some(CloseCode::NORMAL));
        }
        let farewell = async {
            stream.write_all(&last).await?;
            // It ends TLS, too, where that is spoken.
            stream.shutdown().await
        };
        let _ = timeout(LAST_WORDS, farewell).await;
        let (deliveries, mismatches) = (following.counted(), following.mismatches);
        Ok(Visited { took: took.all(), tls, deliveries, mismatches, dropped: taken.err() })
    }
}

/// What comes to a visitor.
struct Following<'v> {
    incoming: Incoming,
    message: &'v Message,
    timetable: &'v Timetable,
    room: u32,
    /// By the sender's number in the room: the first message that came, the last, and the order of those since.
    senders: Vec<Option<(u64, u64, Order)>>,
    deliveries: Deliveries,
    mismatches: DeliveryMismatches,
    pongs: Vec<u8>,
    /// When it last read, ns.
    read: u64,
}

impl Following<'_> {
    /// Counts a message; what is wrong with it.
    fn came(&mut self, id: u64, altered: Option<DeliveryMismatchKind>) -> Option<DeliveryMismatchKind> {
        if !self.timetable.is_sent(id, self.read) {
            self.deliveries.unexpected += 1;
            return Some(DeliveryMismatchKind::OtherNumber);
        }
        let (sender, number) = self.timetable.sender(id);
        if self.timetable.room_of[sender] != self.room {
            self.deliveries.unexpected += 1;
            return Some(DeliveryMismatchKind::OtherRoom);
        }
        let known = &mut self.senders[self.timetable.place_of[sender] as usize];
        let (first, last, order) = known.get_or_insert((number, number, Order::default()));
        // What comes before its first is late, and nothing that was to come to it.
        let place = if number < *first { Place::TooLate } else { order.take(number - *first) };
        *last = number.max(*last);
        enter(&mut self.deliveries, place, altered)
    }

    fn counted(&self) -> Deliveries {
        let expected = self.senders.iter().flatten().map(|(first, last, _)| last - first + 1).sum();
        self.deliveries.of(expected)
    }
}

impl Sink for Following<'_> {
    fn payload(&mut self, piece: &[u8]) {
        self.incoming.take(piece, self.message);
    }

    fn message(&mut self, opcode: OpCode) {
        // Greetings and histories are what those who join may get.
        if let Came::Number { id, altered } = self.incoming.finish(opcode, self.message)
            && let Some(kind) = self.came(id, altered)
        {
            self.mismatches.count(kind, || self.incoming.example(kind, opcode, self.message));
        }
        self.incoming.clear();
    }

    fn ping(&mut self, payload: &[u8]) {
        if self.pongs.len() < BUFFER_BYTES {
            push_frame(&mut self.pongs, OpCode::Pong, false, Some(rand::random()), payload);
        }
    }
}

/// How long a visitor stays.
const STAY: Duration = Duration::from_secs(1);

/// How long a server may take to have room for a visitor's last words: it has, unless it has long stopped reading.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What a visitor reads at once, in bytes.
const BUFFER_BYTES: usize = 16 << 10;

/// How often the end is looked for.
const POLL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Kind, Message as Wanted, Payload, Sizes};

    #[test]
    fn what_is_missing_lies_between_the_first_and_the_last_of_a_sender() {
        let wanted = Wanted { kind: Kind::Binary, payload: Payload::Random, size: Sizes::exactly(64) };
        let message = Message::new(&wanted, None, 1_000, 1).unwrap();
        let timetable = Timetable {
            gap_ns: 1.0,
            burst: 1,
            undisturbed_from: 0,
            measured_from: 0,
            end: 1_000,
            drain: 0,
            room_of: vec![0, 1, 0],
            place_of: vec![0, 0, 1],
            senders_in: vec![2, 1],
            receivers_in: vec![1, 1],
        };
        let mut following = Following {
            incoming: Incoming::default(),
            message: &message,
            timetable: &timetable,
            room: 0,
            senders: vec![None; 2],
            deliveries: Deliveries::default(),
            mismatches: DeliveryMismatches::default(),
            pongs: Vec::new(),
            read: 100,
        };
        // Of sender 0 the messages 10, 11, 13, 13, 9; of sender 1, who is elsewhere, one; of sender 2 one.
        use DeliveryMismatchKind::{Content, OtherNumber, OtherRoom};
        let wrong = [30, 33, 39, 39, 27, 31, 32].map(|id| following.came(id, (id % 10 == 9).then_some(Content)));
        // What comes again is not altered once more.
        assert_eq!(wrong, [None, None, Some(Content), None, None, Some(OtherRoom), None]);
        // Not due yet, and not before the end: neither is what a sender's last message is told by.
        assert_eq!(following.came(102, None), Some(OtherNumber));
        following.read = 9_000;
        assert_eq!(following.came(1_002, None), Some(OtherNumber));
        let Deliveries { expected, received, lost, duplicated, out_of_order, unexpected, .. } = following.counted();
        assert_eq!((expected, received, lost), (5, 4, 1));
        assert_eq!((duplicated, out_of_order, unexpected), (1, 1, 3));
    }
}
