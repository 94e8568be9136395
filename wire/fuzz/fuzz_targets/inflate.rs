//! Whatever a client sends as compressed frames, the echo panics at nothing, keeps to its limits, and answers what it
//! decompresses by something that decompresses to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

use wire::deflate::{
    Agreed, Codec, Decompressor, Direction, Effort, Output, Replies, Shared, Uncompressed, WindowBits, echo_deflated,
};
use wire::{Header, Limits, MAX_HEADER_LEN, OpCode, Peer, Violation};

const LIMIT: u64 = 100_000;
const LIMITS: Limits = Limits { max_message_size: 4096, max_fragments: 4 };

fuzz_target!(|input: &[u8]| {
    let [choice, input @ ..] = input else { return };
    let direction = |takeover: u8| Direction {
        context_takeover: choice & takeover != 0,
        window: WindowBits::new(8 + (choice >> 5)).expect("8 to 15"),
    };
    let agreed = Agreed { server: direction(1), client: direction(2) };
    let replies = Replies {
        threshold: if choice & 4 != 0 { 20 } else { 0 },
        uncompressed: if choice & 8 != 0 { Uncompressed::Compressed } else { Uncompressed::AsIs },
        max_message_size: LIMIT,
    };
    let mut shared = Shared::new(Effort::default());

    // As frames around payloads of the input's, so that it need not find out how to frame; and as a stream.
    let mut framed = Vec::new();
    for payload in input.split(|&byte| byte == 0xfe) {
        let header =
            Header { fin: true, rsv: 4, opcode: OpCode::Binary, mask: Some([0; 4]), payload_len: payload.len() as u64 };
        let mut bytes = [0; MAX_HEADER_LEN];
        let len = header.encode(&mut bytes);
        framed.extend_from_slice(&bytes[..len]);
        framed.extend_from_slice(payload);
    }
    for stream in [&framed[..], input] {
        let mut codec = Codec::new(agreed, Peer::Client);
        let (mut buf, mut out) = (stream.to_vec(), Vec::new());
        let echoed = echo_deflated(&mut buf, &LIMITS, &replies, &mut codec, &mut shared, &mut out);
        assert!(echoed.consumed <= stream.len() && echoed.written <= echoed.consumed);
        assert!(out.len() < (256 << 10) + 2 * LIMIT as usize, "{} bytes of replies", out.len());
        assert!(echoed.written == 0 || out.is_empty());

        let mut client = Codec::new(agreed, Peer::Server);
        let mut rest = if out.is_empty() { &buf[..echoed.written] } else { &out[..] };
        let mut count = 0;
        while let Some((header, len)) = Header::parse(rest).expect("a lawful reply") {
            let (payload, behind) = rest[len..].split_at(header.payload_len as usize);
            if header.rsv != 0 {
                client.decompress(&mut shared, payload, LIMIT).expect("what was compressed here");
            }
            (rest, count) = (behind, count + 1);
        }
        assert!(rest.is_empty() && count == echoed.messages);
    }

    // Alone, against a limit of nothing and one of much: the small one is never passed, and changes nothing below it.
    let mut output = Output::default();
    let whole =
        Decompressor::new(choice & 2 != 0).decompress(input, LIMIT, &mut output).map(|message| message.to_vec());
    assert!(output.memory() <= 2 * (LIMIT as usize + 1) + (16 << 10));
    let small = Decompressor::new(choice & 2 != 0).decompress(input, 10, &mut output).map(|message| message.to_vec());
    match whole {
        Ok(message) if message.len() <= 10 => assert_eq!(small, Ok(message)),
        Ok(_) => assert_eq!(small, Err(Violation::MessageTooBig { limit: 10 })),
        Err(_) => assert!(small.is_err()),
    }
});
