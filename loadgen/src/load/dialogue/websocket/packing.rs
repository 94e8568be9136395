//! Requests that refer to the ones before them: compressed for one connection, in the order they are sent.

use std::collections::VecDeque;

use wire::Peer;
use wire::deflate::{Agreed, Codec};

use crate::load::dialogue::per_worker::PerWorker;
use crate::plan::messages::{Corpus, Volume, push_frame};

/// Frames that are made and not yet sent whole.
#[derive(Debug)]
pub(super) struct Packing {
    codec: Codec,
    /// Bytes of the smallest message that is compressed.
    threshold: usize,
    /// The frames end to end; the first may have been sent in part.
    bytes: Vec<u8>,
    volumes: VecDeque<Volume>,
    payload: Vec<u8>,
}

impl Packing {
    pub(super) fn new(agreed: Agreed, threshold: usize) -> Self {
        let codec = Codec::new(agreed, Peer::Server);
        Self { codec, threshold, bytes: Vec::new(), volumes: VecDeque::new(), payload: Vec::new() }
    }

    /// Makes frames until there are `count` from message number `first` on, or as many as should be made before some are
    /// sent. Returns whether there was anything to do.
    #[inline(never)]
    pub(super) fn fill(&mut self, corpus: &Corpus, first: usize, count: usize, per_worker: &mut PerWorker) -> bool {
        let before = self.volumes.len();
        while self.volumes.len() < count && self.bytes.len() < FULL {
            self.push(corpus, corpus.after(first, self.volumes.len()), per_worker);
        }
        self.volumes.len() > before
    }

    /// Makes the frame of message number `index`.
    fn push(&mut self, corpus: &Corpus, index: usize, per_worker: &mut PerWorker) {
        let message = corpus.payload(index);
        let compressed = message.len() >= self.threshold;
        let payload = if compressed {
            self.payload.clear();
            self.codec.compress(&mut per_worker.shared, message, &mut self.payload);
            &self.payload[..]
        } else {
            message
        };
        let start = self.bytes.len();
        push_frame(&mut self.bytes, corpus.opcode(), compressed, Some(corpus.mask(index)), payload);
        self.volumes.push_back(Volume {
            messages: 1,
            message_bytes: message.len() as u64,
            payload_bytes: payload.len() as u64,
            frame_bytes: (self.bytes.len() - start) as u64,
        });
    }

    /// The frames of the first `count` messages, or of all there are.
    pub(super) fn frames(&self, count: usize) -> &[u8] {
        if count >= self.volumes.len() {
            return &self.bytes;
        }
        &self.bytes[..self.volumes.range(..count).map(|volume| volume.frame_bytes as usize).sum()]
    }

    /// The first `bytes` have been sent, some of them earlier: the messages that are whole, and the bytes sent of the next.
    pub(super) fn sent(&mut self, bytes: usize) -> (Volume, usize) {
        let (mut whole, mut rest) = (Volume::default(), bytes);
        while let Some(volume) = self.volumes.front().filter(|volume| volume.frame_bytes as usize <= rest) {
            rest -= volume.frame_bytes as usize;
            whole += *volume;
            self.volumes.pop_front();
        }
        self.bytes.drain(..bytes - rest);
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            (self.bytes, self.payload) = (Vec::new(), Vec::new());
        }
        (whole, rest)
    }
}

/// Bytes of frames that are made ahead of their being sent: what one send takes at most times.
const FULL: usize = 64 << 10;

/// Bytes that a connection keeps between messages: a thousand connections must not keep a large message each.
const KEPT: usize = 2 * FULL;
