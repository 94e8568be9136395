//! A TLS connection that a tokio runtime watches.

use std::future::Future as _;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncWrite as _, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use super::Tls;
use super::session::{Received, Session};

/// A TLS connection whose socket a tokio runtime watches.
#[derive(Debug)]
pub(crate) struct WatchedTls {
    pub(in crate::transport) socket: TcpStream,
    session: Box<Session>,
    /// What is decrypted and was not read; of this the first `read` bytes were.
    plain: Vec<u8>,
    read: usize,
    /// What receiving has taken since others had their turn (nanoseconds, about).
    work: u64,
}

impl WatchedTls {
    /// What the session holds is counted by the task that the connection belongs to.
    pub(super) fn new(socket: TcpStream, mut session: Box<Session>) -> Self {
        session.set_counts(false);
        Self { socket, session, plain: Vec::new(), read: 0, work: 0 }
    }

    /// One of which this plaintext has come already.
    pub(super) fn with_plain(mut self, plain: Vec<u8>) -> Self {
        self.plain = plain;
        self
    }

    /// See [`crate::transport::Watched::unwatch`].
    pub(in crate::transport) fn unwatch(mut self) -> io::Result<Tls> {
        debug_assert!(self.plain.is_empty(), "{} bytes that nobody will read", self.plain.len());
        self.session.set_counts(true);
        Ok(Tls { socket: self.socket.into_std()?, session: self.session.into() })
    }

    /// See [`crate::transport::Stream::held`].
    pub(in crate::transport) fn held(&self) -> usize {
        self.session.held() + self.plain.capacity()
    }

    /// See [`crate::transport::Watched::stop_reading`].
    pub(in crate::transport) fn stop_reading(&mut self) {
        self.session.stop_reading();
        (self.plain, self.read) = (Vec::new(), 0);
    }

    /// See [`crate::transport::Watched::take_ahead`].
    pub(in crate::transport) fn take_ahead(&mut self, ahead: Bytes) -> Bytes {
        if self.plain.is_empty() {
            return ahead;
        }
        let rest = &std::mem::take(&mut self.plain)[std::mem::take(&mut self.read)..];
        Bytes::from([&ahead[..], rest].concat())
    }

    pub(in crate::transport) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        window: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.plain.is_empty() {
                self.read_plain(window);
                return Poll::Ready(Ok(()));
            }
            if self.work > TURN_NS {
                // Many records may say little: tokio counts calls, and has others wait for 128 of them. It wakes who yields so
                // only after it has looked at the sockets of others.
                self.work = 0;
                if pin!(yield_now()).poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            ready!(self.socket.poll_read_ready(cx))?;
            let Self { socket, session, plain, work, .. } = self;
            let most = window.remaining();
            let take = |bytes: &[u8]| {
                let (now, later) = bytes.split_at(bytes.len().min(window.remaining()));
                window.put_slice(now);
                plain.extend_from_slice(later);
            };
            let received = socket.try_io(Interest::READABLE, || {
                match session.receive(socket.as_fd(), most, work, take)? {
                    // Only this tells that the socket is empty.
                    Received::Nothing => Err(ErrorKind::WouldBlock.into()),
                    received => Ok(received),
                }
            });
            match received {
                Ok(Received::Partial | Received::Nothing) => {}
                Ok(Received::Plain(_) | Received::End) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn read_plain(&mut self, window: &mut ReadBuf<'_>) {
        let rest = &self.plain[self.read..];
        let now = rest.len().min(window.remaining());
        window.put_slice(&rest[..now]);
        self.read += now;
        if self.read == self.plain.len() {
            (self.plain, self.read) = (Vec::new(), 0);
        }
    }

    pub(in crate::transport) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.poll_until(cx, |session, socket| {
            session.send(socket.as_fd(), slices).map(|sent| (sent > 0).then_some(sent))
        })
    }

    /// Says that this side ends, as far as the socket takes it now.
    pub(in crate::transport) fn say_end(&mut self) {
        self.session.close();
        let _ = self.session.flush(self.socket.as_fd());
    }

    /// Ends this side of the stream, once what is encrypted is sent.
    pub(in crate::transport) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.close();
        ready!(self.poll_until(cx, |session, socket| session.flush(socket.as_fd()).map(|all| all.then_some(()))))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    /// Calls `act` whenever the socket takes something, until it gives a result.
    fn poll_until<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut act: impl FnMut(&mut Session, &TcpStream) -> io::Result<Option<R>>,
    ) -> Poll<io::Result<R>> {
        let Self { socket, session, .. } = self;
        loop {
            ready!(socket.poll_write_ready(cx))?;
            let acted =
                socket.try_io(Interest::WRITABLE, || act(session, socket)?.ok_or_else(|| ErrorKind::WouldBlock.into()));
            match acted {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                acted => return Poll::Ready(acted),
            }
        }
    }
}

/// Nanoseconds, about: after so much of decrypting a task lets others have their turn, as the lane does.
const TURN_NS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};
    use tokio::io::AsyncReadExt as _;
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::super::handshake::shake_hands;
    use super::super::identity::Identity;
    use super::super::provider;
    use super::TURN_NS;
    use crate::config::{Certificate, TlsOptions};
    use crate::limits::budget::Share;
    use crate::transport::Watched;

    /// Bytes that are sent, each in a record of its own behind an update of the keys.
    const BYTES: usize = 6_000;

    /// A client that sends [`BYTES`] key updates once `go` is dropped, and the server's end of its connection.
    struct Connected {
        client: thread::JoinHandle<()>,
        go: mpsc::Sender<()>,
        socket: std::net::TcpStream,
        identity: Arc<Identity>,
        share: Arc<Share>,
    }

    fn connected() -> Connected {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [chain, key] = ["chain", "key"].map(|name| folder.path().join(name));
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let certificate = Certificate::Files { chain, key };
        let identity = Identity::load(&TlsOptions { certificate, client_ca: None, tickets: 0 }, &[]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (go, gone) = mpsc::channel();
        let client = thread::spawn(move || send(roots, std::net::TcpStream::connect(address).unwrap(), &gone));
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let share = Share::split(1 << 20, 1, &Arc::new(Notify::new())).remove(0);
        Connected { client, go, socket, identity, share }
    }

    #[test]
    fn others_have_their_turn_among_key_updates() {
        let Connected { client, go, socket, identity, share } = connected();
        drop(go);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let turns = Arc::new(AtomicUsize::new(0));
        let others = Arc::clone(&turns);
        let batches = runtime.block_on(async move {
            tokio::spawn(async move {
                loop {
                    others.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                }
            });
            tokio::spawn(async move {
                let socket = tokio::net::TcpStream::from_std(socket).unwrap();
                let mut stream = shake_hands(Watched::Tcp(socket), &identity, &share).await.unwrap();
                receive(&mut stream, &turns).await
            })
            .await
            .unwrap()
        });
        client.join().unwrap();
        assert_eq!(batches.iter().sum::<usize>(), BYTES);
        let most = batches.iter().max().unwrap();
        assert!(*most < 2_700, "{most} key updates at once, at first");
        // Two times as many as fit into a millisecond: tokio runs who yields first, then others, then in the other order.
        let wary = batches.iter().rev().take(5).max().unwrap();
        assert!(*wary < 1_000, "{wary} key updates at once, at last");
    }

    #[test]
    fn what_is_received_on_the_lane_is_charged_to_its_turn() {
        let Connected { client, go, socket, identity, share } = connected();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpStream::from_std(socket).unwrap();
            shake_hands(Watched::Tcp(socket), &identity, &share).await.unwrap().unwatch().unwrap()
        });
        drop(go);
        let mut buffer = vec![0; 512 << 10];
        let (mut received, mut charged, mut most) = (0, 0, 0);
        while received < BYTES {
            let mut work = 0;
            match stream.read(&mut buffer, 256 << 10, &mut work).unwrap() {
                Some(0) => panic!("the end, after {received} bytes"),
                Some(bytes) => received += bytes,
                None => thread::sleep(Duration::from_millis(1)),
            }
            charged += work;
            most = most.max(if received > BYTES / 2 { work } else { 0 });
        }
        client.join().unwrap();
        // A key update and a record of one byte.
        let each = charged / BYTES as u64;
        assert!((3_000..8_000).contains(&each), "{each} ns for each");
        // Of one that has sent many little is received at once: about what a turn may take.
        assert!(most < 2 * TURN_NS, "{most} ns for one read");
    }

    /// How many bytes come between two turns of others, each time.
    async fn receive(stream: &mut Watched, turns: &AtomicUsize) -> Vec<usize> {
        let mut batches = vec![0];
        let mut turn = turns.load(Ordering::Relaxed);
        let mut window = vec![0; 128 << 10];
        loop {
            let received = stream.read(&mut window).await.unwrap();
            let now = turns.load(Ordering::Relaxed);
            if now != turn {
                batches.push(0);
            }
            turn = now;
            *batches.last_mut().unwrap() += received;
            if batches.iter().sum::<usize>() == BYTES {
                return batches;
            }
        }
    }

    /// Makes all of it before it is sent, so that nothing has to be waited for.
    fn send(roots: RootCertStore, mut socket: std::net::TcpStream, gone: &mpsc::Receiver<()>) {
        let builder = ClientConfig::builder_with_provider(provider::cryptography());
        let builder = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        let mut connection = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        connection.complete_io(&mut socket).unwrap();
        let mut records = Vec::new();
        for _ in 0..BYTES {
            connection.refresh_traffic_keys().unwrap();
            connection.writer().write_all(b"x").unwrap();
            while connection.wants_write() {
                connection.write_tls(&mut records).unwrap();
            }
        }
        let _ = gone.recv();
        socket.write_all(&records).unwrap();
    }
}
