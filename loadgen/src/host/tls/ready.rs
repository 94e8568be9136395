//! A TLS connection as a stream that waits with tokio: for its handshake, and for what is spoken on it until its messages begin.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Client;
use super::channel::Channel;
use super::records::{LEAST_BUFFER, Progress, Records, Settled};

/// A TLS connection whose handshake is made.
#[derive(Debug)]
pub struct Ready {
    stream: TcpStream,
    records: Records,
    buffer: Vec<u8>,
    /// Where in the buffer the plaintext lies that was not taken.
    begin: usize,
    end: usize,
}

impl Ready {
    /// Makes the handshake on an open connection.
    ///
    /// # Errors
    /// As [`Records::advance`].
    pub async fn open(stream: TcpStream, client: &Client) -> io::Result<Self> {
        let mut records = Records::begin(client)?;
        loop {
            flush(&mut records, &stream).await?;
            stream.readable().await?;
            match records.advance(|room| stream.try_read(room)) {
                Ok(Progress::Waits) => {}
                Ok(Progress::Made(ahead)) => {
                    flush(&mut records, &stream).await?;
                    return Ok(Self::new(stream, records, ahead));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    // The server is told, if that goes without waiting.
                    let _ = records.flush(|ciphertext| stream.try_write(ciphertext));
                    return Err(error);
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
        Ok(Self::new(TcpStream::from_std(stream)?, records, Vec::new()))
    }

    fn new(stream: TcpStream, records: Records, ahead: Vec<u8>) -> Self {
        let end = ahead.len();
        Self { stream, records, buffer: ahead, begin: 0, end }
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
        let rest = self.buffer[self.begin..self.end].to_vec();
        Ok((Channel::new(self.stream.into_std()?, self.records), rest))
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
        let Self { stream, records, buffer, begin, end } = self.get_mut();
        while begin == end {
            buffer.resize(buffer.len().max(LEAST_BUFFER), 0);
            ready!(stream.poll_read_ready(cx))?;
            match records.read(buffer, |room| stream.try_read(room).map(|came| (came, ()))) {
                Ok((0, _)) => return Poll::Ready(Ok(())),
                Ok((came, _)) => (*begin, *end) = (0, came),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let taken = into.remaining().min(*end - *begin);
        into.put_slice(&buffer[*begin..*begin + taken]);
        *begin += taken;
        Poll::Ready(Ok(()))
    }
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
