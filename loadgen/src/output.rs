//! Where reports go: stdout and files. Files are opened before the run, so that a wrong path does not cost a
//! measurement, and written after it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use thiserror::Error;

use crate::report::{self, DecodeError, Report, Runs, hgrm, hlog, text};

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
}

/// The places, open.
#[derive(Debug)]
pub struct Sinks<W> {
    stdout: W,
    format: Format,
    json: Option<Sink>,
    hgrm: Option<Sink>,
    hlog: Option<Sink>,
}

impl<W: Write> Sinks<W> {
    /// Opens what `output` names; what files hold stays until a report replaces it.
    ///
    /// # Errors
    /// When a file cannot be created or written to.
    pub fn open(output: &Output, stdout: W) -> Result<Self, OutputError> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(Sink::open).transpose();
        Ok(Self {
            stdout,
            format: output.format,
            json: open(&output.json_file)?,
            hgrm: open(&output.hgrm)?,
            hlog: open(&output.hlog)?,
        })
    }

    /// Writes the report of a command's only run to wherever it is to go.
    ///
    /// # Errors
    /// When one of the places does not take it; a reader that closed its end of stdout had enough and is no error.
    pub fn run(&mut self, report: &Report) -> Result<(), OutputError> {
        self.text(report)?;
        self.json(report)?;
        if let Some(sink) = &mut self.hgrm {
            sink.replace(hgrm::render(report)?.as_bytes())?;
        }
        if let Some(sink) = &mut self.hlog {
            sink.replace(&hlog::render(report)?)?;
        }
        Ok(())
    }

    /// Writes one report of several to stdout where that gets text, so that it can be read while the next run goes on.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn text(&mut self, report: &Report) -> Result<(), OutputError> {
        match self.format {
            Format::Text => self.print(format!("{}\n", text::render(report)?).as_bytes()),
            Format::Json => Ok(()),
        }
    }

    /// Writes any other report, which reads as this text, to wherever it is to go.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn document(&mut self, text: &str, document: &impl Serialize) -> Result<(), OutputError> {
        if self.format == Format::Text {
            self.print(text.as_bytes())?;
        }
        self.json(document)
    }

    /// Writes the JSON of several reports, at the end of them.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn runs(&mut self, runs: &Runs) -> Result<(), OutputError> {
        self.json(runs)
    }

    fn json(&mut self, document: &impl Serialize) -> Result<(), OutputError> {
        let json = report::json(document);
        if let Some(sink) = &mut self.json {
            sink.replace(&json)?;
        }
        match self.format {
            Format::Text => Ok(()),
            Format::Json => self.print(&json),
        }
    }

    fn print(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        match self.stdout.write_all(bytes).and_then(|()| self.stdout.flush()) {
            Err(source) if source.kind() != ErrorKind::BrokenPipe => {
                Err(OutputError::Write { to: "stdout".into(), source })
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Sink {
    path: PathBuf,
    file: File,
}

impl Sink {
    fn open(path: &Path) -> Result<Self, OutputError> {
        // Not truncated yet: a run that fails leaves the last report as it was.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        match file {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(source) => Err(OutputError::Open { path: path.to_owned(), source }),
        }
    }

    fn replace(&mut self, content: &[u8]) -> Result<(), OutputError> {
        let write = |mut file: &File| {
            // Devices and pipes have no length to set.
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            file.write_all(content)
        };
        write(&self.file).map_err(|source| OutputError::Write { to: self.path.clone(), source })
    }
}
