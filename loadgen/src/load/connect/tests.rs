//! Handshakes with servers that answer in their own way; what `loadgen` says of wrong ones is in `tests/refusals.rs`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

use super::*;
use crate::plan::tests::plan;

/// Takes every connection of the listener, and answers its request with `answer`, in which `{accept}` stands for what the
/// key asks for.
pub(crate) fn answer_all(listener: TcpListener, answer: &'static str) {
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut request, mut byte) = (Vec::new(), [0]);
            // One that was only tried is closed without a request.
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let key = request.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
            });
            if let Some(key) = key {
                let accept = BASE64.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
                stream.write_all(answer.replace("{accept}", &accept).as_bytes()).unwrap();
            }
            held.push(stream);
        }
    });
}

/// A right answer.
pub(crate) const RIGHT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: {accept}\r\n\r\n";

fn open_with(answer: &'static str) -> Result<Connection, ConnectError> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("ws://{}/", listener.local_addr().unwrap()).parse().unwrap();
    answer_all(listener, answer);
    let mut how = plan().connect;
    how.timeout = Duration::from_secs(60);
    let addresses = Addresses::find(&url, &how, &AtomicBool::new(false)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(open(&url, &addresses, 0, &how)).map(|(connection, _)| connection)
}

#[test]
fn what_comes_behind_the_handshake_is_kept() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: {accept}\r\n\r\nframes";
    let connection = open_with(answer).unwrap();
    let mut came = connection.read_ahead;
    let Transport::Tcp(mut stream) = connection.stream else { panic!("{:?}", connection.stream) };
    stream.set_nonblocking(false).unwrap();
    while came.len() < 6 {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        came.push(byte[0]);
    }
    assert_eq!(came, b"frames");
    assert_eq!(stream.peer_addr().unwrap(), connection.address);
}

#[test]
fn provisional_answers_are_passed_over() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
        HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: {accept}\r\n\r\n";
    open_with(answer).unwrap();
    let error = open_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    assert!(error.unwrap_err().to_string().contains("answered 403 Forbidden"));
}
