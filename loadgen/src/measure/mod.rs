//! What was measured: recorded by each worker, merged bucket for bucket, named as metrics. Nothing here judges it.

pub mod agreements;
pub mod arrivals;
pub(crate) mod clock;
pub(crate) mod collector;
pub mod counts;
pub mod datagrams;
pub mod encoded;
pub(crate) mod failures;
pub mod fanout;
pub mod fanout_metric;
pub mod growth;
pub mod held_metric;
pub mod histogram;
pub mod lateness;
pub mod measured;
pub mod metric;
pub mod mismatch;
pub mod named;
pub mod paced;
pub mod percentile;
pub mod recorder;
pub mod so_far;
pub mod tally;
pub mod times;
pub mod trial;
pub(crate) mod wall;
