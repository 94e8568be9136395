//! The connections of one thread: senders, and receivers of whom some stop reading for a time.

use std::collections::VecDeque;
use std::io;

use wire::{CloseCode, OpCode};

use super::frames::{Frames, Sink};
use super::incoming::Incoming;
use super::ledger::{Ledger, Receiver};
use super::message::Message;
use crate::load::connect::Connection;
use crate::load::dialogue::Gone;
use crate::load::transport::Transport;
use crate::measure::arrivals::Reading;
use crate::plan::messages::push_frame;

/// A member of a room.
#[derive(Debug)]
pub struct Member {
    pub stream: Transport,
    /// What it is there for.
    pub role: Role,
    frames: Frames,
    incoming: Incoming,
    /// Bytes that the socket has not taken: the rest of a message, and Pongs.
    pub unsent: Vec<u8>,
    /// Whether the socket is full, so that epoll is to say when it no longer is.
    pub blocked: bool,
}

/// What a member is there for.
#[derive(Debug)]
pub enum Role {
    /// It sends.
    Sender(Sender),
    /// It receives.
    Receiver(Receiver),
}

/// A sender.
#[derive(Debug)]
pub struct Sender {
    /// Its number among all.
    pub number: u32,
    /// The messages that are due and not sent.
    pub backlog: VecDeque<u64>,
    /// The one whose rest is among the bytes that the socket has not taken.
    pub in_part: Option<u64>,
}

impl Member {
    /// A member on an open connection, which is told apart from the bytes that came behind its handshake.
    ///
    /// # Errors
    /// When the kernel refuses what is asked of the socket.
    pub fn new(connection: Connection, role: Role, stamped: bool) -> io::Result<(Self, Vec<u8>)> {
        let Connection { stream, read_ahead, .. } = connection;
        stream.set_nonblocking()?;
        if stamped {
            stream.set_stamped()?;
        }
        let (frames, incoming) = (Frames::new(), Incoming::default());
        Ok((Self { stream, role, frames, incoming, unsent: Vec::new(), blocked: false }, read_ahead))
    }

    /// Takes the bytes of one read at `read`.
    ///
    /// # Errors
    /// When the server closed the connection or broke the protocol.
    #[inline]
    pub fn take(
        &mut self,
        bytes: &[u8],
        message: &Message,
        ledger: &mut Ledger<'_>,
        reading: Reading,
        read: u64,
    ) -> Result<(), Gone> {
        let Self { role, frames, incoming, unsent, .. } = self;
        frames.take(bytes, &mut Taking { role, incoming, unsent, message, ledger, reading, read })
    }

    /// Tells the server that the connection is closed, behind what was to be sent. Nothing depends on whether it gets through.
    pub fn goodbye(&mut self, code: Option<CloseCode>) {
        let mut last = std::mem::take(&mut self.unsent);
        push_close(&mut last, code);
        self.stream.write_last(&last);
    }
}

/// Appends a Close frame, with a code or without.
pub fn push_close(bytes: &mut Vec<u8>, code: Option<CloseCode>) {
    let code = code.map(|code| code.get().to_be_bytes());
    push_frame(bytes, OpCode::Close, false, Some(rand::random()), code.as_ref().map_or(&[], |code| &code[..]));
}

/// What one read brings to a member.
struct Taking<'t, 'a> {
    role: &'t Role,
    incoming: &'t mut Incoming,
    unsent: &'t mut Vec<u8>,
    message: &'t Message,
    ledger: &'t mut Ledger<'a>,
    reading: Reading,
    read: u64,
}

impl Sink for Taking<'_, '_> {
    #[inline]
    fn payload(&mut self, piece: &[u8]) {
        self.incoming.take(piece, self.message);
    }

    #[inline]
    fn message(&mut self, opcode: OpCode) {
        let Self { role, incoming, message, ledger, reading, read, .. } = self;
        let came = incoming.finish(opcode, message);
        match role {
            Role::Receiver(receiver) => {
                let example = |kind| incoming.example(kind, opcode, message);
                ledger.delivered(*receiver, came, reading, *read, example);
            }
            Role::Sender(sender) => ledger.came_to_sender(sender.number, came, *read),
        }
        incoming.clear();
    }

    fn ping(&mut self, payload: &[u8]) {
        if self.unsent.len() < MOST_UNSENT {
            push_frame(self.unsent, OpCode::Pong, false, Some(rand::random()), payload);
        }
    }
}

/// The most bytes that a socket may owe before Pongs are left out, as RFC 6455, 5.5.3 allows.
const MOST_UNSENT: usize = 4_096;
