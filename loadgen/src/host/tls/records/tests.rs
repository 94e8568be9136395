//! Records that come in any pieces, and sockets that take any part of what goes, against rustls's own server.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::*;
use crate::plan::tls::{Tls, TlsVersion};

/// A client and a server, and the bytes on their way.
struct Pair {
    client: Records,
    server: ServerConnection,
    to_client: VecDeque<u8>,
}

impl Pair {
    /// Both, their handshake made, what the client receives coming in pieces of so many bytes at the most.
    fn made(version: TlsVersion, piece: usize, tickets: usize) -> (Self, usize) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![cert.der().clone()], key).unwrap();
        config.send_tls13_tickets = tickets;
        let how = Tls { insecure: true, versions: vec![version], ..Tls::default() };
        let client = Records::begin(&Client::new("localhost", &how).unwrap()).unwrap();
        let server = ServerConnection::new(Arc::new(config)).unwrap();
        let mut pair = Self { client, server, to_client: VecDeque::new() };
        let mut receives = 0;
        loop {
            pair.pass_to_server();
            let Self { client, to_client, .. } = &mut pair;
            receives += 1;
            match client.advance(|room| take(to_client, room, piece)) {
                Ok(Progress::Made(ahead)) => {
                    assert_eq!(ahead, b"");
                    pair.pass_to_server();
                    return (pair, receives);
                }
                Ok(Progress::Waits) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What the client has to send goes to the server, and what that has to say comes on its way.
    fn pass_to_server(&mut self) {
        let Self { client, server, .. } = self;
        client
            .flush(|mut ciphertext| {
                let taken = server.read_tls(&mut ciphertext)?;
                server.process_new_packets().unwrap();
                Ok(taken)
            })
            .unwrap();
        self.collect();
    }

    fn collect(&mut self) {
        let mut bytes = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut bytes).unwrap();
        }
        self.to_client.extend(bytes);
    }

    /// The server sends this.
    fn send(&mut self, plain: &[u8]) {
        self.server.writer().write_all(plain).unwrap();
        self.collect();
    }

    /// All plaintext that comes to the client, in pieces of so many bytes at the most.
    fn receive(&mut self, piece: usize) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; LEAST_BUFFER]);
        let Self { client, to_client, .. } = self;
        loop {
            match client.read(&mut buffer, |room| take(to_client, room, piece).map(|came| (came, ()))) {
                Ok((0, _)) => return all,
                Ok((came, _)) => all.extend_from_slice(&buffer[..came]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return all,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn take(from: &mut VecDeque<u8>, room: &mut [u8], piece: usize) -> io::Result<usize> {
    let count = room.len().min(piece).min(from.len());
    if count == 0 {
        return Err(ErrorKind::WouldBlock.into());
    }
    room[..count].iter_mut().zip(from.drain(..count)).for_each(|(byte, came)| *byte = came);
    Ok(count)
}

fn payload(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / 256) as u8).collect()
}

const BOTH: [TlsVersion; 2] = [TlsVersion::V12, TlsVersion::V13];

#[test]
fn what_comes_in_any_pieces_is_what_was_sent() {
    for version in BOTH {
        for piece in [1, 5, 23, 1_000, usize::MAX] {
            let (mut pair, receives) = Pair::made(version, piece, 2);
            assert!(receives > 10 || piece > 100, "{receives}");
            // Tickets have come, or come now, and are no data.
            assert_eq!(pair.receive(piece), b"");
            let sent = payload(if piece < 100 { 3_000 } else { 200_000 });
            sent.chunks(777).for_each(|chunk| pair.send(chunk));
            assert_eq!(pair.receive(piece), sent, "{version:?} in pieces of {piece}");
            pair.send(&payload(40_000));
            assert_eq!(pair.receive(piece), payload(40_000), "{version:?} in pieces of {piece}");
            assert!(pair.client.kept.is_empty() && pair.client.unsent.is_empty());
        }
    }
}

#[test]
fn a_socket_may_take_any_part_of_what_goes() {
    for version in BOTH {
        for room in [1, 100, 70_000] {
            let (mut pair, _) = Pair::made(version, usize::MAX, 0);
            let (sent, mut came) = (payload(150_000), Vec::new());
            let mut taken = 0;
            let mut turns = 0;
            while taken < sent.len() || pair.client.has_unsent() {
                let Pair { client, server, .. } = &mut pair;
                // Every other time the socket is full.
                let mut left = if turns % 2 == 0 { room } else { 0 };
                turns += 1;
                let mut send = |ciphertext: &[u8]| {
                    if left == 0 {
                        return Err(ErrorKind::WouldBlock.into());
                    }
                    let mut part = &ciphertext[..ciphertext.len().min(left)];
                    left -= part.len();
                    let length = part.len();
                    while !part.is_empty() {
                        server.read_tls(&mut part)?;
                        let state = server.process_new_packets().unwrap();
                        let mut plain = vec![0; state.plaintext_bytes_to_read()];
                        server.reader().read_exact(&mut plain)?;
                        came.extend(plain);
                    }
                    Ok(length)
                };
                let written = match taken < sent.len() {
                    true => client.write(&sent[taken..], &mut send),
                    false => client.flush(&mut send).map(|()| 0),
                };
                match written {
                    Ok(more) => taken += more,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            assert_eq!((came.len(), came == sent), (sent.len(), true), "{version:?} with room for {room}");
        }
    }
}

#[test]
fn a_clean_end_is_told_from_one_that_is_cut() {
    for version in BOTH {
        let (mut pair, _) = Pair::made(version, usize::MAX, 0);
        pair.send(b"last words");
        pair.server.send_close_notify();
        pair.collect();
        assert_eq!(pair.receive(usize::MAX), b"last words");
        let mut buffer = vec![0; LEAST_BUFFER];
        let ended = pair.client.read(&mut buffer, |_| -> io::Result<(usize, ())> { unreachable!("all has come") });
        assert_eq!(ended.unwrap().0, 0);
        let (mut pair, _) = Pair::made(version, usize::MAX, 0);
        let cut = pair.client.read(&mut buffer, |_| Ok((0, ()))).unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::UnexpectedEof);
        assert!(cut.to_string().contains("without TLS's close_notify"), "{cut}");
        // The client's own end is one that the server takes for clean.
        let (mut pair, _) = Pair::made(version, usize::MAX, 0);
        pair.client.close();
        pair.pass_to_server();
        assert!(pair.server.process_new_packets().unwrap().peer_has_closed());
    }
}

#[test]
fn new_keys_are_taken_and_answered() {
    let (mut pair, _) = Pair::made(TlsVersion::V13, usize::MAX, 1);
    for round in 0..5 {
        pair.server.refresh_traffic_keys().unwrap();
        pair.send(&[round; 9]);
        assert_eq!(pair.receive(3), [round; 9]);
        let Pair { client, server, .. } = &mut pair;
        let written = client.write(b"hello", |mut ciphertext| server.read_tls(&mut ciphertext));
        assert_eq!(written.unwrap(), 5);
        server.process_new_packets().unwrap();
        let mut plain = [0; 5];
        server.reader().read_exact(&mut plain).unwrap();
        assert_eq!(&plain, b"hello");
    }
}

#[test]
fn records_that_cannot_be_decrypted_are_an_error_and_an_alert() {
    for version in BOTH {
        let (mut pair, _) = Pair::made(version, usize::MAX, 0);
        pair.send(b"a message");
        *pair.to_client.back_mut().unwrap() ^= 1;
        let mut buffer = vec![0; LEAST_BUFFER];
        let Pair { client, to_client, .. } = &mut pair;
        let error = client.read(&mut buffer, |room| take(to_client, room, usize::MAX).map(|came| (came, ())));
        assert_eq!(error.unwrap_err().to_string(), "TLS: the server sent a record that cannot be decrypted");
        assert!(client.has_unsent(), "an alert");
    }
}

#[test]
fn what_came_before_a_record_that_is_wrong_is_read_first() {
    for version in BOTH {
        let (mut pair, _) = Pair::made(version, usize::MAX, 0);
        pair.send(b"one");
        pair.send(b"two");
        pair.send(b"three");
        *pair.to_client.back_mut().unwrap() ^= 1;
        let mut buffer = vec![0; LEAST_BUFFER];
        let Pair { client, to_client, .. } = &mut pair;
        let came = client.read(&mut buffer, |room| take(to_client, room, usize::MAX).map(|came| (came, ())));
        assert_eq!((came.unwrap().0, &buffer[..6]), (6, &b"onetwo"[..]), "{version:?}");
        assert!(client.has_ended() && client.has_unsent(), "nothing more can come, and there is an alert");
        let error = client.read(&mut buffer, |_| -> io::Result<(usize, ())> { unreachable!("it is known") });
        assert_eq!(error.unwrap_err().to_string(), "TLS: the server sent a record that cannot be decrypted");
    }
}

#[test]
fn large_buffers_are_given_back_once_they_are_empty() {
    let (mut pair, _) = Pair::made(TlsVersion::V13, usize::MAX, 0);
    // All but the end of a large record.
    pair.send(&payload(16_000));
    let end = pair.to_client.split_off(15_000);
    assert_eq!(pair.receive(usize::MAX), b"");
    assert!(pair.client.kept.capacity() >= 15_000);
    pair.to_client = end;
    assert_eq!(pair.receive(usize::MAX), payload(16_000));
    assert_eq!(pair.client.kept.capacity(), 0);
    // A socket that takes nothing for a while.
    let Pair { client, server, .. } = &mut pair;
    client.write(&payload(60_000), |_| Err(ErrorKind::WouldBlock.into())).unwrap();
    assert!(client.unsent.capacity() >= 60_000);
    client
        .flush(|mut ciphertext| {
            let taken = server.read_tls(&mut ciphertext)?;
            let state = server.process_new_packets().unwrap();
            server.reader().read_exact(&mut vec![0; state.plaintext_bytes_to_read()])?;
            Ok(taken)
        })
        .unwrap();
    assert_eq!(client.unsent.capacity(), 0);
}
