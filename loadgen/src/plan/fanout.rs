//! What `loadgen fanout` measures, as data: who sends, who receives, in which rooms, what disturbs them, and where a message
//! that comes bears its number.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use server::numbers;

use crate::plan::Rate;

/// Who sends and who receives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fanout {
    /// Connections that send; the plan's rate is over all of them.
    pub senders: NonZeroU32,
    /// Connections that receive.
    pub receivers: NonZeroU32,
    /// Rooms, among which both are spread evenly; a message reaches the receivers of its sender's room.
    pub rooms: NonZeroU32,
    /// Messages that are due at once, of as many senders where there are as many; the plan's rate is the mean.
    #[serde(default = "one")]
    pub burst: NonZeroU32,
    /// Further members that join and leave, per second, while it is measured; null for none.
    pub churn: Option<Rate>,
    /// Receivers that stop reading while it is measured; null for none.
    pub stall: Option<Stall>,
    /// Where a message that comes bears its number; null where messages come as they were sent.
    pub mark: Option<Mark>,
}

/// How many receivers stop reading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stall {
    /// This share of them, 1 being all; one at least.
    Share(f64),
    /// So many.
    Receivers(u32),
}

/// Where a message that comes bears the number that it was sent with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Mark {
    /// From this byte of the payload on, as 16 digits; what is sent begins with them.
    Bytes(u32),
    /// In a field of a JSON document, at this pointer (RFC 6901), by its keys from the outermost on; it is sent at the same.
    Json(Vec<String>),
    /// Within a string of a JSON document, at this pointer (RFC 6901); what is sent is text that begins with it.
    JsonString(Vec<String>),
}

impl Stall {
    /// How many of the receivers that is.
    pub fn of(self, receivers: u32) -> u32 {
        match self {
            Self::Share(share) => ((f64::from(receivers) * share).round() as u32).clamp(1, receivers),
            Self::Receivers(count) => count,
        }
    }
}

impl FromStr for Stall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected a share of the receivers, as 1%, or a number of them, as 5";
        if text.ends_with('%') {
            let share = numbers::percent(text)?;
            return if share > 0.0 {
                Ok(Self::Share(share))
            } else {
                Err(format!("expected more than 0%; {expected}"))
            };
        }
        match numbers::count::<NonZeroU32>(text) {
            Ok(count) => Ok(Self::Receivers(count.get())),
            Err(_) => Err(expected.to_owned()),
        }
    }
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected seq@bytes:OFFSET, as seq@bytes:8, seq@json:POINTER, as seq@json:/id, or seq@json-string:POINTER, as \
                        seq@json-string:/text";
        let place = text.strip_prefix("seq@").and_then(|place| place.split_once(':'));
        match place {
            Some(("bytes", offset)) => {
                let offset = offset.parse().map_err(|_| format!("'{offset}' is no number of bytes; {expected}"))?;
                if offset > FURTHEST {
                    return Err(format!("{offset} bytes are too many; expected {FURTHEST} at the most"));
                }
                Ok(Self::Bytes(offset))
            }
            Some((of @ ("json" | "json-string"), pointer)) => {
                let Some(keys) = pointer.strip_prefix('/') else {
                    return Err(format!("'{pointer}' is no JSON pointer to a field (RFC 6901); {expected}"));
                };
                // The empty key is one, so that / is the field "" (RFC 6901, 5).
                let keys = keys.split('/').map(key).collect::<Option<_>>().ok_or_else(|| {
                    format!("in the JSON pointer '{pointer}' ~ has no 0 or 1 behind it; expected ~0 for ~ and ~1 for / (RFC 6901, 3)")
                })?;
                Ok(if of == "json" { Self::Json(keys) } else { Self::JsonString(keys) })
            }
            _ => Err(expected.to_owned()),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, keys) = match self {
            Self::Bytes(offset) => return write!(f, "seq@bytes:{offset}"),
            Self::Json(keys) => ("json", keys),
            Self::JsonString(keys) => ("json-string", keys),
        };
        write!(f, "seq@{of}:")?;
        keys.iter().try_for_each(|key| write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")))
    }
}

impl TryFrom<String> for Mark {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        mark.to_string()
    }
}

/// A key as it stands in a JSON pointer (RFC 6901, 4); `None` where something else than an escape begins with `~`.
fn key(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('~');
    let mut key = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match part.split_at_checked(1)? {
            ("0", rest) => ('~', rest),
            ("1", rest) => ('/', rest),
            _ => return None,
        };
        key.push(sign);
        key.push_str(rest);
    }
    Some(key)
}

/// Messages due at once where a saved report does not say.
fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

/// The furthest byte at which a number is looked for: what a server puts before a message is short.
const FURTHEST: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_are_written() {
        for (text, mark) in [
            ("seq@bytes:8", Mark::Bytes(8)),
            ("seq@json:/id", Mark::Json(vec!["id".to_owned()])),
            ("seq@json-string:/data/text", Mark::JsonString(vec!["data".to_owned(), "text".to_owned()])),
            ("seq@json:/a~1b/c~0d", Mark::Json(vec!["a/b".to_owned(), "c~d".to_owned()])),
            ("seq@json:/~01", Mark::Json(vec!["~1".to_owned()])),
            ("seq@json:/", Mark::Json(vec![String::new()])),
            ("seq@json-string:/a/", Mark::JsonString(vec!["a".to_owned(), String::new()])),
        ] {
            assert_eq!(text.parse(), Ok(mark.clone()));
            assert_eq!(mark.to_string(), text);
        }
        for (wrong, said) in [
            ("json:/id", "expected seq@bytes"),
            ("seq@json:id", "no JSON pointer"),
            ("seq@json:", "no JSON pointer"),
            ("seq@json:/a~2b", "~ has no 0 or 1 behind it"),
            ("seq@json-string:/a/b~", "~ has no 0 or 1 behind it"),
            ("seq@json:/~ä", "~ has no 0 or 1 behind it"),
            ("seq@json-string:text", "no JSON pointer"),
            ("seq@string:/text", "seq@json-string:/text"),
            ("seq@bytes:x", "no number of bytes"),
            ("seq@bytes:9999999", "too many"),
        ] {
            assert!(wrong.parse::<Mark>().unwrap_err().contains(said), "{wrong}");
        }
    }

    #[test]
    fn a_stall_is_of_one_receiver_at_least() {
        assert_eq!("1%".parse::<Stall>().unwrap().of(1_000), 10);
        assert_eq!("1%".parse::<Stall>().unwrap().of(20), 1);
        assert_eq!("5".parse::<Stall>().unwrap().of(20), 5);
        for wrong in ["0%", "0", "x", "-1"] {
            assert!(wrong.parse::<Stall>().is_err(), "{wrong}");
        }
    }
}
