//! The last words of a connection: Close frames, and the wait for the peer to have read them.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use wire::{CloseCode, Header, MAX_CONTROL_PAYLOAD, MAX_HEADER_LEN, OpCode};

use crate::transport::Watched;

/// Appends a Close frame with `code` and as much of `reason` as fits (RFC 6455, 5.5.1).
pub(crate) fn append_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut buffer = [0; MAX_CONTROL_PAYLOAD];
    let payload = wire::close_payload(code, reason, &mut buffer);
    let header = Header { fin: true, rsv: 0, opcode: OpCode::Close, mask: None, payload_len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER_LEN];
    let length = header.encode(&mut head);
    out.extend_from_slice(&head[..length]);
    out.extend_from_slice(payload);
}

/// Sends `unsent`, whose end is a Close frame, ends this side of the stream, and reads until the peer has ended its
/// own, for `limit` at the most. The reply before the Close frame may be large: while the peer takes some of it within
/// every `limit`, it is waited for.
///
/// A socket closed with bytes unread is reset, and a reset destroys what the peer has not read yet: the Close frame
/// that says what was wrong. Hence whatever still comes is read and thrown away (RFC 6455, 7.1.1).
pub(crate) async fn close(mut stream: Watched, unsent: Vec<u8>, limit: Duration) {
    let mut sent = 0;
    while sent < unsent.len() {
        match timeout(limit, stream.write(&unsent[sent..])).await {
            Ok(Ok(count)) if count > 0 => sent += count,
            // Whether it went well is the peer's business: there is nobody left to tell.
            _ => return,
        }
    }
    drop(unsent);
    let farewell = async {
        stream.shutdown().await?;
        let mut discarded = 0;
        while discarded < DISCARDED_AT_MOST {
            stream.readable().await?;
            match discard(&stream) {
                Ok(0) => break,
                Ok(count) => discarded += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    // As above.
    let _ = timeout(limit, farewell).await;
}

/// Reads and throws away what is there, into a buffer that nobody keeps while he waits.
fn discard(stream: &Watched) -> io::Result<usize> {
    stream.try_read(&mut [0; DISCARD_BUFFER])
}

/// Bytes: as large as it must be to throw away quickly what a fast peer had under way.
const DISCARD_BUFFER: usize = 16 * 1024;

/// Bytes: more than the buffers of both sockets hold, so that a peer that listens has met the Close frame long before.
const DISCARDED_AT_MOST: usize = 64 << 20;
