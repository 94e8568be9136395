//! permessage-deflate (RFC 7692): compressed messages, without sockets or clocks.
//!
//! - [`negotiation`] is the handshake, [`window`] its one kind of number.
//! - [`compressor`] makes a message's compressed payload: `matcher` finds what to refer to, `huffman` makes codes, `block`
//!   writes them.
//! - [`decompressor`] reads one, with the limit on its output enforced while it is read.
//! - [`codec`] holds what one connection, or all connections of a thread, need of both.
//! - [`options`] is what both programs let their users choose, and refuse to choose.
//! - [`echo`] turns a buffer with compressed frames into the replies to them, [`reply`] into replies by template.

mod bits;
mod block;
pub mod codec;
pub mod compressor;
pub mod decompressor;
pub mod echo;
mod huffman;
mod matcher;
pub mod negotiation;
pub mod options;
pub mod reply;
mod symbols;
pub mod window;

pub use codec::{Codec, Shared};
pub use compressor::{Compressor, Effort, Level, MemoryLevel, Workspace};
pub use decompressor::{Decompressor, Output};
pub use echo::{Answer, EchoedDeflated, Message, Replies, Uncompressed, answer, echo_deflated};
pub use negotiation::{Agreed, ClientWindow, Direction, Offer, Policy, Refused};
pub use options::{ContextTakeover, given_without_extension};
pub use reply::{answer_by, reply_deflated};
pub use window::WindowBits;
