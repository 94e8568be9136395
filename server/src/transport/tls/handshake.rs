//! The TLS handshake of an accepted connection.

use std::io::{self, ErrorKind};
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
    while connection.is_handshaking() {
        if incoming.len() >= PARTIAL_AT_MOST {
            return Err(refused(socket, Vec::new(), &"the handshake is too large"));
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
            Ok(Progress { used, closed: false, .. }) => drop(incoming.drain(..used)),
            Ok(_) => return Err(refused(socket, out, &"it is closed by its peer")),
            Err(error) => return Err(refused(socket, out, &error)),
        }
        if let Err(error) = socket.write_all(&out).await {
            return Err(refused(socket, Vec::new(), &error));
        }
    }
    incoming.shrink_to_fit();
    let session = Box::new(Session::new(*connection, incoming, Charge::new(share)));
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
