//! Datagrams answered in every order, twice, late, wrongly and not at all.

use super::*;
use crate::plan::tests::plan;
use crate::plan::{Message, Payload, Plan};

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    verified: Vec<u64>,
    corrupted: Vec<u64>,
    unsent: Vec<u64>,
    lost: Vec<u64>,
    late: u64,
    duplicated: u64,
    reordered: u64,
    mismatches: Vec<(MismatchKind, String)>,
    unexpected: u64,
    by_length: u64,
    volume: Volume,
}

impl Observer for Seen {
    fn verified(&mut self, pending: Pending, count: u64) {
        assert_eq!(count, 1);
        self.verified.push(pending.due);
    }
    fn reordered(&mut self, pending: Pending) {
        unreachable!("that is no error here: {pending:?}");
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
        self.unsent.push(pending.due);
    }
    fn datagram(&mut self, what: Datagram) {
        match what {
            Datagram::Lost(pending) => self.lost.push(pending.due),
            Datagram::Late => self.late += 1,
            Datagram::Duplicated => self.duplicated += 1,
            Datagram::Reordered => self.reordered += 1,
        }
    }
    fn received(&mut self, volume: Volume) {
        self.volume += volume;
    }
    fn checked(&mut self, _: Pending, how: Checked) {
        assert_eq!(how, Checked::Length);
        self.by_length += 1;
    }
}

/// A connection without its socket.
struct Line {
    corpus: Corpus,
    flight: Flight,
    datagrams: Datagrams,
    seen: Seen,
    now: u64,
}

impl Line {
    fn new(content: bool) -> Self {
        let message = Message { kind: Kind::Binary, payload: Payload::Random, size: "8..100".parse().unwrap() };
        let corpus = Corpus::new(&Plan { message, seed: 7, ..plan() }, None);
        let datagrams = Datagrams::new(&corpus, content, 16);
        Self { corpus, flight: Flight::new(3, 4), datagrams, seen: Seen::default(), now: 0 }
    }

    /// Sends so many messages, each due and sent at a time of its own from 1 on; what was sent.
    fn send(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        for _ in 0..count {
            self.now += 1;
            self.flight.push(self.now);
            self.datagrams.make(&self.flight, &self.corpus);
            sent.push(self.datagrams.unsent().to_vec());
            let bytes = self.datagrams.unsent().len();
            let volume = self.datagrams.sent(&mut self.flight, &self.corpus, bytes, self.now);
            assert_eq!((volume.messages, volume.frame_bytes), (1, sent[sent.len() - 1].len() as u64));
            assert!(self.datagrams.unsent().is_empty());
        }
        sent
    }

    fn take(&mut self, came: &[u8]) {
        self.datagrams.received(&mut self.flight, &self.corpus, came, came.len(), &mut self.seen);
    }

    fn expire(&mut self, before: u64) {
        self.datagrams.expire(&mut self.flight, &self.corpus, before, &mut self.seen);
    }
}

#[test]
fn messages_differ_and_are_answered_in_turn() {
    let mut line = Line::new(true);
    let sent = line.send(300);
    for (number, datagram) in sent.iter().enumerate() {
        assert_eq!(datagram[..8], (number as u64).to_be_bytes());
        assert!((8..=100).contains(&datagram.len()));
    }
    sent.iter().for_each(|datagram| line.take(datagram));
    let volume = Volume { messages: 300, ..line.seen.volume };
    assert_eq!(volume.frame_bytes, sent.iter().map(|datagram| datagram.len() as u64).sum::<u64>());
    assert_eq!(line.seen, Seen { verified: (1..=300).collect(), volume, ..Seen::default() });
    assert!(line.flight.is_empty());
    assert_eq!(line.flight.early, 0);
}

#[test]
fn replies_out_of_order_are_verified_and_counted() {
    let mut line = Line::new(true);
    let sent = line.send(5);
    [2, 0, 1, 4, 3].into_iter().for_each(|at: usize| line.take(&sent[at]));
    assert_eq!(line.seen.verified, [3, 1, 2, 5, 4]);
    assert_eq!((line.seen.reordered, line.seen.duplicated, line.flight.is_empty()), (3, 0, true));
}

#[test]
fn a_second_reply_is_a_duplicate_before_and_after_its_message_has_left() {
    let mut line = Line::new(true);
    let sent = line.send(3);
    line.take(&sent[1]);
    line.take(&sent[1]);
    assert_eq!((line.seen.duplicated, line.flight.len()), (1, 2));
    [0, 2, 1, 0, 2].into_iter().for_each(|at: usize| line.take(&sent[at]));
    assert_eq!((line.seen.verified.len(), line.seen.duplicated, line.seen.late), (3, 4, 0));
}

#[test]
fn what_has_no_reply_in_time_is_lost_and_comes_late_if_it_comes() {
    let mut line = Line::new(true);
    let sent = line.send(6);
    [1, 5].into_iter().for_each(|at: usize| line.take(&sent[at]));
    line.expire(4);
    assert_eq!((&line.seen.lost[..], line.flight.len()), (&[1, 3][..], 2), "4 and 5 have time left");
    // Lost, the first ones have left; one in the middle would not have.
    [0, 2, 0].into_iter().for_each(|at: usize| line.take(&sent[at]));
    assert_eq!((line.seen.late, line.seen.duplicated), (2, 1), "the second time it is a duplicate");
    line.take(&sent[3]);
    line.expire(100);
    assert_eq!((&line.seen.lost[..], line.flight.is_empty()), (&[1, 3, 5][..], true));
    line.take(&sent[4]);
    assert_eq!((line.seen.late, &line.seen.verified[..]), (3, &[2, 6, 4][..]));
}

#[test]
fn the_oldest_is_lost_when_too_many_later_ones_are_answered() {
    let mut line = Line::new(true);
    let first = line.send(1).remove(0);
    for datagram in line.send(MOST_EARLY) {
        line.take(&datagram);
    }
    assert_eq!((line.seen.lost.len(), line.flight.len()), (0, 1));
    let last = line.send(1).remove(0);
    line.take(&last);
    assert_eq!((&line.seen.lost[..], line.flight.is_empty()), (&[1][..], true));
    // Longer ago than is remembered.
    line.take(&first);
    assert_eq!((line.seen.late, line.seen.duplicated), (1, 0));
}

#[test]
fn what_became_of_the_last_messages_is_remembered() {
    let mut line = Line::new(true);
    let mut sent = Vec::new();
    for round in 0..REMEMBERED * 3 {
        let datagram = line.send(1).remove(0);
        if round % 3 == 0 {
            line.expire(u64::MAX);
        } else {
            line.take(&datagram);
        }
        sent.push((round % 3 == 0, datagram));
    }
    let last = sent.split_off(sent.len() - REMEMBERED as usize);
    let lost = last.iter().filter(|(lost, _)| *lost).count() as u64;
    last.iter().for_each(|(_, datagram)| line.take(datagram));
    assert_eq!((line.seen.late, line.seen.duplicated), (lost, REMEMBERED - lost));
}

#[test]
fn wrong_replies_are_corrupted_and_strays_unexpected() {
    let mut line = Line::new(true);
    let sent = line.send(4);
    let mut wrong = sent[0].clone();
    wrong.push(b'!');
    line.take(&wrong);
    let long = (1..4).find(|&at| sent[at].len() > 12).expect("one of them is");
    let mut wrong = sent[long].clone();
    wrong[11] ^= 0xff;
    line.take(&wrong);
    assert_eq!(line.seen.corrupted, [1, long as u64 + 1]);
    assert_eq!(line.seen.mismatches[0].0, MismatchKind::Length);
    assert_eq!(line.seen.mismatches[1].0, MismatchKind::Content);
    // No number, and one that was not sent.
    line.take(b"");
    line.take(b"1234567");
    line.take(&4_u64.to_be_bytes());
    assert_eq!((line.seen.unexpected, line.flight.len()), (3, 2));
    line.take(&sent[0]);
    assert_eq!(line.seen.duplicated, 1, "the wrong one was its reply");
}

#[test]
fn lengths_alone_are_checked_where_that_is_asked_for() {
    let mut line = Line::new(false);
    for mut datagram in line.send(10) {
        datagram[8..].fill(0);
        line.take(&datagram);
    }
    assert_eq!((line.seen.verified.len(), line.seen.by_length), (10, 10));
    let mut short = line.send(1).remove(0);
    short.push(0);
    line.take(&short);
    assert_eq!(line.seen.corrupted, [11]);
}

/// Sends what is due; what each call of `make` brought, and how long its datagrams are.
fn send_due(line: &mut Line) -> Vec<(Vec<u8>, usize)> {
    let mut made = Vec::new();
    while line.flight.unsent() > 0 {
        line.datagrams.make(&line.flight, &line.corpus);
        let (bytes, segment) = (line.datagrams.unsent().to_vec(), line.datagrams.segment());
        let volume = line.datagrams.sent(&mut line.flight, &line.corpus, bytes.len(), line.now);
        assert_eq!((volume.frame_bytes, volume.messages), (bytes.len() as u64, bytes.len().div_ceil(segment) as u64));
        made.push((bytes, segment));
    }
    made
}

#[test]
fn datagrams_of_equal_length_are_made_together_and_a_shorter_one_behind_them() {
    let mut line = Line::new(true);
    (1..=500).for_each(|due| line.flight.push(due));
    let made = send_due(&mut line);
    let datagrams: Vec<&[u8]> = made.iter().flat_map(|(bytes, segment)| bytes.chunks(*segment)).collect();
    for (number, datagram) in datagrams.iter().enumerate() {
        assert_eq!(datagram[..8], (number as u64).to_be_bytes());
    }
    assert_eq!(datagrams.len(), 500);
    // Of 93 lengths: every other one is shorter than the one before it.
    assert!(made.len() < 350, "{} calls for 500 datagrams", made.len());
    for (at, (bytes, segment)) in made.iter().enumerate() {
        let last = bytes.chunks(*segment).last().unwrap().len();
        let next = made.get(at + 1).map_or(usize::MAX, |(_, segment)| *segment);
        assert!(last < *segment || next > *segment, "what comes next would have had its place in it");
    }
    // They come back merged otherwise than they were sent.
    for (bytes, segment) in &made {
        line.datagrams.received(&mut line.flight, &line.corpus, bytes, *segment, &mut line.seen);
    }
    assert_eq!((line.seen.verified.len(), line.seen.reordered, line.flight.is_empty()), (500, 0, true));
}

#[test]
fn there_are_no_more_together_than_asked_for_and_what_is_left_is_sent_later() {
    let message = Message { kind: Kind::Binary, payload: Payload::Random, size: "50".parse().unwrap() };
    let corpus = Corpus::new(&Plan { message, seed: 7, ..plan() }, None);
    for (together, expected) in [(1, 1), (5, 5), (1_000, 64)] {
        let mut datagrams = Datagrams::new(&corpus, true, together);
        let mut flight = Flight::new(0, 100);
        (1..=100).for_each(|due| flight.push(due));
        datagrams.make(&flight, &corpus);
        assert_eq!((datagrams.unsent().len(), datagrams.segment()), (expected * 50, 50));
        let all = datagrams.unsent().to_vec();
        // The socket takes all but the last; meanwhile the first is answered.
        if expected > 1 {
            let volume = datagrams.sent(&mut flight, &corpus, (expected - 1) * 50, 7);
            assert_eq!((volume.messages, flight.unsent()), (expected as u64 - 1, 101 - expected));
            datagrams.received(&mut flight, &corpus, &all[..50], 50, &mut Seen::default());
            datagrams.make(&flight, &corpus);
        }
        assert_eq!(datagrams.unsent(), &all[(expected - 1) * 50..]);
        datagrams.sent(&mut flight, &corpus, 50, 8);
        assert!(datagrams.unsent().is_empty());
        datagrams.make(&flight, &corpus);
        assert_eq!(datagrams.unsent()[..8], (expected as u64).to_be_bytes());
    }
}

#[test]
fn a_connection_that_is_given_up_goes_on_with_further_numbers() {
    let mut line = Line::new(true);
    let sent = line.send(3);
    line.take(&sent[1]);
    // One is due and not sent.
    line.flight.push(4);
    line.datagrams.make(&line.flight, &line.corpus);
    line.datagrams.abandon(&mut line.flight, &line.corpus, &mut line.seen);
    assert_eq!((&line.seen.lost[..], &line.seen.unsent[..]), (&[1, 3][..], &[4][..]));
    assert!(line.flight.is_empty() && line.datagrams.unsent().is_empty());
    line.take(&sent[2]);
    assert_eq!(line.seen.late, 1);
    let next = line.send(1).remove(0);
    assert_eq!(next[..8], 3_u64.to_be_bytes());
    line.take(&next);
    assert_eq!(line.seen.verified, [2, 4]);
}
