//! The echo in place against the naive model, in whole buffers and in any split of a stream over buffers.

use proptest::prelude::*;

use crate::model::{self, frame};
use wire::{Echoed, End, Header, Limits, OpCode, Violation, echo_in_place};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LIMITS: Limits = Limits { max_message_size: 70_000, max_fragments: 3 };

fn client(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    frame(&Header { fin: true, rsv: 0, opcode, mask: Some(KEY), payload_len: payload.len() as u64 }, payload)
}

/// Echoes in place, and holds the outcome against the model and against what may not be touched.
fn echoed(stream: &[u8], limits: &Limits) -> (Echoed, Vec<u8>) {
    let mut buf = stream.to_vec();
    let echoed = echo_in_place(&mut buf, limits);
    let model = model::echo(stream, limits);
    assert_eq!((echoed.consumed, echoed.messages), (model.consumed, model.messages), "{stream:02x?}");
    assert_eq!(buf[..echoed.written], model.replies);
    match model.end {
        Some(end) => assert_eq!(echoed.end, end, "{stream:02x?}"),
        None => assert!(matches!(echoed.end, End::Partial | End::Detour)),
    }
    assert_eq!(buf[echoed.consumed..], stream[echoed.consumed..], "bytes that were not consumed have changed");
    (echoed, model.replies)
}

#[test]
fn the_rfcs_masked_hello_becomes_its_unmasked_one() {
    let mut buf = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let echoed = echo_in_place(&mut buf, &LIMITS);
    assert_eq!(echoed, Echoed { consumed: 11, written: 7, messages: 1, end: End::Partial });
    assert_eq!(buf[..7], [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
}

#[test]
fn every_length_is_echoed_alone_and_after_others() {
    for len in (0..=300).chain([65_535, 65_536, 70_000]) {
        let payload: Vec<u8> = (0..len).map(|i| i as u8 ^ 0x5a).collect();
        let stream =
            [client(OpCode::Text, b"before"), client(OpCode::Binary, &payload), client(OpCode::Text, b"after")];
        let (echoed, _) = echoed(&stream.concat(), &LIMITS);
        assert_eq!((echoed.messages, echoed.end), (3, End::Partial), "{len} bytes");
    }
}

#[test]
fn an_incomplete_frame_is_left_as_it_is() {
    for payload in [&b""[..], b"x", &[7; 125], &[7; 126], &[7; 66_000]] {
        let stream = [client(OpCode::Text, b"whole"), client(OpCode::Binary, payload)].concat();
        let first = client(OpCode::Text, b"whole").len();
        for end in first..stream.len().min(first + 200) {
            let (echoed, _) = echoed(&stream[..end], &LIMITS);
            assert_eq!((echoed.consumed, echoed.messages, echoed.end), (first, 1, End::Partial), "cut at {end}");
        }
    }
}

#[test]
fn a_frame_for_the_whole_protocol_is_told_by_the_byte_that_shows_it() {
    let before = client(OpCode::Binary, b"before");
    let cases: [&[u8]; 14] = [
        &[0x88],                                     // Close
        &[0x89],                                     // Ping
        &[0x8a],                                     // Pong
        &[0x80],                                     // a continuation
        &[0x01],                                     // a first fragment
        &[0xc1],                                     // RSV1
        &[0x92],                                     // RSV3
        &[0x83],                                     // a reserved opcode
        &[0x81, 0x05],                               // no mask
        &[0x82, 0x7e],                               // no mask
        &[0x82, 0xfe, 0, 125],                       // a length of two bytes that fits in one
        &[0x82, 0xff, 0, 0, 0, 0, 0, 0],             // a length of eight bytes that fits in two
        &[0x82, 0xff, 0x80],                         // a length of 64 bits
        &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x11, 0x71], // one byte above the limit
    ];
    for header in cases {
        let stream = [&before[..], header].concat();
        let expected = Echoed { consumed: before.len(), written: before.len() - 4, messages: 1, end: End::Partial };
        assert_eq!(echoed(&stream[..stream.len() - 1], &LIMITS).0, expected, "{header:02x?} without its last byte");
        assert_eq!(echoed(&stream, &LIMITS).0, Echoed { end: End::Detour, ..expected }, "{header:02x?}");
    }
}

#[test]
fn text_that_is_not_utf_8_ends_it_after_the_replies_before() {
    let before = client(OpCode::Text, "κόσμε".as_bytes());
    for wrong in [&[0xff][..], &[0xce], &[0xed, 0xa0, 0x80], &[0xf4, 0x90, 0x80, 0x80], &[0xc0, 0xaf]] {
        for pad in [0, 3, 61, 64, 130, 1000] {
            let payload = [&vec![b'a'; pad][..], wrong, &vec![b'z'; pad]].concat();
            let bad = client(OpCode::Text, &payload);
            let (echoed, _) = echoed(&[&before[..], &bad, &before].concat(), &LIMITS);
            assert_eq!(echoed.end, End::Violation(Violation::InvalidUtf8));
            assert_eq!((echoed.messages, echoed.consumed), (1, before.len() + bad.len()));
        }
        let binary = client(OpCode::Binary, wrong);
        assert_eq!(echoed(&binary, &LIMITS).0.messages, 1, "bytes need not be UTF-8");
    }
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let lens = prop_oneof![5 => 0..126_usize, 2 => 126..700_usize];
    let binary = (lens.clone(), any::<[u8; 4]>(), any::<u8>()).prop_map(|(len, key, seed)| {
        let payload: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
        let header = Header { fin: true, rsv: 0, opcode: OpCode::Binary, mask: Some(key), payload_len: len as u64 };
        frame(&header, &payload)
    });
    let text = (".{0,150}", any::<[u8; 4]>()).prop_map(|(text, key)| {
        let header =
            Header { fin: true, rsv: 0, opcode: OpCode::Text, mask: Some(key), payload_len: text.len() as u64 };
        frame(&header, text.as_bytes())
    });
    let bad_text = prop::collection::vec(any::<u8>(), 0..200).prop_map(|payload| client(OpCode::Text, &payload));
    let garbage = prop::collection::vec(any::<u8>(), 1..20);
    prop_oneof![20 => binary, 20 => text, 1 => bad_text, 1 => garbage]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_stream_is_echoed_as_the_model_does(frames in prop::collection::vec(frames(), 0..10), max in 0..2000_u64) {
        echoed(&frames.concat(), &Limits { max_message_size: max, max_fragments: 1 });
    }

    /// As a server would: what is left over goes to the front, and the next bytes behind it.
    #[test]
    fn any_split_gives_the_same_replies(frames in prop::collection::vec(frames(), 0..10), step in 1..400_usize) {
        let stream = frames.concat();
        let whole = model::echo(&stream, &LIMITS);
        let (mut replies, mut messages, mut buf) = (Vec::new(), 0, Vec::new());
        for piece in stream.chunks(step) {
            buf.extend_from_slice(piece);
            let echoed = echo_in_place(&mut buf, &LIMITS);
            replies.extend_from_slice(&buf[..echoed.written]);
            messages += echoed.messages;
            buf.drain(..echoed.consumed);
            if echoed.end != End::Partial {
                break;
            }
        }
        prop_assert_eq!((replies, messages), (whole.replies, whole.messages));
    }
}
