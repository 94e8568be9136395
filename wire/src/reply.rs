//! Replies by template: a message is sent back with text before and behind it. Client frames become replies that stand
//! apart from them, since a reply is longer than what it answers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::cursor::Limits;
use crate::echo::{End, next_frame};
use crate::header::{Header, MAX_HEADER_LEN};
use crate::mask::apply_mask;
use crate::opcode::OpCode;
use crate::violation::Violation;

/// What stands before and behind a message in the reply to it. As text it has one `{}` for the message; `{{` is a `{`, and
/// `}}` a `}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    before: Arc<str>,
    behind: Arc<str>,
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoTemplate {
    /// It has no place for the message.
    #[error("expected one {{}} for the message, and found none")]
    NoPlace,
    /// It has several places for the message.
    #[error("expected one {{}} for the message, and found several")]
    SeveralPlaces,
    /// A brace that stands alone.
    #[error(
        "the brace at byte {0} stands alone: expected {{}} for the message, {{{{ for a brace that opens, }}}} for one that closes"
    )]
    LoneBrace(usize),
}

/// Which messages are answered by a template; the others are sent back as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templated {
    /// The template.
    pub template: Template,
    /// Binary messages too, and not only text.
    pub binary: bool,
}

/// What [`reply`] did with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replied {
    /// Bytes at the buffer's start that were read as whole frames.
    pub consumed: usize,
    /// Replies to them that were appended.
    pub messages: usize,
    /// Why it ended at `consumed`; `None` if the replies are to be sent before more are made.
    pub end: Option<End>,
}

impl Template {
    /// The reply is the message as it is.
    pub fn echo() -> Self {
        Self { before: "".into(), behind: "".into() }
    }

    /// Bytes of the reply to a message of `len` bytes.
    pub fn reply_len(&self, len: usize) -> usize {
        len.saturating_add(self.before.len() + self.behind.len())
    }

    /// Appends the reply to `message`.
    pub fn append(&self, message: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.before.as_bytes());
        out.extend_from_slice(message);
        out.extend_from_slice(self.behind.as_bytes());
    }

    /// The length of the reply to a message of `len` bytes, if it is allowed.
    ///
    /// # Errors
    /// [`Violation::ReplyTooBig`] where it is above `limit`.
    pub fn allowed_len(&self, len: usize, limit: u64) -> Result<usize, Violation> {
        let len = self.reply_len(len);
        if len as u64 > limit { Err(Violation::ReplyTooBig { limit }) } else { Ok(len) }
    }
}

impl FromStr for Template {
    type Err = NoTemplate;

    fn from_str(text: &str) -> Result<Self, NoTemplate> {
        let (mut before, mut behind) = (None, String::new());
        let mut rest = text.char_indices().peekable();
        while let Some((at, char)) = rest.next() {
            let next =
                if matches!(char, '{' | '}') { rest.next_if(|(_, next)| matches!(next, '{' | '}')) } else { None };
            match (char, next) {
                ('{', Some((_, '}'))) if before.is_some() => return Err(NoTemplate::SeveralPlaces),
                ('{', Some((_, '}'))) => before = Some(std::mem::take(&mut behind)),
                ('{', Some((_, '{'))) | ('}', Some((_, '}'))) => behind.push(char),
                ('{' | '}', _) => return Err(NoTemplate::LoneBrace(at)),
                (other, _) => behind.push(other),
            }
        }
        let before = before.ok_or(NoTemplate::NoPlace)?;
        Ok(Self { before: before.into(), behind: behind.into() })
    }
}

impl fmt::Display for Template {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |text: &str| text.replace('{', "{{").replace('}', "}}");
        write!(f, "{}{{}}{}", escaped(&self.before), escaped(&self.behind))
    }
}

impl Templated {
    /// The template for messages of this kind, if one answers them.
    pub fn of(&self, opcode: OpCode) -> Option<&Template> {
        (self.binary || opcode == OpCode::Text).then_some(&self.template)
    }
}

/// Appends to `out` the reply to every whole, unfragmented, masked data frame at the start of `buf`, until there is enough to
/// be sent.
///
/// Text is checked as UTF-8 (RFC 6455, 8.1), the sizes of messages and of replies against `limits`. It ends as
/// [`echo_in_place`](crate::echo_in_place) does.
pub fn reply(buf: &[u8], limits: &Limits, templated: &Templated, out: &mut Vec<u8>) -> Replied {
    let mut replied = Replied { consumed: 0, messages: 0, end: None };
    while out.len() < FULL {
        let frame = match next_frame(&buf[replied.consumed..], limits) {
            Ok(frame) => frame,
            Err(end) => return Replied { end: Some(end), ..replied },
        };
        let from = replied.consumed + frame.header_len;
        replied.consumed = from + frame.payload_len;
        let start = out.len();
        match append(&buf[from..replied.consumed], frame.opcode, frame.key, limits, templated, out) {
            Ok(()) => replied.messages += 1,
            Err(violation) => {
                out.truncate(start);
                return Replied { end: Some(End::Violation(violation)), ..replied };
            }
        }
    }
    replied
}

/// Appends the frame that answers a message whose payload is masked with `key`.
fn append(
    masked: &[u8],
    opcode: OpCode,
    key: [u8; 4],
    limits: &Limits,
    templated: &Templated,
    out: &mut Vec<u8>,
) -> Result<(), Violation> {
    let template = templated.of(opcode);
    let payload_len = match template {
        Some(template) => template.allowed_len(masked.len(), limits.max_message_size)?,
        None => masked.len(),
    };
    let mut head = [0; MAX_HEADER_LEN];
    let header = Header { fin: true, rsv: 0, opcode, mask: None, payload_len: payload_len as u64 };
    let head_len = header.encode(&mut head);
    out.extend_from_slice(&head[..head_len]);
    let at = out.len() + template.map_or(0, |template| template.before.len());
    match template {
        Some(template) => template.append(masked, out),
        None => out.extend_from_slice(masked),
    }
    let message = &mut out[at..at + masked.len()];
    apply_mask(message, key);
    if opcode == OpCode::Text && simdutf8::basic::from_utf8(message).is_err() {
        return Err(Violation::InvalidUtf8);
    }
    Ok(())
}

/// Bytes of replies that are to be sent before more are made: what a peer makes us keep is this and one reply.
const FULL: usize = 256 << 10;
