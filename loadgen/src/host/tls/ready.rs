//! A TLS connection as a stream that waits with tokio: for its handshake, and for what is spoken on it until its messages begin.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Client;
use super::channel::Channel;
use super::records::{LEAST_BUFFER, Progress, Records, Settled};

/// The handshake came to an end of the connection after the server had shown its certificate, so that it does speak TLS.
#[derive(Debug, thiserror::Error)]
#[error("the connection ended after the server had shown its certificate")]
pub struct EndedAfterCertificate;

/// A TLS connection whose handshake is made.
#[derive(Debug)]
pub struct Ready {
    stream: TcpStream,
    records: Records,
    /// Plaintext that was read and not taken.
    rest: Vec<u8>,
}

impl Ready {
    /// Makes the handshake on an open connection.
    ///
    /// # Errors
    /// As `Records::advance`.
    pub async fn open(stream: TcpStream, client: &Client) -> io::Result<Self> {
        let mut records = Records::begin(client)?;
        loop {
            flush(&mut records, &stream).await?;
            stream.readable().await?;
            match records.advance(|room| stream.try_read(room)) {
                Ok(Progress::Waits) => {}
                Ok(Progress::Made(ahead)) => {
                    flush(&mut records, &stream).await?;
                    records.shrink();
                    return Ok(Self { stream, records, rest: ahead });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    // The server is told, if that goes without waiting.
                    let _ = records.flush(|ciphertext| stream.try_write(ciphertext));
                    return Err(match error.kind() {
                        kind if error.get_ref().is_none() && records.has_certificate() => {
                            io::Error::new(kind, EndedAfterCertificate)
                        }
                        _ => error,
                    });
                }
            }
        }
    }

    /// A connection that was a lane's.
    ///
    /// # Errors
    /// When the kernel refuses to watch it.
    pub fn of(channel: Channel) -> io::Result<Self> {
        let (stream, records) = channel.into_parts();
        Ok(Self { stream: TcpStream::from_std(stream)?, records, rest: Vec::new() })
    }

    /// What the handshake has settled.
    pub fn settled(&self) -> Settled {
        self.records.settled()
    }

    /// The connection for a lane, and what was read of it and not taken.
    ///
    /// # Errors
    /// When it cannot be taken from tokio.
    pub fn into_channel(self) -> io::Result<(Channel, Vec<u8>)> {
        Ok((Channel::new(self.stream.into_std()?, self.records), self.rest))
    }
}

async fn flush(records: &mut Records, stream: &TcpStream) -> io::Result<()> {
    while records.has_unsent() {
        stream.writable().await?;
        match records.flush(|ciphertext| stream.try_write(ciphertext)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            flushed => return flushed,
        }
    }
    Ok(())
}

impl AsyncRead for Ready {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, records, rest } = self.get_mut();
        if !rest.is_empty() {
            let taken = into.remaining().min(rest.len());
            into.put_slice(&rest[..taken]);
            rest.drain(..taken);
            return Poll::Ready(Ok(()));
        }
        loop {
            // Of what is known the socket tells nothing.
            if !records.has_ended() {
                ready!(stream.poll_read_ready(cx))?;
            }
            let read: io::Result<()> = BUFFER.with_borrow_mut(|buffer| {
                let (came, _) = records.read(buffer, |room| stream.try_read(room).map(|came| (came, ())))?;
                let (taken, left) = buffer[..came].split_at(into.remaining().min(came));
                into.put_slice(taken);
                rest.extend_from_slice(left);
                Ok(())
            });
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                read => return Poll::Ready(read),
            }
        }
    }
}

thread_local! {
    /// What the connections of a thread are read into, since thousands may be opened at the same time.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LEAST_BUFFER]);
}

impl AsyncWrite for Ready {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, records, .. } = self.get_mut();
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match records.write(bytes, |ciphertext| stream.try_write(ciphertext)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, records, .. } = self.get_mut();
        while records.has_unsent() {
            ready!(stream.poll_write_ready(cx))?;
            match records.flush(|ciphertext| stream.try_write(ciphertext)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                flushed => return Poll::Ready(flushed),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.records.close();
        Pin::new(this).poll_flush(cx)
    }
}
