//! The frames of a server's stream, read as they come: payloads are handed on in pieces where they lie, so that nothing is
//! kept of a message but what its reader keeps. Unlike an echo's, a relayed message is not known before it comes.

use wire::{Header, MAX_CONTROL_PAYLOAD, MAX_HEADER_LEN, OpCode, Violation};

use crate::load::dialogue::{Gone, closed};

/// What takes the messages of a stream.
pub trait Sink {
    /// The next piece of the current message's payload.
    fn payload(&mut self, piece: &[u8]);
    /// The current message is whole.
    fn message(&mut self, opcode: OpCode);
    /// The server wants a Pong with this payload.
    fn ping(&mut self, payload: &[u8]);
}

/// Where a stream of uncompressed frames stands.
#[derive(Debug)]
pub struct Frames {
    /// The beginning of a header whose rest has not come.
    head: [u8; MAX_HEADER_LEN],
    head_len: usize,
    /// The current frame, and how much of its payload is to come; `None` between two.
    frame: Option<Frame>,
    /// What the message is whose fragments are coming.
    message: Option<OpCode>,
    /// The payload of the control frame that is coming.
    control: [u8; MAX_CONTROL_PAYLOAD],
    control_len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    left: u64,
}

impl Frames {
    /// A stream of which nothing has come.
    pub fn new() -> Self {
        Self {
            head: [0; MAX_HEADER_LEN],
            head_len: 0,
            frame: None,
            message: None,
            control: [0; MAX_CONTROL_PAYLOAD],
            control_len: 0,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the server closed the connection or broke the protocol.
    #[inline]
    pub fn take(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let (header, len) = match self.header(bytes)? {
                        Some(found) => found,
                        None => return Ok(()),
                    };
                    bytes = &bytes[len..];
                    self.begin(&header)?
                }
            };
            let len = bytes.len().min(usize::try_from(frame.left).unwrap_or(usize::MAX));
            let (piece, rest) = bytes.split_at(len);
            if frame.opcode.is_control() {
                self.control[self.control_len..self.control_len + len].copy_from_slice(piece);
                self.control_len += len;
            } else if len > 0 {
                sink.payload(piece);
            }
            bytes = rest;
            frame.left -= len as u64;
            if frame.left > 0 {
                self.frame = Some(frame);
            } else {
                self.end(frame, sink)?;
            }
        }
        Ok(())
    }

    /// The header that ends in these bytes, and how many of them are its; keeps them where it does not end in them.
    #[inline]
    fn header(&mut self, bytes: &[u8]) -> Result<Option<(Header, usize)>, Gone> {
        let before = self.head_len;
        if before == 0
            && let Some(found) = Header::parse(bytes).map_err(Gone::Violation)?
        {
            return Ok(Some(found));
        }
        let more = bytes.len().min(MAX_HEADER_LEN - before);
        self.head[before..before + more].copy_from_slice(&bytes[..more]);
        match Header::parse(&self.head[..before + more]).map_err(Gone::Violation)? {
            Some((header, len)) => {
                self.head_len = 0;
                Ok(Some((header, len - before)))
            }
            None => {
                self.head_len = before + more;
                Ok(None)
            }
        }
    }

    /// Begins a frame, if it may come here.
    #[inline]
    fn begin(&mut self, header: &Header) -> Result<Frame, Gone> {
        let &Header { fin, rsv, opcode, mask, payload_len } = header;
        let violation = match (opcode, self.message) {
            _ if mask.is_some() => Some(Violation::Masked),
            _ if rsv != 0 => Some(Violation::ReservedBits),
            (OpCode::Text | OpCode::Binary, Some(_)) => Some(Violation::ExpectedContinuation),
            (OpCode::Continuation, None) => Some(Violation::UnexpectedContinuation),
            _ => None,
        };
        if let Some(violation) = violation {
            return Err(Gone::Violation(violation));
        }
        if matches!(opcode, OpCode::Text | OpCode::Binary) {
            self.message = Some(opcode);
        }
        Ok(Frame { opcode, fin, left: payload_len })
    }

    #[inline]
    fn end(&mut self, frame: Frame, sink: &mut impl Sink) -> Result<(), Gone> {
        let control = &self.control[..std::mem::take(&mut self.control_len)];
        match frame.opcode {
            OpCode::Ping => sink.ping(control),
            OpCode::Pong => {}
            OpCode::Close => return Err(closed(control)),
            OpCode::Text | OpCode::Binary | OpCode::Continuation if frame.fin => {
                sink.message(self.message.take().expect("a frame of a message has begun one"));
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept {
        message: Vec<u8>,
        messages: Vec<(OpCode, Vec<u8>)>,
        pings: Vec<Vec<u8>>,
    }

    impl Sink for Kept {
        fn payload(&mut self, piece: &[u8]) {
            self.message.extend_from_slice(piece);
        }

        fn message(&mut self, opcode: OpCode) {
            self.messages.push((opcode, std::mem::take(&mut self.message)));
        }

        fn ping(&mut self, payload: &[u8]) {
            self.pings.push(payload.to_vec());
        }
    }

    fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        let mut head = [0; MAX_HEADER_LEN];
        let header = Header { fin, rsv: 0, opcode, mask: None, payload_len: payload.len() as u64 };
        let len = header.encode(&mut head);
        [&head[..len], payload].concat()
    }

    #[test]
    fn messages_come_whole_however_the_stream_is_cut() {
        let long = vec![7; 70_000];
        let stream = [
            frame(true, OpCode::Binary, b"one"),
            frame(false, OpCode::Text, b"tw"),
            frame(true, OpCode::Ping, b"there?"),
            frame(true, OpCode::Continuation, b"o"),
            frame(true, OpCode::Text, b""),
            frame(true, OpCode::Pong, b"unasked"),
            frame(true, OpCode::Binary, &long),
            frame(true, OpCode::Binary, &[1; 200]),
        ]
        .concat();
        for cut in [1, 2, 3, 5, 13, 64, 1_000, stream.len()] {
            let (mut frames, mut kept) = (Frames::new(), Kept::default());
            stream.chunks(cut).for_each(|piece| frames.take(piece, &mut kept).unwrap());
            let lengths: Vec<_> = kept.messages.iter().map(|(opcode, payload)| (*opcode, payload.len())).collect();
            let (text, binary) = (OpCode::Text, OpCode::Binary);
            assert_eq!(lengths, [(binary, 3), (text, 3), (text, 0), (binary, 70_000), (binary, 200)], "{cut}");
            assert_eq!((kept.messages[1].1.as_slice(), kept.pings), (&b"two"[..], vec![b"there?".to_vec()]));
        }
    }

    #[test]
    fn what_no_server_may_send_ends_the_stream() {
        let compressed = |mut frame: Vec<u8>| {
            frame[0] |= 0x40;
            frame
        };
        for (stream, said) in [
            (frame(true, OpCode::Continuation, b"x"), "protocol violation"),
            (compressed(frame(true, OpCode::Text, b"x")), "protocol violation"),
            ([frame(false, OpCode::Text, b"x"), frame(true, OpCode::Text, b"y")].concat(), "protocol violation"),
            (frame(true, OpCode::Close, &1001u16.to_be_bytes()), "closed by the server with code 1001"),
        ] {
            let error = Frames::new().take(&stream, &mut Kept::default()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
