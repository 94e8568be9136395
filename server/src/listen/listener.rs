//! Listening sockets: one per address, or one per worker and address (`--balance kernel`), their options set before
//! they listen, and what the kernel granted.
//!
//! Linux copies a listener's options to the sockets it accepts, so that they are set here once and cost nothing per
//! connection. (TCP_QUICKACK is the exception: the connection sets it.) The buffers must be set before `listen`, as
//! the window scale is agreed upon in the handshake.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::int_option::IntOption;
use super::sockets::{grant, local_address, takes_ipv4};
use super::udp;
use crate::Error;
use crate::config::{Config, Endpoint, Granted, Keepalive, Scheme, SocketOptions};
use crate::datagrams;
use crate::transport::Identity;

/// Bound, listening sockets for [`crate::run`].
#[derive(Debug)]
pub struct Listeners {
    /// A list for everyone who accepts, with an entry per address.
    pub(crate) shards: Vec<Vec<Bound>>,
    /// A list for every worker, with an entry per address for datagrams.
    pub(crate) datagrams: Vec<Vec<datagrams::Socket>>,
    /// The addresses bound, with the port that the kernel picked where it was 0.
    pub addresses: Vec<Endpoint>,
    /// What the kernel granted, the same for all.
    pub granted: Granted,
    /// What TLS handshakes begin with, where there are any.
    pub(crate) identity: Option<Arc<Identity>>,
}

/// A listening socket, and what is spoken on the connections to it.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: TcpListener,
    pub(crate) scheme: Scheme,
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Bound {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Binds every address of the configuration, once for everyone who accepts, and for datagrams once for every worker.
///
/// # Errors
/// A TLS file that cannot be used, an address that cannot be bound, or an option that the kernel refuses for another reason than its size.
pub fn bind(config: &Config) -> Result<Listeners, Error> {
    let identity = config.tls.as_ref().map(|options| Identity::load(options, &config.listen)).transpose()?;
    let count = config.workers.listeners();
    let mut shards: Vec<Vec<Bound>> = (0..count).map(|_| Vec::new()).collect();
    let mut datagrams: Vec<Vec<_>> = (0..config.workers.shards()).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    let mut granted = None;
    for &endpoint in &config.listen {
        let Endpoint { scheme, address: wanted } = endpoint;
        if scheme == Scheme::Udp {
            let (address, sockets) = udp::bind(endpoint, config)?;
            datagrams.iter_mut().zip(sockets).for_each(|(worker, socket)| worker.push(socket));
            addresses.push(Endpoint { scheme, address });
            continue;
        }
        let fail = |source| Error::Listen { address: endpoint, source };
        // The first binds without SO_REUSEPORT, so that a port in use is an error even if its owner shares it: a
        // second server would silently take half of the connections. It shares the port with its siblings after that,
        // and with whoever else asks to, which is why a socket without siblings does not share.
        let takes_ipv4 = takes_ipv4(endpoint, &config.listen);
        let first = open(endpoint, takes_ipv4, &config.socket)?;
        granted = Some(first.granted);
        first.socket.bind(&wanted.into()).map_err(fail)?;
        if count > 1 {
            first.socket.set_reuse_port(true).map_err(fail)?;
        }
        let address = local_address(&first.socket).map_err(fail)?;
        let mut sockets = vec![first.socket];
        while sockets.len() < count {
            let sibling = open(Endpoint { scheme, address }, takes_ipv4, &config.socket)?.socket;
            sibling.set_reuse_port(true).and_then(|()| sibling.bind(&address.into())).map_err(fail)?;
            sockets.push(sibling);
        }
        let backlog = i32::try_from(config.socket.backlog).unwrap_or(i32::MAX);
        for (shard, socket) in shards.iter_mut().zip(sockets) {
            socket.listen(backlog).and_then(|()| socket.set_nonblocking(true)).map_err(fail)?;
            shard.push(Bound { socket: socket.into(), scheme });
        }
        addresses.push(Endpoint { scheme, address });
    }
    let of_datagrams = addresses.iter().filter(|endpoint| endpoint.scheme == Scheme::Udp);
    let own: Arc<[SocketAddr]> = of_datagrams.map(|endpoint| endpoint.address).collect();
    datagrams.iter_mut().flatten().for_each(|socket: &mut datagrams::Socket| socket.own = Arc::clone(&own));
    // Datagrams alone: what holds for buffers holds for theirs.
    let granted = granted.map_or_else(|| probe(config), Ok)?;
    warn_of_shortfalls(&config.socket, &granted);
    Ok(Listeners { shards, datagrams, addresses, granted, identity })
}

/// What the kernel would grant, found out on a socket that is never bound.
///
/// # Errors
/// As [`bind`], but for the address.
pub fn probe(config: &Config) -> Result<Granted, Error> {
    Ok(open(Endpoint::ws(SocketAddr::from(([127, 0, 0, 1], 0))), true, &config.socket)?.granted)
}

struct Opened {
    socket: Socket,
    granted: Granted,
}

/// A socket with every option set that is to be set before it listens.
fn open(endpoint: Endpoint, takes_ipv4: bool, options: &SocketOptions) -> Result<Opened, Error> {
    let address = endpoint.address;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .and_then(|socket| {
            if address.is_ipv6() {
                // Said either way: the default is a setting of the machine (net.ipv6.bindv6only).
                socket.set_only_v6(!takes_ipv4)?;
            }
            // Connections of a former run in TIME_WAIT do not keep the port.
            socket.set_reuse_address(true).map(|()| socket)
        })
        .map_err(|source| Error::Listen { address: endpoint, source })?;
    let granted = set_options(&socket, options)?;
    Ok(Opened { socket, granted })
}

fn set_options(socket: &Socket, options: &SocketOptions) -> Result<Granted, Error> {
    let named = |flag| move |source| Error::SocketOption { flag, source };
    socket.set_tcp_nodelay(options.tcp_nodelay).map_err(named("tcp-nodelay"))?;
    let busy_poll = grant(options.busy_poll, |v| socket.set_busy_poll(v), || socket.busy_poll());
    let recv_buffer =
        grant(options.recv_buffer, |v| socket.set_recv_buffer_size(v), || Ok(socket.recv_buffer_size()? / 2));
    let send_buffer =
        grant(options.send_buffer, |v| socket.set_send_buffer_size(v), || Ok(socket.send_buffer_size()? / 2));
    let notsent_lowat =
        grant(options.notsent_lowat, |v| socket.set_tcp_notsent_lowat(v), || socket.tcp_notsent_lowat());
    let defer_accept = grant(
        options.defer_accept,
        |v| IntOption::DeferAccept.set(socket, clamp(v)),
        || IntOption::DeferAccept.get(socket).map(i32::cast_unsigned),
    );
    let fast_open = grant(
        options.fast_open,
        |v| IntOption::FastOpen.set(socket, clamp(v)),
        || Ok(if fast_open_allowed() { IntOption::FastOpen.get(socket)?.cast_unsigned() } else { 0 }),
    );
    let keepalive = grant(options.keepalive, |v| set_keepalive(socket, &v), || keepalive(socket));
    Ok(Granted {
        tcp_nodelay: socket.tcp_nodelay().map_err(named("tcp-nodelay"))?,
        busy_poll: busy_poll.map_err(named("busy-poll"))?,
        recv_buffer: recv_buffer.map_err(named("recv-buffer"))?,
        send_buffer: send_buffer.map_err(named("send-buffer"))?,
        backlog: options.backlog.min(somaxconn()),
        defer_accept: defer_accept.map_err(named("defer-accept"))?,
        fast_open: fast_open.map_err(named("fast-open"))?,
        notsent_lowat: notsent_lowat.map_err(named("notsent-lowat"))?,
        keepalive: keepalive.map_err(named("keepalive"))?,
    })
}

/// Keep-alive probes find a vanished peer that was silent. While something is sent and not acknowledged there are none;
/// TCP_USER_TIMEOUT then bounds the wait, which would be a quarter of an hour otherwise (net.ipv4.tcp_retries2).
fn set_keepalive(socket: &Socket, keepalive: &Keepalive) -> io::Result<()> {
    let times = TcpKeepalive::new().with_time(keepalive.idle).with_interval(keepalive.interval);
    socket.set_tcp_keepalive(&times.with_retries(keepalive.probes))?;
    socket.set_tcp_user_timeout(Some(keepalive.patience()))
}

fn keepalive(socket: &Socket) -> io::Result<Keepalive> {
    Ok(Keepalive {
        idle: socket.tcp_keepalive_time()?,
        interval: socket.tcp_keepalive_interval()?,
        probes: socket.tcp_keepalive_retries()?,
    })
}

fn warn_of_shortfalls(asked: &SocketOptions, granted: &Granted) {
    fn check<T: PartialOrd + Default + std::fmt::Display>(flag: &str, asked: Option<T>, granted: Option<T>) {
        let granted = granted.unwrap_or_default();
        if let Some(asked) = asked
            && granted < asked
        {
            tracing::warn!("--{flag} {asked}: the kernel granted {granted}");
        }
    }
    check("busy-poll", asked.busy_poll, granted.busy_poll);
    check("recv-buffer", asked.recv_buffer, granted.recv_buffer);
    check("send-buffer", asked.send_buffer, granted.send_buffer);
    check("backlog", Some(asked.backlog), Some(granted.backlog));
    check("defer-accept", asked.defer_accept, granted.defer_accept);
    check("fast-open", asked.fast_open, granted.fast_open);
    check("notsent-lowat", asked.notsent_lowat, granted.notsent_lowat);
}

fn clamp(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The kernel cuts any backlog to this silently (listen(2)).
fn somaxconn() -> u32 {
    sysctl("/proc/sys/net/core/somaxconn").unwrap_or(u32::MAX)
}

/// Whether servers may use TCP Fast Open at all: bit 1 of the sysctl (kernel documentation, ip-sysctl).
fn fast_open_allowed() -> bool {
    sysctl("/proc/sys/net/ipv4/tcp_fastopen").is_none_or(|bits| bits & 0x2 != 0)
}

fn sysctl(path: &str) -> Option<u32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
