//! The cursor: every violation at every split, limits at their edges, and random streams against the naive model.

use proptest::prelude::*;

use crate::model::{Verdict, frame, verdict};
use wire::{Cursor, Header, Limits, OpCode, Peer, Stop, Violation};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LIMITS: Limits = Limits { max_message_size: 1000, max_fragments: 3 };

fn client(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = Header { fin, rsv: 0, opcode, mask: Some(KEY), payload_len: payload.len() as u64 };
    frame(&header, payload)
}

/// Where and why a cursor stops in a stream given at once.
fn whole(stream: &[u8], peer: Peer, limits: Limits) -> Option<(usize, Violation)> {
    Cursor::new(peer, limits).advance(stream).err().map(|stop| (stop.lawful, stop.violation))
}

/// A lawful opening, and then a header that is wrong from the byte on that it ends with.
fn violations() -> Vec<(Vec<u8>, &'static [u8], Violation)> {
    let open = client(false, OpCode::Text, b"Hel");
    let opened_thrice =
        [&open[..], &client(false, OpCode::Continuation, b"l"), &client(false, OpCode::Continuation, b"o")];
    let ping = client(true, OpCode::Ping, b"between");
    let message = client(true, OpCode::Text, b"Hello");
    let large = client(false, OpCode::Binary, &[7; 990]);
    vec![
        (message.clone(), &[0xc1], Violation::ReservedBits),
        (message.clone(), &[0xa9], Violation::ReservedBits),
        (vec![], &[0x90], Violation::ReservedBits),
        (message.clone(), &[0x83], Violation::ReservedOpcode(3)),
        (ping.clone(), &[0x8f], Violation::ReservedOpcode(15)),
        (message.clone(), &[0x81, 0x05], Violation::NotMasked),
        (message.clone(), &[0x82, 0x7e], Violation::NotMasked),
        (message.clone(), &[0x88, 0x00], Violation::NotMasked),
        (message.clone(), &[0x89, 0xfe], Violation::ControlTooLong),
        (message.clone(), &[0x88, 0xff], Violation::ControlTooLong),
        (message.clone(), &[0x09], Violation::ControlFragmented),
        (message.clone(), &[0x82, 0xfe, 0, 125], Violation::LengthNotMinimal),
        (message.clone(), &[0x82, 0xff, 0, 0, 0, 0, 0, 0], Violation::LengthNotMinimal),
        (message.clone(), &[0x82, 0xff, 0x80], Violation::LengthTooLarge),
        (message.clone(), &[0x80], Violation::UnexpectedContinuation),
        (vec![], &[0x00], Violation::UnexpectedContinuation),
        (open.clone(), &[0x81], Violation::ExpectedContinuation),
        ([open.clone(), ping.clone()].concat(), &[0x02], Violation::ExpectedContinuation),
        (message.clone(), &[0x82, 0xfe, 0x03, 0xe9], Violation::MessageTooBig { limit: 1000 }),
        (message.clone(), &[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0], Violation::MessageTooBig { limit: 1000 }),
        ([large.clone(), ping.clone()].concat(), &[0x80, 0x8b], Violation::MessageTooBig { limit: 1000 }),
        (
            large,
            &[0x00, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Violation::MessageTooBig { limit: 1000 },
        ),
        (opened_thrice.concat(), &[0x80], Violation::TooManyFragments { limit: 3 }),
    ]
}

#[test]
fn every_violation_stops_at_its_frame_whatever_the_split() {
    for (lawful, wrong, violation) in violations() {
        let expected = Some((lawful.len(), violation));
        let stream = [&lawful, wrong].concat();
        assert_eq!(whole(&stream[..stream.len() - 1], Peer::Client, LIMITS), None, "told too early: {stream:02x?}");
        assert_eq!(whole(&stream, Peer::Client, LIMITS), expected, "told too late: {stream:02x?}");
        let followed = [&stream[..], &[0xa5; 30]].concat();
        assert_eq!(whole(&followed, Peer::Client, LIMITS), expected, "{followed:02x?}");
        let with_payload = [&stream[..], &[0xa5; 2000]].concat();
        assert_eq!(whole(&with_payload, Peer::Client, LIMITS), expected, "the frame is there whole: {stream:02x?}");
        for split in 0..=followed.len() {
            let mut cursor = Cursor::new(Peer::Client, LIMITS);
            let (first, second) = followed.split_at(split);
            let stopped = match cursor.advance(first) {
                Err(stop) => (stop.lawful, stop.violation),
                Ok(()) => {
                    let stop = cursor.advance(second).expect_err("a violation");
                    // A header that began in the first piece is reported at the second piece's start.
                    assert!(split <= lawful.len() || stop.lawful == 0);
                    (if split <= lawful.len() { split + stop.lawful } else { lawful.len() }, stop.violation)
                }
            };
            assert_eq!(Some(stopped), expected, "split at {split}: {followed:02x?}");
        }
        let mut cursor = Cursor::new(Peer::Client, LIMITS);
        let at = followed.chunks(1).position(|byte| cursor.advance(byte).is_err());
        assert_eq!(at, Some(stream.len() - 1), "byte by byte: {followed:02x?}");
        assert_eq!(cursor.advance(&lawful), Err(Stop { lawful: 0, violation }), "a stopped cursor stays stopped");
        assert!(!cursor.at_message_boundary() && !cursor.closed());
    }
}

#[test]
fn a_server_must_not_mask() {
    let hello = [0x81, 0x05, b'H', b'e', b'l', b'l', b'o'];
    assert_eq!(whole(&[&hello[..], &[0x82, 0x80]].concat(), Peer::Server, LIMITS), Some((7, Violation::Masked)));
    assert_eq!(whole(&hello.repeat(3), Peer::Server, LIMITS), None);
    let long = frame(&Header { fin: true, rsv: 0, opcode: OpCode::Binary, mask: None, payload_len: 1000 }, &[1; 1000]);
    assert_eq!(whole(&long.repeat(2), Peer::Server, LIMITS), None);
}

#[test]
fn what_reaches_the_limits_exactly_is_lawful() {
    let three = [
        client(false, OpCode::Binary, &[1; 500]),
        client(true, OpCode::Ping, &[2; 125]),
        client(false, OpCode::Continuation, &[]),
        client(true, OpCode::Continuation, &[3; 500]),
        client(true, OpCode::Binary, &[4; 1000]),
    ];
    let mut cursor = Cursor::new(Peer::Client, LIMITS);
    assert_eq!(cursor.advance(&three.concat()), Ok(()));
    assert!(cursor.at_message_boundary());
    let none = Limits { max_message_size: 0, max_fragments: 0 };
    assert_eq!(whole(&client(true, OpCode::Text, b""), Peer::Client, none), None, "one frame is no fragment");
    let ping = client(true, OpCode::Ping, &[5; 125]);
    assert_eq!(whole(&ping, Peer::Client, none), None, "a control frame is no message");
    let too_many = Some((0, Violation::TooManyFragments { limit: 0 }));
    assert_eq!(whole(&client(false, OpCode::Text, b""), Peer::Client, none), too_many);
}

#[test]
fn a_frame_of_almost_8_eib_is_merely_outstanding() {
    let limits = Limits { max_message_size: u64::MAX - 1, max_fragments: 9 };
    let header = [&[0x02, 0xff][..], &i64::MAX.to_be_bytes(), &KEY].concat();
    let mut cursor = Cursor::new(Peer::Client, limits);
    assert_eq!(cursor.advance(&header), Ok(()));
    assert_eq!(cursor.advance(&[0; 1000]), Ok(()));
    assert!(!cursor.at_message_boundary(), "its payload has not come");
}

#[test]
fn boundaries_are_between_messages_only() {
    let stream = [
        client(false, OpCode::Text, b"Hel"),
        client(true, OpCode::Ping, b"?"),
        client(true, OpCode::Continuation, b"lo"),
        client(true, OpCode::Binary, &[9; 200]),
    ];
    let first = stream[0].len() + stream[1].len() + stream[2].len();
    let stream = stream.concat();
    let mut cursor = Cursor::new(Peer::Client, LIMITS);
    let boundaries: Vec<usize> = (0..=stream.len())
        .filter(|&at| {
            assert_eq!(cursor.advance(if at == 0 { &[] } else { &stream[at - 1..at] }), Ok(()));
            cursor.at_message_boundary()
        })
        .collect();
    assert_eq!(boundaries, [0, first, stream.len()]);
}

#[test]
fn nothing_after_a_close_is_checked() {
    let close = client(true, OpCode::Close, &1000_u16.to_be_bytes());
    for split in 0..close.len() {
        let mut cursor = Cursor::new(Peer::Client, LIMITS);
        assert_eq!(cursor.advance(&close[..split]), Ok(()));
        assert_eq!(cursor.closed(), split >= 6, "its header has six bytes");
        assert_eq!(cursor.advance(&[&close[split..], &[0xff; 40]].concat()), Ok(()));
        assert!(cursor.closed() && !cursor.at_message_boundary());
        assert_eq!(cursor.advance(&[0xff; 40]), Ok(()));
    }
}

/// Frames that are mostly lawful, so that streams get somewhere before they end.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let opcodes = prop::sample::select(vec![0_u8, 1, 1, 2, 2, 2, 9, 10, 8]);
    let lens = prop_oneof![4 => 0..126_usize, 1 => 126..400_usize];
    let lawful = (any::<bool>(), opcodes, lens, any::<[u8; 4]>()).prop_map(|(fin, bits, len, key)| {
        let opcode = OpCode::from_bits(bits).unwrap();
        let (fin, len) = if opcode.is_control() { (true, len % 126) } else { (fin || len % 2 == 0, len) };
        let header = Header { fin, rsv: 0, opcode, mask: Some(key), payload_len: len as u64 };
        frame(&header, &vec![0x55; len])
    });
    prop_oneof![30 => lawful, 1 => prop::collection::vec(any::<u8>(), 1..20)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_streams_stop_where_the_model_does_at_any_split(
        frames in prop::collection::vec(frames(), 0..12),
        cut in 0..200_usize,
        mut splits in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut stream = frames.concat();
        stream.truncate(stream.len().saturating_sub(cut * usize::from(cut < 100)));
        let stopped = whole(&stream, Peer::Client, LIMITS);
        let mut at_end = Cursor::new(Peer::Client, LIMITS);
        let _ = at_end.advance(&stream);
        match verdict(&stream, Peer::Client, &LIMITS) {
            Verdict::Lawful { boundary } => {
                prop_assert_eq!(stopped, None);
                prop_assert_eq!(at_end.at_message_boundary(), boundary);
            }
            Verdict::Unlawful(at) => prop_assert_eq!(stopped.map(|(at, _)| at), Some(at)),
            Verdict::Unfinished(at) => prop_assert!(stopped.is_none_or(|(stop, _)| stop == at)),
        }

        splits.sort_by_key(|index| index.index(stream.len() + 1));
        let mut cursor = Cursor::new(Peer::Client, LIMITS);
        let mut start = 0;
        let mut found = None;
        for end in splits.iter().map(|index| index.index(stream.len() + 1)).chain([stream.len()]) {
            if let Err(stop) = cursor.advance(&stream[start..end]) {
                found = Some((start, stop));
                break;
            }
            start = end;
        }
        match (stopped, found) {
            (None, None) => prop_assert_eq!(cursor.at_message_boundary(), at_end.at_message_boundary()),
            (Some((at, violation)), Some((start, stop))) => {
                prop_assert_eq!(violation, stop.violation);
                // A frame that began in an earlier piece is reported at the start of this one.
                prop_assert_eq!(start + stop.lawful, at.max(start));
            }
            (whole, split) => prop_assert!(false, "whole: {whole:?}, split: {split:?}"),
        }
    }
}
