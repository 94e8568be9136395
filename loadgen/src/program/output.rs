//! Where reports go: stdout and files. Files are tried before the run, so that a wrong path does not cost a measurement,
//! and written after it. A place that does not take its report takes nothing from the others: the error is told once all
//! have been tried.

mod sink;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use server::printing::print;
use thiserror::Error;

use crate::measure::encoded::DecodeError;
use crate::report::formats::{hgrm, hlog, json, text};
use crate::report::{Report, Runs};
pub use sink::Sink;

/// Where reports are asked to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What stdout gets.
    pub format: Format,
    /// A file for the JSON report, beside stdout.
    pub json_file: Option<PathBuf>,
    /// A file for the percentile text.
    pub hgrm: Option<PathBuf>,
    /// A file for the interval log.
    pub hlog: Option<PathBuf>,
    /// No progress.
    pub quiet: bool,
}

/// What stdout gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The report to read.
    Text,
    /// The JSON report alone.
    Json,
}

/// A report that could not be written.
#[derive(Debug, Error)]
pub enum OutputError {
    /// A file cannot be created or opened for writing.
    #[error("cannot open {} for writing", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is no folder that it could be created in.
    #[error("cannot write {}: there is no folder {}; expected one that exists", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The report did not get to where it was asked to go.
    #[error("cannot write the report to {}", to.display())]
    Write {
        /// The file, or `stdout`.
        to: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The report's own histograms cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Several of these.
    #[error("{}", joined(.0))]
    Several(Vec<OutputError>),
}

/// The places, open.
#[derive(Debug)]
pub struct Sinks<W> {
    stdout: W,
    /// Whether stdout has taken no more; a later report would only make a gap.
    stdout_failed: bool,
    format: Format,
    json: Option<Sink>,
    hgrm: Option<Sink>,
    hlog: Option<Sink>,
    errors: Vec<OutputError>,
}

impl<W: Write> Sinks<W> {
    /// Opens what `output` names; what files hold stays until a report replaces it.
    ///
    /// # Errors
    /// When a file cannot be created or written to.
    pub fn open(output: &Output, stdout: W) -> Result<Self, OutputError> {
        let open = |path: &Option<PathBuf>| {
            let sink = |path: &Path| Sink::open(path).map_err(|source| not_opened(path, source));
            path.as_deref().map(sink).transpose()
        };
        Ok(Self {
            stdout,
            stdout_failed: false,
            format: output.format,
            json: open(&output.json_file)?,
            hgrm: open(&output.hgrm)?,
            hlog: open(&output.hlog)?,
            errors: Vec::new(),
        })
    }

    /// Writes the report of a command's only run to wherever it is to go.
    ///
    /// # Errors
    /// When one of the places does not take it, after all have been tried; a reader that closed its end of stdout had
    /// enough and is no error.
    pub fn run(&mut self, report: &Report) -> Result<(), OutputError> {
        self.text(report);
        self.json(report);
        let hgrm = |report: &Report| hgrm::render(report).map(String::into_bytes);
        self.errors.extend(write(&mut self.hgrm, report, hgrm).err());
        self.errors.extend(write(&mut self.hlog, report, hlog::render).err());
        self.told()
    }

    /// Writes one report of several to stdout where that gets text, so that it can be read while the next run goes on. An
    /// error is kept for [`Self::runs`], which comes at the end.
    pub fn text(&mut self, report: &Report) {
        if self.format == Format::Text {
            match text::run(report) {
                Ok(text) => self.print(text.as_bytes()),
                Err(error) => self.errors.push(error.into()),
            }
        }
    }

    /// Writes any other report, which reads as this text, to wherever it is to go.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn document(&mut self, text: &str, document: &impl Serialize) -> Result<(), OutputError> {
        if self.format == Format::Text {
            self.print(text.as_bytes());
        }
        self.json(document);
        self.told()
    }

    /// Writes the JSON of several reports, at the end of them.
    ///
    /// # Errors
    /// As [`Self::run`], those of [`Self::text`] included.
    pub fn runs(&mut self, runs: &Runs) -> Result<(), OutputError> {
        self.json(runs);
        self.told()
    }

    fn json(&mut self, document: &impl Serialize) {
        let json = json::render(document);
        self.errors.extend(write(&mut self.json, &json, |json| Ok(json.clone())).err());
        if self.format == Format::Json {
            self.print(&json);
        }
    }

    fn print(&mut self, bytes: &[u8]) {
        if self.stdout_failed {
            return;
        }
        if let Err(source) = print(&mut self.stdout, bytes) {
            self.stdout_failed = true;
            self.errors.push(OutputError::Write { to: "stdout".into(), source });
        }
    }

    /// What went wrong so far.
    fn told(&mut self) -> Result<(), OutputError> {
        let mut errors = std::mem::take(&mut self.errors);
        match errors.pop() {
            None => Ok(()),
            Some(only) if errors.is_empty() => Err(only),
            Some(last) => {
                errors.push(last);
                Err(OutputError::Several(errors))
            }
        }
    }
}

/// Writes what `render` makes of a document to the file, if there is to be one.
fn write<D>(
    sink: &mut Option<Sink>,
    document: &D,
    render: impl FnOnce(&D) -> Result<Vec<u8>, DecodeError>,
) -> Result<(), OutputError> {
    let Some(sink) = sink else { return Ok(()) };
    let content = render(document)?;
    sink.replace(&content).map_err(|source| OutputError::Write { to: sink.path().to_owned(), source })
}

/// Where a file is or will be, whichever way it is spelled.
pub fn place(path: &Path) -> PathBuf {
    let of_new = || {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(parent.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(of_new).unwrap_or_else(|| path.to_owned())
}

/// Why a file cannot be opened; the kernel does not say which part of its path is missing.
fn not_opened(path: &Path, source: io::Error) -> OutputError {
    let path = path.to_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    match folder.map(Path::to_owned) {
        Some(folder) if source.kind() == io::ErrorKind::NotFound => OutputError::NoFolder { path, folder },
        _ => OutputError::Open { path, source },
    }
}

/// Each error with its cause.
fn joined(errors: &[OutputError]) -> String {
    let with_cause = |error: &OutputError| match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    errors.iter().map(with_cause).collect::<Vec<_>>().join("; ")
}
