//! permessage-deflate on this side: what a connection keeps of it, and what all those of a thread share.

use std::cell::RefCell;

use wire::deflate::{Codec, Effort, Replies, Shared};
use wire::{OpCode, Peer, Violation};

use crate::config::Config;

/// A connection's codec, if it agreed on permessage-deflate; boxed, as most connections have none.
pub(crate) type Connection = Option<Box<Codec>>;

/// How messages are answered, by any connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    effort: Effort,
    pub(crate) replies: Replies,
}

impl Manner {
    /// What the configuration says, if it says so.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let options = config.permessage_deflate?;
        Some(Self { effort: options.effort(), replies: options.replies(config.limits.max_message_size) })
    }

    /// Calls `act` with what the connections of this thread share.
    pub(crate) fn share<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        SHARED.with_borrow_mut(|shared| {
            let shared = match shared {
                Some((effort, shared)) if *effort == self.effort => shared,
                other => &mut other.insert((self.effort, Shared::new(self.effort))).1,
            };
            let result = act(shared);
            shared.trim();
            result
        })
    }

    /// The payload that answers a message, put into `reply`.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub(crate) fn answer(
        &self,
        codec: &mut Codec,
        message: &wire::deflate::Message<'_>,
        reply: &mut Vec<u8>,
    ) -> Result<wire::deflate::Answer, Violation> {
        reply.clear();
        self.share(|shared| wire::deflate::answer(message, &self.replies, codec, shared, reply))
    }
}

/// The codec of a connection after its handshake.
pub(crate) fn connection(agreed: Option<wire::deflate::Agreed>) -> Connection {
    agreed.map(|agreed| Box::new(Codec::new(agreed, Peer::Client)))
}

/// What is known of a message before its first frame is read: how it came if it is compressed, which fastwebsockets is not
/// told.
pub(crate) type Begun = Option<OpCode>;

thread_local! {
    static SHARED: RefCell<Option<(Effort, Shared)>> = const { RefCell::new(None) };
}
