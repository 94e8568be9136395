//! The WebSocket protocol (RFC 6455) without sockets, clocks or async: bytes in, verdicts and bytes out.
//!
//! - [`violation`] names what a peer can do wrong, and [`close_code`] the codes that a connection is closed with.
//! - [`header`] reads and writes one frame header, whose kinds [`opcode`] names.
//! - [`mask`] applies the masking key, in place or while moving.
//! - [`close`] writes and reads the payload of a Close frame.
//! - [`cursor`] follows a byte stream and finds the first frame that breaks the protocol or a limit.
//! - [`extension`] reads `Sec-WebSocket-Extensions`; [`deflate`] is the one extension there is, permessage-deflate.
//! - [`receive`] reads a client's messages and control frames one after the other.
//! - [`echo`] turns a buffer of client frames into the server's replies, in place; [`reply()`] into replies by template.

#![forbid(unsafe_code)]

pub mod close;
pub mod close_code;
pub mod cursor;
pub mod deflate;
pub mod echo;
pub mod extension;
pub mod header;
pub mod mask;
pub mod opcode;
pub mod receive;
pub mod reply;
pub mod violation;

pub use close::{close_payload, parse_close};
pub use close_code::CloseCode;
pub use cursor::{Cursor, Limits, Mark, Peer, Stop};
pub use echo::{Echoed, End, echo_in_place, frame_len};
pub use header::{Header, MAX_CONTROL_PAYLOAD, MAX_HEADER_LEN};
pub use mask::{apply_mask, move_masked};
pub use opcode::OpCode;
pub use receive::{Received, Receiver, check_text};
pub use reply::{NoTemplate, Replied, Template, Templated, reply};
pub use violation::Violation;
