//! A worker's open connections, in one epoll set, which outlive the phases that a `lane` runs on them: a session's
//! trials go over the same connections, since opening them anew would be the greater part of a short one.

use std::io;
use std::os::fd::OwnedFd;

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
        let capacity = plan.load.capacity();
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut all_read_ahead = Vec::new();
        let mut all = Vec::with_capacity(connections.len());
        for (index, Connection { stream, read_ahead, protocol, .. }) in connections.into_iter().enumerate() {
            stream.set_nonblocking()?;
            if stamped {
                stream.set_stamped()?;
            }
            epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            // Each connection starts elsewhere in the cycle, so that a reply sent to the wrong connection shows.
            let first = index * STRIDE % corpus.len();
            let content = match plan.verify {
                Verify::Full => true,
                Verify::Sample => index % SAMPLED == 0,
                Verify::Length => false,
            };
            let dialogue = Dialogue::new(protocol, plan, content, corpus);
            all.push(Some(Line { stream, flight: Flight::new(first, capacity), dialogue, blocked: false }));
            if !read_ahead.is_empty() {
                all_read_ahead.push((index, read_ahead));
            }
        }
        let offered = plan.connect.permessage_deflate;
        let per_worker = PerWorker::new(corpus, offered.map_or_else(Effort::default, |deflate| deflate.effort));
        Ok(Self {
            epoll,
            alive: all.len(),
            stamped,
            all,
            read_ahead: all_read_ahead,
            buffer: vec![0; RECEIVE_BYTES].into_boxed_slice(),
            per_worker,
        })
    }

    /// Says goodbye on every connection and closes it.
    pub fn close(self) {
        self.all.iter().flatten().for_each(|line| goodbye(line, CloseCode::NORMAL));
    }
}

/// Tells the server why its connection is closed, where its protocol has words for it. Nothing depends on whether they are
/// sent: the socket is closed next.
pub fn goodbye(line: &Line, code: CloseCode) {
    let mut words = Vec::new();
    line.dialogue.append_last_words(&line.flight, &mut words, code);
    if !words.is_empty() {
        let _ = line.stream.write(&words);
    }
}

/// The receive buffer in bytes: one read takes all that a socket holds.
const RECEIVE_BYTES: usize = 512 << 10;

/// With `--verify sample`, the content of the replies of every 16th connection is checked: where the server takes context
/// over, single replies could not be inflated without the ones before them.
const SAMPLED: usize = 16;

/// How far apart in the corpus neighbouring connections start; odd, so that all starts occur.
const STRIDE: usize = 31;
