//! Huffman codes of bounded length (RFC 1951, 3.2.2).

/// A code per symbol.
#[derive(Clone, Debug)]
pub(crate) struct Code<const N: usize> {
    /// Bits of each symbol's code; 0 for symbols that do not occur.
    pub(crate) lens: [u8; N],
    /// The codes themselves, the first bit lowest, as they are written.
    pub(crate) bits: [u16; N],
}

impl<const N: usize> Code<N> {
    /// The code for symbols that occur as often as `counts` says, with at most `limit` bits.
    ///
    /// There are always two symbols at least, as some decoders refuse a code of one.
    pub(crate) fn optimal(counts: &[u32; N], limit: usize) -> Self {
        let mut lens = [0; N];
        let mut sorted = [Leaf::default(); N];
        let used = sort(counts, &mut sorted);
        if used < 2 {
            let only = usize::from(sorted[0].symbol);
            lens[only] = 1;
            lens[usize::from(only == 0)] = 1;
        } else {
            let leaves = &mut sorted[..used];
            let mut by_len = [0_u32; 2 * MAX_LEN + 2];
            count_lengths(leaves, &mut by_len);
            bound(&mut by_len, limit);
            // The rarest symbols have the longest codes.
            let mut leaves = leaves.iter();
            for len in (1..=limit).rev() {
                for leaf in leaves.by_ref().take(by_len[len] as usize) {
                    lens[usize::from(leaf.symbol)] = len as u8;
                }
            }
        }
        Self::from_lens(lens)
    }

    /// The canonical code of these lengths.
    pub(crate) fn from_lens(lens: [u8; N]) -> Self {
        let mut by_len = [0_u16; MAX_LEN + 1];
        lens.iter().for_each(|&len| by_len[usize::from(len) & MAX_LEN] += 1);
        by_len[0] = 0;
        let mut next = [0_u16; MAX_LEN + 1];
        for len in 1..=MAX_LEN {
            next[len] = (next[len - 1] + by_len[len - 1]) << 1;
        }
        let mut bits = [0; N];
        for (bits, &len) in bits.iter_mut().zip(&lens) {
            if len > 0 {
                let next = &mut next[usize::from(len) & MAX_LEN];
                *bits = next.reverse_bits() >> (16 - u32::from(len));
                *next += 1;
            }
        }
        Self { lens, bits }
    }

    /// Bits that symbols which occur as often as `counts` says take, without what follows some of them.
    pub(crate) fn cost(&self, counts: &[u32; N]) -> u64 {
        self.lens.iter().zip(counts).map(|(&len, &count)| u64::from(len) * u64::from(count)).sum()
    }

    /// A symbol's code and its length.
    #[inline(always)]
    pub(crate) fn of(&self, symbol: usize) -> (u64, u32) {
        (u64::from(self.bits[symbol]), u32::from(self.lens[symbol]))
    }
}

/// A symbol that occurs; `weight` becomes its parent's position and then its depth.
#[derive(Clone, Copy, Debug, Default)]
struct Leaf {
    weight: u32,
    symbol: u16,
}

/// Puts the symbols that occur into `sorted`, the rarest first, and tells how many they are. Most counts are small, so
/// that they are sorted by counting, and only those beyond the bins by comparing.
fn sort<const N: usize>(counts: &[u32; N], sorted: &mut [Leaf; N]) -> usize {
    let mut bins = [0_u16; BINS];
    for &count in counts {
        bins[(count as usize).min(BINS - 1)] += 1;
    }
    bins[0] = 0;
    let mut used = 0;
    for bin in &mut bins {
        (*bin, used) = (used, used + *bin);
    }
    let beyond = usize::from(bins[BINS - 1]);
    for (symbol, &count) in counts.iter().enumerate() {
        if count > 0 {
            let place = &mut bins[(count as usize).min(BINS - 1)];
            sorted[usize::from(*place)] = Leaf { weight: count, symbol: symbol as u16 };
            *place += 1;
        }
    }
    sorted[beyond..usize::from(used)].sort_unstable_by_key(|leaf| leaf.weight);
    usize::from(used)
}

/// How many codes of each length an optimal code has, found in place: A. Moffat and J. Katajainen, "In-place calculation of
/// minimum-redundancy codes" (1995). `leaves` are at least two, sorted by weight.
fn count_lengths(leaves: &mut [Leaf], by_len: &mut [u32; 2 * MAX_LEN + 2]) {
    let n = leaves.len();
    // Inner nodes take the places of leaves that have been used; a node's place keeps its parent's index.
    let (mut root, mut leaf) = (0, 2);
    leaves[0].weight += leaves[1].weight;
    for next in 1..n - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            if leaf >= n || (root < next && leaves[root].weight < leaves[leaf].weight) {
                weight += leaves[root].weight;
                leaves[root].weight = next as u32;
                root += 1;
            } else {
                weight += leaves[leaf].weight;
                leaf += 1;
            }
        }
        leaves[next].weight = weight;
    }
    // From the root on: a node's depth is its parent's and one; nodes of a level that are no inner ones are leaves.
    leaves[n - 2].weight = 0;
    for node in (0..n - 2).rev() {
        leaves[node].weight = leaves[leaves[node].weight as usize].weight + 1;
    }
    let mut inner = leaves[..n - 1].iter().rev().map(|node| node.weight as usize).peekable();
    let (mut available, mut depth) = (1, 0);
    while available > 0 {
        let mut here = 0;
        while inner.next_if_eq(&depth).is_some() {
            here += 1;
        }
        by_len[depth.min(by_len.len() - 1)] += available - here;
        available = 2 * here;
        depth += 1;
    }
}

/// Shortens codes to `limit` bits and lengthens others, so that all still fit (Kraft's sum stays 1).
fn bound(by_len: &mut [u32; 2 * MAX_LEN + 2], limit: usize) {
    for len in limit + 1..by_len.len() {
        by_len[limit] += std::mem::take(&mut by_len[len]);
    }
    let mut taken: u32 = (1..=limit).map(|len| by_len[len] << (limit - len)).sum();
    while taken > 1 << limit {
        // One of the longest codes goes beside a shorter one, which is lengthened by a bit.
        by_len[limit] -= 1;
        let shorter = (1..limit).rev().find(|&len| by_len[len] > 0).expect("not all codes can be of the longest kind");
        by_len[shorter] -= 1;
        by_len[shorter + 1] += 2;
        taken -= 1;
    }
}

/// Bits of the longest code in DEFLATE; one less than a power of two.
const MAX_LEN: usize = 15;

/// Counts that are sorted without comparing.
const BINS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kraft<const N: usize>(code: &Code<N>) -> f64 {
        code.lens.iter().filter(|&&len| len > 0).map(|&len| (-f64::from(len)).exp2()).sum()
    }

    #[test]
    fn a_code_has_two_symbols_at_least() {
        for counts in [[0, 0, 0, 0], [0, 0, 9, 0], [9, 0, 0, 0]] {
            let code = Code::optimal(&counts, 15);
            assert_eq!(code.lens.iter().filter(|&&len| len == 1).count(), 2, "{counts:?}");
        }
    }

    #[test]
    fn counts_like_fibonacci_numbers_are_bounded() {
        let (mut a, mut b) = (1, 1);
        let counts: [u32; 40] = std::array::from_fn(|_| {
            (a, b) = (b, a + b);
            a
        });
        for limit in [7, 15] {
            let code = Code::optimal(&counts, limit);
            assert_eq!(usize::from(*code.lens.iter().max().unwrap()), limit);
            assert_eq!(kraft(&code), 1.0);
        }
    }

    /// The cost of an optimal code without a limit, the naive way.
    fn naive_cost(counts: &[u32]) -> u64 {
        let mut weights: Vec<u64> = counts.iter().filter(|&&count| count > 0).map(|&count| count.into()).collect();
        let mut cost = 0;
        while weights.len() > 1 {
            weights.sort_unstable_by(|a, b| b.cmp(a));
            let sum = weights.pop().unwrap() + weights.pop().unwrap();
            cost += sum;
            weights.push(sum);
        }
        cost
    }

    proptest! {
        #[test]
        fn codes_are_complete_and_optimal(counts in prop::array::uniform30(prop_oneof![Just(0), 1..100_u32])) {
            prop_assume!(counts.iter().filter(|&&count| count > 0).count() >= 2);
            let code = Code::optimal(&counts, 15);
            prop_assert_eq!(kraft(&code), 1.0);
            prop_assert_eq!(code.cost(&counts), naive_cost(&counts));
            let short = Code::optimal(&counts, 7);
            prop_assert_eq!(kraft(&short), 1.0);
            prop_assert!(short.lens.iter().all(|&len| len <= 7));
        }
    }
}
