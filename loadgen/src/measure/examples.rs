//! Messages that came and were wrong: how often by kind, and the first of each kind as an example.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::glimpse::Glimpse;

/// Each kind once, in the kinds' order, with its first example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(bound = "K: JsonSchema + Kinds", inline)]
pub struct Examples<K>(#[schemars(length(max = K::COUNT))] Vec<Example<K>>);

/// One kind of wrong messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Mismatch")]
pub struct Example<K> {
    /// What was wrong.
    pub kind: K,
    /// How many such messages came.
    #[schemars(range(min = 1))]
    pub times: u64,
    /// The first of them.
    pub got: Glimpse,
    /// The message whose reply was awaited, or as it was sent to be delivered; null where what came is held against none.
    pub expected: Option<Glimpse>,
    /// Bytes of payload before the excerpts.
    pub offset: u64,
}

/// What may be wrong; of several things that are, the least is named.
pub trait Kinds: Ord + Copy {
    /// How many kinds there are.
    const COUNT: usize;
}

impl<K: Kinds> Examples<K> {
    /// Counts one more of a kind; `example` is asked for one where it is the first.
    pub fn count(&mut self, kind: K, example: impl FnOnce() -> Example<K>) {
        match self.known(kind) {
            Some(known) => known.times += 1,
            None => self.insert(example()),
        }
    }

    /// Adds what another worker saw, or a later run.
    pub fn merge(&mut self, other: Self) {
        for example in other.0 {
            match self.known(example.kind) {
                Some(known) => known.times = known.times.saturating_add(example.times),
                None => self.insert(example),
            }
        }
    }

    fn known(&mut self, kind: K) -> Option<&mut Example<K>> {
        self.0.iter_mut().find(|known| known.kind == kind)
    }

    fn insert(&mut self, example: Example<K>) {
        let at = self.0.partition_point(|known| known.kind < example.kind);
        self.0.insert(at, example);
    }
}

impl<K> Examples<K> {
    /// Each kind.
    pub fn iter(&self) -> impl Iterator<Item = &Example<K>> {
        self.0.iter()
    }
}

impl<K> Default for Examples<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Kind;

    impl Kinds for u8 {
        const COUNT: usize = 3;
    }

    fn seen(kind: u8, times: u64, text: &str) -> Example<u8> {
        let got = Glimpse::new(Kind::Text, Some(text.len() as u64), text.as_bytes());
        Example { kind, times, got, expected: None, offset: 0 }
    }

    #[test]
    fn the_first_example_of_a_kind_stays_and_the_others_are_counted() {
        let mut all = Examples::default();
        all.count(3, || seen(3, 1, "first"));
        all.count(3, || unreachable!("one example is enough"));
        let mut other = Examples::default();
        for kind in [3, 2, 1] {
            other.count(kind, || seen(kind, 1, "second"));
        }
        all.merge(other);
        assert_eq!(all.0, [seen(1, 1, "second"), seen(2, 1, "second"), seen(3, 3, "first")]);
        all.merge(Examples(vec![seen(3, u64::MAX, "a saved run's")]));
        assert_eq!(all.0[2], seen(3, u64::MAX, "first"));
    }
}
