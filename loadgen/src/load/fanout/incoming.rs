//! The message that is coming to one receiver, in pieces. It is known by its number; where the server leaves messages as they are,
//! all of the rest is compared with what was sent. Of one that is not as it should be, enough is kept for an example.

use wire::OpCode;

use super::message::{DIGITS, IDS, Message, number};
use super::pointer;
use crate::measure::delivery_mismatch::{DeliveryMismatch, DeliveryMismatchKind};
use crate::measure::glimpse::{EXCERPT_BYTES, Glimpse};
use crate::plan::Kind;
use crate::plan::fanout::Mark;

/// What has come of the current message of one receiver.
#[derive(Debug, Default)]
pub struct Incoming {
    /// Bytes of its payload.
    len: usize,
    /// The part that an example shows, with the digits of the number where their place is known.
    shown: [u8; EXCERPT_BYTES],
    /// Whether it has differed from what was sent.
    differs: bool,
    /// From where on; only where it differs.
    difference: Difference,
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
        /// What else in it is not as it was sent.
        altered: Option<DeliveryMismatchKind>,
    },
    /// None of this run, and why not.
    Unknown(DeliveryMismatchKind),
}

/// Where a message differs from what was sent.
#[derive(Debug, Default)]
struct Difference {
    /// Bytes of payload before it.
    offset: usize,
    /// What came from there on.
    excerpt: [u8; EXCERPT_BYTES],
    len: usize,
}

impl Incoming {
    /// Takes the next piece of a payload.
    #[inline]
    pub fn take(&mut self, piece: &[u8], message: &Message) {
        let begin = self.len;
        self.len += piece.len();
        match &message.mark {
            None if self.differs => self.difference.push(piece),
            None if differs(piece, begin, &message.payload) => {
                self.differs = true;
                self.difference = Difference::new(piece, begin, &message.payload);
            }
            None | Some(Mark::Bytes(_)) => {}
            Some(Mark::Json(_) | Mark::JsonString(_)) => {
                let room = LONGEST_TEXT.saturating_sub(self.text.len()).min(piece.len());
                self.text.extend_from_slice(&piece[..room]);
                return;
            }
        }
        let shown = message.shown_from;
        let (from, to) = (shown.max(begin), (shown + EXCERPT_BYTES).min(self.len));
        if from < to {
            self.shown[from - shown..to - shown].copy_from_slice(&piece[from - begin..to - begin]);
        }
    }

    /// The message is whole: which it is.
    #[inline]
    pub fn finish(&self, opcode: OpCode, message: &Message) -> Came {
        let number = match &message.mark {
            None | Some(Mark::Bytes(_)) => self.digits(message),
            Some(Mark::Json(keys)) => pointer::number_at(&self.text, keys, |text| text.parse().ok()),
            Some(Mark::JsonString(keys)) => pointer::number_at(&self.text, keys, |text| number_in(text, message)),
        };
        match number.map(|number| message.id_of(number)) {
            Some(Some(id)) => Came::Number { id, altered: self.altered(opcode, message) },
            Some(None) => Came::Unknown(DeliveryMismatchKind::OtherNumber),
            None => Came::Unknown(DeliveryMismatchKind::Unnumbered),
        }
    }

    /// The next message begins.
    #[inline]
    pub fn clear(&mut self) {
        if self.text.capacity() > KEPT_TEXT {
            self.text = Vec::new();
        }
        self.text.clear();
        (self.len, self.differs, self.shown) = (0, false, [0; EXCERPT_BYTES]);
    }

    /// The message that is whole, as an example of what may be wrong with it.
    #[cold]
    pub fn example(&self, kind: DeliveryMismatchKind, opcode: OpCode, message: &Message) -> DeliveryMismatch {
        let got = |part| Glimpse::new(kind_of(opcode), Some(self.len as u64), part);
        let sent = |id, offset| {
            let payload = message.payload_of(id);
            Glimpse::new(kind_of(message.opcode), Some(payload.len() as u64), payload.get(offset..).unwrap_or_default())
        };
        let (got, expected, offset) = match kind {
            DeliveryMismatchKind::Type | DeliveryMismatchKind::Length | DeliveryMismatchKind::Content => {
                let Difference { offset, excerpt, len } = &self.difference;
                // What has not differed ends too soon, or is of another type.
                let (offset, part) = if self.differs { (*offset, &excerpt[..*len]) } else { (self.len, &[][..]) };
                let id = self.digits(message).unwrap_or_default() % IDS;
                (got(part), Some(sent(id, offset)), offset)
            }
            DeliveryMismatchKind::Unnumbered if message.mark.is_none() => {
                (got(self.shown(message)), Some(sent(0, 0)), 0)
            }
            _ => (got(self.shown(message)), None, message.shown_from),
        };
        DeliveryMismatch { kind, times: 1, got, expected, offset: offset as u64 }
    }

    /// The number at its fixed place.
    #[inline]
    fn digits(&self, message: &Message) -> Option<u64> {
        number(&self.shown[message.digits_from..message.digits_from + DIGITS])
    }

    /// What is not as it was sent of a message that has its number.
    #[inline]
    fn altered(&self, opcode: OpCode, message: &Message) -> Option<DeliveryMismatchKind> {
        match () {
            () if message.mark.is_some() => None,
            () if opcode != message.opcode => Some(DeliveryMismatchKind::Type),
            () if self.len != message.payload.len() => Some(DeliveryMismatchKind::Length),
            () => self.differs.then_some(DeliveryMismatchKind::Content),
        }
    }

    /// The part that an example shows.
    fn shown(&self, message: &Message) -> &[u8] {
        match &message.mark {
            Some(Mark::Json(_) | Mark::JsonString(_)) => &self.text,
            None | Some(Mark::Bytes(_)) => {
                &self.shown[..self.len.saturating_sub(message.shown_from).min(EXCERPT_BYTES)]
            }
        }
    }
}

impl Difference {
    /// In a piece that begins at `begin`.
    #[cold]
    fn new(piece: &[u8], begin: usize, payload: &[u8]) -> Self {
        let skipped = DIGITS.saturating_sub(begin).min(piece.len());
        let sent = payload.get(begin + skipped..).unwrap_or_default();
        let alike = piece[skipped..].iter().zip(sent).take_while(|(came, sent)| came == sent).count();
        let mut difference = Self { offset: begin + skipped + alike, ..Self::default() };
        difference.push(&piece[skipped + alike..]);
        difference
    }

    #[cold]
    fn push(&mut self, piece: &[u8]) {
        let taken = piece.len().min(EXCERPT_BYTES - self.len);
        self.excerpt[self.len..self.len + taken].copy_from_slice(&piece[..taken]);
        self.len += taken;
    }
}

/// Whether a piece of a payload that begins at `begin` is not what was sent there, the digits left out.
#[inline]
fn differs(piece: &[u8], begin: usize, payload: &[u8]) -> bool {
    let skipped = DIGITS.saturating_sub(begin).min(piece.len());
    payload.get(begin + skipped..begin + piece.len()) != Some(&piece[skipped..])
}

/// The number of a message of this run somewhere in a text, or else the first number of as many digits.
fn number_in(text: &str, message: &Message) -> Option<u64> {
    let numbers = || text.as_bytes().windows(DIGITS).filter_map(number);
    numbers().find(|number| message.id_of(*number).is_some()).or_else(|| numbers().next())
}

fn kind_of(opcode: OpCode) -> Kind {
    if opcode == OpCode::Text { Kind::Text } else { Kind::Binary }
}

/// Bytes of a JSON document that are read: the largest message, 1 MiB, and what a server puts around it.
const LONGEST_TEXT: usize = (1 << 20) + (64 << 10);

/// Bytes that a receiver keeps for the next document.
const KEPT_TEXT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Message as Wanted, Payload, Sizes};

    fn message(kind: Kind, size: u32, mark: Option<&str>) -> Message {
        let wanted = Wanted { kind, payload: Payload::Random, size: Sizes::exactly(size) };
        Message::new(&wanted, mark.map(|mark| mark.parse().unwrap()).as_ref(), 4_711, 1).unwrap()
    }

    /// What has come, cut into pieces.
    fn incoming(message: &Message, payload: &[u8], cut: usize) -> Incoming {
        let mut incoming = Incoming::default();
        // What was before leaves nothing.
        incoming.take(b"0000000000000000 and something else", message);
        incoming.clear();
        payload.chunks(cut).for_each(|piece| incoming.take(piece, message));
        incoming
    }

    fn came(message: &Message, payload: &[u8], cut: usize) -> Came {
        incoming(message, payload, cut).finish(message.opcode, message)
    }

    /// What is wrong with it, in words, however it is cut.
    fn told(message: &Message, opcode: OpCode, payload: &[u8]) -> String {
        let example = |cut| {
            let incoming = incoming(message, payload, cut);
            let kind = match incoming.finish(opcode, message) {
                Came::Number { altered, .. } => altered.expect("something is not as it was sent"),
                Came::Unknown(kind) => kind,
            };
            incoming.example(kind, opcode, message)
        };
        for cut in [1, 3, 15, 17] {
            assert_eq!(example(cut), example(payload.len()), "{cut}");
        }
        example(payload.len()).to_string()
    }

    const AS_SENT: Option<DeliveryMismatchKind> = None;

    #[test]
    fn a_message_is_known_by_its_number_however_it_is_cut() {
        for (kind, size, mark) in [
            (Kind::Binary, 64, None),
            (Kind::Text, 16, None),
            (Kind::Text, 90, Some("seq@json:/id")),
            (Kind::Binary, 90, Some("seq@json:/a/pad")),
            (Kind::Binary, 70, Some("seq@bytes:0")),
        ] {
            let message = message(kind, size, mark);
            for id in [0, 7, 999_999_999_999] {
                let payload = message.payload_of(id);
                assert_eq!(payload.len(), size as usize);
                for cut in [1, 3, 15, 17, 100] {
                    let whole = Came::Number { id, altered: AS_SENT };
                    assert_eq!(came(&message, &payload, cut), whole, "{mark:?} {cut}");
                }
            }
        }
    }

    #[test]
    fn what_was_changed_or_is_of_another_run_is_told() {
        use DeliveryMismatchKind::{Content, Length, OtherNumber, Type, Unnumbered};
        let message = message(Kind::Binary, 64, None);
        let mut payload = message.payload_of(7);
        let altered = |kind| Came::Number { id: 7, altered: Some(kind) };
        payload[40] ^= 1;
        assert_eq!(came(&message, &payload, 100), altered(Content));
        payload[40] ^= 1;
        assert_eq!(came(&message, &payload[..63], 100), altered(Length));
        assert_eq!(came(&message, &[&payload[..], b"x"].concat(), 9), altered(Length));
        assert_eq!(incoming(&message, &payload, 100).finish(OpCode::Text, &message), altered(Type));
        payload[0] = b'9';
        assert_eq!(came(&message, &payload, 100), Came::Unknown(OtherNumber));
        assert_eq!(came(&message, b"hello, you there", 100), Came::Unknown(Unnumbered));
        assert_eq!(came(&message, b"short one", 100), Came::Unknown(Unnumbered));
    }

    #[test]
    fn what_came_is_shown_beside_what_was_sent() {
        let text = message(Kind::Text, 40, None);
        let sent = text.payload_of(7);
        let beginning = String::from_utf8_lossy(&sent[..32]).escape_default().to_string();
        let changed = [&sent[..20], b"XYZ", &sent[23..]].concat();
        let told_of = |payload: &[u8]| told(&text, OpCode::Text, payload);
        assert!(
            told_of(&changed).starts_with("40 bytes, of which the first 20 are as sent, then \"XYZ"),
            "{changed:?}"
        );
        assert_eq!(told_of(&sent[..30]), "30 bytes instead of 40, of which the first 30 are as sent");
        assert_eq!(
            told_of(&[&sent[..], b"end"].concat()),
            "43 bytes instead of 40, of which the first 40 are as sent, then \"end\""
        );
        assert_eq!(told(&text, OpCode::Binary, &sent), "binary instead of text, 40 bytes, otherwise as sent");
        let unmarked = told_of(b"hello");
        assert!(
            unmarked
                .starts_with("no number of a message in what came: text, 5 bytes, beginning \"hello\"; sent was text")
        );
        assert!(unmarked.contains("40 bytes, beginning \"4711000000000000"), "{unmarked}");
        let other = told_of(&[&b"9"[..], &sent[1..]].concat());
        assert!(other.ends_with(&format!("text, 40 bytes, beginning \"9{}\"", &beginning[1..])), "{other}");
    }

    #[test]
    fn what_came_instead_of_a_mark_is_shown_from_before_its_place_on() {
        let near = message(Kind::Binary, 64, Some("seq@bytes:8"));
        let came = format!("{}{}", "bob says: ", "z".repeat(40));
        let beginning = "no number of a message in what came: binary, 50 bytes, beginning \"bob says: zzz";
        assert!(told(&near, OpCode::Binary, came.as_bytes()).starts_with(beginning));
        let far = message(Kind::Binary, 64, Some("seq@bytes:30"));
        let from = "no number of a message in what came: binary, 50 bytes, with \"zzzz";
        let told_of = told(&far, OpCode::Binary, came.as_bytes());
        assert!(told_of.starts_with(from) && told_of.ends_with("after 14 bytes"), "{told_of}");
        let json = message(Kind::Text, 64, Some("seq@json:/id"));
        let told_of = told(&json, OpCode::Text, br#"{"hello": 1}"#);
        assert_eq!(told_of, r#"no number of a message in what came: text, 12 bytes, beginning "{\"hello\": 1}""#);
        assert!(told(&json, OpCode::Text, br#"{"id": 17}"#).starts_with("a number that no message of this run had"));
    }

    #[test]
    fn what_a_server_puts_around_it_does_not_matter_where_there_is_a_mark() {
        let bytes = message(Kind::Binary, 64, Some("seq@bytes:8"));
        let whole = Came::Number { id: 5, altered: AS_SENT };
        for at in [8, 40] {
            let message = message(Kind::Binary, 64, Some(&format!("seq@bytes:{at}")));
            let payload = [&vec![b'1'; at][..], &message.payload_of(5), b"end"].concat();
            assert_eq!([1, 10, 200].map(|cut| came(&message, &payload, cut)), [whole; 3], "{at}");
        }
        assert_eq!(came(&bytes, b"12345678", 3), Came::Unknown(DeliveryMismatchKind::Unnumbered));
        let json = message(Kind::Text, 64, Some("seq@json:/id"));
        let text = String::from_utf8(json.payload_of(5)).unwrap();
        let rewritten = format!(" {{\"from\": [1, {{}}], {} , \"at\": 3.5}}", &text[1..text.len() - 1]);
        assert_eq!(came(&json, rewritten.as_bytes(), 10), whole);
        assert_eq!(came(&json, b"{\"no\": 1, \"json\"", 10), Came::Unknown(DeliveryMismatchKind::Unnumbered));
    }

    #[test]
    fn a_message_within_a_string_of_json_is_found_whatever_is_before_it() {
        use DeliveryMismatchKind::{OtherNumber, Unnumbered};
        let message = message(Kind::Text, 64, Some("seq@json-string:/data/text"));
        let (whole, sent) =
            (Came::Number { id: 5, altered: AS_SENT }, String::from_utf8(message.payload_of(5)).unwrap());
        for text in [
            sent.clone(),
            format!("bob: {sent}"),
            format!("[12:30:00.123456] somebody called \"\u{fc}\\17\n\" says {sent}, and 1234567890123456"),
            // A document within a string, and digits that run into the number.
            format!("{{\"seq\": 12345678901234567890, \"id\": \"{sent}\"}}"),
            format!("1234{sent}"),
        ] {
            let document = serde_json::json!({"from": {"text": "9"}, "data": {"n": 3, "text": text}}).to_string();
            assert_eq!([1, 7, 1_000].map(|cut| came(&message, document.as_bytes(), cut)), [whole; 3], "{document}");
        }
        for (document, kind) in [
            (serde_json::json!({"data": {"text": "1234567890123456"}}), OtherNumber),
            (serde_json::json!({"data": {"text": "hello"}}), Unnumbered),
            (serde_json::json!({"data": {"text": ["1234567890123456"]}}), Unnumbered),
            (serde_json::json!({"text": sent}), Unnumbered),
        ] {
            assert_eq!(came(&message, document.to_string().as_bytes(), 100), Came::Unknown(kind), "{document}");
        }
    }
}
