//! Buffers with compressed frames become the replies to them.

use proptest::prelude::*;
use wire::deflate::{Codec, EchoedDeflated, Effort, Replies, Shared, Uncompressed, echo_deflated};
use wire::{End, Header, Limits, MAX_HEADER_LEN, OpCode, Peer, Violation, apply_mask};

use crate::sample::{Zlib, agreed, json, noise};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LIMITS: Limits = Limits { max_message_size: 64 << 10, max_fragments: 3 };
const REPLIES: Replies = Replies { threshold: 0, uncompressed: Uncompressed::AsIs, max_message_size: 1 << 20 };
const RSV1: u8 = 4;

fn frame(opcode: OpCode, rsv: u8, payload: &[u8]) -> Vec<u8> {
    let header = Header { fin: true, rsv, opcode, mask: Some(KEY), payload_len: payload.len() as u64 };
    let mut bytes = [0; MAX_HEADER_LEN];
    let len = header.encode(&mut bytes);
    let mut payload = payload.to_vec();
    apply_mask(&mut payload, KEY);
    [&bytes[..len], &payload].concat()
}

fn deflated(opcode: OpCode, message: &[u8]) -> Vec<u8> {
    frame(opcode, RSV1, &Zlib::new(15).compress(message))
}

/// The server's end, with what it answers to a buffer as (compressed, opcode, message).
struct Server {
    codec: Codec,
    shared: Shared,
    replies: Replies,
}

impl Server {
    fn new(replies: Replies) -> Self {
        Self { codec: Codec::new(agreed(false), Peer::Client), shared: Shared::new(Effort::default()), replies }
    }

    fn echo(&mut self, stream: &[u8]) -> (EchoedDeflated, Vec<(bool, OpCode, Vec<u8>)>) {
        let (mut buf, mut out) = (stream.to_vec(), Vec::new());
        let echoed = echo_deflated(&mut buf, &LIMITS, &self.replies, &mut self.codec, &mut self.shared, &mut out);
        assert!(echoed.written == 0 || out.is_empty());
        assert_eq!(buf[echoed.consumed..], stream[echoed.consumed..], "bytes that were not consumed have changed");
        let mut rest = if out.is_empty() { &buf[..echoed.written] } else { &out };
        let mut messages = Vec::new();
        let mut client = Codec::new(agreed(false), Peer::Server);
        while let Some((header, len)) = Header::parse(rest).unwrap() {
            assert!(header.fin && header.mask.is_none() && (header.rsv == 0 || header.rsv == RSV1));
            let (payload, behind) = rest[len..].split_at(header.payload_len as usize);
            let message = if header.rsv == 0 {
                payload.to_vec()
            } else {
                client.decompress(&mut self.shared, payload, 1 << 24).unwrap().to_vec()
            };
            messages.push((header.rsv == RSV1, header.opcode, message));
            rest = behind;
        }
        assert!(rest.is_empty());
        assert_eq!(messages.len(), echoed.messages);
        (echoed, messages)
    }
}

#[test]
fn messages_of_every_size_are_answered_compressed() {
    let mut server = Server::new(REPLIES);
    for len in (0..300).chain([4096, 65_535, 65_536, 200_000]) {
        for (opcode, message) in [(OpCode::Text, json(len as u64, len)), (OpCode::Binary, noise(1, len.min(60_000)))] {
            let (echoed, replies) = server.echo(&deflated(opcode, &message));
            assert_eq!(echoed.end, Some(End::Partial), "{len}");
            assert_eq!(replies, [(true, opcode, message)], "{len}");
        }
    }
}

#[test]
fn the_threshold_and_the_policy_say_which_replies_are_compressed() {
    let (small, large) = (json(1, 99), json(1, 100));
    let stream = [
        deflated(OpCode::Text, &small),
        deflated(OpCode::Text, &large),
        frame(OpCode::Text, 0, &small),
        frame(OpCode::Binary, 0, &large),
    ]
    .concat();
    for (uncompressed, last) in [(Uncompressed::AsIs, false), (Uncompressed::Compressed, true)] {
        let (echoed, replies) = Server::new(Replies { threshold: 100, uncompressed, ..REPLIES }).echo(&stream);
        assert_eq!((echoed.consumed, echoed.end), (stream.len(), Some(End::Partial)));
        assert_eq!(
            replies,
            [
                (false, OpCode::Text, small.clone()),
                (true, OpCode::Text, large.clone()),
                (false, OpCode::Text, small.clone()),
                (last, OpCode::Binary, large.clone()),
            ]
        );
    }
}

#[test]
fn uncompressed_frames_alone_stay_in_place() {
    let stream = [frame(OpCode::Text, 0, b"one"), frame(OpCode::Binary, 0, &[7; 300])].concat();
    let (echoed, replies) = Server::new(REPLIES).echo(&stream);
    assert_eq!((echoed.messages, echoed.written, replies.len()), (2, stream.len() - 8, 2));
}

#[test]
fn what_is_no_whole_data_frame_is_a_detour_or_awaited() {
    let whole = deflated(OpCode::Text, &json(1, 500));
    let mut server = Server::new(REPLIES);
    for end in 1..whole.len() {
        let (echoed, _) = server.echo(&whole[..end]);
        assert_eq!((echoed.consumed, echoed.end), (0, Some(End::Partial)), "cut at {end}");
    }
    let fragment = [&[whole[0] & 0x7f], &whole[1..]].concat();
    let too_large = deflated(OpCode::Binary, &noise(1, 70_000));
    let rsv2 = frame(OpCode::Text, 2, b"x");
    let unmasked = [&[0xc1, 0x01], &b"x"[..]].concat();
    for detour in [fragment, too_large, rsv2, unmasked, frame(OpCode::Ping, 0, b""), frame(OpCode::Ping, RSV1, b"")] {
        let (echoed, replies) = server.echo(&[&whole[..], &detour].concat());
        assert_eq!((echoed.consumed, echoed.end, replies.len()), (whole.len(), Some(End::Detour), 1), "{detour:02x?}");
    }
}

#[test]
fn a_message_that_is_wrong_ends_it_after_those_before() {
    let good = deflated(OpCode::Text, &json(1, 500));
    let cases = [
        (frame(OpCode::Text, RSV1, &[0xff; 8]), Violation::CorruptCompression),
        (deflated(OpCode::Text, b"caf\xe9"), Violation::InvalidUtf8),
        (frame(OpCode::Text, 0, b"caf\xe9"), Violation::InvalidUtf8),
        (deflated(OpCode::Binary, &vec![0; (1 << 20) + 1]), Violation::MessageTooBig { limit: 1 << 20 }),
    ];
    for uncompressed in [Uncompressed::AsIs, Uncompressed::Compressed] {
        for (bad, violation) in &cases {
            let (echoed, replies) =
                Server::new(Replies { uncompressed, ..REPLIES }).echo(&[&good[..], bad, &good].concat());
            assert_eq!((echoed.end, replies.len()), (Some(End::Violation(*violation)), 1));
        }
    }
}

#[test]
fn replies_that_grow_large_are_sent_before_more_are_made() {
    // Answered uncompressed, a bomb would fill memory with what it decompresses to.
    let replies = Replies { threshold: usize::MAX, ..REPLIES };
    let bomb = deflated(OpCode::Binary, &vec![0; 200_000]);
    let (echoed, replies) = Server::new(replies).echo(&bomb.repeat(50));
    assert_eq!((echoed.consumed, echoed.end, replies.len()), (2 * bomb.len(), None, 2));
}

proptest! {
    /// However a stream is cut, the replies are the same.
    #[test]
    fn a_stream_in_pieces_is_answered_like_the_whole(
        kinds in prop::collection::vec((0..4_u8, 0..2000_usize), 1..10),
        step in 1..3000_usize,
        always: bool,
    ) {
        let stream: Vec<u8> = kinds.iter().flat_map(|&(kind, len)| match kind {
            0 => frame(OpCode::Text, 0, &json(1, len)),
            1 => frame(OpCode::Binary, 0, &noise(1, len)),
            2 => deflated(OpCode::Text, &json(1, len)),
            _ => deflated(OpCode::Binary, &noise(1, len)),
        }).collect();
        let uncompressed = if always { Uncompressed::Compressed } else { Uncompressed::AsIs };
        let mut server = Server::new(Replies { uncompressed, threshold: 50, ..REPLIES });
        let (_, whole) = server.echo(&stream);
        prop_assert_eq!(whole.len(), kinds.len());
        let (mut kept, mut pieces) = (Vec::new(), Vec::new());
        for piece in stream.chunks(step) {
            kept.extend_from_slice(piece);
            let (echoed, replies) = server.echo(&kept);
            kept.drain(..echoed.consumed);
            pieces.extend(replies);
        }
        prop_assert_eq!(pieces, whole);
    }
}
