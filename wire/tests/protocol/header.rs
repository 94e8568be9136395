//! Frame headers as bytes: the RFC's own, the edges of every length, and every prefix of each.

use proptest::prelude::*;

use wire::{Header, MAX_HEADER_LEN, OpCode, Violation};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn data(opcode: OpCode, payload_len: u64) -> Header {
    Header { fin: true, rsv: 0, opcode, mask: None, payload_len }
}

/// Headers and their bytes; those of RFC 6455, 5.7 come first.
fn vectors() -> Vec<(Vec<u8>, Header)> {
    let masked = |header| Header { mask: Some(KEY), ..header };
    vec![
        (vec![0x81, 0x05], data(OpCode::Text, 5)),
        (vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d], masked(data(OpCode::Text, 5))),
        (vec![0x01, 0x03], Header { fin: false, ..data(OpCode::Text, 3) }),
        (vec![0x80, 0x02], data(OpCode::Continuation, 2)),
        (vec![0x89, 0x05], data(OpCode::Ping, 5)),
        (vec![0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d], masked(data(OpCode::Pong, 5))),
        (vec![0x82, 0x7e, 0x01, 0x00], data(OpCode::Binary, 256)),
        (vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], data(OpCode::Binary, 65536)),
        (vec![0x82, 0x00], data(OpCode::Binary, 0)),
        (vec![0x82, 0x7d], data(OpCode::Binary, 125)),
        (vec![0x82, 0x7e, 0x00, 0x7e], data(OpCode::Binary, 126)),
        (vec![0x82, 0x7e, 0xff, 0xff], data(OpCode::Binary, 65535)),
        (vec![0x82, 0xfe, 0xff, 0xff, 0x37, 0xfa, 0x21, 0x3d], masked(data(OpCode::Binary, 65535))),
        (vec![0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], data(OpCode::Binary, (1 << 63) - 1)),
        (vec![0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0x37, 0xfa, 0x21, 0x3d], masked(data(OpCode::Binary, 1 << 32))),
        (vec![0x88, 0x7d], data(OpCode::Close, 125)),
        (vec![0xc1, 0x07], Header { rsv: 4, ..data(OpCode::Text, 7) }),
        (vec![0xb2, 0x07], Header { rsv: 3, ..data(OpCode::Binary, 7) }),
    ]
}

#[test]
fn vectors_are_read_and_written() {
    for (bytes, header) in vectors() {
        assert_eq!(Header::parse(&bytes), Ok(Some((header, bytes.len()))), "{bytes:02x?}");
        let mut out = [0xee; MAX_HEADER_LEN];
        assert_eq!(header.encode(&mut out), bytes.len());
        assert_eq!(&out[..bytes.len()], bytes);
        assert!(out[bytes.len()..].iter().all(|&byte| byte == 0xee), "wrote behind the header: {out:02x?}");
        assert_eq!(header.encoded_len(), bytes.len());
    }
}

#[test]
fn every_prefix_wants_more_and_payload_changes_nothing() {
    for (bytes, header) in vectors() {
        for end in 0..bytes.len() {
            assert_eq!(Header::parse(&bytes[..end]), Ok(None), "{:02x?}", &bytes[..end]);
        }
        let followed = [&bytes[..], &[0xff; 20]].concat();
        assert_eq!(Header::parse(&followed), Ok(Some((header, bytes.len()))));
    }
}

#[test]
fn what_is_wrong_is_told_by_the_byte_that_shows_it() {
    let cases: &[(&[u8], Violation)] = &[
        (&[0x83], Violation::ReservedOpcode(3)),
        (&[0x07], Violation::ReservedOpcode(7)),
        (&[0x8b], Violation::ReservedOpcode(11)),
        (&[0xff], Violation::ReservedOpcode(15)),
        (&[0x08], Violation::ControlFragmented),
        (&[0x09], Violation::ControlFragmented),
        (&[0x0a], Violation::ControlFragmented),
        (&[0x89, 0x7e], Violation::ControlTooLong),
        (&[0x8a, 0xff], Violation::ControlTooLong),
        (&[0x82, 0x7e, 0x00, 0x7d], Violation::LengthNotMinimal),
        (&[0x82, 0xfe, 0x00, 0x00], Violation::LengthNotMinimal),
        (&[0x82, 0x7f, 0, 0, 0, 0, 0, 0], Violation::LengthNotMinimal),
        (&[0x82, 0xff, 0x80], Violation::LengthTooLarge),
    ];
    for &(bytes, violation) in cases {
        for end in 0..bytes.len() {
            assert_eq!(Header::parse(&bytes[..end]), Ok(None), "{:02x?}", &bytes[..end]);
        }
        assert_eq!(Header::parse(bytes), Err(violation), "{bytes:02x?}");
        let followed = [bytes, &[0xff; 20]].concat();
        assert_eq!(Header::parse(&followed), Err(violation), "{followed:02x?}");
    }
}

fn headers() -> impl Strategy<Value = Header> {
    let lengths =
        prop_oneof![0..200_u64, 65_000..66_000_u64, 0..1_u64 << 63, Just(125), Just(126), Just(65535), Just(65536)];
    let opcodes = prop::sample::select(vec![0_u8, 1, 2, 8, 9, 10]);
    (any::<bool>(), 0..8_u8, opcodes, any::<Option<[u8; 4]>>(), lengths).prop_map(|(fin, rsv, bits, mask, len)| {
        let opcode = OpCode::from_bits(bits).unwrap();
        let (fin, payload_len) = if opcode.is_control() { (true, len % 126) } else { (fin, len) };
        Header { fin, rsv, opcode, mask, payload_len }
    })
}

proptest! {
    #[test]
    fn written_headers_are_read_back(header in headers()) {
        let mut bytes = [0; MAX_HEADER_LEN];
        let len = header.encode(&mut bytes);
        prop_assert_eq!(Header::parse(&bytes[..len]), Ok(Some((header, len))));
        prop_assert_eq!(header.encoded_len(), len);
        for end in 0..len {
            prop_assert_eq!(Header::parse(&bytes[..end]), Ok(None));
        }
    }

    /// Whatever was read is what its own encoding says: no two ways to write one header.
    #[test]
    fn read_headers_are_written_back(bytes: [u8; MAX_HEADER_LEN]) {
        if let Ok(Some((header, len))) = Header::parse(&bytes) {
            let mut out = [0; MAX_HEADER_LEN];
            prop_assert_eq!(header.encode(&mut out), len);
            prop_assert_eq!(&out[..len], &bytes[..len]);
        }
    }

    /// A verdict stands whatever follows, and while there is none a lawful header can still come of it.
    #[test]
    fn verdicts_are_final_and_as_early_as_can_be(mut bytes: [u8; MAX_HEADER_LEN], zeros in 0..10_usize) {
        bytes[2..].iter_mut().take(zeros).for_each(|byte| *byte = 0);
        let verdict = (0..=bytes.len()).map(|end| Header::parse(&bytes[..end])).find(|verdict| *verdict != Ok(None));
        for end in 0..=bytes.len() {
            match Header::parse(&bytes[..end]) {
                Ok(None) => {
                    let mut completed = [0x7f; MAX_HEADER_LEN];
                    completed[0] = 0x82;
                    completed[1] = 0;
                    completed[..end].copy_from_slice(&bytes[..end]);
                    prop_assert!(matches!(Header::parse(&completed), Ok(Some(_))), "{:02x?}", &completed);
                }
                final_verdict => prop_assert_eq!(Some(final_verdict), verdict),
            }
        }
    }
}
