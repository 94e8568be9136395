//! The handshake of TLS on an open connection, within the time that opening may take; what goes wrong in it, by cause.

use std::error::Error as _;
use std::io;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{ConnectError, Stream};
use crate::host::tls::{Client, Failure, Ready};
use crate::plan::Connect;

/// Makes the handshake, until the deadline.
///
/// # Errors
/// Says what went wrong.
pub async fn secure(
    stream: TcpStream,
    client: &Client,
    how: &Connect,
    deadline: Instant,
) -> Result<Stream, ConnectError> {
    match timeout_at(deadline, Ready::open(stream, client)).await {
        Err(_) => Err(ConnectError::TlsSilent(how.timeout)),
        Ok(Ok(ready)) => Ok(Stream::Tls(Box::new(ready))),
        Ok(Err(error)) => Err(match (failure(&error), error.kind()) {
            (Some(failure), _) => ConnectError::Tls(failure.0.clone()),
            (None, io::ErrorKind::UnexpectedEof) => ConnectError::TlsEnded { how: "closed" },
            (None, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                ConnectError::TlsEnded { how: "reset" }
            }
            (None, _) => ConnectError::Socket(error),
        }),
    }
}

/// What went wrong with TLS beneath HTTP, where that is why HTTP failed: what the server has against the handshake it may say
/// only once it is over.
pub fn beneath(error: &hyper::Error) -> Option<ConnectError> {
    let error = error.source()?.downcast_ref::<io::Error>()?;
    failure(error).map(|failure| ConnectError::Tls(failure.0.clone()))
}

fn failure(error: &io::Error) -> Option<&Failure> {
    error.get_ref()?.downcast_ref()
}
