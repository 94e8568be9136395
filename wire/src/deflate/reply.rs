//! Replies by template where permessage-deflate was agreed.

use super::codec::{Codec, Shared};
use super::echo::{
    self, Answer, EchoedDeflated, FULL, Message, ROOM, Replies, TIRED, Uncompressed, next_frame, put_header,
};
use crate::cursor::Limits;
use crate::echo::End;
use crate::mask::apply_mask;
use crate::opcode::OpCode;
use crate::reply::{Template, Templated};
use crate::violation::Violation;

/// As [`reply`](crate::reply::reply), for a connection with a `codec`: a message may be compressed, and whether its reply is
/// follows `replies`. All replies are appended to `out`.
pub fn reply_deflated(
    buf: &mut [u8],
    limits: &Limits,
    (templated, replies): (&Templated, &Replies),
    codec: &mut Codec,
    shared: &mut Shared,
    out: &mut Vec<u8>,
) -> EchoedDeflated {
    let mut replied = EchoedDeflated { consumed: 0, written: 0, messages: 0, worked: 0, end: None };
    while out.len() < FULL && replied.worked < TIRED {
        let frame = match next_frame(&buf[replied.consumed..], limits, Uncompressed::Compressed) {
            Ok(frame) => frame,
            Err(end) => return EchoedDeflated { end: Some(end), ..replied },
        };
        let from = replied.consumed + frame.header_len;
        replied.consumed = from + frame.payload_len;
        let payload = &mut buf[from..replied.consumed];
        apply_mask(payload, frame.key);
        let start = out.len();
        out.extend_from_slice(&[0; ROOM]);
        let message = Message { opcode: frame.opcode, compressed: frame.compressed, payload };
        let answered = match templated.of(frame.opcode) {
            Some(template) => answer_by(template, &message, replies, codec, shared, out, |_| {}),
            None => echo::answer(&message, replies, codec, shared, out),
        };
        match answered {
            Ok(Answer { compressed, worked }) => {
                put_header(out, start, frame.opcode, compressed);
                replied.worked += worked;
                replied.messages += 1;
            }
            Err(violation) => {
                out.truncate(start);
                return EchoedDeflated { end: Some(End::Violation(violation)), ..replied };
            }
        }
    }
    replied
}

/// Appends the payload of the reply to `message` by `template`, and shows the message to `see`.
///
/// # Errors
/// What is wrong with the message, or with the length of its reply.
pub fn answer_by(
    template: &Template,
    message: &Message<'_>,
    replies: &Replies,
    codec: &mut Codec,
    shared: &mut Shared,
    out: &mut Vec<u8>,
    see: impl FnOnce(&[u8]),
) -> Result<Answer, Violation> {
    let mut reply = std::mem::take(&mut shared.reply);
    reply.clear();
    let result = answer(template, message, replies, codec, shared, &mut reply, out, see);
    shared.reply = reply;
    result
}

#[expect(clippy::too_many_arguments, reason = "those of answer_by, and the buffer that it lends")]
fn answer(
    template: &Template,
    message: &Message<'_>,
    replies: &Replies,
    codec: &mut Codec,
    shared: &mut Shared,
    reply: &mut Vec<u8>,
    out: &mut Vec<u8>,
    see: impl FnOnce(&[u8]),
) -> Result<Answer, Violation> {
    let limit = replies.max_message_size;
    let mut worked = message.payload.len();
    let plain: &[u8] = if message.compressed {
        let plain = codec.decompress(shared, message.payload, limit)?;
        worked += plain.len();
        plain
    } else {
        message.payload
    };
    if message.opcode == OpCode::Text && simdutf8::basic::from_utf8(plain).is_err() {
        return Err(Violation::InvalidUtf8);
    }
    see(plain);
    let reply_len = template.allowed_len(plain.len(), limit)?;
    let wanted = message.compressed || replies.uncompressed == Uncompressed::Compressed;
    let compressed = wanted && plain.len() >= replies.threshold;
    if !compressed {
        template.append(plain, out);
        return Ok(Answer { compressed, worked });
    }
    reply.reserve(reply_len);
    template.append(plain, reply);
    codec.compress(shared, reply, out);
    Ok(Answer { compressed, worked: worked + reply_len })
}
