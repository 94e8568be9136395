//! Sockets for UDP, each connected to one of a server's addresses. Connecting one sends nothing, so that nobody says whether
//! anything receives there: where there is a choice and nothing is known yet, each address is sent an empty datagram in turn,
//! and the first one that answers is taken; if none does, the first that no ICMP message has refused.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::race::{Attempt, NoAddress};
use super::{Addresses, Candidate};

impl Addresses {
    /// A connected socket, from the source address whose turn it is by the connection's `number`. With several addresses of
    /// which none is known to answer, finding one takes `limit` at the most.
    ///
    /// # Errors
    /// Says of each address what came of it.
    pub async fn connect_datagrams(
        &self,
        number: usize,
        limit: Duration,
    ) -> Result<(std::net::UdpSocket, SocketAddr), NoAddress> {
        let sources = &self.inner.sources;
        let source = (!sources.is_empty()).then(|| sources[number % sources.len()]);
        let order = self.order(source);
        let candidates: Vec<&Candidate> = order.iter().map(|&index| &self.inner.candidates[index]).collect();
        let (mut failed, mut quiet) = (Vec::new(), None);
        let choice = candidates.len() > 1 && !candidates[0].answers.load(Ordering::Relaxed);
        let patience = PATIENCE.min(limit / candidates.len().max(1) as u32);
        for candidate in candidates {
            let address = candidate.address;
            match connect(address, source)? {
                Ok(socket) if !choice => return Ok((socket, address)),
                Ok(socket) => match ask(socket, patience).await {
                    Ok((socket, true)) => {
                        candidate.answers.store(true, Ordering::Relaxed);
                        return Ok((socket, address));
                    }
                    Ok((socket, false)) => drop(quiet.get_or_insert((socket, address))),
                    Err(error) => failed.push(Attempt { address, cause: Ok(error) }),
                },
                Err(error) => failed.push(Attempt { address, cause: Ok(error) }),
            }
        }
        quiet.ok_or(NoAddress::Reached(failed))
    }
}

/// A socket for `address`, bound to `source`; `Ok(Err)` is a failure of this address, `Err` one of the source.
fn connect(address: SocketAddr, source: Option<IpAddr>) -> Result<io::Result<std::net::UdpSocket>, NoAddress> {
    let socket = match Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)) {
        Ok(socket) => socket,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(ip) = source {
        socket.bind(&SocketAddr::new(ip, 0).into()).map_err(|source| NoAddress::Source { ip, source })?;
    }
    // What finds it full is lost, and not by the server's doing. The kernel cuts it at net.core.rmem_max.
    let _ = socket.set_recv_buffer_size(RECEIVE_QUEUE);
    Ok(socket.connect(&address.into()).map(|()| socket.into()))
}

/// Sends an empty datagram; whether an answer came in time.
async fn ask(socket: std::net::UdpSocket, patience: Duration) -> io::Result<(std::net::UdpSocket, bool)> {
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    socket.send(&[]).await?;
    let answered = match timeout(patience, socket.recv(&mut [0; 1])).await {
        Ok(came) => came.map(|_| true)?,
        Err(_) => false,
    };
    Ok((socket.into_std()?, answered))
}

/// How long an address may keep quiet before the next one is asked: that of connections (RFC 8305, 5).
const PATIENCE: Duration = Duration::from_millis(250);

/// Bytes: what comes while a worker is busy elsewhere for some milliseconds.
const RECEIVE_QUEUE: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Server;
    use std::thread;

    use super::super::race::tests::addresses;
    use super::*;

    fn connected(addresses: &Addresses) -> Result<SocketAddr, NoAddress> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(addresses.connect_datagrams(0, Duration::from_secs(60))).map(|(_, address)| address)
    }

    #[test]
    fn of_several_addresses_one_that_answers_is_taken() {
        let server = Server::bind("127.0.0.3:0").unwrap();
        let address = server.local_addr().unwrap();
        // One that receives and does not answer.
        let _deaf = Server::bind(("127.0.0.2", address.port())).unwrap();
        thread::spawn(move || {
            let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
            server.send_to(&[], from).unwrap();
        });
        let all = addresses(&["127.0.0.1", "127.0.0.2", "127.0.0.3"], address.port());
        assert_eq!(connected(&all).unwrap(), address);
        assert_eq!(all.in_use(), [address]);
        assert_eq!(connected(&all).unwrap(), address, "nobody is asked again: the server answers no more");
    }

    #[test]
    fn what_answers_nothing_is_taken_unless_it_is_refused() {
        let deaf = Server::bind("127.0.0.2:0").unwrap();
        let port = deaf.local_addr().unwrap().port();
        assert_eq!(connected(&addresses(&["127.0.0.1", "127.0.0.2"], port)).unwrap(), deaf.local_addr().unwrap());
        let error = connected(&addresses(&["127.0.0.3", "127.0.0.1"], port)).unwrap_err().to_string();
        assert!(error.contains("127.0.0.3") && error.contains("127.0.0.1") && error.contains("refused"), "{error}");
        // Alone it is not asked.
        assert!(connected(&addresses(&["127.0.0.1"], port)).is_ok());
    }
}
