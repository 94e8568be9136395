//! Members of rooms that read slowly, come and go: what is lost under each policy, and that every loss is counted.

mod support;

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::relay::{assert_sums, dropped, join, left, message, said, settled, start, stats};
use support::{Client, Server, frame};
use wire::OpCode::{Binary, Ping};

/// Bytes of a message's filling.
const LENGTH: usize = 1000;

/// Far more than sockets and queues hold here.
const MESSAGES: u32 = 20_000;

/// A room in which one member sends, one reads everything at once, and one reads nothing until all is sent. Returns the numbers
/// that the last one gets, whether it is closed then, and what the server counted before it read.
fn one_reads_late(policy: &str, threads: &str) -> (Vec<u32>, Option<u16>, Value, Server) {
    let server = start(&[
        "--relay",
        "others",
        "--slow-reader",
        policy,
        "--relay-queue",
        "64KiB",
        "--send-buffer",
        "64KiB",
        "--threads",
        threads,
        // The one that is closed reads its Close frame when all is sent, which takes a slow machine longer than the default.
        "--close-timeout",
        "60s",
    ]);
    let mut late = join(&server, "/");
    let (mut sender, mut prompt) = (join(&server, "/"), join(&server, "/"));
    // The sender is no faster than the prompt reader, whose queue is as short as the other's.
    let (permit, permits) = mpsc::channel();
    (0..32).for_each(|_| permit.send(()).unwrap());
    let reading = thread::spawn(move || {
        for expected in 0..MESSAGES {
            assert_eq!(said(&prompt.frame().1), (1, expected), "a prompt reader loses nothing");
            // After the last ones nobody waits for it.
            let _ = permit.send(());
        }
        prompt
    });
    for number in 0..MESSAGES {
        permits.recv().unwrap();
        sender.send(&frame(Binary, &message(1, number, LENGTH)));
    }
    let prompt = reading.join().unwrap();
    let before = settled(&server);
    let (mut numbers, mut code) = (Vec::new(), None);
    // What waits is sent as soon as there is room; a last message tells where it ends.
    let expected =
        before["deliveries"]["waiting"].as_u64().unwrap() + before["deliveries"]["written"].as_u64().unwrap();
    let to_late = expected - u64::from(MESSAGES);
    while numbers.len() < usize::try_from(to_late).unwrap() || policy == "close" {
        let (first, payload) = late.frame();
        if first == 0x88 {
            code = Some(u16::from_be_bytes([payload[0], payload[1]]));
            late.expect_end();
            break;
        }
        let (sender, number) = said(&payload);
        assert!(sender == 1 && payload.len() >= LENGTH);
        numbers.push(number);
    }
    drop((prompt, sender, late));
    (numbers, code, before, server)
}

fn count(stats: &Value, cause: &str) -> u64 {
    stats["deliveries"]["dropped"][cause].as_u64().unwrap()
}

#[test]
fn the_newest_messages_are_dropped() {
    for threads in ["1", "3"] {
        let (numbers, _, stats, server) = one_reads_late("drop-newest", threads);
        assert_sums(&stats);
        assert_eq!(count(&stats, "drop_newest"), dropped(&stats));
        assert_eq!(count(&stats, "drop_newest") + numbers.len() as u64, u64::from(MESSAGES));
        let waiting = stats["deliveries"]["waiting"].as_u64().unwrap();
        assert!((1..64 << 10).contains(&(waiting * LENGTH as u64)), "{waiting} messages wait");
        // What came first waits, so that nearly all of it is from the beginning; the kernel may take a little more later.
        assert!(numbers.is_sorted_by(|a, b| a < b), "in order, none twice");
        assert_eq!(numbers[..20], (0..20).collect::<Vec<_>>());
        assert!(numbers[numbers.len() / 2] < MESSAGES / 2, "{numbers:?}");
        assert_sums(&settled(&server));
    }
}

#[test]
fn the_oldest_messages_are_dropped() {
    for threads in ["1", "3"] {
        let (numbers, _, stats, server) = one_reads_late("drop-oldest", threads);
        assert_sums(&stats);
        assert_eq!(count(&stats, "drop_oldest"), dropped(&stats));
        assert_eq!(count(&stats, "drop_oldest") + numbers.len() as u64, u64::from(MESSAGES));
        assert!(numbers.is_sorted_by(|a, b| a < b), "in order, none twice");
        assert_eq!(numbers.last(), Some(&(MESSAGES - 1)), "the newest message is there");
        assert_eq!(numbers.first(), Some(&0), "what is begun is sent to its end");
        assert_sums(&settled(&server));
    }
}

#[test]
fn a_slow_reader_is_closed() {
    for threads in ["1", "3"] {
        let (numbers, code, stats, server) = one_reads_late("close", threads);
        assert_sums(&stats);
        assert_eq!((code, &stats["slow_readers_closed"]), (Some(1008), &1.into()));
        assert_eq!((&stats["connections"], &stats["deliveries"]["waiting"]), (&2.into(), &0.into()));
        assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>(), "all up to the last that was begun");
        // A message of which a part was taken counts as lost, although its rest is sent before the Close frame.
        let written = stats["deliveries"]["written"].as_u64().unwrap() - u64::from(MESSAGES);
        assert!([written, written + 1].contains(&(numbers.len() as u64)), "{written} of {}", numbers.len());
        assert_eq!(count(&stats, "slow_reader_closed"), dropped(&stats));
        assert_sums(&settled(&server));
    }
}

#[test]
fn the_rest_of_a_message_is_not_copied_for_those_that_are_closed_within_it() {
    const MEMBERS: usize = 60;
    let flags = ["--relay", "others", "--slow-reader", "close", "--relay-queue", "1KiB", "--send-buffer", "64KiB"];
    let server = start(&[&flags[..], &["--max-buffered", "64MiB", "--close-timeout", "60s"]].concat());
    let mut late: Vec<_> = (0..MEMBERS).map(|_| join(&server, "/")).collect();
    let mut sender = join(&server, "/");
    let large = message(1, 0, 8 << 20);
    sender.send(&frame(Binary, &large));
    let deadline = Instant::now() + support::PATIENCE;
    while stats(&server)["deliveries"]["waiting"] != MEMBERS {
        assert!(Instant::now() < deadline, "{}", stats(&server));
    }
    sender.send(&frame(Binary, b"for which there is no room"));
    let stats = left(&server, 1);
    assert_eq!((&stats["slow_readers_closed"], dropped(&stats)), (&MEMBERS.into(), 2 * MEMBERS as u64), "{stats}");
    let most = server.memory_kib("VmHWM");
    assert!(most < 128 << 10, "{most} KiB, and copies would be {} MiB", MEMBERS * 8);
    for member in [0, MEMBERS - 1] {
        assert!(late[member].frame() == (0x82, large.clone()), "it is sent to its end");
        late[member].expect_close(1008);
    }
}

#[test]
fn what_waits_counts_towards_max_buffered() {
    let server = start(&[
        "--relay",
        "others",
        "--threads",
        "1",
        "--relay-queue",
        "64MiB",
        "--max-buffered",
        "8MiB",
        "--send-buffer",
        "64KiB",
    ]);
    let late = [join(&server, "/"), join(&server, "/")];
    let mut sender = join(&server, "/");
    let deadline = Instant::now() + support::PATIENCE;
    let mut number = 0;
    while stats(&server)["connections"] == 3 {
        assert!(Instant::now() < deadline, "nobody is closed: {}", stats(&server));
        let messages = (0..200).flat_map(|_| {
            number += 1;
            frame(Binary, &message(1, number, 10_000))
        });
        sender.send(&messages.collect::<Vec<_>>());
    }
    let stats = settled(&server);
    assert_sums(&stats);
    assert!(count(&stats, "evicted") > 0, "{stats}");
    sender.send(&frame(Ping, b"still there"));
    assert_eq!(sender.frame().1, b"still there");
    drop(late);
}

#[test]
fn a_sender_waits_for_members_of_other_workers() {
    // Far more than a mailbox holds, from one worker to one that is busy with something else for 100 ms at a time; the queues of
    // its readers are as large as can be, so that nothing is dropped.
    const MESSAGES: u32 = 1_000;
    let server = start(&["--relay", "others", "--threads", "2", "--relay-queue", "1GiB", "--inject-cost", "100000"]);
    // Workers get connections in turn.
    let joined: Vec<Client> = (0..24).map(|at| join(&server, if at % 2 == 0 { "/" } else { "/elsewhere" })).collect();
    let (mut readers, elsewhere): (Vec<_>, Vec<_>) = joined.into_iter().zip(0..).partition(|(_, at)| at % 2 == 0);
    let (mut noisy, mut sender) = (join(&server, "/noisy"), join(&server, "/"));
    thread::scope(|scope| {
        scope.spawn(|| (0..5).for_each(|_| noisy.send(&frame(Binary, b"").repeat(1000))));
        for (reader, _) in &mut readers {
            scope.spawn(|| (0..MESSAGES).for_each(|number| assert_eq!(said(&reader.frame().1), (1, number))));
        }
        // Made once, since the sender is to be faster than the workers: a mask of zeros changes nothing.
        let mut bytes = frame(Binary, &message(1, 100_000, 32 << 10));
        bytes.truncate(4);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&message(1, 100_000, 32 << 10));
        for number in 0..MESSAGES {
            bytes[10..16].copy_from_slice(format!("{number:06}").as_bytes());
            sender.send(&bytes);
        }
    });
    let stats = settled(&server);
    assert_sums(&stats);
    assert_eq!((dropped(&stats), &stats["deliveries"]["total"]), (0, &(MESSAGES * 12).into()));
    drop(elsewhere);
}

/// Reads until the end, and checks that each sender's messages come in order and none twice; returns how many came, and how
/// many are missing between two of the same sender.
fn read_in_order(client: &mut Client) -> (u64, u64) {
    let mut last: HashMap<u32, u32> = HashMap::new();
    let (mut count, mut missing) = (0, 0);
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match std::io::Read::read(&mut client.stream, &mut piece) {
            Ok(0) => break,
            // It was closed as a slow reader, and what it still sends is read by nobody.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Ok(received) => bytes.extend_from_slice(&piece[..received]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
        let mut at = 0;
        while let Ok(Some((header, len))) = wire::Header::parse(&bytes[at..]) {
            let end = at + len + usize::try_from(header.payload_len).unwrap();
            let Some(payload) = bytes.get(at + len..end) else { break };
            if header.opcode == Binary {
                let (sender, number) = said(payload);
                if let Some(before) = last.insert(sender, number) {
                    assert!(number > before, "{number} of {sender} after {before}");
                    missing += u64::from(number - before - 1);
                }
                count += 1;
            }
            at = end;
        }
        bytes.drain(..at);
    }
    (count, missing)
}

/// How long members come and go under each policy: seconds, FATHOM_TEST_CHURN of them if that is set.
fn churn() -> Duration {
    let seconds = std::env::var("FATHOM_TEST_CHURN").map_or(3, |seconds| seconds.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

#[test]
fn every_loss_is_accounted_for_while_members_come_and_go() {
    for policy in ["drop-newest", "drop-oldest", "close"] {
        let flags = ["--relay", "others", "--threads", "3", "--relay-queue", "32KiB", "--send-buffer", "32KiB"];
        let server = Arc::new(start(&[&flags[..], &["--slow-reader", policy]].concat()));
        let stop = Arc::new(AtomicBool::new(false));
        let received = Arc::new(Mutex::new((0, 0)));
        let names = Arc::new(AtomicU32::new(0));
        let deadline = Instant::now() + churn();
        let joining: Vec<_> = (0..8)
            .map(|at| {
                let (server, stop, received, names) =
                    (Arc::clone(&server), Arc::clone(&stop), Arc::clone(&received), Arc::clone(&names));
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let mut client = join(&server, if at % 4 == 3 { "/quiet" } else { "/busy" });
                        let mut stream = client.stream.try_clone().unwrap();
                        let me = names.fetch_add(1, Ordering::Relaxed);
                        let sending = thread::spawn(move || {
                            for number in 0..3000 {
                                let bytes = frame(Binary, &message(me, number, number as usize * 31 % 900));
                                // It may have been closed as a slow reader.
                                if stream.write_all(&bytes).is_err() {
                                    return;
                                }
                            }
                            let _ = stream.write_all(&frame(wire::OpCode::Close, b"\x03\xe8"));
                        });
                        if at % 4 == 0 {
                            // A slow reader, which is gone without a word in the end.
                            thread::sleep(Duration::from_millis(200));
                            let _ = client.stream.shutdown(Shutdown::Both);
                        } else {
                            let (came, missing) = read_in_order(&mut client);
                            let mut all = received.lock().unwrap();
                            *all = (all.0 + came, all.1 + missing);
                        }
                        sending.join().unwrap();
                    }
                })
            })
            .collect();
        while Instant::now() < deadline {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        joining.into_iter().for_each(|joining| joining.join().unwrap());
        let stats = left(&server, 0);
        assert_sums(&stats);
        assert_eq!((&stats["rooms"], &stats["deliveries"]["waiting"]), (&0.into(), &0.into()), "{stats}");
        let of = |name: &str| stats["deliveries"][name].as_u64().unwrap();
        let (received, missing) = *received.lock().unwrap();
        // Slow readers that are closed may get one message more than is counted as written, of which a part was.
        let most = of("written") + stats["slow_readers_closed"].as_u64().unwrap();
        assert!(received > 0 && received <= most, "{received} received: {stats}");
        // Whoever is closed as a slow reader has all up to its end.
        let counted = if policy == "close" { 0 } else { count(&stats, &policy.replace('-', "_")) };
        assert!(missing <= counted, "{missing} missing, {counted} of them counted: {stats}");
        assert!(of("written") > 0 && of("total") > of("written"), "{stats}");
    }
}
