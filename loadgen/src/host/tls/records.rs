//! The records of one TLS connection. Its socket is somebody else's: every call is told how to receive or to send. What comes is
//! decrypted in the buffer that it was received into, several records at a time; what goes is encrypted into a buffer that
//! all connections of a thread share, and what the socket does not take of it is kept. An idle connection holds neither
//! plaintext nor ciphertext.
//!
//! rustls allocates once for each record that comes and once for each that goes; nothing here allocates beside that.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, ErrorKind};

use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{Error, HandshakeKind, ProtocolVersion};

use super::room::{append, fill};
use super::{Client, words};

/// One side of a TLS connection.
pub struct Records {
    connection: UnbufferedClientConnection,
    /// The beginning of a record whose rest has not come.
    kept: Vec<u8>,
    /// Ciphertext that the socket has not taken.
    unsent: Vec<u8>,
    /// Whether the server has ended its side as TLS asks for, so that nothing is missing.
    ended: bool,
    /// What was wrong behind plaintext that was read before it is told.
    failed: Option<io::Error>,
    /// Whether this side has nothing more to say: it has ended, or something was wrong, of which rustls must not hear again.
    over: bool,
}

/// What the handshake has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The version, as `1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher_suite: &'static str,
    /// Whether it resumed an earlier session.
    pub resumed: bool,
}

/// What went wrong with TLS itself, in words.
#[derive(Debug, thiserror::Error)]
#[error("TLS: {0}")]
pub struct Failure(pub String);

/// How far a handshake has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// The server is to send more.
    Waits,
    /// It is made. What the server has sent behind it is here, decrypted.
    Made(Vec<u8>),
}

impl Records {
    /// Begins the handshake; the first bytes of it wait to be [flushed](Records::flush).
    ///
    /// # Errors
    /// When rustls refuses what is to be offered.
    pub fn begin(client: &Client) -> io::Result<Self> {
        let connection = UnbufferedClientConnection::new(client.config.clone(), client.name.clone());
        let connection = connection.map_err(|error| failure(&error))?;
        let mut records =
            Self { connection, kept: Vec::new(), unsent: Vec::new(), ended: false, failed: None, over: false };
        records.process()?;
        Ok(records)
    }

    /// Receives once, and goes on with the handshake as far as it goes without more. What it has to say waits to be
    /// [flushed](Records::flush), also where it has failed.
    ///
    /// # Errors
    /// As `receive`; when the server ends the connection; when the handshake fails, in words.
    pub fn advance(&mut self, receive: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Progress> {
        let before = self.kept.len();
        self.kept.resize(before + HANDSHAKE_BYTES, 0);
        let came = receive(&mut self.kept[before..]);
        self.kept.truncate(before + *came.as_ref().unwrap_or(&0));
        match came? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => self.process(),
        }
    }

    fn process(&mut self) -> io::Result<Progress> {
        let mut ahead = Vec::new();
        loop {
            let UnbufferedStatus { discard, state, .. } = self.connection.process_tls_records(&mut self.kept);
            let mut progress = None;
            match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => append(&mut self.unsent, |room| data.encode(room))?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        ahead.extend_from_slice(record.map_err(|error| failure(&error))?.payload);
                    }
                }
                Ok(ConnectionState::BlockedHandshake) => progress = Some(Progress::Waits),
                Ok(ConnectionState::WriteTraffic(_)) => progress = Some(Progress::Made(std::mem::take(&mut ahead))),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(other) => return Err(stuck(&other)),
                Err(error) => {
                    let foreign = words::foreign(&self.kept);
                    self.alert();
                    return Err(foreign.map_or_else(|| failure(&error), |why| io::Error::other(Failure(why))));
                }
            }
            self.kept.drain(..discard);
            if let Some(progress) = progress {
                return Ok(progress);
            }
        }
    }

    /// What the handshake has settled, once it is made.
    pub fn settled(&self) -> Settled {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2",
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "unknown",
        };
        let suite = self.connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let resumed = self.connection.handshake_kind() == Some(HandshakeKind::Resumed);
        // rustls tells suites of TLS 1.3 apart by a prefix of its own (RFC 8446, B.4, has TLS_AES_128_GCM_SHA256).
        let cipher_suite = suite.map_or("unknown", |suite| match suite {
            "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
            "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
            "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
            other => other,
        });
        Settled { version, cipher_suite, resumed }
    }

    /// Receives until there is plaintext or nothing more has come; returns how many bytes of plaintext stand at the
    /// beginning of `into`, 0 at a clean end, and what `receive` said of what came last. Tickets and new keys are no data.
    /// `into` has room for [`LEAST_BUFFER`] bytes at least. What TLS has to say itself goes with the next write or flush.
    ///
    /// # Errors
    /// As `receive`; `Interrupted` where much has come that is no data; when the server ends TCP without having ended TLS, or
    /// sends what is none.
    pub fn read<T>(
        &mut self,
        into: &mut [u8],
        mut receive: impl FnMut(&mut [u8]) -> io::Result<(usize, T)>,
    ) -> io::Result<(usize, Option<T>)> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        for _ in 0..MOST_IDLE_READS {
            if self.ended {
                return Ok((0, None));
            }
            let begin = RECORD_BYTES + self.kept.len();
            let room = into.get_mut(begin..).filter(|room| !room.is_empty()).ok_or_else(too_long)?;
            let (came, of_it) = receive(room)?;
            if came == 0 {
                let why =
                    "the server ended the connection without TLS's close_notify: what it sent may have been cut short";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, Failure(why.to_owned())));
            }
            into[RECORD_BYTES..begin].copy_from_slice(&self.kept);
            let plain = self.decrypt(&mut into[..begin + came]);
            self.over |= plain.is_err() || self.failed.is_some();
            let plain = plain?;
            if plain > 0 {
                return Ok((plain, Some(of_it)));
            }
        }
        // More may have come, and others are to have their turn.
        Err(ErrorKind::Interrupted.into())
    }

    /// Decrypts what lies in `into` behind the room for one record; the plaintext is moved to its beginning, the beginning of
    /// a record that is not whole is kept. What is wrong is told once the plaintext before it has been.
    fn decrypt(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (mut at, mut out) = (RECORD_BYTES, 0);
        loop {
            let (plain, cipher) = into.split_at_mut(at);
            let UnbufferedStatus { discard, state, .. } = self.connection.process_tls_records(cipher);
            let mut done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let payload = record.map_err(|error| failure(&error))?.payload;
                        // There is: a record is longer than what is in it, and those before have been moved.
                        let room = plain.get_mut(out..out + payload.len()).ok_or_else(too_long)?;
                        room.copy_from_slice(payload);
                        out += payload.len();
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => append(&mut self.unsent, |room| data.encode(room))?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(ConnectionState::Closed) => (self.ended, done) = (true, true),
                Ok(ConnectionState::WriteTraffic(_)) => done = true,
                Ok(other) => return Err(stuck(&other)),
                Err(error) => {
                    self.kept.clear();
                    self.kept.extend_from_slice(&into[at..]);
                    self.alert();
                    let error = failure(&error);
                    if out == 0 {
                        return Err(error);
                    }
                    self.failed = Some(error);
                    return Ok(out);
                }
            }
            at += discard;
            if done {
                self.kept.clear();
                self.kept.extend_from_slice(&into[at..]);
                free_if_empty(&mut self.kept);
                return Ok(out);
            }
        }
    }

    /// Encrypts as much of `bytes` as one write may carry and sends it; what the socket does not take is kept, and is to be
    /// [flushed](Records::flush). Returns how many of `bytes` were taken.
    ///
    /// # Errors
    /// As `send`: `WouldBlock` where something kept from before still finds no room, so that nothing was taken.
    pub fn write(&mut self, bytes: &[u8], mut send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        self.flush(&mut send)?;
        let taken = &bytes[..bytes.len().min(MOST_PLAIN)];
        SCRATCH.with_borrow_mut(|scratch| {
            let length = self.encrypt(taken, scratch)?;
            let sent = match send(&scratch[..length]) {
                Ok(sent) => sent,
                // It is encrypted by now, and a record's number is used once.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
                Err(error) => return Err(error),
            };
            self.unsent.extend_from_slice(&scratch[sent..length]);
            Ok(taken.len())
        })
    }

    /// Sends what is kept; `Ok` once that is all.
    ///
    /// # Errors
    /// As `send`: `WouldBlock` where there is not room for all of it.
    pub fn flush(&mut self, mut send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match send(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        free_if_empty(&mut self.unsent);
        Ok(())
    }

    /// Whether something is to be flushed.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Whether nothing more can come: the server has ended its side of TLS, or broken it.
    pub fn has_ended(&self) -> bool {
        self.ended || self.failed.is_some()
    }

    /// Has this side end, as TLS asks for (RFC 8446, 6.1): its last word waits to be [flushed](Records::flush). It says so once,
    /// however often it is called.
    pub fn close(&mut self) {
        while !self.over {
            self.over = match self.connection.process_tls_records(&mut self.kept).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let _ = append(&mut self.unsent, |room| traffic.queue_close_notify(room));
                    true
                }
                // What rustls still has to say comes before it.
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.unsent, |room| data.encode(room)).is_err()
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                _ => true,
            };
        }
    }

    /// Whether the server has shown its certificate.
    pub fn has_certificate(&self) -> bool {
        self.connection.peer_certificates().is_some()
    }

    /// Gives back what only the handshake needed.
    pub fn shrink(&mut self) {
        self.kept.shrink_to_fit();
        self.unsent.shrink_to_fit();
    }

    /// Encrypts `plain`, behind what rustls has to say of its own; returns how much of `scratch` that takes.
    fn encrypt(&mut self, plain: &[u8], scratch: &mut Vec<u8>) -> io::Result<usize> {
        let mut length = 0;
        loop {
            // Of what is kept nothing is whole, so that nothing comes of it.
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut self.kept);
            match state.map_err(|error| failure(&error))? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return Ok(length + fill(scratch, length, |room| traffic.encrypt(plain, room))?);
                }
                ConnectionState::EncodeTlsData(mut data) => length += fill(scratch, length, |room| data.encode(room))?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.ended = true,
                ConnectionState::Closed => return Err(ErrorKind::BrokenPipe.into()),
                other => return Err(stuck(&other)),
            }
        }
    }

    /// Has the server be told why the connection ends.
    fn alert(&mut self) {
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = self.connection.process_tls_records(&mut self.kept).state
        {
            let _ = append(&mut self.unsent, |room| data.encode(room));
        }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("settled", &self.settled()).field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Gives back a large buffer of which nothing is needed any more.
fn free_if_empty(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT_EMPTY {
        *buffer = Vec::new();
    }
}

fn failure(error: &Error) -> io::Error {
    io::Error::other(Failure(words::of(error)))
}

/// What rustls asks for is nothing that a client meets.
fn stuck<D>(state: &ConnectionState<'_, '_, D>) -> io::Error {
    io::Error::other(Failure(format!("it has come to {state:?}, which no client can go on from")))
}

fn too_long() -> io::Error {
    io::Error::other(Failure(format!(
        "the server sent a message of the handshake that is longer than {LEAST_BUFFER} bytes"
    )))
}

thread_local! {
    /// What a thread encrypts into.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; MOST_PLAIN + MOST_PLAIN / 16]);
}

/// The most plaintext of one record (RFC 8446, 5.1). Plaintext of the first record that comes is moved into as much room before it.
const RECORD_BYTES: usize = 1 << 14;

/// The least buffer that is read into, in bytes: room for the plaintext of a record, for what is kept of the next one, and for
/// as much again of what comes.
pub const LEAST_BUFFER: usize = 64 << 10;

/// Plaintext encrypted at once at the most, 4 records: enough for one write to be worth its system call, and little where the
/// socket then takes none of it.
const MOST_PLAIN: usize = 4 * RECORD_BYTES;

/// Bytes of a buffer that may stay with a connection while nothing is in it: enough for what one small message leaves behind, and
/// little for each of many thousand connections.
const KEPT_EMPTY: usize = 4 << 10;

/// Reads without data after which others have their turn: a record takes a few of them at the most, and a server may send tickets
/// without end.
const MOST_IDLE_READS: usize = 64;

/// Bytes read at once during a handshake: a server's flight is 1 to 5 KB.
const HANDSHAKE_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests;
