//! Huffman codes of bounded length (RFC 1951, 3.2.2).

use super::bits::BitWriter;

/// How often each of `N` symbols occurs.
#[derive(Clone, Debug)]
pub(crate) struct Counts<const N: usize> {
    pub(crate) of: [u32; N],
}

/// The symbols that occur, in their order, and how often: few of those that there are, so that it pays to find them once.
#[derive(Clone, Debug)]
pub(crate) struct Occurring<const N: usize> {
    leaves: [Leaf; N],
    len: usize,
}

/// A code per symbol.
#[derive(Clone, Debug)]
pub(crate) struct Code<const N: usize> {
    /// Bits of each symbol's code; 0 for symbols that do not occur.
    pub(crate) lens: [u8; N],
    /// The codes themselves, the first bit lowest, as they are written.
    bits: [u16; N],
}

impl<const N: usize> Counts<N> {
    pub(crate) const fn new() -> Self {
        Self { of: [0; N] }
    }

    pub(crate) fn occurring(&self) -> Occurring<N> {
        let (mut leaves, mut len) = ([Leaf::default(); N], 0);
        for (symbol, &weight) in self.of.iter().enumerate() {
            // Without a branch, which would be mispredicted as often as not.
            leaves[len] = Leaf { weight, symbol: symbol as u16 };
            len = (len + usize::from(weight > 0)).min(N - 1);
        }
        // The last place was taken over and over if all symbols occur.
        len += usize::from(leaves[N - 1].weight > 0 && len == N - 1);
        Occurring { leaves, len }
    }
}

impl<const N: usize> Occurring<N> {
    /// Symbols and how often they occur.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, u32)> {
        self.leaves[..self.len].iter().map(|leaf| (usize::from(leaf.symbol), leaf.weight))
    }

    /// Bits of all that occurs, where a symbol is followed by `extra` bits.
    pub(crate) fn cost(&self, code: &Code<N>, extra: impl Fn(usize) -> u32) -> u64 {
        self.iter()
            .map(|(symbol, count)| u64::from(count) * u64::from(u32::from(code.lens[symbol]) + extra(symbol)))
            .sum()
    }

    /// The rarest first. Most counts are small, so that they are sorted by counting, and only those beyond the bins by
    /// comparing.
    fn sorted(&self) -> [Leaf; N] {
        let bin = |leaf: &Leaf| (leaf.weight as usize).min(BINS - 1);
        let leaves = &self.leaves[..self.len];
        let mut bins = [0_u16; BINS];
        leaves.iter().for_each(|leaf| bins[bin(leaf)] += 1);
        let mut before = 0;
        for bin in &mut bins {
            (*bin, before) = (before, before + *bin);
        }
        let beyond = usize::from(bins[BINS - 1]);
        let mut sorted = [Leaf::default(); N];
        for leaf in leaves {
            let place = &mut bins[bin(leaf)];
            sorted[usize::from(*place)] = *leaf;
            *place += 1;
        }
        sorted[beyond..self.len].sort_unstable_by_key(|leaf| leaf.weight);
        sorted
    }
}

impl<const N: usize> Code<N> {
    /// The code for what occurs, with at most `limit` bits.
    ///
    /// There are always two symbols at least, as some decoders refuse a code of one.
    pub(crate) fn optimal(occurring: &Occurring<N>, limit: usize) -> Self {
        let mut code = Self { lens: [0; N], bits: [0; N] };
        if occurring.len < 2 {
            let only = occurring.iter().next().map_or(0, |(symbol, _)| symbol);
            let other = usize::from(only == 0);
            code.lens[only] = 1;
            code.lens[other] = 1;
            code.bits[only.max(other)] = 1;
            return code;
        }
        let mut sorted = occurring.sorted();
        let leaves = &mut sorted[..occurring.len];
        let mut by_len = [0_u32; LENS];
        count_lengths(leaves, &mut by_len);
        bound(&mut by_len, limit);
        // The rarest symbols have the longest codes.
        let mut leaves = leaves.iter();
        for len in (1..=limit).rev() {
            for leaf in leaves.by_ref().take(by_len[len] as usize) {
                code.lens[usize::from(leaf.symbol)] = len as u8;
            }
        }
        code.assign(&by_len, occurring.iter().map(|(symbol, _)| symbol));
        code
    }

    /// The canonical code of these lengths.
    pub(crate) fn from_lens(lens: [u8; N]) -> Self {
        let mut code = Self { lens, bits: [0; N] };
        let mut by_len = [0; LENS];
        lens.iter().for_each(|&len| by_len[usize::from(len)] += 1);
        code.assign(&by_len, 0..N);
        code
    }

    /// Gives the `symbols`, which are all that have a length, in their order, their codes (RFC 1951, 3.2.2).
    fn assign(&mut self, by_len: &[u32; LENS], symbols: impl Iterator<Item = usize>) {
        let mut next = [0_u16; MAX_LEN + 1];
        for len in 1..MAX_LEN {
            next[len + 1] = (next[len] + by_len[len] as u16) << 1;
        }
        for symbol in symbols {
            let len = self.lens[symbol];
            let next = &mut next[usize::from(len) & MAX_LEN];
            self.bits[symbol] = next.reverse_bits() >> (16 - u32::from(len));
            *next += 1;
        }
    }

    /// Writes a symbol's code.
    #[inline(always)]
    pub(crate) fn put(&self, symbol: usize, bits: &mut BitWriter<'_>) {
        bits.put(self.bits[symbol].into(), self.lens[symbol].into());
    }
}

/// A symbol that occurs; `weight` becomes its parent's position and then its depth.
#[derive(Clone, Copy, Debug, Default)]
struct Leaf {
    weight: u32,
    symbol: u16,
}

/// How many codes of each length an optimal code has, found in place: A. Moffat and J. Katajainen, "In-place calculation of
/// minimum-redundancy codes" (1995). `leaves` are at least two, sorted by weight.
fn count_lengths(leaves: &mut [Leaf], by_len: &mut [u32; LENS]) {
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
fn bound(by_len: &mut [u32; LENS], limit: usize) {
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

/// Lengths that are told apart before they are bounded.
const LENS: usize = 2 * (MAX_LEN + 1);

/// Counts that are sorted without comparing.
const BINS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn optimal<const N: usize>(counts: [u32; N], limit: usize) -> Code<N> {
        Code::optimal(&Counts { of: counts }.occurring(), limit)
    }

    fn kraft<const N: usize>(code: &Code<N>) -> f64 {
        code.lens.iter().filter(|&&len| len > 0).map(|&len| (-f64::from(len)).exp2()).sum()
    }

    #[test]
    fn a_code_has_two_symbols_at_least() {
        for counts in [[0, 0, 0, 0], [0, 0, 9, 0], [9, 0, 0, 0]] {
            let code = optimal(counts, 15);
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
            let code = optimal(counts, limit);
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
        fn codes_are_complete_and_optimal(counts in prop::array::uniform30(prop_oneof![Just(0), 1..100_u32, 1..3_u32])) {
            prop_assume!(counts.iter().filter(|&&count| count > 0).count() >= 2);
            let code = optimal(counts, 15);
            prop_assert_eq!(kraft(&code), 1.0);
            prop_assert_eq!(Counts { of: counts }.occurring().cost(&code, |_| 0), naive_cost(&counts));
            let short = optimal(counts, 7);
            prop_assert_eq!(kraft(&short), 1.0);
            prop_assert!(short.lens.iter().all(|&len| len <= 7));
        }
    }
}
