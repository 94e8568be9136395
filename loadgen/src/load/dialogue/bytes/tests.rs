//! Streams of bytes, in pieces of every size, right and wrong.

use super::*;
use crate::load::dialogue::pending::Pending;
use crate::plan::tests::plan;
use crate::plan::{Message, Payload, Plan};

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    verified: Vec<u64>,
    corrupted: Vec<u64>,
    unexpected: u64,
    lost: Vec<u64>,
    mismatches: Vec<(MismatchKind, String)>,
    volume: Volume,
    by_length: u64,
}

impl Observer for Seen {
    fn verified(&mut self, pending: Pending, count: u64) {
        self.verified.extend((0..count).map(|_| pending.due));
    }
    fn reordered(&mut self, pending: Pending) {
        unreachable!("a stream has an order: {pending:?}");
    }
    fn corrupted(&mut self, pending: Pending) -> bool {
        self.corrupted.push(pending.due);
        true
    }
    fn withdrawn(&mut self, pending: Pending, _: bool) {
        unreachable!("nothing is ambiguous: {pending:?}");
    }
    fn unexpected(&mut self) {
        self.unexpected += 1;
    }
    fn mismatched(&mut self, kind: MismatchKind, example: impl FnOnce() -> Mismatch) {
        self.mismatches.push((kind, example().to_string()));
    }
    fn lost(&mut self, pending: Pending) {
        self.lost.push(pending.due);
    }
    fn datagram(&mut self, what: crate::load::dialogue::observer::Datagram) {
        unreachable!("a stream has no datagrams: {what:?}");
    }
    fn received(&mut self, volume: Volume) {
        self.volume += volume;
    }
    fn checked(&mut self, _: Pending, how: Checked) {
        assert_eq!(how, Checked::Length);
        self.by_length += 1;
    }
}

fn corpus(size: &str) -> Corpus {
    let message = Message { kind: Kind::Binary, payload: Payload::Random, size: size.parse().unwrap() };
    Corpus::new(&Plan { message, seed: 11, ..plan() }, None)
}

/// A connection on which `n` messages are due at 1..=n, of which all but the last `held_back` bytes have been sent, and the
/// bytes that were sent.
fn flying(corpus: &Corpus, content: bool, n: u64, held_back: usize) -> (Flight, Bytes, Vec<u8>) {
    let (mut flight, stream) = (Flight::new(3, 4), Bytes::new(corpus, content));
    (1..=n).for_each(|due| flight.push(due));
    let mut wire = Vec::new();
    loop {
        let bytes = unsent(&flight, corpus);
        let all = flight.unsent() <= corpus.len();
        let count = bytes.len() - if all { held_back } else { 0 };
        if count == 0 {
            return (flight, stream, wire);
        }
        wire.extend_from_slice(&bytes[..count]);
        let volume = sent(&mut flight, corpus, count, 100);
        assert_eq!(volume.frame_bytes, volume.message_bytes);
        if all {
            return (flight, stream, wire);
        }
    }
}

#[test]
fn replies_in_pieces_of_every_size_are_verified_in_order() {
    for size in ["1", "64", "1..700", "5000"] {
        let corpus = corpus(size);
        for piece in [1, 2, 63, 64, 65, 4096, usize::MAX] {
            // More of them than the corpus has.
            let n = 2 * corpus.len() as u64 + 5;
            let (mut flight, mut stream, wire) = flying(&corpus, true, n, 0);
            let mut seen = Seen::default();
            for chunk in wire.chunks(piece.min(wire.len())) {
                stream.received(&mut flight, &corpus, chunk, &mut seen).unwrap();
            }
            assert_eq!(seen.verified, (1..=n).collect::<Vec<_>>(), "{size} in pieces of {piece}");
            assert_eq!((seen.volume.messages, seen.volume.frame_bytes), (n, wire.len() as u64));
            assert!(flight.is_empty() && !stream.mid_reply() && seen.mismatches.is_empty());
        }
    }
}

#[test]
fn what_was_sent_of_a_message_comes_back_before_the_rest_of_it_is_sent() {
    let corpus = corpus("1000");
    let (mut flight, mut stream, wire) = flying(&corpus, true, 2, 400);
    assert_eq!(wire.len(), 1600);
    let mut seen = Seen::default();
    stream.received(&mut flight, &corpus, &wire, &mut seen).unwrap();
    assert!(seen.verified == [1] && stream.mid_reply());
    let rest = unsent(&flight, &corpus).to_vec();
    assert_eq!(rest.len(), 400);
    sent(&mut flight, &corpus, 400, 200);
    stream.received(&mut flight, &corpus, &rest, &mut seen).unwrap();
    assert!(seen.verified == [1, 2] && !stream.mid_reply());
}

#[test]
fn wrong_bytes_are_a_wrong_reply_to_the_message_in_whose_place_they_came() {
    let corpus = corpus("64");
    for piece in [1, 10, 64, 500] {
        let (mut flight, mut stream, mut wire) = flying(&corpus, true, 6, 0);
        let before = wire[64 + 10];
        wire[64 + 10] = before ^ 0xff;
        wire[3 * 64] ^= 1;
        wire[4 * 64 - 1] ^= 1;
        let mut seen = Seen::default();
        for chunk in wire.chunks(piece) {
            stream.received(&mut flight, &corpus, chunk, &mut seen).unwrap();
        }
        assert_eq!((&seen.verified[..], &seen.corrupted[..]), (&[1, 3, 5, 6][..], &[2, 4][..]), "pieces of {piece}");
        assert_eq!((seen.volume.messages, seen.unexpected, seen.mismatches.len()), (6, 0, 2));
        let (kind, words) = &seen.mismatches[0];
        assert_eq!(*kind, MismatchKind::Content);
        let first = format!("{}", [before ^ 0xff].escape_ascii());
        assert!(words.contains(&first) && words.contains("10"), "{words}");
        assert!(flight.is_empty());
    }
}

#[test]
fn more_bytes_than_were_sent_end_the_connection() {
    let corpus = corpus("8");
    for n in [0, 1, 200] {
        let (mut flight, mut stream, mut wire) = flying(&corpus, true, n, 0);
        wire.extend_from_slice(b"more");
        let mut seen = Seen::default();
        let gone = stream.received(&mut flight, &corpus, &wire, &mut seen).unwrap_err();
        assert_eq!(&gone, &Gone::Surplus);
        assert_eq!((seen.verified.len() as u64, seen.unexpected), (n, 1));
        assert_eq!(seen.mismatches[0].0, MismatchKind::Unasked);
        assert!(seen.mismatches[0].1.contains("more"), "{:?}", seen.mismatches);
    }
}

#[test]
fn where_only_lengths_are_checked_content_is_not_looked_at() {
    let corpus = corpus("1..99");
    let (mut flight, mut stream, wire) = flying(&corpus, false, 40, 0);
    let mut seen = Seen::default();
    for chunk in vec![0; wire.len()].chunks(7) {
        stream.received(&mut flight, &corpus, chunk, &mut seen).unwrap();
    }
    assert_eq!((seen.verified.len(), seen.by_length, seen.corrupted.len()), (40, 40, 0));
    assert_eq!(stream.received(&mut flight, &corpus, &[0], &mut seen), Err(Gone::Surplus));
}

#[test]
fn what_has_not_come_whole_is_lost_with_the_connection() {
    let corpus = corpus("64");
    let (mut flight, mut stream, wire) = flying(&corpus, true, 3, 0);
    let mut seen = Seen::default();
    stream.received(&mut flight, &corpus, &wire[..100], &mut seen).unwrap();
    flight.abandon(&mut seen);
    assert_eq!((&seen.verified[..], &seen.lost[..]), (&[1][..], &[2, 3][..]));
}
