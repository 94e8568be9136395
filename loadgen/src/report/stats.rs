//! A distribution in a report: the figures to read, and the whole histogram, so that saved reports add up exactly.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{DeserializeError, Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::percentile::{self, RANKS};
use crate::recorder::{HIGHEST_NS, histogram};

/// A distribution of times in nanoseconds. What it has no value for is absent: all of it where `count` is 0, and
/// percentiles that need more values than there are (see [`percentile::needed`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "SavedStats")]
pub struct Stats {
    /// Values recorded.
    pub count: u64,
    /// The lowest.
    pub min: Option<u64>,
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// The standard deviation.
    pub stdev: Option<f64>,
    /// The median.
    pub p50: Option<u64>,
    /// The 75th percentile.
    pub p75: Option<u64>,
    /// The 90th percentile.
    pub p90: Option<u64>,
    /// The 95th percentile.
    pub p95: Option<u64>,
    /// The 99th percentile.
    pub p99: Option<u64>,
    /// The 99.9th percentile.
    pub p99_9: Option<u64>,
    /// The 99.99th percentile.
    pub p99_99: Option<u64>,
    /// The highest.
    pub max: Option<u64>,
    /// All of it.
    pub histogram: Encoded,
}

/// [`Stats`] as a file has them. One of an earlier version has 0 where nothing was recorded, percentiles of too few values,
/// and no 95th.
#[derive(Deserialize)]
struct SavedStats {
    count: u64,
    min: Option<u64>,
    mean: Option<f64>,
    stdev: Option<f64>,
    p50: Option<u64>,
    p75: Option<u64>,
    p90: Option<u64>,
    p95: Option<u64>,
    p99: Option<u64>,
    p99_9: Option<u64>,
    p99_99: Option<u64>,
    max: Option<u64>,
    histogram: Encoded,
}

/// A histogram as base64 (RFC 4648, 4) of HdrHistogram's V2 encoding with DEFLATE, which its other implementations read
/// too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Encoded(String);

/// Why a saved histogram cannot be read.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not base64.
    #[error("a histogram in the report is not base64")]
    Base64(#[from] base64::DecodeError),
    /// Base64 of something else.
    #[error("a histogram in the report is not in HdrHistogram's V2 encoding")]
    Histogram(#[from] DeserializeError),
    /// A histogram of another shape: it could not be added to ours, and might take any amount of memory.
    #[error("a histogram in the report is not one of ours: from 1 ns to an hour with 3 significant digits")]
    Shape,
}

impl From<&Histogram<u64>> for Stats {
    fn from(histogram: &Histogram<u64>) -> Self {
        let [p50, p75, p90, p95, p99, p99_9, p99_99] = RANKS.map(|rank| percentile::of(histogram, rank));
        let is_any = !histogram.is_empty();
        Self {
            count: histogram.len(),
            min: is_any.then(|| histogram.min()),
            mean: is_any.then(|| histogram.mean()),
            stdev: is_any.then(|| histogram.stdev()),
            p50,
            p75,
            p90,
            p95,
            p99,
            p99_9,
            p99_99,
            max: is_any.then(|| histogram.max()),
            histogram: histogram.into(),
        }
    }
}

impl From<SavedStats> for Stats {
    fn from(saved: SavedStats) -> Self {
        let SavedStats { count, min, mean, stdev, p50, p75, p90, p95, p99, p99_9, p99_99, max, histogram } = saved;
        let mut percentiles = [p50, p75, p90, p95, p99, p99_9, p99_99];
        for (percentile, rank) in percentiles.iter_mut().zip(RANKS) {
            *percentile = percentile.filter(|_| count >= percentile::needed(rank));
        }
        let [p50, p75, p90, mut p95, p99, p99_9, p99_99] = percentiles;
        if p95.is_none() && count >= percentile::needed(95.0) {
            // A histogram that cannot be read is told of by whoever needs it.
            p95 = histogram.decode().ok().and_then(|histogram| percentile::of(&histogram, 95.0));
        }
        let is_any = |_: &u64| count > 0;
        let (min, max) = (min.filter(is_any), max.filter(is_any));
        let [mean, stdev] = [mean, stdev].map(|value| value.filter(|_| count > 0));
        Self { count, min, mean, stdev, p50, p75, p90, p95, p99, p99_9, p99_99, max, histogram }
    }
}

impl Stats {
    /// The percentiles by rank, in the order of [`RANKS`].
    pub fn percentiles(&self) -> impl Iterator<Item = (f64, Option<u64>)> {
        let Self { p50, p75, p90, p95, p99, p99_9, p99_99, .. } = *self;
        RANKS.into_iter().zip([p50, p75, p90, p95, p99, p99_9, p99_99])
    }
}

impl From<&Histogram<u64>> for Encoded {
    fn from(histogram: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .expect("counts of one run fit the encoding's 63 bits, and a Vec takes every write");
        Self(STANDARD.encode(bytes))
    }
}

impl Encoded {
    /// The histogram, as it was recorded.
    pub fn decode(&self) -> Result<Histogram<u64>, DecodeError> {
        let bytes = STANDARD.decode(&self.0)?;
        let mut plain = Vec::new();
        let packed = bytes.strip_prefix(&COMPRESSED_COOKIE).and_then(|rest| rest.get(4..)).unwrap_or(&bytes);
        // The library would reserve what the header announces, and unpack what there is, however much.
        if packed.len() == bytes.len()
            || ZlibDecoder::new(packed).take(LONGEST as u64).read_to_end(&mut plain).is_err()
            || plain.len() < HEADER
        {
            return Err(DeserializeError::InvalidCookie.into());
        }
        let field = |at: usize| u64::from_be_bytes(plain[at..at + 8].try_into().expect("eight bytes"));
        let announced = (field(0) & 0xffff_ffff) as usize;
        // Digits, lowest and highest value follow the length and an offset that is never used.
        if announced != plain.len() - HEADER
            || (field(8) & 0xffff_ffff, field(16), field(24)) != (3, histogram().low(), HIGHEST_NS)
        {
            return Err(DecodeError::Shape);
        }
        Ok(Deserializer::new().deserialize(&mut plain.as_slice())?)
    }
}

/// What V2 with DEFLATE begins with, before its length.
const COMPRESSED_COOKIE: [u8; 4] = [0x1c, 0x84, 0x93, 0x14];

/// Bytes before the counts of V2: cookie, length, offset, digits, lowest, highest, ratio.
const HEADER: usize = 40;

/// More than our shape takes: 33 times 1,024 counts of at most 9 bytes.
const LONGEST: usize = HEADER + 64 * 1024 * 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_and_still_adds_up_exactly() {
        let (mut a, mut b) = (histogram(), histogram());
        for value in [1, 2_047, 2_048, 61_000, 1_000_000_007, HIGHEST_NS] {
            a.saturating_record_n(value, 3);
            b.saturating_record(value / 3);
        }
        let mut decoded = Encoded::from(&a).decode().unwrap();
        assert_eq!(decoded, a);
        decoded.add(Encoded::from(&b).decode().unwrap()).unwrap();
        a.add(&b).unwrap();
        assert_eq!(decoded, a);
        assert_eq!(Encoded::from(&histogram()).decode().unwrap().len(), 0);
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        assert!(matches!(Encoded("*".to_owned()).decode(), Err(DecodeError::Base64(_))));
        assert!(matches!(Encoded(STANDARD.encode("abcdefgh")).decode(), Err(DecodeError::Histogram(_))));
        let whole = STANDARD.decode(&Encoded::from(&histogram()).0).unwrap();
        for cut in 0..whole.len() {
            assert!(Encoded(STANDARD.encode(&whole[..cut])).decode().is_err(), "{cut} bytes");
        }
        let wide = Histogram::<u64>::new_with_bounds(1, u64::MAX >> 1, 5).unwrap();
        assert!(matches!(Encoded::from(&wide).decode(), Err(DecodeError::Shape)));
    }

    #[test]
    fn what_there_is_no_value_for_is_absent() {
        let empty = Stats::from(&histogram());
        assert_eq!((empty.count, empty.min, empty.mean, empty.stdev, empty.max), (0, None, None, None, None));
        assert!(empty.percentiles().all(|(_, value)| value.is_none()));
        let mut some = histogram();
        (1..=20).for_each(|value| some.saturating_record(value));
        let some = Stats::from(&some);
        assert_eq!(
            (some.min, some.p50, some.p75, some.p90, some.p95),
            (Some(1), Some(10), Some(15), Some(18), Some(19))
        );
        assert_eq!((some.p99, some.p99_9, some.p99_99, some.max), (None, None, None, Some(20)));
    }

    #[test]
    fn what_an_earlier_version_saved_reads_as_today() {
        for values in [0u64, 2, 20, 200] {
            let mut recorded = histogram();
            (1..=values).for_each(|value| recorded.saturating_record(value));
            let today = Stats::from(&recorded);
            let mut saved = serde_json::to_value(&today).unwrap();
            let fields = saved.as_object_mut().unwrap();
            fields.remove("p95");
            for (name, value) in fields.iter_mut().filter(|(_, value)| value.is_null()) {
                *value = if matches!(name.as_str(), "mean" | "stdev") { 0.0.into() } else { recorded.max().into() };
            }
            assert_eq!(serde_json::from_value::<Stats>(saved).unwrap(), today, "{values} values");
        }
    }
}
