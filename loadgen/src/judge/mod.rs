//! What a measurement is worth: whether its figures may be believed, whether they keep their limits, what the exit code
//! says of it, the statistics that comparisons rest on, and what a need takes of machines.

pub mod capacity;
pub mod connection_memory;
pub mod held_threshold;
pub mod outcome;
pub mod sizing;
pub mod statistics;
pub mod threshold;
pub mod trust;
