//! Memory of large messages is given back once the last of them is over, whatever became of it, although nobody says
//! anything to the server any more.

mod support;

use std::time::{Duration, Instant};
use std::{mem, thread};

use socket2::SockRef;
use support::{Client, PATIENCE, Server, fragment, frame, payload};
use wire::OpCode::{Binary, Continuation};

const ROWS: [&[&str]; 4] = [
    &["--threads", "1"],
    &["--threads", "1", "--lane", "off"],
    &["--threads", "2", "--lane", "off", "--write", "per-frame"],
    &["--threads", "2", "--runtime", "work-stealing"],
];

#[test]
fn after_messages_that_were_never_completed() {
    for flags in ROWS {
        for size in [64 << 10, 1 << 20, 15 << 20] {
            let message = frame(Binary, &payload(size));
            burst(flags, BURST / size, |client| client.send(&message[..size * 9 / 10]), |_| {});
        }
    }
}

#[test]
fn after_messages_that_were_echoed() {
    let size = 4 << 20;
    let message = frame(Binary, &payload(size));
    let (begin, end) = message.split_at(size / 2);
    for flags in ROWS {
        burst(
            flags,
            BURST / size,
            |client| client.send(begin),
            |client| {
                client.send(end);
                assert_eq!(client.frame().1.len(), size);
            },
        );
    }
}

#[test]
fn after_fragments() {
    let piece = payload(128 << 10);
    let more = fragment(Continuation, false, &piece);
    let fragments = [fragment(Binary, false, &piece), more.repeat(31)].concat();
    for flags in ROWS {
        burst(flags, BURST / fragments.len(), |client| client.send(&fragments), |_| {});
    }
}

#[test]
fn after_replies_that_nobody_read() {
    let message = frame(Binary, &payload(15 << 20));
    for flags in ROWS {
        burst(flags, BURST >> 24, |client| client.send(&message), |_| {});
    }
}

#[test]
fn after_compressed_messages() {
    let compression = ["--permessage-deflate", "on"];
    // Half of a message that is not compressible, as its frame says it is.
    let size = 1 << 20;
    let mut message = frame(Binary, &payload(size));
    message[0] |= 0x40;
    for flags in ROWS {
        let flags = [flags, &compression].concat();
        burst(&flags, BURST / size, |client| client.send(&message[..size * 9 / 10]), |_| {});
    }
    // 16 MiB of zeros, which come as 16 KiB and go back as they are.
    let mut zeros = frame(Binary, &compressed(&vec![0; 16 << 20]));
    zeros[0] |= 0x40;
    for flags in ROWS {
        let flags = [flags, &compression, &["--deflate-threshold", "1GiB"]].concat();
        burst(&flags, 4, |client| client.send(&zeros), |client| assert_eq!(client.frame().1.len(), 16 << 20));
    }
}

#[test]
fn after_a_compressed_message_whose_peer_has_gone_when_it_is_answered() {
    // The peer is reset as soon as the memory is seen to grow, which is long before the message is decompressed, compressed
    // again and sent.
    let mut zeros = frame(Binary, &compressed(&vec![0; 16 << 20]));
    zeros[0] |= 0x40;
    for flags in ROWS {
        let flags = [flags, &["--permessage-deflate", "on"]].concat();
        burst(&flags, 1, |client| client.send(&zeros), |_| {});
    }
}

/// As a client compresses a message.
fn compressed(message: &[u8]) -> Vec<u8> {
    use wire::deflate::{Agreed, Codec, Direction, Effort, Shared, WindowBits};
    let direction = Direction { context_takeover: false, window: WindowBits::MAX };
    let mut codec = Codec::new(Agreed { server: direction, client: direction }, wire::Peer::Server);
    let mut payload = Vec::new();
    codec.compress(&mut Shared::new(Effort::default()), message, &mut payload);
    payload
}

/// So many connections do what `begin` does, then each what `end` does, and all are reset; memory must be back then.
fn burst(flags: &[&str], connections: usize, begin: impl Fn(&mut Client), end: impl Fn(&mut Client)) {
    let server = Server::start(flags);
    let connect = || match flags.contains(&"--permessage-deflate") {
        true => server.connect_with("Sec-WebSocket-Extensions: permessage-deflate\r\n", b""),
        false => server.connect(),
    };
    // The workers start with what they need for any message.
    for _ in 0..8 {
        let mut client = connect();
        client.send(&frame(Binary, b"x"));
        client.frame();
    }
    let before = server.memory_kib("VmRSS");
    let mut clients: Vec<_> = (0..connections).map(|_| connect()).collect();
    clients.iter_mut().for_each(&begin);
    clients.iter_mut().for_each(&end);
    let begun = Instant::now();
    let mut most = server.memory_kib("VmHWM");
    while most <= before + RETAINED {
        assert!(begun.elapsed() < PATIENCE, "{flags:?}: at most {most} KiB, {before} before: there was no burst");
        thread::sleep(Duration::from_millis(20));
        most = server.memory_kib("VmHWM");
    }
    for client in mem::take(&mut clients) {
        SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let over = Instant::now();
    let mut after = server.memory_kib("VmRSS");
    while after > before + RETAINED {
        assert!(over.elapsed() < PATIENCE, "{flags:?}: {after} KiB, before it {before} KiB, at most {most} KiB");
        thread::sleep(Duration::from_millis(20));
        after = server.memory_kib("VmRSS");
    }
    println!("{flags:?}, {connections}: {before} KiB before, {most} at most, {after} {:.0?} after", over.elapsed());
}

/// Bytes, about, that all connections of a burst send.
const BURST: usize = 48 << 20;

/// KiB that may stay.
const RETAINED: u64 = 10 << 10;
