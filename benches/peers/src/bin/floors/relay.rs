//! Each message, sent on to all other connections: one prebuilt frame, one system call for each of them, one message after
//! the other. All connections are one room. What is no handshake is taken for whole masked data frames.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::sockets::Sockets;

pub fn serve(sockets: &mut Sockets, at: usize, bytes: &mut [u8]) {
    if sockets.joined(at) {
        frames(sockets, at, bytes);
    } else if let Some(key) = key(bytes) {
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        sockets.send(at, answer.as_bytes());
        sockets.join(at);
    } else {
        sockets.close(at, "its first bytes are no whole request for a WebSocket");
    }
}

/// The key of a whole request.
fn key(bytes: &[u8]) -> Option<&str> {
    let head = std::str::from_utf8(bytes.strip_suffix(b"\r\n\r\n")?).ok()?;
    let mut fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    fields.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).map(|(_, value)| value.trim())
}

/// Hands on every message.
fn frames(sockets: &mut Sockets, at: usize, mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        if bytes[0] & 0x0f == CLOSE {
            return sockets.leave(at);
        }
        let Some((header_len, payload_len)) = lengths(bytes) else {
            return sockets.close(at, "a frame came in parts");
        };
        let (frame, rest) = bytes.split_at_mut(header_len + payload_len);
        let key: [u8; 4] = frame[header_len - 4..header_len].try_into().expect("four bytes");
        frame[header_len..].iter_mut().zip(key.into_iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        // The same header without a key, right before the payload.
        frame.copy_within(..header_len - 4, 4);
        frame[5] &= !MASKED;
        sockets.send_to_others(at, &frame[4..]);
        bytes = rest;
    }
}

/// The lengths of the header and of the payload of a masked frame that is there as a whole.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let (header_len, payload_len) = match bytes.get(1)? & !MASKED {
        126 => (8, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into()),
        127 => (14, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (6, short.into()),
    };
    (bytes.len() >= payload_len.saturating_add(header_len)).then_some((header_len, payload_len))
}

/// RFC 6455, 5.2: the opcode of a Close frame, and the bit that says that a payload is masked.
const CLOSE: u8 = 8;
const MASKED: u8 = 0x80;
