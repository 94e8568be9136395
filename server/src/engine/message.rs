//! Putting fragmented messages together.
//!
//! fastwebsockets' own `FragmentCollector` drops an incomplete code point at the end of a fragmented text and hands on
//! the rest as if it were whole; RFC 6455, 8.1, wants that refused.

use fastwebsockets::{Frame, OpCode};
use wire::Violation;

/// The fragments of one message so far.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    open: Option<Fragments>,
}

#[derive(Debug)]
struct Fragments {
    opcode: OpCode,
    payload: Vec<u8>,
    /// Bytes of `payload` known to be whole UTF-8 characters, if it is text.
    checked: usize,
}

impl Assembly {
    /// Bytes of the message that is open.
    pub(crate) fn len(&self) -> usize {
        self.open.as_ref().map_or(0, |fragments| fragments.payload.len())
    }

    /// Adds an unmasked data frame; returns the message that it completes.
    ///
    /// # Errors
    /// [`Violation::InvalidUtf8`] as soon as a text is beyond repair. (Whole frames of text are checked by the library,
    /// the order of frames by the cursor; an order that it would refuse is refused here likewise.)
    pub(crate) fn push<'f>(&mut self, frame: Frame<'f>) -> Result<Option<Frame<'f>>, Violation> {
        let Frame { fin, opcode, payload, .. } = frame;
        match (opcode, &mut self.open) {
            (OpCode::Continuation, None) => Err(Violation::UnexpectedContinuation),
            (OpCode::Continuation, Some(fragments)) => {
                fragments.payload.extend_from_slice(&payload);
                fragments.check(fin)?;
                let complete = self.open.take_if(|_| fin);
                Ok(complete.map(|whole| Frame::new(true, whole.opcode, None, whole.payload.into())))
            }
            (_, Some(_)) => Err(Violation::ExpectedContinuation),
            (opcode, None) if fin => Ok(Some(Frame::new(true, opcode, None, payload))),
            (opcode, open) => {
                let fragments = open.insert(Fragments { opcode, payload: payload.to_vec(), checked: 0 });
                fragments.check(false)?;
                Ok(None)
            }
        }
    }
}

impl Fragments {
    /// Checks what has been added. Only at the end must the last character be whole.
    fn check(&mut self, fin: bool) -> Result<(), Violation> {
        if self.opcode != OpCode::Text {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn push(assembly: &mut Assembly, fin: bool, opcode: OpCode, payload: &[u8]) -> Result<Option<Vec<u8>>, Violation> {
        let frame = assembly.push(Frame::new(fin, opcode, None, payload.to_vec().into()))?;
        Ok(frame.map(|whole| whole.payload.to_vec()))
    }

    #[test]
    fn text_may_be_cut_anywhere_but_must_end_whole() {
        let text = "κόσμε €😀".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut assembly = Assembly::default();
                assert_eq!(push(&mut assembly, false, OpCode::Text, &text[..first]), Ok(None));
                assert_eq!(push(&mut assembly, false, OpCode::Continuation, &text[first..second]), Ok(None));
                let whole = push(&mut assembly, true, OpCode::Continuation, &text[second..]);
                assert_eq!(whole, Ok(Some(text.to_vec())));
            }
        }
        let mut assembly = Assembly::default();
        assert_eq!(push(&mut assembly, false, OpCode::Text, b"ab"), Ok(None));
        assert_eq!(
            push(&mut assembly, true, OpCode::Continuation, "€".as_bytes().split_last().unwrap().1),
            Err(Violation::InvalidUtf8)
        );
    }

    #[test]
    fn broken_text_fails_at_once() {
        let mut assembly = Assembly::default();
        assert_eq!(push(&mut assembly, false, OpCode::Text, b"\xc3"), Ok(None));
        assert_eq!(push(&mut assembly, false, OpCode::Continuation, b"\x28"), Err(Violation::InvalidUtf8));
    }

    #[test]
    fn binary_is_not_text() {
        let mut assembly = Assembly::default();
        assert_eq!(push(&mut assembly, false, OpCode::Binary, b"\xff"), Ok(None));
        assert_eq!(push(&mut assembly, true, OpCode::Continuation, b"\xfe"), Ok(Some(b"\xff\xfe".to_vec())));
        assert_eq!(push(&mut assembly, true, OpCode::Text, b"next"), Ok(Some(b"next".to_vec())));
    }
}
