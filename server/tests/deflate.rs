//! permessage-deflate on the wire: what is negotiated, what is answered compressed, and what is refused.

mod support;

use support::{Client, Server, fragment, frame};
use wire::OpCode::{self, Binary, Continuation, Ping, Text};
use wire::Peer;
use wire::deflate::{Agreed, Codec, Direction, Effort, Shared, WindowBits};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const TAKEOVER: [&str; 4] = ["--permessage-deflate", "on", "--deflate-context-takeover", "both"];

/// The client's end of the compression.
struct Deflating {
    client: Client,
    codec: Codec,
    shared: Shared,
}

impl Deflating {
    fn connect(server: &Server) -> Self {
        let client = server.connect_with(OFFER, b"");
        let direction =
            |no_takeover| Direction { context_takeover: !client.head.contains(no_takeover), window: WindowBits::MAX };
        assert!(client.head.contains("permessage-deflate"), "{}", client.head);
        let (server, own) = (direction("server_no_context_takeover"), direction("client_no_context_takeover"));
        let codec = Codec::new(Agreed { server, client: own }, Peer::Server);
        Self { client, codec, shared: Shared::new(Effort::default()) }
    }

    fn compressed(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        self.codec.compress(&mut self.shared, message, &mut payload);
        payload
    }

    /// The next message: whether it came compressed, its kind, and what it says.
    fn message(&mut self) -> (bool, u8, Vec<u8>) {
        let (first, payload) = self.client.frame();
        assert_eq!(first & 0xb0, 0x80, "a final frame without RSV2 and RSV3");
        let compressed = first & 0x40 != 0;
        let message = if compressed {
            self.codec.decompress(&mut self.shared, &payload, 1 << 24).unwrap().to_vec()
        } else {
            payload
        };
        (compressed, first & 0x0f, message)
    }
}

/// The same frame with RSV1.
fn rsv1(mut frame: Vec<u8>) -> Vec<u8> {
    frame[0] |= 0x40;
    frame
}

fn in_fragments(opcode: OpCode, payload: &[u8], count: usize) -> Vec<u8> {
    let pieces: Vec<&[u8]> = payload.chunks(payload.len().div_ceil(count).max(1)).collect();
    let last = pieces.len() - 1;
    let piece = |(i, piece): (usize, &&[u8])| match i {
        0 => rsv1(fragment(opcode, last == 0, piece)),
        _ => [frame(Ping, b"between"), fragment(Continuation, i == last, piece)].concat(),
    };
    pieces.iter().enumerate().flat_map(piece).collect()
}

/// `len` bytes of UTF-8 in which characters of every length occur.
fn text(len: usize) -> Vec<u8> {
    let sample = "aé漢😀 and so on. ";
    let whole = sample.repeat(len / sample.len());
    (whole + &"x".repeat(len % sample.len())).into_bytes()
}

#[test]
fn offers_are_granted_only_when_switched_on() {
    let off = Server::start(&[]);
    assert!(!off.connect_with(OFFER, b"").head.to_lowercase().contains("extensions"));
    // What nobody asked to read cannot fail.
    off.connect_with("Sec-WebSocket-Extensions: ;;;\r\n", b"");
    let on = Server::start(&["--permessage-deflate", "on", "--deflate-window-bits", "11"]);
    assert!(!on.connect_with("", b"").head.to_lowercase().contains("extensions"));
    let granted = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                   server_max_window_bits=11; client_max_window_bits=11\r\n";
    assert!(on.connect_with(OFFER, b"").head.contains(granted));
    let declined = on.connect_with("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16\r\n", b"");
    assert!(!declined.head.to_lowercase().contains("extensions"));
    let refused = on.http(&format!("{}Sec-WebSocket-Extensions: a b\r\nConnection: close\r\n\r\n", support::UPGRADE));
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("malformed at byte 2"), "{refused}");
    let config = on.http("GET /config HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(config.contains("\"window_bits\": 11") && config.contains("\"context_takeover\": \"off\""), "{config}");
}

#[test]
fn compressed_messages_come_back_compressed_whole_or_in_fragments() {
    for flags in [
        &["--permessage-deflate", "on", "--deflate-threshold", "0"][..],
        &[&TAKEOVER[..], &["--deflate-threshold", "0"]].concat(),
    ] {
        let server = Server::start(flags);
        let mut peer = Deflating::connect(&server);
        for len in [0, 1, 125, 126, 4096, 65_535, 65_536, 1 << 20] {
            for opcode in [Text, Binary] {
                for fragments in [1, 4] {
                    let message = text(len);
                    let payload = peer.compressed(&message);
                    let stream = in_fragments(opcode, &payload, fragments);
                    peer.client.send(&stream);
                    // The pings between fragments are answered before the message, which ends with the last one.
                    for _ in 1..payload.chunks(payload.len().div_ceil(fragments).max(1)).count() {
                        assert_eq!(peer.client.frame(), (0x8a, b"between".to_vec()));
                    }
                    let (compressed, kind, echo) = peer.message();
                    assert!(compressed && kind == opcode as u8, "{len} B");
                    assert!(echo == message, "{len} B in {fragments} fragments");
                }
            }
        }
    }
}

#[test]
fn the_threshold_and_the_policy_for_uncompressed_messages_hold_on_both_paths() {
    for (policy, expected) in [("plain", false), ("compressed", true)] {
        let mut flags = vec!["--permessage-deflate", "on", "--deflate-threshold", "100"];
        flags.extend(["--deflate-uncompressed", policy]);
        let server = Server::start(&flags);
        let mut peer = Deflating::connect(&server);
        let (small, large) = (text(99), text(100));
        for fragments in [1, 2] {
            for (message, compressed) in [(&small, false), (&large, true)] {
                let payload = peer.compressed(message);
                peer.client.send(&in_fragments(Text, &payload, fragments).clone());
                if fragments == 2 {
                    assert_eq!(peer.client.frame().0, 0x8a);
                }
                assert_eq!(peer.message(), (compressed, 1, message.clone()));
            }
            let halves = [fragment(Text, false, &large[..50]), fragment(Continuation, true, &large[50..])].concat();
            peer.client.send(&if fragments == 1 { frame(Text, &large) } else { halves });
            assert_eq!(peer.message(), (expected, 1, large.clone()));
            peer.client.send(&frame(Text, &small));
            assert_eq!(peer.message(), (false, 1, small.clone()));
        }
    }
}

/// Bytes of the first and the second reply to the same message, which comes uncompressed.
fn replies_of(flags: &[&str]) -> [usize; 2] {
    let always = ["--permessage-deflate", "on", "--deflate-uncompressed", "compressed"];
    let server = Server::start(&[&always[..], flags].concat());
    let mut client = server.connect_with(OFFER, b"");
    // Words that come back near and far, none of them at once.
    let words = (0..1200u32).map(|i| format!("{} ", i.wrapping_mul(2_654_435_761) >> 22));
    let message = words.collect::<String>().into_bytes();
    [0; 2].map(|_| {
        client.send(&frame(Text, &message));
        let (first, payload) = client.frame();
        assert_eq!(first, 0xc1, "compressed text");
        payload.len()
    })
}

#[test]
fn replies_are_as_small_as_level_memory_and_takeover_make_them() {
    let [usual, again] = replies_of(&[]);
    assert_eq!(usual, again, "nothing is remembered from one message to the next");
    assert_eq!(replies_of(&["--deflate-level", "3", "--deflate-memory", "8"]), [usual; 2]);
    let [most, _] = replies_of(&["--deflate-level", "9"]);
    let [least, _] = replies_of(&["--deflate-level", "1"]);
    assert!(most < usual && usual < least, "{most} {usual} {least}");
    let [forgetful, _] = replies_of(&["--deflate-memory", "1"]);
    assert!(forgetful > usual, "{forgetful} {usual}");
    for takeover in ["server", "both"] {
        let [first, second] = replies_of(&["--deflate-context-takeover", takeover]);
        assert!(second < first / 4, "{takeover}: {first} {second}");
    }
    let [first, second] = replies_of(&["--deflate-context-takeover", "client"]);
    assert_eq!(first, second, "of a client's messages only");
}

#[test]
fn many_messages_in_one_write_keep_their_order() {
    for flags in [&["--permessage-deflate", "on"][..], &TAKEOVER] {
        let server = Server::start(flags);
        let mut peer = Deflating::connect(&server);
        let messages: Vec<Vec<u8>> = (0..300).map(|i| text(i * 13)).collect();
        let mut stream = Vec::new();
        for (i, message) in messages.iter().enumerate() {
            stream.extend(match i % 4 {
                0 => frame(Binary, message),
                1 => in_fragments(Text, &peer.compressed(message), 3),
                _ => rsv1(frame(Text, &peer.compressed(message))),
            });
        }
        let mut writer = peer.client.stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &stream).unwrap());
        let mut got = 0;
        while got < messages.len() {
            let (first, payload) = peer.client.frame();
            if first == 0x8a {
                continue;
            }
            let echo = if first & 0x40 == 0 {
                payload
            } else {
                peer.codec.decompress(&mut peer.shared, &payload, 1 << 20).unwrap().to_vec()
            };
            assert!(echo == messages[got], "message {got}");
            got += 1;
        }
        writing.join().unwrap();
    }
}

#[test]
fn what_is_wrong_is_closed_with_its_code_after_what_was_right() {
    let server = Server::start(&["--permessage-deflate", "on", "--max-message-size", "10KiB"]);
    let bomb = Deflating::connect(&server).compressed(&vec![0; 10_241]);
    let broken_text = Deflating::connect(&server).compressed(b"caf\xe9");
    let cut = text(500);
    let cut = {
        let payload = Deflating::connect(&server).compressed(&cut);
        payload[..payload.len() / 2].to_vec()
    };
    let cases: Vec<(&str, u16, Vec<u8>)> = vec![
        (
            "RSV1 on a continuation",
            1002,
            [fragment(Text, false, b"a"), rsv1(fragment(Continuation, true, b"b"))].concat(),
        ),
        ("RSV1 on a ping", 1002, rsv1(frame(Ping, b""))),
        ("RSV2", 1002, {
            let mut bad = frame(Text, b"");
            bad[0] |= 0x20;
            bad
        }),
        ("RSV1 and RSV2", 1002, {
            let mut bad = frame(Text, b"");
            bad[0] |= 0x60;
            bad
        }),
        ("no DEFLATE", 1007, rsv1(frame(Binary, &[0xff; 9]))),
        ("no DEFLATE in fragments", 1007, in_fragments(Binary, &[0xff; 9], 3)),
        ("cut short", 1007, rsv1(frame(Text, &cut))),
        ("not UTF-8", 1007, rsv1(frame(Text, &broken_text))),
        ("not UTF-8 in fragments", 1007, in_fragments(Text, &broken_text, 2)),
        ("a bomb", 1009, rsv1(frame(Binary, &bomb))),
        ("a bomb in fragments", 1009, in_fragments(Binary, &bomb, 3)),
        ("a frame over the limit", 1009, rsv1(frame(Binary, &[0; 12_000]))),
    ];
    for (name, code, bytes) in cases {
        let mut peer = Deflating::connect(&server);
        let message = text(300);
        let before = rsv1(frame(Text, &peer.compressed(&message)));
        peer.client.send(&[before, bytes].concat());
        assert_eq!(peer.message(), (true, 1, message), "{name}");
        loop {
            let (first, payload) = peer.client.frame();
            if first == 0x8a {
                continue;
            }
            assert_eq!(first, 0x88, "{name}: {payload:?}");
            assert_eq!(wire::parse_close(&payload).unwrap().unwrap().0.get(), code, "{name}");
            break;
        }
        peer.client.expect_end();
    }
}

#[test]
fn a_message_of_just_the_limit_that_grows_by_compression_is_echoed() {
    let server = Server::start(&["--permessage-deflate", "on", "--max-message-size", "10KiB"]);
    let mut peer = Deflating::connect(&server);
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(10 << 10)
    .collect();
    let payload = peer.compressed(&noise);
    assert!(payload.len() > noise.len());
    for fragments in [1, 3] {
        peer.client.send(&in_fragments(Binary, &payload, fragments));
        (1..fragments).for_each(|_| assert_eq!(peer.client.frame().0, 0x8a));
        assert!(peer.message() == (true, 2, noise.clone()));
    }
}

/// A hundred connections that have each been sent a bomb of 1000:1 hold no more memory than one message.
#[test]
fn bombs_leave_no_memory_behind() {
    let server = Server::start(&["--permessage-deflate", "on", "--threads", "1", "--max-message-size", "1MiB"]);
    let mut first = Deflating::connect(&server);
    let bomb = first.compressed(&vec![0; 64 << 20]);
    let before = server.memory_kib("VmRSS");
    let bombed: Vec<Client> = (0..100)
        .map(|_| {
            let mut peer = Deflating::connect(&server);
            peer.client.send(&rsv1(frame(Binary, &bomb)));
            peer.client.expect_close(1009);
            peer.client
        })
        .collect();
    let grown = server.memory_kib("VmRSS").saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB for {} bombs", bombed.len());
}

#[test]
fn flags_of_compression_need_compression() {
    let run = |flags: &[&str]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_echo-server")).args(flags).arg("--print-config").output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (flag, value) in [
        ("--deflate-level", "6"),
        ("--deflate-threshold", "1KiB"),
        ("--deflate-context-takeover", "both"),
        ("--deflate-window-bits", "12"),
        ("--deflate-memory", "9"),
        ("--deflate-uncompressed", "compressed"),
    ] {
        assert_eq!(run(&["--permessage-deflate", "on", flag, value]).0, Some(0));
        let (code, error) = run(&[flag, value]);
        assert_eq!(code, Some(2));
        assert!(error.contains(&format!("{flag} needs --permessage-deflate on")), "{error}");
    }
    for (flag, value) in
        [("--deflate-level", "0"), ("--deflate-level", "10"), ("--deflate-window-bits", "8"), ("--deflate-memory", "x")]
    {
        assert_eq!(run(&["--permessage-deflate", "on", flag, value]).0, Some(2), "{flag} {value}");
    }
}

#[test]
fn messages_much_larger_than_they_came_keep_nobody_waiting() {
    const MESSAGES: usize = 16;
    let server = Server::start(&["--permessage-deflate", "on", "--threads", "1"]);
    let (mut greedy, mut other) = (Deflating::connect(&server), server.connect());
    let message = vec![0; 2 << 20];
    let packed = rsv1(frame(Binary, &greedy.compressed(&message)));
    greedy.client.send(&packed.repeat(MESSAGES));
    other.send(&frame(Text, b"me too"));
    assert_eq!(other.frame(), (0x81, b"me too".to_vec()));
    // All replies together are no larger than what one turn may send.
    let mut arrived = vec![0; 1 << 20];
    let arrived = greedy.client.stream.peek(&mut arrived).unwrap();
    for number in 0..MESSAGES {
        let (compressed, kind, reply) = greedy.message();
        assert!(compressed && kind == 2 && reply == message, "number {number}");
    }
    let reply = greedy.compressed(&message).len();
    assert!(arrived < MESSAGES * reply, "all {arrived} B were sent before the other connection had its turn");
}
