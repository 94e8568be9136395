//! The payload of a Close frame: a close code and a reason, written and read.

pub use crate::close_code::CloseCode;
use crate::header::MAX_CONTROL_PAYLOAD;
pub use crate::violation::Violation;

/// Writes a Close frame's payload into `buf` and returns it (RFC 6455, 5.5.1). A reason over 123 bytes is cut, at a
/// character's boundary.
pub fn close_payload<'a>(code: CloseCode, reason: &str, buf: &'a mut [u8; MAX_CONTROL_PAYLOAD]) -> &'a [u8] {
    let mut len = reason.len().min(MAX_REASON_LEN);
    while !reason.is_char_boundary(len) {
        len -= 1;
    }
    buf[..2].copy_from_slice(&code.get().to_be_bytes());
    buf[2..2 + len].copy_from_slice(&reason.as_bytes()[..len]);
    &buf[..2 + len]
}

/// Reads a Close frame's unmasked payload (RFC 6455, 5.5.1): `None` if it is empty, else the code and the reason.
///
/// # Errors
/// [`Violation::InvalidClosePayload`] for a single byte or a code that may not be sent, [`Violation::InvalidUtf8`] for
/// a reason that is not UTF-8.
pub fn parse_close(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        [_] => return Err(Violation::InvalidClosePayload),
    };
    let code = CloseCode::new(code).ok_or(Violation::InvalidClosePayload)?;
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Some((code, reason)))
}

/// Bytes left for the reason beside the code's two.
const MAX_REASON_LEN: usize = MAX_CONTROL_PAYLOAD - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_on_the_wire_are_those_of_the_registry() {
        let valid: Vec<u16> = (0..=u16::MAX).filter(|&code| CloseCode::is_valid_on_wire(code)).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(valid, expected);
    }

    #[test]
    fn payloads_are_read_or_refused() {
        let code = |code| CloseCode::new(code).unwrap();
        assert_eq!(parse_close(&[]), Ok(None));
        assert_eq!(parse_close(&[0x03]), Err(Violation::InvalidClosePayload));
        assert_eq!(parse_close(&[0x03, 0xe8]), Ok(Some((CloseCode::NORMAL, ""))));
        assert_eq!(parse_close(b"\x03\xe9going"), Ok(Some((CloseCode::GOING_AWAY, "going"))));
        assert_eq!(parse_close(b"\x0f\xa0\xe2\x82\xac"), Ok(Some((code(4000), "\u{20ac}"))));
        for refused in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535_u16] {
            assert_eq!(parse_close(&refused.to_be_bytes()), Err(Violation::InvalidClosePayload), "{refused}");
        }
        assert_eq!(parse_close(b"\x03\xe8\xe2\x82"), Err(Violation::InvalidUtf8), "a character cut short");
        assert_eq!(parse_close(b"\x03\xe8\xed\xa0\x80"), Err(Violation::InvalidUtf8), "a surrogate");
    }

    #[test]
    fn written_payloads_are_read_back_and_cut_at_a_character() {
        let mut buf = [0; MAX_CONTROL_PAYLOAD];
        assert_eq!(close_payload(CloseCode::NORMAL, "", &mut buf), [0x03, 0xe8]);
        for len in 0..200 {
            for pad in 0..4 {
                let reason: String = "x".repeat(pad) + &"\u{1f30a}".repeat(len);
                let payload = close_payload(CloseCode::GOING_AWAY, &reason, &mut buf);
                let (code, read) = parse_close(payload).unwrap().unwrap();
                assert_eq!(code, CloseCode::GOING_AWAY);
                assert!(reason.starts_with(read));
                assert!(read == reason || read.len() > MAX_REASON_LEN - 4, "cut too short: {}", read.len());
            }
        }
    }
}
