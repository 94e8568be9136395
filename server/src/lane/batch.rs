//! Sockets that are ready, taken from the epoll set some at a time.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event};

/// The keys of the sockets taken last, of which some may be left from the turn before: the set lists a socket again as
/// long as it is ready, in the same order, so that one at the end would never be served if each turn began anew.
#[derive(Debug)]
pub(super) struct Batch {
    keys: Vec<u64>,
    next: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { keys: Vec::with_capacity(EVENTS), next: 0 }
    }

    /// The next of them.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u64> {
        let key = self.keys.get(self.next).copied();
        self.next += usize::from(key.is_some());
        key
    }

    /// Takes the sockets that are ready, waiting for some as long as `patience` allows, for ever if it is `None`;
    /// returns whether there are any.
    ///
    /// # Errors
    /// When the epoll set cannot be asked.
    pub(super) fn wait(&mut self, epoll: &OwnedFd, patience: Option<&Timespec>) -> io::Result<bool> {
        self.keys.clear();
        self.next = 0;
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let ready = loop {
            match epoll::wait(epoll, &mut events, patience) {
                Ok((ready, _)) => break ready,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.keys.extend(ready.iter().map(|&Event { data, .. }| data.u64()));
        Ok(!self.keys.is_empty())
    }
}

/// Sockets taken from the epoll set at a time.
const EVENTS: usize = 64;
