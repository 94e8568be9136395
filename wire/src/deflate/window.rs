//! How far back a compressed message may refer.

use std::fmt;

/// The base-2 logarithm of the LZ77 window's size in bytes: 8 to 15 (RFC 7692, 7.1.2). By default 15, which is 32 KiB and
/// what holds where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(u8);

impl WindowBits {
    /// 256 bytes.
    pub const MIN: Self = Self(8);
    /// 32 KiB.
    pub const MAX: Self = Self(15);

    /// These bits, if they are 8 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= Self::MIN.0 && bits <= Self::MAX.0 { Some(Self(bits)) } else { None }
    }

    /// The value of a parameter: a decimal number of 8 to 15 without leading zeros (RFC 7692, 7.1.2.1).
    pub(crate) fn parse(value: &str) -> Option<Self> {
        match value.as_bytes() {
            [digit @ b'8'..=b'9'] => Some(Self(digit - b'0')),
            [b'1', digit @ b'0'..=b'5'] => Some(Self(10 + digit - b'0')),
            _ => None,
        }
    }

    /// The number of bits.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The window's size in bytes.
    pub const fn size(self) -> usize {
        1 << self.0
    }
}

impl From<WindowBits> for u8 {
    fn from(value: WindowBits) -> Self {
        value.0
    }
}

impl Default for WindowBits {
    fn default() -> Self {
        Self::MAX
    }
}

impl fmt::Display for WindowBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
