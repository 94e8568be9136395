//! Receiving a large frame, in pieces that are counted: many large frames at once must not make one turn of what others
//! wait for.

use std::net::TcpStream;

use rustix::io::{Errno, read};

/// Reads once into the spare capacity of `frame`, which must have some, at most [`PIECE`] bytes; returns how many came, 0 at
/// the end of the stream. Adds to `spent` about how long that took, ns.
///
/// # Errors
/// What the read says, `WouldBlock` and `Interrupted` included.
#[allow(unsafe_code)]
pub(super) fn receive(stream: &TcpStream, frame: &mut Vec<u8>, spent: &mut u64) -> Result<usize, Errno> {
    let length = frame.len();
    let room = frame.spare_capacity_mut();
    let most = room.len().min(PIECE);
    let (received, _) = read(stream, &mut room[..most])?;
    let received = received.len();
    // SAFETY: `received` is the beginning of the spare capacity, hence it lies right behind the first `length` bytes and
    // within the capacity, and the read has initialized all of it.
    unsafe { frame.set_len(length + received) };
    *spent += received as u64 * NS_PER_BYTE;
    Ok(received)
}

/// Bytes: as much as is read at once into the worker's buffer. It takes less than a turn, and so long that the
/// calls for it do not count.
const PIECE: usize = 512 << 10;

/// Nanoseconds that a byte takes to be received, about. This is three times what it takes to echo a byte of a smaller message,
/// reading included: the memory of a large frame is new from the kernel, which clears every page of it, and is not in the
/// core's cache.
const NS_PER_BYTE: u64 = 1;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::super::line::TURN_NS;
    use super::*;

    #[test]
    fn no_turn_takes_in_more_than_is_received_while_it_lasts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let sent: Vec<u8> = (0..16_u32 << 20).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
        let sending = {
            let sent = sent.clone();
            thread::spawn(move || sender.write_all(&sent).unwrap())
        };
        // What came before stays where it is.
        let mut frame = vec![0; 3];
        stream.read_exact(&mut frame).unwrap();
        frame.reserve_exact(sent.len());
        let (mut spent, mut turn) = (0, 0);
        loop {
            let received = receive(&stream, &mut frame, &mut spent).unwrap();
            if received == 0 {
                break;
            }
            assert!(received <= PIECE, "{received} bytes at once");
            turn += received;
            assert!(turn <= TURN_NS as usize + PIECE, "{turn} bytes in one turn");
            if spent > TURN_NS {
                (spent, turn) = (0, 0);
            }
        }
        sending.join().unwrap();
        assert!(frame == sent, "{} bytes of {} came, or others than were sent", frame.len(), sent.len());
    }
}
