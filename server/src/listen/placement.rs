//! Which worker gets an accepted connection: the one that accepts it, or the one that has the fewest.
//!
//! The latter (`--balance exact`) needs one place that accepts for all, which is a thread of its own: a worker would do
//! it at the cost of its connections, and would keep all who connect waiting while it is busy with a large message.
//! There is one listening socket per address, so that no other program can join its port. Workers share nothing for
//! this but their counts of connections, which are read once for every connection accepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::config::Scheme;
use crate::connection::{self, Worker};
use crate::http;
use crate::limits::admission::Admission;
use crate::limits::budget::Charge;
use crate::limits::drain::Drain;
use crate::transport::Stream;

/// Where the connections of an accept loop go, and when it ends.
#[derive(Debug)]
pub(crate) enum Placement {
    /// To the worker that runs the loop, until it drains.
    Own(Arc<Worker>),
    /// To the worker that has the fewest.
    Fewest(Fewest),
}

impl Placement {
    /// Started when the accept loop is to end.
    pub(crate) fn drain(&self) -> &Drain {
        match self {
            Self::Own(worker) => &worker.drain,
            Self::Fewest(fewest) => &fewest.drain,
        }
    }

    /// Counts the accept loops that wait for a timer.
    pub(crate) fn pausing(&self) -> &AtomicUsize {
        match self {
            Self::Own(worker) => &worker.pausing,
            Self::Fewest(fewest) => &fewest.pausing,
        }
    }

    /// Starts what is spoken on an accepted connection, on its worker. One over `--max-connections` is turned away.
    pub(crate) fn place(&self, stream: Stream, peer: SocketAddr, scheme: Scheme) {
        let worker = match self {
            Self::Own(worker) => worker,
            Self::Fewest(fewest) => return fewest.hand_over(stream, peer, scheme),
        };
        match worker.admissions.admit() {
            Some(admission) => serve(worker, Accepted { admission, stream, peer, scheme }),
            None => turn_away(&stream, scheme, CROWDED),
        }
    }
}

/// All workers, for one thread that accepts for them.
#[derive(Debug, Default)]
pub(crate) struct Fewest {
    /// Started when the thread is to accept no more.
    pub(crate) drain: Arc<Drain>,
    pausing: AtomicUsize,
    seats: Vec<Seat>,
    /// Where the search for the fewest begins: behind the worker found last, so that workers with equally many take
    /// turns.
    next: AtomicUsize,
}

/// A worker, and the queue to it. `--max-connections` bounds the queue, since what lies in it is counted.
#[derive(Debug)]
struct Seat {
    worker: Arc<Worker>,
    queue: UnboundedSender<Accepted>,
}

impl Fewest {
    /// Adds a worker, which is to [`receive`] from the queue returned.
    pub(crate) fn add(&mut self, worker: Arc<Worker>) -> UnboundedReceiver<Accepted> {
        let (queue, receiver) = unbounded_channel();
        self.seats.push(Seat { worker, queue });
        receiver
    }

    fn hand_over(&self, stream: Stream, peer: SocketAddr, scheme: Scheme) {
        let seat = &self.seats[self.fewest()];
        let Some(admission) = seat.worker.admissions.admit() else { return turn_away(&stream, scheme, CROWDED) };
        // It fails only if the worker has panicked, which ends the server.
        let _ = seat.queue.send(Accepted { admission, stream, peer, scheme });
        // The worker may be waiting in its lane, which does not watch this queue.
        seat.worker.lane.iter().for_each(|lane| lane.ring());
    }

    fn fewest(&self) -> usize {
        let (first, count) = (self.next.load(Ordering::Relaxed), self.seats.len());
        let from_first = (0..count).map(|offset| (first + offset) % count);
        let fewest =
            from_first.min_by_key(|&at| self.seats[at].worker.admissions.open()).expect("a server has workers");
        self.next.store(fewest + 1, Ordering::Relaxed);
        fewest
    }
}

/// A connection that has been accepted and counted.
#[derive(Debug)]
pub(crate) struct Accepted {
    admission: Admission,
    stream: Stream,
    peer: SocketAddr,
    scheme: Scheme,
}

/// Starts what is spoken on the connections handed to a worker, until no more can come: the thread that accepts has
/// ended.
pub(crate) async fn receive(worker: Arc<Worker>, mut queue: UnboundedReceiver<Accepted>) {
    while let Some(accepted) = queue.recv().await {
        serve(&worker, accepted);
    }
}

/// On the worker's own thread, which may have to close connections that hold much to make room for the request.
fn serve(worker: &Arc<Worker>, Accepted { admission, stream, peer, scheme }: Accepted) {
    let Some(room) = room_for_request(worker) else { return turn_away(&stream, scheme, LOADED) };
    if scheme == Scheme::Tcp {
        return connection::start_bytes(worker, admission, stream, peer);
    }
    let worker = Arc::clone(worker);
    match stream.watch() {
        Ok(stream) if scheme == Scheme::Wss => {
            drop(tokio::spawn(http::serve_tls(worker, admission, room, stream, peer)));
        }
        Ok(stream) => drop(tokio::spawn(http::serve(worker, admission, room, stream, peer, Instant::now()))),
        Err(error) => tracing::warn!(%peer, "a connection cannot be watched and is closed: {error}"),
    }
}

/// Counts what a request may take, unless `--max-buffered` is passed and nobody can be closed to make room for it.
fn room_for_request(worker: &Arc<Worker>) -> Option<Charge> {
    let mut room = Charge::new(&worker.share);
    if !room.set(REQUEST_BYTES) {
        worker.relieve();
    }
    (worker.share.wanted() == 0).then_some(room)
}

/// Tells a client `why` there is no room for it, without waiting for its request. If the request arrives later, the client may
/// see a reset instead of the answer. Where there are only bytes, or nothing can be said before a handshake of TLS, the
/// connection is closed without a word.
fn turn_away(stream: &Stream, scheme: Scheme, why: &str) {
    match scheme {
        Scheme::Ws => stream.send_last(format!("{BUSY}{}\r\n\r\n{why}", why.len()).as_bytes()),
        Scheme::Wss | Scheme::Tcp | Scheme::Udp => stream.send_last(&[]),
    }
}

/// Bytes: a head of the largest size, and hyper's state.
const REQUEST_BYTES: usize = http::HEAD_BYTES + (8 << 10);

/// What a connection is told where `--max-connections` are open.
const CROWDED: &str = "too many connections\n";

/// What it is told where `--max-buffered` is passed and nobody can be closed to make room.
const LOADED: &str = "the connections hold as much as they may (--max-buffered); try again later\n";

/// The answer to a connection for which there is no room, up to the length of what it says.
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n\
Content-Type: text/plain; charset=utf-8\r\nContent-Length: ";
