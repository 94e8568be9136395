//! One connection on the lane: read, echoed where the bytes lie, written.
//!
//! Almost always whole frames come in one read into the worker's buffer, their replies leave it in one write, and the
//! connection holds nothing. The beginning of a frame, and replies that the socket does not take, are held for the
//! next turn; a large frame is gathered, echoed and sent in a buffer of its own, so that no byte of it moves twice.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use rustix::event::epoll::EventFlags;
use wire::{End, Violation};

use super::batch::Batch;
use super::bounds::LaneBounds;
use super::exchange::{Exchange, Exchanged, Left};
use super::giving::Run;
use super::spares::Spares;
use crate::config::Config;
use crate::dialogue::{Dialogue, close_frame};
use crate::limits::admission::Admission;
use crate::limits::budget::{Charge, Share};
use crate::relay::{Cause, Member};
use crate::transport::Stream;

/// What the lines of one worker share while they are served: its one buffer, and how what lies in it is echoed.
pub(super) struct Workspace {
    buffer: Box<[u8]>,
    read_at_most: usize,
    pub(super) exchange: Exchange,
    spares: Spares,
    bounds: LaneBounds,
    /// The sockets to be served.
    pub(super) batch: Batch,
    /// Members of rooms of whose last read something is left.
    pub(super) again: VecDeque<usize>,
    /// Room for what a member is given.
    pub(super) runs: Vec<Run>,
}

impl Workspace {
    pub(super) fn new(config: &Config, share: Arc<Share>) -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            read_at_most: config.echo.read_buffer.unwrap_or(BUFFER).min(BUFFER - GATHERED),
            exchange: Exchange::new(config, Arc::clone(&share)),
            spares: Spares::default(),
            bounds: LaneBounds::new(share),
            batch: Batch::new(),
            again: VecDeque::new(),
            runs: Vec::new(),
        }
    }

    /// Gives up the buffers that were not needed lately; true if it is to be called again to see to that.
    pub(super) fn tidy(&mut self) -> bool {
        self.exchange.writing.tidy();
        self.spares.tidy()
    }

    /// Ends the turn where `--max-buffered` is passed: a record of TLS that is not whole is held beneath the lane.
    #[cold]
    fn end_turn_if_passed(&mut self) {
        if self.bounds.passed() {
            self.exchange.turn.end();
        }
    }

    /// Whether others have waited long enough by now; then a new turn begins.
    pub(super) fn ends_turn(&mut self) -> bool {
        self.exchange.turn.begin_next()
    }
}

/// A connection on the lane.
#[derive(Debug)]
pub(super) struct Line {
    stream: Stream<Admission>,
    dialogue: Dialogue,
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
    /// It goes on waiting for what it waited for before.
    Waits,
    /// From now on it waits for this.
    WaitsFor(EventFlags),
    /// It leaves the lane.
    Leaves(Parting),
    /// It has ended, or failed, and is closed.
    Ends,
}

/// A connection that has left the lane.
pub(crate) struct Departed {
    pub(crate) admission: Admission,
    pub(crate) stream: Stream,
    pub(crate) dialogue: Dialogue,
    /// Replies that are still to be sent.
    pub(crate) unsent: Vec<u8>,
    pub(crate) parting: Parting,
}

/// Why a connection leaves the lane alive, and what is to become of it.
pub(crate) enum Parting {
    /// For a protocol task to go on with these bytes.
    Detour(Bytes),
    /// To be closed because of this.
    Refusal(Violation),
    /// To be closed because the worker drains.
    Drain,
    /// To be closed because it holds most, and others are to be served.
    Eviction,
    /// To be closed because more waits for it than may.
    SlowReader,
    /// To be closed because its peer has said so; the answer is among what is to be sent.
    Farewell,
}

impl Line {
    /// A connection that stands between two messages with nothing buffered.
    pub(super) fn new(stream: Stream, admission: Admission, dialogue: Dialogue) -> Self {
        Self { stream: stream.with(admission), dialogue, held: None }
    }

    /// A member of a room, of which these bytes were read ahead: they are served first, as soon as its socket can be written to.
    pub(super) fn of_member(
        stream: Stream,
        admission: Admission,
        dialogue: Dialogue,
        share: &Arc<Share>,
        ahead: Vec<u8>,
    ) -> Self {
        let held = Held::Unsent { replies: Vec::new(), sent: 0, behind: ahead };
        let mut charge = Charge::new(share);
        charge.set(held.bytes());
        Self { stream: stream.with(admission), dialogue, held: Some(Box::new(Kept { held, charge })) }
    }

    pub(super) fn stream(&self) -> &Stream<Admission> {
        &self.stream
    }

    /// See [`Stream::mark`].
    pub(super) fn mark(&mut self, on: bool) {
        self.stream.mark(on);
    }

    /// The member of a room that it is, if it is one, and its stream.
    pub(super) fn member(&mut self) -> Option<(&mut Member, &Stream<Admission>)> {
        Some((self.dialogue.member()?, &self.stream))
    }

    /// Bytes of memory that it holds.
    pub(super) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |kept| kept.held.bytes()) + self.dialogue.held() + self.stream.held()
    }

    /// Whether whole messages may lie in what it has read and holds.
    pub(super) fn stopped(&self) -> bool {
        self.held.as_ref().is_some_and(|kept| matches!(kept.held, Held::Unsent { .. }))
    }

    /// Takes the connection off the lane, with what is still to be sent to its peer.
    pub(super) fn depart(mut self, mut parting: Parting) -> Departed {
        let mut unsent = Vec::new();
        if let Some(Held::Unsent { replies, sent, .. }) = self.held.map(|kept| kept.held) {
            unsent = replies;
            unsent.drain(..sent);
        }
        if let Some(member) = self.dialogue.member() {
            match parting {
                Parting::Eviction => member.cause = Cause::Evicted,
                Parting::SlowReader => member.cause = Cause::SlowReaderClosed,
                _ => {}
            }
            if let Some(payload) = member.farewell.take() {
                close_frame::append_payload(&mut unsent, &payload);
                parting = Parting::Farewell;
            }
        }
        let (stream, admission) = self.stream.apart();
        Departed { admission, stream, dialogue: self.dialogue, unsent, parting }
    }

    /// Does what its socket is ready for: one read or none, one write or none.
    #[inline]
    pub(super) fn serve(&mut self, workspace: &mut Workspace) -> Served {
        workspace.exchange.turn.add_calls();
        match self.held.take() {
            None => self.read(workspace, 0),
            Some(kept) => self.go_on(workspace, *kept),
        }
    }

    /// Goes on with what is held.
    fn go_on(&mut self, workspace: &mut Workspace, kept: Kept) -> Served {
        workspace.bounds.begin(kept.charge);
        let served = match kept.held {
            Held::Begun(frame) if is_gathered(&self.dialogue, &frame) => self.gather(workspace, frame),
            Held::Begun(frame) => {
                workspace.buffer[..frame.len()].copy_from_slice(&frame);
                self.read(workspace, frame.len())
            }
            Held::Unsent { replies, sent, behind } => self.flush(workspace, replies, sent, behind),
        };
        workspace.bounds.end();
        served
    }

    /// Holds something until the next turn.
    fn keep(&mut self, workspace: &mut Workspace, held: Held) {
        let (charge, fits) = workspace.bounds.hold(held.bytes());
        if !fits {
            // The turn ends, so that somebody is evicted now.
            workspace.exchange.turn.end();
        }
        self.held = Some(Box::new(Kept { held, charge }));
    }

    /// Reads into the worker's buffer, behind the `kept` bytes in it, and echoes.
    #[inline]
    fn read(&mut self, workspace: &mut Workspace, kept: usize) -> Served {
        let (window, work) = (&mut workspace.buffer[kept..], workspace.exchange.turn.time());
        let received = match self.stream.read(window, workspace.read_at_most, work) {
            Ok(Some(0)) | Err(_) => return Served::Ends,
            Ok(Some(received)) => received,
            Ok(None) => {
                workspace.end_turn_if_passed();
                0
            }
        };
        let bytes = &mut workspace.buffer[..kept + received];
        let Ok(Exchanged { consumed, left, end }) = workspace.exchange.answer(&self.stream, &mut self.dialogue, bytes)
        else {
            return Served::Ends;
        };
        let unsent = match left {
            Left::Nothing if consumed == bytes.len() && end == End::Partial => return Served::Waits,
            Left::Nothing => Vec::new(),
            Left::InPlace(replies) => bytes[replies].to_vec(),
            Left::Apart(replies) => replies,
            Left::ForNextTurn => {
                let behind = begin(&self.dialogue, &bytes[consumed..], &mut workspace.spares);
                return self.take_another_turn(workspace, behind);
            }
        };
        let behind = begin(&self.dialogue, &bytes[consumed..], &mut workspace.spares);
        self.hold(workspace, end, unsent, 0, behind)
    }

    /// Reads more of a large frame into the buffer that it has for itself.
    fn gather(&mut self, workspace: &mut Workspace, mut frame: Vec<u8>) -> Served {
        if frame.len() == frame.capacity() && frame.try_reserve_exact(room_for_rest(&self.dialogue, &frame)).is_err() {
            return Served::Ends;
        }
        match self.stream.read_behind(&mut frame, PIECE, workspace.exchange.turn.time()) {
            Ok(Some(0)) | Err(_) => Served::Ends,
            Ok(received) => {
                workspace.exchange.turn.add_received(received.unwrap_or(0));
                self.echo_own(workspace, frame)
            }
        }
    }

    /// Goes on sending `replies`.
    fn flush(&mut self, workspace: &mut Workspace, replies: Vec<u8>, sent: usize, behind: Vec<u8>) -> Served {
        let Ok(now) = self.stream.send(&replies[sent..]) else { return Served::Ends };
        workspace.exchange.turn.add_sent(now);
        if sent + now < replies.len() {
            self.keep(workspace, Held::Unsent { replies, sent: sent + now, behind });
            return Served::Waits;
        }
        workspace.spares.put(replies);
        // What was read behind the replies may need a protocol task, which must not wait for more to come.
        match self.echo_own(workspace, behind) {
            Served::Waits => Served::WaitsFor(EventFlags::IN),
            Served::WaitsFor(_) => Served::Waits,
            parting => parting,
        }
    }

    /// Echoes what lies in a buffer that belongs to this line.
    fn echo_own(&mut self, workspace: &mut Workspace, mut bytes: Vec<u8>) -> Served {
        let exchanged = workspace.exchange.answer(&self.stream, &mut self.dialogue, &mut bytes);
        let Ok(Exchanged { consumed, left, end }) = exchanged else {
            return Served::Ends;
        };
        if consumed == 0 {
            return self.hold(workspace, end, Vec::new(), 0, bytes);
        }
        let behind = begin(&self.dialogue, &bytes[consumed..], &mut workspace.spares);
        if let Left::InPlace(replies) = left {
            bytes.truncate(replies.end);
            return self.hold(workspace, end, bytes, replies.start, behind);
        }
        workspace.spares.put(bytes);
        match left {
            Left::Apart(replies) => self.hold(workspace, end, replies, 0, behind),
            Left::ForNextTurn => self.take_another_turn(workspace, behind),
            Left::Nothing | Left::InPlace(_) => self.hold(workspace, end, Vec::new(), 0, behind),
        }
    }

    /// Goes on with what was read `behind` the replies when it is this line's turn again: its socket is ready to be
    /// written to, so that this is soon.
    fn take_another_turn(&mut self, workspace: &mut Workspace, behind: Vec<u8>) -> Served {
        self.keep(workspace, Held::Unsent { replies: Vec::new(), sent: 0, behind });
        Served::WaitsFor(EventFlags::OUT)
    }

    /// Keeps for the next turn what is neither sent nor echoed, or leaves the lane with it.
    fn hold(&mut self, workspace: &mut Workspace, end: End, replies: Vec<u8>, sent: usize, behind: Vec<u8>) -> Served {
        let blocked = sent < replies.len();
        let waits = match end {
            End::Violation(violation) => Served::Leaves(Parting::Refusal(violation)),
            End::Detour if !blocked => return Served::Leaves(Parting::Detour(Bytes::from(behind))),
            End::Detour | End::Partial if blocked => Served::WaitsFor(EventFlags::OUT),
            End::Detour | End::Partial => Served::Waits,
        };
        if blocked {
            self.keep(workspace, Held::Unsent { replies, sent, behind });
        } else if !behind.is_empty() {
            self.keep(workspace, Held::Begun(behind));
        }
        waits
    }
}

/// Whether a message of which the beginning is held gets a buffer of its own.
fn is_gathered(dialogue: &Dialogue, begun: &[u8]) -> bool {
    dialogue.length(begun).is_some_and(|len| len > GATHERED as u64)
}

/// A copy of the beginning of a frame, with room for what is to come if it is gathered.
fn begin(dialogue: &Dialogue, frame: &[u8], spares: &mut Spares) -> Vec<u8> {
    if !is_gathered(dialogue, frame) {
        return frame.to_vec();
    }
    let mut copy = spares.take(frame.len() + room_for_rest(dialogue, frame));
    copy.extend_from_slice(frame);
    copy
}

/// Bytes to make room for behind the beginning of a frame.
fn room_for_rest(dialogue: &Dialogue, frame: &[u8]) -> usize {
    let missing = dialogue.length(frame).map_or(0, |len| len.saturating_sub(frame.len() as u64));
    missing.min(frame.len().saturating_mul(3).max(RESERVED) as u64) as usize
}

/// Bytes: the worker's one buffer. A read takes all that a socket holds unless it is a large message, and what lies in
/// it stays in the core's cache.
const BUFFER: usize = GATHERED + (512 << 10);

/// Bytes: a longer frame of which only the beginning has come is gathered in a buffer of its own; the beginning of any
/// other is copied back to the worker's buffer before the next read, at most so much for each.
const GATHERED: usize = 16 << 10;

/// Bytes: the room made at first for a frame to be gathered; then it grows to four times what has come. All of it
/// counts as held, since it may be memory that was used before.
const RESERVED: usize = 256 << 10;

/// Bytes that it takes to hold anything, beside what is held.
const KEPT_BYTES: usize = 128;

/// Bytes of a large frame that are read at once: as many as into the worker's buffer. It takes less than a turn, and so long
/// that the calls for it do not count.
const PIECE: usize = 512 << 10;

/// Bytes of a connection on the lane: nearly all connections are idle, and this is what each of them costs.
const LINE_BYTES: usize = 32;
const _: () = assert!(size_of::<Line>() <= LINE_BYTES);
