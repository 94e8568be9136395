//! The WebSocket protocol (RFC 6455) without sockets, clocks or async: bytes in, verdicts and bytes out.
//!
//! - [`header`] reads and writes one frame header.
//! - [`mask`] applies the masking key, in place or while moving.
//! - [`close`] knows the close codes, the Close payload, and what a peer can do wrong ([`Violation`]).
//! - [`cursor`] follows a byte stream and finds the first frame that breaks the protocol or a limit.
//! - [`extension`] reads `Sec-WebSocket-Extensions`; [`deflate`] is the one extension there is, permessage-deflate.
//! - [`echo`] turns a buffer of client frames into the server's replies, in place.

#![forbid(unsafe_code)]

pub mod close;
pub mod cursor;
pub mod deflate;
pub mod echo;
pub mod extension;
pub mod header;
pub mod mask;
pub mod opcode;

pub use close::{CloseCode, Violation, close_payload, parse_close};
pub use cursor::{Cursor, Limits, Mark, Peer, Stop};
pub use echo::{Echoed, End, echo_in_place, frame_len};
pub use header::{Header, MAX_CONTROL_PAYLOAD, MAX_HEADER_LEN};
pub use mask::{apply_mask, move_masked};
pub use opcode::OpCode;
