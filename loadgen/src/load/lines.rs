//! A worker's open connections, in one epoll set, which outlive the phases that a `lane` runs on them: a session's
//! trials go over the same connections, since opening them anew would be the greater part of a short one.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use wire::CloseCode;
use wire::deflate::Effort;

use crate::load::connect::Connection;
use crate::load::dialogue::flight::Flight;
use crate::load::dialogue::{Dialogue, PerWorker};
use crate::load::transport::Transport;
use crate::plan::messages::Corpus;
use crate::plan::{Plan, Verify};

/// A connection.
#[derive(Debug)]
pub struct Line {
    pub stream: Transport,
    /// Its messages that are due or in flight.
    pub flight: Flight,
    /// What its messages are, and what answers them.
    pub dialogue: Dialogue,
    /// Whether the socket is full, so that epoll is to say when it no longer is.
    pub blocked: bool,
}

/// The connections of one worker.
#[derive(Debug)]
pub struct Lines {
    pub epoll: OwnedFd,
    /// `None` once a connection is lost.
    pub all: Vec<Option<Line>>,
    pub alive: usize,
    /// Whether the kernel stamps what they receive.
    pub stamped: bool,
    /// What has come right behind the handshakes, by connection; the first phase takes it.
    pub read_ahead: Vec<(usize, Vec<u8>)>,
    /// The receive buffer, shared by all connections.
    pub buffer: Box<[u8]>,
    /// What they share to compress and to check.
    pub per_worker: PerWorker,
}

impl Lines {
    /// Takes connections over for the load of `plan`, to be `stamped` by the kernel or not. Every one has room for the
    /// messages that `plan` lets it hold before it has to allocate.
    ///
    /// # Errors
    /// When the kernel refuses an epoll set, an entry in it, or stamps.
    pub fn new(connections: Vec<Connection>, plan: &Plan, corpus: &Corpus, stamped: bool) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let offered = plan.connect.permessage_deflate;
        let per_worker = PerWorker::new(corpus, offered.map_or_else(Effort::default, |deflate| deflate.effort));
        let mut lines = Self {
            epoll,
            alive: 0,
            stamped,
            all: Vec::new(),
            read_ahead: Vec::new(),
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            per_worker,
        };
        lines.add(connections, plan, corpus)?;
        Ok(lines)
    }

    /// Takes over more connections for the same load.
    ///
    /// # Errors
    /// As [`Lines::new`].
    pub fn add(&mut self, connections: Vec<Connection>, plan: &Plan, corpus: &Corpus) -> io::Result<()> {
        let capacity = plan.load.capacity();
        self.all.reserve(connections.len());
        for (index, Connection { mut stream, read_ahead, protocol, .. }) in (self.all.len()..).zip(connections) {
            stream.set_nonblocking()?;
            if self.stamped {
                stream.set_stamped()?;
            }
            if plan.udp_offload {
                stream.set_offload();
            }
            epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            // Each connection starts elsewhere in the cycle, so that a reply sent to the wrong connection shows.
            let first = index * STRIDE % corpus.len();
            let content = match plan.verify {
                Verify::Full => true,
                Verify::Sample => index % SAMPLED == 0,
                Verify::Length => false,
            };
            let dialogue = Dialogue::new(protocol, plan, content, corpus);
            self.all.push(Some(Line { stream, flight: Flight::new(first, capacity), dialogue, blocked: false }));
            self.alive += 1;
            if !read_ahead.is_empty() {
                self.read_ahead.push((index, read_ahead));
            }
        }
        Ok(())
    }

    /// Says goodbye on every connection and closes it.
    pub fn close(self) {
        self.all.into_iter().flatten().for_each(|mut line| goodbye(&mut line, Some(CloseCode::NORMAL)));
    }

    /// Closes every connection, each at its moment: `per_second` of them, or all at once. Says goodbye first, unless they
    /// are to end as where a client's process does, with no word before the end of the stream (FIN). Once one of `at_once` is set, none is waited for. More can be added then.
    pub fn close_all(&mut self, per_second: Option<f64>, goodbyes: bool, at_once: [&AtomicBool; 2]) {
        let began = Instant::now();
        for (number, mut line) in self.all.drain(..).flatten().enumerate() {
            if let Some(rate) = per_second {
                let due = began + Duration::from_secs_f64(number as f64 / rate);
                while Instant::now() < due && !at_once.iter().any(|set| set.load(Ordering::Relaxed)) {
                    thread::sleep(due.saturating_duration_since(Instant::now()).min(INTERRUPTION_POLL));
                }
            }
            if goodbyes {
                goodbye(&mut line, Some(CloseCode::NORMAL));
            }
        }
        self.read_ahead.clear();
        self.alive = 0;
    }
}

/// Tells the server why its connection is closed, where its protocol has words for it. Nothing depends on whether they are
/// sent: the socket is closed next.
pub fn goodbye(line: &mut Line, code: Option<CloseCode>) {
    let mut words = Vec::new();
    line.dialogue.append_last_words(&line.flight, &mut words, code);
    line.stream.write_last(&words);
}

/// Says goodbye on a connection that no message was sent on, and closes it.
pub fn close_unused(connection: Connection, plan: &Plan, corpus: &Corpus) {
    let dialogue = Dialogue::new(connection.protocol, plan, false, corpus);
    goodbye(
        &mut Line { stream: connection.stream, flight: Flight::new(0, 0), dialogue, blocked: false },
        Some(CloseCode::NORMAL),
    );
}

/// The receive buffer in bytes: one read takes all that a socket holds.
const RECEIVE_BYTES: usize = 512 << 10;

/// With `--verify sample`, the content of the replies of every 16th connection is checked: where the server takes context
/// over, single replies could not be inflated without the ones before them.
const SAMPLED: usize = 16;

/// How often an interruption is looked for.
const INTERRUPTION_POLL: Duration = Duration::from_millis(50);

/// How far apart in the corpus neighbouring connections start; odd, so that all starts occur.
const STRIDE: usize = 31;
