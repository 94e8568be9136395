//! What waits for a member whose socket does not take it: messages by reference, in order, bounded; and the answer to its last
//! Ping. What is added, dropped and sent is decided here; the lane knows the socket.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wire::{Header, MAX_HEADER_LEN, OpCode};

use super::batch::{Batch, Encoding};
use crate::config::SlowReader;
use crate::limits::budget::Charge;

/// A batch of which something waits for members of one worker, counted once for all of them while that is so.
#[derive(Debug)]
pub(crate) struct Held {
    batch: Arc<Batch>,
    _charge: Charge,
}

impl Held {
    pub(crate) fn new(batch: &Arc<Batch>, charge: Charge) -> Arc<Self> {
        Arc::new(Self { batch: Arc::clone(batch), _charge: charge })
    }
}

/// How much may wait for a member, and what becomes of what comes then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    /// Bytes, each message counted with [`MESSAGE_BYTES`] more than its frame has. A queue that is empty takes any message.
    pub(crate) bytes: usize,
    pub(crate) slow_reader: SlowReader,
}

/// What became of messages that were offered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Offered {
    /// They wait.
    pub(crate) queued: usize,
    /// Messages that are lost, new ones or such as waited.
    pub(crate) dropped: usize,
    /// The member is to be closed for it.
    pub(crate) close: bool,
}

/// What waits for one member.
#[derive(Debug)]
pub(crate) struct Outbox {
    encoding: Encoding,
    waiting: VecDeque<Waiting>,
    /// Messages that wait.
    messages: usize,
    /// Their bytes, as [`Queue::bytes`] counts them.
    bytes: usize,
    /// Bytes of the first message that are sent.
    begun: usize,
    /// Answers to Pings; `answered` bytes of the first are sent.
    pongs: Vec<u8>,
    answered: usize,
}

/// Messages of one batch that wait.
#[derive(Debug)]
struct Waiting {
    held: Arc<Held>,
    messages: Range<usize>,
}

/// One message of a batch, encoded.
struct Message {
    held: Arc<Held>,
    number: usize,
    encoding: Encoding,
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        self.held.batch.bytes(self.number..self.number + 1, self.encoding)
    }
}

impl Outbox {
    pub(crate) fn new(encoding: Encoding) -> Self {
        let (waiting, pongs) = (VecDeque::new(), Vec::new());
        Self { encoding, waiting, messages: 0, bytes: 0, begun: 0, pongs, answered: 0 }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0 && self.pongs.is_empty()
    }

    /// Messages that wait.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    /// Bytes that wait, and what it takes to know them.
    pub(crate) fn held(&self) -> usize {
        self.bytes + self.memory()
    }

    /// Bytes of memory beside the batches.
    pub(crate) fn memory(&self) -> usize {
        self.waiting.capacity() * size_of::<Waiting>() + self.pongs.capacity()
    }

    /// Adds messages of a batch, of the first of which `sent` bytes are sent already.
    pub(crate) fn offer(&mut self, held: &Arc<Held>, messages: Range<usize>, sent: usize, queue: &Queue) -> Offered {
        let mut offered = Offered::default();
        debug_assert!(sent == 0 || self.messages == 0, "what is begun comes first");
        for message in messages {
            let bytes = self.cost(&held.batch, message);
            if self.messages > 0 && self.bytes + bytes > queue.bytes {
                match queue.slow_reader {
                    SlowReader::DropNewest => {}
                    SlowReader::DropOldest => offered.dropped += self.make_room(bytes, queue.bytes),
                    SlowReader::Close => return Offered { close: true, ..offered },
                }
                if self.messages > 0 && self.bytes + bytes > queue.bytes {
                    offered.dropped += 1;
                    continue;
                }
            }
            if self.messages == 0 {
                self.begun = sent;
            }
            self.push(held, message, bytes);
            offered.queued += 1;
        }
        offered
    }

    /// Has a Ping answered. Where too many answers are still to be sent, this one replaces them (RFC 6455, 5.5.3).
    pub(crate) fn answer_ping(&mut self, payload: &[u8]) {
        if self.pongs.len() > MOST_PONGS {
            let begun = if self.answered > 0 { self.first_pong() } else { 0 };
            self.pongs.truncate(begun);
        }
        let mut head = [0; MAX_HEADER_LEN];
        let header = Header { fin: true, rsv: 0, opcode: OpCode::Pong, mask: None, payload_len: payload.len() as u64 };
        let len = header.encode(&mut head);
        self.pongs.extend_from_slice(&head[..len]);
        self.pongs.extend_from_slice(payload);
    }

    /// Puts what is to be sent next into `slices`, as much as there is room for; tells how many there are.
    pub(crate) fn next<'o>(&'o self, slices: &mut [IoSlice<'o>]) -> usize {
        let mut count = 0;
        let mut put = |bytes: &'o [u8]| {
            if let (false, Some(slot)) = (bytes.is_empty(), slices.get_mut(count)) {
                *slot = IoSlice::new(bytes);
                count += 1;
            }
        };
        let mut begun = self.begun;
        if begun > 0 {
            let first = &self.waiting[0];
            put(&first.bytes(first.messages.start..first.messages.start + 1, self.encoding)[begun..]);
        }
        put(&self.pongs[self.answered..]);
        for waiting in self.waiting.iter().take(MOST_SLICES) {
            let from = waiting.messages.start + usize::from(begun > 0);
            begun = 0;
            put(waiting.bytes(from..waiting.messages.end, self.encoding));
        }
        count
    }

    /// Takes away so many bytes of what was to be sent next; returns the messages that are through.
    pub(crate) fn advance(&mut self, mut sent: usize) -> usize {
        let mut through = 0;
        if self.begun > 0 {
            through += self.advance_message(&mut sent);
        }
        if self.begun == 0 && sent > 0 && !self.pongs.is_empty() {
            let pongs = (self.pongs.len() - self.answered).min(sent);
            sent -= pongs;
            self.answered += pongs;
            if self.answered >= self.pongs.len() {
                (self.pongs, self.answered) = (Vec::new(), 0);
            }
            while self.answered > 0 && self.answered >= self.first_pong() {
                let first = self.first_pong();
                self.pongs.drain(..first);
                self.answered -= first;
            }
        }
        while sent > 0 && self.messages > 0 {
            through += self.advance_message(&mut sent);
        }
        if self.messages == 0 {
            self.waiting = VecDeque::new();
        }
        through
    }

    /// What is still to be sent before anything else may be: the rest of a frame, or nothing. The rest of a message is not
    /// copied: it may be large, and the same for many members that are closed together.
    pub(crate) fn rest(&self) -> Bytes {
        if self.answered > 0 {
            return Bytes::copy_from_slice(&self.pongs[self.answered..self.first_pong()]);
        }
        match self.waiting.front() {
            Some(first) if self.begun > 0 => {
                let Waiting { held, messages } = first;
                let message = Message { held: Arc::clone(held), number: messages.start, encoding: self.encoding };
                Bytes::from_owner(message).slice(self.begun..)
            }
            _ => Bytes::new(),
        }
    }

    /// Bytes of the first answer to a Ping, of which there is one: a header of two bytes says how many follow.
    fn first_pong(&self) -> usize {
        2 + usize::from(self.pongs[1])
    }

    fn cost(&self, batch: &Batch, message: usize) -> usize {
        batch.bytes(message..message + 1, self.encoding).len() + MESSAGE_BYTES
    }

    fn push(&mut self, held: &Arc<Held>, message: usize, bytes: usize) {
        match self.waiting.back_mut() {
            Some(last) if Arc::ptr_eq(&last.held, held) && last.messages.end == message => last.messages.end += 1,
            _ => self.waiting.push_back(Waiting { held: Arc::clone(held), messages: message..message + 1 }),
        }
        self.messages += 1;
        self.bytes += bytes;
    }

    /// Drops the oldest messages of which nothing is sent until there is room for `bytes`; returns how many. It is none where
    /// the message that is begun leaves too little room anyway.
    fn make_room(&mut self, bytes: usize, most: usize) -> usize {
        let kept = usize::from(self.begun > 0);
        if kept > 0 && self.cost(&self.waiting[0].held.batch, self.waiting[0].messages.start) + bytes > most {
            return 0;
        }
        let mut dropped = 0;
        while self.messages > kept && self.bytes + bytes > most {
            if kept > 0 && self.waiting[0].messages.len() > 1 {
                // The message that is begun gets an entry of its own.
                let Waiting { held, messages } = &mut self.waiting[0];
                let rest = Waiting { held: Arc::clone(held), messages: messages.start + 1..messages.end };
                messages.end = messages.start + 1;
                self.waiting.insert(1, rest);
            }
            self.drop_first_of(kept);
            dropped += 1;
        }
        dropped
    }

    /// Takes the first message of that entry away.
    fn drop_first_of(&mut self, entry: usize) {
        let Waiting { held, messages } = &mut self.waiting[entry];
        let message = messages.start;
        messages.start += 1;
        let (held, empty) = (Arc::clone(held), messages.start == messages.end);
        self.bytes -= self.cost(&held.batch, message);
        self.messages -= 1;
        if empty {
            self.waiting.remove(entry);
        }
    }

    /// Takes sent bytes off the first message; 1 if it is through.
    fn advance_message(&mut self, sent: &mut usize) -> usize {
        let first = &self.waiting[0];
        let len = first.bytes(first.messages.start..first.messages.start + 1, self.encoding).len();
        let rest = len - self.begun;
        if *sent < rest {
            self.begun += *sent;
            *sent = 0;
            return 0;
        }
        *sent -= rest;
        self.begun = 0;
        self.drop_first_of(0);
        1
    }
}

impl Waiting {
    fn bytes(&self, messages: Range<usize>, encoding: Encoding) -> &[u8] {
        self.held.batch.bytes(messages, encoding)
    }
}

/// Bytes of answers to Pings that wait: a peer that wants more of them answered reads.
const MOST_PONGS: usize = 4 << 10;

/// Slices that are looked at for one write.
pub(crate) const MOST_SLICES: usize = 16;

/// Bytes that a message counts for beside its frame: its share of lists and of the batch that it lies in. Without them a queue
/// of empty messages would take many times what it is allowed to.
pub(crate) const MESSAGE_BYTES: usize = 64;

#[cfg(test)]
mod tests;
