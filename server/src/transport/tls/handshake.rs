//! The TLS handshake of an accepted connection.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::identity::Identity;
use super::records::{self, Progress};
use super::scratch::PARTIAL_AT_MOST;
use super::session::Session;
use super::watched::WatchedTls;
use crate::limits::budget::{Charge, Share};
use crate::transport::Watched;

/// A connection that is not to go on.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) stream: Watched,
    /// What its peer is to be told before it is closed: the bytes of an alert, or nothing.
    pub(crate) alert: Vec<u8>,
    pub(crate) reason: String,
}

/// Agrees on keys with the peer of a plain connection. What the connection holds from then on is counted in `share`.
///
/// # Errors
/// When the peer breaks a rule, or agrees on nothing, or the socket fails. How long it may take is for the caller to say.
pub(crate) async fn shake_hands(stream: Watched, identity: &Identity, share: &Arc<Share>) -> Result<Watched, Refused> {
    let Watched::Tcp(mut socket) = stream else { return Ok(stream) };
    let refused = |stream, alert, reason: &dyn ToString| Refused {
        stream: Watched::Tcp(stream),
        alert,
        reason: reason.to_string(),
    };
    let mut connection = match UnbufferedServerConnection::new(identity.current()) {
        Ok(connection) => Box::new(connection),
        Err(error) => return Err(refused(socket, Vec::new(), &error)),
    };
    let (mut incoming, mut plain) = (Vec::new(), Vec::new());
    let (mut ended, mut answered) = (false, false);
    while connection.is_handshaking() {
        if incoming.len() >= PARTIAL_AT_MOST {
            // Once keys are agreed on rustls alone could send an alert, and it has found nothing wrong.
            let alert = if answered { Vec::new() } else { DECODE_ERROR.to_vec() };
            return Err(refused(socket, alert, &"the handshake is too large"));
        }
        let received = match receive(&socket, &mut incoming).await {
            Ok(0) => Err(io::Error::from(ErrorKind::UnexpectedEof)),
            received => received,
        };
        if let Err(error) = received {
            return Err(refused(socket, Vec::new(), &error));
        }
        let mut out = Vec::new();
        let opened = records::open(&mut connection, &mut incoming, &mut out, |bytes| plain.extend_from_slice(bytes));
        match opened {
            Ok(Progress { closed: true, .. }) if connection.is_handshaking() => {
                return Err(refused(socket, out, &"it is closed by its peer"));
            }
            Ok(Progress { used, closed, .. }) => {
                incoming.drain(..used);
                ended = closed;
            }
            Err(error) => {
                if out.is_empty() && !answered && matches!(error, rustls::Error::InvalidMessage(_)) {
                    // rustls has none for a hello over 64 KiB.
                    out.extend_from_slice(&DECODE_ERROR);
                }
                return Err(refused(socket, out, &error));
            }
        }
        answered |= !out.is_empty();
        if let Err(error) = socket.write_all(&out).await {
            return Err(refused(socket, Vec::new(), &error));
        }
    }
    incoming.shrink_to_fit();
    let mut session = Box::new(Session::new(*connection, incoming, Charge::new(share)));
    if ended {
        // What was asked before the end is answered.
        session.end_behind_plain(socket.as_fd());
    }
    Ok(Watched::Tls(Box::new(WatchedTls::new(socket, session).with_plain(plain))))
}

/// Waits for the next bytes and puts them behind those in `incoming`. While nothing comes there is no room made for it.
async fn receive(socket: &TcpStream, incoming: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        socket.readable().await?;
        match receive_now(socket, incoming) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            received => return received,
        }
    }
}

fn receive_now(socket: &TcpStream, incoming: &mut Vec<u8>) -> io::Result<usize> {
    let mut window = [0; PIECE];
    let room = window.len().min(PARTIAL_AT_MOST - incoming.len());
    let received = socket.try_read(&mut window[..room])?;
    incoming.extend_from_slice(&window[..received]);
    Ok(received)
}

/// Bytes: more than most clients say at a time.
const PIECE: usize = 4 << 10;

/// A fatal alert, not encrypted: a length that is out of range (RFC 8446, 6.2).
const DECODE_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 50];
