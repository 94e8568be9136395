//! What answers a whole message off the lane: the message itself, or a reply that is made apart from it.

use std::net::SocketAddr;

use fastwebsockets::{Frame, OpCode, Payload};
use wire::Violation;
use wire::deflate::Uncompressed;

use super::{Manner, link};
use crate::dialogue::deflate::CompressedAs;
use crate::dialogue::templated::template;

/// The reply to a message, which came compressed if it has `begun` so: the message itself, or a frame around what is
/// put into `packed`. Adds to `worked` the bytes that were compressed or decompressed.
pub(super) fn answer<'f>(
    manner: &Manner,
    message: Frame<'f>,
    begun: CompressedAs,
    packed: &'f mut Vec<u8>,
    worked: &mut usize,
) -> Result<Frame<'f>, Violation> {
    if manner.compression.is_none() && manner.templated.is_none() && !manner.log_messages {
        return Ok(message);
    }
    let came = if message.opcode == OpCode::Text { wire::OpCode::Text } else { wire::OpCode::Binary };
    let opcode = begun.unwrap_or(came);
    let template = template(manner.templated.as_ref(), opcode);
    let made = link::borrow(|link| {
        let peer = if manner.log_messages { Some(link.stream.peer()) } else { None };
        let compression =
            manner.compression.as_ref().zip(link.dialogue.codec()).filter(|(compression, _)| {
                begun.is_some() || compression.replies.uncompressed == Uncompressed::Compressed
            });
        if let Some((compression, codec)) = compression {
            let message = wire::deflate::Message { opcode, compressed: begun.is_some(), payload: &message.payload };
            let see = peer.map(|peer| move |message: &[u8]| log(peer, opcode, message));
            let answer = compression.answer(codec, &message, template, packed, see)?;
            link.rsv1 = answer.compressed;
            link.worked += answer.worked;
            *worked += answer.worked;
        } else {
            if let Some(peer) = peer {
                log(peer, opcode, &message.payload);
            }
            let Some(template) = template else { return Ok(false) };
            packed.clear();
            packed.reserve(template.allowed_len(message.payload.len(), manner.max_message_size)?);
            template.append(&message.payload, packed);
        }
        link.message = packed.len();
        Ok(true)
    })?;
    if !made {
        return Ok(message);
    }
    let opcode = if opcode == wire::OpCode::Text { OpCode::Text } else { OpCode::Binary };
    Ok(Frame::new(true, opcode, None, Payload::Borrowed(packed)))
}

/// Logs a message, decompressed: of text the beginning, with what would break the line escaped.
fn log(peer: Option<SocketAddr>, opcode: wire::OpCode, message: &[u8]) {
    let (peer, bytes) = (peer.map(tracing::field::display), message.len());
    if opcode == wire::OpCode::Text {
        let text = String::from_utf8_lossy(&message[..cut(message)]);
        tracing::info!(peer, ?opcode, bytes, text = &*text, "message");
    } else {
        tracing::info!(peer, ?opcode, bytes, "message");
    }
}

/// The most bytes of a text that are logged: whole characters, [`LOGGED`] bytes at the most.
fn cut(text: &[u8]) -> usize {
    let most = text.len().min(LOGGED);
    if most == text.len() {
        return most;
    }
    // A byte of 10xxxxxx goes on with the character before it.
    (0..=most).rev().find(|&at| text[at] & 0xc0 != 0x80).unwrap_or(most)
}

/// Bytes of a text that are logged.
const LOGGED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_two_characters() {
        assert_eq!(cut(b"short"), 5);
        assert_eq!(cut(&[b'a'; 1000]), LOGGED);
        let long = "漢".repeat(100);
        assert_eq!(cut(long.as_bytes()), 255);
        assert_eq!(cut("漢".repeat(85).as_bytes()), 255);
    }
}
