//! Messages over TLS: loads of every kind, records of every length, new keys in between, and how a connection ends.

use std::io::{self, Write as _};
use std::net::Shutdown;

use wire::OpCode;

use crate::authority::Authority;
use crate::secure::{Secure, echo, echo_server, end, end_with, server, server_that_ends_with_the_upgrade};
use crate::servers::frame;
use crate::{report, run, said};

#[test]
fn every_load_is_verified_over_either_version() {
    let authority = Authority::new();
    let url = echo_server(authority.leaf().config());
    for version in ["1.2", "1.3"] {
        for load in [
            &[][..],
            &["--in-flight", "16"],
            &["--in-flight", "16", "--timestamps", "off"],
            &["--rate", "2000"],
            &["--size", "0..40000", "--in-flight", "3"],
            // Many records, and more than a socket holds.
            &["--size", "1MiB", "--messages", "12", "--in-flight", "2"],
            &["--size", "16384", "--in-flight", "4"],
        ] {
            let flags = [&[url.as_str(), "--cacert", authority.file(), "--tls-versions", version], load].concat();
            let report = report(&flags);
            assert_eq!(report.number("/connections/dropped"), 0.0, "{flags:?}");
            assert!(report.number("/messages/verified") >= 12.0, "{flags:?}");
        }
    }
}

#[test]
fn records_may_be_cut_and_joined_anywhere() {
    let authority = Authority::new();
    let mut config = authority.leaf().config();
    // Of 64 bytes each, so that a frame lies in many.
    config.max_fragment_size = Some(64);
    let small = echo_server(config);
    let pieces = server(authority.leaf().config(), |stream, n, payload| {
        let frame = frame(OpCode::Binary, payload);
        let (first, rest) = frame.split_at(1 + n % (frame.len() - 1));
        [first, rest].into_iter().try_for_each(|piece| stream.write_all(piece))
    });
    for url in [small, pieces] {
        report(&[&url, "--cacert", authority.file(), "--size", "1..3000", "--in-flight", "5"]);
    }
}

#[test]
fn new_keys_come_between_messages_and_are_no_data() {
    let authority = Authority::new();
    let url = server(authority.leaf().config(), |stream, n, payload| {
        if n % 3 == 0 {
            stream.conn.refresh_traffic_keys().map_err(io::Error::other)?;
        }
        echo(stream, n, payload)
    });
    let report = report(&[&url, "--cacert", authority.file(), "--tls-versions", "1.3", "--in-flight", "4"]);
    assert_eq!((report.number("/messages/verified"), report.number("/messages/unexpected")), (300.0, 0.0));
}

#[test]
fn an_end_of_tls_is_told_from_one_of_tcp_alone() {
    let authority = Authority::new();
    let says = |url: &str| {
        let finished = run(&[url, "--cacert", authority.file(), "--drain-timeout", "100s"]);
        assert_eq!(finished.code, Some(1), "{}", finished.stderr);
        said(&finished)
    };
    let clean = says(&server(authority.leaf().config(), ends));
    assert!(clean.contains("closed by the server without a Close frame"), "{clean}");
    // TCP stays open: what ends TLS says by itself that nothing comes any more.
    let with_a_reply = says(&server(authority.leaf().config(), |stream, n, payload| match n {
        ..5 => echo(stream, n, payload),
        5 => end_with(stream, &frame(OpCode::Binary, payload)),
        _ => Ok(()),
    }));
    let alone = says(&server(authority.leaf().config(), |stream, n, payload| match n {
        ..5 => echo(stream, n, payload),
        5 => end(stream),
        _ => Ok(()),
    }));
    let with_the_upgrade = says(&server_that_ends_with_the_upgrade(authority.leaf().config()));
    for said in [with_a_reply, alone, with_the_upgrade] {
        assert!(said.contains("3 times: closed by the server without a Close frame"), "{said}");
    }
    let cut = says(&server(authority.leaf().config(), |stream, n, payload| match n {
        5.. => stream.sock.shutdown(Shutdown::Both),
        _ => echo(stream, n, payload),
    }));
    assert!(cut.contains("without TLS's close_notify: what it sent may have been cut short"), "{cut}");
    let garbage = says(&server(authority.leaf().config(), |stream, n, payload| match n {
        5.. => stream
            .sock
            .write_all(&[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]),
        _ => echo(stream, n, payload),
    }));
    assert!(garbage.contains("TLS: the server sent a record that cannot be decrypted"), "{garbage}");
}

fn ends(stream: &mut Secure, n: usize, payload: &[u8]) -> io::Result<()> {
    match n {
        5.. => end(stream).and_then(|()| Err(io::ErrorKind::Other.into())),
        _ => echo(stream, n, payload),
    }
}
