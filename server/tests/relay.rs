//! Relaying (`--relay`): who gets what, in which order, in which form, from one worker and from several.

mod support;

use std::thread;
use std::time::Duration;

use support::relay::{join, join_with, left, message, said, settled, start};
use support::{fragment, frame, payload};
use wire::OpCode::{self, Binary, Close, Continuation, Ping, Pong, Text};
use wire::Peer;
use wire::deflate::{Agreed, Codec, Direction, Effort, Shared, WindowBits};

const FIN: u8 = 0x80;

/// Every member sends its numbered messages while it reads those of the others: each gets all of them once, in each sender's
/// order.
fn everybody_talks(to: &'static str, threads: &str, messages: u32) {
    const MEMBERS: u32 = 7;
    let server = start(&["--relay", to, "--threads", threads, "--relay-queue", "64MiB"]);
    let members: Vec<_> = (0..MEMBERS).map(|_| join(&server, "/room")).collect();
    let talks = members.into_iter().zip(0..).map(|(mut client, me)| {
        thread::spawn(move || {
            let mut stream = client.stream.try_clone().unwrap();
            let sending = thread::spawn(move || {
                for number in 0..messages {
                    let opcode = if number % 3 == 0 { Text } else { Binary };
                    // Around the lengths at which headers change, and now and then more than a read brings.
                    let length = if number % 500 == 499 { 700_000 } else { number as usize * 7919 % 400 };
                    std::io::Write::write_all(&mut stream, &frame(opcode, &message(me, number, length))).unwrap();
                }
            });
            let senders = if to == "all" { MEMBERS } else { MEMBERS - 1 };
            let mut next = [0; MEMBERS as usize];
            for _ in 0..senders * messages {
                let (first, bytes) = client.frame();
                let (sender, number) = said(&bytes);
                assert_eq!(number, next[sender as usize], "of {sender} to {me}");
                assert_eq!(first, FIN | if number % 3 == 0 { Text } else { Binary } as u8);
                next[sender as usize] += 1;
            }
            assert_eq!(next[me as usize], if to == "all" { messages } else { 0 });
            sending.join().unwrap();
            client
        })
    });
    let talks: Vec<_> = talks.collect();
    let members: Vec<_> = talks.into_iter().map(|talk| talk.join().unwrap()).collect();
    let stats = settled(&server);
    let expected = u64::from(MEMBERS * messages) * u64::from(if to == "all" { MEMBERS } else { MEMBERS - 1 });
    assert_eq!(stats["messages_received"], u64::from(MEMBERS * messages));
    assert_eq!(stats["deliveries"]["total"], expected);
    assert_eq!(stats["deliveries"]["written"], expected, "{stats}");
    assert_eq!((&stats["connections"], &stats["rooms"]), (&MEMBERS.into(), &1.into()));
    drop(members);
}

#[test]
fn everybody_gets_what_the_others_say_in_order() {
    everybody_talks("others", "1", 1500);
    everybody_talks("others", "3", 1500);
}

#[test]
fn to_all_means_the_sender_too() {
    everybody_talks("all", "1", 600);
    everybody_talks("all", "3", 600);
}

#[test]
fn a_room_is_a_path_and_vanishes_with_its_members() {
    let server = start(&["--relay", "others", "--threads", "2", "--relay-rooms", "2"]);
    let mut red = [join(&server, "/red"), join(&server, "/red?user=2"), join(&server, "/red")];
    let mut blue = [join(&server, "/blue"), join(&server, "/blue")];
    red[0].send(&frame(Text, b"to the red"));
    blue[0].send(&frame(Text, b"to the blue"));
    assert_eq!(red[1].frame(), (FIN | Text as u8, b"to the red".to_vec()));
    assert_eq!(red[2].frame(), (FIN | Text as u8, b"to the red".to_vec()));
    assert_eq!(blue[1].frame(), (FIN | Text as u8, b"to the blue".to_vec()));
    let request = support::UPGRADE.replace("/chat", "/green");
    let refused = server.http(&format!("{request}\r\n"));
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("--relay-rooms"), "{refused}");
    let stats = settled(&server);
    assert_eq!((&stats["rooms"], &stats["connections"], &stats["rooms_refused"]), (&2.into(), &5.into(), &1.into()));
    drop(blue);
    assert_eq!(left(&server, 3)["rooms"], 1);
    let mut green = [join(&server, "/green"), join(&server, "/green")];
    green[0].send(&frame(Text, b"to the green"));
    assert_eq!(green[1].frame(), (FIN | Text as u8, b"to the green".to_vec()));
    assert_eq!(settled(&server)["deliveries"]["total"], 4);
}

#[test]
fn a_room_has_a_name_of_limited_length() {
    let server = start(&["--relay", "others"]);
    let longest = format!("/{}", "n".repeat(1023));
    let mut members = [join(&server, &longest), join(&server, &format!("{longest}?the=query&does=not&count"))];
    members[0].send(&frame(Text, b"by a long name"));
    assert_eq!(members[1].frame(), (FIN | Text as u8, b"by a long name".to_vec()));
    let request = support::UPGRADE.replace("/chat", &format!("{longest}n"));
    let refused = server.http(&format!("{request}\r\n"));
    assert!(refused.starts_with("HTTP/1.1 414 ") && refused.contains("1024 bytes at the most"), "{refused}");
    assert_eq!(settled(&server)["rooms"], 1);
}

#[test]
fn the_short_page_says_what_becomes_of_messages() {
    for (flags, says) in [
        (&[][..], "sends every message back."),
        (&["--reply", "got {}"], "answers every message."),
        (&["--relay", "others"], "hands every message on to the other connections of the same path."),
        (&["--relay", "all"], "hands every message on to all connections of the same path."),
    ] {
        let page = start(flags).http("GET /any HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(page.contains(says) && !page.contains('{'), "{page}");
        assert_eq!(page.contains("href=/stats"), flags.contains(&"--relay"), "{page}");
    }
}

#[test]
fn fragments_are_handed_on_as_one_message_and_control_frames_are_answered() {
    let server = start(&["--relay", "others"]);
    let (mut sender, mut other) = (join(&server, "/"), join(&server, "/"));
    let half = "收".as_bytes();
    sender.send(&[fragment(Text, false, &half[..1]), frame(Ping, b"within")].concat());
    assert_eq!(sender.frame(), (FIN | Pong as u8, b"within".to_vec()), "amid a message too");
    // Amid its own message it is given those of others.
    other.send(&frame(Binary, b"meanwhile"));
    assert_eq!(sender.frame(), (FIN | Binary as u8, b"meanwhile".to_vec()));
    sender.send(&[fragment(Continuation, true, &half[1..]), frame(Text, b"whole")].concat());
    assert_eq!(other.frame(), (FIN | Text as u8, half.to_vec()));
    assert_eq!(other.frame(), (FIN | Text as u8, b"whole".to_vec()));
    let large = payload(3 << 20);
    let pieces = large.chunks(100_000).map(|piece| fragment(Continuation, false, piece));
    let ends = [fragment(Binary, false, b""), fragment(Continuation, true, b"")];
    sender.send(&[&ends[..1], &pieces.collect::<Vec<_>>(), &ends[1..]].concat().concat());
    assert_eq!(other.frame(), (FIN | Binary as u8, large));
    sender.send(&frame(Binary, &payload(3 << 20)));
    assert_eq!(other.frame(), (FIN | Binary as u8, payload(3 << 20)));
    sender.send(&[frame(Text, b"last"), frame(Close, b"\x0f\xa0bye"), frame(Text, b"not any more")].concat());
    assert_eq!(other.frame(), (FIN | Text as u8, b"last".to_vec()));
    sender.expect_close(4000);
    drop(sender);
    left(&server, 1);
    let mut third = join(&server, "/");
    third.send(&frame(Text, b"after it left"));
    assert_eq!(other.frame(), (FIN | Text as u8, b"after it left".to_vec()));
}

#[test]
fn what_is_wrong_closes_the_sender_and_nobody_else() {
    let server = start(&["--relay", "all", "--max-message-size", "1000", "--max-fragments", "2"]);
    let mut other = join(&server, "/");
    for (wrong, code) in [
        (frame(Text, b"\xff"), 1007),
        (frame(Continuation, b""), 1002),
        (b"\x82\x00".to_vec(), 1002),
        (frame(Binary, &[0; 1001]), 1009),
        ([fragment(Binary, false, &[0; 600]), fragment(Continuation, true, &[0; 401])].concat(), 1009),
        ([fragment(Binary, false, b""), fragment(Continuation, false, b"").repeat(2)].concat(), 1009),
    ] {
        let mut client = join(&server, "/");
        client.send(&[frame(Text, b"lawful"), wrong].concat());
        assert_eq!(other.frame(), (FIN | Text as u8, b"lawful".to_vec()));
        // Its own message may come before the end, or not at all.
        let (first, payload) = client.frame();
        if first == FIN | Text as u8 {
            client.expect_close(code);
        } else {
            assert_eq!((first, &payload[..2]), (FIN | Close as u8, &code.to_be_bytes()[..]));
        }
    }
}

#[test]
fn what_comes_with_the_handshake_is_handed_on() {
    for threads in ["1", "2"] {
        let server = start(&["--relay", "all", "--threads", threads]);
        let mut first = join(&server, "/");
        let ahead = [frame(Text, b"early"), frame(Binary, &payload(3000))[..1000].to_vec()].concat();
        let mut second = join_with(&server, "/", "", &ahead);
        for client in [&mut first, &mut second] {
            assert_eq!(client.frame(), (FIN | Text as u8, b"early".to_vec()));
        }
        second.send(&frame(Binary, &payload(3000))[1000..]);
        for client in [&mut first, &mut second] {
            assert_eq!(client.frame(), (FIN | Binary as u8, payload(3000)));
        }
    }
}

/// What a client offers, whether its messages are compressed for it, and its end of the agreement.
fn deflating(head: &str) -> (Codec, Shared) {
    let bits = |name: &str| {
        let bits = head.split_once(name).map(|(_, rest)| rest.split(['\r', ';', ',']).next().unwrap().parse().unwrap());
        bits.map_or(WindowBits::MAX, |bits: u8| WindowBits::new(bits).unwrap())
    };
    let direction = |side: &str| Direction {
        context_takeover: !head.contains(&format!("{side}_no_context_takeover")),
        window: bits(&format!("{side}_max_window_bits=")),
    };
    let agreed = Agreed { server: direction("server"), client: direction("client") };
    (Codec::new(agreed, Peer::Server), Shared::new(Effort::default()))
}

/// The frame of a message that is compressed by that codec.
fn compressed((codec, shared): &mut (Codec, Shared), opcode: OpCode, message: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    codec.compress(shared, message, &mut packed);
    let mut sent = frame(opcode, &packed);
    sent[0] |= 0x40;
    sent
}

#[test]
fn what_is_far_more_than_a_turn_is_delivered_although_its_sender_falls_silent() {
    const MESSAGES: usize = 60;
    for threads in ["1", "2"] {
        let flags = ["--relay", "others", "--threads", threads, "--relay-queue", "64MiB", "--permessage-deflate", "on"];
        let server = start(&flags);
        let mut sender = join_with(&server, "/", "Sec-WebSocket-Extensions: permessage-deflate\r\n", b"");
        let (mut first, mut second) = (join(&server, "/"), join(&server, "/"));
        let mut codec = deflating(&sender.head);
        // Few bytes come, all of them with one read, and become as many as are handed out in 15 turns.
        let message = [b'x'; 64 << 10];
        let burst: Vec<u8> = (0..MESSAGES).flat_map(|_| compressed(&mut codec, Text, &message)).collect();
        sender.send(&burst);
        for member in [&mut first, &mut second] {
            (0..MESSAGES).for_each(|at| assert!(member.frame() == (FIN | Text as u8, message.to_vec()), "{at}"));
        }
    }
}

#[test]
fn each_gets_a_message_in_the_form_that_it_agreed_on() {
    for (threads, takeover) in [("1", "off"), ("3", "both")] {
        let server = start(&[
            "--relay",
            "all",
            "--threads",
            threads,
            "--permessage-deflate",
            "on",
            "--deflate-context-takeover",
            takeover,
        ]);
        let offers = ["", "permessage-deflate", "permessage-deflate; server_max_window_bits=9", "permessage-deflate"];
        let mut members: Vec<_> = offers
            .iter()
            .map(|offer| {
                let header =
                    if offer.is_empty() { String::new() } else { format!("Sec-WebSocket-Extensions: {offer}\r\n") };
                let client = join_with(&server, "/", &header, b"");
                let codec = deflating(&client.head);
                (client, codec)
            })
            .collect();
        for length in [10, 200, 5_000, 200, 100_000, 1_000_000] {
            for sender in 0..offers.len() {
                for opcode in [Text, Binary] {
                    let message = payload(length);
                    let (client, codec) = &mut members[sender];
                    if offers[sender].is_empty() {
                        client.send(&frame(opcode, &message));
                    } else {
                        client.send(&compressed(codec, opcode, &message));
                    }
                    for (offer, (client, (codec, shared))) in offers.iter().zip(&mut members) {
                        let (first, received) = client.frame();
                        let compressed = *offer == "permessage-deflate" && length >= 64;
                        assert_eq!(first, FIN | opcode as u8 | if compressed { 0x40 } else { 0 }, "{offer:?} {length}");
                        let received = if compressed {
                            assert!(received.len() < length, "{} of {length}", received.len());
                            codec.decompress(shared, &received, 1 << 24).unwrap().to_vec()
                        } else {
                            received
                        };
                        assert!(received == message, "{offer:?}, {length} bytes, takeover {takeover}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_message_is_compressed_once_however_many_take_it_compressed() {
    let flags = ["--relay", "others", "--threads", "1", "--relay-queue", "64MiB", "--permessage-deflate", "on"];
    let server = start(&flags);
    let said = payload(256 << 10);
    // The CPU time of some messages in a room where so many take them compressed.
    let cost = |members: usize| {
        let path = format!("/{members}");
        let mut sender = join(&server, &path);
        let enter = |_| join_with(&server, &path, "Sec-WebSocket-Extensions: permessage-deflate\r\n", b"");
        let mut readers: Vec<_> = (0..members).map(enter).collect();
        let before = server.cpu_time();
        for _ in 0..8 {
            sender.send(&frame(Binary, &said));
            readers.iter_mut().for_each(|reader| assert_eq!(reader.frame().0, 0xc2));
        }
        server.cpu_time() - before
    };
    let (one, many) = (cost(1), cost(40));
    println!("{one:?} of CPU time for one member, {many:?} for 40");
    let tick = Duration::from_millis(10);
    assert!(many < 8 * (one + tick), "{many:?} for 40 members, {one:?} for one");
}

#[test]
fn compressed_text_that_is_none_is_refused() {
    let server = start(&["--relay", "all", "--permessage-deflate", "on", "--max-message-size", "1000"]);
    for (opcode, plain, code) in [(Text, &b"\xff"[..], 1007), (Binary, &[0; 1001], 1009)] {
        let mut client = join_with(&server, "/", "Sec-WebSocket-Extensions: permessage-deflate\r\n", b"");
        let mut codec = deflating(&client.head);
        client.send(&compressed(&mut codec, opcode, plain));
        client.expect_close(code);
    }
}

#[test]
fn relaying_goes_only_with_the_lane_and_without_replies() {
    for (flags, obstacle) in [
        (&["--lane", "off"][..], "--lane off"),
        (&["--reply", "{}"], "--reply"),
        (&["--log-messages"], "--log-messages"),
        (&["--runtime", "work-stealing"], "--runtime work-stealing"),
        (&["--write", "vectored"], "--write per-frame or vectored"),
    ] {
        let refused = std::process::Command::new(env!("CARGO_BIN_EXE_echo-server"))
            .args(["--listen", "127.0.0.1:0", "--relay", "all"])
            .args(flags)
            .output()
            .unwrap();
        let stderr = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{flags:?}: {stderr}");
        assert!(stderr.contains(&format!("--relay does not go with {obstacle}")), "{stderr}");
    }
}

#[test]
fn a_server_that_goes_down_tells_every_member() {
    let mut server = start(&["--relay", "all", "--threads", "2"]);
    let mut members: Vec<_> = (0..5).map(|_| join(&server, "/")).collect();
    members[0].send(&frame(OpCode::Text, b"one more"));
    for member in &mut members {
        assert_eq!(member.frame(), (FIN | Text as u8, b"one more".to_vec()));
    }
    server.signal(rustix::process::Signal::TERM);
    for mut member in members {
        member.expect_close(1001);
    }
    assert!(server.wait().success());
}
