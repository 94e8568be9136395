//! Servers that do wrong in chosen ways.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};
use wire::{Header, MAX_HEADER_LEN, OpCode, apply_mask};

/// What a server writes in answer to message number `n` of a connection; `held` is for what it keeps for
/// later; what is left there it echoes when a Ping of its own is answered.
pub type Behaviour = fn(n: usize, payload: Vec<u8>, held: &mut Vec<Vec<u8>>) -> Vec<u8>;

/// Starts a server that behaves so; returns its URL. It ends with the test.
pub fn server(behaviour: Behaviour) -> String {
    greeting_server(Vec::new(), behaviour).0
}

/// Starts a server that sends this right behind the handshake and then behaves so; returns its URL, and the payloads of the
/// Close frames that it gets.
pub fn greeting_server(greeting: Vec<u8>, behaviour: Behaviour) -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let (closed, closes) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (greeting, closed) = (greeting.clone(), closed.clone());
            // A connection ends with an error here whenever loadgen closes it first.
            thread::spawn(move || serve(stream?, &greeting, behaviour, &closed));
        }
        io::Result::Ok(())
    });
    (url, closes)
}

pub fn serve(
    mut stream: TcpStream,
    greeting: &[u8],
    behaviour: Behaviour,
    closed: &mpsc::Sender<Vec<u8>>,
) -> io::Result<()> {
    if shake_hands(&mut stream)?.is_none() {
        return Ok(());
    }
    stream.write_all(greeting)?;
    let (mut n, mut held) = (0, Vec::<Vec<u8>>::new());
    loop {
        match read_frame(&mut stream)? {
            (OpCode::Close, payload) => {
                // The test may look for none.
                let _ = closed.send(payload);
                return Ok(());
            }
            (OpCode::Pong, answer) => {
                assert_eq!(answer, PING);
                held.drain(..).try_for_each(|late| stream.write_all(&echo(&late)))?;
            }
            (_, payload) => {
                stream.write_all(&behaviour(n, payload, &mut held))?;
                n += 1;
            }
        }
    }
}

/// Answers a handshake: the path that was asked for; `None` where it is no handshake.
pub fn shake_hands(stream: &mut TcpStream) -> io::Result<Option<String>> {
    stream.set_nodelay(true)?;
    upgrade(stream)
}

/// The same on any stream.
pub fn upgrade(stream: &mut (impl Read + Write)) -> io::Result<Option<String>> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let Some(key) = key else {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        return Ok(None);
    };
    let accept = BASE64.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    Ok(request.split(' ').nth(1).map(str::to_owned))
}

/// What the server's Pings carry.
pub const PING: &[u8] = b"are you there?";

pub fn read_frame(stream: &mut impl Read) -> io::Result<(OpCode, Vec<u8>)> {
    let mut head = Vec::new();
    let header = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if let Some((header, _)) = Header::parse(&head).unwrap() {
            break header;
        }
    };
    let mut payload = vec![0; header.payload_len as usize];
    stream.read_exact(&mut payload)?;
    apply_mask(&mut payload, header.mask.expect("a client masks"));
    Ok((header.opcode, payload))
}

pub fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = Header { fin: true, rsv: 0, opcode, mask: None, payload_len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER_LEN];
    let len = header.encode(&mut head);
    [&head[..len], payload].concat()
}

pub fn echo(payload: &[u8]) -> Vec<u8> {
    frame(OpCode::Binary, payload)
}
