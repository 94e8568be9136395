//! `--listen tcp://…`: every byte comes back, on the lane and off it, beside WebSocket on the same workers.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use support::{PATIENCE, Server, allow_descriptors, frame, payload};
use wire::OpCode::Binary;

const TCP: [&str; 2] = ["--listen", "tcp://127.0.0.1:0"];

/// The ways that a worker can serve a connection.
const WAYS: [&[&str]; 5] = [
    &["--lane", "on", "--threads", "1"],
    &["--lane", "on", "--threads", "1", "--relay", "all"],
    &["--lane", "off", "--threads", "1"],
    &["--lane", "on", "--threads", "2", "--balance", "kernel"],
    &["--runtime", "work-stealing", "--threads", "2"],
];

fn start(flags: &[&str]) -> Server {
    Server::start(&[&TCP[..], flags].concat())
}

fn echoed(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == bytes, "not the bytes that were sent");
}

#[test]
fn bytes_come_back_in_every_split() {
    let sent = payload(300_000);
    for flags in WAYS {
        let server = start(flags);
        let mut stream = server.bytes();
        for size in [1, 2, 7, 64, 1000, 16 << 10, 100_000] {
            sent.chunks(size).take(40).for_each(|piece| echoed(&mut stream, piece));
        }
        // What looks like a frame is only bytes; and WebSocket is spoken beside it.
        echoed(&mut stream, &[0x88, 0x80, 0, 0, 0, 0]);
        let mut client = server.connect();
        client.send(&frame(Binary, b"message"));
        assert_eq!(client.frame(), (0x82, b"message".to_vec()));
    }
}

#[test]
fn a_client_that_has_ended_its_side_gets_everything_and_then_the_end() {
    let sent = payload(8 << 20);
    for flags in WAYS {
        let server = start(flags);
        let mut stream = server.bytes();
        let mut writer = stream.try_clone().unwrap();
        let back = thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut back = Vec::new();
            stream.read_to_end(&mut back).expect("a stream that ends in order");
            back
        });
        assert!(back == sent, "{} bytes came back of {}", back.len(), sent.len());
    }
}

/// Writes until the socket takes no more for a while; returns how many bytes it took.
fn fill(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}, after {sent} bytes"),
        }
    }
    sent
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_either_and_loses_nothing() {
    let much = payload(64 << 20);
    for flags in WAYS {
        let server = start(&[flags, &["--send-buffer", "64KiB", "--recv-buffer", "64KiB"]].concat());
        let mut slow = server.bytes();
        let sent = fill(&mut slow, &much);
        assert!(sent < much.len(), "the server took all of it");
        let held = server.memory_kib("VmRSS");
        assert!(held < 32 << 10, "the server holds {held} KiB");
        let before = server.cpu_time();
        thread::sleep(Duration::from_millis(600));
        let used = server.cpu_time() - before;
        assert!(used < Duration::from_millis(60), "{flags:?}: {used:?} of CPU time while nothing can be done");
        echoed(&mut server.bytes(), b"somebody else");
        slow.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        slow.read_to_end(&mut back).unwrap();
        assert!(back == much[..sent], "{} bytes came back of {sent}", back.len());
    }
}

#[test]
fn a_client_that_reads_late_gets_everything_although_it_sends_nothing_more() {
    let sent = payload(180_000);
    for flags in WAYS {
        let server = start(&[flags, &["--send-buffer", "4KiB", "--recv-buffer", "1MiB"]].concat());
        // Both sides take so little at a time that most of it waits in the server.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], server.tcp_port.unwrap())).into()).unwrap();
        let mut late = TcpStream::from(socket);
        late.set_read_timeout(Some(PATIENCE)).unwrap();
        late.set_write_timeout(Some(PATIENCE)).unwrap();
        echoed(&mut late, b"accepted");
        // All of it has come when the server reads for the first time, so that nothing is left to be read.
        server.stop();
        late.write_all(&sent).unwrap();
        server.signal(Signal::CONT);
        let mut back = vec![0; sent.len()];
        late.read_exact(&mut back).unwrap_or_else(|error| panic!("{flags:?}: {error}"));
        assert!(back == sent, "{flags:?}: not the bytes that were sent");
        echoed(&mut late, b"and more");
    }
}

#[test]
fn those_who_hold_most_make_room_where_the_limit_is_passed() {
    // What cannot be written any more is no failure here: the connection was dropped.
    let press = |server: &Server| {
        let mut stream = server.bytes();
        thread::spawn(move || {
            stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
            loop {
                match stream.write(&[b'x'; 64 << 10]) {
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        return Some(stream);
                    }
                    Err(_) => return None,
                }
            }
        })
    };
    let buffers = ["--send-buffer", "4KiB", "--recv-buffer", "256KiB", "--max-buffered", "1MiB", "--threads", "1"];
    for (lane, pressing) in [("on", 20), ("off", 200)] {
        let server = start(&[&buffers[..], &["--lane", lane]].concat());
        let pressing: Vec<_> = (0..pressing).map(|_| press(&server)).collect();
        let left: Vec<_> = pressing.into_iter().filter_map(|pressing| pressing.join().unwrap()).collect();
        // A connection may have been dropped after its last write.
        let dropped = |stream: &TcpStream| stream.take_error().unwrap().is_some();
        let alive = left.iter().filter(|stream| !dropped(stream)).count();
        assert!(alive < if lane == "on" { 20 } else { 200 }, "--lane {lane}: nobody was dropped");
        echoed(&mut server.bytes(), b"somebody new");
    }
}

#[test]
fn many_connections_are_served_side_by_side() {
    allow_descriptors(2048);
    for flags in WAYS {
        let server = start(flags);
        let mut streams: Vec<_> = (0..500).map(|_| server.bytes()).collect();
        for round in 0..3 {
            let message = |at: usize| format!("{round} of connection {at}").into_bytes();
            for (at, stream) in streams.iter_mut().enumerate() {
                stream.write_all(&message(at)).unwrap();
            }
            for (at, stream) in streams.iter_mut().enumerate() {
                let mut back = vec![0; message(at).len()];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(back, message(at));
            }
        }
    }
}

#[test]
fn one_connection_too_many_is_closed_without_a_word() {
    let server = start(&["--max-connections", "1"]);
    let mut first = server.bytes();
    echoed(&mut first, b"there is room for one");
    let mut second = server.bytes();
    assert_eq!(second.read(&mut [0; 8]).unwrap(), 0);
    echoed(&mut first, b"who is not disturbed");
}

#[test]
fn a_server_that_goes_down_sends_what_it_owes_and_ends_the_streams() {
    for flags in WAYS {
        let mut server = start(flags);
        let mut stream = server.bytes();
        echoed(&mut stream, b"before the signal");
        server.signal(Signal::TERM);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("a stream that ends in order");
        assert_eq!(rest, b"");
        drop(stream);
        assert!(server.wait().success());
    }
}

#[test]
fn what_was_read_at_once_is_logged_if_asked() {
    let server = start(&["--log-messages"]);
    echoed(&mut server.bytes(), b"four");
    let log = server.into_log();
    assert!(log.contains("connection opened") && log.contains("bytes=4"), "{log}");
}

#[test]
fn flags_for_websocket_are_refused_where_nothing_else_is_listened_for() {
    for (flags, flag) in
        [(&["--reply", "<{}>"][..], "--reply"), (&["--permessage-deflate", "on"], "--permessage-deflate on")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
        let output = command.args(TCP).args(flags).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(stderr, format!("error: {flag} is for WebSocket, and no --listen is for ws:// or wss://\n"));
        start(flags);
    }
}

#[test]
fn the_configuration_says_what_is_spoken_where() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
    let output = command.args(["--print-config", "--listen", "tcp://127.0.0.1:7", "--listen", "ws://[::1]:8/"]);
    let config: serde_json::Value = serde_json::from_slice(&output.output().unwrap().stdout).unwrap();
    assert_eq!(config["listen"], serde_json::json!(["tcp://127.0.0.1:7", "[::1]:8"]));
}
