//! Documents: a run, a comparison, a sweep, as plain data that is written as JSON (`schema/` describes it), read back,
//! and rendered by [`formats`].

pub mod baseline;
pub mod capacities;
pub mod capacity;
pub mod changes;
mod check;
pub mod comparison;
mod compression;
pub mod connections;
mod costs;
pub mod datagrams;
pub mod differences;
mod earlier;
pub mod estimate;
pub mod fanout;
pub mod figure;
mod figures;
pub mod formats;
mod interval;
pub mod merge;
pub mod repetition;
pub mod run;
pub mod saved;
pub mod scaling;
mod stats;
pub mod sweep;
pub(crate) mod tls;
pub mod warmup;
pub(crate) mod words;

pub use compression::{Agreement, Carried, DeflateReport, Side, Verification, Wire};
pub use costs::{PerConnection, ProcessCost};
pub use interval::IntervalReport;
pub use run::{LoadReport, Mode, Report, Resources, RunSchema, Runs, RunsSchema, Throughput};
pub use stats::Stats;
pub use tls::{SettledOn, TlsReport};
