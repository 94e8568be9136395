//! The stream beneath fastwebsockets: reads pass the cursor of `wire`, writes are corked until the next read.
//!
//! It has no socket of its own but uses the link that is lent (see `link`).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wire::{Header, MAX_HEADER_LEN, Mark, OpCode, Stop, Violation};

use super::link::{Link, Standing, borrow};
use crate::config::WriteMode;
use crate::transport::Watched;

/// The adapter. One lives as long as its engine and serves many connections, one after the other.
#[derive(Debug)]
pub(crate) struct Cork {
    mode: WriteMode,
    /// Most bytes to read at once, and bytes that the library's buffer is to have at least.
    read_buffer: Option<usize>,
    /// TCP_QUICKACK before every wait.
    quickack: bool,
    /// Bytes of the filler that the library's buffer still awaits to grow to `read_buffer`.
    priming: Priming,
    /// Whole frames, and in cork mode possibly the rest of a frame, that wait to be sent.
    corked: Vec<u8>,
    /// Bytes of `corked` already sent.
    sent: usize,
    /// The library has been told that a part of a frame is written and will come with the rest.
    mid_frame: bool,
    /// What the peer did wrong, to be reported once the lawful frames before it are echoed.
    violation: Option<Violation>,
    /// The largest window that the library has offered for reading, bytes: about the size of its buffer.
    widest: usize,
}

#[derive(Debug, Clone, Copy)]
enum Priming {
    Due { payload: usize },
    Left(usize),
    Done,
}

impl Cork {
    /// An adapter that reads and writes as told.
    pub(crate) fn new(mode: WriteMode, read_buffer: Option<usize>, quickack: bool) -> Self {
        let priming = match read_buffer {
            Some(bytes) if bytes > LIBRARY_BUFFER => Priming::Due { payload: bytes - LIBRARY_HEADROOM },
            // The library's first buffer is larger already where less is asked for.
            _ => Priming::Done,
        };
        let corked = Vec::new();
        Self { mode, read_buffer, quickack, priming, corked, sent: 0, mid_frame: false, violation: None, widest: 0 }
    }

    /// The bytes that are still to be sent.
    pub(crate) fn into_unsent(mut self) -> Vec<u8> {
        self.corked.drain(..self.sent);
        self.corked
    }

    /// Sends everything that is corked.
    fn uncork(&mut self, stream: &mut Watched, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.corked.len() {
            self.sent += nonzero(ready!(Pin::new(&mut *stream).poll_write(cx, &self.corked[self.sent..]))?)?;
        }
        self.corked.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Writes `slices` (a frame, or the rest of one) behind what is corked, without copying them.
    fn write_through(
        &mut self,
        stream: &mut Watched,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total = length(slices);
        loop {
            let corked = self.corked.len() - self.sent;
            if corked == 0 {
                self.corked.clear();
                self.sent = 0;
                let written = nonzero(ready!(Pin::new(&mut *stream).poll_write_vectored(cx, slices))?)?;
                self.mid_frame = written < total;
                return Poll::Ready(Ok(written));
            }
            // The library passes a frame as at most two slices, of which the first may have been split for RSV1.
            let mut all = [&self.corked[self.sent..], &[], &[], &[]].map(IoSlice::new);
            for (slot, slice) in all[1..].iter_mut().zip(slices) {
                *slot = IoSlice::new(slice);
            }
            let written = nonzero(ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &all))?)?;
            self.sent += written.min(corked);
            if written > corked {
                self.mid_frame = written - corked < total;
                return Poll::Ready(Ok(written - corked));
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let [head, rest @ ..] = slices else { return Poll::Ready(Ok(0)) };
        match head.split_first() {
            // The library cannot set it.
            Some((&first, head)) if borrow(|link| link.rsv1) => {
                let first = [first | RSV1];
                let payload = rest.first().map_or(&[][..], |payload| payload);
                let written =
                    ready!(self.write_slices(cx, &[IoSlice::new(&first), IoSlice::new(head), IoSlice::new(payload)]))?;
                borrow(|link| link.rsv1 = false);
                Poll::Ready(Ok(written))
            }
            _ => self.write_slices(cx, slices),
        }
    }

    fn write_slices(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        borrow(|link| {
            let total = length(slices);
            let result = if self.mode == WriteMode::Cork && total <= COPIED_AT_MOST {
                if self.corked.len() + total > CORKED_AT_MOST && self.uncork(&mut link.stream, cx)?.is_pending() {
                    Poll::Pending
                } else {
                    slices.iter().for_each(|slice| self.corked.extend_from_slice(slice));
                    self.mid_frame = false;
                    Poll::Ready(Ok(total))
                }
            } else {
                self.write_through(&mut link.stream, cx, slices)
            };
            if result.is_pending() {
                link.standing = self.blocked();
                link.footprint = self.footprint();
            }
            result
        })
    }

    /// Bytes of memory that the engine's buffers have grown to.
    fn footprint(&self) -> usize {
        // Per frame, the library copies header and payload into one more buffer.
        let copies = if self.mode == WriteMode::PerFrame { 2 } else { 1 };
        copies * self.widest + self.corked.capacity()
    }

    /// Where the engine stands when a write, or the read after one, can go no further.
    fn blocked(&self) -> Standing {
        let clean = self.sent == 0 && !self.mid_frame && self.corked.is_empty();
        if clean { Standing::Reading } else { Standing::Writing }
    }

    fn read(&mut self, link: &mut Link, cx: &mut Context<'_>, window: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Before more is read, what is corked must be gone: a peer that does not read is not read from.
        if self.uncork(&mut link.stream, cx)?.is_pending() {
            link.standing = self.blocked();
            link.footprint = self.footprint();
            return Poll::Pending;
        }
        if let Some(violation) = self.violation {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, violation)));
        }
        self.widest = self.widest.max(window.remaining());
        let at_boundary = link.cursor.at_message_boundary();
        if at_boundary && self.refresh(window) {
            return Poll::Ready(Ok(()));
        }
        let limit = self.read_buffer.unwrap_or(usize::MAX);
        let start = window.filled().len();
        if link.stopping || receive(link, cx, window, limit)?.is_pending() {
            if self.quickack {
                // The kernel forgets it at every reply, hence again before what comes next.
                link.stream.acknowledge();
            }
            link.standing = if at_boundary { Standing::Rest } else { Standing::Reading };
            link.footprint = self.footprint();
            return Poll::Pending;
        }
        if let Err(stop) = follow(link, &mut window.filled_mut()[start..]) {
            self.violation = Some(stop.violation);
            window.set_filled(start + stop.lawful);
            if stop.lawful == 0 {
                // Nothing to pass on; returning nothing would mean the end of the stream.
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, stop.violation)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Makes the library rearrange its buffer, where it is worth it, by a Pong for it to ignore; true if it has one to
    /// read now.
    ///
    /// The library fills its buffer from front to back and starts over only when a frame does not fit behind the last
    /// one. Of a message that begins near the end a read would take just a piece, which costs a second read and often a
    /// second write. It rearranges the buffer for as many bytes as a header announces, and there is no other way to
    /// tell it to. The first Pong makes the buffer as large as configured, if it is; later ones bring it back to the
    /// front when less than a quarter of it is left.
    fn refresh(&mut self, window: &mut ReadBuf<'_>) -> bool {
        let space = window.remaining();
        match self.priming {
            Priming::Due { payload } => {
                put_filler_header(window, payload);
                self.priming = Priming::Left(payload);
            }
            Priming::Left(left) => {
                let now = left.min(space);
                window.initialize_unfilled_to(now);
                window.advance(now);
                self.priming = if now < left { Priming::Left(left - now) } else { Priming::Done };
            }
            Priming::Done if (FILLER_MIN..self.widest / 4).contains(&space) => {
                // The library reserves the payload's length and headroom behind the payload, which is there already:
                // twice the payload and the headroom must be just more than the space.
                let payload = (space - LIBRARY_HEADROOM) / 2 + 1;
                put_filler_header(window, payload);
                window.initialize_unfilled_to(payload);
                window.advance(payload);
            }
            Priming::Done => return false,
        }
        true
    }
}

fn put_filler_header(window: &mut ReadBuf<'_>, payload_len: usize) {
    let header = Header { fin: true, rsv: 0, opcode: OpCode::Pong, mask: None, payload_len: payload_len as u64 };
    let mut bytes = [0; MAX_HEADER_LEN];
    let length = header.encode(&mut bytes);
    window.put_slice(&bytes[..length]);
}

/// Follows the bytes with the link's cursor. Of compressed messages the library sees binary ones without RSV1, since it
/// knows no RSV1 and would check as UTF-8 what is not decompressed yet; what they are is noted in the link.
fn follow(link: &mut Link, bytes: &mut [u8]) -> Result<(), Stop> {
    if link.dialogue.codec().is_none() {
        return link.cursor.advance(bytes);
    }
    let before = link.begun.len();
    let mut starts = Vec::new();
    let followed = link.cursor.advance_marking(bytes, |Mark { at, opcode, compressed }| {
        link.begun.push_back(compressed.then_some(opcode));
        starts.push(at);
    });
    for (at, begun) in starts.into_iter().zip(link.begun.range(before..)) {
        if begun.is_some() {
            bytes[at] = bytes[at] & FIN | OpCode::Binary as u8;
        }
    }
    followed
}

/// One read from the bytes read ahead or from the socket, of at most `limit` bytes.
fn receive(link: &mut Link, cx: &mut Context<'_>, window: &mut ReadBuf<'_>, limit: usize) -> Poll<io::Result<()>> {
    if let Some(ahead) = &mut link.read_ahead {
        let count = ahead.len().min(window.remaining()).min(limit);
        window.put_slice(&ahead.split_to(count));
        if ahead.is_empty() {
            link.read_ahead = None;
        }
        return Poll::Ready(Ok(()));
    }
    if window.remaining() <= limit {
        return Pin::new(&mut link.stream).poll_read(cx, window);
    }
    let mut part = ReadBuf::new(window.initialize_unfilled_to(limit));
    ready!(Pin::new(&mut link.stream).poll_read(cx, &mut part))?;
    let count = part.filled().len();
    window.advance(count);
    Poll::Ready(Ok(()))
}

impl AsyncRead for Cork {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, window: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        borrow(|link| self.get_mut().read(link, cx, window))
    }
}

impl AsyncWrite for Cork {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        borrow(|link| self.get_mut().uncork(&mut link.stream, cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        borrow(|link| Pin::new(&mut link.stream).poll_shutdown(cx))
    }
}

fn length(slices: &[IoSlice<'_>]) -> usize {
    slices.iter().map(|slice| slice.len()).sum()
}

/// A socket that takes nothing of something would make the library try for ever.
fn nonzero(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}

/// Bytes: a frame is copied into the cork up to this size. Larger ones cost more to copy than the write that is saved.
const COPIED_AT_MOST: usize = 16 * 1024;

/// Bytes: the cork is sent when a further frame would make it larger. A write of 64 KiB costs hardly more per byte than
/// a larger one, and a read seldom brings more than that in small frames.
const CORKED_AT_MOST: usize = 64 * 1024;

/// A frame's FIN bit.
const FIN: u8 = 0x80;

/// A frame's RSV1 bit: it begins a compressed message (RFC 7692, 6).
const RSV1: u8 = 0x40;

/// Bytes of the buffer that fastwebsockets 0.10.0 starts with (`ReadHalf::after_handshake`).
const LIBRARY_BUFFER: usize = 8192;

/// Bytes that it reserves beyond a frame's payload (`MAX_HEADER_SIZE`).
const LIBRARY_HEADROOM: usize = 14;

/// Bytes: the smallest space that holds a filler's header and payload whatever its length.
const FILLER_MIN: usize = 32;
