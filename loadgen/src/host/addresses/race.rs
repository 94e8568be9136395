//! One TCP connection to whichever of a server's addresses answers first. The next address is tried as soon as one has
//! failed or has kept quiet for a while, and those that are being tried go on meanwhile (RFC 8305, 5).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Addresses, MOST_LISTED, same_family};

/// Why no address could be connected to.
#[derive(Debug, thiserror::Error)]
pub enum NoAddress {
    /// The address that was to be connected from.
    #[error("--source-ip {ip}: {source}{}", hint(.source))]
    Source {
        /// The local address.
        ip: IpAddr,
        /// The cause.
        source: io::Error,
    },
    /// None of them.
    #[error("{}", all(.0))]
    Reached(Vec<Attempt>),
}

/// One address that could not be connected to.
#[derive(Debug)]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// Why not; `Err` is how long an answer was waited for.
    pub cause: Result<io::Error, Duration>,
}

/// Which of the addresses are tried by one connection, in which order, and what came of those that failed.
struct Race<'a> {
    addresses: &'a Addresses,
    order: Vec<usize>,
    next: usize,
    failed: Vec<(usize, io::Error)>,
}

impl Addresses {
    /// Connects within `limit`, from the source address whose turn it is by the connection's `number`. Addresses that
    /// answered last time are tried first.
    ///
    /// # Errors
    /// Says of each address what came of it.
    pub async fn connect(&self, number: usize, limit: Duration) -> Result<(TcpStream, SocketAddr), NoAddress> {
        let sources = &self.inner.sources;
        let source = (!sources.is_empty()).then(|| sources[number % sources.len()]);
        let small = self.small.binary_search(&number).is_ok();
        let mut race = Race { addresses: self, order: self.order(source), next: 0, failed: Vec::new() };
        let deadline = deadline_after(limit);
        // With a short limit each address has its share of it.
        let stagger = STAGGER.min(limit / race.order.len().max(1) as u32);
        let mut attempts = JoinSet::new();
        loop {
            if let Some(&index) = race.order.get(race.next) {
                race.next += 1;
                let (address, nodelay) = (self.inner.candidates[index].address, self.inner.tcp_nodelay);
                let socket = socket(address, source, nodelay, small)?;
                attempts.spawn(async move { (index, connect(socket, address).await) });
            } else if attempts.is_empty() {
                return Err(race.lost(limit));
            }
            let wait = if race.next < race.order.len() { (Instant::now() + stagger).min(deadline) } else { deadline };
            match timeout_at(wait, attempts.join_next()).await {
                Ok(Some(attempt)) => match attempt.expect("an attempt does not panic and is not aborted") {
                    (index, Ok(stream)) => return Ok((stream, race.won(index))),
                    (index, Err(error)) => race.failed.push((index, error)),
                },
                Ok(None) => {}
                Err(_) if Instant::now() >= deadline => return Err(race.lost(limit)),
                Err(_) => {}
            }
        }
    }

    /// The candidates that `source` can reach, those that answered last time first.
    pub(super) fn order(&self, source: Option<IpAddr>) -> Vec<usize> {
        let all = &self.inner.candidates;
        let reachable = |index: &usize| source.is_none_or(|source| same_family(all[*index].address.ip(), source));
        let mut order: Vec<usize> = (0..all.len()).filter(reachable).collect();
        order.sort_by_key(|&index| !all[index].answers.load(Ordering::Relaxed));
        order
    }
}

impl Race<'_> {
    /// `index` has answered. Those that were asked before it and have not, must not keep the next connection waiting.
    fn won(&self, index: usize) -> SocketAddr {
        let all = &self.addresses.inner.candidates;
        let before = self.order.iter().take_while(|&&asked| asked != index);
        before.for_each(|&asked| all[asked].answers.store(false, Ordering::Relaxed));
        all[index].answers.store(true, Ordering::Relaxed);
        all[index].address
    }

    fn lost(mut self, limit: Duration) -> NoAddress {
        let mut asked = self.order[..self.next].to_vec();
        asked.sort_unstable();
        let cause = |index| match self.failed.iter().position(|(failed, _)| *failed == index) {
            Some(at) => Ok(self.failed.swap_remove(at).1),
            None => Err(limit),
        };
        let causes: Vec<_> = asked.iter().copied().map(cause).collect();
        let address = |index: &usize| self.addresses.inner.candidates[*index].address;
        let attempt = |(address, cause)| Attempt { address, cause };
        NoAddress::Reached(asked.iter().map(address).zip(causes).map(attempt).collect())
    }
}

/// A socket for `address`, bound to `source`, with a `small` buffer if it is to be; `Ok(Err)` is a failure of this address,
/// `Err` one of the source.
fn socket(
    address: SocketAddr,
    source: Option<IpAddr>,
    nodelay: bool,
    small: bool,
) -> Result<io::Result<TcpSocket>, NoAddress> {
    let socket = match if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() } {
        Ok(socket) => socket,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(ip) = source {
        socket.bind(SocketAddr::new(ip, 0)).map_err(|source| NoAddress::Source { ip, source })?;
    }
    let buffer = if small { socket.set_recv_buffer_size(SMALL_BUFFER) } else { Ok(()) };
    Ok(buffer.and_then(|()| socket.set_nodelay(nodelay)).map(|()| socket))
}

async fn connect(socket: io::Result<TcpSocket>, address: SocketAddr) -> io::Result<TcpStream> {
    socket?.connect(address).await
}

/// When `limit` will have passed; a limit that no clock can count to is one of 30 years.
pub fn deadline_after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + NEVER)
}

fn all(attempts: &[Attempt]) -> String {
    if let [only] = attempts {
        return format!("cannot connect to {}: {}", only.address, only.cause());
    }
    let shown: Vec<_> = attempts.iter().take(MOST_LISTED).map(Attempt::to_string).collect();
    let more = attempts.len().saturating_sub(MOST_LISTED);
    let more = if more > 0 { format!(", and {more} more addresses") } else { String::new() };
    format!("cannot connect: {}{more}", shown.join(", "))
}

impl Attempt {
    fn cause(&self) -> String {
        match &self.cause {
            Ok(error) => format!("{error}{}", hint(error)),
            Err(limit) => format!("no answer within {} (--connect-timeout)", humantime::format_duration(*limit)),
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.cause())
    }
}

/// What an error of the kernel means here, where that is not plain.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ", nothing listens there",
        io::ErrorKind::AddrNotAvailable => ", it is no address of this machine or has no free port",
        _ => "",
    }
}

/// How long an address may keep quiet before the next one is tried too (RFC 8305, 5, recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// Bytes that a socket is asked to keep of what is not read, where that is to be little: the kernel doubles it for what it needs
/// itself. While it is read, as much can be under way, which is enough for large messages too.
pub(crate) const SMALL_BUFFER: u32 = 32 << 10;

/// Longer than any connection is waited for: 30 years.
const NEVER: Duration = Duration::from_secs(30 * 365 * 86_400);

#[cfg(test)]
pub(crate) mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;
    use crate::host::addresses::Carrier;
    use crate::plan::tests::plan;

    /// A listener whose queue is full, so that it takes no connection; it does as long as the sockets live.
    pub(crate) fn deaf(ip: &str, port: u16) -> Vec<Socket> {
        let address = SocketAddr::new(ip.parse().unwrap(), port).into();
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address).unwrap();
        listener.listen(0).unwrap();
        let fill = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // It is under way for ever.
            let _ = socket.connect(&address);
            socket
        };
        let mut sockets: Vec<Socket> = (0..4).map(fill).collect();
        sockets.push(listener);
        sockets
    }

    /// Connects as connection `number` does.
    fn connect(addresses: &Addresses, number: usize, limit: Duration) -> Result<SocketAddr, NoAddress> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(addresses.connect(number, limit)).map(|(_, address)| address)
    }

    pub(crate) fn addresses(ips: &[&str], port: u16) -> Addresses {
        let address = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), port);
        Addresses::new("name", ips.iter().map(address).collect(), &plan().connect, Carrier::Tcp).unwrap()
    }

    /// Longer than a test takes on a loaded machine.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn an_address_that_keeps_quiet_does_not_keep_the_next_from_being_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _deaf = deaf("127.0.0.2", port);
        let addresses = addresses(&["127.0.0.2", "127.0.0.1"], port);
        assert!(addresses.undecided());
        assert_eq!(addresses.in_use().len(), 2, "nothing is known yet");
        // Also with a limit that is shorter than the stagger of two addresses.
        for limit in [LONG, STAGGER] {
            assert_eq!(connect(&addresses, 0, limit).unwrap(), listener.local_addr().unwrap());
        }
        assert_eq!((addresses.undecided(), addresses.in_use()), (false, vec![listener.local_addr().unwrap()]));
        assert_eq!(addresses.order(None), [1, 0], "the one that answered is tried first");
    }

    #[test]
    fn what_came_of_each_address_is_said() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let _deaf = deaf("127.0.0.2", free);
        let error =
            |ips: &[&str]| connect(&addresses(ips, free), 0, Duration::from_millis(300)).unwrap_err().to_string();
        let refused = "Connection refused (os error 111), nothing listens there";
        let late = "no answer within 300ms (--connect-timeout)";
        assert_eq!(error(&["127.0.0.1"]), format!("cannot connect to 127.0.0.1:{free}: {refused}"));
        assert_eq!(error(&["127.0.0.2"]), format!("cannot connect to 127.0.0.2:{free}: {late}"));
        assert_eq!(
            error(&["127.0.0.1", "127.0.0.2"]),
            format!("cannot connect: 127.0.0.1:{free} ({refused}), 127.0.0.2:{free} ({late})")
        );
        let many: Vec<String> = (1..=9).map(|i| format!("127.0.1.{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(error(&many).ends_with(", and 5 more addresses"), "{}", error(&many));
    }

    #[test]
    fn the_sockets_of_those_numbers_have_small_buffers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = addresses(&["127.0.0.1"], listener.local_addr().unwrap().port()).with_small_buffers([1, 3]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let buffers: Vec<_> = (0..4)
            .map(|number| {
                let (stream, _) = runtime.block_on(addresses.connect(number, LONG)).unwrap();
                socket2::SockRef::from(&stream).recv_buffer_size().unwrap()
            })
            .collect();
        assert_eq!((buffers[1], buffers[3]), (64 << 10, 64 << 10), "as the kernel doubles it");
        assert!(buffers[0] > buffers[1] && buffers[2] > buffers[1], "{buffers:?}");
    }

    #[test]
    #[allow(clippy::print_stderr, reason = "scripts/check lists what is skipped")]
    fn each_source_address_reaches_those_of_its_family() {
        let Ok(six) = TcpListener::bind("[::1]:0") else {
            eprintln!("SKIPPED: each source address reaches those of its family: no IPv6");
            return;
        };
        let port = six.local_addr().unwrap().port();
        let four = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let mut how = plan().connect;
        how.source_ips = ["127.0.0.2", "::1", "::ffff:127.0.0.3"].map(|ip| ip.parse().unwrap()).to_vec();
        let both = vec![six.local_addr().unwrap(), four.local_addr().unwrap()];
        let addresses = Addresses::new("name", both, &how, Carrier::Tcp).unwrap();
        for (number, listener, from) in [(0, &four, "127.0.0.2"), (1, &six, "::1"), (2, &four, "127.0.0.3")] {
            assert_eq!(connect(&addresses, number, LONG).unwrap(), listener.local_addr().unwrap());
            assert_eq!(listener.accept().unwrap().1.ip().to_string(), from);
        }
        how.source_ips = vec!["192.0.2.1".parse().unwrap()];
        let error =
            connect(&Addresses::new("name", addresses.in_use(), &how, Carrier::Tcp).unwrap(), 0, LONG).unwrap_err();
        assert!(error.to_string().starts_with("--source-ip 192.0.2.1: "), "{error}");
        assert!(error.to_string().contains("no address of this machine"), "{error}");
    }
}
