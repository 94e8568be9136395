//! Every way to break the protocol, as raw bytes, and the close code that it earns. The frames before it are still
//! answered, and the Close frame arrives although the client goes on sending.

mod support;

use std::io::Write;

use support::{Server, fragment, frame};
use wire::OpCode::{Binary, Close, Continuation, Ping, Text};

const KEY: [u8; 4] = [0; 4];

/// A frame with a zero mask from its first two bytes and what lies between them and the mask.
fn raw(head: [u8; 2], length: &[u8], payload: &[u8]) -> Vec<u8> {
    [&head[..], length, &KEY, payload].concat()
}

fn violations() -> Vec<(&'static str, u16, Vec<u8>)> {
    vec![
        ("RSV1", 1002, raw([0xc1, 0x80], &[], &[])),
        ("RSV2", 1002, raw([0xa1, 0x80], &[], &[])),
        ("RSV3", 1002, raw([0x91, 0x80], &[], &[])),
        ("opcode 3", 1002, raw([0x83, 0x80], &[], &[])),
        ("opcode 11", 1002, raw([0x8b, 0x80], &[], &[])),
        ("unmasked", 1002, b"\x81\x02hi".to_vec()),
        ("ping over 125 bytes", 1002, raw([0x89, 0xfe], &126u16.to_be_bytes(), &[0; 126])),
        ("pong over 125 bytes", 1002, raw([0x8a, 0xfe], &126u16.to_be_bytes(), &[0; 126])),
        ("close over 125 bytes", 1002, raw([0x88, 0xfe], &126u16.to_be_bytes(), &[0; 126])),
        ("fragmented ping", 1002, fragment(Ping, false, b"")),
        ("16-bit length of 125", 1002, raw([0x82, 0xfe], &125u16.to_be_bytes(), &[0; 125])),
        ("64-bit length of 65535", 1002, raw([0x82, 0xff], &65535u64.to_be_bytes(), &[0; 100])),
        ("length with the top bit", 1002, raw([0x82, 0xff], &(1u64 << 63).to_be_bytes(), &[])),
        ("continuation of nothing", 1002, frame(Continuation, b"x")),
        ("text within a message", 1002, [fragment(Binary, false, b"x"), frame(Text, b"y")].concat()),
        ("close of one byte", 1002, frame(Close, b"\x03")),
        ("close 999", 1002, frame(Close, &999u16.to_be_bytes())),
        ("close 1005", 1002, frame(Close, &1005u16.to_be_bytes())),
        ("close 1006", 1002, frame(Close, &1006u16.to_be_bytes())),
        ("close 2999", 1002, frame(Close, &2999u16.to_be_bytes())),
        ("close 5000", 1002, frame(Close, &5000u16.to_be_bytes())),
        ("close reason not UTF-8", 1007, frame(Close, b"\x03\xe8\xff")),
        ("text not UTF-8", 1007, frame(Text, b"ab\xff")),
        ("text of a surrogate", 1007, frame(Text, b"\xed\xa0\x80")),
        ("text cut short", 1007, frame(Text, b"\xe2\x82")),
        ("fragment not UTF-8", 1007, fragment(Text, false, b"\xff")),
        (
            "fragments that end cut short",
            1007,
            [fragment(Text, false, b"a\xe2"), frame(Continuation, b"\x82")].concat(),
        ),
        ("frame over the limit", 1009, raw([0x82, 0xfe], &2001u16.to_be_bytes(), &[])),
        ("fragments over the limit", 1009, [fragment(Binary, false, &[0; 2000]), frame(Continuation, b"x")].concat()),
        (
            "too many fragments",
            1009,
            [fragment(Binary, false, b""), fragment(Continuation, false, b"").repeat(8)].concat(),
        ),
    ]
}

#[test]
fn each_violation_has_its_close_code() {
    for write in ["cork", "per-frame", "vectored"] {
        let server = Server::start(&["--write", write, "--max-message-size", "2000", "--max-fragments", "8"]);
        for (name, code, bytes) in violations() {
            let mut client = server.connect();
            client.send(&[frame(Text, b"before"), bytes, frame(Text, b"after")].concat());
            eprintln!("{write}: {name}");
            assert_eq!(client.frame(), (0x81, b"before".to_vec()));
            client.expect_close(code);
        }
    }
}

#[test]
fn each_violation_is_found_byte_by_byte() {
    let server = Server::start(&["--max-message-size", "2000", "--max-fragments", "8"]);
    for (name, code, bytes) in violations() {
        let mut client = server.connect();
        eprintln!("{name}");
        for byte in bytes {
            // The server may have seen enough already and be closing.
            if client.stream.write_all(&[byte]).is_err() {
                break;
            }
        }
        client.expect_close(code);
    }
}

#[test]
fn the_close_frame_survives_a_client_that_goes_on_sending() {
    let server = Server::start(&["--max-message-size", "1000"]);
    for _ in 0..20 {
        let mut client = server.connect();
        let mut stream = client.stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || {
            let _ = stream.write_all(&frame(Binary, &vec![7; 4 << 20]));
        });
        client.expect_close(1009);
        client.finish();
        sender.join().unwrap();
    }
}

#[test]
fn a_peer_that_does_not_close_is_not_waited_for_for_ever() {
    let server = Server::start(&["--close-timeout", "200ms"]);
    let mut client = server.connect();
    client.send(b"\x81\x00");
    client.expect_close(1002);
    // The socket is gone once writing to it is answered by a reset. 5 s are the default.
    let deadline = std::time::Instant::now() + std::time::Duration::from_millis(4900);
    while client.stream.write_all(b"x").is_ok() {
        assert!(std::time::Instant::now() < deadline, "the server keeps the connection");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
