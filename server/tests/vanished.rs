//! Peers that vanish without a word: the network between a client and the server goes down, in network namespaces that
//! this test makes for itself. That takes root; without it the test says that it was skipped.
#![allow(unsafe_code, reason = "a thread moves to another network namespace")]

#[path = "support/skipped.rs"]
mod skipped;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{UnshareFlags, gettid, unshare_unsafe};
use socket2::{Domain, Socket, Type};
use support::{PATIENCE, UPGRADE, frame, payload};
use wire::OpCode::Binary;

#[test]
fn a_peer_that_vanished_gives_its_place_back() {
    if !rustix::process::geteuid().is_root() || !enter_own_network() {
        skipped::skipped("a network namespace takes root");
        return;
    }
    ip("link set lo up");
    // A silent peer is found by probes, one that leaves replies unread by TCP_USER_TIMEOUT.
    for unread in [0, 8 << 20] {
        let (announce, announced) = channel();
        let (allow, allowed) = channel();
        let peer = thread::spawn(move || be_peer(unread, &announce, &allowed));
        let namespace = announced.recv().unwrap();
        ip(&format!("link add server-end type veth peer name peer-end netns {namespace}"));
        ip("address add 10.77.0.1/24 dev server-end");
        ip("link set server-end up");
        let _server = server();
        allow.send(()).unwrap();
        announced.recv().unwrap();
        assert!(healthz().starts_with("HTTP/1.1 503 "), "the only place is taken");

        ip("link set server-end down");
        let down = Instant::now();
        while !healthz().starts_with("HTTP/1.1 200 ") {
            assert!(down.elapsed() < PATIENCE, "a peer that vanished with {unread} bytes unread keeps its place");
            thread::sleep(Duration::from_millis(100));
        }
        ip("link delete server-end");
        allow.send(()).unwrap();
        peer.join().unwrap();
    }
}

/// In a network of its own, connects to the server when `allowed`, sends a message whose reply of so many bytes it does
/// not read, and stays until `allowed` to go.
fn be_peer(unread: usize, announce: &Sender<String>, allowed: &Receiver<()>) {
    assert!(enter_own_network());
    announce.send(format!("/proc/{}/task/{}/ns/net", std::process::id(), gettid().as_raw_pid())).unwrap();
    allowed.recv().unwrap();
    ip("address add 10.77.0.2/24 dev peer-end");
    ip("link set peer-end up");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let server: SocketAddr = "10.77.0.1:8181".parse().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = socket.connect(&server.into()) {
        assert!(Instant::now() < deadline, "{error}");
        thread::sleep(Duration::from_millis(50));
    }
    let mut stream = TcpStream::from(socket);
    stream.write_all(format!("{UPGRADE}\r\n").as_bytes()).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
    if unread > 0 {
        stream.write_all(&frame(Binary, &payload(unread))).unwrap();
    }
    announce.send(String::new()).unwrap();
    allowed.recv().unwrap();
}

/// Moves the calling thread, and the processes that it starts, to a network of their own; false where that is forbidden.
fn enter_own_network() -> bool {
    // SAFETY: the descriptors stay shared with the other threads, only the network becomes another one.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.is_ok()
}

/// Runs `ip` with these arguments in the calling thread's network.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip, of iproute2, is installed");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server with a single place, ready.
fn server() -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_echo-server"))
        .args(["--threads", "1", "--listen", "0.0.0.0:8181", "--max-connections", "1", "--keepalive", "1s,1s,2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    Ended(child)
}

/// The answer of the server's /healthz, over the loopback interface.
fn healthz() -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", 8181)).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    // It may be turned away before it is heard, which resets the connection.
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// A process that is killed when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
