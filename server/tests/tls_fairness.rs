//! No TLS connection, however busy, keeps the others of its worker waiting. Nothing here is timed: what is starved runs into the
//! sockets' time limit of half a minute.

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::version::TLS13;
use support::{PATIENCE, frame, payload};
use tls::{Secure, Setting, echoed, seal};
use wire::OpCode::Binary;

/// Connections beside the one that never stops.
const QUIET: usize = 20;

/// What a connection says that never stops.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flood {
    /// Small messages, many in a record.
    Messages,
    /// New keys before each message.
    Keys,
}

#[test]
fn a_connection_that_never_stops_keeps_nobody_waiting() {
    for (lane, flood) in [("on", Flood::Messages), ("on", Flood::Keys), ("off", Flood::Messages), ("off", Flood::Keys)]
    {
        let flags = ["--threads", "1", "--lane", lane, "--handshake-timeout", "30s"];
        let setting = Setting::with_versions(&flags, &[&TLS13]);
        let stream = setting.connect().stream;
        let [sender, receiver, end] = [(); 3].map(|()| stream.sock.try_clone().unwrap());
        let received = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| send(flood, stream, sender));
            scope.spawn(|| receive(receiver, &received));
            // However the test ends: the scope waits for its threads.
            let _stop = Stop(end);
            let mut before = 0;
            let mut goes_on = |meanwhile: &str| {
                let deadline = Instant::now() + PATIENCE;
                while received.load(Ordering::Relaxed) < before + 50_000 {
                    assert!(Instant::now() < deadline, "--lane {lane}, {flood:?}: not served while {meanwhile}");
                    thread::sleep(Duration::from_millis(1));
                }
                before = received.load(Ordering::Relaxed);
            };
            goes_on("there was nobody else");
            thread::scope(|others| {
                for at in 0..QUIET {
                    let setting = &setting;
                    others.spawn(move || {
                        let mut quiet = setting.connect();
                        (0..3).for_each(|round| echoed(&mut quiet, format!("{round} {at}").as_bytes()));
                    });
                }
            });
            goes_on("others were connected and answered");
        });
    }
}

/// Sends until the socket is closed.
fn send(flood: Flood, mut stream: Secure, mut socket: TcpStream) {
    let message = frame(Binary, &payload(64));
    let messages = message.repeat(1_000);
    loop {
        let records = match flood {
            Flood::Messages => seal(&mut stream, &messages),
            Flood::Keys => (0..500)
                .flat_map(|_| {
                    stream.conn.refresh_traffic_keys().unwrap();
                    seal(&mut stream, &message)
                })
                .collect(),
        };
        if socket.write_all(&records).is_err() {
            return;
        }
    }
}

/// Counts the bytes of the answers, which are not decrypted.
fn receive(mut socket: TcpStream, received: &AtomicU64) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(bytes @ 1..) = socket.read(&mut buffer) {
        received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Ends a connection when dropped.
struct Stop(TcpStream);

impl Drop for Stop {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
