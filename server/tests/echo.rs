//! Lawful conversations with the real binary.

mod support;

use std::io::Write;

use support::{Client, Server, UPGRADE, fragment, frame, payload, upgraded};
use wire::OpCode::{self, Binary, Close, Continuation, Ping, Pong, Text};

const VARIANTS: &[&[&str]] = &[
    &[],
    &["--write", "per-frame"],
    &["--write", "vectored"],
    &["--runtime", "work-stealing"],
    &["--read-buffer", "128"],
    &["--read-buffer", "40000"],
    &["--read-buffer", "1MiB"],
];

fn assert_echo(client: &mut Client, opcode: OpCode, payload: &[u8]) {
    let (first, echoed) = client.frame();
    assert_eq!(first, 0x80 | opcode as u8, "of {} bytes: {echoed:.200?}", payload.len());
    assert!(echoed == payload, "{} bytes came back as other {}", payload.len(), echoed.len());
}

#[test]
fn messages_of_every_size_come_back() {
    for flags in VARIANTS {
        let server = Server::start(flags);
        let mut client = server.connect();
        for length in [0, 1, 125, 126, 127, 4096, 8178, 8184, 8192, 16383, 16384, 65535, 65536, 1 << 20, 5, 70_000] {
            for opcode in [Text, Binary] {
                let payload = payload(length);
                client.send(&frame(opcode, &payload));
                assert_echo(&mut client, opcode, &payload);
            }
        }
    }
}

/// A worker that has only had messages to answer for long waits for nothing else, and has to begin again once a handshake is
/// under way.
#[test]
fn messages_come_back_while_another_connection_stands_in_its_handshake() {
    let server = Server::start(&["--threads", "1"]);
    let mut client = server.connect();
    let mut echo = |count: usize| {
        for number in 0..count {
            let payload = payload(number % 100);
            client.send(&frame(Binary, &payload));
            assert_echo(&mut client, Binary, &payload);
        }
    };
    for _ in 0..2 {
        echo(5_000);
        let (begin, rest) = UPGRADE.split_at(30);
        let mut stream = server.tcp();
        stream.write_all(begin.as_bytes()).unwrap();
        echo(500);
        stream.write_all(format!("{rest}\r\n").as_bytes()).unwrap();
        let mut other = upgraded(stream);
        other.send(&frame(Text, b"hello"));
        assert_echo(&mut other, Text, b"hello");
    }
}

#[test]
fn many_messages_in_flight_come_back_in_order() {
    for flags in VARIANTS {
        let server = Server::start(flags);
        let mut client = server.connect();
        let mut stream = client.stream.try_clone().unwrap();
        let lengths = || (0..20_000).map(|n: usize| n * 7919 % 1500);
        let writer = std::thread::spawn(move || {
            for length in lengths() {
                stream.write_all(&frame(Binary, &payload(length))).unwrap();
            }
        });
        for length in lengths() {
            assert_echo(&mut client, Binary, &payload(length));
        }
        writer.join().unwrap();
    }
}

#[test]
fn replies_larger_than_the_send_buffer_are_put_together_right() {
    const LENGTHS: [usize; 7] = [10, 20_000, 100, 70_000, 0, 16_380, 5];
    for write in ["cork", "per-frame", "vectored"] {
        let server = Server::start(&["--write", write, "--send-buffer", "4KiB"]);
        let mut client = server.connect();
        let mut stream = client.stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            let burst: Vec<u8> = LENGTHS.iter().flat_map(|&length| frame(Binary, &payload(length))).collect();
            for _ in 0..50 {
                stream.write_all(&burst).unwrap();
            }
        });
        for _ in 0..50 {
            for length in LENGTHS {
                assert_echo(&mut client, Binary, &payload(length));
            }
        }
        writer.join().unwrap();
    }
}

#[test]
fn a_conversation_may_be_cut_at_any_byte() {
    let mut bytes = frame(Text, "Grüße".as_bytes());
    bytes.extend(frame(Ping, b"ping"));
    bytes.extend(fragment(Text, false, b"\xe2\x82"));
    bytes.extend(frame(Ping, b""));
    bytes.extend(fragment(Continuation, false, b""));
    bytes.extend(frame(Pong, b"unasked"));
    bytes.extend(fragment(Continuation, true, b"\xac!"));
    bytes.extend(frame(Binary, &payload(300)));
    let check = |client: &mut Client| {
        assert_echo(client, Text, "Grüße".as_bytes());
        assert_echo(client, Pong, b"ping");
        assert_echo(client, Pong, b"");
        assert_echo(client, Text, "€!".as_bytes());
        assert_echo(client, Binary, &payload(300));
    };
    for flags in [&[][..], &["--write", "vectored"], &["--write", "per-frame"]] {
        let server = Server::start(flags);
        let mut client = server.connect();
        for cut in 0..bytes.len() {
            client.send(&bytes[..cut]);
            // Seen to be read before the rest follows: the reply to what precedes it, or, lacking one, a moment.
            std::thread::sleep(std::time::Duration::from_millis(1));
            client.send(&bytes[cut..]);
            check(&mut client);
        }
        for byte in &bytes {
            client.send(&[*byte]);
        }
        check(&mut client);
        // As many connections as there are cuts, all within a message at the same time.
        let mut clients: Vec<Client> = (1..bytes.len()).map(|_| server.connect()).collect();
        for (cut, client) in clients.iter_mut().enumerate() {
            client.send(&bytes[..=cut]);
        }
        for (cut, client) in clients.iter_mut().enumerate().rev() {
            client.send(&bytes[cut + 1..]);
            check(client);
        }
    }
}

#[test]
fn a_large_frame_may_be_cut_anywhere_and_be_followed_by_any_other() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    // Around what is gathered, lengths of 16 and of 64 bits, more than one read takes, more than is reserved at first.
    for length in [16_376, 16_377, 40_000, 70_000, 600_000, 3 << 20] {
        let large = frame(Binary, &payload(length));
        for cut in (0..16).chain([100, length / 3, large.len() - 1]) {
            for (opcode, answer) in [(Text, Text), (Ping, Pong)] {
                client.send(&large[..cut]);
                std::thread::sleep(std::time::Duration::from_millis(1));
                client.send(&[&large[cut..], &frame(opcode, b"next")].concat());
                assert_echo(&mut client, Binary, &payload(length));
                assert_echo(&mut client, answer, b"next");
            }
        }
    }
}

#[test]
fn a_peer_that_reads_late_gets_every_reply_in_order() {
    let server = Server::start(&["--send-buffer", "4KiB"]);
    let mut client = server.connect();
    let mut stream = client.stream.try_clone().unwrap();
    // Each kind of frame meets replies that are still unsent: on the lane, and in the middle of a detour.
    let burst = [
        frame(Binary, &payload(300_000)),
        frame(Ping, b"ping"),
        frame(Text, &payload(50_000)),
        fragment(Text, false, &payload(20_000)),
        fragment(Continuation, true, b"end"),
    ]
    .concat();
    let writer = std::thread::spawn(move || (0..20).for_each(|_| stream.write_all(&burst).unwrap()));
    std::thread::sleep(std::time::Duration::from_millis(50));
    for _ in 0..20 {
        assert_echo(&mut client, Binary, &payload(300_000));
        assert_echo(&mut client, Pong, b"ping");
        assert_echo(&mut client, Text, &payload(50_000));
        assert_echo(&mut client, Text, &[&payload(20_000), &b"end"[..]].concat());
    }
    writer.join().unwrap();
}

#[test]
fn the_largest_message_passes_and_one_byte_more_does_not() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let whole = payload(16 << 20);
    client.send(&frame(Binary, &whole));
    assert_echo(&mut client, Binary, &whole);
    for piece in 0..16 {
        let opcode = if piece == 0 { Text } else { Continuation };
        client.send(&fragment(opcode, piece == 15, &whole[piece << 20..(piece + 1) << 20]));
    }
    assert_echo(&mut client, Text, &whole);

    client.send(&fragment(Binary, false, &whole));
    client.send(&fragment(Continuation, true, b"+"));
    client.expect_close(1009);
    let mut client = server.connect();
    client.send(&frame(Binary, &[&whole[..], b"+"].concat()));
    client.expect_close(1009);
}

#[test]
fn frames_sent_along_with_the_request_are_not_lost() {
    let server = Server::start(&[]);
    let ahead = [frame(Text, b"early"), frame(Binary, &payload(5000))].concat();
    let mut client = server.connect_with("", &ahead);
    assert_echo(&mut client, Text, b"early");
    assert_echo(&mut client, Binary, &payload(5000));
    let mut client = server.connect_with("", &ahead[..7]);
    client.send(&ahead[7..]);
    assert_echo(&mut client, Text, b"early");
    assert_echo(&mut client, Binary, &payload(5000));
}

#[test]
fn a_close_is_answered_in_kind() {
    let server = Server::start(&[]);
    for body in [&b""[..], b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa0\xe2\x82\xac"] {
        let mut client = server.connect();
        // What comes after a Close frame is ignored, whatever it is (RFC 6455, 5.5.1).
        client.send(&[frame(Text, b"last"), frame(Close, body), vec![0xff; 100]].concat());
        assert_echo(&mut client, Text, b"last");
        assert_echo(&mut client, Close, body);
        client.expect_end();
    }
}

#[test]
fn the_first_subprotocol_offered_is_taken() {
    let server = Server::start(&[]);
    let client = server.connect_with("Sec-WebSocket-Protocol: chat, superchat\r\n", b"");
    assert!(client.head.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: chat\r\n"), "{}", client.head);
    let client = server.connect_with("Sec-WebSocket-Extensions: permessage-deflate\r\n", b"");
    assert!(!client.head.to_ascii_lowercase().contains("sec-websocket-extensions"), "{}", client.head);
    assert!(!client.head.to_ascii_lowercase().contains("sec-websocket-protocol"), "{}", client.head);
}

#[test]
fn messages_are_logged_if_asked() {
    const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    for (format, expected) in [
        (
            "text",
            [
                " bytes=5 text=\"hello\"",
                "opcode=Binary bytes=2",
                "bytes=1000 text=\"\\u{1b}\\nx",
                "connection opened",
                "message peer=127.0.0.1:",
            ],
        ),
        (
            "json",
            [
                r#""bytes":5,"text":"hello""#,
                r#""opcode":"Binary","bytes":2"#,
                r#""bytes":1000,"text":"\u001b\nx"#,
                "connection opened",
                r#""message":"message","peer":"127.0.0.1:"#,
            ],
        ),
    ] {
        let flags = ["--log-messages", "--log-format", format, "--permessage-deflate", "on"];
        let server = Server::start(&flags);
        let mut client = server.connect_with(OFFER, b"");
        client.send(&[frame(Text, b"hello"), frame(Binary, b"\xff\xfe")].concat());
        assert_echo(&mut client, Text, b"hello");
        assert_echo(&mut client, Binary, b"\xff\xfe");
        let long = ["\x1b\n", &"x".repeat(998)].concat();
        client.send(&frame(Text, long.as_bytes()));
        assert_echo(&mut client, Text, long.as_bytes());
        // "Hello", compressed (RFC 7692, 7.2.3.1); what is smaller than the threshold comes back plain.
        let mut compressed = frame(Text, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
        compressed[0] |= 0x40;
        client.send(&compressed);
        assert_echo(&mut client, Text, b"Hello");
        let log = server.into_log();
        assert!(expected.iter().all(|expected| log.contains(expected)) && log.contains("Hello"), "{log}");
        assert!(!log.contains(&"x".repeat(255)), "{log}");
    }
}
