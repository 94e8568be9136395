//! Bits into bytes, the least significant first (RFC 1951, 3.1.1).

/// Writes bits into a slice.
#[derive(Default)]
pub(crate) struct BitWriter<'o> {
    out: &'o mut [u8],
    /// Where the next whole byte goes.
    at: usize,
    /// Bits that are not written yet.
    pending: u64,
    /// How many of them there are.
    count: u32,
}

impl<'o> BitWriter<'o> {
    /// Bytes behind the last one that may be overwritten, as whole words are written.
    pub(crate) const SPARE: usize = WORD;

    /// A writer of as many bytes as `out` has, but for [`BitWriter::SPARE`].
    pub(crate) fn new(out: &'o mut [u8]) -> Self {
        Self { out, ..Self::default() }
    }

    /// Adds the lower `count` bits of `bits`, of which the others are zero: 56 at the most between two calls of
    /// [`BitWriter::flush`].
    #[inline(always)]
    pub(crate) fn put(&mut self, bits: u64, count: u32) {
        debug_assert!(bits >> count == 0 && self.count + count < u64::BITS, "{count} bits more than fit");
        self.pending |= bits << self.count;
        self.count += count;
    }

    /// Writes the whole bytes of what was put; at most 7 bits stay pending.
    #[inline(always)]
    pub(crate) fn flush(&mut self) {
        self.out[self.at..self.at + WORD].copy_from_slice(&self.pending.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.pending >>= self.count & !7;
        self.count &= 7;
    }

    /// Fills the last byte with zeros.
    pub(crate) fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Writes whole bytes; only after [`BitWriter::align`].
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        debug_assert!(self.count == 0, "bytes amid bits");
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// How many bytes were written.
    pub(crate) fn finish(mut self) -> usize {
        self.align();
        self.at
    }
}

/// Bytes written at a time.
const WORD: usize = 8;
