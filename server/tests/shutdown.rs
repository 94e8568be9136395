//! Signals: draining, its deadline, and the second signal.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use support::{Server, UPGRADE, fragment, frame, payload, upgraded};
use wire::OpCode::{Binary, Close, Continuation, Text};

const RUNTIMES: [&str; 2] = ["sharded", "work-stealing"];

#[test]
fn a_signal_closes_every_connection_with_1001() {
    for (runtime, signal) in RUNTIMES.into_iter().zip([Signal::TERM, Signal::INT]) {
        let mut server = Server::start(&["--runtime", runtime, "--threads", "2"]);
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients[10..] {
            client.send(&frame(Text, b"hello"));
            assert_eq!(client.frame(), (0x81, b"hello".to_vec()));
        }
        // Within a message: nothing is owed to it, so that it is closed as well.
        clients[5].send(&fragment(Binary, false, b"begun"));
        clients[6].send(&frame(Binary, b"cut off")[..9]);
        let _idle_http = server.tcp();
        server.signal(signal);
        for client in &mut clients {
            client.expect_close(1001);
            client.send(&frame(Close, &1001u16.to_be_bytes()));
            client.finish();
        }
        assert_eq!(server.wait().code(), Some(0));
        assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
    }
}

#[test]
fn an_idle_http_connection_does_not_hold_up_the_shutdown() {
    // Both longer than `wait` waits.
    let mut server = Server::start(&["--close-timeout", "90s", "--drain-timeout", "90s", "--threads", "1"]);
    let mut idle = server.tcp();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok\n") {
        let mut byte = [0];
        idle.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_reply_under_way_is_finished_first() {
    let mut server = Server::start(&["--threads", "1"]);
    let mut client = server.connect();
    let large = payload(16 << 20);
    client.send(&frame(Binary, &large));
    // A reply larger than all socket buffers is certainly not sent whole while nobody reads.
    let mut first = [0; 10];
    client.stream.read_exact(&mut first).unwrap();
    server.signal(Signal::TERM);
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut echoed = vec![0; large.len()];
    client.stream.read_exact(&mut echoed).unwrap();
    assert!(echoed == large);
    client.expect_close(1001);
    client.finish();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_reply_under_way_may_take_longer_than_the_close_timeout() {
    let mut server = Server::start(&["--threads", "1", "--close-timeout", "2s"]);
    let mut client = server.connect();
    let large = payload(16 << 20);
    client.send(&frame(Binary, &large));
    client.stream.read_exact(&mut [0; 10]).unwrap();
    server.signal(Signal::TERM);
    let mut echoed = vec![0; large.len()];
    for piece in echoed.chunks_mut(1 << 20) {
        client.stream.read_exact(piece).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert!(echoed == large);
    client.expect_close(1001);
    client.finish();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn connections_that_do_not_close_are_dropped_at_the_deadline() {
    for runtime in RUNTIMES {
        let mut server = Server::start(&["--runtime", runtime, "--drain-timeout", "300ms"]);
        let mut stuck = server.connect();
        stuck.send(&frame(Binary, &payload(16 << 20)));
        stuck.stream.read_exact(&mut [0; 10]).unwrap();
        let mut silent = server.connect();
        let asked = Instant::now();
        server.signal(Signal::TERM);
        silent.expect_close(1001);
        assert_eq!(server.wait().code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(10), "that is the default: {:?}", asked.elapsed());
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    for (runtime, signal, code) in [("sharded", Signal::INT, 130), ("work-stealing", Signal::TERM, 143)] {
        let mut server = Server::start(&["--runtime", runtime, "--drain-timeout", "1h", "--close-timeout", "1h"]);
        let mut client = server.connect();
        server.signal(Signal::TERM);
        client.expect_close(1001);
        server.signal(signal);
        let status = server.wait();
        assert_eq!((status.code(), status.signal()), (Some(code), None));
    }
}

#[test]
fn a_handshake_under_way_still_gets_its_answer() {
    let mut server = Server::start(&["--threads", "1"]);
    let mut stream = server.tcp();
    let (begin, end) = UPGRADE.split_at(40);
    stream.write_all(begin.as_bytes()).unwrap();
    // Another connection's round trip later, the server has read the beginning.
    let mut other = server.connect();
    server.signal(Signal::TERM);
    other.expect_close(1001);
    other.finish();
    stream.write_all(format!("{end}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(answer[body..body + 4], [&[0x88, answer[body + 1]][..], &1001u16.to_be_bytes()].concat());
    drop(stream);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_client_that_keeps_talking_does_not_hold_up_the_end() {
    let mut server = Server::start(&["--threads", "1", "--close-timeout", "1s"]);
    let mut client = server.connect();
    let mut stream = client.stream.try_clone().unwrap();
    let talker = std::thread::spawn(move || {
        let burst =
            [frame(Text, b"chatter").repeat(100), fragment(Text, false, b"a"), frame(Continuation, b"b")].concat();
        while stream.write_all(&burst).is_ok() {}
    });
    for _ in 0..1000 {
        client.frame();
    }
    server.signal(Signal::TERM);
    let close = loop {
        let (first, payload) = client.frame();
        if first == 0x88 {
            break payload;
        }
    };
    assert_eq!(close[..2], 1001u16.to_be_bytes());
    assert_eq!(server.wait().code(), Some(0));
    talker.join().unwrap();
}

#[test]
fn connections_that_wait_to_be_accepted_are_served_and_not_reset() {
    let cases: [&[&str]; 4] = [
        &["--threads", "1"],
        &["--threads", "2"],
        &["--threads", "2", "--balance", "kernel"],
        &["--threads", "2", "--runtime", "work-stealing"],
    ];
    for flags in cases {
        let mut server = Server::start(flags);
        // A connection that has been answered: another request follows while the server stands still.
        let mut kept_alive = server.tcp();
        kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        kept_alive.read_exact(&mut [0; 12]).unwrap();
        server.stop();
        let ask = |request: &str| {
            // The kernel completes the connection and takes the request.
            let mut stream = server.tcp();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        };
        let pages: Vec<_> = (0..20).map(|_| ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        let upgrades: Vec<_> = (0..20).map(|_| ask(&format!("{UPGRADE}\r\n"))).collect();
        kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        let rest = |mut stream: TcpStream| {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{flags:?}: {error}"));
            answer
        };
        for page in pages {
            let page = String::from_utf8(rest(page)).unwrap();
            assert!(page.starts_with("HTTP/1.1 200 ") && page.ends_with("\r\n\r\nok\n"), "{flags:?}: {page:?}");
        }
        for upgrade in upgrades {
            upgraded(upgrade).expect_close(1001);
        }
        let kept_alive = String::from_utf8(rest(kept_alive)).unwrap();
        assert_eq!(kept_alive.matches("\r\n\r\nok\n").count(), 2, "{flags:?}: {kept_alive:?}");
        assert_eq!(server.wait().code(), Some(0), "{flags:?}");
    }
}

#[test]
fn half_a_request_does_not_hold_up_the_end() {
    for runtime in RUNTIMES {
        let flags = ["--runtime", runtime, "--threads", "2", "--drain-timeout", "1h", "--handshake-timeout", "1h"];
        let mut server = Server::start(&flags);
        let mut halves = [server.tcp(), server.tcp(), server.tcp(), server.tcp()];
        // One of them says nothing.
        for (half, length) in halves.iter_mut().zip([0, 1, 40, UPGRADE.len()]) {
            half.write_all(&UPGRADE.as_bytes()[..length]).unwrap();
        }
        let page = server.http("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        server.signal(Signal::TERM);
        // It would take an hour.
        assert_eq!(server.wait().code(), Some(0), "{runtime}");
    }
}

#[test]
fn connections_that_wait_for_a_descriptor_are_served_as_others_leave() {
    for threads in ["1", "2"] {
        let mut server = Server::start(&["--threads", threads]);
        // Every worker has its descriptors once it has served a connection.
        let served: Vec<_> = (0..4).map(|_| server.connect()).collect();
        let pid = Pid::from_raw(i32::try_from(server.child.id()).unwrap()).unwrap();
        let open = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap().count() as u64;
        prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(open), maximum: Some(open) }).unwrap();
        let ask = |_| {
            let mut stream = server.tcp();
            stream.write_all(format!("{UPGRADE}\r\n").as_bytes()).unwrap();
            stream
        };
        let waiting: Vec<_> = (0..4).map(ask).collect();
        // What it finds when it goes on: a signal, and peers that have gone, whose descriptors are free once it has seen that.
        server.stop();
        server.signal(Signal::TERM);
        drop(served);
        server.signal(Signal::CONT);
        for stream in waiting {
            upgraded(stream).expect_close(1001);
        }
        assert_eq!(server.wait().code(), Some(0), "--threads {threads}");
    }
}
