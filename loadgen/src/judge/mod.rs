//! What a measurement is worth: whether its figures may be believed, whether they keep their limits, what the exit code
//! says of it, and the statistics that comparisons rest on.

pub mod held_threshold;
pub mod outcome;
pub mod statistics;
pub mod threshold;
pub mod trust;
