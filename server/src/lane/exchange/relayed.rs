//! What is done with the messages of a room's member: they are put into the room's batch, to be handed out when the sockets that
//! are ready have been read.

use wire::deflate::{Agreed, Codec, Direction};
use wire::{End, OpCode, Peer, Received, Violation, check_text};

use super::{DEFLATED, Exchange, Exchanged, Left, TEMPLATED};
use crate::config::DeflateOptions;
use crate::relay::{Member, Place, Said};

/// What compresses the messages of all rooms: each by itself, so that everybody can read it who agreed on the window.
pub(super) fn packer(options: &DeflateOptions) -> Codec {
    let direction = Direction { context_takeover: false, window: options.window_bits };
    Codec::new(Agreed { server: direction, client: direction }, Peer::Client)
}

impl Exchange {
    /// Takes what a member says in `bytes`. There are no replies but those to Pings, which wait in its outbox. A Close frame
    /// ends it as a detour, with its payload left in `farewell`.
    pub(super) fn receive(&mut self, member: &mut Member, bytes: &mut [u8]) -> Exchanged {
        let (mut consumed, mut messages, mut worked) = (0, 0, 0);
        let mut left = Left::Nothing;
        let end = loop {
            let Member { receiver, codec, outbox, place, said, farewell, .. } = member;
            let (used, received) = match receiver.next(&mut bytes[consumed..]) {
                Ok(Some(next)) => next,
                Ok(None) => break End::Partial,
                Err(violation) => break End::Violation(violation),
            };
            consumed += used;
            match received {
                Received::Message { opcode, compressed, payload } => {
                    let codec = if compressed { codec.as_mut() } else { None };
                    match self.hand_on((place, said), codec, opcode, payload) {
                        Ok(work) => worked += work,
                        Err(violation) => break End::Violation(violation),
                    }
                    messages += 1;
                }
                Received::Ping(payload) => outbox.answer_ping(payload),
                Received::Fragment | Received::Pong => {}
                Received::Close(payload) => {
                    *farewell = Some(payload.to_vec());
                    break End::Detour;
                }
            }
            if consumed < bytes.len() && (self.writing.is_full() || worked > TIRED) {
                left = Left::ForNextTurn;
                break End::Partial;
            }
        };
        member.place.relay.counts().received(messages);
        self.count(messages, consumed, TEMPLATED);
        self.count(0, worked, DEFLATED);
        if !member.count() {
            // The turn ends, so that somebody is evicted now.
            self.turn.end();
        }
        Exchanged { consumed, left, end }
    }

    /// Puts a message, which `codec` is to decompress if it is given, into its room's batch; returns how many bytes were
    /// compressed or decompressed.
    fn hand_on(
        &mut self,
        (place, said): (&Place, &mut Said),
        codec: Option<&mut Codec>,
        opcode: OpCode,
        payload: &[u8],
    ) -> Result<usize, Violation> {
        let batch = self.writing.batch(&place.room, said);
        let before = batch.bytes_written();
        let (mut len, mut worked) = (payload.len(), 0);
        match (codec, &self.compression) {
            (Some(codec), Some(compression)) => compression.with_shared(|shared| {
                let plain = codec.decompress(shared, payload, self.limits.max_message_size)?;
                check_text(opcode, plain)?;
                len = plain.len();
                worked += payload.len() + len;
                batch.push(place.member, opcode, plain);
                Ok(())
            })?,
            _ => batch.push(place.member, opcode, payload),
        }
        if let (Some(compression), Some(packer)) = (&self.compression, &mut self.packer)
            && len >= compression.replies.threshold
            && place.room.compresses()
        {
            compression.with_shared(|shared| batch.compress_last(|plain, out| packer.compress(shared, plain, out)));
            worked += len;
        }
        let added = batch.bytes_written() - before;
        self.writing.add(added);
        Ok(worked)
    }
}

/// Bytes that are compressed or decompressed before others have their turn: some milliseconds, or one message.
const TIRED: usize = 1 << 20;
