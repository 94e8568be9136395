//! Things that came and were wrong: how often by kind, and the first of each kind as an example.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Each kind once, in the kinds' order, with its first example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(bound = "T: JsonSchema + Example", inline)]
pub struct Examples<T>(#[schemars(length(max = T::KINDS))] Vec<T>);

/// One kind of them.
pub trait Example {
    /// What may be wrong.
    type Kind: Ord;

    /// How many kinds there are.
    const KINDS: usize;

    /// What was wrong here.
    fn kind(&self) -> Self::Kind;

    /// How often that came.
    fn times(&self) -> u64;

    /// Where that is counted.
    fn times_mut(&mut self) -> &mut u64;
}

impl<T: Example> Examples<T> {
    /// Counts one more of a kind; `example` is asked for one where it is the first.
    pub fn count(&mut self, kind: T::Kind, example: impl FnOnce() -> T) {
        match self.known(&kind) {
            Some(known) => *known.times_mut() += 1,
            None => self.insert(example()),
        }
    }

    /// Adds what another worker saw, or a later run.
    pub fn merge(&mut self, other: Self) {
        for example in other.0 {
            match self.known(&example.kind()) {
                Some(known) => *known.times_mut() = known.times().saturating_add(example.times()),
                None => self.insert(example),
            }
        }
    }

    fn known(&mut self, kind: &T::Kind) -> Option<&mut T> {
        self.0.iter_mut().find(|known| known.kind() == *kind)
    }

    fn insert(&mut self, example: T) {
        let at = self.0.partition_point(|known| known.kind() < example.kind());
        self.0.insert(at, example);
    }
}

impl<T> Examples<T> {
    /// Each kind.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<T> Default for Examples<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Seen(u8, u64, &'static str);

    impl Example for Seen {
        type Kind = u8;
        const KINDS: usize = 3;

        fn kind(&self) -> u8 {
            self.0
        }

        fn times(&self) -> u64 {
            self.1
        }

        fn times_mut(&mut self) -> &mut u64 {
            &mut self.1
        }
    }

    #[test]
    fn the_first_example_of_a_kind_stays_and_the_others_are_counted() {
        let mut all = Examples::default();
        all.count(3, || Seen(3, 1, "first"));
        all.count(3, || unreachable!("one example is enough"));
        let mut other = Examples::default();
        for kind in [3, 2, 1] {
            other.count(kind, || Seen(kind, 1, "second"));
        }
        all.merge(other);
        assert_eq!(all.0, [Seen(1, 1, "second"), Seen(2, 1, "second"), Seen(3, 3, "first")]);
        all.merge(Examples(vec![Seen(3, u64::MAX, "a saved run's")]));
        assert_eq!(all.0[2], Seen(3, u64::MAX, "first"));
    }
}
