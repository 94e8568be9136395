//! `--udp-limit`: how many datagrams of one source are answered in a second, in the long run.
//!
//! Each source has a token bucket that holds what it may send in a second: all of that at once, while the bucket fills again at
//! the same rate. The table of them has a fixed size. Where a new
//! source finds no room, it takes over the bucket that is fullest of those in its place, with what is left in it: whoever
//! forges addresses gains nothing by many of them beyond what so many buckets give.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Instant;

/// The buckets of the sources that one worker has heard of.
#[derive(Debug)]
pub(super) struct Limit {
    /// Between two datagrams of a source that sends as fast as it may, ns.
    interval: u64,
    /// Random, so that nobody can choose addresses that share a place.
    hasher: RandomState,
    start: Instant,
    places: Box<[[Bucket; WAYS]]>,
}

/// What one source has left.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    source: u64,
    /// When it is full again, ns since the start: it lacks a token for each interval until then.
    full: u64,
}

impl Limit {
    /// A limit of so many datagrams per second.
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let interval = (SECOND / u64::from(per_second.get())).max(1);
        let places = vec![[Bucket::default(); WAYS]; PLACES].into_boxed_slice();
        Self { interval, hasher: RandomState::new(), start: Instant::now(), places }
    }

    /// Nanoseconds on the clock of [`Limit::takes`].
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether a datagram of `source` is to be answered, and counts it if it is.
    pub(super) fn takes(&mut self, source: IpAddr, now: u64) -> bool {
        let source = self.hasher.hash_one(network(source));
        let place = &mut self.places[source as usize % PLACES];
        let at = place.iter().position(|bucket| bucket.source == source).unwrap_or_else(|| {
            let fullest = (0..WAYS).min_by_key(|&at| place[at].full).expect("there are some");
            place[fullest].source = source;
            fullest
        });
        let bucket = &mut place[at];
        let full = bucket.full.max(now) + self.interval;
        let takes = full - now <= SECOND.max(self.interval);
        if takes {
            bucket.full = full;
        }
        takes
    }
}

/// Who counts as one source: an IPv4 address, or of an IPv6 address the first 64 bits, since a host has all the others.
fn network(source: IpAddr) -> (bool, u64) {
    match source.to_canonical() {
        IpAddr::V4(ip) => (false, u64::from(ip.to_bits())),
        IpAddr::V6(ip) => (true, (ip.to_bits() >> 64) as u64),
    }
}

/// Ns.
const SECOND: u64 = 1_000_000_000;

/// Buckets that share a place: a source loses its own only to a fifth in the same place.
const WAYS: usize = 4;

/// With [`WAYS`] 4,096 sources for each worker, in 64 KiB.
const PLACES: usize = 1024;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn limit(per_second: u32) -> Limit {
        Limit::new(NonZeroU32::new(per_second).unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_may_send_a_seconds_worth_at_once_and_then_at_the_rate() {
        let mut limit = limit(10);
        let mut taken =
            |source: &str, now_ms: u64| (0..100).filter(|_| limit.takes(ip(source), now_ms * 1_000_000)).count();
        assert_eq!(taken("192.0.2.1", 0), 10);
        assert_eq!(taken("192.0.2.2", 0), 10, "another source has its own");
        assert_eq!(taken("::ffff:192.0.2.1", 0), 0, "the same one by a socket for IPv6");
        assert_eq!(taken("192.0.2.1", 99), 0);
        assert_eq!(taken("192.0.2.1", 100), 1);
        assert_eq!(taken("192.0.2.1", 500), 4);
        assert_eq!(taken("192.0.2.1", 100_000), 10, "it holds no more than that");
    }

    #[test]
    fn rates_at_both_ends_are_kept() {
        let mut one = limit(1);
        assert!(one.takes(ip("192.0.2.1"), 0) && !one.takes(ip("192.0.2.1"), 999_999_999));
        assert!(one.takes(ip("192.0.2.1"), 1_000_000_000));
        let mut most = limit(u32::MAX);
        assert!((0..100_000).all(|_| most.takes(ip("192.0.2.1"), 0)));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let mut limit = limit(1);
        assert!(limit.takes(ip("2001:db8::1"), 0) && !limit.takes(ip("2001:db8::ffff:1"), 0));
        assert!(limit.takes(ip("2001:db8:0:1::1"), 0), "another network");
        assert!(limit.takes(ip("::1"), 0) && limit.takes(ip("0.0.0.0"), 0));
    }

    #[test]
    fn a_table_that_is_full_answers_no_more_than_its_buckets_give() {
        let mut limit = limit(10);
        let places = limit.places.len();
        let sources = (0..1 << 20).map(|source| IpAddr::from(Ipv4Addr::from_bits(source)));
        let taken = sources.filter(|&source| limit.takes(source, 0)).count();
        assert!(taken <= PLACES * WAYS * 10, "{taken} datagrams of 1,048,576 sources");
        assert!(taken >= PLACES * WAYS, "{taken}");
        assert_eq!(limit.places.len(), places, "it does not grow");
        // Somebody who comes later finds room again.
        assert!(limit.takes(ip("198.51.100.1"), 2 * SECOND));
    }
}
