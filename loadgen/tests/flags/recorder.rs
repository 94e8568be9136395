//! A server that keeps what it is sent: the head of each handshake, where it came from, and every message. It echoes each
//! message and takes the first subprotocol that is offered.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest as _, Sha1};
use wire::OpCode;

use crate::servers::{frame, read_frame};

/// It ends with the test.
pub struct Recorder {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A connection with a whole handshake.
#[derive(Debug, Clone)]
pub struct Seen {
    pub peer: SocketAddr,
    /// The request, up to the empty line.
    pub head: String,
    pub messages: Vec<(OpCode, Vec<u8>)>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                // A connection ends with an error here where loadgen closes it first.
                thread::spawn(move || serve(stream?, &kept));
            }
            io::Result::Ok(())
        });
        Self { url, seen }
    }

    /// What has come by now, by connection in the order of their handshakes.
    pub fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap()
    }

    /// Every message that has come by now.
    pub fn messages(&self) -> Vec<(OpCode, Vec<u8>)> {
        self.seen().iter().flat_map(|seen| seen.messages.clone()).collect()
    }
}

impl Seen {
    /// The values of a header, in order.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Seen>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let seen = Seen { peer: stream.peer_addr()?, head, messages: Vec::new() };
    let Some(&key) = seen.header("sec-websocket-key").first() else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let accept = BASE64.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    let chosen = seen.header("sec-websocket-protocol").first().and_then(|offered| offered.split(", ").next());
    let chosen = chosen.map(|chosen| format!("Sec-WebSocket-Protocol: {chosen}\r\n")).unwrap_or_default();
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let answer = format!("{answer}Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n");
    let mine = {
        let mut kept = kept.lock().unwrap();
        kept.push(seen);
        kept.len() - 1
    };
    stream.write_all(answer.as_bytes())?;
    loop {
        match read_frame(&mut stream)? {
            (OpCode::Close, _) => return Ok(()),
            (opcode, payload) => {
                let reply = frame(opcode, &payload);
                kept.lock().unwrap()[mine].messages.push((opcode, payload));
                stream.write_all(&reply)?;
            }
        }
    }
}
