//! Records in, plaintext and records out: rustls' state machine, driven until it needs more. No sockets here.

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{Error, ProtocolVersion};

/// How far the records of a buffer have brought a connection.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes at the front of the buffer that are done with.
    pub(super) used: usize,
    /// Bytes of plaintext that came of them.
    pub(super) plain: usize,
    /// How many records had any.
    pub(super) records: usize,
    /// The peer has ended its side (close_notify).
    pub(super) closed: bool,
}

impl Progress {
    /// Bytes of records that say nothing, at least: of key updates, and of padding.
    pub(super) fn silent(&self, version: Option<ProtocolVersion>) -> usize {
        let around = if version == Some(ProtocolVersion::TLSv1_3) { AROUND_PLAIN_1_3 } else { AROUND_PLAIN_1_2 };
        self.used.saturating_sub(self.plain + self.records * around)
    }
}

/// Goes through the whole records in `bytes`: plaintext is passed to `take`, and what is to be sent because of them appended to
/// `out`.
///
/// # Errors
/// What the peer did wrong. The alert that it is owed is in `out`, and the connection must not be used any more.
pub(super) fn open(
    connection: &mut UnbufferedServerConnection,
    bytes: &mut [u8],
    out: &mut Vec<u8>,
    mut take: impl FnMut(&[u8]),
) -> Result<Progress, Error> {
    let mut progress = Progress::default();
    loop {
        let UnbufferedStatus { mut discard, state } = connection.process_tls_records(&mut bytes[progress.used..]);
        let mut over = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    progress.plain += record.payload.len();
                    progress.records += 1;
                    take(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, out)?,
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => progress.closed = true,
            Ok(_) => over = true,
            Err(error) => {
                // The alert. Only while there is something to send the connection does not look at the bytes once more.
                while connection.wants_write()
                    && let Ok(ConnectionState::EncodeTlsData(mut data)) =
                        connection.process_tls_records(&mut bytes[progress.used + discard..]).state
                {
                    encode(&mut data, out)?;
                }
                return Err(error);
            }
        }
        progress.used += discard;
        if over {
            return Ok(progress);
        }
    }
}

/// Encrypts `plain` into the beginning of `out`, which grows if it has to, with what else is to be sent before it; returns how
/// many bytes that takes. `partial` is what [`open`] has left of its buffer.
///
/// # Errors
/// Where the connection cannot send any more.
pub(super) fn seal(
    connection: &mut UnbufferedServerConnection,
    partial: &mut [u8],
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    write(connection, partial, out, |traffic, out| traffic.encrypt(plain, out))
}

/// The same for close_notify instead of any plaintext.
///
/// # Errors
/// As [`seal`].
pub(super) fn close(
    connection: &mut UnbufferedServerConnection,
    partial: &mut [u8],
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    write(connection, partial, out, |traffic, out| traffic.queue_close_notify(out))
}

fn write(
    connection: &mut UnbufferedServerConnection,
    partial: &mut [u8],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut Traffic<'_>, &mut [u8]) -> Result<usize, EncryptError>,
) -> Result<usize, Error> {
    loop {
        // What is partial has been looked at before and is passed since rustls may remember where it stands in it.
        let UnbufferedStatus { state, .. } = connection.process_tls_records(partial);
        let ConnectionState::WriteTraffic(mut traffic) = state? else {
            return Err(Error::General("the connection does not take anything to send".into()));
        };
        match write(&mut traffic, out) {
            Ok(written) => return Ok(written),
            Err(EncryptError::InsufficientSize(needed)) => out.resize(needed.required_size, 0),
            Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
        }
    }
}

/// Appends what rustls has to send itself.
fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) -> Result<(), Error> {
    let before = out.len();
    loop {
        match data.encode(&mut out[before..]) {
            Ok(written) => {
                out.truncate(before + written);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(needed)) => out.resize(before + needed.required_size, 0),
            Err(EncodeError::AlreadyEncoded) => return Ok(()),
        }
    }
}

type Traffic<'c> = WriteTraffic<'c, ServerConnectionData>;

/// Bytes that a record has beside its plaintext, at the most: header, nonce and tag of AES-GCM in TLS 1.2 (RFC 5288, 3).
const AROUND_PLAIN_1_2: usize = 5 + 8 + 16;

/// In TLS 1.3 (RFC 8446, 5.2): header, kind and tag. Were it more than that, short records could hide key updates.
const AROUND_PLAIN_1_3: usize = 5 + 1 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_records_hide_no_key_update() {
        // Four records of one byte behind a key update of five (RFC 8446, 4.6.3).
        let (of_byte, update) = (1 + AROUND_PLAIN_1_3, 5 + AROUND_PLAIN_1_3);
        let progress = Progress { used: 4 * of_byte + update, plain: 4, records: 4, closed: false };
        assert_eq!(progress.silent(Some(ProtocolVersion::TLSv1_3)), update);
        let progress = Progress { used: 4 * (1 + AROUND_PLAIN_1_2), plain: 4, records: 4, closed: false };
        assert_eq!(progress.silent(Some(ProtocolVersion::TLSv1_2)), 0);
    }
}
