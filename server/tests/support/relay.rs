//! What the tests of relaying share: members of rooms, numbered messages, and what the server counts.
#![allow(dead_code, reason = "every test binary uses its own part of it")]
#![allow(unreachable_pub, reason = "a module of test binaries has no public")]

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Client, PATIENCE, Server, UPGRADE, payload, upgraded};

/// A server that relays. It needs the lane, also where all others run without.
pub fn start(flags: &[&str]) -> Server {
    Server::start(&[&["--lane", "on"], flags].concat())
}

/// A member of the room at `path`.
pub fn join(server: &Server, path: &str) -> Client {
    join_with(server, path, "", b"")
}

/// The same, with more header lines, and with bytes sent along with the request.
pub fn join_with(server: &Server, path: &str, headers: &str, ahead: &[u8]) -> Client {
    let mut stream = server.tcp();
    let request = format!("{}{headers}\r\n", UPGRADE.replace("/chat", path));
    stream.write_all(&[request.as_bytes(), ahead].concat()).unwrap();
    upgraded(stream)
}

/// A message that says who sent it and which of theirs it is, with so many bytes behind that.
pub fn message(sender: u32, number: u32, length: usize) -> Vec<u8> {
    [format!("{sender} {number} ").as_bytes(), &payload(length)].concat()
}

/// Who sent a message, and which of theirs it is.
pub fn said(message: &[u8]) -> (u32, u32) {
    let mut words = message.split(|&byte| byte == b' ').map(|word| std::str::from_utf8(word).unwrap());
    let mut number = || words.next().unwrap().parse().unwrap();
    (number(), number())
}

/// What `/stats` says.
pub fn stats(server: &Server) -> Value {
    let answer = server.http("GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// What `/stats` says once so many connections are left.
pub fn left(server: &Server, connections: u64) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = settled(server);
        if now["connections"] == connections {
            return now;
        }
        assert!(Instant::now() < deadline, "{now}");
    }
}

/// What `/stats` says once it says the same twice: what is under way is counted.
pub fn settled(server: &Server) -> Value {
    let deadline = Instant::now() + PATIENCE;
    let mut before = stats(server);
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let now = stats(server);
        if now == before {
            return now;
        }
        assert!(Instant::now() < deadline, "{now}");
        before = now;
    }
}

/// Deliveries that were dropped, for whatever cause.
pub fn dropped(stats: &Value) -> u64 {
    stats["deliveries"]["dropped"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum()
}

/// Asserts that no more deliveries have ended than began, and that only what was put into a queue waits: `waiting` is what is
/// left of the total, so that a delivery which nobody counted the end of waits here for ever.
pub fn assert_sums(stats: &Value) {
    let of = |name: &str| stats["deliveries"][name].as_u64().unwrap();
    assert!(of("written") + dropped(stats) <= of("total"), "{stats}");
    assert!(of("waiting") <= of("queued"), "{stats}");
    assert!(of("waiting") == 0 || stats["connections"] != 0, "{stats}");
}
