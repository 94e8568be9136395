//! The connections of a yardstick and the loop that waits for them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Does what there is to do with the bytes that came from the connection with this number.
pub type Serve = fn(&mut Sockets, usize, &mut [u8]);

/// All connections, by their descriptors' numbers, which are small and used again.
pub struct Sockets {
    listener: TcpListener,
    epoll: OwnedFd,
    all: Vec<Option<Socket>>,
}

/// One connection.
struct Socket {
    stream: TcpStream,
    /// The handshake is done.
    joined: bool,
}

impl Sockets {
    /// None yet: listens on 127.0.0.1.
    pub fn listen(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self { listener, epoll, all: Vec::new() })
    }

    /// Serves them for ever.
    pub fn run(mut self, serve: Serve) -> Result<()> {
        let (mut events, mut buffer) = (Vec::with_capacity(EVENTS), vec![0; BUFFER]);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for Event { data, .. } in events.iter().copied() {
                match data.u64() {
                    LISTENER => self.accept()?,
                    at => self.read(at as usize, &mut buffer, serve),
                }
            }
        }
    }

    /// Whether the handshake of this connection is done.
    pub fn joined(&self, at: usize) -> bool {
        self.all[at].as_ref().is_some_and(|socket| socket.joined)
    }

    /// The handshake of this connection is done.
    pub fn join(&mut self, at: usize) {
        if let Some(socket) = &mut self.all[at] {
            socket.joined = true;
        }
    }

    /// Sends bytes to a connection, and closes it if it does not take all of them.
    pub fn send(&mut self, at: usize, bytes: &[u8]) {
        let taken = self.all[at].as_mut().map(|socket| socket.stream.write(bytes));
        if !matches!(taken, Some(Ok(count)) if count == bytes.len()) {
            self.close(at, "it does not take all that is for it");
        }
    }

    /// Sends bytes to every connection that has joined but this one.
    pub fn send_to_others(&mut self, sender: usize, bytes: &[u8]) {
        for at in 0..self.all.len() {
            if at != sender && self.joined(at) {
                self.send(at, bytes);
            }
        }
    }

    /// Closes a connection for want of what a yardstick leaves out.
    pub fn close(&mut self, at: usize, why: &str) {
        if self.all[at].take().is_some() {
            eprintln!("floors: a connection is closed: {why}");
        }
    }

    /// Closes a connection that ends.
    pub fn leave(&mut self, at: usize) {
        self.all[at] = None;
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let at = stream.as_raw_fd() as usize;
                    epoll::add(&self.epoll, &stream, EventData::new_u64(at as u64), EventFlags::IN)?;
                    self.all.resize_with(self.all.len().max(at + 1), || None);
                    self.all[at] = Some(Socket { stream, joined: false });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(&mut self, at: usize, buffer: &mut [u8], serve: Serve) {
        // Closed meanwhile, or readable no more, since an event of the same turn may be of a connection before it.
        let Some(socket) = &mut self.all[at] else { return };
        match socket.stream.read(buffer) {
            Ok(0) => self.leave(at),
            Ok(came) => serve(self, at, &mut buffer[..came]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.leave(at),
        }
    }
}

/// What the epoll set says of the listener: no descriptor has this number.
const LISTENER: u64 = u64::MAX;

/// Events taken at a time.
const EVENTS: usize = 1024;

/// Bytes read at a time: as echo-server's worker.
const BUFFER: usize = 512 << 10;
