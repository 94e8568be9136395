//! `--udp-offload`: datagrams that pass through the kernel together are the same datagrams, one by one, to everybody else.

#[path = "support/skipped.rs"]
mod skipped;
mod support;

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use rustix::process::Signal;
use serde_json::{Value, json};
use skipped::skipped;
use support::{PATIENCE, Server, payload};

fn start(flags: &[&str]) -> Server {
    Server::start(&[&["--listen", "udp://127.0.0.1:0", "--threads", "1"], flags].concat())
}

/// A socket at this address, connected to the server.
fn socket(from: &str, to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(to).unwrap();
    socket
}

/// Has the kernel take apart what is sent into datagrams of so many bytes; whether it can.
fn takes_apart(socket: &UdpSocket, segment: usize) -> bool {
    let can = setsockopt(socket, sockopt::UdpGsoSegment, &(segment as i32));
    if let Err(error) = can {
        skipped(&format!("the kernel has no UDP_SEGMENT: {error}"));
    }
    can.is_ok()
}

/// What one call receives where datagrams may come merged, and how long each of them is if they have.
fn receive_merged(socket: &UdpSocket) -> (Vec<u8>, Option<i32>) {
    let mut buffer = vec![0; 64 << 10];
    let mut control = cmsg_space!(i32);
    let mut into = [IoSliceMut::new(&mut buffer)];
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut control), MsgFlags::empty()).unwrap();
    let segment = received.cmsgs().unwrap().find_map(|message| match message {
        ControlMessageOwned::UdpGroSegments(segment) => Some(segment),
        _ => None,
    });
    let bytes = received.bytes;
    (buffer[..bytes].to_vec(), segment)
}

/// What the server has counted.
fn counted(server: &Server) -> Value {
    let answer = server.http("GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    serde_json::from_str::<Value>(answer.split_once("\r\n\r\n").unwrap().1).unwrap()["udp"].clone()
}

#[test]
fn datagrams_of_one_source_go_back_together_unless_that_is_switched_off() {
    for (flags, together) in [(&[][..], true), (&["--udp-offload", "on"], true), (&["--udp-offload", "off"], false)] {
        let server = start(flags);
        let socket = socket("127.0.0.1", server.udp.unwrap());
        if let Err(error) = setsockopt(&socket, sockopt::UdpGroSegment, &true) {
            return skipped(&format!("the kernel has no UDP_GRO: {error}"));
        }
        let sent = payload(950);
        // Stopped, the server finds them all at once.
        server.stop();
        for datagram in sent.chunks(100) {
            assert_eq!(socket.send(datagram).unwrap(), datagram.len());
        }
        server.signal(Signal::CONT);
        if together {
            assert_eq!(receive_merged(&socket), (sent, Some(100)), "{flags:?}");
        } else {
            for datagram in sent.chunks(100) {
                assert_eq!(receive_merged(&socket), (datagram.to_vec(), None), "{flags:?}");
            }
        }
        let expected = json!({ "received": 10, "answered": 10, "dropped": { "limit": 0, "own": 0, "unsent": 0 } });
        assert_eq!(counted(&server), expected, "{flags:?}");
    }
}

#[test]
fn datagrams_that_come_merged_are_told_apart_and_come_back_one_by_one() {
    for (listen, asked, from) in [
        ("udp://127.0.0.1:0", "127.0.0.1", "127.0.0.1"),
        ("udp://0.0.0.0:0", "127.0.0.2", "127.0.0.9"),
        ("udp://[::]:0", "127.0.0.2", "127.0.0.9"),
        ("udp://[::]:0", "::1", "::1"),
    ] {
        for offload in ["on", "off"] {
            let flags = ["--listen", listen, "--threads", "1", "--udp-offload", offload, "--log-messages"];
            let server = Server::start(&flags);
            // A connected socket takes nothing from another address.
            let asked: IpAddr = asked.parse().unwrap();
            let socket = socket(from, (asked, server.udp.unwrap().port()).into());
            let mut datagrams = 0;
            // Merged and not, so that what the kernel said of one does not stand for the next.
            for (segment, bytes) in [(100, 937), (1400, 2800), (64, 64), (1, 40), (500, 1001), (64, 10)] {
                if !takes_apart(&socket, segment) {
                    return;
                }
                let sent = payload(bytes);
                assert_eq!(socket.send(&sent).unwrap(), bytes);
                for datagram in sent.chunks(segment) {
                    let mut buffer = [0; 2048];
                    let came = socket.recv(&mut buffer).unwrap();
                    assert_eq!(&buffer[..came], datagram, "{listen}, offload {offload}: {bytes} by {segment}");
                    datagrams += 1;
                }
            }
            let counted = counted(&server);
            assert_eq!((&counted["received"], &counted["answered"]), (&datagrams.into(), &datagrams.into()));
            let log = server.into_log();
            assert_eq!(log.matches("bytes=1400").count(), 2, "each is logged: {log}");
            assert_eq!(log.matches("bytes=37\n").count() + log.matches("bytes=37 ").count(), 1, "{log}");
        }
    }
}

#[test]
fn a_limit_counts_datagrams_that_come_merged_one_by_one() {
    let server = start(&["--udp-limit", "5"]);
    let [much, little] = ["127.0.0.2", "127.0.0.3"].map(|from| socket(from, server.udp.unwrap()));
    if !takes_apart(&much, 10) || !takes_apart(&little, 10) {
        return;
    }
    let sent = payload(200);
    // One message each: the limit is looked at once.
    assert_eq!(much.send(&sent).unwrap(), 200);
    assert_eq!(little.send(&sent[..30]).unwrap(), 30);
    let mut buffer = [0; 64];
    for (socket, answered) in [(&much, 5), (&little, 3)] {
        for datagram in sent.chunks(10).take(answered) {
            assert_eq!((socket.recv(&mut buffer).unwrap(), &buffer[..10]), (10, datagram));
        }
    }
    // The replies to the one that sent more have been sent before those to the other.
    much.set_nonblocking(true).unwrap();
    assert!(much.recv(&mut buffer).is_err(), "no more than five");
    let expected = json!({ "received": 23, "answered": 8, "dropped": { "limit": 15, "own": 0, "unsent": 0 } });
    assert_eq!(counted(&server), expected);
}

#[test]
fn sources_are_told_apart_and_each_keeps_its_order() {
    let server = start(&[]);
    let sockets: Vec<_> = (0..5).map(|_| socket("127.0.0.1", server.udp.unwrap())).collect();
    server.stop();
    for round in 0..12_u8 {
        for (at, socket) in sockets.iter().enumerate() {
            // Several of one source in a row, and of another length every now and then.
            for part in 0..=at as u8 {
                let datagram = vec![part; if round % 4 == 3 { 20 } else { 30 }];
                socket.send(&[&[round, at as u8], &datagram[..]].concat()).unwrap();
            }
        }
    }
    server.signal(Signal::CONT);
    for (at, socket) in sockets.iter().enumerate() {
        for round in 0..12_u8 {
            for part in 0..=at as u8 {
                let mut buffer = [0; 64];
                let bytes = socket.recv(&mut buffer).unwrap();
                let expected = [&[round, at as u8][..], &vec![part; if round % 4 == 3 { 20 } else { 30 }]].concat();
                assert_eq!(&buffer[..bytes], expected);
            }
        }
    }
}
