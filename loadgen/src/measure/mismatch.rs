//! What was wrong with the messages that were not the replies that were awaited: how often by kind, and the first of each
//! kind as an example.

use std::fmt::{self, Display, Formatter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::examples::{Example, Examples, Kinds};
use crate::measure::glimpse::{Glimpse, length, name};
use crate::plan::Kind;
use crate::units;

/// What kinds of wrong messages came.
pub type Mismatches = Examples<MismatchKind>;

/// One kind of wrong messages.
pub type Mismatch = Example<MismatchKind>;

/// What is wrong with a message. Where several things are, the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MismatchKind {
    /// Text instead of binary, or the reverse.
    Type,
    /// Another length.
    Length,
    /// Other bytes.
    Content,
    /// It is the reply to a message of this run that was not in flight on its connection.
    OtherMessage,
    /// It came in addition to the replies.
    Unasked,
}

impl Kinds for MismatchKind {
    const COUNT: usize = Self::Unasked as usize + 1;
}

impl Mismatches {
    /// Each kind in a sentence: how often, its example, and what can be done where that is known.
    pub fn sentences(&self) -> impl Iterator<Item = String> + '_ {
        self.iter().map(|mismatch| {
            let remedy = mismatch.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            format!("{}: {mismatch}{remedy}", units::often(mismatch.times))
        })
    }
}

impl Mismatch {
    /// What brings right replies, where that is known.
    fn remedy(&self) -> Option<String> {
        let expected = self.expected.as_ref()?;
        let of_type = match expected.kind {
            Kind::Binary => "send text with --text, or let the server reply in the type that it was sent",
            Kind::Text => "send binary messages, without --text, or let the server reply in the type that it was sent",
        };
        match self.kind {
            MismatchKind::Type if self.got.bytes == expected.bytes => Some(of_type.to_owned()),
            MismatchKind::Type if expected.kind == Kind::Text => Some(of_type.to_owned()),
            MismatchKind::Type => Some(format!("{of_type}; where it puts text around a message, {TEMPLATE}, {ORDER}")),
            MismatchKind::Length if self.surrounds(expected) => {
                Some(format!("the reply holds what was awaited: {TEMPLATE}"))
            }
            MismatchKind::Length if self.offset == 0 && self.got.bytes.is_some() => Some(ORDER.to_owned()),
            _ => None,
        }
    }

    /// Whether the message that came holds the one that was awaited, as far as the excerpts show it: behind other text, which
    /// ends within the excerpt, or before it.
    fn surrounds(&self, expected: &Glimpse) -> bool {
        let longer = self.got.bytes > expected.bytes;
        let begins = |at: usize| {
            let rest = &self.got.excerpt[at..];
            !rest.is_empty() && (expected.excerpt.starts_with(rest) || rest.starts_with(&expected.excerpt))
        };
        let enough = |at: usize| self.got.excerpt.len() - at >= expected.excerpt.len().min(LEAST_ALIKE);
        let mut places = self.got.excerpt.char_indices().map(|(at, _)| at);
        longer && (expected.bytes == Some(self.offset) || places.any(|at| enough(at) && begins(at)))
    }
}

/// What was wrong, with the example.
impl Display for Mismatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { kind, got, expected, offset, .. } = self;
        let alone = |f: &mut Formatter<'_>, what| write!(f, "{what}: {}", got.alone(*offset));
        let expected = match (kind, expected) {
            (MismatchKind::OtherMessage, _) => return alone(f, REPEATED),
            (MismatchKind::Unasked, _) | (_, None) => return alone(f, "a message that nothing had asked for"),
            (_, Some(expected)) => expected,
        };
        if *kind == MismatchKind::Type {
            write!(f, "{} instead of {}, ", name(got.kind), name(expected.kind))?;
        }
        match (got.bytes, expected.bytes) {
            (Some(bytes), awaited) if Some(bytes) == awaited => write!(f, "{}", length(bytes))?,
            (Some(bytes), Some(awaited)) => write!(f, "{} instead of {}", length(bytes), units::count(awaited))?,
            _ if *kind == MismatchKind::Type => return write!(f, "compressed and not inflated"),
            _ => return write!(f, "compressed and not inflated: too short or too long to be the reply"),
        }
        match (got.excerpt == expected.excerpt, *offset) {
            (true, _) if got.excerpt.is_empty() => Ok(()),
            (true, _) => write!(f, ", beginning \"{}\" as awaited", got.excerpt),
            (false, 0) => write!(f, ", beginning \"{}\" instead of \"{}\"", got.excerpt, expected.excerpt),
            (false, offset) => write!(
                f,
                ", of which the first {} are right, then \"{}\" instead of \"{}\"",
                units::count(offset),
                got.excerpt,
                expected.excerpt
            ),
        }
    }
}

const TEMPLATE: &str = "--expect 'template:TEXT{}TEXT' with that text verifies it";

const ORDER: &str =
    "where the server answers with text of its own, --expect order takes that for the answer, unchecked";

/// Characters of an excerpt that have to be those awaited before they are taken for the message.
const LEAST_ALIKE: usize = 6;

const REPEATED: &str = "the reply to a message that waited for none (repeated, late, or another connection's)";

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatch(kind: MismatchKind, got: &[u8], expected: Option<&[u8]>, offset: u64) -> Mismatch {
        let glimpse = |kind, bytes: &[u8]| Glimpse::new(kind, Some(bytes.len() as u64), &bytes[offset as usize..]);
        let of = if kind == MismatchKind::Type { Kind::Text } else { Kind::Binary };
        let expected = expected.map(|bytes| glimpse(Kind::Binary, bytes));
        Mismatch { kind, times: 1, got: glimpse(of, got), expected, offset }
    }

    #[test]
    fn each_kind_is_a_sentence_with_its_example() {
        use MismatchKind::{Content, Length, OtherMessage, Type, Unasked};
        for (mismatch, sentence) in [
            (mismatch(Type, b"ab", Some(b"ab"), 0), r#"text instead of binary, 2 bytes, beginning "ab" as awaited"#),
            (
                mismatch(Type, b"{\"ok\"}", Some(b"\xff\n"), 0),
                r#"text instead of binary, 6 bytes instead of 2, beginning "{\"ok\"}" instead of "\xff\n""#,
            ),
            (
                Mismatch { got: Glimpse::new(Kind::Binary, None, b""), ..mismatch(Length, b"", Some(b"ab"), 0) },
                "compressed and not inflated: too short or too long to be the reply",
            ),
            (mismatch(Length, b"", Some(b"ab"), 0), r#"0 bytes instead of 2, beginning "" instead of "ab""#),
            (
                mismatch(Content, b"abXd", Some(b"abcd"), 2),
                r#"4 bytes, of which the first 2 are right, then "Xd" instead of "cd""#,
            ),
            (
                mismatch(OtherMessage, b"cd", None, 0),
                "the reply to a message that waited for none (repeated, late, or another connection's): binary, 2 bytes, \
                 beginning \"cd\"",
            ),
            (
                mismatch(Unasked, b"hello", None, 0),
                "a message that nothing had asked for: binary, 5 bytes, beginning \"hello\"",
            ),
        ] {
            assert_eq!(mismatch.to_string(), sentence);
        }
    }

    #[test]
    fn replies_of_the_other_type_come_with_what_to_do() {
        let sentence = |mismatch: Mismatch| {
            let mut mismatches = Mismatches::default();
            mismatches.count(mismatch.kind, || mismatch);
            mismatches.sentences().collect::<String>()
        };
        let text = mismatch(MismatchKind::Type, b"ab", Some(b"ab"), 0);
        let awaited = Some(Glimpse::new(Kind::Text, Some(2), b"ab"));
        let binary = Mismatch { got: Glimpse::new(Kind::Binary, Some(2), b"ab"), expected: awaited, ..text.clone() };
        assert!(sentence(text).contains("as awaited; send text with --text, or let the server reply"));
        assert!(sentence(binary).contains("; send binary messages, without --text, or let the server reply"));
        let content = sentence(mismatch(MismatchKind::Content, b"ax", Some(b"ab"), 1));
        assert!(!content.contains("--text"), "{content}");
    }

    #[test]
    fn replies_of_a_server_s_own_come_with_the_flag_that_takes_them() {
        let text = |got: &str, sent: &str| {
            let [got, sent] = [got, sent].map(|of| Glimpse::new(Kind::Text, Some(of.len() as u64), of.as_bytes()));
            let mismatch = Mismatch { kind: MismatchKind::Length, times: 1, got, expected: Some(sent), offset: 0 };
            mismatch.remedy().unwrap_or_default()
        };
        let message = "0123456789abcdef0123456789abcdef0123456789abcdef";
        assert!(text(&format!("服务端收到了-{message}-"), message).contains("--expect 'template:"));
        assert!(text("{\"ok\":true}", message).contains("--expect order"));
        let before = Mismatch { offset: 2, ..mismatch(MismatchKind::Length, b"ab-", Some(b"ab"), 2) };
        assert!(before.remedy().unwrap().contains("template:"));
        assert_eq!(mismatch(MismatchKind::Length, b"ab", Some(b"abcd"), 2).remedy(), None, "cut short");
        let binary = mismatch(MismatchKind::Type, b"{\"ok\":true}", Some(b"\xff\n"), 0).remedy().unwrap();
        assert!(binary.contains("--text") && binary.contains("template:") && binary.contains("order"), "{binary}");
    }
}
