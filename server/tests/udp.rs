//! `--listen udp://…`: every datagram comes back as it is, to where it came from and from where it went to.

mod support;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use support::{PATIENCE, Server, frame, payload};
use wire::OpCode::Binary;

const UDP: [&str; 2] = ["--listen", "udp://127.0.0.1:0"];

/// The ways that workers can be set up.
const WAYS: [&[&str]; 4] = [
    &["--lane", "on", "--threads", "1"],
    &["--lane", "off", "--threads", "1"],
    &["--threads", "2"],
    &["--runtime", "work-stealing", "--threads", "2"],
];

fn start(flags: &[&str]) -> Server {
    Server::start(&[&UDP[..], flags].concat())
}

/// A socket at this address, connected to the server.
fn socket(from: &str, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(to).unwrap();
    socket
}

fn client(server: &Server) -> UdpSocket {
    socket("127.0.0.1", server.udp.unwrap())
}

/// Datagrams that are there, or come within a moment.
fn rest(socket: &UdpSocket) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut rest = Vec::new();
    loop {
        match socket.recv(&mut buffer) {
            Ok(bytes) => rest.push(buffer[..bytes].to_vec()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return rest,
            Err(error) => panic!("{error}"),
        }
    }
}

fn send(socket: &UdpSocket, datagram: &[u8]) {
    assert_eq!(socket.send(datagram).unwrap(), datagram.len());
}

fn echoed(socket: &UdpSocket, datagram: &[u8]) {
    socket.send(datagram).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let bytes = socket.recv(&mut buffer).unwrap();
    assert!(buffer[..bytes] == *datagram, "{bytes} bytes came back of {}", datagram.len());
}

/// What the server has counted.
fn counted(server: &Server) -> Value {
    let answer = server.http("GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn datagrams_of_every_size_come_back() {
    // The largest that IPv4 has room for.
    let sent = payload(65_507);
    for flags in WAYS {
        let server = start(flags);
        let socket = client(&server);
        for size in [0, 1, 7, 64, 1472, 1473, 9000, 65_506, 65_507] {
            echoed(&socket, &sent[..size]);
        }
        assert_eq!(rest(&socket), Vec::<Vec<u8>>::new(), "{flags:?}: one answer for each");
        // WebSocket is spoken beside it.
        let mut client = server.connect();
        client.send(&frame(Binary, b"message"));
        assert_eq!(client.frame(), (0x82, b"message".to_vec()));
        echoed(&socket, b"while a connection is open");
    }
}

#[test]
fn the_largest_datagrams_of_ipv6_come_back() {
    let server = Server::start(&["--listen", "udp://[::1]:0"]);
    let socket = socket("::1", server.udp.unwrap());
    let sent = payload(65_527);
    for size in [0, 64, 65_527] {
        echoed(&socket, &sent[..size]);
    }
}

#[test]
fn more_than_a_batch_at_once_comes_back_once_each() {
    for flags in WAYS {
        let server = start(flags);
        let sockets: Vec<_> = (0..20).map(|_| client(&server)).collect();
        // Stopped, the server finds them all at once.
        server.stop();
        for round in 0..10_u8 {
            for (at, socket) in sockets.iter().enumerate() {
                socket.send(&[round, at as u8, b'x']).unwrap();
            }
        }
        server.signal(Signal::CONT);
        for (at, socket) in sockets.iter().enumerate() {
            let mut buffer = [0; 16];
            for round in 0..10_u8 {
                assert_eq!(socket.recv(&mut buffer).unwrap(), 3);
                assert_eq!(buffer[..3], [round, at as u8, b'x'], "{flags:?}");
            }
        }
        assert!(sockets.iter().take(3).all(|socket| rest(socket).is_empty()));
        let udp = &counted(&server)["udp"];
        assert_eq!(
            *udp,
            json!({ "received": 200, "answered": 200, "dropped": { "limit": 0, "own": 0, "unsent": 0 } }),
            "{flags:?}"
        );
    }
}

#[test]
fn a_reply_comes_from_the_address_that_was_asked() {
    // A connected socket takes nothing from another address.
    for (listen, asked) in [
        ("udp://0.0.0.0:0", &["127.0.0.1", "127.0.0.2", "127.1.2.3"][..]),
        ("udp://[::]:0", &["127.0.0.1", "127.0.0.2", "::1"]),
    ] {
        let server = Server::start(&["--listen", listen, "--threads", "1"]);
        let port = server.udp.unwrap().port();
        let sockets: Vec<_> = asked
            .iter()
            .map(|asked| {
                let asked: IpAddr = asked.parse().unwrap();
                let from = if asked.is_ipv4() { "127.0.0.9" } else { "::1" };
                socket(from, (asked, port).into())
            })
            .collect();
        server.stop();
        for round in 0..3_u8 {
            sockets.iter().for_each(|socket| send(socket, &[round]));
        }
        server.signal(Signal::CONT);
        for socket in &sockets {
            for round in 0..3_u8 {
                let mut buffer = [0; 16];
                assert_eq!((socket.recv(&mut buffer).unwrap(), buffer[0]), (1, round), "{listen}");
            }
        }
    }
}

#[test]
fn a_datagram_to_everybody_is_not_answered() {
    let server = Server::start(&["--listen", "udp://0.0.0.0:0", "--threads", "1"]);
    let port = server.udp.unwrap().port();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_broadcast(true).unwrap();
    socket.send_to(b"all of you", ("127.255.255.255", port)).unwrap();
    socket.send_to(b"one of you", ("127.0.0.1", port)).unwrap();
    assert_eq!(rest(&socket), [b"one of you"]);
    assert_eq!(counted(&server)["udp"]["dropped"]["unsent"], 1);
}

#[test]
fn what_comes_from_an_address_of_the_server_is_not_answered() {
    for listen in ["udp://0.0.0.0:0", "udp://[::]:0"] {
        // With two workers sockets of the same user can join the port. This one gets what is sent to its address.
        let server = Server::start(&["--listen", listen, "--threads", "2"]);
        let port = server.udp.unwrap().port();
        let forger = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        forger.set_reuse_port(true).unwrap();
        forger.bind(&SocketAddr::from(([127, 0, 0, 9], port)).into()).unwrap();
        let forger = UdpSocket::from(forger);
        forger.send_to(b"would go round for ever", ("127.0.0.1", port)).unwrap();
        echoed(&socket("127.0.0.9", ([127, 0, 0, 1], port).into()), b"from another port");
        assert_eq!(rest(&forger), Vec::<Vec<u8>>::new(), "{listen}");
        let deadline = Instant::now() + PATIENCE;
        while counted(&server)["udp"]["received"] != 2 && Instant::now() < deadline {}
        let expected = json!({ "received": 2, "answered": 1, "dropped": { "limit": 0, "own": 1, "unsent": 0 } });
        assert_eq!(counted(&server)["udp"], expected);
    }
}

#[test]
fn a_source_over_its_limit_is_dropped_and_others_are_not() {
    let server = start(&["--udp-limit", "5", "--threads", "1"]);
    let [much, little] = ["127.0.0.2", "127.0.0.3"].map(|from| socket(from, server.udp.unwrap()));
    (0..100).for_each(|_| send(&much, b"much"));
    (0..5).for_each(|_| send(&little, b"little"));
    assert_eq!(rest(&little).len(), 5);
    let answered = rest(&much).len();
    // A machine that takes seconds for this lets more through: five for each.
    assert!((5..100).contains(&answered), "{answered}");
    let udp = counted(&server)["udp"].clone();
    assert_eq!(udp["received"], 105);
    assert_eq!(udp["answered"], 5 + answered);
    assert_eq!(udp["dropped"], json!({ "limit": 100 - answered, "own": 0, "unsent": 0 }));
    // Another port is the same source.
    let again = socket("127.0.0.2", server.udp.unwrap());
    (0..100).for_each(|_| send(&again, b"again"));
    assert!(rest(&again).len() < 100);
}

#[test]
fn a_server_without_a_limit_answers_everybody_and_says_so_where_others_can_reach_it() {
    let server = start(&["--threads", "1"]);
    let socket = client(&server);
    (0..200).for_each(|_| echoed(&socket, b"as much as you like"));
    assert!(!server.into_log().contains("--udp-limit"));
    let server = Server::start(&["--listen", "udp://0.0.0.0:0"]);
    assert!(server.into_log().contains("--udp-limit bounds it"));
    let server = Server::start(&["--listen", "udp://0.0.0.0:0", "--udp-limit", "1000"]);
    assert!(!server.into_log().contains("--udp-limit"));
}

#[test]
fn every_worker_has_its_share_of_the_sources() {
    let server = start(&["--threads", "4"]);
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap();
    let inodes: BTreeSet<String> = descriptors
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{}/net/udp", server.child.id())).unwrap();
    let port = format!(":{:04X}", server.udp.unwrap().port());
    let sockets = table.lines().filter(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[1].ends_with(&port) && inodes.contains(fields[9])
    });
    assert_eq!(sockets.count(), 4);
    for _ in 0..40 {
        echoed(&client(&server), b"whoever serves it");
    }
}

#[test]
fn no_other_program_joins_the_port() {
    for threads in ["1", "2"] {
        let server = start(&["--threads", threads]);
        let taken = format!("udp://{}", server.udp.unwrap());
        let output = Command::new(env!("CARGO_BIN_EXE_echo-server")).args(["--listen", &taken]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(&format!("error: --listen {taken}: Address already in use")), "{stderr}");
    }
}

#[test]
fn what_has_come_by_the_shutdown_is_answered() {
    for flags in WAYS {
        let mut server = start(flags);
        let socket = client(&server);
        echoed(&socket, b"before the signal");
        server.stop();
        socket.send(b"just in time").unwrap();
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        assert_eq!(rest(&socket), [b"just in time"], "{flags:?}");
        assert!(server.wait().success());
    }
}

#[test]
fn messages_are_slowed_down_and_logged_if_asked() {
    let server = start(&["--inject-stall", "20s/40s", "--log-messages"]);
    let socket = client(&server);
    echoed(&socket, b"four");
    let log = server.into_log();
    assert!(log.contains("datagram") && log.contains("bytes=4"), "{log}");
    let server = start(&["--inject-cost", "1000000", "--threads", "1"]);
    let socket = client(&server);
    let cpu = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
        let fields: Vec<i64> =
            stat.rsplit_once(") ").unwrap().1.split(' ').filter_map(|field| field.parse().ok()).collect();
        // Without the state: user and system time, 10 ms each.
        fields[10] + fields[11]
    };
    let before = cpu();
    (0..100).for_each(|_| echoed(&socket, b"each takes a millisecond"));
    assert!(cpu() - before >= 8, "100 ms are 10 ticks");
}

#[test]
fn flags_that_no_datagram_heeds_are_refused_where_there_is_nothing_else() {
    let refused = |flags: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_echo-server")).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (flags, flag) in [
        (&["--reply", "<{}>"][..], "--reply"),
        // Which needs the lane, also where all others run without.
        (&["--relay", "all", "--lane", "on"], "--relay"),
        (&["--permessage-deflate", "on"], "--permessage-deflate on"),
    ] {
        let stderr = refused(&[&UDP[..], flags].concat());
        assert_eq!(stderr, format!("error: {flag} is for WebSocket, and no --listen is for ws:// or wss://\n"));
        echoed(&client(&start(flags)), b"beside WebSocket they are taken, and datagrams come back as they are");
    }
    let stderr = refused(&["--listen", "127.0.0.1:0", "--udp-limit", "5"]);
    assert_eq!(stderr, "error: --udp-limit is for UDP, and no --listen is for udp://\n");
}
