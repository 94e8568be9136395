//! One connection on the lane: read, echoed where the bytes lie, written.
//!
//! Almost always whole frames come in one read into the worker's buffer, their replies leave it in one write, and the
//! connection holds nothing. The beginning of a frame, and replies that the socket does not take, are held for the
//! next turn; a large frame is gathered, echoed and sent in a buffer of its own, so that no byte of it moves twice.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use rustix::event::epoll::EventFlags;
use wire::{End, Violation};

use super::batch::Batch;
use super::echo::{BYTES_PER_NS, Echo, Exchanged, Left};
use super::gathered;
use super::spares::Spares;
use crate::budget::{Charge, Share};
use crate::config::Config;
use crate::worker::Admission;
use crate::{connection, deflate};

/// What the lines of one worker share while they are served: its one buffer, and how what lies in it is echoed.
pub(super) struct Desk {
    buffer: Box<[u8]>,
    read_at_most: usize,
    echo: Echo,
    spares: Spares,
    share: Arc<Share>,
    /// What the line that is being served held before, while it is not known what it will hold.
    charge: Option<Charge>,
    /// The sockets to be served.
    pub(super) batch: Batch,
}

impl Desk {
    pub(super) fn new(config: &Config, share: Arc<Share>) -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            read_at_most: config.echo.read_buffer.unwrap_or(BUFFER).min(BUFFER - GATHERED),
            echo: Echo::new(config, Arc::clone(&share)),
            spares: Spares::default(),
            share,
            charge: None,
            batch: Batch::new(),
        }
    }

    /// Gives up the buffers that were not needed lately; true if it is to be called again to see to that.
    pub(super) fn tidy(&mut self) -> bool {
        self.spares.tidy()
    }

    /// Whether others have waited long enough by now; then a new turn begins.
    pub(super) fn ends_turn(&mut self) -> bool {
        let ends = self.echo.spent > TURN_NS;
        if ends {
            self.echo.spent = 0;
        }
        ends
    }
}

/// A connection on the lane.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    admission: Admission,
    codec: deflate::Connection,
    held: Option<Box<Kept>>,
}

/// What a line holds between two turns, counted.
#[derive(Debug)]
struct Kept {
    held: Held,
    charge: Charge,
}

/// What a line holds between two turns.
#[derive(Debug)]
enum Held {
    /// The beginning of a frame.
    Begun(Vec<u8>),
    /// Replies of which the first `sent` bytes are gone, and what was read `behind` them; the socket is not read.
    Unsent { replies: Vec<u8>, sent: usize, behind: Vec<u8> },
}

impl Held {
    /// Bytes of memory.
    fn bytes(&self) -> usize {
        KEPT_BYTES
            + match self {
                Self::Begun(frame) => frame.capacity(),
                Self::Unsent { replies, behind, .. } => replies.capacity() + behind.capacity(),
            }
    }
}

/// What became of a line that was served.
pub(super) enum Served {
    /// It waits for what it waited for before.
    Waits,
    /// From now on it waits for this.
    Turns(EventFlags),
    /// It leaves the lane.
    Leaves(Parting),
    /// It is over.
    Ends,
}

/// How a line leaves the lane alive.
pub(super) enum Parting {
    /// For a protocol task to go on with these bytes.
    Detour(Bytes),
    /// To be closed because of this.
    Refusal(Violation),
    /// To be closed because the worker drains.
    Drain,
    /// To be closed because it holds most, and others are to be served.
    Eviction,
}

impl Line {
    /// A connection that stands between two messages with nothing buffered.
    pub(super) fn new(stream: TcpStream, admission: Admission, codec: deflate::Connection) -> Self {
        Self { stream, admission, codec, held: None }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Bytes of memory that it holds.
    pub(super) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |kept| kept.held.bytes())
    }

    /// Hands the connection on, to a task of its own.
    pub(super) fn part(self, parting: Parting) {
        let unsent = match self.held.map(|kept| kept.held) {
            Some(Held::Unsent { mut replies, sent, .. }) => {
                replies.drain(..sent);
                replies
            }
            Some(Held::Begun(_)) | None => Vec::new(),
        };
        match parting {
            Parting::Detour(read_ahead) => {
                connection::detour(self.admission, self.stream, read_ahead, self.codec);
            }
            Parting::Refusal(violation) => connection::refuse(self.admission, self.stream, unsent, violation),
            Parting::Drain => connection::go_away(self.admission, self.stream, unsent),
            Parting::Eviction if unsent.is_empty() => connection::evict(self.admission, self.stream),
            // Nothing but the rest of the reply may follow, and that is what is not taken.
            Parting::Eviction => tracing::debug!("connection dropped: its unsent replies took most memory"),
        }
    }

    /// Does what its socket is ready for: one read or none, one write or none.
    #[inline]
    pub(super) fn serve(&mut self, desk: &mut Desk) -> Served {
        desk.echo.spent += CALLS_NS;
        match self.held.take() {
            None => self.read(desk, 0),
            Some(kept) => self.go_on(desk, *kept),
        }
    }

    /// Goes on with what is held.
    fn go_on(&mut self, desk: &mut Desk, kept: Kept) -> Served {
        desk.charge = Some(kept.charge);
        let served = match kept.held {
            Held::Begun(frame) if is_gathered(&frame) => self.gather(desk, frame),
            Held::Begun(frame) => {
                desk.buffer[..frame.len()].copy_from_slice(&frame);
                self.read(desk, frame.len())
            }
            Held::Unsent { replies, sent, behind } => self.flush(desk, replies, sent, behind),
        };
        // Unless it was taken again, nothing is held any longer.
        desk.charge = None;
        served
    }

    /// Holds something until the next turn.
    fn keep(&mut self, desk: &mut Desk, held: Held) {
        let mut charge = desk.charge.take().unwrap_or_else(|| Charge::new(&desk.share));
        if !charge.set(held.bytes()) {
            // The turn ends, so that somebody is evicted now.
            desk.echo.spent = desk.echo.spent.max(TURN_NS + 1);
        }
        self.held = Some(Box::new(Kept { held, charge }));
    }

    /// Reads into the worker's buffer, behind the `kept` bytes in it, and echoes.
    #[inline]
    fn read(&mut self, desk: &mut Desk, kept: usize) -> Served {
        let window = &mut desk.buffer[kept..kept + desk.read_at_most];
        let received = match settle((&self.stream).read(window)) {
            Ok(Some(0)) | Err(_) => return Served::Ends,
            Ok(received) => received.unwrap_or(0),
        };
        let bytes = &mut desk.buffer[..kept + received];
        let Ok(Exchanged { consumed, left, end }) = desk.echo.exchange(&self.stream, &mut self.codec, bytes) else {
            return Served::Ends;
        };
        let unsent = match left {
            Left::Nothing if consumed == bytes.len() && end == End::Partial => return Served::Waits,
            Left::Nothing => Vec::new(),
            Left::InPlace(replies) => bytes[replies].to_vec(),
            Left::Apart(replies) => replies,
            Left::ForNextTurn => {
                let behind = begin(&bytes[consumed..], &mut desk.spares);
                return self.take_another_turn(desk, behind);
            }
        };
        let behind = begin(&bytes[consumed..], &mut desk.spares);
        self.hold(desk, end, unsent, 0, behind)
    }

    /// Reads more of a large frame into the buffer that it has for itself.
    fn gather(&mut self, desk: &mut Desk, mut frame: Vec<u8>) -> Served {
        if frame.len() == frame.capacity() && frame.try_reserve_exact(room_for_rest(&frame)).is_err() {
            return Served::Ends;
        }
        match settle(gathered::receive(&self.stream, &mut frame, &mut desk.echo.spent).map_err(io::Error::from)) {
            Ok(Some(0)) | Err(_) => Served::Ends,
            Ok(_) => self.echo_own(desk, frame),
        }
    }

    /// Goes on sending `replies`.
    fn flush(&mut self, desk: &mut Desk, replies: Vec<u8>, sent: usize, behind: Vec<u8>) -> Served {
        let now = match send(&self.stream, &replies[sent..]) {
            Ok(now) => now,
            Err(_) => return Served::Ends,
        };
        desk.echo.spent += now as u64 / BYTES_PER_NS;
        if sent + now < replies.len() {
            self.keep(desk, Held::Unsent { replies, sent: sent + now, behind });
            return Served::Waits;
        }
        desk.spares.put(replies);
        // What was read behind the replies may need a protocol task, which must not wait for more to come.
        match self.echo_own(desk, behind) {
            Served::Waits => Served::Turns(EventFlags::IN),
            Served::Turns(_) => Served::Waits,
            parting => parting,
        }
    }

    /// Echoes what lies in a buffer that belongs to this line.
    fn echo_own(&mut self, desk: &mut Desk, mut bytes: Vec<u8>) -> Served {
        let exchanged = desk.echo.exchange(&self.stream, &mut self.codec, &mut bytes);
        let Ok(Exchanged { consumed, left, end }) = exchanged else {
            return Served::Ends;
        };
        if consumed == 0 {
            return self.hold(desk, end, Vec::new(), 0, bytes);
        }
        let behind = begin(&bytes[consumed..], &mut desk.spares);
        if let Left::InPlace(replies) = left {
            bytes.truncate(replies.end);
            return self.hold(desk, end, bytes, replies.start, behind);
        }
        desk.spares.put(bytes);
        match left {
            Left::Apart(replies) => self.hold(desk, end, replies, 0, behind),
            Left::ForNextTurn => self.take_another_turn(desk, behind),
            Left::Nothing | Left::InPlace(_) => self.hold(desk, end, Vec::new(), 0, behind),
        }
    }

    /// Goes on with what was read `behind` the replies when it is this line's turn again: its socket is ready to be
    /// written to, so that this is soon.
    fn take_another_turn(&mut self, desk: &mut Desk, behind: Vec<u8>) -> Served {
        self.keep(desk, Held::Unsent { replies: Vec::new(), sent: 0, behind });
        Served::Turns(EventFlags::OUT)
    }

    /// Keeps for the next turn what is neither sent nor echoed, or leaves the lane with it.
    fn hold(&mut self, desk: &mut Desk, end: End, replies: Vec<u8>, sent: usize, behind: Vec<u8>) -> Served {
        let blocked = sent < replies.len();
        let waits = match end {
            End::Violation(violation) => Served::Leaves(Parting::Refusal(violation)),
            End::Detour if !blocked => return Served::Leaves(Parting::Detour(Bytes::from(behind))),
            End::Detour | End::Partial if blocked => Served::Turns(EventFlags::OUT),
            End::Detour | End::Partial => Served::Waits,
        };
        if blocked {
            self.keep(desk, Held::Unsent { replies, sent, behind });
        } else if !behind.is_empty() {
            self.keep(desk, Held::Begun(behind));
        }
        waits
    }
}

/// Whether a frame of which the beginning is held gets a buffer of its own.
fn is_gathered(frame: &[u8]) -> bool {
    wire::frame_len(frame).is_some_and(|len| len > GATHERED as u64)
}

/// A copy of the beginning of a frame, with room for what is to come if it is gathered.
fn begin(frame: &[u8], spares: &mut Spares) -> Vec<u8> {
    if !is_gathered(frame) {
        return frame.to_vec();
    }
    let mut copy = spares.take(frame.len() + room_for_rest(frame));
    copy.extend_from_slice(frame);
    copy
}

/// Bytes to make room for behind the beginning of a frame.
fn room_for_rest(frame: &[u8]) -> usize {
    let missing = wire::frame_len(frame).map_or(0, |len| len.saturating_sub(frame.len() as u64));
    missing.min(frame.len().saturating_mul(3).max(RESERVED) as u64) as usize
}

/// Sends what the socket takes.
#[inline]
pub(super) fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(settle(stream.write(bytes))?.unwrap_or(0))
}

/// `None` where there was nothing to be had now.
#[inline]
fn settle(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bytes: the worker's one buffer. A read takes all that a socket holds unless it is a large message, and what lies in
/// it stays in the core's cache.
const BUFFER: usize = GATHERED + (512 << 10);

/// Bytes: a longer frame of which only the beginning has come is gathered in a buffer of its own; the beginning of any
/// other is copied back to the worker's buffer before the next read, at most so much for each.
const GATHERED: usize = 16 << 10;

/// Bytes: the room made at first for a frame to be gathered; then it grows to four times what has come. All of it counts
/// as held, since it may be memory that was used before.
const RESERVED: usize = 256 << 10;

/// Bytes that it takes to hold anything, beside what is held.
const KEPT_BYTES: usize = 128;

/// Nanoseconds that the system calls for a readable socket and its reply take, about.
const CALLS_NS: u64 = 5_000;

/// Nanoseconds, about: after so much of it a turn ends, and accepts, timers and protocol tasks have theirs. tokio's timers
/// tick once in a millisecond. A line is served to its end, so that others wait for 3 ms longer at the most (a full
/// buffer of empty messages), or one message that was gathered (16 MiB are unmasked and sent in some 6 ms) or is
/// decompressed (16 MiB take some 50 ms, and ten times that if it was made to).
pub(super) const TURN_NS: u64 = 1_000_000;
