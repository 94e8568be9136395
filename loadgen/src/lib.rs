//! Fathom's load generator: opens thousands of WebSocket connections to an echo server, measures the round trip in a
//! closed or an open loop, and says what the figures are worth.
//!
//! A [`plan::Plan`] goes in; `worker`s open connections (`opening`, `connect`) and run a `lane` each, which keeps the
//! messages of every connection in a `flight` and its books in a `ledger`; [`run::measure`] merges what they record into
//! [`measured::Measured`].
// They panic where the stream cannot be written, which is nothing to end for.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod addresses;
pub mod app;
pub mod baseline;
pub mod cli;
mod clock;
mod collector;
pub mod compare;
pub mod comparison;
mod connect;
pub mod conversion;
pub mod cores;
pub mod environment;
mod failures;
mod flight;
pub mod gate;
pub mod interrupt;
mod lane;
mod ledger;
mod leftovers;
pub mod limits;
mod lines;
pub mod measured;
pub mod metric;
pub mod mismatch;
mod opening;
pub mod output;
pub mod payload;
pub mod percentile;
pub mod plan;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod resources;
pub mod run;
pub mod saved;
mod schedule;
mod server_config;
mod session;
pub mod sweep;
pub mod target;
pub mod threshold;
pub mod trials;
pub mod trust;
pub mod units;
pub mod url;
pub mod verdict;
pub mod withheld;
mod worker;
