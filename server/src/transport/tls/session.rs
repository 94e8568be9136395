//! One TLS connection after its handshake: its keys, the beginning of a record that is not whole, and what is encrypted and not
//! taken by the socket. The latter two are empty and unallocated almost always.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::BorrowedFd;

use rustix::net::{Shutdown, shutdown};
use rustls::server::UnbufferedServerConnection;

use super::records::{self, Progress};
use super::scratch::{self, PARTIAL_AT_MOST, RECEIVED_AT_MOST, SENT_AT_MOST, Scratch};
use crate::limits::budget::Charge;

/// What came of receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// So many bytes of plaintext.
    Plain(usize),
    /// Nothing that says anything yet; there may be more in the socket.
    Partial,
    /// Nothing: the socket has no more.
    Nothing,
    /// The end of the stream.
    End,
}

impl Received {
    /// As [`crate::transport::Stream::read`] tells it.
    pub(super) fn bytes(self) -> Option<usize> {
        match self {
            Self::Plain(bytes) => Some(bytes),
            Self::Partial | Self::Nothing => None,
            Self::End => Some(0),
        }
    }
}

/// A TLS connection without its socket.
pub(super) struct Session {
    connection: UnbufferedServerConnection,
    /// What has come of a record that is not whole.
    partial: Vec<u8>,
    /// What is encrypted; of this the first `sent` bytes are gone.
    unsent: Vec<u8>,
    sent: usize,
    /// The last byte of what was passed to [`Session::send`] is encrypted, and was not counted as sent.
    owes_byte: bool,
    /// Nothing more is to be read.
    ended: bool,
    /// close_notify, or an alert, is sent or among what is unsent.
    closed: bool,
    /// The peer broke a rule: nothing more may be sent but what is unsent.
    failed: bool,
    /// Much of what came said nothing: from now on little is received at once.
    wary: bool,
    /// What is counted of that.
    charge: Charge,
    /// Whether anything is to be counted here.
    counts: bool,
}

impl Session {
    /// A connection after its handshake, of which this beginning of a record has come.
    pub(super) fn new(connection: UnbufferedServerConnection, partial: Vec<u8>, charge: Charge) -> Self {
        Self {
            connection,
            partial,
            unsent: Vec::new(),
            sent: 0,
            owes_byte: false,
            ended: false,
            closed: false,
            failed: false,
            wary: false,
            charge,
            counts: false,
        }
    }

    /// Counts what is held for `--max-buffered` from now on, or leaves that to somebody else.
    pub(super) fn set_counts(&mut self, counts: bool) {
        self.counts = counts;
        self.count();
    }

    /// Nothing more is to be read: what has come is given up.
    pub(super) fn stop_reading(&mut self) {
        self.ended = true;
        if !self.holds_fragments() {
            self.partial = Vec::new();
        }
        self.count();
    }

    /// The peer has ended its side. What it said before is answered first; the socket is readable from now on, so that the end is
    /// come to.
    pub(super) fn end_behind_plain(&mut self, socket: BorrowedFd<'_>) {
        self.ended = true;
        self.partial = Vec::new();
        let _ = shutdown(socket, Shutdown::Read);
    }

    /// Whether rustls remembers where it stands in what is partial: records that are whole are kept only if they have the beginning
    /// of a handshake message.
    fn holds_fragments(&self) -> bool {
        match self.partial[..] {
            [_, _, _, high, low, ref payload @ ..] => payload.len() >= usize::from(u16::from_be_bytes([high, low])),
            _ => false,
        }
    }

    /// Receives what there is, `most` bytes at the most, and passes what it says to `take`: at most so many bytes and
    /// [`PARTIAL_AT_MOST`]. What it takes, and what it takes to answer, is added to `work` (nanoseconds, about).
    ///
    /// # Errors
    /// When the socket fails, or the peer breaks a rule of TLS: it has been told then.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        most: usize,
        work: &mut u64,
        take: impl FnMut(&[u8]),
    ) -> io::Result<Received> {
        if self.ended {
            return Ok(self.end(socket));
        }
        let before = self.partial.len();
        scratch::with(|Scratch { incoming, .. }| {
            let most = most.min(if self.wary { WARY_AT_MOST } else { RECEIVED_AT_MOST });
            let window = &mut incoming[before..before + most];
            let received = match rustix::io::read(socket, window).map_err(io::Error::from) {
                Ok(0) => {
                    // Whoever waits for more, such as a proxy, can tell by the log that it was cut short.
                    tracing::debug!("a TLS stream has ended without close_notify, {before} bytes into a record");
                    self.ended = true;
                    return Ok(Received::End);
                }
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Received::Partial),
                Err(error) => return Err(error),
            };
            incoming[..before].copy_from_slice(&self.partial);
            self.open(socket, &mut incoming[..before + received], work, take)
        })
    }

    /// Opens the whole records in `bytes` and keeps the beginning of one more.
    fn open(
        &mut self,
        socket: BorrowedFd<'_>,
        bytes: &mut [u8],
        work: &mut u64,
        take: impl FnMut(&[u8]),
    ) -> io::Result<Received> {
        let opened = records::open(&mut self.connection, bytes, &mut self.unsent, take);
        let progress = opened.map_err(|error| self.fail(socket, error.into()))?;
        let Progress { used, plain, records, closed } = progress;
        let silent = progress.silent(self.connection.protocol_version());
        *work += (1 + records) as u64 * RECORD_NS + used as u64 * NS_PER_BYTE + silent as u64 * SILENT_NS_PER_BYTE;
        self.wary |= silent > SILENT_AT_MOST;
        let rest = &bytes[used..];
        if closed {
            if plain > 0 {
                self.end_behind_plain(socket);
            } else {
                self.ended = true;
                self.partial = Vec::new();
            }
        } else if rest.len() > PARTIAL_AT_MOST {
            return Err(self.fail(socket, Failure::Partial(rest.len())));
        } else if rest.is_empty() {
            // Unallocated, unless something was there.
            self.partial = Vec::new();
        } else {
            self.partial = rest.to_vec();
        }
        if !self.unsent.is_empty() {
            // Nothing but answers to what may come after a handshake. If the socket does not take them they go before the
            // next reply.
            self.flush(socket)?;
        }
        self.count();
        Ok(match (plain, closed) {
            (0, true) => self.end(socket),
            (0, false) => Received::Partial,
            _ => Received::Plain(plain),
        })
    }

    /// Sends what can be sent now. All of it counts as sent only once the socket has taken all: until then a byte is left over,
    /// with which the caller comes back when the socket takes more.
    ///
    /// # Errors
    /// When the socket fails, or no more may be sent.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.failed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !self.unsent.is_empty() && !self.flush(socket)? {
            return Ok(0);
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total == 0 {
            return Ok(0);
        }
        let mut done = usize::from(std::mem::take(&mut self.owes_byte));
        scratch::with(|Scratch { gathered, outgoing, .. }| {
            while done < total && self.unsent.is_empty() {
                let plain = piece(slices, done, gathered);
                let sealed = records::seal(&mut self.connection, &mut self.partial, plain, outgoing);
                let sealed = sealed.map_err(|error| io::Error::other(error.to_string()))?;
                let taken = write(socket, &outgoing[..sealed])?;
                done += plain.len();
                if taken < sealed {
                    self.unsent = outgoing[taken..sealed].to_vec();
                    self.count();
                }
            }
            if !self.unsent.is_empty() && done == total {
                done -= 1;
                self.owes_byte = true;
            }
            Ok(done)
        })
    }

    /// Sends what is unsent; false if the socket does not take all of it.
    ///
    /// # Errors
    /// When the socket fails.
    pub(super) fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        self.sent += write(socket, &self.unsent[self.sent..])?;
        if self.sent < self.unsent.len() {
            return Ok(false);
        }
        (self.unsent, self.sent) = (Vec::new(), 0);
        self.count();
        Ok(true)
    }

    /// Puts close_notify behind what is unsent, once.
    pub(super) fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let mut notice = vec![0; NOTICE];
        // One that cannot be made is one that cannot be sent.
        if let Ok(length) = records::close(&mut self.connection, &mut self.partial, &mut notice) {
            self.unsent.extend_from_slice(&notice[..length]);
        }
    }

    /// Bytes of memory beside the keys.
    pub(super) fn held(&self) -> usize {
        self.partial.capacity() + self.unsent.capacity()
    }

    /// The end of the stream. A peer that has said that it ends it is told the same.
    fn end(&mut self, socket: BorrowedFd<'_>) -> Received {
        self.close();
        if !self.unsent.is_empty() {
            let _ = self.flush(socket);
        }
        Received::End
    }

    /// Tells the peer what it did wrong, as far as its socket takes it.
    fn fail(&mut self, socket: BorrowedFd<'_>, failure: Failure) -> io::Error {
        tracing::debug!("a TLS connection has failed: {failure}");
        (self.ended, self.closed, self.failed) = (true, true, true);
        let _ = self.flush(socket);
        io::Error::new(ErrorKind::InvalidData, failure)
    }

    /// Counts what is held now. Whether that passes the limit is looked at behind every turn.
    fn count(&mut self) {
        let held = if self.counts { self.held() } else { 0 };
        if held != self.charge.bytes() {
            self.charge.set(held);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("partial", &self.partial.len()).field("unsent", &self.unsent.len()).finish()
    }
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    #[error("{0} bytes of records that are not whole")]
    Partial(usize),
}

/// What is to be encrypted next, from byte `from` of all the slices on: where it lies, or gathered if that is in several places.
fn piece<'p>(slices: &'p [IoSlice<'_>], mut from: usize, gathered: &'p mut Vec<u8>) -> &'p [u8] {
    let mut rest = slices;
    while let [first, others @ ..] = rest
        && from >= first.len()
    {
        from -= first.len();
        rest = others;
    }
    match rest {
        [] => &[],
        [only] => &only[from..only.len().min(from + SENT_AT_MOST)],
        [first, ..] if first.len() - from >= SENT_AT_MOST => &first[from..from + SENT_AT_MOST],
        several => {
            gathered.clear();
            for slice in several {
                let room = SENT_AT_MOST - gathered.len();
                let bytes = &slice[std::mem::take(&mut from)..];
                gathered.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            gathered
        }
    }
}

/// Writes what the socket takes now.
fn write(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    match rustix::io::write(socket, bytes).map_err(io::Error::from) {
        Ok(written) => Ok(written),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Nanoseconds that a small record takes, about.
const RECORD_NS: u64 = 500;

/// Nanoseconds that a byte takes to be decrypted, and its answer to be encrypted, about.
const NS_PER_BYTE: u64 = 1;

/// Nanoseconds that a byte takes of a record that says nothing, about: a key update of 27 bytes takes 3,500.
const SILENT_NS_PER_BYTE: u64 = 130;

/// Bytes of records that say nothing among those received at once: some 38 key updates, which no client has use for. After that
/// the connection is received from in small pieces for as long as it lives. The 128 KiB that came first may have taken 17 ms.
const SILENT_AT_MOST: usize = 1 << 10;

/// Bytes that are received at once after that: 300 key updates, which take a millisecond, about.
const WARY_AT_MOST: usize = 8 << 10;

/// Bytes: more than close_notify takes.
const NOTICE: usize = 64;
