//! UDP servers that do with datagrams what a test wants.

use std::net::{SocketAddr, UdpSocket};
use std::thread;

/// A server that is given each datagram with its number, counted from 1 over all, and says which are sent back instead, to
/// where it came from; its URL. It ends with the test.
pub fn server(
    mut answer: impl FnMut(usize, &[u8], SocketAddr) -> Vec<(Vec<u8>, SocketAddr)> + Send + 'static,
) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", socket.local_addr().unwrap());
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        for number in 1.. {
            let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
            for (reply, to) in answer(number, &buffer[..bytes], from) {
                // Whoever has ended gets nothing.
                let _ = socket.send_to(&reply, to);
            }
        }
    });
    url
}

/// The URL of a server that leaves every so-manieth datagram unanswered. It ends with the test.
pub fn losing(every: usize) -> String {
    server(move |number, bytes, from| if number.is_multiple_of(every) { vec![] } else { vec![(bytes.to_vec(), from)] })
}
