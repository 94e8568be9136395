//! Receiving: what frames say is the same in every split, it ends where the cursor stops, and messages come out whole.

use proptest::prelude::*;

use crate::model::frame;
use wire::{Cursor, Header, Limits, OpCode, Peer, Received, Receiver, Violation};

const LIMITS: Limits = Limits { max_message_size: 1000, max_fragments: 3 };

fn client(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header =
        Header { fin, rsv: 0, opcode, mask: Some([0x37, 0xfa, 0x21, 0x3d]), payload_len: payload.len() as u64 };
    frame(&header, payload)
}

/// Everything that a stream says when it comes in pieces of `step` bytes, in words; and why it ends, if it does.
fn said(stream: &[u8], step: usize) -> (Vec<String>, Option<Violation>) {
    let (mut receiver, mut said, mut held) = (Receiver::new(LIMITS, false), Vec::new(), Vec::new());
    for piece in stream.chunks(step) {
        held.extend_from_slice(piece);
        loop {
            match receiver.next(&mut held) {
                Ok(Some((used, received))) => {
                    let closes = matches!(received, Received::Close(_));
                    said.push(format!("{received:?}"));
                    if closes {
                        return (said, None);
                    }
                    held.drain(..used);
                }
                Ok(None) => break,
                Err(violation) => return (said, Some(violation)),
            }
        }
    }
    (said, None)
}

fn message(opcode: OpCode, payload: &[u8]) -> String {
    format!("{:?}", Received::Message { opcode, compressed: false, payload })
}

#[test]
fn fragments_are_one_message_and_control_frames_come_between() {
    let text = "\u{6536}\u{5230}".as_bytes();
    let stream = [
        client(true, OpCode::Binary, b"\xff\x00"),
        client(false, OpCode::Text, &text[..2]),
        client(true, OpCode::Ping, b"between"),
        client(false, OpCode::Continuation, &text[2..4]),
        client(true, OpCode::Pong, b""),
        client(true, OpCode::Continuation, &text[4..]),
        client(true, OpCode::Text, b""),
        client(true, OpCode::Close, b"\x03\xe8bye"),
        client(true, OpCode::Text, b"not any more"),
    ];
    let expected = [
        message(OpCode::Binary, b"\xff\x00"),
        format!("{:?}", Received::Fragment),
        format!("{:?}", Received::Ping(b"between")),
        format!("{:?}", Received::Fragment),
        format!("{:?}", Received::Pong),
        message(OpCode::Text, text),
        message(OpCode::Text, b""),
        format!("{:?}", Received::Close(b"\x03\xe8bye")),
    ];
    for step in 1..100 {
        assert_eq!(said(&stream.concat(), step), (expected.to_vec(), None), "in pieces of {step}");
    }
}

#[test]
fn what_is_wrong_ends_it_and_what_is_held_is_told() {
    let wrong = [
        (client(true, OpCode::Text, b"\xff"), Violation::InvalidUtf8),
        (client(false, OpCode::Text, b"\xc3\x28"), Violation::InvalidUtf8),
        (
            [client(false, OpCode::Text, b"\xc3"), client(true, OpCode::Continuation, b"")].concat(),
            Violation::InvalidUtf8,
        ),
        (client(true, OpCode::Close, b"\x03"), Violation::InvalidClosePayload),
        (client(true, OpCode::Continuation, b""), Violation::UnexpectedContinuation),
        (client(true, OpCode::Binary, &[0; 1001]), Violation::MessageTooBig { limit: 1000 }),
    ];
    for (stream, violation) in wrong {
        for step in [1, 3, 2000] {
            assert_eq!(said(&stream, step).1, Some(violation), "{stream:02x?} in pieces of {step}");
        }
    }
    let mut receiver = Receiver::new(LIMITS, false);
    receiver.next(&mut client(false, OpCode::Binary, &[7; 900])).unwrap().unwrap();
    assert!(receiver.held() >= 900);
    receiver.next(&mut client(true, OpCode::Continuation, &[7; 9])).unwrap().unwrap();
    assert_eq!(receiver.next(&mut []), Ok(None));
    assert_eq!(receiver.held(), 0, "a message that is through is not kept");
}

proptest! {
    #[test]
    fn any_stream_says_the_same_in_any_split_and_ends_where_the_cursor_stops(
        frames in prop::collection::vec(
            (any::<bool>(), prop::sample::select(vec![0u8, 1, 2, 9, 10, 8, 3]), 0usize..400, any::<u8>()), 0..8),
        step in 1usize..300,
    ) {
        let stream: Vec<u8> = frames
            .iter()
            .flat_map(|&(fin, opcode, len, byte)| {
                let opcode = OpCode::from_bits(opcode).unwrap_or(OpCode::Binary);
                client(fin || opcode.is_control(), opcode, &vec![byte & 0x7f; if opcode.is_control() { len % 126 } else { len }])
            })
            .collect();
        let whole = said(&stream, stream.len().max(1));
        prop_assert_eq!(&said(&stream, step), &whole);
        prop_assert_eq!(&said(&stream, 1), &whole);
        // The cursor looks at headers alone: it knows nothing of what Close frames say.
        let stop = Cursor::new(Peer::Client, LIMITS).advance(&stream).err().map(|stop| stop.violation);
        if whole.1 != Some(Violation::InvalidClosePayload) {
            prop_assert_eq!(whole.1, stop);
        }
    }
}
