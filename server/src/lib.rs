//! Fathom's WebSocket echo server as a library: bind with [`bind`], then [`run`] until the shutdown signal.
//!
//! Each room may look into those above it in this list and no further; `tests/rooms.rs` reads the imports and says so.
//!
//! - [`config`] and [`Error`]: how the server is set up, and what can stop it.
//! - `transport`: how the bytes of a connection travel.
//! - `limits`: how many connections there may be, how many bytes they hold, and when they are to end.
//! - `relay`: who is in which room, what waits for them, and what became of it.
//! - `dialogue`: how a message is answered.
//! - `datagrams`: what comes by UDP, and what became of it.
//! - `lane`: connections that stand between two messages, served by one loop per worker.
//! - `engine`: connections within a message, served by fastwebsockets. Lane and engine do not know each other.
//! - `connection`: what the connections of a worker share, and the way of each between lane and engine until its end.
//! - `http`: from accept to the upgrade.
//! - `listen`: sockets, accepting, and the worker threads.
//! - `program`: the command line. Everything above it knows nothing of clap, stdout or exit codes.
// They panic where the stream cannot be written, which is nothing to end for.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod config;
mod connection;
mod datagrams;
mod dialogue;
mod engine;
mod error;
mod http;
mod lane;
mod limits;
mod listen;
mod program;
mod relay;
mod transport;

pub use error::Error;
pub use listen::listener::{Listeners, bind, probe};
pub use listen::run;
pub use program::{cli, numbers, printing};
pub use transport::tls_files;
