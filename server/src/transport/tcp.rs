//! Plain TCP: each read, write and hint is one system call on a socket that does not block.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use socket2::SockRef;

/// See [`super::Stream::read`].
#[inline]
pub(super) fn read(mut stream: &TcpStream, window: &mut [u8]) -> io::Result<Option<usize>> {
    settle(stream.read(window))
}

/// See [`super::Stream::read_behind`].
#[allow(unsafe_code)]
pub(super) fn read_behind(stream: &TcpStream, buffer: &mut Vec<u8>, most: usize) -> io::Result<Option<usize>> {
    let length = buffer.len();
    let room = buffer.spare_capacity_mut();
    let most = room.len().min(most);
    let Some(received) =
        settle(rustix::io::read(stream, &mut room[..most]).map_err(io::Error::from).map(|(read, _)| read.len()))?
    else {
        return Ok(None);
    };
    // SAFETY: what was received is the beginning of the spare capacity, hence it lies right behind the first `length` bytes and
    // within the capacity, and the read has initialized all of it.
    unsafe { buffer.set_len(length + received) };
    Ok(Some(received))
}

/// See [`super::Stream::send`].
#[inline]
pub(super) fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(settle(stream.write(bytes))?.unwrap_or(0))
}

/// See [`super::Stream::send_vectored`].
pub(super) fn send_vectored(mut stream: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(settle(stream.write_vectored(slices))?.unwrap_or(0))
}

/// See [`super::Stream::acknowledge`].
pub(super) fn acknowledge(stream: &impl AsFd) {
    // Failing to give the hint changes nothing that is promised.
    let _ = SockRef::from(stream).set_tcp_quickack(true);
}

/// See [`super::Stream::send_last`].
pub(super) fn send_last(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    // What the peer sent and nobody read would turn the close into a reset, which may overtake these bytes.
    let _ = stream.read(&mut [0; 4096]);
}

/// `None` where there was nothing to be had now.
#[inline]
fn settle(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn bytes_are_read_behind_what_is_there_in_pieces_of_a_size() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let sent: Vec<u8> = (0..1_u32 << 20).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
        let sending = {
            let sent = sent.clone();
            thread::spawn(move || sender.write_all(&sent).unwrap())
        };
        let mut buffer = vec![7; 3];
        buffer.reserve_exact(sent.len() + 1);
        loop {
            let before = buffer.len();
            let received = read_behind(&stream, &mut buffer, 1000).unwrap().unwrap_or(0);
            assert!(received <= 1000 && buffer.len() == before + received);
            if received == 0 {
                break;
            }
        }
        sending.join().unwrap();
        assert!(buffer[..3] == [7; 3] && buffer[3..] == sent[..]);
    }
}
