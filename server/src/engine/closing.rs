//! The end of a connection: what is still to be sent is sent, and the peer is given time to read it.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::transport::Watched;

/// Sends `unsent`, whose end are its last words (a Close frame, or an HTTP response), ends this side of the stream, and
/// reads until the peer has ended its own, for `limit` at the most. A reply before them may be large: while the peer
/// takes some of it within every `limit`, it is waited for.
///
/// A socket closed with bytes unread is reset, and a reset destroys what the peer has not read yet: the Close frame
/// that says what was wrong. Hence whatever still comes is read and thrown away (RFC 6455, 7.1.1).
pub(crate) async fn close(mut stream: Watched, unsent: Vec<u8>, limit: Duration) {
    stream.stop_reading();
    if !send_all(&mut stream, unsent, limit).await {
        return;
    }
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
    // Here, too, it is the peer's business whether it went well.
    let _ = timeout(limit, farewell).await;
}

/// Sends `unsent`; false if that fails, or the peer takes nothing of it for `limit`: whether it went well is the peer's
/// business, and there is nobody left to tell.
pub(crate) async fn send_all(stream: &mut Watched, unsent: impl AsRef<[u8]>, limit: Duration) -> bool {
    let mut left = unsent.as_ref();
    while !left.is_empty() {
        match timeout(limit, stream.write(left)).await {
            Ok(Ok(count)) if count > 0 => left = &left[count..],
            _ => return false,
        }
    }
    true
}

/// Reads and throws away what is there, into a buffer that is not kept while the task waits.
fn discard(stream: &Watched) -> io::Result<usize> {
    stream.try_receive(&mut [0; DISCARD_BUFFER])
}

/// Bytes: as large as it must be to throw away quickly what a fast peer had under way.
const DISCARD_BUFFER: usize = 16 * 1024;

/// Bytes: more than the buffers of both sockets hold, so that a peer that listens has met the Close frame long before.
const DISCARDED_AT_MOST: usize = 64 << 20;
