//! Replies by template (`--reply`), on the lane and off it.

mod support;

use support::{Client, Server, fragment, frame, payload};
use wire::OpCode::{self, Binary, Continuation, Ping, Text};
use wire::Peer;
use wire::deflate::{Agreed, Codec, Direction, Effort, Shared, WindowBits};

const TEMPLATE: &str = "服务端收到了-{}-";
const LANES: [&str; 2] = ["on", "off"];

fn by_template(message: &[u8]) -> Vec<u8> {
    ["服务端收到了-".as_bytes(), message, b"-"].concat()
}

fn with(lane: &str, flags: &[&str]) -> (Server, Client) {
    let server = Server::start(&[&["--lane", lane, "--reply", TEMPLATE], flags].concat());
    let client = server.connect();
    (server, client)
}

fn assert_reply(client: &mut Client, opcode: OpCode, expected: &[u8]) {
    let (first, reply) = client.frame();
    assert_eq!(first, 0x80 | opcode as u8, "of {} bytes: {reply:.200?}", expected.len());
    assert!(reply == expected, "expected {expected:.200?}, not {reply:.200?}");
}

#[test]
fn text_is_answered_by_the_template_and_binary_as_it_is() {
    for lane in LANES {
        let (_server, mut client) = with(lane, &[]);
        client.send(&frame(Text, "客户端发来的信息".as_bytes()));
        assert_reply(&mut client, Text, "服务端收到了-客户端发来的信息-".as_bytes());
        // Around the lengths at which a header or a buffer changes, of the message or of its reply.
        for length in [0, 1, 104, 105, 125, 126, 16_384, 65_514, 65_515, 65_536, 1 << 20, 3] {
            client.send(&[frame(Text, &payload(length)), frame(Binary, &payload(length))].concat());
            assert_reply(&mut client, Text, &by_template(&payload(length)));
            assert_reply(&mut client, Binary, &payload(length));
        }
    }
}

#[test]
fn binary_is_answered_by_the_template_where_that_is_asked_for() {
    for lane in LANES {
        let (_server, mut client) = with(lane, &["--reply-binary"]);
        client.send(&[frame(Binary, b"\xff\x00"), frame(Text, b"and text")].concat());
        assert_reply(&mut client, Binary, &by_template(b"\xff\x00"));
        assert_reply(&mut client, Text, &by_template(b"and text"));
    }
}

#[test]
fn fragments_are_one_message_and_the_connection_goes_on() {
    for lane in LANES {
        let (_server, mut client) = with(lane, &[]);
        for _ in 0..3 {
            let half = "收".as_bytes();
            let fragments =
                [fragment(Text, false, &half[..1]), frame(Ping, b""), fragment(Continuation, true, &half[1..])];
            client.send(&[frame(Text, b"whole"), fragments.concat(), frame(Text, b"whole")].concat());
            assert_reply(&mut client, Text, &by_template(b"whole"));
            assert_reply(&mut client, OpCode::Pong, b"");
            assert_reply(&mut client, Text, &by_template(half));
            assert_reply(&mut client, Text, &by_template(b"whole"));
        }
    }
}

#[test]
fn many_messages_in_flight_are_answered_in_order() {
    for lane in LANES {
        let (_server, mut client) = with(lane, &["--send-buffer", "4KiB"]);
        let mut stream = client.stream.try_clone().unwrap();
        let lengths = || (0..20_000).map(|n: usize| n * 7919 % 1500);
        let writer = std::thread::spawn(move || {
            for length in lengths() {
                std::io::Write::write_all(&mut stream, &frame(Text, &payload(length))).unwrap();
            }
        });
        for length in lengths() {
            assert_reply(&mut client, Text, &by_template(&payload(length)));
        }
        writer.join().unwrap();
    }
}

#[test]
fn a_reply_that_is_too_large_closes_the_connection() {
    // The template adds 20 bytes.
    for lane in LANES {
        let (server, mut client) = with(lane, &["--max-message-size", "1000"]);
        client.send(&[frame(Text, &payload(980)), frame(Text, &payload(981))].concat());
        assert_reply(&mut client, Text, &by_template(&payload(980)));
        client.expect_close(1009);
        let mut client = server.connect();
        client.send(&frame(Binary, &payload(1000)));
        assert_reply(&mut client, Binary, &payload(1000));
        client.send(&[fragment(Text, false, &payload(500)), fragment(Continuation, true, &payload(481))].concat());
        client.expect_close(1009);
    }
}

#[test]
fn a_reply_whose_text_alone_is_too_large_is_refused_at_the_start() {
    let started = |most: &str| {
        let mut server = std::process::Command::new(env!("CARGO_BIN_EXE_echo-server"));
        let flags = ["--listen", "127.0.0.1:0", "--reply", TEMPLATE, "--max-message-size", most, "--print-config"];
        let output = server.args(flags).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // The template adds 20 bytes.
    assert_eq!(started("20"), (Some(0), String::new()), "an empty message can be answered");
    let (code, stderr) = started("19");
    assert_eq!(
        stderr,
        "error: --reply has 20 bytes without the message, and --max-message-size allows 19: it could answer nothing\n"
    );
    assert!(code.is_some_and(|code| code != 0), "{code:?}");
}

#[test]
fn text_that_is_none_is_refused() {
    for lane in LANES {
        let (_server, mut client) = with(lane, &[]);
        client.send(&[frame(Text, b"first"), frame(Text, b"\xff")].concat());
        assert_reply(&mut client, Text, &by_template(b"first"));
        client.expect_close(1007);
    }
}

/// A connection on which compression was agreed, with what the client compresses and decompresses by.
fn deflating(server: &Server) -> (Client, Codec, Shared) {
    let client = server.connect_with("Sec-WebSocket-Extensions: permessage-deflate\r\n", b"");
    let direction =
        |no_takeover| Direction { context_takeover: !client.head.contains(no_takeover), window: WindowBits::MAX };
    let (server, own) = (direction("server_no_context_takeover"), direction("client_no_context_takeover"));
    let codec = Codec::new(Agreed { server, client: own }, Peer::Server);
    (client, codec, Shared::new(Effort::default()))
}

/// The frame of a compressed message.
fn compressed(codec: &mut Codec, shared: &mut Shared, opcode: OpCode, message: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    codec.compress(shared, message, &mut packed);
    let mut sent = frame(opcode, &packed);
    sent[0] |= 0x40;
    sent
}

#[test]
fn compressed_messages_are_answered_compressed() {
    const TAKEOVER: [&str; 4] = ["--permessage-deflate", "on", "--deflate-context-takeover", "both"];
    for (lane, flags) in LANES.into_iter().flat_map(|lane| [(lane, &TAKEOVER[..2]), (lane, &TAKEOVER)]) {
        let (server, _) = with(lane, flags);
        let (mut client, mut codec, mut shared) = deflating(&server);
        for length in [10, 200, 5_000, 100_000, 200] {
            for opcode in [Text, Binary] {
                let message = payload(length);
                let sent = compressed(&mut codec, &mut shared, opcode, &message);
                client.send(&[sent, frame(opcode, &message)].concat());
                let expected = if opcode == Text { by_template(&message) } else { message.clone() };
                let (first, reply) = client.frame();
                // The threshold is 64 bytes.
                assert_eq!(first, if length < 64 { 0x80 } else { 0xc0 } | opcode as u8);
                let reply =
                    if length < 64 { reply } else { codec.decompress(&mut shared, &reply, 1 << 24).unwrap().to_vec() };
                assert!(reply == expected, "{length} bytes, lane {lane}: {reply:.200?}");
                assert_reply(&mut client, opcode, &expected);
            }
        }
    }
}

#[test]
fn a_reply_that_is_too_large_closes_the_connection_however_small_it_is_compressed() {
    // The template adds 20 bytes to the message as it is, whose compressed form is far below the limit.
    for lane in LANES {
        let (server, _) = with(lane, &["--max-message-size", "1000", "--permessage-deflate", "on"]);
        let (mut client, mut codec, mut shared) = deflating(&server);
        let mut text = |length| compressed(&mut codec, &mut shared, Text, &vec![b'x'; length]);
        client.send(&[text(980), text(981)].concat());
        let (first, reply) = client.frame();
        assert_eq!(first, 0xc1, "lane {lane}");
        let reply = codec.decompress(&mut shared, &reply, 1000).unwrap();
        assert!(*reply == by_template(&[b'x'; 980]), "lane {lane}: {reply:.200?}");
        client.expect_close(1009);
        // Bytes go back as they are; text in fragments is one message.
        let (mut client, mut codec, mut shared) = deflating(&server);
        client.send(&compressed(&mut codec, &mut shared, Binary, &[b'x'; 1000]));
        let (first, reply) = client.frame();
        let reply = codec.decompress(&mut shared, &reply, 1000).unwrap();
        assert!(first == 0xc2 && reply == [b'x'; 1000], "lane {lane}: {reply:.200?}");
        let mut packed = Vec::new();
        codec.compress(&mut shared, &[b'x'; 981], &mut packed);
        let mut begun = fragment(Text, false, &packed[..4]);
        begun[0] |= 0x40;
        client.send(&[begun, fragment(Continuation, true, &packed[4..])].concat());
        client.expect_close(1009);
    }
}

#[test]
fn braces_are_escaped_and_what_is_no_template_is_refused() {
    let server = Server::start(&["--reply", "{{\"got\":\"{}\"}}"]);
    let mut client = server.connect();
    client.send(&frame(Text, b"{}"));
    assert_reply(&mut client, Text, b"{\"got\":\"{}\"}");
    for (template, reason) in [
        ("nothing", "expected one {} for the message, and found none"),
        ("{}{}", "expected one {} for the message, and found several"),
        ("a{b{}", "the brace at byte 1 stands alone"),
        ("{}}", "the brace at byte 2 stands alone"),
    ] {
        let refused = std::process::Command::new(env!("CARGO_BIN_EXE_echo-server"))
            .args(["--listen", "127.0.0.1:0", "--reply", template])
            .output()
            .unwrap();
        let stderr = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(2) && stderr.contains(reason), "{template}: {stderr}");
        assert!(stderr.contains("--reply <TEMPLATE>"), "{stderr}");
    }
}
