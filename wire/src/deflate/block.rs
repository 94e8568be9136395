//! Blocks: tokens gathered, and written in the form that takes the fewest bits (RFC 1951, 3.2).

use super::bits::BitWriter;
use super::huffman::{Code, Counts, Occurring};
use super::symbols::{
    DISTANCES, END, FIXED_DISTANCE_LEN, LITERALS, MIN_MATCH, distance_bits, distance_extra, distance_symbol, fixed_len,
    length_bits, length_extra, length_symbol,
};

/// Literals and matches of a block, and how often each symbol occurs among them. Of use to any number of compressors, one
/// after the other.
#[derive(Debug)]
pub(crate) struct Tokens {
    tokens: Box<[u32]>,
    len: usize,
    /// Literals and matches.
    gathered: usize,
    literals: Counts<LITERALS>,
    distances: Counts<DISTANCES>,
    fixed: Box<Codes>,
}

/// The codes of a block.
#[derive(Debug)]
struct Codes {
    literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
}

/// What occurs in a block.
struct Symbols {
    literals: Occurring<LITERALS>,
    distances: Occurring<DISTANCES>,
}

impl Tokens {
    pub(crate) fn new() -> Self {
        let fixed = Codes {
            literals: Code::from_lens(std::array::from_fn(fixed_len)),
            distances: Code::from_lens([FIXED_DISTANCE_LEN; DISTANCES]),
        };
        Self {
            tokens: vec![0; BLOCK_TOKENS + MARGIN].into_boxed_slice(),
            len: 0,
            gathered: 0,
            literals: Counts::new(),
            distances: Counts::new(),
            fixed: Box::new(fixed),
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + size_of::<Codes>() + size_of_val(&*self.tokens)
    }

    /// Literals and matches that can still be added before the block is to be written; [`MARGIN`] more do no harm.
    #[inline(always)]
    pub(crate) fn room(&self) -> usize {
        BLOCK_TOKENS.saturating_sub(self.gathered)
    }

    #[inline(always)]
    pub(crate) fn literals(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.add(bytes.len() as u32);
        self.gathered += bytes.len();
        bytes.iter().for_each(|&byte| self.literals.of[usize::from(byte)] += 1);
    }

    #[inline(always)]
    pub(crate) fn matched(&mut self, len: usize, distance: usize) {
        let symbol = distance_symbol(distance);
        self.add(MATCH | (symbol as u32) << 24 | ((len - MIN_MATCH) as u32) << 16 | (distance - 1) as u32);
        self.gathered += 1;
        self.literals.of[length_symbol(len)] += 1;
        self.distances.of[symbol] += 1;
    }

    #[inline(always)]
    fn add(&mut self, token: u32) {
        self.tokens[self.len] = token;
        self.len += 1;
    }

    /// Writes what was gathered, which stands for `raw`, as a block that is not the stream's last, and begins anew.
    pub(crate) fn write(&mut self, raw: &[u8], bits: &mut BitWriter<'_>) {
        self.literals.of[END] = 1;
        let symbols = Symbols { literals: self.literals.occurring(), distances: self.distances.occurring() };
        let fixed = FORM_BITS + self.fixed.cost(&symbols);
        let stored = stored_bits(raw.len());
        // A small block never makes up for the lengths of codes of its own.
        let own = (fixed.min(stored) > SMALL_BITS).then(|| Own::new(&symbols));
        match &own {
            Some(own) if own.bits < fixed.min(stored) => {
                bits.put(DYNAMIC, 3);
                own.write_lengths(bits);
                self.write_tokens(raw, &own.codes, bits);
            }
            _ if fixed <= stored => {
                bits.put(FIXED, 3);
                self.write_tokens(raw, &self.fixed, bits);
            }
            _ => write_stored(raw, bits),
        }
        self.len = 0;
        self.gathered = 0;
        self.literals = Counts::new();
        self.distances = Counts::new();
    }

    fn write_tokens(&self, mut raw: &[u8], codes: &Codes, bits: &mut BitWriter<'_>) {
        // On the stack, where the compiler keeps its parts in registers.
        let mut out = std::mem::take(bits);
        for &token in &self.tokens[..self.len] {
            if token & MATCH == 0 {
                let (literals, rest) = raw.split_at(token as usize);
                raw = rest;
                let (triples, others) = literals.as_chunks::<3>();
                for triple in triples {
                    for &byte in triple {
                        codes.literals.put(byte.into(), &mut out);
                    }
                    out.flush();
                }
                others.iter().for_each(|&byte| codes.literals.put(byte.into(), &mut out));
            } else {
                let (len, distance) = ((token >> 16 & 0xff) as usize + MIN_MATCH, (token & 0xffff) as usize + 1);
                raw = &raw[len..];
                codes.literals.put(length_symbol(len), &mut out);
                let (extra, count) = length_extra(len);
                out.put(extra, count);
                let symbol = (token >> 24 & 0x1f) as usize;
                codes.distances.put(symbol, &mut out);
                let (extra, count) = distance_extra(distance, symbol);
                out.put(extra, count);
            }
            out.flush();
        }
        codes.literals.put(END, &mut out);
        out.flush();
        *bits = out;
    }
}

impl Codes {
    /// Bits of a block's tokens.
    fn cost(&self, symbols: &Symbols) -> u64 {
        symbols.literals.cost(&self.literals, length_bits) + symbols.distances.cost(&self.distances, distance_bits)
    }
}

/// Codes made for a block, and how their lengths are told (RFC 1951, 3.2.7).
struct Own {
    codes: Codes,
    /// Literal and distance codes whose lengths are told.
    told: (usize, usize),
    /// The lengths, run-length coded: symbol and what follows it.
    runs: Vec<(u8, u8)>,
    run_code: Code<RUN_SYMBOLS>,
    /// Lengths of `run_code` that are told.
    run_lens: usize,
    /// Bits of the whole block.
    bits: u64,
}

impl Own {
    fn new(symbols: &Symbols) -> Self {
        let codes = Codes {
            literals: Code::optimal(&symbols.literals, CODE_BITS),
            distances: Code::optimal(&symbols.distances, CODE_BITS),
        };
        let used = |lens: &[u8]| lens.iter().rposition(|&len| len > 0).map_or(0, |last| last + 1);
        let told = (used(&codes.literals.lens).max(END + 1), used(&codes.distances.lens).max(1));
        let mut lens = [0; LITERALS + DISTANCES];
        lens[..told.0].copy_from_slice(&codes.literals.lens[..told.0]);
        lens[told.0..told.0 + told.1].copy_from_slice(&codes.distances.lens[..told.1]);
        let runs = run_lengths(&lens[..told.0 + told.1]);
        let mut counts = Counts::<RUN_SYMBOLS>::new();
        runs.iter().for_each(|&(symbol, _)| counts.of[usize::from(symbol)] += 1);
        let counts = counts.occurring();
        let run_code = Code::optimal(&counts, RUN_CODE_BITS);
        let run_lens =
            RUN_ORDER.iter().rposition(|&symbol| run_code.lens[symbol] > 0).map_or(4, |last| last + 1).max(4);
        let bits = FORM_BITS + 14 + 3 * run_lens as u64 + counts.cost(&run_code, run_extra) + codes.cost(symbols);
        Self { codes, told, runs, run_code, run_lens, bits }
    }

    fn write_lengths(&self, bits: &mut BitWriter<'_>) {
        bits.put((self.told.0 - 257) as u64, 5);
        bits.put((self.told.1 - 1) as u64, 5);
        bits.put((self.run_lens - 4) as u64, 4);
        for &symbol in &RUN_ORDER[..self.run_lens] {
            bits.flush();
            bits.put(u64::from(self.run_code.lens[symbol]), 3);
        }
        for &(symbol, extra) in &self.runs {
            bits.flush();
            self.run_code.put(usize::from(symbol), bits);
            bits.put(u64::from(extra), run_extra(usize::from(symbol)));
        }
        bits.flush();
    }
}

/// The lengths of codes as symbols of their own: 0 to 15 for themselves, 16 for the last one again 3 to 6 times, 17 and
/// 18 for 3 to 10 and 11 to 138 zeros.
fn run_lengths(lens: &[u8]) -> Vec<(u8, u8)> {
    let mut runs = Vec::with_capacity(96);
    let mut rest = lens;
    while let Some(&len) = rest.first() {
        let mut run = rest.iter().take_while(|&&other| other == len).count();
        rest = &rest[run..];
        if len > 0 {
            runs.push((len, 0));
            run -= 1;
        }
        while run >= 3 {
            let (symbol, least, most) = match (len, run) {
                (0, 11..) => (18, 11, 138),
                (0, _) => (17, 3, 10),
                _ => (16, 3, 6),
            };
            let now = run.min(most);
            runs.push((symbol, (now - least) as u8));
            run -= now;
        }
        runs.extend(std::iter::repeat_n((len, 0), run));
    }
    runs
}

/// Bits after a symbol of [`run_lengths`].
fn run_extra(symbol: usize) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Bits of `len` bytes in stored blocks, at the most.
fn stored_bits(len: usize) -> u64 {
    let blocks = len.div_ceil(STORED_AT_MOST).max(1) as u64;
    blocks * (FORM_BITS + 7 + 32) + 8 * len as u64
}

fn write_stored(raw: &[u8], bits: &mut BitWriter<'_>) {
    for piece in raw.chunks(STORED_AT_MOST) {
        bits.put(STORED, 3);
        bits.align();
        let len = piece.len() as u16;
        bits.bytes(&len.to_le_bytes());
        bits.bytes(&(!len).to_le_bytes());
        bits.bytes(piece);
    }
}

/// The bytes that blocks for `len` bytes take at the most, however many there are.
pub(crate) fn most_bytes(len: usize) -> usize {
    // Every block but a piece's last has as many bytes as tokens at least. A stored block takes 5 bytes more than it
    // stands for, and no block is larger than if it were stored.
    len + (len / SMALLEST_PIECE + 2) * 6
}

/// In a token: a match of (bits 16 to 23) and [`MIN_MATCH`] bytes, (bits 0 to 15) and one byte back, the symbol of whose
/// distance is (bits 24 to 28). Otherwise it is the number of literals in a row.
const MATCH: u32 = 1 << 31;

/// Bytes of a piece of a message that is compressed at a time, at the least, and less than tokens of a block.
pub(crate) const SMALLEST_PIECE: usize = 4 << 10;

/// Tokens of a block at the most: few enough that the codes fit what they are for, as many as zlib takes at level 6.
const BLOCK_TOKENS: usize = 16 << 10;

/// Tokens that may be added after a block is full.
pub(crate) const MARGIN: usize = 64;

/// Bits of a block's first three: not the last, and its form.
const FORM_BITS: u64 = 3;
const STORED: u64 = 0b000;
const FIXED: u64 = 0b010;
const DYNAMIC: u64 = 0b100;

/// Bits of a block that cannot be made smaller by codes of its own, whose lengths alone take as many.
const SMALL_BITS: u64 = 600;

/// Bytes of a stored block at the most (RFC 1951, 3.2.4).
const STORED_AT_MOST: usize = 0xffff;

/// Bits of a code for literals or distances at the most.
const CODE_BITS: usize = 15;

/// Bits of a code for lengths of codes at the most.
const RUN_CODE_BITS: usize = 7;

/// Symbols for lengths of codes, and the order in which their own lengths are told.
const RUN_SYMBOLS: usize = 19;
const RUN_ORDER: [usize; RUN_SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
