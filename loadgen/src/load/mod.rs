//! Sending and receiving. [`run::measure`] opens a `session`, whose workers open connections (`opening`, `connect`) and
//! run a `lane` each; the lane keeps the messages of every connection in a `flight` and its counts in a `ledger`.

mod connect;
pub mod error;
mod flight;
mod lane;
mod ledger;
mod lines;
pub mod live;
mod opening;
pub mod run;
pub(crate) mod session;
mod stamping;
pub mod transport;
pub(crate) mod worker;
