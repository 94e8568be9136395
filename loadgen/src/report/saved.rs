//! Saved reports: files read back, whatever they hold.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::report::capacities::Capacities;
use crate::report::capacity::CapacityReport;
use crate::report::comparison::Comparison;
use crate::report::connections::ConnectionsReport;
use crate::report::earlier;
use crate::report::fanout::FanoutReport;
use crate::report::run::{Report, Runs};
use crate::report::sweep::Sweep;

/// What a file holds.
#[derive(Debug)]
pub enum Document {
    /// One run or several.
    Runs(Vec<Report>),
    /// A comparison of two servers.
    Comparison(Box<Comparison>),
    /// What some flags are worth.
    Sweep(Box<Sweep>),
    /// What holding many connections took.
    Connections(Box<ConnectionsReport>),
    /// How much a server holds.
    Capacity(Box<CapacityReport>),
    /// The same along an axis.
    Capacities(Box<Capacities>),
    /// What became of messages that a few sent to many.
    Fanout(Box<FanoutReport>),
}

/// Why a file is no saved report.
#[derive(Debug, Error)]
pub enum SavedError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is too large for a report.
    #[error("{}: more than {} MiB; no report is that large", path.display(), LARGEST >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not JSON, or not that of a report.
    #[error("{}: not a report of loadgen as --format json or -o writes it", path.display())]
    NoReport {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        source: serde_json::Error,
    },
    /// Its figures contradict each other.
    #[error("{}: {why}: not as loadgen wrote it", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Which.
        why: String,
    },
    /// It is of another format.
    #[error("{}: its schema is '{schema}'; expected fathom/run/v1 or v2, runs/v1 or v2, compare/v1, sweep/v1, connections/v1, fanout/v1, capacity/v1 or capacities/v1", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        schema: String,
    },
}

/// What a file holds; `-` is stdin.
///
/// # Errors
/// When it cannot be read or holds something else.
pub fn read(path: &Path) -> Result<Document, SavedError> {
    let document = parse(path)?;
    if let Document::Runs(runs) = &document {
        for run in runs {
            run.check().map_err(|why| SavedError::Contradiction { path: path.to_owned(), why })?;
        }
    }
    Ok(document)
}

fn parse(path: &Path) -> Result<Document, SavedError> {
    let text = content(path)?;
    let no_report = |source| SavedError::NoReport { path: path.to_owned(), source };
    let Tagged { schema } = serde_json::from_slice(&text).map_err(no_report)?;
    match schema.as_str() {
        // What that version did not have yet tells a file that was edited.
        "fathom/run/v1" if serde_json::from_slice::<Later>(&text).is_ok() => {
            Err(SavedError::Contradiction { path: path.to_owned(), why: "fathom/run/v1 has no `seen`".to_owned() })
        }
        "fathom/run/v1" => {
            let report = earlier::run(serde_json::from_slice(&text).map_err(no_report)?);
            Ok(Document::Runs(vec![serde_json::from_value(report).map_err(no_report)?]))
        }
        "fathom/runs/v1" => {
            let reports = earlier::runs(serde_json::from_slice(&text).map_err(no_report)?);
            Ok(Document::Runs(serde_json::from_value::<Runs>(reports).map_err(no_report)?.runs))
        }
        "fathom/run/v2" => Ok(Document::Runs(vec![serde_json::from_slice(&text).map_err(no_report)?])),
        "fathom/runs/v2" => Ok(Document::Runs(serde_json::from_slice::<Runs>(&text).map_err(no_report)?.runs)),
        "fathom/compare/v1" => Ok(Document::Comparison(serde_json::from_slice(&text).map_err(no_report)?)),
        "fathom/sweep/v1" => Ok(Document::Sweep(serde_json::from_slice(&text).map_err(no_report)?)),
        "fathom/capacities/v1" => Ok(Document::Capacities(serde_json::from_slice(&text).map_err(no_report)?)),
        "fathom/capacity/v1" => Ok(Document::Capacity(Box::new(serde_json::from_slice(&text).map_err(no_report)?))),
        "fathom/connections/v1" => Ok(Document::Connections(serde_json::from_slice(&text).map_err(no_report)?)),
        "fathom/fanout/v1" => Ok(Document::Fanout(serde_json::from_slice(&text).map_err(no_report)?)),
        _ => Err(SavedError::Schema { path: path.to_owned(), schema: schema.chars().take(80).collect() }),
    }
}

fn content(path: &Path) -> Result<Vec<u8>, SavedError> {
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut content)
    } else {
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut content))
    };
    match read {
        Err(source) => Err(SavedError::Read { path: path.to_owned(), source }),
        Ok(bytes) if bytes as u64 > LARGEST => Err(SavedError::TooLarge { path: path.to_owned() }),
        Ok(_) => Ok(content),
    }
}

/// A run that has a distribution that the first version did not have.
#[derive(Deserialize)]
struct Later {
    #[expect(dead_code, reason = "whether it is there is what matters")]
    seen: serde_json::Value,
}

/// What every document of ours says of itself.
#[derive(Deserialize)]
struct Tagged {
    schema: String,
}

/// 256 MiB: a run of a day, with its 86,400 intervals, takes a half of it.
const LARGEST: u64 = 256 << 20;
