//! From a compressed message's payload to the message (RFC 7692, 7.2.2), by zlib-rs.

use std::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use crate::violation::Violation;

/// The receiving end of one direction: 40 KiB of memory, of which 32 KiB are the window whatever was agreed.
///
/// Without context takeover one serves any number of connections, a message at a time.
pub struct Decompressor {
    inflate: Inflate,
    context_takeover: bool,
}

/// A buffer for decompressed messages, to be used again and again.
#[derive(Debug, Default)]
pub struct Output {
    /// Initialised to its full length; what counts is told by whoever wrote into it.
    bytes: Vec<u8>,
}

impl Decompressor {
    /// One for messages that refer to the ones before them, or for messages that do not.
    pub fn new(context_takeover: bool) -> Self {
        Self { inflate: Inflate::new(false, 15), context_takeover }
    }

    /// The message whose compressed payload, all of it, is `payload`.
    ///
    /// A block marked as the stream's last (BFINAL) ends nothing but the block, as 7.2.3.4 allows. What follows it cannot
    /// refer to what was before it.
    ///
    /// # Errors
    /// [`Violation::MessageTooBig`] as soon as the message exceeds `limit` bytes, when at most twice as many have been
    /// written; [`Violation::CorruptCompression`] for a payload that is no DEFLATE stream or is cut short. The connection
    /// is to be closed after either.
    pub fn decompress<'o>(
        &mut self,
        payload: &[u8],
        limit: u64,
        output: &'o mut Output,
    ) -> Result<&'o mut [u8], Violation> {
        // Without the one byte that an empty message consists of it is no DEFLATE, but nothing else can be meant.
        if payload.is_empty() {
            return Ok(&mut []);
        }
        if !self.context_takeover {
            self.inflate.reset(false);
        }
        let mut written = 0;
        if self.feed(payload, limit, output, &mut written)? == Stream::Open && !self.ends_whole() {
            return Err(Violation::CorruptCompression);
        }
        Ok(&mut output.bytes[..written])
    }

    /// Puts back what the sender took off the end, and tells whether a whole message was before it. Then this is an empty
    /// block, and zlib, told to stop at a block's end, leaves the byte behind it; amid anything else it takes the byte.
    fn ends_whole(&mut self) -> bool {
        let [a, b, c, d] = TAIL;
        let (taken, written) = (self.inflate.total_in() + TAIL.len() as u64, self.inflate.total_out());
        self.inflate.decompress(&[a, b, c, d, 0], &mut [0], InflateFlush::Block).is_ok()
            && (self.inflate.total_in(), self.inflate.total_out()) == (taken, written)
    }

    fn feed(
        &mut self,
        mut input: &[u8],
        limit: u64,
        output: &mut Output,
        written: &mut usize,
    ) -> Result<Stream, Violation> {
        // One byte more than the limit, so that a message of just this size can be told from a larger one.
        let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
        loop {
            if *written == output.bytes.len() {
                output.grow(most);
            }
            let end = output.bytes.len().min(most);
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(input, &mut output.bytes[*written..end], InflateFlush::SyncFlush)
                .map_err(|_| Violation::CorruptCompression)?;
            input = &input[(self.inflate.total_in() - before_in) as usize..];
            *written += (self.inflate.total_out() - before_out) as usize;
            if *written as u64 > limit {
                return Err(Violation::MessageTooBig { limit });
            }
            match status {
                Status::StreamEnd => {
                    self.inflate.reset(false);
                    if input.is_empty() {
                        return Ok(Stream::Ended);
                    }
                }
                // All that could be written was, if there was room for more.
                Status::Ok | Status::BufError if input.is_empty() && *written < end => return Ok(Stream::Open),
                Status::Ok => {}
                Status::BufError if *written == end => {}
                Status::BufError => return Err(Violation::CorruptCompression),
            }
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("context_takeover", &self.context_takeover).finish_non_exhaustive()
    }
}

/// Whether the input ended with a last block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Open,
    Ended,
}

impl Output {
    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back the memory that a large message took, which is for whoever keeps this for long to call.
    pub fn trim(&mut self) {
        if self.bytes.len() > KEPT {
            self.bytes.truncate(KEPT);
            self.bytes.shrink_to_fit();
        }
    }

    fn grow(&mut self, most: usize) {
        debug_assert!(self.bytes.len() < most, "a limit that was passed without notice");
        let len = (self.bytes.len() * 2).max(FIRST).min(most.max(FIRST));
        self.bytes.resize(len, 0);
    }
}

/// Bytes of the smallest buffer: most messages fit.
const FIRST: usize = 16 << 10;

/// Bytes that [`Output::trim`] leaves.
const KEPT: usize = 256 << 10;

/// What a sender takes off a flushed DEFLATE stream and a receiver puts back (RFC 7692, 7.2.1 and 7.2.2): the lengths of
/// an empty stored block.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
