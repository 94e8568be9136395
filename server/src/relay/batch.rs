//! What the messages of one turn say to a room: their frames one behind the other, as they are written to sockets.

use std::ops::Range;

use wire::{Header, MAX_HEADER_LEN, OpCode};

/// Messages in the order in which they came, encoded for those who take compressed ones and for those who do not.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Who sent each message.
    senders: Vec<u64>,
    plain: Frames,
    /// Empty where nobody in the room takes compressed messages.
    compressed: Frames,
}

/// How the frames of a batch are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    /// Compressed where that is worth it, if the batch has such frames.
    Compressed,
}

#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
}

impl Batch {
    /// Messages.
    pub(crate) fn len(&self) -> usize {
        self.senders.len()
    }

    /// Bytes of frames.
    pub(crate) fn bytes_written(&self) -> usize {
        self.plain.bytes.len() + self.compressed.bytes.len()
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        let lists = self.senders.capacity() + self.plain.ends.capacity() + self.compressed.ends.capacity();
        self.plain.bytes.capacity() + self.compressed.bytes.capacity() + lists * size_of::<u64>() + size_of::<Self>()
    }

    /// Adds a message.
    #[inline]
    pub(crate) fn push(&mut self, sender: u64, opcode: OpCode, payload: &[u8]) {
        self.plain.push(opcode, payload);
        self.senders.push(sender);
    }

    /// Adds the compressed form of the message that was added last: `compress` appends its payload.
    pub(crate) fn compress_last(&mut self, compress: impl FnOnce(&[u8], &mut Vec<u8>)) {
        let Some(last) = self.len().checked_sub(1) else { return };
        self.complete(last);
        let frame = &self.plain.bytes[self.plain.range(last..last + 1)];
        if let Ok(Some((header, header_len))) = Header::parse(frame) {
            self.compressed.push_compressed(header.opcode, |out| compress(&frame[header_len..], out));
        }
    }

    /// To be called when the last message has been added.
    pub(crate) fn finish(&mut self) {
        if !self.compressed.ends.is_empty() {
            self.complete(self.len());
        }
    }

    /// Gives those that take compressed messages the first `messages` as they are, as far as they have none yet.
    fn complete(&mut self, messages: usize) {
        for message in self.compressed.ends.len()..messages {
            self.compressed.append(&self.plain.bytes[self.plain.range(message..message + 1)]);
        }
    }

    /// The bytes of all messages, where they are the same for every member of the room.
    #[inline]
    pub(crate) fn same_for_all(&self) -> Option<&[u8]> {
        self.compressed.ends.is_empty().then_some(&self.plain.bytes[..])
    }

    /// The bytes of these messages.
    #[inline]
    pub(crate) fn bytes(&self, messages: Range<usize>, encoding: Encoding) -> &[u8] {
        let frames = self.frames(encoding);
        &frames.bytes[frames.range(messages)]
    }

    /// Calls `each` with every run of messages that `member` did not send.
    pub(crate) fn runs_of_others(&self, member: u64, mut each: impl FnMut(Range<usize>)) {
        let mut from = 0;
        for (at, &sender) in self.senders.iter().enumerate() {
            if sender == member {
                if from < at {
                    each(from..at);
                }
                from = at + 1;
            }
        }
        if from < self.senders.len() {
            each(from..self.senders.len());
        }
    }

    /// Empties it for other messages, keeping its buffers unless they are large.
    pub(crate) fn clear(&mut self) {
        if self.memory() > KEPT {
            *self = Self::default();
        }
        self.senders.clear();
        for frames in [&mut self.plain, &mut self.compressed] {
            frames.bytes.clear();
            frames.ends.clear();
        }
    }

    fn frames(&self, encoding: Encoding) -> &Frames {
        match encoding {
            Encoding::Compressed if !self.compressed.ends.is_empty() => &self.compressed,
            Encoding::Plain | Encoding::Compressed => &self.plain,
        }
    }
}

impl Frames {
    #[inline]
    fn push(&mut self, opcode: OpCode, payload: &[u8]) {
        let mut head = [0; MAX_HEADER_LEN];
        let header = Header { fin: true, rsv: 0, opcode, mask: None, payload_len: payload.len() as u64 };
        let len = header.encode(&mut head);
        self.bytes.extend_from_slice(&head[..len]);
        self.append(payload);
    }

    fn push_compressed(&mut self, opcode: OpCode, compress: impl FnOnce(&mut Vec<u8>)) {
        // The header's length follows from the payload's, which is known afterwards: the payload moves to its place.
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; MAX_HEADER_LEN]);
        let from = self.bytes.len();
        compress(&mut self.bytes);
        let payload_len = (self.bytes.len() - from) as u64;
        let mut head = [0; MAX_HEADER_LEN];
        let len = Header { fin: true, rsv: RSV1, opcode, mask: None, payload_len }.encode(&mut head);
        self.bytes[start..start + len].copy_from_slice(&head[..len]);
        self.bytes.copy_within(from.., start + len);
        self.bytes.truncate(self.bytes.len() - (MAX_HEADER_LEN - len));
        self.ends.push(self.bytes.len());
    }

    /// Appends the end of a frame.
    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    #[inline]
    fn range(&self, messages: Range<usize>) -> Range<usize> {
        let end_of = |count: usize| if count == 0 { 0 } else { self.ends[count - 1] };
        end_of(messages.start)..end_of(messages.end)
    }
}

/// RSV1 as a header has it: the message is compressed (RFC 7692, 6).
const RSV1: u8 = 4;

/// Bytes: a batch with larger buffers is not used again.
const KEPT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_by_message_and_by_encoding() {
        let mut batch = Batch::default();
        batch.push(7, OpCode::Text, b"one");
        assert_eq!(batch.bytes(0..1, Encoding::Compressed), b"\x81\x03one", "nobody took compressed ones");
        batch.push(8, OpCode::Binary, &[1; 200]);
        batch.compress_last(|payload, out| {
            assert_eq!(payload, [1; 200]);
            out.extend_from_slice(b"packed");
        });
        batch.push(7, OpCode::Text, b"");
        batch.finish();
        assert_eq!(batch.bytes(0..3, Encoding::Compressed), b"\x81\x03one\xc2\x06packed\x81\x00");
        assert_eq!(batch.bytes(1..2, Encoding::Plain)[..4], [0x82, 126, 0, 200]);
        assert_eq!(batch.bytes(2..3, Encoding::Plain), b"\x81\x00");
        batch.clear();
        assert_eq!((batch.len(), batch.bytes_written()), (0, 0));
    }

    #[test]
    fn what_a_member_sent_is_left_out() {
        let runs = |senders: &[u64], member| {
            let mut batch = Batch::default();
            senders.iter().for_each(|&sender| batch.push(sender, OpCode::Text, b""));
            let mut runs = Vec::new();
            batch.runs_of_others(member, |run| runs.push(run));
            runs
        };
        assert_eq!(runs(&[1, 2, 2, 1, 3], 2), [0..1, 3..5]);
        assert!(runs(&[2, 2], 2).is_empty());
        assert_eq!(runs(&[1, 2, 2, 1], 2), [0..1, 3..4]);
        assert_eq!(runs(&[2, 1, 2, 3], 2), [1..2, 3..4]);
        assert_eq!(runs(&[1, 1, 2, 1, 2], 2), [0..2, 3..4]);
    }
}
