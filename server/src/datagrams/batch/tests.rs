//! Which datagrams go back together, and what is done where the kernel does not take them so.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::super::counts::Tally;
use super::*;

const SOURCE: &str = "127.0.0.1:7";

/// Batches without a limit.
fn batch() -> Batch {
    Batch::new(None, None, false)
}

/// The replies to messages of one source that came in one batch, each given by its bytes and those of its datagrams, as
/// datagrams and pieces.
fn replies(messages: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut batch = batch();
    for (at, &(bytes, segment)) in messages.iter().enumerate() {
        let message = Received { bytes, segment, from: Some(SOURCE.parse().unwrap()), came_to: None };
        batch.reply(at, &message, true);
    }
    let replies = batch.replies.iter();
    replies.map(|reply| (reply.datagrams, reply.pieces.len())).collect()
}

#[test]
fn datagrams_of_equal_length_go_back_together() {
    let alone = |bytes| (bytes, bytes);
    assert_eq!(replies(&[alone(64); 5]), [(5, 5)]);
    assert_eq!(replies(&[alone(64), alone(64), alone(10)]), [(3, 3)], "the last may be shorter");
    assert_eq!(replies(&[alone(64), alone(10), alone(64), alone(64)]), [(2, 2), (2, 2)], "only the last");
    assert_eq!(replies(&[alone(64), alone(65)]), [(1, 1), (1, 1)], "and not longer");
    assert_eq!(replies(&[alone(0), alone(0), alone(5), alone(0)]), [(1, 1); 4], "an empty one would vanish");
    assert_eq!(replies(&[alone(64); 64]), [(64, 64)]);
    assert_eq!(replies(&[alone(1452); 2]), [(2, 2)]);
    assert_eq!(replies(&[alone(1453); 2]), [(1, 1); 2], "it may need fragments");
    // What came merged, and stays so.
    assert_eq!(replies(&[(640, 64), (320, 64)]), [(15, 2)]);
    assert_eq!(replies(&[(640, 64), (300, 64), alone(64)]), [(15, 2), (1, 1)], "its last one is shorter");
    assert_eq!(replies(&[(640, 64), (300, 32)]), [(10, 1), (10, 1)], "of another length");
    assert_eq!(replies(&[alone(64), (640, 64), alone(5)]), [(12, 3)]);
    assert_eq!(replies(&[(64 * 40, 64), (64 * 40, 64)]), [(40, 1), (40, 1)], "Linux takes no more than 64 apart");
    assert_eq!(replies(&[(50 * 1400, 1400)]), [(50, 1)]);
    assert_eq!(replies(&[(30 * 1400, 1400), (30 * 1400, 1400)]), [(30, 1), (30, 1)], "too many bytes");
}

#[test]
fn what_came_to_another_address_is_answered_by_itself() {
    let mut batch = batch();
    for (at, came_to) in ["127.0.0.2", "127.0.0.2", "127.0.0.3"].into_iter().enumerate() {
        let came_to = Some(came_to.parse().unwrap());
        batch.reply(at, &Received { bytes: 64, segment: 64, from: Some(SOURCE.parse().unwrap()), came_to }, true);
    }
    assert_eq!(batch.replies.iter().map(|reply| reply.datagrams).collect::<Vec<_>>(), [2, 1]);
}

/// A socket of a server, and one of a client that is connected to it.
fn pair() -> (Socket, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let offload = setsockopt(&socket, sockopt::UdpGroSegment, &true).is_ok();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(socket.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    (Socket { socket, offload, own: Arc::default() }, client)
}

/// What comes back of these datagrams, which wait for the server together.
fn come_back(socket: &Socket, client: &UdpSocket, datagrams: &[&[u8]]) {
    datagrams.iter().for_each(|datagram| assert_eq!(client.send(datagram).unwrap(), datagram.len()));
    let tally = Tally::for_workers(1).remove(0);
    assert_eq!(batch().answer(socket, tally.own()).unwrap(), datagrams.len());
    let stats = serde_json::to_value(tally.stats()).unwrap();
    assert_eq!((&stats["received"], &stats["answered"]), (&datagrams.len().into(), &datagrams.len().into()));
    let mut buffer = [0; 2048];
    for datagram in datagrams {
        let bytes = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..bytes], *datagram);
    }
}

#[test]
fn where_the_kernel_does_not_take_a_reply_apart_its_datagrams_go_one_by_one() {
    let (socket, client) = pair();
    let datagrams: [&[u8]; 4] = [&[1; 100], &[2; 100], &[3; 100], &[4; 30]];
    come_back(&socket, &client, &datagrams);
    // Without checksums it takes nothing apart.
    without_checksums(&socket);
    come_back(&socket, &client, &datagrams);
    come_back(&socket, &client, &[&[1; 100], &[], &[2; 100], &[3; 100]]);
}

/// Has the kernel leave out the checksums of what is sent.
#[allow(unsafe_code)]
fn without_checksums(socket: &Socket) {
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the socket is open, and the kernel reads an int.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_NO_CHECK, (&raw const on).cast(), size) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// As in asm-generic/socket.h; libc does not have it.
const SO_NO_CHECK: libc::c_int = 11;
