//! Masking (RFC 6455, 5.3): XOR with a key of four bytes, in place or on the way to the front of a buffer.
//!
//! Fixed blocks are copied out, XORed and copied back, which the compiler turns into vector instructions of the target
//! without `unsafe`, even where source and destination overlap.

use std::mem;

/// Masks or unmasks `buf` with `key`, in place.
#[inline]
pub fn apply_mask(buf: &mut [u8], key: [u8; 4]) {
    shift_masked(buf, 0, key);
}

/// Masks or unmasks `len` bytes from offset `from` on and puts them at offset `to`, at or before it; the two ranges may
/// overlap. Bytes outside of the destination keep their value.
///
/// # Panics
/// If `to > from` or the source does not lie within `buf`.
#[inline]
pub fn move_masked(buf: &mut [u8], from: usize, to: usize, len: usize, key: [u8; 4]) {
    assert!(to <= from && from <= buf.len() && len <= buf.len() - from, "a move out of bounds or towards the back");
    shift_masked(&mut buf[to..from + len], from - to, key);
}

/// Masks or unmasks all of `area` but its first `shift` bytes, and moves the outcome to its start. Tells whether that
/// is all ASCII, which costs next to nothing here. Not to be inlined: within a caller's loop it runs out of registers.
#[inline(never)]
pub(crate) fn shift_masked_ascii(area: &mut [u8], shift: usize, key: [u8; 4]) -> bool {
    shift_masked(area, shift, key) & 0x8080_8080 == 0
}

/// As [`shift_masked_ascii`], but returns the OR of all words written. It goes front to back, so that no byte is
/// overwritten before it was read.
#[inline(always)]
fn shift_masked(mut area: &mut [u8], shift: usize, key: [u8; 4]) -> u32 {
    let word_key = u32::from_ne_bytes(key);
    let mut seen = [0; LANES];
    while shift_vectors::<4>(&mut area, shift, word_key, &mut seen) {}
    while shift_vectors::<1>(&mut area, shift, word_key, &mut seen) {}
    let mut seen = seen[0] | seen[1] | seen[2] | seen[3];
    while let Some(&word) = area.get(shift..).and_then(<[u8]>::first_chunk) {
        let word = u32::from_ne_bytes(word) ^ word_key;
        area[..4].copy_from_slice(&word.to_ne_bytes());
        area = &mut mem::take(&mut area)[4..];
        seen |= word;
    }
    for (at, key) in (0..area.len().saturating_sub(shift)).zip(key) {
        let byte = area[at + shift] ^ key;
        area[at] = byte;
        seen |= u32::from(byte);
    }
    seen
}

/// Moves a block of `V` vectors and takes it off the front of `area`, if so much is left after `shift`; adds its words
/// to `seen`, lane by lane.
///
/// Lanes and vectors as nested arrays, read as a whole before anything is written: of the ways to say it, the one that
/// the compiler turns into vector instructions on every target that has them.
#[inline(always)]
fn shift_vectors<const V: usize>(area: &mut &mut [u8], shift: usize, key: u32, seen: &mut [u32; LANES]) -> bool {
    let Some(source) = area.get(shift..).and_then(|source| source.get(..V * VECTOR)) else {
        return false;
    };
    let mut block = [[0; LANES]; V];
    for (vector, source) in block.iter_mut().zip(source.as_chunks::<VECTOR>().0) {
        for (word, source) in vector.iter_mut().zip(source.as_chunks().0) {
            *word = u32::from_ne_bytes(*source) ^ key;
        }
    }
    for vector in &block {
        for (seen, word) in seen.iter_mut().zip(vector) {
            *seen |= word;
        }
    }
    let (target, rest) = mem::take(area).split_at_mut(V * VECTOR);
    for (vector, target) in block.iter().zip(target.as_chunks_mut::<VECTOR>().0) {
        for (word, target) in vector.iter().zip(target.as_chunks_mut().0) {
            *target = word.to_ne_bytes();
        }
    }
    *area = rest;
    true
}

/// Words of four bytes, as long as the key, in a vector of 16 bytes, the baseline of x86-64 and of AArch64.
const LANES: usize = 4;
/// Bytes of a vector.
const VECTOR: usize = 4 * LANES;
