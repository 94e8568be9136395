//! `--listen wss://…`: WebSocket over TLS, on the lane and off it.

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;

use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};
use support::{fragment, frame, payload};
use tls::{Setting, close_in_order, echoed, seal, upgrade};
use wire::OpCode::{Binary, Close, Continuation, Ping, Text};

/// The ways that a worker can serve a connection.
const WAYS: [&[&str]; 3] = [
    &["--lane", "on", "--threads", "1"],
    &["--lane", "off", "--threads", "1"],
    &["--runtime", "work-stealing", "--threads", "2"],
];

#[test]
fn messages_of_every_size_come_back() {
    for (flags, versions) in WAYS.into_iter().zip([&[&TLS13][..], &[&TLS12], &[&TLS13]]) {
        let setting = Setting::with_versions(flags, versions);
        let mut client = setting.connect();
        for size in [0, 1, 64, 125, 126, 1000, 16_363, 16_384, 16_385, 40_000, 65_536, 300_000, 1 << 20] {
            echoed(&mut client, &payload(size));
        }
        close_in_order(client.stream);
    }
}

#[test]
fn the_largest_message_comes_back() {
    for flags in WAYS {
        echoed(&mut Setting::new(flags).connect(), &payload(16 << 20));
    }
}

#[test]
fn both_versions_are_spoken_with_http_1_1_agreed_on() {
    for (versions, version) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let setting = Setting::with_versions(&[], &[versions]);
        let mut client = setting.connect();
        echoed(&mut client, b"hello");
        assert_eq!(client.stream.conn.protocol_version(), Some(version));
        assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    // A client that knows nothing but HTTP/2 is told so, and one that does not say is served.
    let setting = Setting::new(&[]);
    let mut other = setting.authority.client(rustls::ALL_VERSIONS);
    other.alpn_protocols = vec![b"h2".to_vec()];
    let error = setting.tls_with(&Arc::new(other)).write_all(b"x").unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    let mut silent = setting.authority.client(rustls::ALL_VERSIONS);
    silent.alpn_protocols = Vec::new();
    echoed(&mut upgrade(setting.tls_with(&Arc::new(silent)), ""), b"hello");
}

#[test]
fn records_may_be_split_anywhere_and_be_of_any_size() {
    for flags in WAYS {
        let setting = Setting::new(flags);
        for record in [32, 33, 100, 1000, 16_384] {
            let mut config = setting.authority.client(rustls::ALL_VERSIONS);
            config.max_fragment_size = Some(record);
            let mut client = upgrade(setting.tls_with(&Arc::new(config)), "");
            for size in [0, 1, 99, 700, 20_000] {
                echoed(&mut client, &payload(size));
            }
            // Two messages, a byte of their records at a time.
            let messages = [frame(Binary, &payload(150)), frame(Text, b"more")].concat();
            let records = seal(&mut client.stream, &messages);
            for byte in records {
                client.stream.sock.write_all(&[byte]).unwrap();
            }
            assert_eq!(client.frame(), (0x82, payload(150)));
            assert_eq!(client.frame(), (0x81, b"more".to_vec()));
            // A message of several records, its end at each place in turn: within a header, behind one, within a record.
            let records = seal(&mut client.stream, &frame(Binary, &payload(3000)));
            for piece in records.chunks(7) {
                client.stream.sock.write_all(piece).unwrap();
            }
            assert_eq!(client.frame(), (0x82, payload(3000)));
        }
    }
}

#[test]
fn many_messages_in_flight_come_back_in_order() {
    for flags in WAYS {
        let setting = Setting::new(flags);
        let mut client = setting.connect();
        for (size, rounds) in [(64, 50), (5_000, 20), (16 << 10, 10), (100_000, 2)] {
            for round in 0..rounds {
                let message = |at: usize| [format!("{round} {at} ").as_bytes(), &payload(size)].concat();
                let batch: Vec<u8> = (0..16).flat_map(|at| frame(Binary, &message(at))).collect();
                let mut writer = client.stream.sock.try_clone().unwrap();
                let records = seal(&mut client.stream, &batch);
                thread::scope(|scope| {
                    scope.spawn(move || writer.write_all(&records).unwrap());
                    (0..16).for_each(|at| assert!(client.frame() == (0x82, message(at)), "message {at}"));
                });
            }
        }
    }
}

#[test]
fn fragments_and_control_frames_are_served_between_messages() {
    for flags in WAYS {
        let setting = Setting::new(flags);
        let mut client = setting.connect();
        for round in 0..3 {
            echoed(&mut client, b"before");
            client.send(&fragment(Text, false, b"in "));
            client.send(&frame(Ping, b"ping"));
            client.send(&fragment(Continuation, true, b"pieces"));
            assert_eq!(client.frame(), (0x8a, b"ping".to_vec()), "round {round}");
            assert_eq!(client.frame(), (0x81, b"in pieces".to_vec()), "round {round}");
            echoed(&mut client, &payload(70_000));
        }
        client.send(&frame(Close, &1000_u16.to_be_bytes()));
        client.expect_close(1000);
    }
}

#[test]
fn a_violation_is_told_and_the_stream_ends_in_order() {
    for flags in WAYS {
        let setting = Setting::new(flags);
        let mut client = setting.connect();
        // Not masked.
        client.send(&[0x81, 1, b'x']);
        client.expect_close(1002);
    }
}

#[test]
fn a_clean_end_is_answered_by_one_and_told_from_a_stream_that_is_cut() {
    for flags in WAYS {
        let setting = Setting::with_log(flags);
        let mut client = setting.connect();
        echoed(&mut client, b"first");
        // What was said before the end is answered before it.
        client.send(&frame(Binary, b"last"));
        client.stream.conn.send_close_notify();
        client.stream.flush().unwrap();
        assert_eq!(client.frame(), (0x82, b"last".to_vec()));
        client.expect_end();
        close_in_order(setting.connect().stream);
        assert!(!setting.server.into_log().contains("without close_notify"));

        let mut setting = Setting::with_log(flags);
        let mut cut = setting.connect();
        echoed(&mut cut, b"first");
        cut.stream.sock.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = cut.stream.read_to_end(&mut rest);
        assert_eq!(rest, b"");
        setting.server.signal(Signal::TERM);
        setting.server.wait();
        let log = setting.server.into_log();
        assert!(log.contains("a TLS stream has ended without close_notify, 0 bytes into a record"), "{log}");
    }
}

#[test]
fn keys_may_be_updated_at_any_time() {
    for flags in WAYS {
        let setting = Setting::with_versions(flags, &[&TLS13]);
        let mut client = setting.connect();
        for round in 0..5 {
            client.stream.conn.refresh_traffic_keys().unwrap();
            echoed(&mut client, &payload(100 + round));
            echoed(&mut client, &payload(40_000));
        }
        close_in_order(client.stream);
    }
}

#[test]
fn bytes_that_are_no_records_are_refused_by_an_alert() {
    for flags in WAYS {
        let setting = Setting::new(flags);
        let mut client = setting.connect();
        echoed(&mut client, b"first");
        client
            .stream
            .sock
            .write_all(&[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
            .unwrap();
        let error = client.stream.read(&mut [0; 8]).unwrap_err().to_string();
        assert!(error.contains("BadRecordMac"), "{error}");
        echoed(&mut setting.connect(), b"somebody else");
    }
}

#[test]
fn sessions_are_resumed_by_tickets() {
    for versions in [&TLS12, &TLS13] {
        let setting = Setting::with_versions(&["--threads", "2"], &[versions]);
        let config = Arc::new(setting.authority.client(&[versions]));
        let kind = || {
            let mut client = upgrade(setting.tls_with(&config), "");
            echoed(&mut client, b"hello");
            client.stream.conn.handshake_kind().unwrap()
        };
        assert_eq!(kind(), HandshakeKind::Full);
        (0..3).for_each(|_| assert_eq!(kind(), HandshakeKind::Resumed));
    }
}

#[test]
fn as_many_tickets_are_sent_as_asked_for() {
    for (flags, tickets) in [(&[][..], 2), (&["--tls-tickets", "0"], 0), (&["--tls-tickets", "5"], 5)] {
        let setting = Setting::with_versions(flags, &[&TLS13]);
        let mut client = setting.connect();
        echoed(&mut client, b"hello");
        assert_eq!(client.stream.conn.tls13_tickets_received(), tickets, "{flags:?}");
    }
    let setting = Setting::new(&["--tls-tickets", "0"]);
    for versions in [&TLS12, &TLS13] {
        let config = Arc::new(setting.authority.client(&[versions]));
        for _ in 0..2 {
            let mut client = upgrade(setting.tls_with(&config), "");
            echoed(&mut client, b"hello");
            assert_eq!(client.stream.conn.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}

#[test]
fn plain_and_tls_are_served_side_by_side_and_pages_too() {
    for flags in WAYS {
        let setting = Setting::new(flags);
        let mut plain = setting.server.connect();
        let mut secure = setting.connect();
        for _ in 0..3 {
            plain.send(&frame(Text, b"plain"));
            echoed(&mut secure, b"secure");
            assert_eq!(plain.frame(), (0x81, b"plain".to_vec()));
        }
        for (path, expected) in [("/healthz", "ok\n"), ("/config", "wss://127.0.0.1:"), ("/", "<title>")] {
            let mut stream = setting.tls();
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let mut page = String::new();
            stream.read_to_string(&mut page).expect("a stream that ends in order");
            assert!(page.starts_with("HTTP/1.1 200 ") && page.contains(expected), "{path}: {page}");
        }
        // Neither is spoken at the address of the other.
        let mut wrong = setting.socket();
        wrong.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut alert = Vec::new();
        wrong.read_to_end(&mut alert).unwrap();
        assert_eq!(alert.first(), Some(&21), "an alert of TLS: {alert:?}");
    }
}

#[test]
fn compression_templates_and_relays_go_over_tls_too() {
    const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    for lane in ["on", "off"] {
        let setting =
            Setting::new(&["--lane", lane, "--permessage-deflate", "on", "--deflate-uncompressed", "compressed"]);
        let mut client = upgrade(setting.tls(), OFFER);
        assert!(client.head.contains("permessage-deflate"), "{}", client.head);
        client.send(&frame(Text, &[b'a'; 1000]));
        let (first, packed) = client.frame();
        assert!(first == 0xc1 && packed.len() < 100, "{first:#x}, {} bytes", packed.len());
        let setting = Setting::new(&["--lane", lane, "--reply", "<{}>"]);
        let mut client = setting.connect();
        client.send(&frame(Text, b"hello"));
        assert_eq!(client.frame(), (0x81, b"<hello>".to_vec()));
    }
    let setting = Setting::new(&["--lane", "on", "--relay", "others", "--threads", "2"]);
    let mut members: Vec<_> = (0..4).map(|_| setting.connect()).collect();
    let mut plain = setting.server.connect();
    for size in [10, 70_000] {
        let message = payload(size);
        for sender in 0..members.len() {
            members[sender].send(&frame(Binary, &message));
            assert_eq!(plain.frame(), (0x82, message.clone()));
            for (at, member) in members.iter_mut().enumerate() {
                if at != sender {
                    assert_eq!(member.frame(), (0x82, message.clone()), "member {at}");
                }
            }
        }
    }
}

#[test]
fn a_server_that_goes_down_says_so_and_ends_the_streams_in_order() {
    for flags in WAYS {
        let mut setting = Setting::new(flags);
        let mut client = setting.connect();
        echoed(&mut client, b"before the signal");
        let unfinished = setting.socket();
        setting.server.signal(Signal::TERM);
        client.expect_close(1001);
        drop((client, unfinished));
        assert!(setting.server.wait().success());
    }
}

#[test]
fn what_is_asked_with_the_end_of_the_handshake_and_of_the_stream_is_answered() {
    for versions in [&TLS12, &TLS13] {
        let setting = Setting::with_versions(&[], &[versions]);
        let mut stream = setting.tls();
        // Finished, the request and close_notify leave in one write.
        stream.conn.writer().write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut records = Vec::new();
        while stream.conn.is_handshaking() {
            while stream.conn.wants_write() {
                stream.conn.write_tls(&mut records).unwrap();
            }
            stream.sock.write_all(&std::mem::take(&mut records)).unwrap();
            stream.conn.read_tls(&mut stream.sock).unwrap();
            stream.conn.process_new_packets().unwrap();
        }
        stream.conn.send_close_notify();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut records).unwrap();
        }
        stream.sock.write_all(&records).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("close_notify comes before the end");
        assert!(page.starts_with("HTTP/1.1 200 "), "{page:?}");
    }
}

#[test]
fn a_connection_without_a_further_request_ends_by_close_notify() {
    let setting = Setting::new(&["--handshake-timeout", "1s"]);
    let asked = |leave: &dyn Fn(&Setting)| {
        let (mut idle, mut kept) = (setting.tls(), setting.tls());
        idle.conn.complete_io(&mut idle.sock).unwrap();
        kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 15];
        kept.read_exact(&mut answer).unwrap();
        leave(&setting);
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).expect("close_notify comes before the end");
        assert_eq!(rest, b"");
        kept.read_to_end(&mut rest).expect("close_notify comes before the end");
        assert!(rest.ends_with(b"ok\n"), "{rest:?}");
    };
    // The time for the next request is over, or the server goes down.
    asked(&|_| {});
    asked(&|setting| setting.server.signal(Signal::TERM));
}

#[test]
fn frames_sent_with_the_request_are_answered() {
    for flags in WAYS {
        let setting = Setting::new(flags);
        for size in [1, 9_000, 16_000, 100_000] {
            let mut stream = setting.tls();
            let request = format!("{}\r\n", support::UPGRADE).into_bytes();
            stream.write_all(&[request, frame(Binary, &payload(size)), frame(Text, b"x")].concat()).unwrap();
            let mut client = support::upgraded(stream);
            assert!(client.frame() == (0x82, payload(size)), "{flags:?}, {size} bytes");
            assert_eq!(client.frame(), (0x81, b"x".to_vec()));
        }
    }
}
