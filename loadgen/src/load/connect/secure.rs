//! The handshake of TLS on an open connection, within the time that opening may take; what goes wrong in it, by cause.

use std::error::Error as _;
use std::io;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{ConnectError, Stream};
use crate::host::tls::{Client, EndedAfterCertificate, Failure, Ready};
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
        Ok(Err(error)) => {
            let hint = hint(&error, client);
            Err(match (failure(&error), error.kind()) {
                (Some(failure), _) => ConnectError::Tls(failure.0.clone()),
                (None, io::ErrorKind::UnexpectedEof) => ConnectError::TlsEnded { how: "closed", hint },
                (None, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                    ConnectError::TlsEnded { how: "reset", hint }
                }
                (None, _) => ConnectError::Socket(error),
            })
        }
    }
}

/// Why a server may have ended the connection in the handshake.
fn hint(error: &io::Error, client: &Client) -> &'static str {
    let after_certificate = error.get_ref().is_some_and(|inner| inner.is::<EndedAfterCertificate>());
    match (after_certificate, client.has_shown_its_certificate()) {
        (false, _) => "its port may not be for TLS (ws://), or it takes no more connections",
        (true, false) => {
            "it takes no more connections, or wants a certificate of the client's (--client-cert, --client-key)"
        }
        (true, true) => "it may not take the certificate of --client-cert, or it takes no more connections",
    }
}

/// What went wrong with TLS beneath HTTP, where that is why HTTP failed: what the server has against the handshake it may say
/// only once it is over. `unanswered` where no byte of an answer had come.
pub fn beneath(error: &hyper::Error, unanswered: bool) -> Option<ConnectError> {
    let error = error.source()?.downcast_ref::<io::Error>()?;
    let words = failure(error)?.0.clone();
    let cut = unanswered && error.kind() == io::ErrorKind::UnexpectedEof;
    Some(if cut { ConnectError::TlsCut(words) } else { ConnectError::Tls(words) })
}

fn failure(error: &io::Error) -> Option<&Failure> {
    error.get_ref()?.downcast_ref()
}
