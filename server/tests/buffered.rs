//! `--max-buffered`: what all connections hold together is bounded, those that hold most are closed, and everybody else is
//! served.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use support::{Client, PATIENCE, Server, fragment, frame, payload};
use wire::OpCode::{Binary, Continuation};

/// Bytes of the messages that press on the limit; 4 of them fit.
const SIZE: usize = 4 << 20;
const LIMIT: &str = "16MiB";

/// KiB that the process may take beyond the limit: buffers that each of 2 workers keeps and needs for the message at hand, one
/// read beyond the limit, and what the allocator returns a moment later.
const BEYOND: u64 = 32 << 10;

/// Connections that press.
const PRESSING: usize = 40;

const LANES: [&str; 2] = ["on", "off"];

#[test]
fn messages_that_are_not_completed() {
    let message = frame(Binary, &payload(SIZE));
    for lane in LANES {
        press(&["--lane", lane], &message[..SIZE * 9 / 10], Told::All);
    }
}

#[test]
fn fragments_without_an_end() {
    let piece = payload(SIZE / 32);
    let more = fragment(Continuation, false, &piece);
    let fragments = [fragment(Binary, false, &piece), more.repeat(28)].concat();
    press(&[], &fragments, Told::All);
}

#[test]
fn compressed_messages_that_are_not_completed() {
    let mut message = frame(Binary, &payload(SIZE));
    message[0] |= 0x40;
    for lane in LANES {
        press(&["--permessage-deflate", "on", "--lane", lane], &message[..SIZE * 9 / 10], Told::All);
    }
}

#[test]
fn replies_that_nobody_reads() {
    // The sockets' own buffers take the less of it.
    let message = frame(Binary, &payload(SIZE)).repeat(2);
    for lane in LANES {
        press(&["--lane", lane, "--send-buffer", "64KiB", "--recv-buffer", "64KiB"], &message, Told::Nobody);
    }
}

#[test]
fn who_holds_much_makes_room_for_many_who_hold_little() {
    let large = frame(Binary, &payload(512 << 10));
    let payload = payload(100_000);
    let message = frame(Binary, &payload);
    for lane in LANES {
        let server = Server::start(&["--max-buffered", "8MiB", "--threads", "1", "--lane", lane]);
        // They fit, and never go on.
        let mut holding: Vec<_> = (0..14).map(|_| server.connect()).collect();
        holding.iter_mut().for_each(|client| client.send(&large[..500_000]));
        // What comes after it on the same worker is served when all of that has been read.
        serve(&mut server.connect());
        let mut others: Vec<_> = (0..40).map(|_| server.connect()).collect();
        others.iter_mut().for_each(|client| client.send(&message[..90_000]));
        others.iter_mut().for_each(|client| client.send(&message[90_000..]));
        for client in &mut others {
            assert!(client.frame() == (0x82, payload.clone()), "lane {lane}: not the echo");
        }
        holding.iter().for_each(end_sending);
        let closed = holding.into_iter().map(code).collect::<Vec<_>>();
        assert!(closed.contains(&Some(1013)), "lane {lane}: there was room for all: {closed:?}");
    }
}

#[test]
fn requests_that_are_not_completed() {
    let server = Server::start(&["--max-buffered", "1MiB", "--threads", "1"]);
    let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(10_000));
    let mut waiting = Vec::new();
    let refused = loop {
        let mut stream = server.tcp();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = vec![0; 12];
        if stream.read_exact(&mut answer).is_ok() {
            // A reset may come behind it, since nobody reads the request.
            let _ = stream.read_to_end(&mut answer);
            break String::from_utf8(answer).unwrap();
        }
        waiting.push(stream);
        assert!(waiting.len() < 200, "200 requests of 10 KB are held in 1 MiB");
    };
    assert!(
        refused.starts_with("HTTP/1.1 503") && refused.ends_with("(--max-buffered); try again later\n"),
        "{refused}"
    );
    assert!(waiting.len() > 10, "{}", waiting.len());
    drop(waiting);
    let deadline = Instant::now() + PATIENCE;
    while !server.http("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline, "no room although all is given back");
    }
}

#[test]
fn a_message_larger_than_all_of_it_is_refused() {
    for lane in LANES {
        let server = Server::start(&["--max-buffered", "1MiB", "--lane", lane]);
        let client = server.connect();
        let mut stream = client.stream.try_clone().unwrap();
        let sender = thread::spawn(move || stream.write_all(&frame(Binary, &payload(SIZE))));
        assert_eq!(code(client), Some(1013), "lane {lane}");
        let _ = sender.join().unwrap();
    }
}

/// Who is told why he is closed.
#[derive(PartialEq, Eq)]
enum Told {
    All,
    /// What is under way to him is a reply, which he does not take.
    Nobody,
}

/// `bytes` are sent on many connections, which none of them reads; memory is bounded, those closed are told why, and others
/// are served meanwhile and afterwards.
fn press(flags: &[&str], bytes: &[u8], told: Told) {
    let server = Server::start(&[&["--max-buffered", LIMIT, "--threads", "2"], flags].concat());
    let connect = || server.connect_with("Sec-WebSocket-Extensions: permessage-deflate\r\n", b"");
    let mut others: Vec<_> = (0..6).map(|_| connect()).collect();
    others.iter_mut().for_each(serve);
    let before = server.memory_kib("VmHWM");
    let (done, finished) = channel();
    let closed = thread::scope(|scope| {
        let pressing: Vec<_> = (0..PRESSING).map(|_| connect()).collect();
        for client in &pressing {
            let (mut stream, done): (_, Sender<()>) = (client.stream.try_clone().unwrap(), done.clone());
            stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
            scope.spawn(move || {
                // It may be closed, or not be read from, before all is sent.
                let _ = stream.write_all(bytes);
                drop(done);
            });
        }
        drop(done);
        while finished.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
            others.iter_mut().for_each(serve);
        }
        let mut others_again: Vec<_> = (0..2).map(|_| connect()).collect();
        others.iter_mut().chain(&mut others_again).for_each(serve);
        // Those that are not closed yet wait for ever.
        pressing.iter().for_each(end_sending);
        pressing.into_iter().map(code).collect::<Vec<_>>()
    });
    let most = server.memory_kib("VmHWM");
    let refused = closed.iter().filter(|code| **code == Some(1013)).count();
    println!("{flags:?}: {before} KiB before, {most} at most, {refused} of {PRESSING} closed with 1013");
    assert!(most < before + (16 << 10) + BEYOND, "{flags:?}: {most} KiB, {before} KiB before");
    if told == Told::All {
        assert!(refused > PRESSING / 2, "{flags:?}: {refused} of {PRESSING} were told 1013: {closed:?}");
    }
    others.iter_mut().for_each(serve);
}

/// A small message, and a larger one that comes in two parts.
fn serve(client: &mut Client) {
    client.send(&frame(Binary, b"small"));
    assert_eq!(client.frame(), (0x82, b"small".to_vec()));
    let payload = payload(40_000);
    let message = frame(Binary, &payload);
    client.send(&message[..30_000]);
    thread::sleep(Duration::from_millis(5));
    client.send(&message[30_000..]);
    assert!(client.frame() == (0x82, payload), "not the echo");
}

/// One that the server reset has no sending side to end.
fn end_sending(client: &Client) {
    let _ = client.stream.shutdown(Shutdown::Write);
}

/// What a connection is closed with, if anything.
fn code(mut client: Client) -> Option<u16> {
    let mut rest = Vec::new();
    // A reset ends it too.
    let _ = client.stream.read_to_end(&mut rest);
    let close = rest.strip_prefix(&[0x88])?;
    let (found, reason) = wire::parse_close(&close[1..]).ok()??;
    assert!(reason.contains("try again later"), "{reason}");
    Some(found.get())
}
