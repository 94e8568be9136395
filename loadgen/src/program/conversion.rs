//! `loadgen report`: saved reports read, merged where the format is of one run, rendered, and written to where they are
//! to go.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use server::printing::print;
use thiserror::Error;

use crate::judge::threshold::Threshold;
use crate::measure::encoded::DecodeError;
use crate::program::output::{Sink, place};
use crate::report::Report;
use crate::report::formats::{Format, FormatError};
use crate::report::merge::{MergeError, merge};
use crate::report::saved::{self, Document, SavedError};

/// What to make of which files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The saved reports; `-` is stdin.
    pub files: Vec<PathBuf>,
    /// What to write.
    pub format: &'static Format,
    /// Where to.
    pub to: Destination,
    /// Whether runs of different environments may be merged.
    pub environment_may_change: bool,
}

/// Where a report in another format goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The standard output.
    Stdout,
    /// A file, replaced.
    File(PathBuf),
    /// A directory, made where it is missing.
    Directory(PathBuf),
    /// The end of the file that `$GITHUB_STEP_SUMMARY` names.
    GithubSummary,
}

/// Why a report could not be converted.
#[derive(Debug, Error)]
pub enum ConversionError {
    /// A file is no report.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// It would be lost.
    #[error("--output: {} is the report that is read; expected another file", .0.display())]
    Overwrites(PathBuf),
    /// The files do not belong together.
    #[error("the files cannot be merged")]
    Merge(#[from] MergeError),
    /// Files of different commands.
    #[error("{} holds {now} runs and {} holds {then}: they cannot be merged run by run", file.display(), first.display())]
    Shape {
        /// The first file.
        first: PathBuf,
        /// Its runs.
        then: usize,
        /// Another one.
        file: PathBuf,
        /// Its runs.
        now: usize,
    },
    /// Another document than runs beside other files.
    #[error("{}: a comparison, a sweep, held connections, a fan-out or a capacity cannot be merged; expected it alone", .0.display())]
    Alone(PathBuf),
    /// It has no rendering in the format.
    #[error("{}{why}", file.as_ref().map_or_else(String::new, |file| format!("{}: ", file.display())))]
    Format {
        /// The file, if it is the only one.
        file: Option<PathBuf>,
        /// Why not.
        why: String,
    },
    /// No GitHub Actions here.
    #[error("--github: GITHUB_STEP_SUMMARY is not set; expected a step of GitHub Actions, which sets it to a file")]
    NoSummary,
    /// A histogram cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It could not be written.
    #[error("cannot write to {}", to.display())]
    Write {
        /// Where to.
        to: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Conversion {
    /// Reads, merges, renders and writes.
    ///
    /// # Errors
    /// When a file is no report, when the files do not belong together, or when the result cannot be written.
    pub fn run(self) -> Result<(), ConversionError> {
        self.spares_its_input()?;
        let alone = self.files.len() == 1;
        let mut files = Vec::new();
        let mut paired = None;
        for file in self.files {
            match saved::read(&file)? {
                Document::Runs(runs) => files.push((file, runs)),
                _ if !alone => return Err(ConversionError::Alone(file)),
                document => paired = Some((file, document)),
            }
        }
        let (alone, document) = match paired {
            Some((file, document)) => (Some(file), document),
            None if self.format.keeps_runs_apart => {
                (None, Document::Runs(files.into_iter().flat_map(|(_, runs)| runs).collect()))
            }
            None => (None, Document::Runs(together(files, self.environment_may_change)?)),
        };
        let parts = self.format.render(&document).map_err(|error| ConversionError::of_format(error, alone))?;
        match self.to {
            Destination::Stdout => print(io::stdout(), &parts[0].content)
                .map_err(|source| ConversionError::Write { to: "stdout".into(), source }),
            Destination::File(file) => write(&file, &parts[0].content),
            Destination::Directory(directory) => {
                fs::create_dir_all(&directory)
                    .map_err(|source| ConversionError::Write { to: directory.clone(), source })?;
                // Every part is tried; the first error is told.
                let written: Vec<_> =
                    parts.iter().map(|part| write(&directory.join(part.name), &part.content)).collect();
                written.into_iter().collect()
            }
            Destination::GithubSummary => {
                let file = env::var_os("GITHUB_STEP_SUMMARY").filter(|name| !name.is_empty());
                let file = PathBuf::from(file.ok_or(ConversionError::NoSummary)?);
                let appended = OpenOptions::new().append(true).create(true).open(&file);
                appended
                    .and_then(|mut summary| summary.write_all(&parts[0].content))
                    .map_err(|source| ConversionError::Write { to: file, source })
            }
        }
    }
}

impl Conversion {
    /// Whether no saved report is overwritten by what it is turned into; in JSON it may be, as it is a report still.
    fn spares_its_input(&self) -> Result<(), ConversionError> {
        let Destination::File(to) = &self.to else { return Ok(()) };
        let is_input = |file: &&PathBuf| place(file) == place(to);
        match self.files.iter().find(is_input) {
            Some(file) if self.format.name != "json" => Err(ConversionError::Overwrites(file.clone())),
            _ => Ok(()),
        }
    }
}

impl ConversionError {
    fn of_format(error: FormatError, file: Option<PathBuf>) -> Self {
        match error {
            FormatError::Decode(error) => Self::Decode(error),
            FormatError::Refused(why) => Self::Format { file, why },
        }
    }

    /// Whether the arguments or the files that they name are to blame.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Write { .. })
    }
}

/// The runs of several files, the first of each merged into one, and the second, and so on.
fn together(files: Vec<(PathBuf, Vec<Report>)>, environment_may_change: bool) -> Result<Vec<Report>, ConversionError> {
    let mut files = files.into_iter();
    let (first, runs) = files.next().expect("the command line asks for a file");
    let mut columns: Vec<Vec<Report>> = runs.into_iter().map(|run| vec![run]).collect();
    for (file, runs) in files {
        let (then, now) = (columns.len(), runs.len());
        if then != now {
            return Err(ConversionError::Shape { first, then, file, now });
        }
        columns.iter_mut().zip(runs).for_each(|(column, run)| column.push(run));
    }
    columns.into_iter().map(|column| one(column, environment_may_change)).collect()
}

/// Runs of one plan as one run, held against every threshold that one of them was held against.
fn one(runs: Vec<Report>, environment_may_change: bool) -> Result<Report, ConversionError> {
    if runs.len() == 1 {
        return Ok(runs.into_iter().next().expect("there is one"));
    }
    let mut thresholds: Vec<Threshold> = Vec::new();
    for text in runs.iter().flat_map(|run| &run.thresholds).map(|judged| &judged.threshold) {
        // What a later version wrote may be nothing that this one can judge.
        if let Ok(threshold) = text.parse()
            && !thresholds.contains(&threshold)
        {
            thresholds.push(threshold);
        }
    }
    Ok(merge(runs, environment_may_change)?.judged_by(&thresholds)?)
}

/// To a file, whose old content stays where this fails.
fn write(to: &Path, content: &[u8]) -> Result<(), ConversionError> {
    let written = Sink::open(to).and_then(|mut sink| sink.replace(content));
    written.map_err(|source| ConversionError::Write { to: to.to_owned(), source })
}
