//! What an idle connection costs, and what a peer, or a lack of descriptors, cannot do to the server.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use support::{Client, PATIENCE, Server, allow_descriptors, fragment, frame, payload};
use wire::OpCode::{Binary, Text};

#[test]
fn an_idle_connection_takes_110_bytes_at_the_most() {
    const MORE: usize = 8_000;
    allow_descriptors(10_000);
    let server = Server::start(&["--threads", "1", "--lane", "on"]);
    let open = |count: usize| -> Vec<Client> {
        // A hundred handshakes at a time, so that what they take together is the same in the end as in the beginning.
        let clients = (0..count / 100).flat_map(|_| {
            let mut clients = server.connect_many(100);
            clients.iter_mut().for_each(|client| client.send(&frame(Text, b"said once")));
            clients.iter_mut().for_each(|client| assert_eq!(client.frame().1, b"said once"));
            clients
        });
        clients.collect()
    };
    let first = open(1_000);
    // What is free goes back to the kernel a while after much was freed.
    let mut tidying = server.connect();
    let mut tidy = || {
        tidying.send(&frame(Binary, &payload(4 << 20)));
        tidying.frame();
        thread::sleep(Duration::from_secs(2));
        server.memory_kib("VmRSS")
    };
    let before = tidy();
    let more = open(MORE);
    let begun = Instant::now();
    loop {
        let grown = tidy().saturating_sub(before) * 1024 / MORE as u64;
        println!("{grown} B for each of {MORE} idle connections");
        if grown <= 110 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{grown} B for an idle connection");
    }
    drop((first, more));
}

#[test]
fn a_header_that_announces_much_costs_little() {
    let server = Server::start(&["--threads", "1"]);
    let mut clients: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let before = server.memory_kib("VmRSS");
    for client in &mut clients {
        // A masked frame of 16 MiB announced, 3 bytes sent.
        client.send(&[&[0x82, 0xff][..], &(16u64 << 20).to_be_bytes(), &[0; 4], b"abc"].concat());
    }
    // A round trip on one more connection of the same worker, after theirs.
    let mut last = server.connect();
    last.send(&frame(Text, b"x"));
    last.frame();
    let grown = server.memory_kib("VmRSS").saturating_sub(before);
    assert!(grown < 50 * 128, "{grown} KiB for 50 announcements of 16 MiB");
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from() {
    let server = Server::start(&["--threads", "1", "--send-buffer", "64KiB", "--recv-buffer", "64KiB"]);
    let mut before = 0;
    for size in [64, 5_000, 100_000] {
        let client = server.connect();
        if before == 0 {
            before = server.memory_kib("VmRSS");
        }
        let mut stream = client.stream.try_clone().unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let message = frame(Binary, &payload(size));
        let mut sent = 0u64;
        while let Ok(()) = stream.write_all(&message) {
            sent += message.len() as u64;
            assert!(sent < 256 << 20, "the server takes in {sent} bytes without sending any");
        }
        let grown = server.memory_kib("VmRSS").saturating_sub(before);
        assert!(grown < 4096, "{grown} KiB for a peer that does not read messages of {size} bytes");
    }
}

#[test]
fn fragments_and_control_frames_without_end_are_bounded() {
    let server = Server::start(&["--max-message-size", "1MiB"]);
    let mut client = server.connect();
    let mut stream = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let _ = stream.write_all(&fragment(Binary, false, &[1; 1000]));
        let more = fragment(wire::OpCode::Continuation, false, &[1; 1000]);
        while stream.write_all(&more).is_ok() {}
    });
    client.expect_close(1009);
    client.finish();
    sender.join().unwrap();
    assert!(server.memory_kib("VmHWM") < 64 << 10);
}

#[test]
fn a_lack_of_descriptors_is_survived_without_a_spin() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
    let server = Server::spawn(command.args(["--threads", "1"]));
    // Its workers may start after its ready line: a first connection shows that they have all descriptors they need.
    let mut served = vec![server.connect()];
    let pid = Pid::from_raw(i32::try_from(server.child.id()).unwrap()).unwrap();
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap().count() as u64;
    let limit = Rlimit { current: Some(open + 5), maximum: Some(open + 5) };
    prlimit(Some(pid), Resource::Nofile, limit).unwrap();

    served.extend((0..5).map(|_| server.connect()));
    // The kernel completes these; the server cannot accept them.
    let waiting: Vec<TcpStream> = (0..10).map(|_| server.tcp()).collect();
    let ticks = cpu_ticks(&server);
    std::thread::sleep(Duration::from_secs(2));
    let spent = cpu_ticks(&server) - ticks;
    assert!(spent < 20, "{spent} ticks of 10 ms within 2 s of waiting");
    for client in &mut served {
        client.send(&frame(Text, b"still served"));
        assert_eq!(client.frame(), (0x81, b"still served".to_vec()));
    }
    drop(served);
    drop(waiting);
    let mut client = server.connect();
    client.send(&frame(Text, b"again"));
    assert_eq!(client.frame(), (0x81, b"again".to_vec()));
    let log = server.into_log();
    let warnings = log.matches("accept failed").count();
    assert!((1..=2).contains(&warnings), "{log}");
}

/// Processor time of the server, user and system, in ticks of 10 ms (proc(5), fields 14 and 15).
fn cpu_ticks(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}
