//! The HTTP phase: pages, refusals, limits.

mod support;

use std::collections::BTreeSet;
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
    let page = get(&server, "/any/path?x=1");
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    assert!(page.contains("text/html") && page.contains("new WebSocket("), "{page}");
    let config = get(&server, "/config");
    let (head, body) = config.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/json"), "{head}");
    let config: serde_json::Value = serde_json::from_str(body).unwrap();
    let sections: BTreeSet<&str> = config.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(sections, BTreeSet::from(server::config::SECTIONS));
    assert_eq!(config["socket"]["tcp_nodelay"], false);
    assert_eq!(config["granted"]["tcp_nodelay"], false);
    assert_eq!(config["workers"]["threads"], 1);
    assert_eq!(config["listen"][0], format!("127.0.0.1:{}", server.port));
    assert_eq!(config["limits"]["handshake_timeout"], 10.0);
}

#[test]
fn the_page_for_browsers_is_there_unless_switched_off() {
    let short = "This is a WebSocket server";
    let (on, off) = (Server::start(&["--page", "on"]), Server::start(&["--page", "off"]));
    let page = get(&on, "/");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("Content-Type: text/html; charset=utf-8"), "{head}");
    assert!(head.contains("Content-Security-Policy: default-src 'none'; script-src 'self'; "), "{head}");
    assert!(body.starts_with("<!doctype html>") && !body.contains(short), "{body}");
    for (path, content_type) in [("/page/style.css", "text/css"), ("/page/main.js", "text/javascript")] {
        assert!(body.contains(path), "{body}");
        let file = get(&on, path);
        assert!(file.contains(&format!("Content-Type: {content_type}; charset=utf-8\r\n")), "{file}");
        assert!(file.contains("X-Content-Type-Options: nosniff\r\n"), "{file}");
        assert!(get(&off, path).contains(short));
    }
    assert!(get(&off, "/").contains(short) && get(&on, "/page/nothing.js").contains(short));
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
fn a_request_an_upgrade_and_a_frame_may_come_at_once() {
    let server = Server::start(&[]);
    let mut stream = server.tcp();
    let page = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut all = format!("{page}{page}{UPGRADE}\r\n").into_bytes();
    all.extend_from_slice(&frame(Text, b"hi"));
    stream.write_all(&all).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).expect("no reset");
    assert!(answers.ends_with(b"\r\n\r\n\x81\x02hi"), "{}", String::from_utf8_lossy(&answers));
    let answers = String::from_utf8_lossy(&answers);
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "101"], "{answers}");
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
    let began = Instant::now();
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
    assert!(began.elapsed() < Duration::from_secs(10), "that is the default: {:?}", began.elapsed());
    upgraded.send(&frame(Text, b"still here"));
    assert_eq!(upgraded.frame(), (0x81, b"still here".to_vec()));
}

#[test]
fn one_connection_too_many_is_turned_away() {
    let server = Server::start(&["--max-connections", "3", "--threads", "2"]);
    let mut clients = vec![server.connect(), server.connect(), server.connect()];
    let answer = server.http(&format!("{UPGRADE}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\ntoo many connections\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: "), "{answer}");
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

#[test]
fn an_upgrade_with_a_body_is_refused_and_its_body_is_not_echoed() {
    let server = Server::start(&[]);
    let body = frame(Text, b"body");
    let chunked = "Transfer-Encoding: chunked\r\n";
    let cases: [(&str, &[u8]); 5] = [
        ("Content-Length: 10\r\n", &body),
        ("Content-Length: 5\r\n", b"hello"),
        ("Content-Length: 5\r\nExpect: 100-continue\r\n", b"hello"),
        (chunked, b"0\r\n\r\n"),
        (chunked, b"5\r\nhello\r\n0\r\n\r\n"),
    ];
    for (headers, body) in cases {
        for later in [false, true] {
            let mut stream = server.tcp();
            let mut request = format!("{UPGRADE}{headers}\r\n").into_bytes();
            if !later {
                request.extend_from_slice(body);
            }
            stream.write_all(&request).unwrap();
            let mut answer = Vec::new();
            if later {
                // The body comes after the answer, which must not be lost by it.
                stream.peek(&mut [0]).unwrap();
                stream.write_all(body).unwrap();
            }
            stream.read_to_end(&mut answer).expect("no reset");
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 400 "), "{headers} {later}: {answer}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{headers} {later}: {answer}");
            assert!(answer.ends_with("a WebSocket handshake has no body\n"), "{headers} {later}: {answer}");
        }
    }
    let mut empty = server.connect_with("Content-Length: 0\r\n", &frame(Text, b"hi"));
    assert_eq!(empty.frame(), (0x81, b"hi".to_vec()));
}

#[test]
fn a_page_that_is_asked_for_with_a_body_says_that_it_is_the_last() {
    let server = Server::start(&[]);
    let answer = server.http("GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("\r\nConnection: close"), "{answer}");
    assert_eq!(body, "ok\n", "and nothing is taken for another request");
}

#[test]
fn pages_are_there_to_be_read_and_nothing_else() {
    let server = Server::start(&["--page", "on"]);
    let ask = |what: &str, more: &str| server.http(&format!("{what} HTTP/1.1\r\nHost: a\r\n{more}"));
    for path in ["/", "/page/main.js", "/healthz", "/config", "/any"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "FOO"] {
            let answer = ask(&format!("{method} {path}"), &format!("{CLOSE}\r\n"));
            assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nAllow: GET, HEAD"), "{answer}");
            assert!(answer.ends_with("\r\n\r\nexpected GET or HEAD, or a WebSocket handshake\n"), "{answer}");
        }
        let head = ask(&format!("HEAD {path}"), &format!("{CLOSE}\r\n"));
        assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{path}: {head}");
    }
    // A body is not taken for the next request; without one there may be a next.
    let next = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{CLOSE}\r\n");
    let with_body = ask("POST /", &format!("Content-Length: {}\r\n\r\n{next}", next.len()));
    assert!(with_body.contains("\r\nConnection: close") && !with_body.contains("200 OK"), "{with_body}");
    assert!(ask("DELETE /", &format!("\r\n{next}")).ends_with("\r\n\r\nok\n"));
}

/// The answer to bytes behind which the client ends its side.
fn half_closed(server: &Server, bytes: &str) -> String {
    let mut stream = server.tcp();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("no reset");
    answer
}

#[test]
fn a_client_that_has_ended_its_side_gets_its_answer() {
    let server = Server::start(&[]);
    // Which of the request and its end is seen first is up to the kernel: once in 4 to 100 times it mattered.
    for _ in 0..200 {
        for (request, status, end) in [
            ("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, "ok\n"),
            ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200, "ok\n"),
            ("GET /healthz HTTP/1.0\r\n\r\n", 200, "ok\n"),
            ("GET /healthz HTTP/1.1\r\n\r\n", 400, "the Host header is missing\n"),
            (&format!("{UPGRADE}\r\n"), 101, "\r\n\r\n"),
        ] {
            let answer = half_closed(&server, request);
            assert_eq!(answer.get(8..13), Some(format!(" {status} ").as_str()), "{request}: {answer:?}");
            assert!(answer.ends_with(end), "{request}: {answer:?}");
        }
    }
    let cut = half_closed(&server, "GET /healthz HTTP/1.1\r\nHost: a\r\n");
    assert!(cut.starts_with("HTTP/1.1 400 ") && cut.ends_with("before its head was complete\n"), "{cut:?}");
    // Nothing is owed to who asks nothing.
    assert_eq!(half_closed(&server, ""), "");
}

#[test]
fn requests_that_are_for_another_kind_of_server_are_told_so() {
    let server = Server::start(&[]);
    let preface = server.http("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(preface.starts_with("HTTP/1.1 505 ") && preface.contains("HTTP/2"), "{preface:?}");
    let connect = server.http("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n");
    assert!(connect.starts_with("HTTP/1.1 501 ") && connect.contains("no proxy"), "{connect:?}");
}

#[test]
fn a_connection_in_use_outlives_the_handshake_timeout() {
    let server = Server::start(&["--handshake-timeout", "3s"]);
    let mut stream = server.tcp();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(7) {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the whole answer");
            answer.push(byte[0]);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    stream.write_all(format!("{UPGRADE}\r\n").as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
}

#[test]
fn host_is_checked_whatever_the_path() {
    let server = Server::start(&[]);
    for path in ["/healthz", "/config", "/", "http://a/healthz"] {
        for (hosts, reason) in
            [("", "missing"), ("Host: a\r\nHost: b\r\n", "once"), ("Host: a b\r\n", "must be HOST or HOST:PORT")]
        {
            let answer = server.http(&format!("GET {path} HTTP/1.1\r\n{hosts}\r\n"));
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(reason), "{path} {hosts}: {answer}");
        }
        let old = server.http(&format!("GET {path} HTTP/1.0\r\n\r\n"));
        assert!(old.starts_with("HTTP/1.0 200 "), "{path}: {old}");
    }
    let twice = server.http(&format!("{UPGRADE}Host: b\r\n\r\n"));
    assert!(twice.starts_with("HTTP/1.1 400 ") && twice.contains("once"), "{twice}");
}

#[test]
fn subprotocols_are_one_list_of_tokens() {
    let server = Server::start(&[]);
    let name = "Sec-WebSocket-Protocol";
    for (offers, granted) in [
        (format!("{name}: , foo\r\n"), Some("foo")),
        (format!("{name}:\r\n{name}: foo\r\n"), Some("foo")),
        (format!("{name}: a\r\n{name}: b\r\n"), Some("a")),
        (format!("{name}: ,\r\n"), None),
    ] {
        let head = server.connect_with(&offers, b"").head;
        let found = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(found, granted, "{offers}: {head}");
    }
    for offers in ["foo bar", "\"a,b,c\"", "a, b/c"] {
        let answer = server.http(&format!("{UPGRADE}{name}: {offers}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("list of tokens"), "{offers}: {answer}");
    }
}

#[test]
fn headers_are_named_as_their_rfcs_write_them() {
    let server = Server::start(&["--permessage-deflate", "on"]);
    let offers = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let switched = server.connect_with(offers, b"").head;
    let page = get(&server, "/healthz");
    let version = server.http(&format!("{}\r\n", UPGRADE.replace("Version: 13", "Version: 8")));
    let malformed = server.http("nonsense\r\n\r\n");
    let expected = [
        ("Server", &[&switched, &page, &version][..]),
        ("Connection", &[&switched, &page, &version]),
        ("Upgrade", &[&switched, &version]),
        ("Sec-WebSocket-Accept", &[&switched]),
        ("Sec-WebSocket-Protocol", &[&switched]),
        ("Sec-WebSocket-Extensions", &[&switched]),
        ("Sec-WebSocket-Version", &[&version]),
        ("Content-Type", &[&page, &version]),
        ("Content-Length", &[&page, &version, &malformed]),
        ("Date", &[&page, &version, &malformed]),
    ];
    for (name, answers) in expected {
        for answer in answers {
            assert!(answer.contains(&format!("\r\n{name}: ")), "no {name} in {answer}");
        }
    }
}
