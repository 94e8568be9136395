//! Uncompressed streams, and what the other tests of this dialogue share: a connection, and who is told what became of it.

use wire::deflate::Effort;
use wire::{Header, MAX_HEADER_LEN, OpCode, apply_mask};

use super::reader::MAX_CONTROL_BYTES;
use super::*;
use crate::load::dialogue::observer::{Checked, Datagram};
use crate::load::dialogue::pending::Pending;
use crate::load::pings::Pong;
use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::plan::tests::plan;
use crate::plan::{Kind, Message, Payload, Plan};

#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    verified: Vec<u64>,
    reordered: Vec<u64>,
    corrupted: Vec<u64>,
    unexpected: u64,
    lost: Vec<u64>,
    mismatches: Vec<(MismatchKind, String)>,
    pongs: Vec<Pong>,
}

impl Observer for Seen {
    fn verified(&mut self, pending: Pending, count: u64) {
        self.verified.extend((0..count).map(|_| pending.due));
    }
    fn reordered(&mut self, pending: Pending) {
        self.reordered.push(pending.due);
    }
    fn corrupted(&mut self, pending: Pending) -> bool {
        self.corrupted.push(pending.due);
        true
    }
    fn withdrawn(&mut self, pending: Pending, in_window: bool) {
        assert!(in_window);
        let at = self.corrupted.iter().position(|due| *due == pending.due);
        self.corrupted.remove(at.expect("only what was told is withdrawn"));
        self.unexpected += 1;
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
    fn datagram(&mut self, what: Datagram) {
        unreachable!("a stream has no datagrams: {what:?}");
    }
    fn received(&mut self, _: Volume) {}
    fn checked(&mut self, _: Pending, how: Checked) {
        unreachable!("all is compared as it comes, and nothing {how:?}");
    }
    fn pong(&mut self, pong: Pong) {
        self.pongs.push(pong);
    }
}

/// A connection without its socket.
#[derive(Debug)]
struct Connection {
    messages: Flight,
    websocket: WebSocket,
}

impl Connection {
    fn new(corpus: &Corpus, first: usize, capacity: usize, terms: &Terms) -> Self {
        Self { messages: Flight::new(first, capacity), websocket: WebSocket::new(corpus, terms) }
    }

    fn len(&self) -> usize {
        self.messages.len()
    }

    fn push(&mut self, due: u64) {
        self.messages.push(due);
    }

    fn pack(&mut self, corpus: &Corpus, per_worker: &mut PerWorker, count: usize) -> bool {
        self.websocket.pack(&self.messages, corpus, per_worker, count)
    }

    fn unsent<'a>(&'a self, corpus: &'a Corpus) -> &'a [u8] {
        self.websocket.unsent(&self.messages, corpus)
    }

    fn sent(&mut self, corpus: &Corpus, bytes: usize, now: u64) -> Volume {
        self.websocket.sent(&mut self.messages, corpus, bytes, now)
    }

    fn received(
        &mut self,
        corpus: &Corpus,
        per_worker: &mut PerWorker,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> Result<(), Gone> {
        self.websocket.received(&mut self.messages, corpus, per_worker, bytes, observer)
    }

    fn abandon(&mut self, corpus: &Corpus, observer: &mut impl Observer) {
        self.websocket.abandon(&mut self.messages, corpus, observer);
    }
}

/// No compression, and all is checked.
const PLAIN: Terms = Terms { deflate: None, content: true, in_order: false, skip: 0 };

fn per_worker(corpus: &Corpus) -> PerWorker {
    PerWorker::new(corpus, Effort::default())
}

fn corpus(size: &str) -> Corpus {
    let message = Message { kind: Kind::Binary, payload: Payload::Random, size: size.parse().unwrap() };
    Corpus::new(&Plan { message, seed: 11, ..plan() }, None)
}

/// A connection with `n` messages due at 1..=n and sent at 100.
fn flying(corpus: &Corpus, n: u64) -> Connection {
    let mut connection = Connection::new(corpus, 3, 4, &PLAIN);
    (1..=n).for_each(|due| connection.push(due));
    while !connection.unsent(corpus).is_empty() {
        let bytes = connection.unsent(corpus).len();
        connection.sent(corpus, bytes, 100);
    }
    connection
}

/// An unmasked frame.
fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = Header { fin, rsv: 0, opcode, mask: None, payload_len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER_LEN];
    let len = header.encode(&mut head);
    [&head[..len], payload].concat()
}

fn receive(connection: &mut Connection, corpus: &Corpus, bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    connection.received(corpus, &mut per_worker(corpus), bytes, &mut seen).unwrap();
    seen
}

#[path = "deflate_tests.rs"]
mod deflate;
#[path = "wrong_tests.rs"]
mod wrong;

#[test]
fn replies_are_verified_at_every_split() {
    let corpus = corpus("0..300");
    let stream = corpus.replies(3, 5).to_vec();
    for split in 0..=stream.len() {
        let mut connection = flying(&corpus, 5);
        let mut seen = Seen::default();
        connection.received(&corpus, &mut per_worker(&corpus), &stream[..split], &mut seen).unwrap();
        connection.received(&corpus, &mut per_worker(&corpus), &stream[split..], &mut seen).unwrap();
        assert_eq!(seen.verified, [1, 2, 3, 4, 5], "split at {split}");
        assert!(connection.len() == 0);
    }
    let mut connection = flying(&corpus, 5);
    let mut seen = Seen::default();
    stream.iter().for_each(|byte| connection.received(&corpus, &mut per_worker(&corpus), &[*byte], &mut seen).unwrap());
    assert_eq!(seen, Seen { verified: vec![1, 2, 3, 4, 5], ..Seen::default() });
}

#[test]
fn a_long_backlog_wraps_around_the_corpus() {
    let corpus = corpus("10");
    let n = corpus.len() as u64 * 2 + 5;
    let mut connection = flying(&corpus, n);
    let mut at = 3;
    for _ in 0..n {
        let reply = corpus.replies(at, 1).to_vec();
        assert_eq!(receive(&mut connection, &corpus, &reply).verified.len(), 1);
        at = corpus.after(at, 1);
    }
    assert!(connection.len() == 0);
}

#[test]
fn partial_sends_keep_the_first_time_and_resume_where_they_stopped() {
    let corpus = corpus("20");
    let mut connection = Connection::new(&corpus, 0, 4, &PLAIN);
    connection.push(1);
    connection.push(2);
    let all = connection.unsent(&corpus).to_vec();
    assert_eq!(connection.sent(&corpus, 5, 10).messages, 0);
    assert_eq!(connection.unsent(&corpus), &all[5..]);
    assert_eq!(connection.sent(&corpus, 22, 20).messages, 1);
    assert_eq!(connection.sent(&corpus, all.len() - 27, 30).messages, 1);
    let sent: Vec<u64> = connection.messages.queue.iter().map(|pending| pending.sent).collect();
    assert_eq!(sent, [10, 20]);
    assert!(connection.unsent(&corpus).is_empty());
}

#[test]
fn control_frames_between_and_fragments_of_replies_are_read() {
    let corpus = corpus("50");
    let mut connection = flying(&corpus, 3);
    let second = corpus.payload(4);
    let stream = [
        corpus.replies(3, 1).to_vec(),
        frame(false, OpCode::Binary, &second[..10]),
        frame(true, OpCode::Ping, b"are you there"),
        frame(true, OpCode::Continuation, &second[10..]),
        frame(true, OpCode::Pong, b""),
        corpus.replies(5, 1).to_vec(),
    ]
    .concat();
    for split in 0..stream.len() {
        let mut connection = flying(&corpus, 3);
        let mut seen = receive(&mut connection, &corpus, &stream[..split]);
        connection.received(&corpus, &mut per_worker(&corpus), &stream[split..], &mut seen).unwrap();
        assert_eq!(seen, Seen { verified: vec![1, 2, 3], ..Seen::default() }, "split at {split}");
        assert!(connection.websocket.reader.is_none(), "regular again");
    }
    receive(&mut connection, &corpus, &stream);
    let pong = connection.unsent(&corpus).to_vec();
    let (header, at) = Header::parse(&pong).unwrap().unwrap();
    assert_eq!((header.opcode, header.payload_len), (OpCode::Pong, 13));
    let mut payload = pong[at..].to_vec();
    apply_mask(&mut payload, header.mask.unwrap());
    assert_eq!(payload, b"are you there");
    assert_eq!(connection.sent(&corpus, pong.len(), 1).messages, 0);
    assert!(connection.unsent(&corpus).is_empty());
}

#[test]
fn a_late_reply_is_reordered_and_a_skipped_one_stays_outstanding() {
    let corpus = corpus("50");
    let reply = |i: usize| corpus.replies(3 + i, 1).to_vec();
    let mut connection = flying(&corpus, 4);
    let seen = receive(&mut connection, &corpus, &[reply(1), reply(0), reply(3)].concat());
    assert_eq!(seen, Seen { verified: vec![2, 4], reordered: vec![1], ..Seen::default() });
    assert_eq!(connection.len(), 1);
    let mut seen = Seen::default();
    connection.abandon(&corpus, &mut seen);
    assert_eq!(seen, Seen { lost: vec![3], ..Seen::default() });
}

#[test]
fn a_wrong_byte_a_wrong_length_and_a_wrong_opcode_are_corrupted() {
    let corpus = corpus("50");
    for wrong in [
        frame(true, OpCode::Binary, &[7; 50]),
        frame(true, OpCode::Binary, &corpus.payload(3)[..49]),
        frame(true, OpCode::Text, corpus.payload(3)),
        frame(true, OpCode::Binary, b""),
    ] {
        let mut connection = flying(&corpus, 2);
        let mut seen = receive(&mut connection, &corpus, &[wrong, corpus.replies(4, 1).to_vec()].concat());
        assert_eq!(std::mem::take(&mut seen.mismatches).len(), 1);
        assert_eq!(seen, Seen { corrupted: vec![1], verified: vec![2], ..Seen::default() });
        assert!(connection.len() == 0 && connection.websocket.reader.is_none());
    }
}

#[test]
fn duplicates_and_messages_out_of_the_blue_are_unexpected() {
    let corpus = corpus("50");
    let mut connection = flying(&corpus, 2);
    let first = corpus.replies(3, 1).to_vec();
    let mut seen = receive(
        &mut connection,
        &corpus,
        &[first.clone(), first.clone(), corpus.replies(4, 1).to_vec(), first].concat(),
    );
    let kinds: Vec<_> = std::mem::take(&mut seen.mismatches).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [MismatchKind::OtherMessage; 2]);
    assert_eq!(seen, Seen { verified: vec![1, 2], unexpected: 2, ..Seen::default() });
}

#[test]
fn a_server_that_breaks_the_protocol_is_left() {
    let corpus = corpus("50");
    let cases: [(Vec<u8>, &str); 7] = [
        (
            [&[0x88, 7], &1001u16.to_be_bytes()[..], b"\x1b[2Ja"].concat(),
            r"closed by the server with code 1001 (\u{1b}[2ja)",
        ),
        (
            [&[0x88, 13], &1001u16.to_be_bytes()[..], b"going away!"].concat(),
            "closed by the server with code 1001 (going away!)",
        ),
        (vec![0x88, 0], "closed by the server with no code"),
        (vec![0x82, 0x81, 1, 2, 3, 4, 5], "masked"),
        (vec![0xc2, 0x01, 0], "reserved"),
        (vec![0x80, 0x01, 0], "continuation"),
        (vec![0x83, 0x00], "reserved"),
    ];
    for (bytes, expected) in cases {
        let mut connection = flying(&corpus, 1);
        let gone = connection
            .received(&corpus, &mut per_worker(&corpus), &bytes, &mut Seen::default())
            .unwrap_err()
            .to_string();
        assert!(gone.to_lowercase().contains(expected), "{gone}, expected {expected}");
    }
}

#[test]
fn a_ping_goes_out_between_messages_and_its_pong_is_told() {
    let corpus = corpus("50");
    let mut connection = flying(&corpus, 1);
    assert!(connection.websocket.ping(70) && connection.websocket.ping(80));
    let sent = connection.websocket.unsent(&connection.messages, &corpus).to_vec();
    let (header, len) = Header::parse(&sent).unwrap().unwrap();
    let mut payload = sent[len..len + 8].to_vec();
    apply_mask(&mut payload, header.mask.unwrap());
    assert_eq!((header.opcode, header.fin, header.payload_len), (OpCode::Ping, true, 8));
    connection.websocket.sent(&mut connection.messages, &corpus, sent.len(), 75);
    assert!(connection.websocket.unsent(&connection.messages, &corpus).is_empty());
    let seen = receive(&mut connection, &corpus, &frame(true, OpCode::Pong, &payload));
    assert_eq!(seen, Seen { pongs: vec![Pong::Answers { sent: 70, passed_over: 0 }], ..Seen::default() });
    let strange = receive(&mut connection, &corpus, &frame(true, OpCode::Pong, b"hello"));
    assert_eq!(strange.pongs, [Pong::Nothing]);
    assert_eq!((connection.websocket.give_up_pings(), connection.len()), (1, 1));
    while connection.websocket.ping(90) {}
    assert!(connection.websocket.control.len() <= MAX_CONTROL_BYTES, "{}", connection.websocket.control.len());
}

#[test]
fn a_flood_of_pings_is_bounded() {
    let corpus = corpus("50");
    let mut connection = flying(&corpus, 1);
    for _ in 0..1000 {
        receive(&mut connection, &corpus, &frame(true, OpCode::Ping, &[1; 125]));
    }
    assert!(connection.websocket.control.len() <= MAX_CONTROL_BYTES);
}
