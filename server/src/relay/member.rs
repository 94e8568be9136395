//! One member of a room: what it has said that is not whole, and what waits for it.

use wire::deflate::{Agreed, Codec, Direction};
use wire::{Limits, Peer, Receiver};

use super::batch::Encoding;
use super::counts::Cause;
use super::outbox::Outbox;
use super::rooms::Place;
use crate::limits::budget::Charge;

/// A connection in a room.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) place: Place,
    pub(crate) receiver: Receiver,
    pub(crate) outbox: Outbox,
    /// What decompresses, if permessage-deflate was agreed.
    pub(crate) codec: Option<Codec>,
    /// Where its messages were put last.
    pub(crate) said: Said,
    /// Its socket is watched for room to write.
    pub(crate) watches_room: bool,
    /// Something is left of what was read from it: it is served once more, whatever its socket says.
    pub(crate) goes_on: bool,
    /// The payload of the Close frame that it has sent.
    pub(crate) farewell: Option<Vec<u8>>,
    /// Why what waits for it is lost if it is dropped now.
    pub(crate) cause: Cause,
    charge: Charge,
}

/// A batch that a member's messages were put into: which one of its room, and where it lies among those that are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) turn: u64,
    pub(crate) index: usize,
}

impl Member {
    /// The member in `place`, of whose handshake this was agreed.
    pub(crate) fn new(place: Place, agreed: Option<Agreed>, limits: Limits) -> Self {
        let encoding = if place.compresses { Encoding::Compressed } else { Encoding::Plain };
        // Messages that are handed on refer to no earlier ones, whatever was agreed: no compressor is kept for a member.
        let none_kept = |agreed: Agreed| {
            let server = Direction { context_takeover: false, ..agreed.server };
            Codec::new(Agreed { server, ..agreed }, Peer::Client)
        };
        Self {
            receiver: Receiver::new(limits, agreed.is_some()),
            outbox: Outbox::new(encoding),
            codec: agreed.map(none_kept),
            said: Said::default(),
            watches_room: false,
            goes_on: false,
            farewell: None,
            cause: Cause::Left,
            charge: Charge::new(&place.relay.share),
            place,
        }
    }

    /// Bytes that wait for it or are not whole.
    pub(crate) fn held(&self) -> usize {
        self.receiver.held() + self.outbox.held()
    }

    /// Counts the memory that it alone holds; false if that passes the limit.
    pub(crate) fn count(&mut self) -> bool {
        self.charge.set(self.receiver.held() + self.outbox.memory())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.place.relay.counts().dropped(self.cause, self.outbox.messages());
    }
}
