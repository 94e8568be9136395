//! Payloads of others, lawful in every way that RFC 7692 knows of, and those that are not.

use wire::Violation;
use wire::deflate::{Decompressor, Output};

use crate::sample::{Zlib, json, noise};

const LIMIT: u64 = 1 << 20;

fn decompress(payload: &[u8], takeover: bool) -> Result<Vec<u8>, Violation> {
    Decompressor::new(takeover).decompress(payload, LIMIT, &mut Output::default()).map(|message| message.to_vec())
}

/// RFC 7692, 7.2.3: one block, two of them, no compression, BFINAL, and the ends of blocks inside.
#[test]
fn the_rfcs_hello_is_read_in_all_its_forms() {
    let forms: [&[u8]; 5] = [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        // A last block without the byte that 7.2.3.4 puts behind it, as some senders have it.
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    ];
    for form in forms {
        for takeover in [false, true] {
            assert_eq!(decompress(form, takeover), Ok(b"Hello".to_vec()), "{form:02x?}, takeover {takeover}");
        }
    }
}

/// RFC 7692, 7.2.3.2: the second "Hello" refers to the first.
#[test]
fn the_rfcs_second_hello_needs_the_first() {
    let (first, second) = ([0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], [0xf2, 0x00, 0x11, 0x00, 0x00]);
    let mut output = Output::default();
    let mut decompressor = Decompressor::new(true);
    assert_eq!(decompressor.decompress(&first, LIMIT, &mut output).unwrap(), b"Hello");
    assert_eq!(decompressor.decompress(&second, LIMIT, &mut output).unwrap(), b"Hello");
    let mut decompressor = Decompressor::new(false);
    assert_eq!(decompressor.decompress(&first, LIMIT, &mut output).unwrap(), b"Hello");
    assert_eq!(decompressor.decompress(&second, LIMIT, &mut output), Err(Violation::CorruptCompression));
}

#[test]
fn an_empty_message_has_one_byte_or_none() {
    for takeover in [false, true] {
        assert_eq!(decompress(&[0x00], takeover), Ok(Vec::new()));
        assert_eq!(decompress(&[], takeover), Ok(Vec::new()));
        // An empty last block, then an empty block: what a sender that ends its streams makes of nothing.
        assert_eq!(decompress(&[0x03, 0x00, 0x00], takeover), Ok(Vec::new()));
    }
}

#[test]
fn messages_that_end_their_stream_may_be_followed_by_others() {
    let mut output = Output::default();
    for takeover in [false, true] {
        let mut decompressor = Decompressor::new(takeover);
        let mut zlib = Zlib::new(15);
        for seed in 0..6 {
            let message = json(seed, 3000);
            let payload = match seed % 3 {
                0 => zlib.finish(&message),
                // Two streams in one message.
                1 => {
                    let mut first = zlib.finish(&message[..1000]);
                    first.pop();
                    [first, zlib.finish(&message[1000..])].concat()
                }
                _ if takeover => zlib.compress(&message),
                _ => Zlib::new(15).compress(&message),
            };
            assert_eq!(decompressor.decompress(&payload, LIMIT, &mut output), Ok(&mut message.clone()[..]));
        }
    }
}

#[test]
fn a_message_of_just_the_limit_is_read_and_one_byte_more_is_not() {
    for len in [1, 100, 16 << 10, 100_000_usize] {
        for message in [vec![0; len], noise(1, len), json(1, len)] {
            let payload = Zlib::new(15).compress(&message);
            let mut output = Output::default();
            let mut decompressor = Decompressor::new(false);
            assert_eq!(decompressor.decompress(&payload, len as u64, &mut output), Ok(&mut message.clone()[..]));
            let limit = len as u64 - 1;
            let refused = decompressor.decompress(&payload, limit, &mut output);
            assert_eq!(refused, Err(Violation::MessageTooBig { limit }), "{len} bytes");
        }
    }
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    // 64 MiB in 64 KiB, and the limit at 1 MiB.
    let mut zlib = Zlib::new(15);
    let payload: Vec<u8> =
        (0..64).flat_map(|_| [zlib.compress(&vec![0; 1 << 20]), vec![0, 0, 0xff, 0xff]].concat()).collect();
    assert!(payload.len() < 100 << 10);
    for takeover in [false, true] {
        assert_eq!(decompress(&payload, takeover), Err(Violation::MessageTooBig { limit: LIMIT }));
    }
}

#[test]
fn what_is_cut_short_or_no_deflate_is_corrupt() {
    let message = json(1, 2000);
    let payload = Zlib::new(15).compress(&message);
    for takeover in [false, true] {
        for end in 1..payload.len() {
            // Without its last bytes a message may still end at a block's end.
            let cut = decompress(&payload[..end], takeover);
            assert!(cut == Err(Violation::CorruptCompression), "cut at {end} of {}: {cut:?}", payload.len());
        }
        for corrupt in [&[0x06][..], &[0x07, 0x00], &[0xff; 8], &[0x00, 0x01, 0x00, 0x00, 0x00, 0x00]] {
            assert_eq!(decompress(corrupt, takeover), Err(Violation::CorruptCompression), "{corrupt:02x?}");
        }
    }
}

#[test]
fn memory_follows_the_largest_message_until_trimmed() {
    let mut output = Output::default();
    let payload = Zlib::new(15).compress(&vec![0; 1 << 20]);
    Decompressor::new(false).decompress(&payload, LIMIT, &mut output).unwrap();
    assert!((1 << 20..=2 << 20).contains(&output.memory()));
    output.trim();
    assert!(output.memory() <= 256 << 10);
}
