//! How numbers are written on the command lines of both programs: counts and rates as `1000`, `1_000`, `1.5k` or `1e6`,
//! sizes as `64KiB`, times as `250ms`, percentages as `2%`. Each error says what was expected.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use bytesize::ByteSize;

/// A decimal number of no sign: `digits` times ten to the power of `exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    digits: u128,
    exponent: i32,
}

/// A type that counts something.
pub trait Count: Sized {
    /// The least that it holds.
    const LEAST: u64;
    /// The most that it holds.
    const MOST: u64;

    /// This count, if it holds it.
    fn of(count: u64) -> Option<Self>;
}

impl Decimal {
    /// Reads the number that `text` begins with: digits, which `_` may group, then a fraction and an exponent, both
    /// optional. Returns what follows it too, which is its unit. `None` where no number stands there, or one of more
    /// digits than 128 bits hold.
    pub fn read(text: &str) -> Option<(Self, &str)> {
        let text = text.trim();
        let text = text.strip_prefix('+').unwrap_or(text);
        let (whole, rest) = text.split_at(end_of_digits(text));
        let fraction = rest.strip_prefix('.').map(|rest| rest.split_at(end_of_digits(rest)));
        let (fraction, rest) = match fraction {
            Some(("", _)) => return None,
            Some(split) => split,
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits = 0u128;
        for digit in whole.bytes().chain(fraction.bytes()).filter(u8::is_ascii_digit) {
            digits = digits.checked_mul(10)?.checked_add(u128::from(digit - b'0'))?;
        }
        let decimals = i32::try_from(fraction.bytes().filter(u8::is_ascii_digit).count()).ok()?;
        let (exponent, rest) = exponent(rest);
        Some((Self { digits, exponent: exponent - decimals }, rest.trim_start()))
    }

    /// So many times `unit`, if that is a whole number of 64 bits.
    pub fn whole(self, unit: u64) -> Option<u64> {
        let (count, is_whole) = self.times(unit)?;
        is_whole.then_some(count)
    }

    /// So many times `unit`, what is less than 1 of it left out; `None` where 64 bits do not hold it.
    pub fn floor(self, unit: u64) -> Option<u64> {
        self.times(unit).map(|(count, _)| count)
    }

    /// So many times ten to the power of `exponent`, as the nearest number with a floating point.
    pub fn value(self, exponent: i32) -> f64 {
        let Self { digits, exponent: own } = self;
        format!("{digits}e{}", own + exponent).parse().expect("digits and an exponent are a number")
    }

    /// The whole part of so many times `unit`, and whether that is all.
    fn times(self, unit: u64) -> Option<(u64, bool)> {
        let product = self.digits.checked_mul(u128::from(unit))?;
        let power = 10u128.checked_pow(self.exponent.unsigned_abs());
        let (count, is_whole) = match power {
            _ if product == 0 => (0, true),
            Some(power) if self.exponent < 0 => (product / power, product.is_multiple_of(power)),
            Some(power) => (product.checked_mul(power)?, true),
            None if self.exponent < 0 => (0, false),
            None => return None,
        };
        Some((u64::try_from(count).ok()?, is_whole))
    }
}

macro_rules! counts {
    ($($type:ty: $least:literal to $most:expr, $of:expr;)+) => {
        $(impl Count for $type {
            const LEAST: u64 = $least;
            const MOST: u64 = $most;

            fn of(count: u64) -> Option<Self> {
                $of(count)
            }
        })+
    };
}

counts! {
    u32: 0 to u32::MAX as u64, |count| u32::try_from(count).ok();
    u64: 0 to u64::MAX, Some;
    NonZeroU32: 1 to u32::MAX as u64, |count| u32::try_from(count).ok().and_then(NonZeroU32::new);
    NonZeroU64: 1 to u64::MAX, NonZeroU64::new;
    NonZeroUsize: 1 to usize::MAX as u64, |count| usize::try_from(count).ok().and_then(NonZeroUsize::new);
}

/// Reads a whole number, in thousands with a `k` behind it.
///
/// # Errors
/// What was expected.
pub fn count<T: Count>(text: &str) -> Result<T, String> {
    count_of::<T>(text, T::LEAST, T::MOST)
}

/// Reads a whole number of `LEAST` to `MOST`.
///
/// # Errors
/// What was expected.
pub fn count_in<T: Count, const LEAST: u64, const MOST: u64>(text: &str) -> Result<T, String> {
    count_of::<T>(text, LEAST, MOST)
}

/// Reads a whole number, whatever it counts.
pub fn whole(text: &str) -> Option<u64> {
    let (number, suffix) = Decimal::read(text)?;
    number.whole(multiple(suffix)?)
}

/// Reads a number that need not be whole: of messages per second, say. Thousands as in [`count`].
pub fn number(text: &str) -> Option<f64> {
    let (number, suffix) = Decimal::read(text)?;
    Some(number.value(0) * multiple(suffix)? as f64)
}

/// Reads a size in bytes: without a unit, or with one of 1000s (kB) or of 1024s (KiB). A fraction of a byte is left out
/// where there is a unit.
///
/// # Errors
/// What was expected.
pub fn bytes(text: &str) -> Result<u64, String> {
    let expected = || "expected bytes, as 64, 10kB (of 1000) or 4KiB (of 1024)".to_owned();
    let (number, suffix) = Decimal::read(text).ok_or_else(expected)?;
    let unit = unit_of_bytes(suffix).ok_or_else(expected)?;
    let bytes = if unit == 1 { number.whole(unit) } else { number.floor(unit) };
    bytes.ok_or_else(expected)
}

/// Bytes in a unit: `B`, `kB` or `KiB`, `k` or `Ki` for short, in capitals or not.
pub fn unit_of_bytes(suffix: &str) -> Option<u64> {
    let unit = is_word(suffix).then(|| format!("1{suffix}").parse::<ByteSize>().ok())?;
    unit.map(|unit| unit.as_u64())
}

/// Reads a time with its unit, of one number (`1.5s`) or of several (`1m30s`), of at most `most`.
///
/// # Errors
/// What was expected.
pub fn time(text: &str, most: Duration) -> Result<Duration, String> {
    match any_time(text)? {
        time if time <= most => Ok(time),
        _ => Err(format!("expected at most {}", humantime::format_duration(most))),
    }
}

fn any_time(text: &str) -> Result<Duration, String> {
    let expected = "expected a time with its unit, as 10s, 500ms or 1m30s";
    if let Some((number, suffix)) = Decimal::read(text)
        && is_word(suffix)
    {
        if suffix.is_empty() {
            return Err(format!("{expected}; write {0}s if it is seconds", text.trim()));
        }
        let unit = humantime::parse_duration(&format!("1{suffix}")).map_err(|_| expected)?;
        // The longest unit is a year; 64 bits of nanoseconds are 584 of them.
        let unit = u64::try_from(unit.as_nanos()).unwrap_or(u64::MAX);
        return Ok(number.floor(unit).map_or(Duration::MAX, Duration::from_nanos));
    }
    humantime::parse_duration(text).map_err(|_| expected.to_owned())
}

/// Reads a percentage with its sign, from 0% up to 100%, which it may not be; returns the share, 0.02 for 2%.
///
/// # Errors
/// What was expected.
pub fn percent(text: &str) -> Result<f64, String> {
    let expected = "expected a percentage from 0% to under 100%, as 2% or 0.5%";
    match Decimal::read(text) {
        Some((number, "%")) if number.value(-2) < 1.0 => Ok(number.value(-2)),
        Some((_, "")) => Err(format!("{expected}; write {0}% if it is {0} of 100", text.trim())),
        _ => Err(expected.to_owned()),
    }
}

fn count_of<T: Count>(text: &str, least: u64, most: u64) -> Result<T, String> {
    let count = whole(text).filter(|count| (least..=most).contains(count)).and_then(T::of);
    count.ok_or_else(|| match most {
        u64::MAX => format!("expected a whole number of at least {least}, as 1000, 1_000 or 1k"),
        most if most < 1_000 => format!("expected a whole number from {least} to {most}"),
        most => format!("expected a whole number from {least} to {most}, as 1000, 1_000 or 1k"),
    })
}

/// Whether this is letters only, or nothing.
fn is_word(suffix: &str) -> bool {
    suffix.chars().all(char::is_alphabetic)
}

/// What a suffix multiplies a number by.
fn multiple(suffix: &str) -> Option<u64> {
    Some(match suffix {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    })
}

/// Where the digits end that `text` begins with; `_` is among them where digits stand on both sides of it.
fn end_of_digits(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let belongs = |at: usize| is_digit(at) || (at > 0 && bytes[at] == b'_' && is_digit(at - 1) && is_digit(at + 1));
    (0..bytes.len()).find(|&at| !belongs(at)).unwrap_or(bytes.len())
}

/// The exponent that `text` begins with, 0 where there is none, and what follows. An `e` without digits is a unit.
fn exponent(text: &str) -> (i32, &str) {
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return (0, text) };
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    // Three digits are beyond every number here.
    match rest[..end].parse::<i32>() {
        Ok(exponent) if end <= 3 => (sign * exponent, &rest[end..]),
        _ => (0, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_people_write_them() {
        for (text, value) in [
            ("0", 0),
            ("64", 64),
            ("+5", 5),
            ("1_000", 1_000),
            ("10k", 10_000),
            ("10 K", 10_000),
            ("1.5k", 1_500),
            ("0.25M", 250_000),
            ("1e6", 1_000_000),
            ("1.5e3", 1_500),
            ("2e3k", 2_000_000),
            ("1000e-3", 1),
            ("4Ki", 4_096),
            ("2G", 2_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(whole(text), Some(value), "{text}");
        }
        for bad in [
            "",
            "k",
            "-1",
            "1.5",
            "0.0001k",
            "1_",
            "_1",
            "1__0",
            "1.",
            ".",
            "1,000",
            "1e",
            "1e999",
            "1e1000",
            "nan",
            "inf",
            "0x10",
            "1k5",
            "5m",
            "1kk",
            "18446744073709551616",
            "1e30",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(whole(bad), None, "{bad}");
        }
        assert_eq!(
            (number("0.5"), number("1.5k"), number(".5"), number("1e-3")),
            (Some(0.5), Some(1_500.0), Some(0.5), Some(1e-3))
        );
    }

    #[test]
    fn what_a_type_does_not_hold_is_refused_with_what_it_does() {
        assert_eq!(count::<NonZeroU32>("4_294_967_295"), Ok(NonZeroU32::MAX));
        for (bad, expected) in
            [("0", "from 1 to 4294967295"), ("4294967296", "from 1 to 4294967295"), ("-5", "as 1000, 1_000 or 1k")]
        {
            let error = count::<NonZeroU32>(bad).unwrap_err();
            assert!(error.contains(expected), "{bad}: {error}");
        }
        assert_eq!(
            count::<NonZeroU64>("0").unwrap_err(),
            "expected a whole number of at least 1, as 1000, 1_000 or 1k"
        );
        assert_eq!(count_in::<u32, 1, 9>("10").unwrap_err(), "expected a whole number from 1 to 9");
        assert_eq!(count_in::<u32, 1, 9>("9"), Ok(9));
    }

    #[test]
    fn sizes_have_units_of_1000s_and_of_1024s() {
        for (text, value) in [
            ("64", 64),
            ("64B", 64),
            ("1k", 1_000),
            ("1KB", 1_000),
            ("4KiB", 4_096),
            ("4 ki", 4_096),
            ("1.5KiB", 1_536),
            ("0.1KiB", 102),
            ("1_024", 1_024),
            ("16MiB", 16 << 20),
            ("1e3", 1_000),
            ("1E", 1_000_000_000_000_000_000),
        ] {
            assert_eq!(bytes(text), Ok(value), "{text}");
        }
        for bad in ["", "big", "-1", "1.5", "1.5B", "16XiB", "1iB", "1kmB", "20EiB", "nan"] {
            assert!(bytes(bad).unwrap_err().contains("4KiB"), "{bad}");
        }
    }

    #[test]
    fn times_need_their_unit() {
        let most = Duration::from_secs(30 * 86_400);
        for (text, ms) in
            [("10s", 10_000), ("1.5s", 1_500), ("1_000ms", 1_000), ("1m30s", 90_000), ("0.5h", 1_800_000), ("0s", 0)]
        {
            assert_eq!(time(text, most), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(time("1e3us", most), Ok(Duration::from_millis(1)));
        for (bad, expected) in [
            ("5", "write 5s"),
            ("1_0", "write 1_0s"),
            ("", "10s, 500ms"),
            ("-1s", "10s, 500ms"),
            ("soon", "10s, 500ms"),
            ("nans", "10s, 500ms"),
            ("1year", "at most 30days"),
            ("1e999s", "at most 30days"),
            ("1e1000s", "10s, 500ms"),
        ] {
            let error = time(bad, most).unwrap_err();
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }

    #[test]
    fn percentages_need_their_sign() {
        assert_eq!((percent("2%"), percent("0.5 %"), percent("0%")), (Ok(0.02), Ok(0.005), Ok(0.0)));
        for (bad, expected) in [
            ("2", "write 2%"),
            ("0.02", "write 0.02%"),
            ("100%", "under 100%"),
            ("-1%", "from 0%"),
            ("nan%", "2% or"),
            ("", "2% or"),
        ] {
            let error = percent(bad).unwrap_err();
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }
}
