//! Close frames, as a server sends them.

use wire::{CloseCode, Header, MAX_CONTROL_PAYLOAD, MAX_HEADER_LEN, OpCode};

/// Appends a Close frame with `code` and as much of `reason` as fits (RFC 6455, 5.5.1).
pub(crate) fn append(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut buffer = [0; MAX_CONTROL_PAYLOAD];
    append_payload(out, wire::close_payload(code, reason, &mut buffer));
}

/// Appends a Close frame with this payload.
pub(crate) fn append_payload(out: &mut Vec<u8>, payload: &[u8]) {
    let header = Header { fin: true, rsv: 0, opcode: OpCode::Close, mask: None, payload_len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER_LEN];
    let length = header.encode(&mut head);
    out.extend_from_slice(&head[..length]);
    out.extend_from_slice(payload);
}
