//! Memory after a burst: every connection sends 64 KiB at once, and what that took is given back while all stay open.
//!
//! `FATHOM_TEST_BURST` sets how many connections there are, and the figures are printed:
//! `FATHOM_TEST_BURST=10000 cargo test --release -p server --test burst -- --nocapture --test-threads 1`.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use support::{Client, PATIENCE, Server, allow_descriptors, frame, payload};
use wire::OpCode::Binary;

#[test]
fn memory_returns_after_whole_messages() {
    let Burst { before, after, .. } = burst("whole messages", SIZE + FRAMING);
    assert!(after <= before + RETAINED, "{after} KiB after the burst, {before} KiB before it");
}

#[test]
fn memory_returns_after_messages_in_halves() {
    let Burst { before, most, after } = burst("halves, completed later", SIZE / 2);
    assert!(most > before + RETAINED, "at most {most} KiB: there was no burst");
    assert!(after <= before + RETAINED, "{after} KiB after the burst, {before} KiB before it");
}

/// Resident memory of the server, KiB.
struct Burst {
    before: u64,
    most: u64,
    after: u64,
}

/// On every connection the first `cut` bytes of a message are sent, then the rest on all, then the replies are read.
fn burst(what: &str, cut: usize) -> Burst {
    let connections = std::env::var("FATHOM_TEST_BURST").map_or(CONNECTIONS, |count| count.parse().expect("a count"));
    allow_descriptors(connections as u64 + 100);
    let server = Server::start(&["--threads", "1"]);
    let mut clients = Vec::new();
    while clients.len() < connections {
        // Fewer at a time than the backlog holds.
        clients.extend(server.connect_many(1_000.min(connections - clients.len())));
    }
    round_trips(&mut clients, 64, 64);
    let before = server.memory_kib("VmRSS");

    round_trips(&mut clients, SIZE, cut);
    let ended = Instant::now();
    let most = server.memory_kib("VmHWM");
    let mut after = server.memory_kib("VmRSS");
    // Nobody says anything: it returns by itself.
    while after > before + RETAINED && ended.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
        after = server.memory_kib("VmRSS");
    }
    println!(
        "{connections} x {SIZE} B, {what}: {before} KiB before, {most} KiB at most, {after} KiB {:.0?} after",
        ended.elapsed()
    );
    Burst { before, most, after }
}

fn round_trips(clients: &mut [Client], size: usize, cut: usize) {
    let payload = payload(size);
    let message = frame(Binary, &payload);
    let (first, rest) = message.split_at(cut.min(message.len()));
    let (last, others) = clients.split_last_mut().expect("connections");
    others.iter_mut().for_each(|client| client.send(first));
    // A round trip that the server comes to after it has read all of these.
    last.send(&frame(Binary, b"x"));
    last.frame();
    last.send(first);
    others.iter_mut().chain([last]).for_each(|client| client.send(rest));
    for client in clients {
        assert!(client.frame() == (0x82, payload.clone()), "not the echo of {size} bytes");
    }
}

/// Enough for a burst that nobody could overlook, few enough for every machine's descriptors.
const CONNECTIONS: usize = 1_000;

/// Bytes of payload.
const SIZE: usize = 64 << 10;

/// More than a frame's header takes.
const FRAMING: usize = 16;

/// KiB that may stay.
const RETAINED: u64 = 10 << 10;
