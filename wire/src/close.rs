//! How a connection ends: the close codes, the Close frame's payload, and the violations that lead to one.

use thiserror::Error;

use crate::header::MAX_CONTROL_PAYLOAD;

/// A code that may stand in a Close frame (RFC 6455, 7.4 and the registry of its section 11.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server shuts down, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the peer sent a kind of data that is not accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: the data contradict their kind, as text that is not UTF-8 does.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: refused for a reason of policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: the message is larger than a limit.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: the sender failed unexpectedly.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1013: overloaded, try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code, if it may be sent (see [`CloseCode::is_valid_on_wire`]).
    pub const fn new(code: u16) -> Option<Self> {
        if Self::is_valid_on_wire(code) { Some(Self(code)) } else { None }
    }

    /// Whether a Close frame may carry `code`: assigned ones but 1005, 1006 and 1015, which only report what was seen
    /// locally (RFC 6455, 7.4.1), and those for libraries and applications (7.4.2).
    pub const fn is_valid_on_wire(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

/// What a peer did wrong. The text is fit to be a Close frame's reason: at most 123 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// RSV bits set that no extension defines (RFC 6455, 5.2).
    #[error("reserved bits are set")]
    ReservedBits,
    /// An opcode of 3-7 or 11-15 (RFC 6455, 5.2).
    #[error("opcode {0} is reserved")]
    ReservedOpcode(u8),
    /// A client's frame without a mask (RFC 6455, 5.1).
    #[error("a client's frame must be masked")]
    NotMasked,
    /// A server's frame with a mask (RFC 6455, 5.1).
    #[error("a server's frame must not be masked")]
    Masked,
    /// A control frame over 125 bytes (RFC 6455, 5.5).
    #[error("a control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A control frame without FIN (RFC 6455, 5.5).
    #[error("a control frame is fragmented")]
    ControlFragmented,
    /// A length written in more bytes than it needs (RFC 6455, 5.2).
    #[error("a payload length is not in its shortest form")]
    LengthNotMinimal,
    /// A 64-bit length with the top bit set (RFC 6455, 5.2).
    #[error("a payload length has its top bit set")]
    LengthTooLarge,
    /// A continuation while no fragmented message is open (RFC 6455, 5.4).
    #[error("a continuation without a message to continue")]
    UnexpectedContinuation,
    /// A new message while a fragmented one is open (RFC 6455, 5.4).
    #[error("a new message before the fragmented one ended")]
    ExpectedContinuation,
    /// A message, summed over its fragments, above the limit.
    #[error("a message is larger than {limit} bytes")]
    MessageTooBig {
        /// The largest message accepted, in bytes.
        limit: u64,
    },
    /// More frames in one message than the limit.
    #[error("a message has more than {limit} fragments")]
    TooManyFragments {
        /// The most fragments accepted.
        limit: u32,
    },
    /// Text, or a close reason, that is not UTF-8 (RFC 6455, 8.1).
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// A compressed message that is no DEFLATE stream, or is cut short (RFC 7692, 7.2.2).
    #[error("a compressed message is corrupt")]
    CorruptCompression,
    /// A Close payload of one byte, or with a code that may not be sent (RFC 6455, 5.5.1 and 7.4).
    #[error("a Close frame's payload is invalid")]
    InvalidClosePayload,
}

impl Violation {
    /// The code to close the connection with (RFC 6455, 7.4.1).
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::CorruptCompression => CloseCode::INVALID_DATA,
            Self::MessageTooBig { .. } | Self::TooManyFragments { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::NotMasked
            | Self::Masked
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::LengthNotMinimal
            | Self::LengthTooLarge
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::InvalidClosePayload => CloseCode::PROTOCOL_ERROR,
        }
    }
}

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

    #[test]
    fn every_violation_has_a_code_and_a_text_that_fits() {
        let cases = [
            (Violation::ReservedBits, 1002),
            (Violation::ReservedOpcode(15), 1002),
            (Violation::NotMasked, 1002),
            (Violation::Masked, 1002),
            (Violation::ControlTooLong, 1002),
            (Violation::ControlFragmented, 1002),
            (Violation::LengthNotMinimal, 1002),
            (Violation::LengthTooLarge, 1002),
            (Violation::UnexpectedContinuation, 1002),
            (Violation::ExpectedContinuation, 1002),
            (Violation::MessageTooBig { limit: u64::MAX }, 1009),
            (Violation::TooManyFragments { limit: u32::MAX }, 1009),
            (Violation::InvalidUtf8, 1007),
            (Violation::CorruptCompression, 1007),
            (Violation::InvalidClosePayload, 1002),
        ];
        for (violation, code) in cases {
            assert_eq!(violation.close_code().get(), code, "{violation}");
            assert!(violation.to_string().len() <= MAX_REASON_LEN, "{violation}");
        }
    }
}
