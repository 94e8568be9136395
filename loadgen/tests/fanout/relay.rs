//! A relay that does right or wrong in chosen ways. Each member has a queue of its own, so that one that does not read costs
//! the others nothing.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use wire::OpCode;

use super::servers::{frame, read_frame, shake_hands};

/// What is relayed for message number `n` of a member; `held` is for what it keeps for later.
pub type Rewrite = fn(n: usize, payload: Vec<u8>, held: &mut Vec<Vec<u8>>) -> Vec<Vec<u8>>;

/// A relay.
#[derive(Clone, Copy)]
pub struct Relay {
    /// What is made of a message.
    pub rewrite: Rewrite,
    /// The type of what is relayed; `None` for that of the message.
    pub retyped: Option<OpCode>,
    /// Who gets it.
    pub to: To,
    /// Messages that wait for a member before more are dropped.
    pub queue: usize,
    /// Whether a member whose queue is full is closed instead.
    pub closes: bool,
    /// What each member is greeted with.
    pub greeting: &'static [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    Others,
    All,
    Sender,
}

/// Passes on what comes.
pub fn plain() -> Relay {
    Relay {
        rewrite: |_, payload, _| vec![payload],
        retyped: None,
        to: To::Others,
        queue: 10_000,
        closes: false,
        greeting: b"",
    }
}

struct Member {
    number: usize,
    queue: SyncSender<Arc<[u8]>>,
    stream: TcpStream,
}

type Rooms = Arc<Mutex<HashMap<String, Vec<Member>>>>;

impl Relay {
    /// Starts it; its URL. It ends with the test.
    pub fn start(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            let rooms = Rooms::default();
            for (number, stream) in listener.incoming().enumerate() {
                let rooms = rooms.clone();
                // A member ends with an error here whenever it closes first.
                thread::spawn(move || self.serve(number, stream?, &rooms));
            }
            io::Result::Ok(())
        });
        url
    }

    fn serve(self, number: usize, mut stream: TcpStream, rooms: &Rooms) -> io::Result<()> {
        let Some(path) = shake_hands(&mut stream)? else { return Ok(()) };
        let (queue, queued) = sync_channel::<Arc<[u8]>>(self.queue);
        let mut out = stream.try_clone()?;
        if !self.greeting.is_empty() {
            out.write_all(&frame(OpCode::Text, self.greeting))?;
        }
        thread::spawn(move || queued.into_iter().try_for_each(|bytes| out.write_all(&bytes)));
        let member = Member { number, queue, stream: stream.try_clone()? };
        rooms.lock().unwrap().entry(path.clone()).or_default().push(member);
        let (mut n, mut held) = (0, Vec::new());
        let served = loop {
            match read_frame(&mut stream) {
                Ok((OpCode::Close, _)) => break Ok(()),
                Ok((OpCode::Pong, _)) => {}
                Ok((opcode, payload)) => {
                    let relayed = (self.rewrite)(n, payload, &mut held);
                    n += 1;
                    let room = &rooms.lock().unwrap()[&path];
                    let opcode = self.retyped.unwrap_or(opcode);
                    relayed.iter().for_each(|payload| self.relay(number, room, frame(opcode, payload).into()));
                }
                Err(error) => break Err(error),
            }
        };
        rooms.lock().unwrap().get_mut(&path).expect("it is a member").retain(|member| member.number != number);
        let _ = stream.shutdown(Shutdown::Both);
        served
    }

    fn relay(self, from: usize, room: &[Member], bytes: Arc<[u8]>) {
        let is_to = |member: &&Member| match self.to {
            To::Others => member.number != from,
            To::All => true,
            To::Sender => member.number == from,
        };
        for member in room.iter().filter(is_to) {
            if let Err(TrySendError::Full(_)) = member.queue.try_send(bytes.clone())
                && self.closes
            {
                let _ = member.stream.shutdown(Shutdown::Both);
            }
        }
    }
}
