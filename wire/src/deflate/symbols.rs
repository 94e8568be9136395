//! The symbols by which DEFLATE names lengths and distances, and the codes of its fixed blocks (RFC 1951, 3.2.5 and 3.2.6).

/// Symbols for literals, the end of a block and lengths; the last two never occur, but have codes in fixed blocks.
pub(crate) const LITERALS: usize = 288;
/// Symbols for distances that occur.
pub(crate) const DISTANCES: usize = 30;
/// The symbol that ends a block.
pub(crate) const END: usize = 256;
/// Bytes of the shortest match.
pub(crate) const MIN_MATCH: usize = 3;
/// Bytes of the longest match.
pub(crate) const MAX_MATCH: usize = 258;

/// The symbol of a match's length, 3 to 258 bytes.
#[inline(always)]
pub(crate) fn length_symbol(len: usize) -> usize {
    END + 1 + LENGTHS[(len - MIN_MATCH) & 0xff] as usize
}

/// What is written after the length's symbol: the bits and their number.
#[inline(always)]
pub(crate) fn length_extra(len: usize) -> (u64, u32) {
    let index = LENGTHS[(len - MIN_MATCH) & 0xff] as usize;
    ((len - LENGTH_BASE[index & 31] as usize) as u64, u32::from(LENGTH_BITS[index & 31]))
}

/// Bits after the symbol of a length; none after others.
pub(crate) fn length_bits(symbol: usize) -> u32 {
    if symbol > END { u32::from(LENGTH_BITS[symbol - END - 1]) } else { 0 }
}

/// The symbol of a distance, 1 to 32,768 bytes.
#[inline(always)]
pub(crate) fn distance_symbol(distance: usize) -> usize {
    let below = (distance - 1) as u32;
    if below < 4 {
        return below as usize;
    }
    let top = below.ilog2();
    (2 * top + (below >> (top - 1) & 1)) as usize
}

/// What is written after the distance's symbol: the bits and their number.
#[inline(always)]
pub(crate) fn distance_extra(distance: usize, symbol: usize) -> (u64, u32) {
    let bits = distance_bits(symbol);
    ((distance - 1) as u64 & ((1 << bits) - 1), bits)
}

/// Bits after the symbol of a distance.
#[inline(always)]
pub(crate) fn distance_bits(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

/// The length in bits of a literal or length symbol's code in a fixed block.
pub(crate) fn fixed_len(symbol: usize) -> u8 {
    match symbol {
        0..=143 => 8,
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    }
}

/// The same of a distance symbol's code.
pub(crate) const FIXED_DISTANCE_LEN: u8 = 5;

/// The index of each length's symbol among those of lengths.
const LENGTHS: [u8; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < LENGTH_BASE.len() {
        let from = LENGTH_BASE[index] as usize - MIN_MATCH;
        let mut at = from;
        while at < from + (1 << LENGTH_BITS[index]) && at < 256 && index < 29 {
            table[at] = index as u8;
            at += 1;
        }
        index += 1;
    }
    table
};

/// The shortest length of each symbol; padded to a power of two.
const LENGTH_BASE: [u16; 32] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
    258, 258, 258,
];

/// Bits after each symbol; padded likewise.
const LENGTH_BITS: [u8; 32] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0, 0, 0, 0];
