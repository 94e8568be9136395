//! What a client's frames say, one message or control frame after the other, for a server that does something else with a
//! message than answer it where it lies.

use std::mem;

use crate::close::parse_close;
use crate::cursor::{Cursor, Limits, Peer};
use crate::header::{FIN_BIT, MASK_LEN, RSV1_BIT};
use crate::mask::apply_mask;
use crate::opcode::OpCode;
use crate::violation::Violation;

/// The receiving end of one connection: where its stream stands, and the fragments of a message so far.
#[derive(Debug)]
pub struct Receiver {
    cursor: Cursor,
    open: Option<Fragments>,
    /// The message that was put together of fragments last, until the next call.
    whole: Vec<u8>,
}

/// What a frame brought, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'b> {
    /// A whole message: the frame itself, or what its last fragment completed.
    Message {
        /// Text or binary.
        opcode: OpCode,
        /// Whether the payload is compressed. A text that is not is UTF-8.
        compressed: bool,
        /// The payloads of its frames.
        payload: &'b [u8],
    },
    /// A part of a message of which more is to come.
    Fragment,
    /// A Ping, to be answered by a Pong with the same payload (RFC 6455, 5.5.3).
    Ping(&'b [u8]),
    /// A Pong, which needs no answer.
    Pong,
    /// A Close, to be answered by a Close with the same payload (5.5.1). Nothing behind it counts.
    Close(&'b [u8]),
}

#[derive(Debug)]
struct Fragments {
    opcode: OpCode,
    compressed: bool,
    payload: Vec<u8>,
    /// Bytes of `payload` known to be whole UTF-8 characters, if that is asked of them.
    checked: usize,
}

impl Receiver {
    /// At the start of a client's stream; `deflate`: messages may be compressed (permessage-deflate was agreed).
    pub fn new(limits: Limits, deflate: bool) -> Self {
        let cursor = Cursor::new(Peer::Client, limits);
        let cursor = if deflate { cursor.with_deflate() } else { cursor };
        Self { cursor, open: None, whole: Vec::new() }
    }

    /// Bytes of memory that it holds for a message that is not whole.
    pub fn held(&self) -> usize {
        self.whole.capacity() + self.open.as_ref().map_or(0, |open| open.payload.capacity())
    }

    /// What the frame at the start of `buf` brings, and how many bytes it has; `None` while it is not whole.
    ///
    /// # Errors
    /// What is wrong with the frame, as early as the bytes show it.
    #[inline]
    pub fn next<'b>(&'b mut self, buf: &'b mut [u8]) -> Result<Option<(usize, Received<'b>)>, Violation> {
        if self.whole.capacity() > 0 {
            self.whole = Vec::new();
        }
        let Some((header_len, payload_len)) = self.cursor.pass_whole(buf)? else { return Ok(None) };
        let len = header_len + payload_len;
        let (header, payload) = buf[..len].split_at_mut(header_len);
        let (first, key) = (header[0], header.last_chunk::<MASK_LEN>().expect("a client's header ends in its mask"));
        apply_mask(payload, *key);
        Ok(Some((len, self.bring(first, payload)?)))
    }

    /// What a lawful frame with this first byte brings.
    fn bring<'b>(&'b mut self, first: u8, payload: &'b [u8]) -> Result<Received<'b>, Violation> {
        let (fin, compressed) = (first & FIN_BIT != 0, first & RSV1_BIT != 0);
        match OpCode::from_bits(first & 0x0f).expect("it has been judged") {
            OpCode::Ping => Ok(Received::Ping(payload)),
            OpCode::Pong => Ok(Received::Pong),
            OpCode::Close => {
                parse_close(payload)?;
                Ok(Received::Close(payload))
            }
            opcode @ (OpCode::Text | OpCode::Binary) if fin => {
                if !compressed {
                    check_text(opcode, payload)?;
                }
                Ok(Received::Message { opcode, compressed, payload })
            }
            opcode => {
                let fresh = || Fragments { opcode, compressed, payload: Vec::new(), checked: 0 };
                let open = self.open.get_or_insert_with(fresh);
                open.payload.extend_from_slice(payload);
                open.check(fin)?;
                if !fin {
                    return Ok(Received::Fragment);
                }
                let Fragments { opcode, compressed, payload, .. } =
                    mem::take(&mut self.open).expect("the message that ends here");
                self.whole = payload;
                Ok(Received::Message { opcode, compressed, payload: &self.whole })
            }
        }
    }
}

/// Refuses a text that is not UTF-8 (RFC 6455, 8.1): the payload, decompressed, of a whole message of that kind.
///
/// # Errors
/// [`Violation::InvalidUtf8`].
pub fn check_text(opcode: OpCode, payload: &[u8]) -> Result<(), Violation> {
    if opcode == OpCode::Text && simdutf8::basic::from_utf8(payload).is_err() {
        return Err(Violation::InvalidUtf8);
    }
    Ok(())
}

impl Fragments {
    /// Checks what has been added, if it is text. Only at the end must the last character be whole.
    fn check(&mut self, fin: bool) -> Result<(), Violation> {
        if self.opcode != OpCode::Text || self.compressed {
            return Ok(());
        }
        match std::str::from_utf8(&self.payload[self.checked..]) {
            Ok(_) => self.checked = self.payload.len(),
            Err(error) if error.error_len().is_none() && !fin => self.checked += error.valid_up_to(),
            Err(_) => return Err(Violation::InvalidUtf8),
        }
        Ok(())
    }
}
