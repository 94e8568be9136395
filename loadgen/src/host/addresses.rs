//! The addresses of a server, or of the proxy before it: the name resolved within a limit of time, those of them that the
//! given local addresses can reach, and a TCP connection to the one that answers first (RFC 8305, "Happy Eyeballs"), or a
//! socket for UDP (`datagrams`).

mod datagrams;
pub(crate) mod race;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::host::target::no_thread;
use crate::host::tls::{Client, TlsError};
use crate::plan::Connect;
use crate::plan::proxy::Proxy;
use crate::plan::url::{Scheme, Url};

/// The addresses of one server, shared by all who connect to it: what one of them learns of an address, the others use.
#[derive(Debug, Clone)]
pub struct Addresses {
    inner: Arc<Inner>,
    /// The numbers of the connections whose sockets take in little, in rising order.
    small: Arc<[usize]>,
}

#[derive(Debug)]
struct Inner {
    candidates: Vec<Candidate>,
    /// Local addresses to connect from, in turn.
    sources: Vec<IpAddr>,
    tcp_nodelay: bool,
    carrier: Carrier,
}

/// What carries the bytes.
#[derive(Debug)]
pub(crate) enum Carrier {
    Tcp,
    /// TLS over TCP: what is offered, and trusted.
    Tls(Client),
    Udp,
}

#[derive(Debug)]
struct Candidate {
    address: SocketAddr,
    /// Whether the last connection to it was taken.
    answers: AtomicBool,
}

/// Why there is no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// The name cannot be resolved.
    #[error("cannot resolve the host of {of}")]
    Lookup {
        /// The URL, or the proxy.
        of: String,
        /// The cause.
        source: io::Error,
    },
    /// Resolving takes too long.
    #[error("the host of {of} was not resolved within {} (--connect-timeout)", humantime::format_duration(*.limit))]
    Late {
        /// The URL, or the proxy.
        of: String,
        /// The limit.
        limit: Duration,
    },
    /// No address that the local one can reach.
    #[error("--source-ip {source_ip}: {host} has no {family} address to connect to from there, only {}", list(.found))]
    Family {
        /// The local address.
        source_ip: IpAddr,
        /// The server.
        host: String,
        /// The family of the local address.
        family: &'static str,
        /// The server's addresses.
        found: Vec<SocketAddr>,
    },
    /// TLS cannot be spoken as it is to be.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The user did not want to wait.
    #[error("interrupted before the host of {of} was resolved")]
    Interrupted {
        /// The URL, or the proxy.
        of: String,
    },
}

impl Addresses {
    /// Resolves the URL's host, or the proxy's, within `how.timeout`, unless `interrupted` is set meanwhile.
    ///
    /// # Errors
    /// When the host has no address, or one of `how.source_ips` can reach none because they are of the other family; when the
    /// URL asks for TLS, and the files for it are not what they should be.
    pub fn find(url: &Url, how: &Connect, interrupted: &AtomicBool) -> Result<Self, AddressError> {
        let carrier = match url.scheme() {
            Scheme::Ws | Scheme::Tcp => Carrier::Tcp,
            Scheme::Wss => Carrier::Tls(Client::new(url.host(), &how.tls)?),
            Scheme::Udp => Carrier::Udp,
        };
        let next = how.proxy.as_ref().map_or(url, Proxy::at);
        let of = how.proxy.as_ref().map_or_else(|| url.to_string(), |proxy| format!("the proxy {proxy}"));
        Self::new(&next.authority(), resolve(next, of, how.timeout, interrupted)?, how, carrier)
    }

    /// These addresses of `host`.
    fn new(host: &str, found: Vec<SocketAddr>, how: &Connect, carrier: Carrier) -> Result<Self, AddressError> {
        let addresses = interleaved(found);
        let sources: Vec<IpAddr> = how.source_ips.iter().map(IpAddr::to_canonical).collect();
        for (&source, &source_ip) in sources.iter().zip(&how.source_ips) {
            if !addresses.iter().any(|address| same_family(address.ip(), source)) {
                let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
                return Err(AddressError::Family { source_ip, host: host.to_owned(), family, found: addresses });
            }
        }
        let candidate = |address| Candidate { address, answers: AtomicBool::new(false) };
        let candidates = addresses.into_iter().map(candidate).collect();
        let inner = Arc::new(Inner { candidates, sources, tcp_nodelay: how.tcp_nodelay, carrier });
        Ok(Self { inner, small: Arc::default() })
    }

    /// The same addresses, where the sockets of the connections with these numbers, in rising order, keep little of what comes
    /// while it is not read: their server notices soon. It is to be said before they connect: where it is said
    /// later, the kernel throws away what it had told the server to send, and it comes again only after seconds.
    pub fn with_small_buffers(&self, numbers: impl IntoIterator<Item = usize>) -> Self {
        Self { inner: Arc::clone(&self.inner), small: numbers.into_iter().collect() }
    }

    /// What TLS is spoken with there; `None` where it is not.
    pub fn tls(&self) -> Option<&Client> {
        match &self.inner.carrier {
            Carrier::Tls(client) => Some(client),
            Carrier::Tcp | Carrier::Udp => None,
        }
    }

    /// Those that have answered last; all of them as long as none has.
    pub fn in_use(&self) -> Vec<SocketAddr> {
        let all = || self.inner.candidates.iter();
        let answering: Vec<_> =
            all().filter(|one| one.answers.load(Ordering::Relaxed)).map(|one| one.address).collect();
        if answering.is_empty() { all().map(|one| one.address).collect() } else { answering }
    }

    /// Finds an address that answers by a connection that is closed again, if one does within `SETTLE`.
    pub fn settle(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Where none answers, or the kernel refuses a runtime, whoever connects next is told.
        let _ = runtime.map(|runtime| match self.datagrams() {
            true => runtime.block_on(self.connect_datagrams(0, SETTLE)).map(drop),
            false => runtime.block_on(self.connect(0, SETTLE)).map(drop),
        });
    }

    /// Whether UDP is spoken there.
    pub fn datagrams(&self) -> bool {
        matches!(self.inner.carrier, Carrier::Udp)
    }

    /// Whether there is a choice, and nothing is known yet of the addresses.
    pub fn undecided(&self) -> bool {
        self.inner.candidates.len() > 1 && !self.inner.candidates.iter().any(|one| one.answers.load(Ordering::Relaxed))
    }
}

/// The addresses of a URL's host, from a thread of its own: the system's resolver takes as long as its configuration says. `of`
/// is what errors call whose host it is.
fn resolve(url: &Url, of: String, limit: Duration, interrupted: &AtomicBool) -> Result<Vec<SocketAddr>, AddressError> {
    let (resolved, answer) = mpsc::channel();
    let asked = url.clone();
    // Nobody listens any more where it came too late.
    let look_up = move || drop(resolved.send(asked.resolve()));
    let started = thread::Builder::new().name("resolver".to_owned()).spawn(look_up);
    if let Err(error) = started {
        return Err(AddressError::Lookup { of, source: no_thread(error) });
    }
    let began = Instant::now();
    loop {
        let left = limit.saturating_sub(began.elapsed());
        match answer.recv_timeout(left.min(INTERRUPTION_POLL)) {
            Ok(found) => return found.map_err(|source| AddressError::Lookup { of, source }),
            Err(RecvTimeoutError::Disconnected) => unreachable!("the resolver's thread sends before it ends"),
            Err(RecvTimeoutError::Timeout) if interrupted.load(Ordering::Relaxed) => {
                return Err(AddressError::Interrupted { of });
            }
            Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                return Err(AddressError::Late { of, limit });
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The addresses without repetition, families in turn from the first one's on (RFC 8305, 4): where all of one family are
/// dead, the other's turn comes soon.
fn interleaved(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut distinct: Vec<SocketAddr> = Vec::with_capacity(found.len());
    for address in found {
        // An IPv4 address written as an IPv6 one (::ffff:127.0.0.1) is reached as what it is.
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        let address = if canonical.is_ipv4() { canonical } else { address };
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    let first = distinct.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) = distinct.into_iter().partition(|address| address.is_ipv4() == first);
    let turns = first.len().max(second.len());
    (0..turns).flat_map(|i| [first.get(i), second.get(i)]).flatten().copied().collect()
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

fn list(addresses: &[SocketAddr]) -> String {
    let shown: Vec<_> = addresses.iter().take(MOST_LISTED).map(|address| address.ip().to_string()).collect();
    let more = addresses.len().saturating_sub(MOST_LISTED);
    shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

/// Addresses that an error names: a name may have hundreds.
const MOST_LISTED: usize = 4;

/// How long an address is looked for that answers.
const SETTLE: Duration = Duration::from_secs(1);

/// How often an interruption is looked for.
const INTERRUPTION_POLL: Duration = Duration::from_millis(50);

/// Whether an address is one of this machine's: only such a one can be bound to.
pub fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_nothing_is_tried_twice() {
        for (found, expected) in [
            (&["[::1]:1", "[::2]:1", "[::1]:1", "127.0.0.1:1"][..], &["[::1]:1", "127.0.0.1:1", "[::2]:1"][..]),
            (&["127.0.0.1:1", "127.0.0.2:1", "[::1]:1"], &["127.0.0.1:1", "[::1]:1", "127.0.0.2:1"]),
            (&["[::ffff:127.0.0.1]:1", "127.0.0.1:1"], &["127.0.0.1:1"]),
            (&[], &[]),
        ] {
            assert_eq!(interleaved(addresses(found)), addresses(expected), "{found:?}");
        }
    }

    #[test]
    fn a_source_that_reaches_no_address_is_an_error() {
        let mut how = plan().connect;
        how.source_ips = vec!["127.0.0.2".parse().unwrap(), "::ffff:127.0.0.3".parse().unwrap()];
        assert!(Addresses::new("dual:1", addresses(&["[::1]:1", "127.0.0.1:1"]), &how, Carrier::Tcp).is_ok());
        how.source_ips.push("::1".parse().unwrap());
        let error = Addresses::new("four:1", addresses(&["127.0.0.1:1"]), &how, Carrier::Tcp).unwrap_err().to_string();
        assert_eq!(error, "--source-ip ::1: four:1 has no IPv6 address to connect to from there, only 127.0.0.1");
    }

    #[test]
    fn resolving_ends_with_the_limit_or_with_an_interruption() {
        let url: Url = "ws://localhost:1/".parse().unwrap();
        let resolve = |limit, interrupted| resolve(&url, url.to_string(), limit, &AtomicBool::new(interrupted));
        assert!(!resolve(Duration::from_secs(60), false).unwrap().is_empty());
        // A thread does not start within no time at all; should it, there is an answer.
        assert!(!matches!(resolve(Duration::ZERO, false), Err(AddressError::Interrupted { .. })));
        assert!(!matches!(resolve(Duration::ZERO, true), Err(AddressError::Late { .. })));
    }
}
