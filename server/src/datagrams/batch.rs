//! One batch of datagrams: received by one system call, and sent back by another. The replies are sent from where the datagrams
//! lie, and nothing is allocated for them.
//!
//! With offload the kernel hands over datagrams of one source that came merged as one message (UDP_GRO). What one source sent
//! goes back as one message too, which the kernel takes apart as late as it can (UDP_SEGMENT): datagrams of equal length, the
//! last of which may be shorter. Most of what a datagram costs, its way through the kernel, is then shared by all of them.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use nix::errno::Errno;

use super::Socket;
use super::counts::{Counts, Outcome};
use super::limit::Limit;
use super::messages::{MOST, Messages, Piece, Received, Reply, STRIDE};
use super::own::is_own;
use crate::dialogue::inject::{self, Injected};

/// Room for the datagrams of one batch, and what is done about them.
pub(super) struct Batch {
    messages: Messages,
    /// What is to be sent back.
    replies: Vec<Reply>,
    /// The bytes of the replies, in the same order.
    pieces: Vec<Piece>,
    limit: Option<Limit>,
    injected: Option<Injected>,
    logs: bool,
}

impl Batch {
    pub(super) fn new(limit: Option<Limit>, injected: Option<Injected>, logs: bool) -> Self {
        Self {
            messages: Messages::new(),
            replies: Vec::with_capacity(MOST),
            pieces: Vec::with_capacity(MOST),
            limit,
            injected,
            logs,
        }
    }

    /// Receives what has come, [`MOST`] messages at the most, and answers it; returns how many messages came.
    ///
    /// # Errors
    /// When they cannot be received. That none has come is no error.
    pub(super) fn answer(&mut self, socket: &Socket, counts: &Counts) -> io::Result<usize> {
        let came = self.messages.receive(socket.as_raw_fd())?;
        if came > 0 {
            let mut outcome = self.read(socket, came);
            let due = outcome.received - outcome.own - outcome.over_limit;
            inject::hold_up(self.injected.as_ref(), due);
            outcome.answered = self.send(socket.as_raw_fd());
            outcome.unsent = due - outcome.answered;
            counts.add(outcome);
        }
        Ok(came)
    }

    /// Notes what is to be sent back of the messages that came; returns what is known of their datagrams by then.
    fn read(&mut self, socket: &Socket, came: usize) -> Outcome {
        self.replies.clear();
        self.pieces.clear();
        let now = self.limit.as_ref().map_or(0, Limit::now);
        let mut outcome = Outcome::default();
        // The source of the last reply.
        let mut last = None;
        for at in 0..came {
            let mut message = self.messages.received(at);
            let datagrams = message.datagrams();
            outcome.received += datagrams;
            if message.from.is_some_and(|from| is_own(&socket.own, from)) {
                outcome.own += datagrams;
                continue;
            }
            if let (Some(limit), Some(from)) = (&mut self.limit, message.from) {
                let taken = (0..datagrams).take_while(|_| limit.takes(from.ip(), now)).count();
                outcome.over_limit += datagrams - taken;
                if taken == 0 {
                    continue;
                }
                message.bytes = message.bytes.min(taken * message.segment);
            }
            if self.logs {
                log(&message);
            }
            let joins = socket.offload && last == Some(message.from);
            self.reply(at, &message, joins);
            last = Some(message.from);
        }
        outcome
    }

    /// Has a message that came sent back: together with the last reply, if it may join that and fits, or by itself.
    #[inline]
    fn reply(&mut self, at: usize, message: &Received, joins: bool) {
        let piece = self.pieces.len();
        self.pieces.push(Piece { at: at * STRIDE, bytes: message.bytes });
        if joins
            && let Some(last) = self.replies.last_mut()
            && fits(last, message)
        {
            last.pieces.end = piece + 1;
            last.bytes += message.bytes;
            last.datagrams += message.datagrams();
            return;
        }
        self.replies.push(Reply {
            pieces: piece..piece + 1,
            to: at,
            from: message.came_to,
            bytes: message.bytes,
            datagrams: message.datagrams(),
            segment: message.segment,
        });
    }

    /// Sends back what is to be sent; returns how many datagrams the kernel took.
    fn send(&mut self, socket: RawFd) -> usize {
        let Self { messages, replies, pieces, .. } = self;
        let (mut answered, mut begin) = (0, 0);
        while begin < replies.len() {
            match messages.send(socket, &replies[begin..], pieces) {
                Ok(sent) => {
                    answered += replies[begin..begin + sent].iter().map(|reply| reply.datagrams).sum::<usize>();
                    begin += sent.max(1);
                }
                // So would be the others.
                Err(error) if is_full(&error) => break,
                // There is no way to this one, or none for several at a time.
                Err(error) => {
                    match replies[begin].datagrams {
                        1 => tracing::debug!("a datagram cannot be answered: {error}"),
                        _ => answered += send_apart(messages, socket, &replies[begin], pieces),
                    }
                    begin += 1;
                }
            }
        }
        answered
    }
}

/// Whether a message that came may join this reply to the same source.
#[inline]
fn fits(reply: &Reply, message: &Received) -> bool {
    reply.from == message.came_to
        // None of them is shorter yet, or empty.
        && reply.bytes == reply.datagrams * reply.segment
        && message.bytes > 0
        && (message.segment == reply.segment || message.segment < reply.segment && message.datagrams() == 1)
        && reply.segment <= MOST_JOINED_BYTES
        && reply.datagrams + message.datagrams() <= MOST_JOINED
        && reply.bytes + message.bytes <= MOST_REPLY_BYTES
}

/// Sends the datagrams of a reply one by one: the kernel refuses to take it apart, where a datagram of it is larger than what
/// the way to its source takes in one packet, for example. Returns how many the kernel took.
#[cold]
fn send_apart(messages: &mut Messages, socket: RawFd, reply: &Reply, pieces: &[Piece]) -> usize {
    let mut answered = 0;
    for piece in &pieces[reply.pieces.clone()] {
        for begin in (0..piece.bytes).step_by(reply.segment.max(1)) {
            let one = Piece { at: piece.at + begin, bytes: reply.segment.min(piece.bytes - begin) };
            let alone = Reply { pieces: 0..1, bytes: one.bytes, datagrams: 1, ..reply.clone() };
            match messages.send(socket, &[alone], &[one]) {
                Ok(sent) => answered += sent,
                Err(error) if is_full(&error) => return answered,
                Err(error) => tracing::debug!("a datagram cannot be answered: {error}"),
            }
        }
    }
    answered
}

/// Whether the kernel has no room for a datagram, whichever it is.
fn is_full(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|error| [Errno::EAGAIN, Errno::ENOBUFS].contains(&Errno::from_raw(error)))
}

/// Logs each datagram of a message.
#[cold]
fn log(message: &Received) {
    for at in 0..message.datagrams() {
        let bytes = message.segment.min(message.bytes - at * message.segment);
        tracing::info!(peer = message.from.map(tracing::field::display), bytes, "datagram");
    }
}

/// Datagrams that came one by one and are sent back together: Linux takes 64, from 6.9 on 128.
const MOST_JOINED: usize = 64;

/// Bytes of each of them: one that is longer may have come in fragments, as does every one of over 1,452 bytes by IPv6 over
/// Ethernet, and what is sent by UDP_SEGMENT must fit in a packet.
const MOST_JOINED_BYTES: usize = 1452;

/// Bytes of all of them, by IPv4.
const MOST_REPLY_BYTES: usize = 65_507;

#[cfg(test)]
#[path = "batch/tests.rs"]
mod tests;
