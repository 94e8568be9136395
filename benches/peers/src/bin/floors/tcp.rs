//! The bytes of a connection, sent back.

use crate::sockets::Sockets;

pub fn serve(sockets: &mut Sockets, at: usize, bytes: &mut [u8]) {
    sockets.send(at, bytes);
}
