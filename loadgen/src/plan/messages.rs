//! The messages of a run, prebuilt: a corpus of masked frames ready to send, compressed ones too, and of the replies they
//! must bring. Sending a batch is one slice of it, checking a reply is one comparison with it, and neither copies anything.

mod payload;

use std::fs;
use std::ops::{AddAssign, Sub};
use std::sync::OnceLock;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wire::deflate::{Compressor, WindowBits, Workspace};
use wire::{Header, MAX_HEADER_LEN, OpCode, apply_mask};

use self::payload::payload;
use crate::plan::{Deflate, Expect, Kind, Message, Payload, Plan};

/// A cycle of distinct messages, numbered `0..len()`; after the last comes the first again.
///
/// Both halves hold the cycle twice, so that up to `len()` consecutive messages from any first one are one slice.
#[derive(Debug)]
pub struct Corpus {
    len: usize,
    requests: Frames,
    /// The same messages compressed, by the bits of the window, once they are asked for.
    deflated: [OnceLock<Frames>; WINDOWS],
    /// The messages alone, end to end, once they are asked for.
    bytes: OnceLock<Frames>,
    replies: Frames,
    /// The messages as unmasked frames, where these are not the replies.
    plain: Option<Frames>,
    masks: Vec<[u8; 4]>,
    opcode: OpCode,
    longest: usize,
}

/// How a message is put into its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Compressed, referring back by this window at most and to no other message (RFC 7692, 7.1.1.2).
    Deflated(WindowBits),
    /// Without a frame: there is TCP alone.
    Bytes,
}

/// Messages, and their bytes in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Volume {
    /// Messages.
    pub messages: u64,
    /// Their bytes before compression; 0 for a reply whose length was not found out.
    pub message_bytes: u64,
    /// Their payloads' bytes on the wire.
    pub payload_bytes: u64,
    /// Their frames' bytes, headers included.
    pub frame_bytes: u64,
}

/// Frames end to end.
#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    /// Where each frame begins, and where the last one ends.
    starts: Vec<usize>,
    /// What is before each frame, and in all.
    before: Vec<Volume>,
}

impl Corpus {
    /// Builds the messages of a plan. `file` is the content for [`Payload::File`], which every message then has;
    /// text from a file must be UTF-8.
    pub fn new(plan: &Plan, file: Option<&[u8]>) -> Self {
        let message = &plan.message;
        let mut rng = SmallRng::seed_from_u64(plan.seed);
        let average = file.map_or_else(|| average(message), <[u8]>::len);
        let len = cycle(plan, average);
        let opcode = match message.kind {
            Kind::Text => OpCode::Text,
            Kind::Binary => OpCode::Binary,
        };
        let payloads: Vec<Vec<u8>> = (0..len)
            .map(|_| match file {
                Some(content) => content.to_vec(),
                None => payload(message, &mut rng),
            })
            .collect();
        let masks: Vec<[u8; 4]> = (0..len).map(|_| rng.random()).collect();
        let (mut requests, mut plain, mut replies) = (Frames::default(), Frames::default(), None);
        let mut longest = payloads.iter().map(Vec::len).max().unwrap_or_default();
        for i in (0..len).chain(0..len) {
            requests.push(opcode, false, Some(masks[i]), &payloads[i], payloads[i].len());
            plain.push(opcode, false, None, &payloads[i], payloads[i].len());
            if let Expect::Template(template) = &plan.expect {
                let mut reply = Vec::new();
                template.append(&payloads[i], &mut reply);
                longest = longest.max(reply.len());
                replies.get_or_insert_with(Frames::default).push(opcode, false, None, &reply, reply.len());
            }
        }
        let (replies, plain) = match replies {
            Some(replies) => (replies, Some(plain)),
            None => (plain, None),
        };
        let (deflated, bytes) = Default::default();
        Self { len, requests, deflated, bytes, replies, plain, masks, opcode, longest }
    }

    /// Bytes that the messages of a plan take, in each direction and compressed; with `bytes` also as they are sent without frames.
    pub fn memory(plan: &Plan, bytes: bool) -> u64 {
        let compressed = if plan.connect.permessage_deflate.is_some() { 2 } else { 0 };
        let copies = 5 + compressed + if bytes { 2 } else { 0 };
        let (copies, more) = match &plan.expect {
            Expect::Template(template) => (copies + 2, 2 * template.reply_len(0)),
            Expect::Echo | Expect::Order => (copies, 0),
        };
        // The payloads; twice each the requests, the replies, requests compressed for one window, and payloads end to end.
        let size = match &plan.message.payload {
            // One that cannot be read is told of when it is to be sent.
            Payload::File(path) => fs::metadata(path).map_or(0, |file| file.len() as usize),
            Payload::Random | Payload::Json => average(&plan.message),
        };
        cycle(plan, size) as u64 * (size as u64 * copies + more as u64)
    }

    /// Compresses the messages for this window, unless somebody has: it takes its time, and is to be done before anything
    /// is measured.
    pub fn prepare(&self, deflate: &Deflate, window: WindowBits) -> Encoding {
        self.deflated[slot(window)].get_or_init(|| {
            let mut compressor = Compressor::new(deflate.effort, window, false);
            let mut workspace = Workspace::new();
            let mut payload = Vec::new();
            let (mut once, mut twice) = (Vec::with_capacity(self.len), Frames::default());
            for i in 0..self.len {
                let message = self.payload(i);
                once.push((message.len() >= deflate.threshold as usize).then(|| {
                    payload.clear();
                    compressor.compress(message, window, &mut workspace, &mut payload);
                    payload.clone()
                }));
            }
            for i in (0..self.len).chain(0..self.len) {
                let (mask, message) = (Some(self.masks[i]), self.payload(i));
                let payload = once[i].as_deref().unwrap_or(message);
                twice.push(self.opcode, once[i].is_some(), mask, payload, message.len());
            }
            twice
        });
        Encoding::Deflated(window)
    }

    /// Puts the messages end to end without frames, unless somebody has; otherwise as [`Corpus::prepare`].
    pub fn prepare_bytes(&self) -> Encoding {
        self.bytes.get_or_init(|| {
            let mut bytes = Frames::default();
            for i in (0..self.len).chain(0..self.len) {
                let message = self.payload(i);
                bytes.begin();
                bytes.bytes.extend_from_slice(message);
                bytes.end(message.len(), message.len());
            }
            bytes
        });
        Encoding::Bytes
    }

    /// Messages in the cycle.
    #[expect(clippy::len_without_is_empty, reason = "a corpus is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The longest payload in bytes, of messages and of replies.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The opcode of every message.
    pub fn opcode(&self) -> OpCode {
        self.opcode
    }

    /// The masking key of one message's frame.
    pub fn mask(&self, index: usize) -> [u8; 4] {
        self.masks[index]
    }

    /// The frames of `count <= len()` messages from `first` on, as they are sent.
    #[inline]
    pub fn requests(&self, encoding: Encoding, first: usize, count: usize) -> &[u8] {
        self.frames(encoding).slice(first, count)
    }

    /// The frames of `count <= len()` replies from `first` on, as the server must send them.
    #[inline]
    pub fn replies(&self, first: usize, count: usize) -> &[u8] {
        self.replies.slice(first, count)
    }

    /// The whole frames from `first` on that fit into `bytes` of requests, and what is left of `bytes` after them.
    #[inline]
    pub fn whole_requests(&self, encoding: Encoding, first: usize, bytes: usize) -> (Volume, usize) {
        self.frames(encoding).whole(first, bytes)
    }

    /// The bytes of one message, uncompressed in its reply.
    #[inline]
    pub fn reply_volume(&self, index: usize) -> Volume {
        self.replies.before[index + 1] - self.replies.before[index]
    }

    /// The whole frames from `first` on that fit into `bytes` of replies, and what is left of `bytes` after them.
    #[inline]
    pub fn whole_replies(&self, first: usize, bytes: usize) -> (Volume, usize) {
        self.replies.whole(first, bytes)
    }

    /// The payload of one message.
    pub fn payload(&self, index: usize) -> &[u8] {
        self.plain().payload(index)
    }

    /// The payload of the reply to one message.
    pub fn reply(&self, index: usize) -> &[u8] {
        self.replies.payload(index)
    }

    /// The SHA-256 of all messages of the cycle as unmasked frames, in hexadecimal: equal where the same is sent.
    pub fn digest(&self) -> String {
        Sha256::digest(self.plain().slice(0, self.len)).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The message `steps` after `index` in the cycle.
    #[inline]
    pub fn after(&self, index: usize, steps: usize) -> usize {
        let next = index + steps;
        if next < self.len { next } else { next % self.len }
    }

    /// The messages as unmasked frames.
    fn plain(&self) -> &Frames {
        self.plain.as_ref().unwrap_or(&self.replies)
    }

    #[inline]
    fn frames(&self, encoding: Encoding) -> &Frames {
        match encoding {
            Encoding::Plain => &self.requests,
            Encoding::Deflated(window) => self.deflated[slot(window)].get().expect("it comes from prepare()"),
            Encoding::Bytes => self.bytes.get().expect("it comes from prepare_bytes()"),
        }
    }
}

impl AddAssign for Volume {
    #[inline]
    fn add_assign(&mut self, part: Self) {
        self.messages += part.messages;
        self.message_bytes += part.message_bytes;
        self.payload_bytes += part.payload_bytes;
        self.frame_bytes += part.frame_bytes;
    }
}

impl Sub for Volume {
    type Output = Self;

    #[inline]
    fn sub(self, part: Self) -> Self {
        Self {
            messages: self.messages - part.messages,
            message_bytes: self.message_bytes - part.message_bytes,
            payload_bytes: self.payload_bytes - part.payload_bytes,
            frame_bytes: self.frame_bytes - part.frame_bytes,
        }
    }
}

/// Appends a final frame, masked if there is a key.
pub(crate) fn push_frame(bytes: &mut Vec<u8>, opcode: OpCode, compressed: bool, mask: Option<[u8; 4]>, payload: &[u8]) {
    let rsv = if compressed { RSV1 } else { 0 };
    let mut head = [0; MAX_HEADER_LEN];
    let header = Header { fin: true, rsv, opcode, mask, payload_len: payload.len() as u64 };
    let head_len = header.encode(&mut head);
    bytes.extend_from_slice(&head[..head_len]);
    let at = bytes.len();
    bytes.extend_from_slice(payload);
    if let Some(key) = mask {
        apply_mask(&mut bytes[at..], key);
    }
}

impl Frames {
    /// Appends the frame of a message that has `message_bytes` before compression.
    fn push(&mut self, opcode: OpCode, compressed: bool, mask: Option<[u8; 4]>, payload: &[u8], message_bytes: usize) {
        self.begin();
        push_frame(&mut self.bytes, opcode, compressed, mask, payload);
        self.end(payload.len(), message_bytes);
    }

    /// Something is to be appended to the bytes.
    fn begin(&mut self) {
        if self.before.is_empty() {
            (self.starts, self.before) = (vec![0], vec![Volume::default()]);
        }
    }

    /// It has been: a message of `message_bytes` before compression, which has `payload_bytes`.
    fn end(&mut self, payload_bytes: usize, message_bytes: usize) {
        let Volume { messages, message_bytes: before, payload_bytes: payloads, .. } =
            self.before[self.before.len() - 1];
        self.before.push(Volume {
            messages: messages + 1,
            message_bytes: before + message_bytes as u64,
            payload_bytes: payloads + payload_bytes as u64,
            frame_bytes: self.bytes.len() as u64,
        });
        self.starts.push(self.bytes.len());
    }

    #[inline]
    fn slice(&self, first: usize, count: usize) -> &[u8] {
        &self.bytes[self.starts[first]..self.starts[first + count]]
    }

    /// The payload of one of these frames, which have no mask.
    fn payload(&self, index: usize) -> &[u8] {
        let frame = self.slice(index, 1);
        match Header::parse(frame) {
            Ok(Some((_, header_len))) => &frame[header_len..],
            _ => unreachable!("the corpus holds whole frames"),
        }
    }

    #[inline]
    fn whole(&self, first: usize, bytes: usize) -> (Volume, usize) {
        let start = self.starts[first];
        let mut end = first;
        while end + 1 < self.starts.len() && self.starts[end + 1] - start <= bytes {
            end += 1;
        }
        (self.before[end] - self.before[first], bytes - (self.starts[end] - start))
    }
}

/// The size of a message that is as large as they are on average.
fn average(message: &Message) -> usize {
    (message.size.min() + message.size.max()) / 2
}

/// Messages in a cycle, of this size on average.
fn cycle(plan: &Plan, average: usize) -> usize {
    let remembered = plan.connect.permessage_deflate.is_some_and(|deflate| deflate.remembers());
    let (bytes, most) = if remembered { REMEMBERED } else { (CORPUS_BYTES, MOST) };
    (bytes / average.max(1)).clamp(FEWEST, most)
}

fn slot(window: WindowBits) -> usize {
    usize::from(window.get() - WindowBits::MIN.get())
}

/// RSV1 as [`Header::rsv`] has it: the message is compressed (RFC 7692, 6).
pub(crate) const RSV1: u8 = 4;

/// Windows that there are.
const WINDOWS: usize = (WindowBits::MAX.get() - WindowBits::MIN.get()) as usize + 1;

/// Payload bytes to spread over the cycle: small enough to stay in a core's cache beside everything else.
const CORPUS_BYTES: usize = 32 << 10;

/// Fewest messages in a cycle: with two, a reply out of turn still differs from the one awaited.
const FEWEST: usize = 2;

/// Most messages in a cycle: also the most that one send can carry.
const MOST: usize = 64;

/// Payload bytes and most messages where compression takes context over: twice the largest window, since in a cycle that
/// fits into it every message would compress to a reference to its last turn.
const REMEMBERED: (usize, usize) = (2 * WindowBits::MAX.size(), 1 << 13);

#[cfg(test)]
#[path = "messages/tests.rs"]
mod tests;
