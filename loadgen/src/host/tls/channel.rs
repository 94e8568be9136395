//! A TLS connection on a socket of its own, as a lane reads and writes it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use super::records::Records;

/// A TLS connection whose handshake is made.
#[derive(Debug)]
pub struct Channel {
    stream: TcpStream,
    records: Records,
}

impl Channel {
    pub(super) fn new(stream: TcpStream, records: Records) -> Self {
        let channel = Self { stream, records };
        channel.show_end();
        channel
    }

    pub(super) fn into_parts(self) -> (TcpStream, Records) {
        (self.stream, self.records)
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads as `Records::read`, with `receive` from the socket.
    ///
    /// # Errors
    /// As `Records::read`.
    pub fn read_by<T>(
        &mut self,
        into: &mut [u8],
        receive: impl Fn(&TcpStream, &mut [u8]) -> io::Result<(usize, T)>,
    ) -> io::Result<(usize, Option<T>)> {
        let Self { stream, records } = self;
        let read = records.read(into, |room| receive(stream, room));
        self.show_end();
        read
    }

    /// Where the server has ended TLS, nothing can come any more, even if it leaves TCP open: the socket becomes readable for good, so
    /// that whoever waits for it reads the end at once, also where it came together with data.
    fn show_end(&self) {
        if self.records.has_ended() {
            // An error means that TCP has ended, which makes it readable too.
            let _ = self.stream.shutdown(Shutdown::Read);
        }
    }

    /// Reads what has come; 0 at the end.
    ///
    /// # Errors
    /// As `Records::read`.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (plain, _) = self.read_by(into, |mut stream, room| stream.read(room).map(|came| (came, ())))?;
        Ok(plain)
    }

    /// Writes, and keeps what the socket does not take.
    ///
    /// # Errors
    /// As `Records::write`.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { stream, records } = self;
        records.write(bytes, |ciphertext| stream.write(ciphertext))
    }

    /// Writes what is kept.
    ///
    /// # Errors
    /// As `Records::flush`.
    pub fn flush(&mut self) -> io::Result<()> {
        let Self { stream, records } = self;
        records.flush(|ciphertext| stream.write(ciphertext))
    }

    /// Ends this side, as TLS asks for. Nothing depends on whether it gets through: the socket is closed next.
    pub fn close(&mut self) {
        self.records.close();
        let _ = self.flush();
    }
}
