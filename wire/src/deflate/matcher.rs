//! What to refer to: matches between a message and what went before (RFC 1951, 4), found by chains of positions that share
//! a hash.
//!
//! Positions count on from message to message, and a position is never believed but compared. So nothing has to be
//! cleared between messages, which would cost more than to compress a small one.

use super::block::{MARGIN, Tokens};
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
        let mut at = start;
        // Positions in a row without a match; where there are many, fewer are tried.
        let mut misses = 0;
        // Four bytes make a hash.
        let last = data.len().saturating_sub(HASHED - 1);
        while at < last {
            if tokens.is_full() {
                return at;
            }
            let mut found = self.find(data, at, window);
            if found.len < HASHED {
                tokens.literal(data[at]);
                let skipped = (misses >> SKIP_SHIFT).min(MARGIN - 8).min(last - at - 1);
                data[at + 1..at + 1 + skipped].iter().for_each(|&byte| tokens.literal(byte));
                misses += 1;
                at += 1 + skipped;
                continue;
            }
            misses = 0;
            let mut inserted = at + 1;
            while found.len < self.search.lazy && at + 1 < last {
                let next = self.find(data, at + 1, window);
                inserted = at + 2;
                if next.len <= found.len || tokens.is_full() {
                    break;
                }
                tokens.literal(data[at]);
                at += 1;
                found = next;
            }
            tokens.matched(found.len, found.distance);
            self.repeated = found.distance;
            let end = at + found.len;
            inserted = inserted.max(end.saturating_sub(self.search.entered));
            if inserted < end.min(last) {
                self.insert_all(data, inserted, end.min(last));
            }
            at = end;
        }
        data[at.min(data.len())..].iter().for_each(|&byte| tokens.literal(byte));
        data.len()
    }

    /// The longest match at `at`, of which four bytes can be read, that the search comes upon. Enters the position.
    #[inline(always)]
    fn find(&mut self, data: &[u8], at: usize, window: usize) -> Match {
        let mut best = Match::default();
        let here = &data[at..];
        let reach = at.min(window);
        let mut distance = self.insert(data, at) as usize;
        // What went on at a distance often goes on at it, be it a record or a message that comes again, though the bytes
        // here have stood nearer by.
        if (1..=reach).contains(&self.repeated) {
            let len = common(here, &data[at - self.repeated..]);
            if len >= HASHED {
                best = Match { len, distance: self.repeated };
                if len >= self.search.nice {
                    return best;
                }
            }
        }
        for _ in 0..self.search.depth {
            // Positions that are stale, from another message or overwritten, are too far or do not compare.
            if distance == 0 || distance > reach {
                break;
            }
            let there = &data[at - distance..];
            let promising = best.len == 0 || there.get(best.len) == here.get(best.len);
            if promising {
                let len = common(here, there);
                if len > best.len {
                    best = Match { len, distance };
                    if len >= self.search.nice {
                        break;
                    }
                }
            }
            if self.chain.is_empty() {
                break;
            }
            let position = self.base.wrapping_add((at - distance) as u32);
            match self.chain[position as usize & (self.chain.len() - 1)] {
                0 => break,
                back => distance += usize::from(back),
            }
        }
        best
    }

    /// Enters the position and returns how far back the one before it with the same hash is; 0 is no distance, others may
    /// be wrong.
    #[inline(always)]
    fn insert(&mut self, data: &[u8], at: usize) -> u32 {
        data[at..].first_chunk().map_or(0, |&word| self.enter(word, self.base.wrapping_add(at as u32)))
    }

    /// Enters the positions of a match.
    #[inline(always)]
    fn insert_all(&mut self, data: &[u8], from: usize, to: usize) {
        let mut position = self.base.wrapping_add(from as u32);
        for word in data[from..to + HASHED - 1].windows(HASHED) {
            let word = word.first_chunk().expect("a window of just this many bytes");
            self.enter(*word, position);
            position = position.wrapping_add(1);
        }
    }

    #[inline(always)]
    fn enter(&mut self, word: [u8; HASHED], position: u32) -> u32 {
        let hash = u32::from_le_bytes(word).wrapping_mul(MULTIPLIER) >> self.shift;
        let head = &mut self.heads[hash as usize];
        let distance = position.wrapping_sub(*head);
        *head = position;
        if !self.chain.is_empty() {
            let index = position as usize & (self.chain.len() - 1);
            self.chain[index] = u16::try_from(distance).unwrap_or(0);
        }
        distance
    }
}

/// How many bytes two slices begin with in common, [`MAX_MATCH`] at the most.
#[inline(always)]
fn common(a: &[u8], b: &[u8]) -> usize {
    let most = a.len().min(b.len()).min(MAX_MATCH);
    let (a, b) = (&a[..most], &b[..most]);
    let mut len = 0;
    while let (Some(x), Some(y)) = (a[len..].first_chunk(), b[len..].first_chunk()) {
        let differing = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differing != 0 {
            return len + (differing.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    len + a[len..].iter().zip(&b[len..]).take_while(|(x, y)| x == y).count()
}

/// Bytes of a hash, and of the shortest match that is looked for: three bytes seldom cost less as a match.
const HASHED: usize = 4;

/// Knuth's multiplicative hash: the odd number next to 2^32 divided by the golden ratio.
const MULTIPLIER: u32 = 0x9e37_79b1;

/// After 2^6 misses every second position is tried, after 2^7 every third, and so on.
const SKIP_SHIFT: u32 = 6;
