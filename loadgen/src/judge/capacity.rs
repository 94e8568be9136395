//! How much a server holds: what probes of offered rates say together, where to ask next, and limits on the answer. Without
//! sockets and clocks.

mod aims;
mod belief;
mod disturbance;
mod grid;
mod lateness;
mod proof;
mod search;
mod staircase;
mod threshold;
mod verdict;

pub use disturbance::{Disturbance, disturbance};
pub use lateness::late_from;
pub use search::{Next, Range, Search};
pub use staircase::Staircase;
pub use threshold::{CapacityThreshold, show};
pub use verdict::{Bracket, Found, Probe, Verdict};

#[cfg(test)]
mod counted;
#[cfg(test)]
mod rivals;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod simulations;
