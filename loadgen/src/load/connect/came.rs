//! What came from a server that did not answer the handshake as HTTP asks for: kept from the stream as it is read, and put
//! in words.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::refusal::{self, Query};
use super::{ConnectError, Stream};
use crate::measure::failures::{printable, shortened};

/// A stream that keeps the beginning of what it reads.
#[derive(Debug)]
pub struct Tap {
    stream: Stream,
    came: Arc<Mutex<Came>>,
}

/// What has been read so far.
#[derive(Debug, Default, Clone)]
pub struct Came {
    beginning: Vec<u8>,
    closed: bool,
    reset: bool,
    over_tls: bool,
}

impl Tap {
    /// The stream, and what will have come from it.
    pub fn new(stream: Stream) -> (Self, Arc<Mutex<Came>>) {
        let over_tls = matches!(stream, Stream::Tls(_));
        let came = Arc::new(Mutex::new(Came { over_tls, ..Came::default() }));
        (Self { stream, came: Arc::clone(&came) }, came)
    }

    /// The stream alone.
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    fn note(&self, note: impl FnOnce(&mut Came)) {
        note(&mut self.came.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn note_error<T>(&self, result: &io::Result<T>) {
        if result.as_ref().is_err_and(|error| RESET.contains(&error.kind())) {
            self.note(|came| came.reset = true);
        }
    }
}

impl Came {
    /// What has come by now.
    pub fn by_now(came: &Mutex<Self>) -> Self {
        came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.beginning.is_empty()
    }

    /// The beginning in words, between quotation marks.
    pub fn words(&self, query: &Query<'_>) -> String {
        let text = String::from_utf8_lossy(&self.beginning);
        format!("\"{}\"", shortened(&printable(&query.mask(&text)), MOST_SHOWN))
    }

    /// Why the handshake failed with this `error`.
    pub fn explain(&self, error: hyper::Error, query: &Query<'_>) -> ConnectError {
        if error.is_parse_too_large() {
            return ConnectError::TooLarge;
        }
        // An answer that came before the request was sent has no request of hyper's to belong to.
        if !error.is_parse()
            && let Some(status) = self.status()
        {
            return ConnectError::Refused { status, words: refusal::advice(status) };
        }
        let http = self.beginning.starts_with(HTTP) || HTTP.starts_with(&self.beginning);
        match (self.is_empty(), http) {
            (true, _) if self.reset => ConnectError::Ended { how: "reset", hint: self.hint() },
            (true, _) if self.closed => ConnectError::Ended { how: "closed", hint: self.hint() },
            (true, _) => ConnectError::Http(error),
            (false, true) if self.closed || self.reset => ConnectError::CutShort { began: self.words(query) },
            (false, true) => ConnectError::Malformed { source: error, began: self.words(query) },
            (false, false) => ConnectError::Foreign { what: self.foreign(query) },
        }
    }

    /// The status of a whole head that is no 101.
    fn status(&self) -> Option<StatusCode> {
        let whole = self.beginning.windows(4).any(|end| end == b"\r\n\r\n");
        let digits = self.beginning.strip_prefix(HTTP)?.get(2..5).filter(|_| whole)?;
        StatusCode::from_bytes(digits).ok().filter(|status| *status != StatusCode::SWITCHING_PROTOCOLS)
    }

    /// What the port may be for that has given no answer.
    fn hint(&self) -> &'static str {
        if self.over_tls { "not be for HTTP" } else { "be for TLS (wss://), or not for HTTP" }
    }

    /// What it is that is no HTTP/1.
    fn foreign(&self, query: &Query<'_>) -> String {
        let tls = "TLS; its port is for wss://, expected that in place of ws://";
        match self.beginning.as_slice() {
            // A record of an alert or a handshake (RFC 8446, 5.1).
            [0x15 | 0x16, 0x03, ..] => tls.to_owned(),
            // A SETTINGS or GOAWAY frame of the connection itself (RFC 9113, 4.1).
            [0, _, _, 0x04 | 0x07, _, 0, 0, 0, 0, ..] => HTTP2.to_owned(),
            bytes if bytes.starts_with(b"PRI * HTTP/2") || bytes.starts_with(b"HTTP/2") => HTTP2.to_owned(),
            bytes if bytes.starts_with(b"GET /") => {
                "back what it was sent, as a TCP echo server does; expected tcp:// in place of ws:// for one".to_owned()
            }
            bytes if bytes.starts_with(b"SSH-") => format!("{}, so it is an SSH server", self.words(query)),
            _ => self.words(query),
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.note_error(&result);
        let new = &buf.filled()[before..];
        self.note(|came| {
            let room = MOST_KEPT - came.beginning.len();
            came.beginning.extend_from_slice(&new[..new.len().min(room)]);
            came.closed |= result.is_ok() && new.is_empty();
        });
        Poll::Ready(result)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.note_error(&result);
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.note_error(&result);
        Poll::Ready(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Errors of a connection that the peer has ended without waiting for what was under way.
const RESET: [io::ErrorKind; 3] =
    [io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionAborted, io::ErrorKind::BrokenPipe];

/// What an answer begins with that can be read here.
const HTTP: &[u8] = b"HTTP/1.";

/// What is said of a server that speaks it.
const HTTP2: &str = "HTTP/2 without TLS, and a WebSocket handshake is HTTP/1.1";

/// Bytes kept of what came: more than is shown, so that what may not be shown is recognized.
const MOST_KEPT: usize = 1024;

/// Characters shown of them: a banner or a status line.
const MOST_SHOWN: usize = 80;
