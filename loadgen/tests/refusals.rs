//! Servers that do not let a connection in: what they sent and what to try is said, and a report of them stays small.

mod binary;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use binary::loadgen;
use sha1::{Digest, Sha1};

/// What a server does with a connection.
type Behaviour = fn(TcpStream) -> io::Result<()>;

/// Starts a server that behaves so; returns its port. It ends with the test.
fn server(behaviour: Behaviour) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A connection ends with an error here whenever loadgen closes it first.
            thread::spawn(move || behaviour(stream?));
        }
        io::Result::Ok(())
    });
    port
}

fn request(stream: &mut TcpStream) -> io::Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    Ok(String::from_utf8(request).unwrap())
}

/// Answers with these bytes, and waits until loadgen closes the connection.
fn answer(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    request(&mut stream)?;
    stream.write_all(bytes)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Answers with these bytes before it was asked, as a server does that has no room.
fn unasked(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// Answers with these bytes, and closes the connection.
fn answer_and_close(mut stream: TcpStream, bytes: &[u8]) -> io::Result<()> {
    request(&mut stream)?;
    stream.write_all(bytes)
}

/// Answers with these bytes, and goes on with `more` for ever.
fn trickle(mut stream: TcpStream, bytes: &[u8], more: &[u8]) -> io::Result<()> {
    request(&mut stream)?;
    stream.write_all(bytes)?;
    loop {
        thread::sleep(Duration::from_millis(20));
        stream.write_all(more)?;
    }
}

/// The answer 101 with the `Sec-WebSocket-Accept` that the request asks for, and these headers.
fn switching(request: &str, headers: &str) -> String {
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let accept = BASE64.encode(Sha1::digest(format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap_or(""))));
    let start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    format!("{start}Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n")
}

/// Takes the connection, with these headers.
fn upgrade(mut stream: TcpStream, headers: &str) -> io::Result<()> {
    let request = request(&mut stream)?;
    stream.write_all(switching(&request, headers).as_bytes())?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// What a run says of such a server: it is no run, and each of the words is in its error.
fn refused(behaviour: Behaviour, limit: &str, words: &[&str]) {
    let url = format!("ws://127.0.0.1:{}/p?token=s3cr3t-of-mine", server(behaviour));
    let finished = loadgen(&["run", &url, "-c", "1", "-d", "1s", "-q", "--connect-timeout", limit]).wait();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{words:?}: {}", finished.stderr);
    let (_, cause) = finished.stderr.split_once("could be opened: ").unwrap_or_else(|| panic!("{}", finished.stderr));
    for words in words {
        assert!(cause.contains(words), "{words} is missing in: {cause}");
    }
    assert!(!cause.contains("s3cr3t"), "{cause}");
    assert!(cause.trim_end().chars().all(|c| !c.is_control()) && cause.len() < 600, "{cause:?}");
}

/// A limit that is not reached: what is known at once is said at once.
const NEVER: &str = "60s";

#[test]
fn whoever_writes_a_url_as_a_flag_is_told_where_it_stands() {
    for flags in
        [&["run", "--url", "ws://127.0.0.1:1/"][..], &["--url", "ws://127.0.0.1:1/"], &["compare", "--url=ws://h/"]]
    {
        let finished = loadgen(flags).wait();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{flags:?}: {}", finished.stderr);
        let said = finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("the server's URL is no flag: write 'loadgen run ws://HOST:PORT/'"), "{flags:?}: {said}");
        // As a value it would be no better.
        assert!(!said.contains("-- --url"), "{flags:?}: {said}");
    }
}

#[test]
fn a_status_is_named_whatever_its_body_does() {
    for (behaviour, words) in [
        (
            (|s| answer(s, b"HTTP/1.1 403 Forbidden\r\n\r\nnot from here\nreally")) as Behaviour,
            &["403 Forbidden", "\"not from here\"", "-H"][..],
        ),
        (
            |s| answer(s, b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
            &["403 Forbidden", "\"hello\""],
        ),
        (
            |s| {
                let head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 20027\r\n\r\naccess denied by policy 17\n";
                answer(s, &[&head[..], &[b'x'; 20_000]].concat())
            },
            &["403 Forbidden", "\"access denied by policy 17\""],
        ),
        (|s| trickle(s, b"HTTP/1.1 500 Oh\r\n\r\nit is", b" late"), &["500 Internal Server Error", "\"it is late"]),
        (|s| answer(s, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\n"), &["503 Service Unavailable"]),
        (
            |s| unasked(s, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
            &["503 Service Unavailable", "--connect-rate"],
        ),
        (
            |s| answer(s, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 12\r\n\r\n\x1b[2J\x07\xff bad"),
            &["400 Bad Request", "\"\\u{1b}[2J\\u{7}"],
        ),
        (
            |s| answer_and_close(s, b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server."),
            &["400 Bad Request", "to an HTTPS server"],
        ),
        (
            |mut s| {
                let request = request(&mut s)?;
                write!(s, "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nno {}", request.lines().next().unwrap())
            },
            &["404 Not Found", "no GET /p?***", "path"],
        ),
    ] {
        refused(behaviour, NEVER, words);
    }
}

#[test]
fn a_status_is_explained_with_its_headers() {
    for (behaviour, words) in [
        (
            (|s| {
                answer(
                    s,
                    b"HTTP/1.1 302 Found\r\nLocation: https://h/elsewhere?from=s3cr3t\r\nContent-Length: 0\r\n\r\n",
                )
            }) as Behaviour,
            &["302 Found", "redirects to https://h/elsewhere"][..],
        ),
        (
            |s| answer(s, b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"),
            &["401 Unauthorized", "WWW-Authenticate: Bearer", "-H 'Authorization"],
        ),
        (
            |s| answer(s, b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"),
            &["429 Too Many Requests", "Retry-After: 30", "--connect-rate"],
        ),
        (
            |s| answer(s, b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 8\r\n\r\ntoo many"),
            &["503 Service Unavailable", "Retry-After: 7", "\"too many\"", "--connect-rate"],
        ),
        (
            |s| {
                let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!DOCTYPE html>\n<title>Shop</title>";
                answer(s, page)
            },
            &["200 OK", "no WebSocket endpoint", "text/html", "<title>Shop</title>"],
        ),
        (
            |s| answer(s, b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"),
            &["426 Upgrade Required", "Upgrade: h2c"],
        ),
    ] {
        refused(behaviour, NEVER, words);
    }
}

#[test]
fn what_is_no_http_is_named() {
    for (behaviour, words) in [
        (
            (|mut s| {
                s.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")?;
                s.read_to_end(&mut Vec::new()).map(drop)
            }) as Behaviour,
            &["\"SSH-2.0-OpenSSH_9.2\\r\\n\"", "SSH server"][..],
        ),
        (|s| answer(s, b"-ERR unknown command 'GET'\r\n"), &["HTTP/1.1", "\"-ERR unknown command 'GET'\\r\\n\""]),
        (|s| answer_and_close(s, &[0x15, 0x03, 0x01, 0, 2, 2, 70]), &["TLS", "wss://"]),
        (|s| answer(s, &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]), &["HTTP/2", "HTTP/1.1"]),
        (|s| answer(s, b"HTTP/1.1 OK\r\n\r\n"), &["no valid HTTP", "\"HTTP/1.1 OK"]),
        (
            |mut s| {
                let request = request(&mut s)?;
                s.write_all(request.as_bytes())?;
                s.read_to_end(&mut Vec::new()).map(drop)
            },
            &["it sent back what it was sent", "expected tcp://"],
        ),
        (|s| answer(s, &[b"HTTP/1.1 200 OK\r\nX: ", &[b'x'; 100_000][..]].concat()), &["head", "too large"]),
        (|s| answer(s, ["HTTP/1.1 200 OK\r\n", &"X: y\r\n".repeat(200), "\r\n"].concat().as_bytes()), &["too large"]),
    ] {
        refused(behaviour, NEVER, words);
    }
}

#[test]
fn an_end_instead_of_an_answer_is_told_from_silence() {
    for (behaviour, limit, words) in [
        (
            (|s| answer_and_close(s, b"")) as Behaviour,
            NEVER,
            &["closed the connection", "without an answer", "TLS"][..],
        ),
        (
            |mut s| {
                request(&mut s)?;
                // What is closed with no time to linger is reset.
                socket2::SockRef::from(&s).set_linger(Some(Duration::ZERO))
            },
            NEVER,
            &["reset the connection", "without an answer"],
        ),
        (
            |s| answer_and_close(s, b"HTTP/1.1 101 Switching Protocols\r\nUpgr"),
            NEVER,
            &["in the middle of its answer", "\"HTTP/1.1 101 Switching Protocols\\r\\nUpgr\""],
        ),
        (|s| answer(s, b""), "300ms", &["took the connection", "sent nothing within 300ms", "--connect-timeout"]),
        (
            |s| trickle(s, b"HTTP/1.1 200 OK\r\n", b"X"),
            "300ms",
            &["did not come whole within 300ms", "HTTP/1.1 200 OK"],
        ),
    ] {
        refused(behaviour, limit, words);
    }
}

#[test]
fn a_server_that_closes_what_it_accepts_is_no_riddle() {
    // It may be seen as a reset, where the request was under way already.
    refused(|_| Ok(()), NEVER, &["the connection without an answer to the handshake"]);
}

#[test]
fn what_is_wrong_with_a_101_is_named() {
    for (behaviour, words) in [
        (
            (|s| answer(s, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
                as Behaviour,
            "no Sec-WebSocket-Accept",
        ),
        (
            |s| {
                let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
                answer(s, [head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"].concat().as_bytes())
            },
            "Sec-WebSocket-Accept is not the one",
        ),
        (
            |s| answer(s, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
            "no 'Upgrade",
        ),
        (|s| upgrade(s, "Sec-WebSocket-Extensions: permessage-deflate\r\n"), "extensions that were not offered"),
        (|s| upgrade(s, "Sec-WebSocket-Protocol: chat\r\n"), "subprotocol that was not offered: \"chat\""),
    ] {
        refused(behaviour, NEVER, &["handshake is wrong", words]);
    }
}

#[test]
fn a_server_that_says_something_else_each_time_does_not_fill_the_report() {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let port = server(|mut stream| {
        let request = request(&mut stream)?;
        if !request.to_ascii_lowercase().contains("sec-websocket-key") {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        let answer = match CONNECTIONS.fetch_add(1, Ordering::Relaxed) {
            number @ 0..30 => {
                let repeated = request.lines().next().unwrap();
                format!("HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\nid {number} {repeated}").into_bytes()
            }
            number @ 30..60 => format!("SSH-{number}\r\n").into_bytes(),
            number => {
                let reason = format!("\x1b[2J {number:03}");
                let close = [&[0x88, 2 + reason.len() as u8][..], &1001u16.to_be_bytes(), reason.as_bytes()];
                [switching(&request, "").as_bytes(), &close.concat()].concat()
            }
        };
        stream.write_all(&answer)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    let url = format!("ws://127.0.0.1:{port}/p?token=s3cr3t-of-mine");
    let brief = ["-d", "100ms", "--warmup", "0s", "--drain-timeout", "100ms", "--threads", "2", "--format", "json"];
    let report = loadgen(&[&["run", &url, "-c", "90"][..], &brief].concat()).json(&[1, 98]);
    let failures = report.0["failures"].as_object().unwrap();
    let times = |words: &str| -> Vec<u64> {
        let of_it = failures.iter().filter(|(why, _)| why.contains(words));
        of_it.map(|(_, times)| times.as_u64().unwrap()).collect()
    };
    for words in ["503 Service Unavailable", "did not answer in HTTP/1.1", "closed by the server with code 1001"] {
        assert_eq!(times(words).iter().sum::<u64>(), 30, "{failures:?}");
        assert!(times(words).len() < 10, "{failures:?}");
    }
    assert!(!report.0["failures"].to_string().contains("s3cr3t"), "{failures:?}");
    assert!(failures.keys().all(|why| !why.contains('\x1b')), "{failures:?}");
}
