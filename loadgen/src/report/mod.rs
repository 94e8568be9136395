//! Documents: a run, a comparison, a sweep, as plain data that is written as JSON (`schema/` describes it), read back,
//! and rendered by [`formats`].

pub mod baseline;
pub mod changes;
pub mod comparison;
mod compression;
pub mod connections;
pub mod differences;
mod earlier;
pub mod estimate;
mod figures;
pub mod formats;
mod interval;
pub mod merge;
pub mod run;
pub mod saved;
mod stats;
pub mod sweep;
mod words;

pub use compression::{Agreement, Carried, DeflateReport, Side, Verification, Wire};
pub use interval::IntervalReport;
pub use run::{LoadReport, Mode, ProcessCost, Report, Resources, RunSchema, Runs, RunsSchema, Throughput};
pub use stats::Stats;
