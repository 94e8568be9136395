//! What a TLS connection costs, and what a peer that does not keep to the protocol cannot do.

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::{Client, allow_descriptors, frame, payload};
use tls::{Sealing, Secure, Setting, echoed, seal};
use wire::OpCode::{Binary, Text};

/// Where a connection is served.
const LANES: [&str; 2] = ["on", "off"];

/// How far a connection has come that is idle then.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// Nothing was asked for behind the handshake of TLS.
    Secure,
    /// It is a WebSocket, and no message has come.
    Upgraded,
    /// Messages were echoed.
    Used,
}

/// In steps, of which the median counts: what the first ones take was partly freed by handshakes before, and a page that the
/// allocator takes once, for whatever it may be, falls into one step.
#[test]
fn an_idle_connection_takes_4_kb_at_the_most() {
    const STEP: usize = 200;
    const STEPS: usize = 5;

    allow_descriptors(2000);
    for (lane, stage, limit) in [
        ("on", Stage::Secure, 20_000),
        ("on", Stage::Upgraded, 4 << 10),
        ("on", Stage::Used, 4 << 10),
        ("off", Stage::Used, 6_000),
    ] {
        let setting = Setting::new(&["--threads", "1", "--lane", lane, "--handshake-timeout", "10min"]);
        let open = |count: usize| -> (Vec<Secure>, Vec<Client<Secure>>) {
            if stage == Stage::Secure {
                let mut streams: Vec<_> = (0..count).map(|_| setting.tls()).collect();
                for stream in &mut streams {
                    stream.conn.complete_io(&mut stream.sock).unwrap();
                }
                return (streams, Vec::new());
            }
            let mut clients: Vec<_> = (0..count).map(|_| setting.connect()).collect();
            if stage == Stage::Used {
                // Of a record and of several, so that a buffer that is kept shows.
                clients.iter_mut().for_each(|client| echoed(client, &payload(64)));
                clients.iter_mut().for_each(|client| echoed(client, &payload(40_000)));
            }
            (Vec::new(), clients)
        };
        let mut kept = vec![open(STEP)];
        let mut grown: Vec<_> = (0..STEPS)
            .map(|_| {
                let before = setting.server.memory_kib("VmRSS");
                kept.push(open(STEP));
                // Handshakes before it are made by now.
                echoed(&mut setting.connect(), b"somebody else");
                setting.server.memory_kib("VmRSS").saturating_sub(before) * 1024 / STEP as u64
            })
            .collect();
        println!("--lane {lane}, {stage:?}: {grown:?} B for each idle TLS connection of {STEP}");
        grown.sort_unstable();
        let grown = grown[STEPS / 2];
        assert!(grown <= limit, "--lane {lane}, {stage:?}: {grown} B for an idle connection");
    }
}

#[test]
fn a_hello_that_does_not_end_or_is_none_costs_its_time_out() {
    for lane in LANES {
        let setting = Setting::new(&["--lane", lane, "--handshake-timeout", "1s"]);
        let mut stream = setting.tls();
        let mut hello = Vec::new();
        stream.conn.write_tls(&mut hello).unwrap();
        let mut silent = setting.socket();
        let mut halves: Vec<_> = (0..20).map(|_| setting.socket()).collect();
        halves.iter_mut().for_each(|half| half.write_all(&hello[..hello.len() / 2]).unwrap());
        // Records of a handshake message that is announced as one of 16 MiB, and of one that rustls would put up with.
        let endless = |length: [u8; 3]| {
            let [a, b, c] = length;
            let mut record = vec![22, 3, 1, 0x40, 0, 1, a, b, c];
            record.resize(5 + (16 << 10), 7);
            let mut socket = setting.socket();
            // It may be closed before all of it is written.
            let _ = (0..100).try_for_each(|_| socket.write_all(&record));
            let mut alert = Vec::new();
            let _ = socket.read_to_end(&mut alert);
            assert!(alert.len() == 7 && alert[0] == 21, "an alert of TLS: {alert:?}");
        };
        endless([0xff, 0xff, 0xff]);
        endless([0, 0xf0, 0]);
        for garbage in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 500], &[22, 3, 1, 0xff, 0xff, 1, 2, 3], &[21, 3, 1, 0, 2, 2, 40]]
        {
            let mut socket = setting.socket();
            socket.write_all(garbage).unwrap();
            let _ = socket.read_to_end(&mut Vec::new());
        }
        echoed(&mut setting.connect(), b"somebody else");
        for half in halves.iter_mut().chain([&mut silent]) {
            assert_eq!(half.read(&mut [0; 8]).unwrap(), 0, "the end");
        }
        let most = setting.server.memory_kib("VmHWM");
        assert!(most < 64 << 10, "{most} KiB");
    }
}

/// What they would take if each kept 16 KiB is twice the bound.
#[test]
fn hellos_that_do_not_end_and_streams_that_are_cut_cost_their_time_out_and_no_memory() {
    const HALVES: usize = 500;
    const CUT: usize = 250;
    let bound_kib = |count: usize| (count * 16 / 2) as u64;
    allow_descriptors(2000);
    for lane in LANES {
        let setting = Setting::new(&["--threads", "1", "--lane", lane, "--handshake-timeout", "2s"]);
        let mut hello = Vec::new();
        setting.tls().conn.write_tls(&mut hello).unwrap();
        let record = seal(&mut setting.connect().stream, &frame(Binary, &payload(15_000)));
        let round = || {
            let began = Instant::now();
            let mut halves: Vec<_> = (0..HALVES).map(|_| setting.socket()).collect();
            halves.iter_mut().for_each(|half| half.write_all(&hello[..hello.len() / 2]).unwrap());
            echoed(&mut setting.connect(), b"somebody else");
            let waiting = setting.server.memory_kib("VmRSS");
            for half in &mut halves {
                assert_eq!(half.read(&mut [0; 8]).unwrap(), 0, "the end");
            }
            let lasted = began.elapsed();
            for _ in 0..CUT {
                let mut cut = setting.connect();
                // Of a record that nobody has sealed for this connection, as far as can be seen before it is whole.
                cut.stream.sock.write_all(&record[..record.len() - 1]).unwrap();
                cut.stream.sock.shutdown(Shutdown::Write).unwrap();
                let _ = cut.stream.sock.read_to_end(&mut Vec::new());
            }
            (lasted, waiting, setting.server.memory_kib("VmRSS"))
        };
        // The first round allocates what is used again.
        let (_, _, before) = round();
        let (lasted, waiting, after) = round();
        let bounds = Duration::from_secs(2)..Duration::from_secs(20);
        assert!(bounds.contains(&lasted), "--lane {lane}: {lasted:?} with a time-out of 2 s");
        println!("--lane {lane}: {before} KiB, {waiting} KiB while {HALVES} are waited for, {after} KiB");
        assert!(waiting < before + bound_kib(HALVES), "--lane {lane}: from {before} to {waiting} KiB meanwhile");
        assert!(after < before + bound_kib(CUT), "--lane {lane}: from {before} to {after} KiB for nothing");
    }
}

#[test]
fn the_time_for_the_first_request_begins_before_the_handshake() {
    let setting = Setting::new(&["--handshake-timeout", "1s"]);
    let mut stream = setting.tls();
    stream.conn.complete_io(&mut stream.sock).unwrap();
    // Nothing is asked for.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("close_notify comes before the end");
    assert_eq!(rest, b"");
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_and_loses_nothing() {
    for lane in LANES {
        for size in [500_usize, 100_000] {
            let buffers = ["--send-buffer", "64KiB", "--recv-buffer", "64KiB", "--threads", "1", "--lane", lane];
            let setting = Setting::new(&buffers);
            let mut client = setting.connect();
            let count = 12_000_000 / size;
            let message = |at: usize| [format!("{at} ").as_bytes(), &payload(size)].concat();
            let all: Vec<u8> = (0..count).flat_map(|at| frame(Binary, &message(at))).collect();
            let mut writer = client.stream.sock.try_clone().unwrap();
            let records = seal(&mut client.stream, &all);
            let written = AtomicUsize::new(0);
            thread::scope(|scope| {
                let pieces = records.chunks(16 << 10);
                scope.spawn(|| {
                    pieces.for_each(|piece| {
                        writer.write_all(piece).unwrap();
                        written.fetch_add(piece.len(), Ordering::Relaxed);
                    });
                });
                let mut before = usize::MAX;
                while before != written.load(Ordering::Relaxed) {
                    before = written.load(Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(300));
                }
                assert!(before < records.len(), "--lane {lane}: the server has read all of it");
                let held = setting.server.memory_kib("VmRSS");
                assert!(held < 32 << 10, "--lane {lane}: the server holds {held} KiB");
                echoed(&mut setting.connect(), b"somebody else");
                (0..count).for_each(|at| assert!(client.frame() == (0x82, message(at)), "--lane {lane}: message {at}"));
            });
        }
    }
}

#[test]
fn records_that_are_not_whole_count_for_the_limit() {
    for lane in LANES {
        let setting = Setting::new(&["--threads", "1", "--max-buffered", "1MiB", "--lane", lane]);
        let mut clients: Vec<_> = (0..100).map(|_| setting.connect()).collect();
        let mut last = setting.connect();
        let message = frame(Binary, &payload(16_000));
        let mut ends = Vec::new();
        for client in &mut clients {
            let record = seal(&mut client.stream, &message);
            let (end, beginning) = record.split_last().unwrap();
            // Who was closed meanwhile does not take it.
            let _ = client.stream.sock.write_all(beginning);
            ends.push(*end);
        }
        echoed(&mut last, b"somebody else");
        let mut alive = 0;
        for (client, end) in clients.iter_mut().zip(ends) {
            let mut first = [0];
            let completed = client.stream.sock.write_all(&[end]).and_then(|()| client.stream.read(&mut first));
            alive += usize::from(completed.is_ok_and(|read| read == 1) && first == [0x82]);
        }
        assert!((10..100).contains(&alive), "--lane {lane}: {alive} of 100 are alive");
        echoed(&mut last, b"somebody else");
    }
}

/// A KeyUpdate whose beginning comes in the record behind a message: the reply is encrypted while the rest of it is awaited.
#[test]
fn a_handshake_message_may_come_in_pieces_and_meanwhile_there_are_replies() {
    for lane in LANES {
        let setting = Setting::with_extraction(&["--lane", lane]);
        let mut client = setting.connect();
        echoed(&mut client, b"first");
        let (connection, mut socket) = client.stream.into_parts();
        let mut sealing = Sealing::of(connection);
        let mut record = |kind, content: &[u8]| sealing.record_of_1_3(kind, content);
        let message = record(23, &frame(Binary, b"second"));
        let pieces = [record(22, &[24, 0]), record(22, &[0, 1]), record(22, &[0])];
        socket.write_all(&[&message[..], &pieces[0]].concat()).unwrap();
        let mut reply = [0; 5];
        socket.read_exact(&mut reply).unwrap();
        assert_eq!(reply, [23, 3, 3, 0, 2 + 6 + 1 + 16]);
        pieces[1..].iter().for_each(|piece| socket.write_all(piece).unwrap());
        echoed(&mut setting.connect(), b"somebody else");
    }
}

#[test]
fn a_member_that_does_not_read_loses_whole_messages_only() {
    let flags =
        ["--send-buffer", "16KiB", "--relay", "others", "--relay-queue", "4KiB", "--threads", "1", "--lane", "on"];
    for policy in ["drop-newest", "drop-oldest"] {
        let setting = Setting::new(&[&flags[..], &["--slow-reader", policy]].concat());
        let (mut sender, mut slow) = (setting.connect(), setting.connect());
        let message = |at: usize| [format!("{at:06} ").as_bytes(), &payload(700)].concat();
        for at in 0..20_000 {
            sender.send(&frame(Text, &message(at)));
        }
        // The server has read all that was sent before this is answered.
        sender.send(&frame(wire::OpCode::Ping, b"all"));
        assert_eq!(sender.frame(), (0x8a, b"all".to_vec()));
        let mut next = 0;
        let mut seen = 0;
        slow.stream.sock.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        while let Some(text) = read_frame(&mut slow) {
            let at: usize = text[..6].parse().unwrap();
            assert!(at >= next && text.as_bytes() == message(at), "message {at} behind {next}");
            next = at + 1;
            seen += 1;
        }
        assert!(seen > 100 && seen < 20_000, "--slow-reader {policy}: {seen} messages");
    }
}

/// The next message as text, unless nothing comes any more.
fn read_frame(client: &mut Client<Secure>) -> Option<String> {
    let mut first = [0];
    match client.stream.read(&mut first) {
        Ok(1) => {}
        _ => return None,
    }
    let mut rest = [0; 1];
    client.stream.read_exact(&mut rest).unwrap();
    let length = match rest[0] {
        126 => {
            let mut long = [0; 2];
            client.stream.read_exact(&mut long).unwrap();
            usize::from(u16::from_be_bytes(long))
        }
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    client.stream.read_exact(&mut payload).unwrap();
    Some(String::from_utf8(payload).unwrap())
}
