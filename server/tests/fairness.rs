//! No connection, however busy or stuck, keeps the others of its worker waiting. Nothing here is timed: what is starved
//! runs into the sockets' time limit of half a minute.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::relay::{join, start};
use support::{Client, PATIENCE, Server, allow_descriptors, fragment, frame, payload};
use wire::OpCode::{Binary, Continuation, Ping, Text};

const QUIET: usize = 1_000;

#[test]
fn a_firehose_keeps_nobody_waiting() {
    allow_descriptors(QUIET as u64 + 100);
    a_firehose_is_one_of_many(&Server::start(&["--threads", "1"]));
}

#[test]
fn a_firehose_keeps_nobody_waiting_whom_another_thread_accepts() {
    allow_descriptors(QUIET as u64 + 100);
    a_firehose_is_one_of_many(&Server::start(&["--threads", "2"]));
}

fn a_firehose_is_one_of_many(server: &Server) {
    Firehose::connect(server).run_during(|progress| {
        progress.expect("there was nobody else");
        let mut quiet = server.connect_many(QUIET);
        progress.expect("a thousand connections were opened");
        for round in 0..3 {
            exchange(&mut quiet, |i| (frame(Text, format!("{round} {i}").as_bytes()), format!("{round} {i}")));
            progress.expect("a thousand messages were echoed");
        }
        // Protocol tasks beside the lane.
        let fragmented = [fragment(Text, false, b"to"), frame(Ping, b""), fragment(Continuation, true, b"ld")].concat();
        for client in &mut quiet {
            client.send(&fragmented);
        }
        for client in &mut quiet {
            assert_eq!(client.frame(), (0x8a, Vec::new()));
            assert_eq!(client.frame(), (0x81, b"told".to_vec()));
        }
        progress.expect("a thousand fragmented messages were echoed");
        exchange(&mut quiet, |i| (frame(Text, format!("{i}").as_bytes()), format!("{i}")));
    });
}

#[test]
fn a_member_that_never_stops_keeps_nobody_of_another_room_waiting() {
    const ROOMS: usize = 100;
    for threads in ["1", "2"] {
        let tcp = ["--listen", "tcp://127.0.0.1:0"];
        let server = start(&[&tcp[..], &["--relay", "all", "--threads", threads]].concat());
        Firehose::connect(&server).run_during(|progress| {
            progress.expect("there was nobody else");
            let room = |at: usize| [0, 1].map(|_| join(&server, &format!("/quiet/{at}")));
            let mut quiet: Vec<[Client; 2]> = (0..ROOMS).map(room).collect();
            // They are in no room at all.
            let mut bytes: Vec<TcpStream> = (0..ROOMS).map(|_| server.bytes()).collect();
            progress.expect("a hundred rooms were entered");
            for round in 0..3 {
                let said = |at: usize| format!("{round} {at}").into_bytes();
                for (at, ([speaker, _], stream)) in quiet.iter_mut().zip(&mut bytes).enumerate() {
                    speaker.send(&frame(Text, &said(at)));
                    stream.write_all(&said(at)).unwrap();
                }
                for (at, (members, stream)) in quiet.iter_mut().zip(&mut bytes).enumerate() {
                    members.iter_mut().for_each(|member| assert_eq!(member.frame(), (0x81, said(at))));
                    let mut back = vec![0; said(at).len()];
                    stream.read_exact(&mut back).unwrap();
                    assert_eq!(back, said(at));
                }
                progress.expect("something was said in a hundred rooms");
            }
        });
    }
}

#[test]
fn a_firehose_stops_no_timer() {
    let server = Server::start(&["--threads", "1", "--handshake-timeout", "1s"]);
    Firehose::connect(&server).run_during(|progress| {
        progress.expect("there was nobody else");
        let mut silent = server.tcp();
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).expect("the server closes a connection that says nothing");
        progress.expect("the handshake's time limit passed");
    });
}

#[test]
fn a_peer_that_never_reads_keeps_nobody_waiting() {
    let server = Server::start(&["--threads", "1"]);
    let mut quiet: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    let mut stuck: Vec<Flood> = [1, 1_000, 60_000, 1 << 20].into_iter().map(|size| Flood::new(&server, size)).collect();
    for round in 0..3 {
        for flood in &mut stuck {
            flood.fill();
        }
        for (i, client) in quiet.iter_mut().enumerate() {
            let message = format!("{round} {i}").into_bytes();
            client.send(&frame(Text, &message));
            assert_eq!(client.frame(), (0x81, message));
        }
        quiet.push(server.connect());
    }
    let held = server.memory_kib("VmRSS");
    assert!(held < 64 << 10, "{held} KiB for four peers that do not read");
    for flood in stuck {
        flood.read_everything();
    }
}

/// Sends a message on every connection before the first reply is waited for.
fn exchange(clients: &mut [Client], message: impl Fn(usize) -> (Vec<u8>, String)) {
    for (i, client) in clients.iter_mut().enumerate() {
        client.send(&message(i).0);
    }
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.frame(), (0x81, message(i).1.into_bytes()));
    }
}

/// A connection that sends the smallest messages as fast as the server takes them, and reads as fast as it can.
struct Firehose {
    stream: TcpStream,
    /// Bytes of replies.
    received: AtomicU64,
}

impl Firehose {
    /// Parsing costs the server more than sending costs the client, so that there is always something to be read.
    const MESSAGE: &[u8] = b"x";
    const REPLY: &[u8] = b"\x82\x01x";

    fn connect(server: &Server) -> Self {
        Self { stream: server.connect().stream, received: AtomicU64::new(0) }
    }

    fn send(&self) {
        let batch = frame(Binary, Self::MESSAGE).repeat(16_384);
        while (&self.stream).write_all(&batch).is_ok() {}
    }

    fn receive(&self) {
        let mut buffer = vec![0; 256 << 10];
        let expected = Self::REPLY.repeat(buffer.len() / Self::REPLY.len() + 2);
        let mut at = 0;
        while let Ok(received @ 1..) = (&self.stream).read(&mut buffer) {
            assert!(buffer[..received] == expected[at..at + received], "the firehose's own replies are wrong");
            at = (at + received) % Self::REPLY.len();
            self.received.fetch_add(received as u64, Ordering::Relaxed);
        }
    }

    /// Keeps it running while `action` looks what becomes of the others.
    fn run_during(self, action: impl FnOnce(&mut Progress<'_>)) {
        thread::scope(|scope| {
            scope.spawn(|| self.send());
            scope.spawn(|| self.receive());
            // However the action ends: the scope waits for its threads.
            let _stop = Stop(&self);
            action(&mut Progress { firehose: &self, received: 0 });
        });
    }
}

/// Ends a firehose when dropped.
struct Stop<'a>(&'a Firehose);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let _ = self.0.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Whether the firehose goes on: if it did not, nothing would have been shown.
struct Progress<'a> {
    firehose: &'a Firehose,
    received: u64,
}

impl Progress<'_> {
    /// Waits until a thousand more of its messages have been echoed since the last time.
    fn expect(&mut self, meanwhile: &str) {
        let deadline = Instant::now() + PATIENCE;
        let wanted = self.received + 1_000 * Firehose::REPLY.len() as u64;
        while self.firehose.received.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < deadline, "the firehose was not served while {meanwhile}");
            thread::sleep(Duration::from_millis(1));
        }
        self.received = self.firehose.received.load(Ordering::Relaxed);
    }
}

/// A connection that sends messages of one size until the server takes no more, and reads nothing before the end.
struct Flood {
    client: Client,
    message: Vec<u8>,
    payload: Vec<u8>,
    /// Bytes sent.
    sent: usize,
}

impl Flood {
    fn new(server: &Server, size: usize) -> Self {
        let payload = payload(size);
        Self { client: server.connect(), message: frame(Binary, &payload), payload, sent: 0 }
    }

    /// Sends until the server takes nothing for a while.
    fn fill(&mut self) {
        self.client.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        loop {
            // Much at a time, also of small messages: 64 KiB and the rest of a message.
            let at = self.sent % self.message.len();
            let copies = 1 + (64 << 10) / self.message.len();
            match self.client.stream.write(&self.message.repeat(copies)[at..]) {
                Ok(written) => self.sent += written,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                Err(error) => panic!("{error}"),
            }
            assert!(self.sent < 256 << 20, "the server takes in {} bytes without sending any", self.sent);
        }
    }

    /// Completes the last message and reads every reply.
    fn read_everything(mut self) {
        let messages = self.sent.div_ceil(self.message.len());
        let rest = self.message[self.message.len() - (messages * self.message.len() - self.sent)..].to_vec();
        let mut stream = self.client.stream.try_clone().unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let sender = thread::spawn(move || stream.write_all(&rest).unwrap());
        for _ in 0..messages {
            let (first, payload) = self.client.frame();
            assert!(
                first == 0x82 && payload == self.payload,
                "not the echo of a message of {} bytes",
                self.payload.len()
            );
        }
        sender.join().unwrap();
    }
}
