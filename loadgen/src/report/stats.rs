//! A distribution in a report: the figures to read, and the whole histogram, so that saved reports add up exactly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{DeserializeError, Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A distribution of times in nanoseconds; all zero where `count` is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Values recorded.
    pub count: u64,
    /// The lowest.
    pub min: u64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The standard deviation.
    pub stdev: f64,
    /// The median.
    pub p50: u64,
    /// The 75th percentile.
    pub p75: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p99_9: u64,
    /// The 99.99th percentile.
    pub p99_99: u64,
    /// The highest.
    pub max: u64,
    /// All of it.
    pub histogram: Encoded,
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
}

impl From<&Histogram<u64>> for Stats {
    fn from(histogram: &Histogram<u64>) -> Self {
        let quantile = |q: f64| histogram.value_at_quantile(q);
        Self {
            count: histogram.len(),
            min: histogram.min(),
            mean: histogram.mean(),
            stdev: histogram.stdev(),
            p50: quantile(0.5),
            p75: quantile(0.75),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            p99_99: quantile(0.9999),
            max: histogram.max(),
            histogram: histogram.into(),
        }
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
        Ok(Deserializer::new().deserialize(&mut bytes.as_slice())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::{HIGHEST_NS, histogram};

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
    }

    #[test]
    fn an_empty_distribution_is_all_zero() {
        let stats = Stats::from(&histogram());
        assert_eq!((stats.count, stats.min, stats.p99, stats.max, stats.mean, stats.stdev), (0, 0, 0, 0, 0.0, 0.0));
    }
}
