//! A histogram as text, so that saved reports and what other processes measured add up exactly.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{DeserializeError, Deserializer, Serializer as _, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::measure::histogram::{HIGHEST_NS, histogram};

/// A histogram as base64 (RFC 4648, 4) of HdrHistogram's V2 encoding with DEFLATE, which its other implementations read
/// too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("contentEncoding" = "base64", "pattern" = "^[A-Za-z0-9+/]+={0,2}$"))]
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

/// Reads a saved histogram whose text is one of ours, so that whoever decodes it later need not ask.
///
/// # Errors
/// When it is none.
pub fn checked<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Encoded, D::Error> {
    let encoded = Encoded::deserialize(from)?;
    encoded.decode().map_err(serde::de::Error::custom)?;
    Ok(encoded)
}

/// A histogram itself, saved as [`Encoded`]: for `#[serde(with)]`.
pub mod as_text {
    use hdrhistogram::Histogram;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Encoded;

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn serialize<S: Serializer>(histogram: &Histogram<u64>, to: S) -> Result<S::Ok, S::Error> {
        Encoded::from(histogram).serialize(to)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Histogram<u64>, D::Error> {
        Encoded::deserialize(from)?.decode().map_err(serde::de::Error::custom)
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
}
