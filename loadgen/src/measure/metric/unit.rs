//! What figures count, and how a value of it is written, read and shown.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use server::numbers::{self, Decimal};

use crate::units;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("enum" = Unit::SYMBOLS))]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Nanoseconds for each message.
    NanosecondsPerMessage,
    /// Messages per second.
    MessagesPerSecond,
    /// Bytes per second.
    BytesPerSecond,
    /// Bytes.
    Bytes,
    /// Bytes for each connection.
    BytesPerConnection,
    /// Bytes for each message.
    BytesPerMessage,
    /// A share, 1.0 being all.
    Share,
    /// A number of events.
    Count,
}

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// As throughput is.
    Higher,
    /// As latency and cost are.
    Lower,
}

impl Unit {
    /// All that [`Unit::symbol`] writes.
    const SYMBOLS: [&str; 6] = ["ns", "messages/s", "B/s", "B", "share", "count"];

    /// As reports of runs write it, which leave what a figure is divided by to the metric's name.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Nanoseconds | Self::NanosecondsPerMessage => "ns",
            Self::BytesPerSecond => "B/s",
            Self::Bytes | Self::BytesPerConnection | Self::BytesPerMessage => "B",
            Self::MessagesPerSecond | Self::Share | Self::Count => self.in_words(),
        }
    }

    /// As reports of comparisons and sweeps write it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::NanosecondsPerMessage => "ns/message",
            Self::MessagesPerSecond => "messages/s",
            Self::BytesPerSecond => "bytes/s",
            Self::Bytes => "bytes",
            Self::BytesPerConnection => "bytes/connection",
            Self::BytesPerMessage => "bytes/message",
            Self::Share => "share",
            Self::Count => "count",
        }
    }

    /// Whether it is a time.
    pub fn is_time(self) -> bool {
        matches!(self, Self::Nanoseconds | Self::NanosecondsPerMessage)
    }

    /// A value of it, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Nanoseconds | Self::NanosecondsPerMessage => units::time(value),
            Self::MessagesPerSecond => format!("{}/s", units::number(value)),
            Self::BytesPerSecond => units::byte_rate(value),
            Self::Bytes | Self::BytesPerConnection => units::memory(value.max(0.0).round() as u64),
            Self::BytesPerMessage => format!("{value:.1} B"),
            Self::Share => units::percent(value),
            Self::Count => units::count(value.max(0.0).round() as u64),
        }
    }

    /// Reads a value of it. Times need their unit, unless `times_in_ms`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(self, text: &str, times_in_ms: bool) -> Result<f64, String> {
        let unknown = || format!("'{text}' is no limit; expected {}", self.expected());
        let (number, suffix) = Decimal::read(text).ok_or_else(unknown)?;
        let per_second = suffix.strip_suffix("/s").unwrap_or(suffix);
        let value = match (self, suffix) {
            (Self::Nanoseconds | Self::NanosecondsPerMessage, _) => time(number, suffix, times_in_ms),
            (Self::MessagesPerSecond, _) => numbers::number(text.strip_suffix("/s").unwrap_or(text)),
            (Self::Count, _) => numbers::number(text),
            (Self::BytesPerSecond, _) => numbers::unit_of_bytes(per_second).map(|unit| number.value(0) * unit as f64),
            (Self::Bytes | Self::BytesPerConnection | Self::BytesPerMessage, _) => {
                numbers::unit_of_bytes(suffix).map(|unit| number.value(0) * unit as f64)
            }
            (Self::Share, "%") => Some(number.value(-2)),
            (Self::Share, "") => Some(share(number.value(0), text)?),
            (Self::Share, _) => None,
        };
        value.filter(|value| value.is_finite()).ok_or_else(unknown)
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Nanoseconds | Self::NanosecondsPerMessage => "a time with its unit, as 5ms (ns, us, ms, s)",
            Self::MessagesPerSecond => "messages per second, as 100000 or 100k",
            Self::BytesPerSecond => "bytes per second, as 10MB/s (of 1000) or 10MiB/s (of 1024)",
            Self::Bytes | Self::BytesPerConnection | Self::BytesPerMessage => {
                "bytes, as 64MiB (of 1024) or 64MB (of 1000)"
            }
            Self::Share => "a share, as 99% or 0.99",
            Self::Count => "a number, as 0 or 10k",
        }
    }
}

impl fmt::Display for Better {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
        })
    }
}

/// Nanoseconds of a time with its unit.
fn time(number: Decimal, unit: &str, times_in_ms: bool) -> Option<f64> {
    match unit {
        "ns" => Some(number.value(0)),
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(number.value(3)),
        "ms" => Some(number.value(6)),
        "s" => Some(number.value(9)),
        "" if times_in_ms => Some(number.value(6)),
        _ => None,
    }
}

/// A share without a percent sign, which must be less than all: whoever writes 99 means 99%, and 1 may be either.
fn share(share: f64, text: &str) -> Result<f64, String> {
    if share < 1.0 {
        return Ok(share);
    }
    let all = if share == 1.0 { " (100% if it is all)" } else { "" };
    Err(format!("'{text}' is no share without a percent sign; write {text}%{all}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::metric::Metric;

    #[test]
    fn the_schema_lists_every_symbol() {
        let metrics: Vec<Metric> = Metric::catalogue().collect();
        assert!(metrics.iter().all(|metric| Unit::SYMBOLS.contains(&metric.unit().symbol())), "{metrics:?}");
        assert!(Unit::SYMBOLS.contains(&Unit::BytesPerSecond.symbol()));
    }

    #[test]
    fn limits_are_read_with_their_units() {
        for (unit, text, value) in [
            (Unit::Nanoseconds, "5ms", 5e6),
            (Unit::Nanoseconds, "1.5 us", 1_500.0),
            (Unit::NanosecondsPerMessage, "2us", 2_000.0),
            (Unit::BytesPerConnection, "2KiB", 2_048.0),
            (Unit::MessagesPerSecond, "100k/s", 1e5),
            (Unit::MessagesPerSecond, "1_000", 1e3),
            (Unit::BytesPerSecond, "2MB/s", 2e6),
            (Unit::Bytes, "64MiB", 67_108_864.0),
            (Unit::MessagesPerSecond, "1e5", 1e5),
            (Unit::BytesPerSecond, "1_000", 1e3),
            (Unit::BytesPerSecond, "1MiB/s", 1_048_576.0),
            (Unit::Bytes, "64MB", 64e6),
            (Unit::Share, "99%", 0.99),
            (Unit::Share, "0.99", 0.99),
            (Unit::Share, "101%", 1.01),
            (Unit::Share, "0", 0.0),
            (Unit::Count, "0", 0.0),
            (Unit::Count, "10k", 1e4),
        ] {
            assert_eq!(unit.parse(text, false), Ok(value), "{text}");
        }
        assert_eq!(Unit::Nanoseconds.parse("5", true), Ok(5e6));
        for (unit, text) in [
            (Unit::Nanoseconds, "5"),
            (Unit::Nanoseconds, "5kg"),
            (Unit::Nanoseconds, "-5ms"),
            (Unit::Nanoseconds, "ms"),
            (Unit::Count, "5%"),
            (Unit::Share, "1.2.3"),
            (Unit::Count, "nan"),
            (Unit::Count, "inf"),
            (Unit::Count, ""),
            (Unit::Nanoseconds, "1e999s"),
            (Unit::Bytes, "64MB/s"),
        ] {
            assert!(unit.parse(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_all_or_more_needs_its_percent_sign() {
        for (text, hint) in [("99", "write 99%"), ("1", "write 1% (100% if it is all)"), ("9.9e1", "write 9.9e1%")] {
            let error = Unit::Share.parse(text, false).unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
