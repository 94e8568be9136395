//! What the handshakes of TLS have settled, and how long they took.

use std::ops::AddAssign;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::measure::encoded;
use crate::measure::histogram::{add, histogram};

/// What the handshakes of TLS have settled, and how long they took; empty where TLS was not spoken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Secured {
    /// Each version and cipher suite is there once, in their order.
    pub settled: Vec<Handshakes>,
    /// How long each handshake took, ns: from the open TCP connection until the upgrade could be asked for.
    #[serde(with = "encoded::as_text")]
    pub took: Histogram<u64>,
}

/// The handshakes that have settled on one version and cipher suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshakes {
    /// The version of TLS, as `1.3`.
    pub version: String,
    /// The cipher suite by its IANA name.
    pub cipher_suite: String,
    /// How many they are.
    pub connections: u64,
    /// How many of them resumed an earlier session.
    pub resumed: u64,
}

impl Default for Secured {
    fn default() -> Self {
        Self { settled: Vec::new(), took: histogram() }
    }
}

impl Secured {
    /// One more connection has settled on this.
    pub fn add(&mut self, version: &str, cipher_suite: &str, resumed: bool) {
        let (version, cipher_suite) = (version.to_owned(), cipher_suite.to_owned());
        self.add_all(Handshakes { version, cipher_suite, connections: 1, resumed: resumed.into() });
    }

    /// So many more.
    pub fn add_all(&mut self, more: Handshakes) {
        let of = |handshakes: &Handshakes| (handshakes.version.clone(), handshakes.cipher_suite.clone());
        match self.settled.binary_search_by_key(&of(&more), of) {
            Ok(at) => {
                self.settled[at].connections += more.connections;
                self.settled[at].resumed += more.resumed;
            }
            Err(at) => self.settled.insert(at, more),
        }
    }
}

impl AddAssign for Secured {
    fn add_assign(&mut self, part: Self) {
        add(&mut self.took, &part.took);
        part.settled.into_iter().for_each(|handshakes| self.add_all(handshakes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_connections_makes_no_difference() {
        let of = |order: [(&str, &str, bool); 4]| {
            let mut secured = Secured::default();
            order.into_iter().for_each(|(version, suite, resumed)| secured.add(version, suite, resumed));
            secured
        };
        let mut one = of([("1.3", "a", false), ("1.2", "b", true), ("1.3", "a", true), ("1.3", "b", false)]);
        let other = of([("1.3", "b", false), ("1.3", "a", true), ("1.3", "a", false), ("1.2", "b", true)]);
        assert_eq!(one, other);
        one += other;
        let counts: Vec<_> = one.settled.iter().map(|settled| (settled.connections, settled.resumed)).collect();
        assert_eq!(counts, [(2, 2), (4, 2), (2, 0)]);
    }
}
