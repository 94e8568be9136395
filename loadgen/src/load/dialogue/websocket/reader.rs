//! Replies that are read frame by frame: all of a connection's where they may come compressed or not all is compared, and
//! elsewhere what is not the awaited reply in one frame, until the stream is regular again.

use std::mem;

use wire::{MAX_HEADER_LEN, OpCode, Violation};

use super::WebSocket;
use super::attribution::{Body, Incoming};
use super::frames::{Dropped, Fragments, Frame, Inflating, Next, Reader, Whole, most_read};
use crate::load::dialogue::flight::Flight;
use crate::load::dialogue::observer::{Checked, Observer};
use crate::load::dialogue::per_worker::PerWorker;
use crate::load::dialogue::{Gone, MOST_EARLY};
use crate::measure::glimpse::EXCERPT_BYTES;
use crate::plan::messages::{Corpus, RSV1, Volume, push_frame};

impl WebSocket {
    /// Takes the next bytes of a stream that is read frame by frame.
    #[inline(never)]
    pub(super) fn read_frames(
        &mut self,
        flight: &mut Flight,
        corpus: &Corpus,
        per_worker: &mut PerWorker,
        chunk: &[u8],
        observer: &mut impl Observer,
    ) -> Result<(), Gone> {
        let mut reader = self.reader.take().expect("a stream that is not regular has a reader");
        let mut stream = mem::take(&mut reader.stream);
        // Frames are read where they lie, unless the beginning of the first has come earlier.
        let behind = !stream.is_empty();
        if behind {
            stream.extend_from_slice(chunk);
        }
        let read =
            match self.read(&mut reader, flight, corpus, per_worker, if behind { &stream } else { chunk }, observer) {
                Ok(read) => read,
                Err(gone) => {
                    // What is ambiguous is settled when the connection is given up.
                    self.reader = Some(reader);
                    return Err(gone);
                }
            };
        if behind {
            stream.drain(..read);
        } else {
            stream.extend_from_slice(&chunk[read..]);
        }
        if stream.is_empty() && stream.capacity() > KEPT {
            stream = Vec::new();
        }
        if reader.lasts() || !stream.is_empty() || reader.message.is_some() || flight.early > 0 {
            reader.stream = stream;
            self.reader = Some(reader);
        }
        Ok(())
    }

    /// Reads what is whole, and returns its length.
    fn read(
        &mut self,
        reader: &mut Reader,
        flight: &mut Flight,
        corpus: &Corpus,
        per_worker: &mut PerWorker,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> Result<usize, Gone> {
        let mut read = 0;
        while read < bytes.len() {
            let rest = &bytes[read..];
            if reader.dropped.is_some() {
                read += self.drop_payload(reader, flight, corpus, per_worker, rest, observer)?;
                continue;
            }
            if let Some(len) = Self::take_known(reader, flight, corpus, per_worker, rest, observer) {
                read += len;
                continue;
            }
            match reader.next(rest, corpus.longest())? {
                Next::Part => break,
                Next::Whole(frame) => {
                    read += frame.bytes.len();
                    self.take_frame(reader, flight, corpus, per_worker, &frame, observer)?;
                }
                Next::Oversized { header, header_len } => {
                    read += header_len;
                    reader.drop_frame(&header, header_len);
                    if header.payload_len == 0 {
                        self.drop_payload(reader, flight, corpus, per_worker, &[], observer)?;
                    }
                }
            }
        }
        Ok(read)
    }

    fn take_frame(
        &mut self,
        reader: &mut Reader,
        flight: &mut Flight,
        corpus: &Corpus,
        per_worker: &mut PerWorker,
        frame: &Frame<'_>,
        observer: &mut impl Observer,
    ) -> Result<(), Gone> {
        let (header, frame_bytes) = (&frame.header, frame.bytes.len() as u64);
        let payload = &frame.bytes[frame.header_len..];
        match header.opcode {
            OpCode::Ping => push_pong(&mut self.control, payload),
            OpCode::Pong => {
                if let Some(pings) = &mut self.pings {
                    observer.pong(pings.answered(payload));
                }
            }
            OpCode::Close => return Err(closed(payload)),
            opcode if header.fin && reader.message.is_none() => {
                let (compressed, len) = (header.rsv == RSV1, payload.len() as u64);
                let frame = Some(frame);
                let message = Whole { opcode, compressed, payload, len, frame_bytes, oversized: false, frame };
                self.take_message(reader, flight, corpus, per_worker, &message, observer)?;
            }
            _ => {
                let message = reader.message.get_or_insert_with(|| Fragments::of(header));
                message.push(payload, usize::MAX);
                message.frame_bytes += frame_bytes;
                if header.fin {
                    let message = reader.message.take().expect("it is there");
                    self.take_message(reader, flight, corpus, per_worker, &message.whole(), observer)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the next bytes of a frame whose payload is dropped; returns how many there were.
    fn drop_payload(
        &mut self,
        reader: &mut Reader,
        flight: &mut Flight,
        corpus: &Corpus,
        per_worker: &mut PerWorker,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> Result<usize, Gone> {
        let (Some(Dropped { left, fin }), Some(message)) = (&mut reader.dropped, &mut reader.message) else {
            return Ok(0);
        };
        let len = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        message.push(&bytes[..len], EXCERPT_BYTES);
        message.frame_bytes += len as u64;
        *left -= len as u64;
        if *left == 0 {
            let fin = *fin;
            reader.dropped = None;
            if fin {
                let message = reader.message.take().expect("it is there");
                self.take_message(reader, flight, corpus, per_worker, &message.whole(), observer)?;
            }
        }
        Ok(len)
    }

    /// Takes the frame at the start of `bytes` if it is known to be the reply whose turn it is; its length.
    #[inline]
    fn take_known(
        reader: &Reader,
        flight: &mut Flight,
        corpus: &Corpus,
        per_worker: &PerWorker,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> Option<usize> {
        let regular = reader.message.is_none() && flight.early == 0 && flight.sent > 0 && reader.skip == 0;
        if !regular || !matches!(reader.inflating, Inflating::Alone(_)) {
            return None;
        }
        let (len, header_len) = per_worker.knows(flight.oldest, bytes)?;
        let volume = corpus.reply_volume(flight.oldest);
        let payload_bytes = (len - header_len) as u64;
        observer.received(Volume { payload_bytes, frame_bytes: len as u64, ..volume });
        observer.checked(flight.queue[0], if reader.content { Checked::Identical } else { Checked::Length });
        flight.answered_next(corpus, observer);
        Some(len)
    }

    fn take_message(
        &mut self,
        reader: &mut Reader,
        flight: &mut Flight,
        corpus: &Corpus,
        per_worker: &mut PerWorker,
        message: &Whole<'_>,
        observer: &mut impl Observer,
    ) -> Result<(), Gone> {
        let PerWorker { shared, known } = per_worker;
        let content = reader.content;
        let (body, checked) = match &mut reader.inflating {
            _ if message.oversized && message.compressed => (Body::Oversized(None, &[]), Some(Checked::Frame)),
            _ if message.oversized => {
                (Body::Oversized(Some(message.len), message.payload), (!content).then_some(Checked::Length))
            }
            Inflating::Alone(codec) | Inflating::InTurn(codec) if message.compressed => {
                let most = most_read(corpus.longest());
                let inflated = codec.decompress(shared, message.payload, most);
                let inflated = inflated.map_err(|violation| match violation {
                    Violation::MessageTooBig { limit } => Gone::TooLong(limit),
                    violation => Gone::Violation(violation),
                })?;
                if content {
                    (Body::Content(inflated), Some(Checked::Inflated))
                } else {
                    (Body::Length(inflated), Some(Checked::Length))
                }
            }
            Inflating::Skipped if message.compressed => (Body::Packed(message.payload.len()), Some(Checked::Frame)),
            _ if content => (Body::Content(message.payload), None),
            _ => (Body::Length(message.payload), Some(Checked::Length)),
        };
        let passed_over = reader.skip > 0;
        reader.skip = reader.skip.saturating_sub(1);
        let incoming = Incoming { opcode: message.opcode, body, checked, passed_over };
        let verified = if reader.in_order {
            flight.answered_in_order(corpus, &incoming, observer)
        } else {
            flight.attribute(&mut reader.ambiguous, corpus, &incoming, observer)
        };
        if flight.early > MOST_EARLY {
            return Err(Gone::Missing);
        }
        if verified.is_some() || !passed_over {
            let length = |index: usize| corpus.reply_volume(index).message_bytes;
            observer.received(Volume {
                messages: 1,
                message_bytes: body.len().unwrap_or_else(|| verified.filter(|_| !reader.in_order).map_or(0, length)),
                payload_bytes: message.len,
                frame_bytes: message.frame_bytes,
            });
        }
        if let (Some(index), Some(frame), Inflating::Alone(_), true) =
            (verified, message.frame, &reader.inflating, message.compressed)
            && body.bytes() == Some(corpus.reply(index))
        {
            known.learn(index, frame.bytes, frame.header_len);
        }
        if verified.is_none() && message.compressed {
            shared.trim();
        }
        Ok(())
    }
}

/// Appends a masked Pong with the Ping's payload (RFC 6455, 5.5.3). More than [`MAX_CONTROL_BYTES`] are never owed: a
/// server that pings without reading gets the latest ones left out, as the RFC allows.
fn push_pong(control: &mut Vec<u8>, payload: &[u8]) {
    if control.len() + MAX_HEADER_LEN + payload.len() <= MAX_CONTROL_BYTES {
        push_frame(control, OpCode::Pong, false, Some(rand::random()), payload);
    }
}

/// What a Close frame with this payload means.
pub fn closed(payload: &[u8]) -> Gone {
    let (words, answer) = match wire::parse_close(payload) {
        Ok(Some((code, ""))) => (format!("code {}", code.get()), Some(code)),
        Ok(Some((code, reason))) => (format!("code {} ({})", code.get(), reason.escape_debug()), Some(code)),
        Ok(None) => ("no code".into(), None),
        Err(violation) => (format!("a Close frame that is none: {violation}"), Some(violation.close_code())),
    };
    Gone::Closed { words, answer }
}

/// The most Pongs and Pings to be sent at a time, in bytes: a flood of Pings must not grow the generator.
pub(super) const MAX_CONTROL_BYTES: usize = 4096;

/// Bytes that a connection keeps between messages: a thousand connections must not keep a large message each.
const KEPT: usize = 64 << 10;
