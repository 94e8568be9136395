//! What a peer can do wrong, in words for it to read, and the close code that each fault leads to.

use thiserror::Error;

use crate::close_code::CloseCode;

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
    /// A message whose reply would be above the limit.
    #[error("the reply to a message would be larger than {limit} bytes")]
    ReplyTooBig {
        /// The largest reply sent, in bytes.
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
            Self::MessageTooBig { .. } | Self::ReplyTooBig { .. } | Self::TooManyFragments { .. } => {
                CloseCode::MESSAGE_TOO_BIG
            }
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

#[cfg(test)]
mod tests {
    use super::*;

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
            (Violation::ReplyTooBig { limit: u64::MAX }, 1009),
            (Violation::TooManyFragments { limit: u32::MAX }, 1009),
            (Violation::InvalidUtf8, 1007),
            (Violation::CorruptCompression, 1007),
            (Violation::InvalidClosePayload, 1002),
        ];
        for (violation, code) in cases {
            assert_eq!(violation.close_code().get(), code, "{violation}");
            // A Close frame holds 125 bytes, of which the code takes 2 (RFC 6455, 5.5).
            assert!(violation.to_string().len() <= 123, "{violation}");
        }
    }
}
