//! The four bits that say what a frame is.

/// A frame's kind (RFC 6455, 5.2 and 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// A further frame of a fragmented message.
    Continuation = 0,
    /// The first frame of a message of UTF-8.
    Text = 1,
    /// The first frame of a message of bytes.
    Binary = 2,
    /// The connection's end begins.
    Close = 8,
    /// Asks for a Pong with the same payload.
    Ping = 9,
    /// Answers a Ping, or comes unasked.
    Pong = 10,
}

impl OpCode {
    /// The kind that these four bits name; `None` for the reserved values 3-7 and 11-15, and for anything above.
    #[inline]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Close, Ping or Pong: never fragmented, 125 bytes at the most (RFC 6455, 5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 & 8 != 0
    }

    /// Text, Binary or Continuation (RFC 6455, 5.6).
    #[inline]
    pub const fn is_data(self) -> bool {
        !self.is_control()
    }
}
