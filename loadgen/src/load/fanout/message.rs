//! The one message that all senders send: only its number changes, 16 digits at a fixed place. A message that comes is known by
//! these digits; where the server leaves messages as they are, all of the rest is compared too.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use wire::{Header, MAX_HEADER_LEN, OpCode, apply_mask};

use super::pointer;
use crate::plan::fanout::Mark;
use crate::plan::{Kind, Message as Wanted};

/// What is sent, and how it is found in what comes.
#[derive(Debug)]
pub struct Message {
    opcode: OpCode,
    /// As it is sent, with any digits.
    payload: Vec<u8>,
    /// The masked frame.
    frame: Vec<u8>,
    mask: [u8; 4],
    /// Where the digits are in the payload that is sent.
    at: usize,
    mark: Option<Mark>,
    /// The first digits, the same for all messages: what comes with others is of an earlier run or of somebody else.
    run: u64,
}

/// What has come of the current message of one receiver.
#[derive(Debug, Default)]
pub struct Incoming {
    /// Bytes of its payload.
    len: usize,
    digits: [u8; DIGITS],
    /// Whether it has differed from what was sent.
    differs: bool,
    /// All of it, where its number has to be looked for.
    text: Vec<u8>,
}

/// What a message is that has come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The one of this number.
    Number {
        /// The number.
        id: u64,
        /// Whether anything else in it is not as it was sent.
        altered: bool,
    },
    /// None of this run.
    Unknown,
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
            (_, kind) => {
                if size < DIGITS {
                    return Err(format!("--size: expected {DIGITS} B at least, since each message bears its number"));
                }
                let mut rng = SmallRng::seed_from_u64(seed);
                let mut payload = vec![b'0'; size];
                match kind {
                    Kind::Text => payload[DIGITS..].iter_mut().for_each(|byte| *byte = rng.random_range(b' '..=b'~')),
                    Kind::Binary => rng.fill(&mut payload[DIGITS..]),
                }
                (if kind == Kind::Text { OpCode::Text } else { OpCode::Binary }, payload, 0)
            }
        };
        let mask: [u8; 4] = SmallRng::seed_from_u64(seed.wrapping_add(1)).random();
        let header = Header { fin: true, rsv: 0, opcode, mask: Some(mask), payload_len: payload.len() as u64 };
        let mut head = [0; MAX_HEADER_LEN];
        let len = header.encode(&mut head);
        let mut frame = [&head[..len], &payload].concat();
        apply_mask(&mut frame[len..], mask);
        Ok(Self { opcode, payload, frame, mask, at, mark: mark.cloned(), run })
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

    /// The number in these digits, if they are of this run.
    #[inline]
    fn id_of(&self, number: u64) -> Option<u64> {
        (number / IDS == self.run).then_some(number % IDS)
    }
}

impl Incoming {
    /// Takes the next piece of a payload.
    #[inline]
    pub fn take(&mut self, piece: &[u8], message: &Message) {
        let begin = self.len;
        self.len += piece.len();
        let digits_at = match &message.mark {
            None => {
                self.differs |= differs(piece, begin, &message.payload);
                0
            }
            Some(Mark::Bytes(at)) => *at as usize,
            Some(Mark::Json(_)) => {
                let room = LONGEST_TEXT.saturating_sub(self.text.len()).min(piece.len());
                self.text.extend_from_slice(&piece[..room]);
                return;
            }
        };
        let (from, to) = (digits_at.max(begin), (digits_at + DIGITS).min(self.len));
        if from < to {
            self.digits[from - digits_at..to - digits_at].copy_from_slice(&piece[from - begin..to - begin]);
        }
    }

    /// The message is whole: which it is. The next one begins.
    #[inline]
    pub fn finish(&mut self, opcode: OpCode, message: &Message) -> Came {
        let (number, altered) = match &message.mark {
            None => {
                let same = !self.differs && self.len == message.payload.len() && opcode == message.opcode;
                (number(&self.digits), !same)
            }
            Some(Mark::Bytes(_)) => (number(&self.digits), false),
            Some(Mark::Json(keys)) => (pointer::number_at(&self.text, keys), false),
        };
        if self.text.capacity() > KEPT_TEXT {
            self.text = Vec::new();
        }
        self.text.clear();
        (self.len, self.differs, self.digits) = (0, false, [0; DIGITS]);
        match number.and_then(|number| message.id_of(number)) {
            Some(id) => Came::Number { id, altered },
            None => Came::Unknown,
        }
    }
}

/// Whether a piece of a payload that begins at `begin` is not what was sent there, the digits left out.
#[inline]
fn differs(piece: &[u8], begin: usize, payload: &[u8]) -> bool {
    let skipped = DIGITS.saturating_sub(begin).min(piece.len());
    payload.get(begin + skipped..begin + piece.len()) != Some(&piece[skipped..])
}

#[inline]
fn number(digits: &[u8; DIGITS]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
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
const IDS: u64 = 1_000_000_000_000;

/// Digits of a number.
pub const DIGITS: usize = 16;

/// Bytes of a JSON document that are read.
const LONGEST_TEXT: usize = 1 << 20;

/// Bytes that a receiver keeps for the next document.
const KEPT_TEXT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Payload, Sizes};

    fn message(kind: Kind, size: u32, mark: Option<&str>) -> Result<Message, String> {
        let wanted = Wanted { kind, payload: Payload::Random, size: Sizes::exactly(size) };
        Message::new(&wanted, mark.map(|mark| mark.parse().unwrap()).as_ref(), 4_711, 1)
    }

    /// The payload of the frame of this number.
    fn sent(message: &Message, id: u64) -> Vec<u8> {
        let mut frame = message.frame();
        message.number(&mut frame, id);
        let (header, len) = Header::parse(&frame).unwrap().unwrap();
        apply_mask(&mut frame[len..], header.mask.unwrap());
        frame.split_off(len)
    }

    fn came(message: &Message, payload: &[u8], cut: usize) -> Came {
        let mut incoming = Incoming::default();
        // What was before leaves nothing.
        incoming.take(&payload[..9], message);
        incoming.finish(message.opcode, message);
        payload.chunks(cut).for_each(|piece| incoming.take(piece, message));
        incoming.finish(message.opcode, message)
    }

    #[test]
    fn a_message_is_known_by_its_number_however_it_is_cut() {
        for (kind, size, mark) in [
            (Kind::Binary, 64, None),
            (Kind::Text, 16, None),
            (Kind::Text, 90, Some("seq@json:/id")),
            (Kind::Binary, 90, Some("seq@json:/a/pad")),
            (Kind::Binary, 70, Some("seq@bytes:0")),
        ] {
            let message = message(kind, size, mark).unwrap();
            for id in [0, 7, 999_999_999_999] {
                let payload = sent(&message, id);
                assert_eq!(payload.len(), size as usize);
                for cut in [1, 3, 15, 17, 100] {
                    assert_eq!(came(&message, &payload, cut), Came::Number { id, altered: false }, "{mark:?} {cut}");
                }
            }
        }
    }

    #[test]
    fn what_was_changed_or_is_of_another_run_is_told() {
        let message = message(Kind::Binary, 64, None).unwrap();
        let mut payload = sent(&message, 7);
        payload[40] ^= 1;
        assert_eq!(came(&message, &payload, 100), Came::Number { id: 7, altered: true });
        payload[40] ^= 1;
        assert_eq!(came(&message, &payload[..63], 100), Came::Number { id: 7, altered: true });
        assert_eq!(came(&message, &[&payload[..], b"x"].concat(), 9), Came::Number { id: 7, altered: true });
        payload[0] = b'9';
        assert_eq!(came(&message, &payload, 100), Came::Unknown);
        assert_eq!(came(&message, b"hello, you there", 100), Came::Unknown);
        assert_eq!(came(&message, b"short one", 100), Came::Unknown);
    }

    #[test]
    fn what_a_server_puts_around_it_does_not_matter_where_there_is_a_mark() {
        let bytes = message(Kind::Binary, 64, Some("seq@bytes:8")).unwrap();
        let payload = [&b"12345678"[..], &sent(&bytes, 5), b"end"].concat();
        assert_eq!(came(&bytes, &payload, 10), Came::Number { id: 5, altered: false });
        let json = message(Kind::Text, 64, Some("seq@json:/id")).unwrap();
        let text = String::from_utf8(sent(&json, 5)).unwrap();
        let rewritten = format!(" {{\"from\": [1, {{}}], {} , \"at\": 3.5}}", &text[1..text.len() - 1]);
        assert_eq!(came(&json, rewritten.as_bytes(), 10), Came::Number { id: 5, altered: false });
        assert_eq!(came(&json, b"{\"no\": 1, \"json\"", 10), Came::Unknown);
    }

    #[test]
    fn a_size_without_room_for_the_number_is_refused() {
        assert!(message(Kind::Binary, 15, None).unwrap_err().contains("expected 16 B at least"));
        assert!(message(Kind::Text, 20, Some("seq@json:/id")).unwrap_err().contains("expected 32 B at least"));
    }
}
