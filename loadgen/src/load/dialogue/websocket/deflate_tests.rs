//! Compressed streams: both directions, with and without context takeover, at every split.

use wire::deflate::{Codec, Direction, Shared, WindowBits};
use wire::{Peer, apply_mask};

use super::*;
use crate::plan::messages::push_frame;
use crate::plan::{ContextTakeover, Demand};

#[path = "oversized_tests.rs"]
mod oversized;

/// What a connection told.
#[derive(Debug, Default)]
struct Told {
    verified: Vec<u64>,
    others: Vec<(&'static str, u64)>,
    checked: Vec<Checked>,
    mismatches: Vec<String>,
    volume: Volume,
}

impl Observer for Told {
    fn verified(&mut self, pending: Pending, count: u64) {
        self.verified.extend((0..count).map(|_| pending.due));
    }
    fn reordered(&mut self, pending: Pending) {
        self.others.push(("reordered", pending.due));
    }
    fn corrupted(&mut self, pending: Pending) -> bool {
        self.others.push(("corrupted", pending.due));
        false
    }
    fn withdrawn(&mut self, pending: Pending, in_window: bool) {
        assert!(!in_window);
        self.others.retain(|told| *told != ("corrupted", pending.due));
        self.others.push(("unexpected", 0));
    }
    fn mismatched(&mut self, _: MismatchKind, example: impl FnOnce() -> Mismatch) {
        self.mismatches.push(example().to_string());
    }
    fn lost(&mut self, pending: Pending) {
        self.others.push(("lost", pending.due));
    }
    fn unexpected(&mut self) {
        self.others.push(("unexpected", 0));
    }
    fn datagram(&mut self, what: crate::load::dialogue::observer::Datagram) {
        unreachable!("a stream has no datagrams: {what:?}");
    }
    fn received(&mut self, volume: Volume) {
        self.volume += volume;
    }
    fn checked(&mut self, _: Pending, how: Checked) {
        self.checked.push(how);
    }
}

/// Who takes context over, server and client.
const TAKEOVERS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

fn agreed((server, client): (bool, bool)) -> Agreed {
    let direction = |context_takeover| Direction { context_takeover, window: WindowBits::MAX };
    Agreed { server: direction(server), client: direction(client) }
}

fn terms(takeover: (bool, bool), content: bool) -> Terms {
    let deflate = Deflate {
        demand: Demand::On,
        effort: Effort::default(),
        threshold: 40,
        context_takeover: ContextTakeover::Both,
        window: WindowBits::MAX,
    };
    Terms { deflate: Some((deflate, agreed(takeover))), content, in_order: false, skip: 0 }
}

/// 20 to 400 bytes of JSON, so that the threshold leaves some uncompressed.
fn corpus() -> Corpus {
    let message = Message { kind: Kind::Text, payload: Payload::Json, size: "20..400".parse().unwrap() };
    Corpus::new(&Plan { message, seed: 5, ..plan() }, None)
}

/// A connection with `n` messages due at 1..=n and sent at 100, from message 3 on, and what it sent.
fn flying(corpus: &Corpus, per_worker: &mut PerWorker, terms: &Terms, n: u64) -> (Connection, Vec<u8>) {
    let mut connection = Connection::new(corpus, 3, 4, terms);
    (1..=n).for_each(|due| connection.push(due));
    let mut wire = Vec::new();
    loop {
        connection.pack(corpus, per_worker, connection.messages.unsent());
        let bytes = connection.unsent(corpus).to_vec();
        if bytes.is_empty() {
            return (connection, wire);
        }
        // In pieces, so that frames are cut.
        let some = bytes.len().min(333);
        wire.extend_from_slice(&bytes[..some]);
        connection.sent(corpus, some, 100);
    }
}

/// The server's end of a connection.
struct Server {
    codec: Codec,
    shared: Shared,
}

impl Server {
    fn new(takeover: (bool, bool)) -> Self {
        Self { codec: Codec::new(agreed(takeover), Peer::Client), shared: Shared::new(Effort::default()) }
    }

    /// The messages in a client's frames, and whether each was compressed.
    fn read(&mut self, mut wire: &[u8]) -> Vec<(Vec<u8>, bool)> {
        let mut messages = Vec::new();
        while let Some((header, head)) = Header::parse(wire).unwrap() {
            let mut payload = wire[head..head + header.payload_len as usize].to_vec();
            wire = &wire[head + payload.len()..];
            apply_mask(&mut payload, header.mask.expect("a client masks"));
            assert_eq!(header.opcode, OpCode::Text);
            let compressed = header.rsv == 4;
            if compressed {
                payload = self.codec.decompress(&mut self.shared, &payload, 400).unwrap().to_vec();
            }
            messages.push((payload, compressed));
        }
        messages
    }

    fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        self.codec.compress(&mut self.shared, message, &mut payload);
        payload
    }

    fn reply(&mut self, message: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        push_frame(&mut frame, OpCode::Text, true, None, &self.compress(message));
        frame
    }

    /// A reply in fragments of `size` bytes, with a Ping between them.
    fn fragmented(&mut self, message: &[u8], size: usize) -> Vec<u8> {
        let payload = self.compress(message);
        let pieces: Vec<&[u8]> = payload.chunks(size).collect();
        let mut stream = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let opcode = if i == 0 { OpCode::Text } else { OpCode::Continuation };
            let mut frame = frame(i + 1 == pieces.len(), opcode, piece);
            frame[0] |= if i == 0 { 0x40 } else { 0 };
            stream.extend(frame);
            if i + 1 < pieces.len() {
                stream.extend(super::frame(true, OpCode::Ping, b"?"));
            }
        }
        stream
    }
}

fn gone(bytes: &[u8], terms: &Terms) -> String {
    let corpus = corpus();
    let mut per_worker = per_worker(&corpus);
    let (mut connection, _) = flying(&corpus, &mut per_worker, terms, 1);
    connection.received(&corpus, &mut per_worker, bytes, &mut Told::default()).unwrap_err().to_string()
}

#[test]
fn requests_are_compressed_from_the_threshold_on_and_decompress_to_the_corpus() {
    let corpus = corpus();
    for takeover in TAKEOVERS {
        let mut per_worker = per_worker(&corpus);
        let n = corpus.len() as u64 * 2 + 3;
        let (_, wire) = flying(&corpus, &mut per_worker, &terms(takeover, true), n);
        let messages = Server::new(takeover).read(&wire);
        assert_eq!(messages.len() as u64, n);
        for (i, (message, compressed)) in messages.iter().enumerate() {
            assert_eq!(message, corpus.payload(corpus.after(3, i)));
            assert_eq!(*compressed, message.len() >= 40, "{takeover:?}");
        }
        assert!(messages.iter().any(|(_, compressed)| *compressed) && messages.iter().any(|(_, c)| !*c));
    }
}

#[test]
fn what_is_sent_is_counted_as_messages_payload_and_frames() {
    let corpus = corpus();
    for takeover in TAKEOVERS {
        let mut per_worker = per_worker(&corpus);
        let mut connection = Connection::new(&corpus, 0, 4, &terms(takeover, true));
        let mut volume = Volume::default();
        let mut wire = 0;
        for due in 0..9 {
            connection.push(due);
            connection.pack(&corpus, &mut per_worker, 1);
            let len = connection.unsent(&corpus).len();
            wire += len as u64;
            volume += connection.sent(&corpus, len - 1, 1);
            assert_eq!(volume.messages, due, "not before it is whole");
            volume += connection.sent(&corpus, 1, 1);
        }
        let messages: usize = (0..9).map(|i| corpus.payload(i).len()).sum();
        assert_eq!((volume.messages, volume.message_bytes, volume.frame_bytes), (9, messages as u64, wire));
        let headers = volume.frame_bytes - volume.payload_bytes;
        assert!((9 * 6..=9 * 8).contains(&headers) && volume.payload_bytes < volume.message_bytes);
    }
}

#[test]
fn messages_packed_ahead_wait_until_they_are_due() {
    let corpus = corpus();
    let mut per_worker = per_worker(&corpus);
    let mut connection = Connection::new(&corpus, 0, 4, &terms((true, true), true));
    assert!(connection.pack(&corpus, &mut per_worker, 5) && !connection.pack(&corpus, &mut per_worker, 5));
    assert!(connection.unsent(&corpus).is_empty());
    (0..2).for_each(|due| connection.push(due));
    let bytes = connection.unsent(&corpus).to_vec();
    assert_eq!(Server::new((true, true)).read(&bytes).len(), 2);
    assert_eq!(connection.sent(&corpus, bytes.len(), 1).messages, 2);
    assert!(connection.unsent(&corpus).is_empty() && !connection.messages.is_mid_message());
}

#[test]
fn replies_are_verified_at_every_split_compressed_fragmented_or_neither() {
    let corpus = corpus();
    for takeover in TAKEOVERS {
        let mut server = Server::new(takeover);
        let payload = |i: usize| corpus.payload(corpus.after(3, i));
        let stream = [
            server.reply(payload(0)),
            server.fragmented(payload(1), 7),
            corpus.replies(5, 1).to_vec(),
            frame(true, OpCode::Pong, b"x"),
            server.reply(payload(3)),
            [&frame(false, OpCode::Text, &payload(4)[..5]), &frame(true, OpCode::Continuation, &payload(4)[5..])[..]]
                .concat(),
            server.reply(payload(5)),
        ]
        .concat();
        for split in 0..=stream.len() {
            let mut per_worker = per_worker(&corpus);
            let (mut connection, _) = flying(&corpus, &mut per_worker, &terms(takeover, true), 6);
            let mut told = Told::default();
            connection.received(&corpus, &mut per_worker, &stream[..split], &mut told).unwrap();
            connection.received(&corpus, &mut per_worker, &stream[split..], &mut told).unwrap();
            assert_eq!(told.verified, [1, 2, 3, 4, 5, 6], "{takeover:?}, split at {split}");
            assert!(told.others.is_empty() && connection.len() == 0);
            assert_eq!(told.checked, [Checked::Inflated; 4], "the other two are compared as they are");
            assert_eq!(told.volume.messages, 6);
            let messages: usize = (0..6).map(|i| payload(i).len()).sum();
            assert_eq!(told.volume.message_bytes, messages as u64);
            assert!(
                told.volume.frame_bytes < stream.len() as u64 && told.volume.frame_bytes > told.volume.payload_bytes
            );
        }
        let mut per_worker = per_worker(&corpus);
        let (mut connection, _) = flying(&corpus, &mut per_worker, &terms(takeover, true), 6);
        let mut told = Told::default();
        stream.iter().for_each(|byte| connection.received(&corpus, &mut per_worker, &[*byte], &mut told).unwrap());
        assert_eq!(told.verified, [1, 2, 3, 4, 5, 6], "{takeover:?}, byte by byte");
    }
}

#[test]
fn a_reply_is_inflated_once_and_any_other_bytes_again() {
    let corpus = corpus();
    for takeover in TAKEOVERS {
        let mut per_worker = per_worker(&corpus);
        let mut server = Server::new(takeover);
        let turns = corpus.len() as u64;
        let (mut connection, _) = flying(&corpus, &mut per_worker, &terms(takeover, true), 3 * turns);
        let mut told = Told::default();
        for i in 0..3 * corpus.len() {
            let reply = server.reply(corpus.payload(corpus.after(3, i)));
            connection.received(&corpus, &mut per_worker, &reply, &mut told).unwrap();
        }
        assert_eq!(told.verified.len() as u64, 3 * turns);
        let identical = told.checked.iter().filter(|how| **how == Checked::Identical).count() as u64;
        assert_eq!(identical, if takeover.0 { 0 } else { 2 * turns }, "{takeover:?}");
    }
    // One wrong byte in a reply that is known otherwise.
    let mut per_worker = per_worker(&corpus);
    let mut server = Server::new((false, false));
    let (mut connection, _) = flying(&corpus, &mut per_worker, &terms((false, false), true), 3 + corpus.len() as u64);
    let mut told = Told::default();
    for i in 0..corpus.len() {
        connection
            .received(&corpus, &mut per_worker, &server.reply(corpus.payload(corpus.after(3, i))), &mut told)
            .unwrap();
    }
    let mut wrong = corpus.payload(3).to_vec();
    wrong[7] ^= 1;
    let stream = [server.reply(&wrong), server.reply(corpus.payload(4)), server.reply(corpus.payload(5))].concat();
    connection.received(&corpus, &mut per_worker, &stream, &mut told).unwrap();
    assert_eq!(told.others, [("corrupted", corpus.len() as u64 + 1)]);
    let last = &told.checked[told.checked.len() - 3..];
    assert_eq!(
        last,
        [Checked::Inflated, Checked::Inflated, Checked::Identical],
        "known again once nothing is ambiguous"
    );
}

#[test]
fn late_and_repeated_replies_are_told_apart_as_uncompressed_ones_are() {
    let corpus = corpus();
    for takeover in TAKEOVERS {
        let mut per_worker = per_worker(&corpus);
        let mut server = Server::new(takeover);
        let (mut connection, _) = flying(&corpus, &mut per_worker, &terms(takeover, true), 4);
        let mut told = Told::default();
        for i in [4, 3, 3, 6] {
            connection.received(&corpus, &mut per_worker, &server.reply(corpus.payload(i)), &mut told).unwrap();
        }
        assert_eq!(told.verified, [2, 4], "{takeover:?}");
        assert_eq!(told.others, [("reordered", 1), ("unexpected", 0), ("lost", 3)], "{takeover:?}");
        assert!(connection.messages.is_empty());
    }
}

#[test]
fn by_length_the_content_goes_unseen_but_not_the_length() {
    let corpus = corpus();
    let (same, longer) = (vec![b'x'; corpus.payload(3).len()], vec![b'x'; corpus.payload(3).len() + 1]);
    let judged = |terms: &Terms, takeover, reply: &[u8], compressed: bool| {
        let mut per_worker = per_worker(&corpus);
        let (mut connection, _) = flying(&corpus, &mut per_worker, terms, 1);
        let bytes = if compressed { Server::new(takeover).reply(reply) } else { frame(true, OpCode::Text, reply) };
        let mut told = Told::default();
        connection.received(&corpus, &mut per_worker, &bytes, &mut told).unwrap();
        connection.abandon(&corpus, &mut told);
        (told.verified.len(), told.checked.clone())
    };
    let by_length = Terms { deflate: None, content: false, in_order: false, skip: 0 };
    assert_eq!(judged(&by_length, (false, false), &same, false), (1, vec![Checked::Length]));
    assert_eq!(judged(&by_length, (false, false), &longer, false), (0, vec![Checked::Length]));
    for compressed in [false, true] {
        let takeover = (false, false);
        assert_eq!(judged(&terms(takeover, false), takeover, &same, compressed), (1, vec![Checked::Length]));
        assert_eq!(judged(&terms(takeover, false), takeover, &longer, compressed), (0, vec![Checked::Length]));
        assert_eq!(judged(&terms(takeover, true), takeover, &same, compressed).0, 0);
    }
    // Where nothing is inflated, a length that cannot be is all that shows.
    let takeover = (true, false);
    assert_eq!(judged(&terms(takeover, false), takeover, &longer, true), (1, vec![Checked::Frame]));
    assert_eq!(judged(&terms(takeover, false), takeover, b"", true), (0, vec![Checked::Frame]));
}

#[test]
fn a_reply_known_by_its_length_alone_proves_no_content() {
    let corpus = corpus();
    let takeover = (false, false);
    let mut per_worker = per_worker(&corpus);
    let wrong = Server::new(takeover).reply(&vec![b'x'; corpus.payload(3).len()]);
    let (mut by_length, _) = flying(&corpus, &mut per_worker, &terms(takeover, false), 1);
    let (mut by_content, _) = flying(&corpus, &mut per_worker, &terms(takeover, true), 1);
    let (mut first, mut second) = (Told::default(), Told::default());
    by_length.received(&corpus, &mut per_worker, &wrong, &mut first).unwrap();
    by_content.received(&corpus, &mut per_worker, &wrong, &mut second).unwrap();
    assert_eq!((first.verified.len(), second.others.len()), (1, 1));
}

#[test]
fn a_server_that_breaks_the_protocol_is_left() {
    let mut server = Server::new((false, false));
    let bomb = server.reply(&vec![0; (16 << 20) + 1]);
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let compressed = server.reply(&[b'x'; 400]);
    let mut fragmented = server.fragmented(&[b'x'; 100], 3);
    fragmented[5 + 3] |= 0x40;
    let plain = Terms { deflate: None, content: true, in_order: false, skip: 0 };
    for (bytes, terms, expected) in [
        (
            bomb,
            terms((true, false), true),
            "longer than 16,777,216 bytes, the most that is read; closed with code 1009",
        ),
        (compressed.clone(), plain, "reserved"),
        (compressed.clone(), Terms { deflate: None, content: false, in_order: false, skip: 0 }, "reserved"),
        (fragmented, terms((false, false), true), "reserved"),
        (vec![0xc9, 0], terms((false, false), true), "reserved"),
        (vec![0xa1, 0], terms((false, false), true), "reserved"),
        (vec![0xc1, 2, 0xff, 0xff], terms((false, false), true), "corrupt"),
        (vec![0xc1, 127, 0, 0, 0, 0, 1, 0, 0, 1], terms((true, true), false), "longer than 16,777,216 bytes"),
    ] {
        let gone = gone(&bytes, &terms).to_lowercase();
        assert!(gone.contains(expected), "{gone}, expected {expected}");
    }
}
