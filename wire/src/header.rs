//! One frame header (RFC 6455, 5.2): reading it as early as its bytes allow, and writing it.

use crate::{opcode::OpCode, violation::Violation};

/// Bytes of the longest header: two, a length of eight, a masking key of four.
pub const MAX_HEADER_LEN: usize = 14;

/// Bytes a control frame's payload may have (RFC 6455, 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message's last frame.
    pub fin: bool,
    /// The three reserved bits, RSV1 = 4, RSV2 = 2, RSV3 = 1.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: OpCode,
    /// The masking key; a client's frames have one, a server's have none (RFC 6455, 5.3).
    pub mask: Option<[u8; 4]>,
    /// The payload's length in bytes, below 2^63.
    pub payload_len: u64,
}

impl Header {
    /// Reads the header at the start of `bytes`, and tells its length (2..=14 bytes); `None` if it is incomplete.
    /// Whether a mask or reserved bits are in place is the caller's to judge.
    ///
    /// # Errors
    /// Reserved opcodes, lengths not in their shortest form or with the top bit set, control frames that are
    /// fragmented or over 125 bytes: each as soon as the bytes at hand leave no way out, the same for every prefix.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = parse_opcode(first)?;
        let Some((payload_len, length_end)) = parse_length(opcode, bytes)? else {
            return Ok(None);
        };
        let (mask, end) = if bytes[1] & MASK_BIT == 0 {
            (None, length_end)
        } else {
            let Some(key) = bytes[length_end..].first_chunk() else {
                return Ok(None);
            };
            (Some(*key), length_end + MASK_LEN)
        };
        let header = Self { fin: first & FIN_BIT != 0, rsv: (first & RSV_BITS) >> 4, opcode, mask, payload_len };
        Ok(Some((header, end)))
    }

    /// Writes the header at the start of `out` and returns its length in bytes.
    #[inline]
    pub fn encode(&self, out: &mut [u8; MAX_HEADER_LEN]) -> usize {
        debug_assert!(self.rsv < 8 && self.payload_len >> 63 == 0, "fields that no header can hold: {self:?}");
        let mask_bit = if self.mask.is_some() { MASK_BIT } else { 0 };
        out[0] = if self.fin { FIN_BIT } else { 0 } | self.rsv << 4 | self.opcode as u8;
        let length_end = match self.payload_len {
            0..LEN_16 => {
                out[1] = mask_bit | self.payload_len as u8;
                2
            }
            LEN_16..=0xffff => {
                out[1] = mask_bit | LEN_16 as u8;
                out[2..4].copy_from_slice(&(self.payload_len as u16).to_be_bytes());
                4
            }
            _ => {
                out[1] = mask_bit | LEN_64 as u8;
                out[2..10].copy_from_slice(&self.payload_len.to_be_bytes());
                10
            }
        };
        let Some(key) = self.mask else { return length_end };
        out[length_end..length_end + MASK_LEN].copy_from_slice(&key);
        length_end + MASK_LEN
    }

    /// The length in bytes that [`Header::encode`] writes: 2..=14.
    pub fn encoded_len(&self) -> usize {
        let length_end = match self.payload_len {
            0..LEN_16 => 2,
            LEN_16..=0xffff => 4,
            _ => 10,
        };
        length_end + if self.mask.is_some() { MASK_LEN } else { 0 }
    }
}

/// The kind in a header's first byte, refused if reserved, or if it is a fragmented control frame's.
#[inline]
pub(crate) fn parse_opcode(first: u8) -> Result<OpCode, Violation> {
    let bits = first & 0x0f;
    let opcode = OpCode::from_bits(bits).ok_or(Violation::ReservedOpcode(bits))?;
    if opcode.is_control() && first & FIN_BIT == 0 {
        return Err(Violation::ControlFragmented);
    }
    Ok(opcode)
}

/// The payload's length and where in the header its encoding ends (2, 4 or 10), from the header's bytes so far.
#[inline]
pub(crate) fn parse_length(opcode: OpCode, header: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let Some(&second) = header.get(1) else { return Ok(None) };
    let short = u64::from(second & !MASK_BIT);
    if opcode.is_control() && short > MAX_CONTROL_PAYLOAD as u64 {
        return Err(Violation::ControlTooLong);
    }
    match short {
        0..LEN_16 => Ok(Some((short, 2))),
        LEN_16 => {
            let Some(&length) = header[2..].first_chunk() else {
                return Ok(None);
            };
            let length = u64::from(u16::from_be_bytes(length));
            if length < LEN_16 { Err(Violation::LengthNotMinimal) } else { Ok(Some((length, 4))) }
        }
        _ => {
            if header.get(2).is_some_and(|&top| top & 0x80 != 0) {
                return Err(Violation::LengthTooLarge);
            }
            // Six zeros decide it: whatever the last two bytes hold, sixteen bits would have done.
            if header.get(2..8) == Some(&[0; 6]) {
                return Err(Violation::LengthNotMinimal);
            }
            let length = header[2..].first_chunk().map(|&length| u64::from_be_bytes(length));
            Ok(length.map(|length| (length, 10)))
        }
    }
}

/// The first byte's top bit.
pub(crate) const FIN_BIT: u8 = 0x80;
/// The first byte of an unfragmented text message.
pub(crate) const FINAL_TEXT: u8 = FIN_BIT | OpCode::Text as u8;
/// The first byte of an unfragmented binary message.
pub(crate) const FINAL_BINARY: u8 = FIN_BIT | OpCode::Binary as u8;
/// The first byte's reserved bits.
pub(crate) const RSV_BITS: u8 = 0x70;
/// The first byte's RSV1: a compressed message begins (RFC 7692, 6).
pub(crate) const RSV1_BIT: u8 = 0x40;
/// The second byte's top bit.
pub(crate) const MASK_BIT: u8 = 0x80;
/// Bytes of a masking key.
pub(crate) const MASK_LEN: usize = 4;
/// In the second byte: sixteen bits of length follow. Also the smallest length they may hold.
pub(crate) const LEN_16: u64 = 126;
/// In the second byte: 64 bits of length follow.
const LEN_64: u64 = 127;
