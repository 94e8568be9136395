//! What was wrong with the deliveries of a fan-out: how often by kind, and the first of each kind as an example.

use std::fmt::{self, Display, Formatter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::examples::{Example, Examples, Kinds};
use crate::measure::glimpse::{Glimpse, length, name};
use crate::plan::Kind;
use crate::plan::fanout::Mark;
use crate::units;

/// What kinds of wrong deliveries came, to all receivers: those that stop reading and those that join and leave, too.
pub type DeliveryMismatches = Examples<DeliveryMismatchKind>;

/// One kind of wrong deliveries.
pub type DeliveryMismatch = Example<DeliveryMismatchKind>;

/// What is wrong with a delivery. Where several things are, the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryMismatchKind {
    /// It has no number where messages have theirs.
    Unnumbered,
    /// It has a number, which no message of this run had when it came.
    OtherNumber,
    /// It is a message of another room.
    OtherRoom,
    /// Text instead of binary, or the reverse.
    Type,
    /// Another length.
    Length,
    /// Other bytes.
    Content,
}

impl Kinds for DeliveryMismatchKind {
    const COUNT: usize = Self::Content as usize + 1;
}

impl DeliveryMismatches {
    /// Each kind in a sentence: how often, its example, and what can be done where that is known. `mark` says where numbers
    /// were looked for.
    pub fn sentences(&self, mark: Option<&Mark>) -> impl Iterator<Item = String> {
        self.iter().map(move |mismatch| {
            let remedy = mismatch.remedy(mark).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            format!("{}: {mismatch}{remedy}", units::often(mismatch.times))
        })
    }
}

impl DeliveryMismatch {
    /// What brings right deliveries, where that is known.
    fn remedy(&self, mark: Option<&Mark>) -> Option<&'static str> {
        use DeliveryMismatchKind::{Content, Length, OtherNumber, OtherRoom, Type, Unnumbered};
        match (self.kind, mark) {
            (Unnumbered, None) => Some(UNMARKED),
            (Unnumbered, Some(Mark::Json(_))) => Some(WITHIN_A_STRING),
            (Unnumbered, Some(Mark::Bytes(_) | Mark::JsonString(_))) => Some(MARKED),
            (OtherNumber, None) => Some(OTHER_RUNS),
            (OtherNumber, Some(_)) => Some(OTHER_NUMBERS),
            (OtherRoom, _) => Some(ROOMS),
            (Type, _) => match self.expected.as_ref()?.kind {
                Kind::Binary => Some(SEND_TEXT),
                Kind::Text => Some(SEND_BINARY),
            },
            // The number is right, so that what follows it was cut, added to or changed.
            (Length | Content, _) => Some(REWRITTEN),
        }
    }
}

/// What was wrong, with the example.
impl Display for DeliveryMismatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { kind, got, expected, offset, .. } = self;
        let what = match kind {
            DeliveryMismatchKind::Unnumbered => "no number of a message in what came",
            DeliveryMismatchKind::OtherNumber => "a number that no message of this run had",
            DeliveryMismatchKind::OtherRoom => "a message of another room",
            DeliveryMismatchKind::Type | DeliveryMismatchKind::Length | DeliveryMismatchKind::Content => {
                return match expected {
                    Some(expected) => self.compared(expected, f),
                    None => f.write_str(&got.alone(*offset)),
                };
            }
        };
        write!(f, "{what}: {}", got.alone(*offset))?;
        match expected {
            Some(expected) => write!(f, "; sent was {}", expected.alone(*offset)),
            None => Ok(()),
        }
    }
}

impl DeliveryMismatch {
    /// How it differs from what was sent, which begins alike: both have the same number.
    fn compared(&self, expected: &Glimpse, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { got, offset, .. } = self;
        if got.kind != expected.kind {
            write!(f, "{} instead of {}, ", name(got.kind), name(expected.kind))?;
        }
        f.write_str(&length(got.bytes.unwrap_or_default()))?;
        if got.bytes != expected.bytes {
            write!(f, " instead of {}", units::count(expected.bytes.unwrap_or_default()))?;
        } else if got.excerpt == expected.excerpt {
            return write!(f, ", otherwise as sent");
        }
        write!(f, ", of which the first {} are as sent", units::count(*offset))?;
        match (got.excerpt.is_empty(), expected.excerpt.is_empty()) {
            (true, _) => Ok(()),
            (false, true) => write!(f, ", then \"{}\"", got.excerpt),
            (false, false) => write!(f, ", then \"{}\" instead of \"{}\"", got.excerpt, expected.excerpt),
        }
    }
}

const UNMARKED: &str = "where the server rewrites messages, --mark says where it puts the number: seq@json-string:/POINTER in a \
    string of a JSON document, seq@json:/POINTER in a number of one, seq@bytes:OFFSET behind so many bytes";

const WITHIN_A_STRING: &str = "--mark is to say where the server puts the number; where that is within a longer string, use \
    seq@json-string:/POINTER";

const MARKED: &str = "--mark is to say where the server puts the number";

const OTHER_RUNS: &str = "another loadgen sends there, the server hands on what it kept of an earlier run, or it rewrites \
    messages, where --mark says at which place it puts the number";

const OTHER_NUMBERS: &str = "--mark is to say where the server puts the message's number; else another loadgen sends there, or \
    the server hands on what it kept of an earlier run";

const ROOMS: &str = "the server is to keep rooms apart by their URLs, in which {room} stands for the room's number";

const SEND_TEXT: &str = "send text with --text, or let the server hand messages on in the type that they were sent in";

const SEND_BINARY: &str =
    "send binary messages, without --text, or let the server hand messages on in the type that they were sent in";

const REWRITTEN: &str = "where the server is to rewrite messages, --mark has only their numbers looked at";

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatch(
        kind: DeliveryMismatchKind,
        got: (Kind, &[u8]),
        sent: Option<(Kind, &[u8])>,
        offset: usize,
    ) -> DeliveryMismatch {
        let glimpse = |(kind, bytes): (Kind, &[u8])| Glimpse::new(kind, Some(bytes.len() as u64), &bytes[offset..]);
        DeliveryMismatch { kind, times: 1, got: glimpse(got), expected: sent.map(glimpse), offset: offset as u64 }
    }

    #[test]
    fn each_kind_is_a_sentence_with_its_example() {
        use DeliveryMismatchKind::{Content, Length, OtherNumber, OtherRoom, Type, Unnumbered};
        use Kind::{Binary, Text};
        for (mismatch, sentence) in [
            (
                mismatch(Unnumbered, (Text, b"hello"), Some((Binary, b"4711\xff")), 0),
                "no number of a message in what came: text, 5 bytes, beginning \"hello\"; sent was binary, 5 bytes, beginning \
                 \"4711\\xff\"",
            ),
            (
                mismatch(Unnumbered, (Binary, b"12345678"), None, 4),
                "no number of a message in what came: binary, 8 bytes, with \"5678\" after 4 bytes",
            ),
            (
                mismatch(OtherNumber, (Binary, b"99"), None, 0),
                "a number that no message of this run had: binary, 2 bytes, beginning \"99\"",
            ),
            (mismatch(OtherRoom, (Text, b"47"), None, 0), "a message of another room: text, 2 bytes, beginning \"47\""),
            (
                mismatch(Type, (Text, b"47ab"), Some((Binary, b"47ab")), 4),
                "text instead of binary, 4 bytes, otherwise as sent",
            ),
            (
                mismatch(Type, (Text, "47\u{fffd}b".as_bytes()), Some((Binary, b"47\xffb")), 2),
                "text instead of binary, 6 bytes instead of 4, of which the first 2 are as sent, then \"\u{fffd}b\" instead of \
                 \"\\xffb\"",
            ),
            (
                mismatch(Length, (Binary, b"47"), Some((Binary, b"47ab")), 2),
                "2 bytes instead of 4, of which the first 2 are as sent",
            ),
            (
                mismatch(Length, (Binary, b"47abc"), Some((Binary, b"47ab")), 4),
                "5 bytes instead of 4, of which the first 4 are as sent, then \"c\"",
            ),
            (
                mismatch(Content, (Binary, b"47Xb"), Some((Binary, b"47ab")), 2),
                "4 bytes, of which the first 2 are as sent, then \"Xb\" instead of \"ab\"",
            ),
        ] {
            assert_eq!(mismatch.to_string(), sentence);
        }
    }

    #[test]
    fn each_kind_comes_with_what_to_do() {
        use DeliveryMismatchKind::{Content, OtherNumber, OtherRoom, Type, Unnumbered};
        let sentence = |kind, sent, mark: Option<&str>| {
            let mut mismatches = DeliveryMismatches::default();
            let came = if sent == Kind::Text { Kind::Binary } else { Kind::Text };
            mismatches.count(kind, || mismatch(kind, (came, b"47a"), Some((sent, b"47b")), 2));
            mismatches.sentences(mark.map(|mark| mark.parse().unwrap()).as_ref()).collect::<String>()
        };
        for (kind, sent, mark, remedy) in [
            (Type, Kind::Binary, None, "; send text with --text"),
            (Type, Kind::Text, None, "; send binary messages, without --text"),
            (Content, Kind::Text, None, "--mark has only their numbers looked at"),
            (Unnumbered, Kind::Text, None, "--mark says where it puts the number: seq@json-string:/POINTER"),
            (Unnumbered, Kind::Text, Some("seq@json:/id"), "within a longer string, use seq@json-string:/POINTER"),
            (
                Unnumbered,
                Kind::Text,
                Some("seq@json-string:/id"),
                "; --mark is to say where the server puts the number",
            ),
            (OtherNumber, Kind::Text, None, "; another loadgen sends there"),
            (
                OtherNumber,
                Kind::Text,
                Some("seq@bytes:8"),
                "; --mark is to say where the server puts the message's number",
            ),
            (OtherRoom, Kind::Text, None, "{room}"),
        ] {
            let sentence = sentence(kind, sent, mark);
            assert!(sentence.starts_with("once: ") && sentence.contains(remedy), "{kind:?} {mark:?}: {sentence}");
        }
    }
}
