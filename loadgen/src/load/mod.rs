//! Sending and receiving. [`run::measure`] opens a `session`, whose workers open connections (`opening`, `connect`) and
//! run a `lane` each. What is spoken on a connection is a `dialogue`, how its bytes travel a `transport`; what became of its
//! messages is counted in a `ledger`.

pub mod churning;
mod connect;
mod dialogue;
pub mod error;
pub mod fanout;
mod lane;
mod ledger;
mod lines;
pub mod live;
pub(crate) mod opening;
mod pacing;
pub mod pings;
pub mod realtime;
pub mod retrying;
pub mod run;
pub(crate) mod session;
mod stamping;
mod steps;
pub mod transport;
pub(crate) mod worker;
