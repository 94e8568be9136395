//! Fathom's load generator: opens thousands of WebSocket connections to an echo server, measures the round trip in a
//! closed or an open loop, and says what the figures are worth.
//!
//! Eight rooms, each of which may look only into those above it (`tests/rooms.rs` reads the imports and says so):
//! a [`plan::Plan`] says what is sent and when; [`host`] knows the machine and the servers on it; [`measure`] holds what
//! was measured and [`judge`] says what it is worth; [`load`] sends and receives; [`report`] makes documents of it;
//! [`trials`] makes experiments of many runs; and [`program`] is the command line.

// They panic where the stream cannot be written, which is nothing to end for.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod host;
pub mod judge;
pub mod load;
pub mod measure;
pub mod plan;
pub mod program;
pub mod report;
mod serde_time;
pub mod trials;
pub mod units;
