//! The one message that all senders send: only its number changes, 16 digits at a fixed place.

use std::ops::RangeInclusive;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use wire::{Header, MAX_HEADER_LEN, OpCode, apply_mask};

use crate::measure::glimpse::EXCERPT_BYTES;
use crate::plan::fanout::Mark;
use crate::plan::{Kind, Message as Wanted};

/// What is sent, and how it is found in what comes.
#[derive(Debug)]
pub struct Message {
    /// As it is sent.
    pub(super) opcode: OpCode,
    /// As it is sent, with any digits.
    pub(super) payload: Vec<u8>,
    /// The masked frame.
    frame: Vec<u8>,
    mask: [u8; 4],
    /// Where the digits are in the payload that is sent.
    at: usize,
    /// Where the digits are in what comes.
    pub(super) mark: Option<Mark>,
    /// Bytes of what comes before the part that an example shows: the digits lie within this part, if their place is known.
    pub(super) shown_from: usize,
    /// Bytes of this part before the digits.
    pub(super) digits_from: usize,
    /// The first digits, the same for all messages: what comes with others is of an earlier run or of somebody else.
    run: u64,
}

impl Message {
    /// The message of a plan that is found by this mark. `run` tells runs apart, from [`FIRST_RUN`] on and below
    /// [`LAST_RUN`].
    ///
    /// # Errors
    /// When it does not fit into the size that is wanted.
    pub fn new(wanted: &Wanted, mark: Option<&Mark>, run: u64, seed: u64) -> Result<Self, String> {
        let size = wanted.size.min();
        let (opcode, payload, at) = match (mark, wanted.kind) {
            (Some(Mark::Json(keys)), _) => {
                let (payload, at) = document(keys, size)?;
                (OpCode::Text, payload, at)
            }
            // Nothing that a server would have to escape in a string of JSON.
            (Some(Mark::JsonString(_)), _) => (OpCode::Text, numbered(size, seed, Content::Text(b'a'..=b'z'))?, 0),
            (_, Kind::Text) => (OpCode::Text, numbered(size, seed, Content::Text(b' '..=b'~'))?, 0),
            (_, Kind::Binary) => (OpCode::Binary, numbered(size, seed, Content::Bytes)?, 0),
        };
        let digits_at = if let Some(Mark::Bytes(at)) = mark { *at as usize } else { 0 };
        let shown_from = digits_at.saturating_sub(EXCERPT_BYTES - DIGITS);
        let mask: [u8; 4] = SmallRng::seed_from_u64(seed.wrapping_add(1)).random();
        let header = Header { fin: true, rsv: 0, opcode, mask: Some(mask), payload_len: payload.len() as u64 };
        let mut head = [0; MAX_HEADER_LEN];
        let len = header.encode(&mut head);
        let mut frame = [&head[..len], &payload].concat();
        apply_mask(&mut frame[len..], mask);
        let (mark, digits_from) = (mark.cloned(), digits_at - shown_from);
        Ok(Self { opcode, payload, frame, mask, at, mark, shown_from, digits_from, run })
    }

    /// A frame of it, for [`Message::number`] to be entered in.
    pub fn frame(&self) -> Vec<u8> {
        self.frame.clone()
    }

    /// Enters the number in a frame.
    #[inline]
    pub fn number(&self, frame: &mut [u8], id: u64) {
        let begin = self.frame.len() - self.payload.len() + self.at;
        let mut left = self.run * IDS + id % IDS;
        for (digit, at) in frame[begin..begin + DIGITS].iter_mut().zip(self.at..self.at + DIGITS).rev() {
            *digit = (b'0' + (left % 10) as u8) ^ self.mask[at % 4];
            left /= 10;
        }
    }

    /// The payload of this number.
    pub fn payload_of(&self, id: u64) -> Vec<u8> {
        let mut payload = self.payload.clone();
        let digits = format!("{:0DIGITS$}", self.run * IDS + id % IDS);
        payload[self.at..self.at + DIGITS].copy_from_slice(digits.as_bytes());
        payload
    }

    /// The message's number in these digits, if they are of this run.
    #[inline]
    pub fn id_of(&self, number: u64) -> Option<u64> {
        (number / IDS == self.run).then_some(number % IDS)
    }
}

/// The number that these digits are, if all of them are digits.
#[inline]
pub fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// What follows the digits of a message that is no JSON document.
enum Content {
    /// Any of these characters.
    Text(RangeInclusive<u8>),
    /// Any bytes.
    Bytes,
}

/// A payload of so many bytes that begins with the digits.
fn numbered(size: usize, seed: u64, content: Content) -> Result<Vec<u8>, String> {
    if size < DIGITS {
        return Err(format!("--size: expected {DIGITS} B at least, since each message bears its number"));
    }
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut payload = vec![b'0'; size];
    let rest = &mut payload[DIGITS..];
    match content {
        Content::Text(any) => rest.iter_mut().for_each(|byte| *byte = rng.random_range(any.clone())),
        Content::Bytes => rng.fill(rest),
    }
    Ok(payload)
}

/// A JSON document of so many bytes with the digits at the pointer, and where they are in it.
fn document(keys: &[String], size: usize) -> Result<(Vec<u8>, usize), String> {
    let quoted = |key: &String| serde_json::to_string(key).expect("a text is JSON");
    let open: String = keys.iter().map(|key| format!("{{{}:", quoted(key))).collect();
    let at = open.len();
    let inner = "}".repeat(keys.len() - 1);
    // A key that the pointer may name too would stand there twice.
    let pad = if keys[0] == "pad" { "filler" } else { "pad" };
    let without = format!("{open}{}{inner},\"{pad}\":\"\"}}", "0".repeat(DIGITS));
    let Some(more) = size.checked_sub(without.len()) else {
        return Err(format!("--size: expected {} B at least, for a JSON document with such a field", without.len()));
    };
    let (begin, end) = without.split_at(without.len() - 2);
    Ok((format!("{begin}{}{end}", "x".repeat(more)).into_bytes(), at))
}

/// The first number of a run; with it all numbers have 16 digits.
pub const FIRST_RUN: u64 = 1_000;

/// The number of runs ends before this: JavaScript keeps whole numbers up to 2^53, which is 9,007 x 10^12.
pub const LAST_RUN: u64 = 9_000;

/// Numbers of messages in a run: 11 days of a million per second.
pub(super) const IDS: u64 = 1_000_000_000_000;

/// Digits of a number.
pub const DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Payload, Sizes};

    fn message(kind: Kind, size: u32, mark: Option<&str>) -> Result<Message, String> {
        let wanted = Wanted { kind, payload: Payload::Random, size: Sizes::exactly(size) };
        Message::new(&wanted, mark.map(|mark| mark.parse().unwrap()).as_ref(), 4_711, 1)
    }

    #[test]
    fn its_frame_bears_the_number_and_nothing_else_changes() {
        for (kind, size, mark) in [
            (Kind::Binary, 64, None),
            (Kind::Text, 16, None),
            (Kind::Text, 90, Some("seq@json:/id")),
            (Kind::Text, 64, Some("seq@json-string:/text")),
            (Kind::Binary, 70, Some("seq@bytes:8")),
        ] {
            let message = message(kind, size, mark).unwrap();
            for id in [0, 7, 999_999_999_999] {
                let mut frame = message.frame();
                message.number(&mut frame, id);
                let (header, len) = Header::parse(&frame).unwrap().unwrap();
                apply_mask(&mut frame[len..], header.mask.unwrap());
                let payload = message.payload_of(id);
                assert_eq!(frame[len..], payload, "{mark:?} {id}");
                let digits = &payload[message.at..message.at + DIGITS];
                assert_eq!(number(digits), Some(4_711 * IDS + id));
                assert_eq!(number(digits).and_then(|number| message.id_of(number)), Some(id));
            }
        }
        let string = message(Kind::Text, 64, Some("seq@json-string:/text")).unwrap();
        assert!(string.payload[DIGITS..].iter().all(u8::is_ascii_lowercase), "nothing to be escaped");
    }

    #[test]
    fn a_size_without_room_for_the_number_is_refused() {
        assert!(message(Kind::Binary, 15, None).unwrap_err().contains("expected 16 B at least"));
        assert!(message(Kind::Text, 15, Some("seq@json-string:/id")).unwrap_err().contains("expected 16 B at least"));
        assert!(message(Kind::Text, 20, Some("seq@json:/id")).unwrap_err().contains("expected 32 B at least"));
    }
}
