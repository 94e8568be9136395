//! One connection on the lane: read, echoed where the bytes lie, written.
//!
//! Almost always whole frames come in one read into the worker's buffer, their replies leave it in one write, and the
//! connection holds nothing. The beginning of a frame, and replies that the socket does not take, are held for the
//! next turn; a large frame is gathered, echoed and sent in a buffer of its own, so that no byte of it moves twice.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::EventFlags;
use socket2::SockRef;
use wire::deflate::Codec;
use wire::{Echoed, End, Limits, Violation};

use crate::config::Config;
use crate::connection;
use crate::deflate;
use crate::worker::Admission;

/// What the lines of one worker share while they are served: its one buffer, and how it reads.
pub(super) struct Desk {
    buffer: Box<[u8]>,
    limits: Limits,
    read_at_most: usize,
    quickack: bool,
    deflate: Option<deflate::Manner>,
    /// Replies of connections with permessage-deflate.
    replies: Vec<u8>,
}

impl Desk {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            limits: Limits {
                max_message_size: config.limits.max_message_size,
                max_fragments: config.limits.max_fragments,
            },
            read_at_most: config.echo.read_buffer.unwrap_or(BUFFER).min(BUFFER - GATHERED),
            quickack: config.socket.tcp_quickack,
            deflate: deflate::Manner::new(config),
            replies: Vec::new(),
        }
    }
}

/// A connection on the lane.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    admission: Admission,
    codec: deflate::Connection,
    held: Option<Box<Held>>,
}

/// What a line holds between two turns.
#[derive(Debug)]
enum Held {
    /// The beginning of a frame.
    Begun(Vec<u8>),
    /// Replies of which the first `sent` bytes are gone, and what was read `behind` them; the socket is not read.
    Unsent { replies: Vec<u8>, sent: usize, behind: Vec<u8> },
}

/// What became of a line that was served.
pub(super) enum Served {
    /// It waits for what it waited for before; so many bytes of replies were sent.
    Waits { sent: usize },
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
}

impl Line {
    /// A connection that stands between two messages with nothing buffered.
    pub(super) fn new(stream: TcpStream, admission: Admission, codec: deflate::Connection) -> Self {
        Self { stream, admission, codec, held: None }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Hands the connection on, to a task of its own.
    pub(super) fn part(self, parting: Parting) {
        let unsent = match self.held.map(|held| *held) {
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
        }
    }

    /// Does what its socket is ready for: one read or none, one write or none.
    #[inline]
    pub(super) fn serve(&mut self, desk: &mut Desk) -> Served {
        match self.held.take().map(|held| *held) {
            None => self.read(desk, 0),
            Some(Held::Begun(frame)) if is_gathered(&frame) => self.gather(desk, frame),
            Some(Held::Begun(frame)) => {
                desk.buffer[..frame.len()].copy_from_slice(&frame);
                self.read(desk, frame.len())
            }
            Some(Held::Unsent { replies, sent, behind }) => self.flush(desk, replies, sent, behind),
        }
    }

    /// Reads into the worker's buffer, behind the `kept` bytes in it, and echoes.
    #[inline]
    fn read(&mut self, desk: &mut Desk, kept: usize) -> Served {
        let Desk { buffer, limits, read_at_most, quickack, deflate, replies } = desk;
        let received = match settle((&self.stream).read(&mut buffer[kept..kept + *read_at_most])) {
            Ok(Some(0)) | Err(_) => return Served::Ends,
            Ok(received) => received.unwrap_or(0),
        };
        let bytes = &mut buffer[..kept + received];
        if let (Some(codec), Some(manner)) = (&mut self.codec, deflate) {
            return match exchange(&self.stream, codec, manner, (limits, *quickack), bytes, replies) {
                Ok(Exchanged { consumed, sent, unsent, end }) => {
                    self.hold(end, sent, unsent, 0, begin(&bytes[consumed..]))
                }
                Err(_) => Served::Ends,
            };
        }
        let Ok((Echoed { consumed, written, end, .. }, sent)) = self.echo(bytes, limits, *quickack) else {
            return Served::Ends;
        };
        if sent == written && consumed == bytes.len() && end == End::Partial {
            return Served::Waits { sent };
        }
        self.hold(end, sent, bytes[sent..written].to_vec(), 0, begin(&bytes[consumed..]))
    }

    /// Reads the rest of a large frame into the buffer that it has for itself.
    fn gather(&mut self, desk: &mut Desk, mut frame: Vec<u8>) -> Served {
        if frame.len() == frame.capacity() && frame.try_reserve_exact(room_for_rest(&frame)).is_err() {
            return Served::Ends;
        }
        match settle(rustix::io::read(&self.stream, spare_capacity(&mut frame)).map_err(io::Error::from)) {
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
        if sent + now < replies.len() {
            self.held = Some(Box::new(Held::Unsent { replies, sent: sent + now, behind }));
            return Served::Waits { sent: now };
        }
        drop(replies);
        // What was read behind the replies may need a protocol task, which must not wait for more to come.
        match self.echo_own(desk, behind) {
            Served::Waits { .. } => Served::Turns(EventFlags::IN),
            Served::Turns(_) => Served::Waits { sent: now },
            parting => parting,
        }
    }

    /// Echoes what lies in a buffer that belongs to this line.
    fn echo_own(&mut self, desk: &mut Desk, mut bytes: Vec<u8>) -> Served {
        let Desk { limits, quickack, deflate, replies, .. } = desk;
        if let (Some(codec), Some(manner)) = (&mut self.codec, deflate) {
            return match exchange(&self.stream, codec, manner, (limits, *quickack), &mut bytes, replies) {
                Ok(Exchanged { consumed, sent, unsent, end }) => {
                    let behind = if consumed == 0 { bytes } else { begin(&bytes[consumed..]) };
                    self.hold(end, sent, unsent, 0, behind)
                }
                Err(_) => Served::Ends,
            };
        }
        let Ok((Echoed { consumed, written, end, .. }, sent)) = self.echo(&mut bytes, &desk.limits, desk.quickack)
        else {
            return Served::Ends;
        };
        if consumed == 0 {
            return self.hold(end, 0, Vec::new(), 0, bytes);
        }
        let behind = bytes[consumed..].to_vec();
        bytes.truncate(written);
        self.hold(end, sent, bytes, sent, behind)
    }

    /// Turns the whole frames in `bytes` into replies and sends what the socket takes: so many bytes.
    #[inline]
    fn echo(&self, bytes: &mut [u8], limits: &Limits, quickack: bool) -> io::Result<(Echoed, usize)> {
        let echoed = wire::echo_in_place(bytes, limits);
        let sent = if echoed.written == 0 { 0 } else { send(&self.stream, &bytes[..echoed.written])? };
        acknowledge(&self.stream, quickack);
        Ok((echoed, sent))
    }

    /// Keeps for the next turn what is neither sent nor echoed, or leaves the lane with it.
    fn hold(&mut self, end: End, now: usize, replies: Vec<u8>, sent: usize, behind: Vec<u8>) -> Served {
        let blocked = sent < replies.len();
        let waits = match end {
            End::Violation(violation) => Served::Leaves(Parting::Refusal(violation)),
            End::Detour if !blocked => return Served::Leaves(Parting::Detour(Bytes::from(behind))),
            End::Detour | End::Partial if blocked => Served::Turns(EventFlags::OUT),
            End::Detour | End::Partial => Served::Waits { sent: now },
        };
        if blocked {
            self.held = Some(Box::new(Held::Unsent { replies, sent, behind }));
        } else if !behind.is_empty() {
            self.held = Some(Box::new(Held::Begun(behind)));
        }
        waits
    }
}

/// What was exchanged on a connection with permessage-deflate.
struct Exchanged {
    /// Bytes that were whole frames.
    consumed: usize,
    /// Bytes of replies that were sent.
    sent: usize,
    /// Replies that were not.
    unsent: Vec<u8>,
    end: End,
}

/// Turns the whole frames in `bytes` into replies, which may take the room of `replies`, and sends what the socket takes.
fn exchange(
    stream: &TcpStream,
    codec: &mut Codec,
    manner: &deflate::Manner,
    (limits, quickack): (&Limits, bool),
    bytes: &mut [u8],
    replies: &mut Vec<u8>,
) -> io::Result<Exchanged> {
    let mut exchanged = Exchanged { consumed: 0, sent: 0, unsent: Vec::new(), end: End::Partial };
    loop {
        replies.clear();
        let bytes = &mut bytes[exchanged.consumed..];
        let echoed =
            manner.share(|shared| wire::deflate::echo_deflated(bytes, limits, &manner.replies, codec, shared, replies));
        let now = if replies.is_empty() { &bytes[..echoed.written] } else { &replies[..] };
        let sent = if now.is_empty() { 0 } else { send(stream, now)? };
        exchanged.consumed += echoed.consumed;
        exchanged.sent += sent;
        exchanged.unsent.extend_from_slice(&now[sent..]);
        exchanged.end = echoed.end.unwrap_or(End::Partial);
        if replies.capacity() > KEPT {
            *replies = Vec::new();
        }
        if echoed.end.is_some() || !exchanged.unsent.is_empty() {
            acknowledge(stream, quickack);
            return Ok(exchanged);
        }
    }
}

/// Whether a frame of which the beginning is held gets a buffer of its own.
fn is_gathered(frame: &[u8]) -> bool {
    wire::frame_len(frame).is_some_and(|len| len > GATHERED as u64)
}

/// A copy of the beginning of a frame, with room for what is to come if it is gathered.
fn begin(frame: &[u8]) -> Vec<u8> {
    let room = if is_gathered(frame) { room_for_rest(frame) } else { 0 };
    let mut copy = Vec::with_capacity(frame.len() + room);
    copy.extend_from_slice(frame);
    copy
}

/// Bytes to make room for behind the beginning of a frame.
fn room_for_rest(frame: &[u8]) -> usize {
    let missing = wire::frame_len(frame).map_or(0, |len| len.saturating_sub(frame.len() as u64));
    missing.min(frame.len().saturating_mul(3).max(RESERVED) as u64) as usize
}

/// Has what was read acknowledged at once, if so configured: a hint to the kernel, which forgets it with every reply.
#[inline]
fn acknowledge(stream: &TcpStream, quickack: bool) {
    if quickack {
        let _ = SockRef::from(stream).set_tcp_quickack(true);
    }
}

/// Sends what the socket takes.
#[inline]
fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
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

/// Bytes of compressed replies that a worker has room for all the time.
const KEPT: usize = 1 << 20;

/// Bytes: the room made at first for a frame to be gathered; then it grows to four times what has come. Memory that is
/// reserved and not written to is none, so that a header alone costs its sender's peer nothing.
const RESERVED: usize = 1 << 20;
