//! What to refer to: matches between a message and what went before (RFC 1951, 4), found by chains of positions that share
//! a hash.
//!
//! Positions count on from message to message, and a position is never believed but compared. So nothing has to be
//! cleared between messages, which would cost more than to compress a small one.

use super::block::Tokens;
use super::symbols::MAX_MATCH;

/// Where the four bytes that stand at each position have stood before.
#[derive(Debug)]
pub(crate) struct Matcher {
    /// The latest position of each hash.
    heads: Box<[u32]>,
    /// The distance from a position to the one before it with the same hash, at the index of its lower bits; empty if only
    /// the latest position is ever asked for.
    chain: Box<[u16]>,
    /// The position of the first byte of what is searched; wraps around.
    base: u32,
    /// The distance of the latest match.
    repeated: usize,
    /// What leaves as many bits of a hash as tell the heads apart.
    shift: u32,
    search: Search,
}

/// How hard to search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// Positions compared at the most.
    pub(crate) depth: u32,
    /// Bytes of a match that is good enough to look no further.
    pub(crate) nice: usize,
    /// Bytes of a match below which the next position is tried as well, for a longer one; 0 for never.
    pub(crate) lazy: usize,
    /// Positions entered at a match's end, besides its first. What begins amid a match seldom begins a match itself.
    pub(crate) entered: usize,
}

/// A match with what is behind.
#[derive(Clone, Copy, Default)]
struct Match {
    len: usize,
    distance: usize,
}

impl Matcher {
    /// One with 2^`hash_bits` heads, for distances of at most `window` bytes.
    pub(crate) fn new(search: Search, hash_bits: u32, window: usize) -> Self {
        let chain = if search.depth > 1 { window } else { 0 };
        Self {
            heads: vec![0; 1 << hash_bits].into_boxed_slice(),
            chain: vec![0; chain].into_boxed_slice(),
            base: 0,
            repeated: 0,
            shift: u32::BITS - hash_bits,
            search,
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.heads) + size_of_val(&*self.chain)
    }

    /// Says that the first `bytes` bytes of what was searched are gone, or that all of it is and something else comes.
    pub(crate) fn slide(&mut self, bytes: usize) {
        self.base = self.base.wrapping_add(bytes as u32);
    }

    /// Turns `data` from `start` on into tokens, until they are full; returns up to where. Matches lie within `data`, at
    /// most `window` bytes back.
    pub(crate) fn parse(&mut self, data: &[u8], start: usize, window: usize, tokens: &mut Tokens) -> usize {
        if self.chain.is_empty() {
            self.parse_in::<false>(data, start, window, tokens)
        } else {
            self.parse_in::<true>(data, start, window, tokens)
        }
    }

    fn parse_in<const CHAINED: bool>(
        &mut self,
        data: &[u8],
        start: usize,
        window: usize,
        tokens: &mut Tokens,
    ) -> usize {
        let Self { heads, chain, base, shift, search, .. } = self;
        let mut table = Table::<CHAINED> { heads, chain, base: *base, shift: *shift, data, window, search: *search };
        let mut repeated = self.repeated;
        // Four bytes make a hash.
        let hashed = data.len().saturating_sub(HASHED - 1);
        let (mut at, mut literals) = (start, start);
        let mut last = hashed.min(at + tokens.room());
        // Positions in a row without a match; where there are many, fewer are tried.
        let mut misses = 0;
        while at < last {
            let mut found = table.find(at, repeated);
            if found.len < HASHED {
                at += 1 + (misses >> SKIP_SHIFT);
                misses += 1;
                continue;
            }
            misses = 0;
            let mut inserted = at + 1;
            while found.len < table.search.lazy && at + 1 < last {
                let next = table.find(at + 1, repeated);
                inserted = at + 2;
                if next.len <= found.len {
                    break;
                }
                at += 1;
                found = next;
            }
            tokens.literals(&data[literals..at]);
            tokens.matched(found.len, found.distance);
            repeated = found.distance;
            at += found.len;
            literals = at;
            last = hashed.min(at + tokens.room());
            inserted = inserted.max(at.saturating_sub(table.search.entered));
            for position in inserted..at.min(hashed) {
                table.enter(position, table.word(position));
            }
        }
        self.repeated = repeated;
        // A step over positions that were not tried may end behind the last one.
        let end = if last < hashed { at.min(hashed) } else { data.len() };
        tokens.literals(&data[literals..end]);
        end
    }
}

/// What [`Matcher::parse`] searches, all in one place; with `CHAINED` not only the latest position of a hash is known.
struct Table<'a, const CHAINED: bool> {
    heads: &'a mut [u32],
    chain: &'a mut [u16],
    base: u32,
    shift: u32,
    data: &'a [u8],
    window: usize,
    search: Search,
}

impl<const CHAINED: bool> Table<'_, CHAINED> {
    /// The longest match at `at`, of which four bytes can be read, that the search comes upon; of fewer than [`HASHED`]
    /// bytes if there is none. Enters the position.
    #[inline(always)]
    fn find(&mut self, at: usize, repeated: usize) -> Match {
        let mut best = Match::default();
        let reach = at.min(self.window);
        let word = self.word(at);
        let mut distance = self.enter(at, word) as usize;
        // What went on at a distance often goes on at it, be it a record or a message that comes again, though the bytes
        // here have stood nearer by.
        if within(repeated, reach) && self.word(at - repeated) == word {
            best = Match { len: common(self.data, at, repeated), distance: repeated };
            if best.len >= self.search.nice {
                return best;
            }
        }
        let mut depth = self.search.depth;
        // Positions that are stale, from another message or overwritten, are too far or do not compare.
        while within(distance, reach) {
            let there = at - distance;
            if self.word(there) == word && self.data.get(at + best.len) == self.data.get(there + best.len) {
                let len = common(self.data, at, distance);
                if len > best.len {
                    best = Match { len, distance };
                    if len >= self.search.nice {
                        break;
                    }
                }
            }
            depth -= 1;
            if !CHAINED || depth == 0 {
                break;
            }
            let position = self.base.wrapping_add(there as u32);
            match self.chain[position as usize & (self.chain.len() - 1)] {
                0 => break,
                back => distance += usize::from(back),
            }
        }
        best
    }

    /// Enters the position where `word` stands and returns how far back the one before it with the same hash is; 0 is no
    /// distance, others may be wrong.
    #[inline(always)]
    fn enter(&mut self, at: usize, word: u32) -> u32 {
        let position = self.base.wrapping_add(at as u32);
        let hash = word.wrapping_mul(MULTIPLIER) >> self.shift;
        let head = &mut self.heads[hash as usize];
        let distance = position.wrapping_sub(*head);
        *head = position;
        if CHAINED {
            let index = position as usize & (self.chain.len() - 1);
            self.chain[index] = u16::try_from(distance).unwrap_or(0);
        }
        distance
    }

    /// The bytes that make a hash.
    #[inline(always)]
    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(*self.data[at..].first_chunk().expect("positions that are searched have as many bytes"))
    }
}

/// Whether there is such a distance, and within `reach`.
#[inline(always)]
fn within(distance: usize, reach: usize) -> bool {
    distance.wrapping_sub(1) < reach
}

/// How many bytes from `at` on are as those `distance` before, [`MAX_MATCH`] at the most.
#[inline(always)]
fn common(data: &[u8], at: usize, distance: usize) -> usize {
    let here = &data[at..];
    let here = &here[..here.len().min(MAX_MATCH)];
    let there = &data[at - distance..][..here.len()];
    let ((here, here_rest), (there, there_rest)) = (here.as_chunks::<8>(), there.as_chunks::<8>());
    let mut len = 0;
    for (x, y) in here.iter().zip(there) {
        let differing = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differing != 0 {
            return len + (differing.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    len + here_rest.iter().zip(there_rest).take_while(|(x, y)| x == y).count()
}

/// Bytes of a hash, and of the shortest match that is looked for: three bytes seldom cost less as a match.
const HASHED: usize = 4;

/// Knuth's multiplicative hash: the odd number next to 2^32 divided by the golden ratio.
const MULTIPLIER: u32 = 0x9e37_79b1;

/// After 2^6 misses every second position is tried, after 2^7 every third, and so on.
const SKIP_SHIFT: u32 = 6;
