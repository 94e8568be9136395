//! The HTTP phase: pages, refusals, limits.

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use support::{Server, UPGRADE, frame};
use wire::OpCode::Text;

const CLOSE: &str = "Connection: close\r\n";

fn get(server: &Server, path: &str) -> String {
    server.http(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{CLOSE}\r\n"))
}

#[test]
fn pages_say_what_is_there() {
    let server = Server::start(&["--tcp-nodelay", "off", "--threads", "1"]);
    let health = get(&server, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200 ") && health.ends_with("\r\n\r\nok\n"), "{health}");
    for path in ["/", "/any/path?x=1"] {
        let page = get(&server, path);
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        assert!(page.contains("text/html") && page.contains("new WebSocket("), "{page}");
    }
    let config = get(&server, "/config");
    let (head, body) = config.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/json"), "{head}");
    let config: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(config["socket"]["tcp_nodelay"], false);
    assert_eq!(config["granted"]["tcp_nodelay"], false);
    assert_eq!(config["workers"]["threads"], 1);
    assert_eq!(config["listen"][0], format!("127.0.0.1:{}", server.port));
    assert_eq!(config["limits"]["handshake_timeout"], 10.0);
}

#[test]
fn an_http_connection_serves_several_requests_and_then_upgrades() {
    let server = Server::start(&[]);
    let mut stream = server.tcp();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = [0; 17];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK\r\n");
    stream.write_all(format!("{UPGRADE}\r\n").as_bytes()).unwrap();
    stream.write_all(&frame(Text, b"hi")).unwrap();
    let mut rest = Vec::new();
    while !rest.ends_with(b"\x81\x02hi") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        rest.push(byte[0]);
    }
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("HTTP/1.1 101 "), "{rest}");
}

#[test]
fn wrong_upgrades_are_told_why() {
    let server = Server::start(&[]);
    let cases = [
        ("GET /chat", "POST /chat", 400, "GET"),
        ("HTTP/1.1", "HTTP/1.0", 400, "HTTP/1.1"),
        ("Host: 127.0.0.1\r\n", "", 400, "Host"),
        ("Upgrade: websocket\r\n", "", 426, "Upgrade: websocket"),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\n", 426, "Upgrade: websocket"),
        ("Connection: Upgrade\r\n", "", 400, "Connection: Upgrade"),
        ("Sec-WebSocket-Version: 13\r\n", "", 426, "13"),
        ("Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Version: 8\r\n", 426, "13"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, "Sec-WebSocket-Key"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400, "base64 of 16 bytes"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j*Q==", 400, "base64 of 16 bytes"),
    ];
    for (from, to, status, reason) in cases {
        assert!(UPGRADE.contains(from));
        // A proxy adds a second Connection header: both count.
        let answer = server.http(&format!("{}{CLOSE}\r\n", UPGRADE.replace(from, to)));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!(" {status} ")), "{from:?} -> {to:?}: {answer}");
        assert!(body.contains(reason), "{from:?} -> {to:?}: {answer}");
        let head = head.to_ascii_lowercase();
        assert_eq!(head.contains("sec-websocket-version: 13"), status == 426, "{answer}");
        assert_eq!(head.contains("\r\nupgrade: websocket"), status == 426, "{answer}");
    }
}

#[test]
fn tokens_are_found_whatever_their_case_and_company() {
    let server = Server::start(&[]);
    let request = UPGRADE
        .replace("Upgrade: websocket", "upgrade: h2c, WebSocket")
        .replace("Connection: Upgrade", "connection: keep-alive\r\nConnection: x,UPGRADE");
    let mut stream = server.tcp();
    stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
}

#[test]
fn requests_have_limits() {
    let server = Server::start(&[]);
    let cookies = "x".repeat(15_000);
    let long = server.http(&format!("GET / HTTP/1.1\r\nHost: a\r\n{CLOSE}X: {cookies}\r\n\r\n"));
    assert!(long.starts_with("HTTP/1.1 200 "), "{long:.80}");
    let refused = |request: String| {
        let mut stream = server.tcp();
        // The server may answer and close before all is written.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer:.80}");
    };
    refused(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000)));
    refused(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(101)));
    refused("nonsense\r\n\r\n".into());
}

#[test]
fn a_handshake_that_dawdles_is_cut_off() {
    let server = Server::start(&["--handshake-timeout", "300ms"]);
    let silent = server.tcp();
    let mut dripping = server.tcp();
    let mut kept_alive = server.tcp();
    kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut upgraded = server.connect();
    let deadline = Instant::now() + support::PATIENCE;
    for byte in UPGRADE.bytes().cycle() {
        if dripping.write_all(&[byte]).is_err() {
            break;
        }
        assert!(Instant::now() < deadline, "a client that drips is served for ever");
        std::thread::sleep(Duration::from_millis(10));
    }
    for mut stream in [silent, kept_alive] {
        // Ended or reset, but over.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    upgraded.send(&frame(Text, b"still here"));
    assert_eq!(upgraded.frame(), (0x81, b"still here".to_vec()));
}

#[test]
fn one_connection_too_many_is_turned_away() {
    let server = Server::start(&["--max-connections", "3", "--threads", "2"]);
    let mut clients = vec![server.connect(), server.connect(), server.connect()];
    let answer = server.http(&format!("{UPGRADE}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\ntoo many connections\n"), "{answer}");
    for client in &mut clients {
        client.send(&frame(Text, b"x"));
        assert_eq!(client.frame(), (0x81, b"x".to_vec()));
    }
    clients.pop();
    // The place is free as soon as the server has seen the end.
    let deadline = Instant::now() + support::PATIENCE;
    while !get(&server, "/healthz").starts_with("HTTP/1.1 200 ") {
        assert!(Instant::now() < deadline, "the place is never given back");
        std::thread::sleep(Duration::from_millis(20));
    }
}
