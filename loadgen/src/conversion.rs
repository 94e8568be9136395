//! `loadgen report`: saved reports read, merged where the format is of one run, rendered, and written to where they are
//! to go.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use thiserror::Error;

use crate::comparison::{self, Comparison};
use crate::output::Sink;
use crate::report::merge::{MergeError, merge};
use crate::report::{
    DecodeError, Report, Runs, action_benchmark, benchfmt, bmf, csv, hgrm, html, json, junit, markdown, openmetrics,
    text,
};
use crate::saved::{self, Document, SavedError};
use crate::sweep::{self, Sweep};
use crate::threshold::Threshold;

/// What to make of which files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The saved reports; `-` is stdin.
    pub files: Vec<PathBuf>,
    /// What to write.
    pub format: Format,
    /// Whether the table has a line for each interval of a run instead of one for each run.
    pub over_time: bool,
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

/// What a saved report can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The report to read in a terminal
    Text,
    /// The JSON report, of several files that of all of them together
    Json,
    /// For the summary of a job or a comment
    Markdown,
    /// One self-contained page with charts
    Html,
    /// A line for each run
    Csv,
    /// The latency's percentiles, as HdrHistogram's plotters read them, in ms
    Hgrm,
    /// A test case for each threshold, for verification and for trust
    Junit,
    /// Go's benchmark format, a line for each run, as benchstat reads it
    Benchfmt,
    /// Bencher Metric Format
    Bmf,
    /// github-action-benchmark's customSmallerIsBetter and customBiggerIsBetter, a file each
    GithubActionBenchmark,
    /// OpenMetrics text, as Prometheus reads it
    Openmetrics,
}

/// Why a report could not be converted.
#[derive(Debug, Error)]
pub enum ConversionError {
    /// A file is no report.
    #[error(transparent)]
    Saved(#[from] SavedError),
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
    /// The format is of one run.
    #[error("hgrm is the distribution of one run; there are {0}")]
    OneRun(usize),
    /// A comparison or a sweep beside other files.
    #[error("{}: a comparison or a sweep cannot be merged; expected it alone", .0.display())]
    Alone(PathBuf),
    /// A comparison or a sweep has no one distribution.
    #[error(
        "hgrm is the distribution of one run; a comparison or a sweep holds the trials of several servers, each by its figures"
    )]
    NoDistribution,
    /// Nor does it have one course over time.
    #[error("--over-time: {} holds a comparison or a sweep, whose table is of its trials; expected runs", .0.display())]
    NotOverTime(PathBuf),
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

/// One file of a format.
struct Part {
    /// Its name in a directory, where the format is several files.
    name: &'static str,
    content: Vec<u8>,
}

impl Conversion {
    /// Reads, merges, renders and writes.
    ///
    /// # Errors
    /// When a file is no report, when the files do not belong together, or when the result cannot be written.
    pub fn run(self) -> Result<(), ConversionError> {
        let alone = self.files.len() == 1;
        let mut files = Vec::new();
        let mut paired = None;
        for file in self.files {
            match saved::read(&file)? {
                Document::Runs(runs) => files.push((file, runs)),
                _ if !alone => return Err(ConversionError::Alone(file)),
                _ if self.over_time => return Err(ConversionError::NotOverTime(file)),
                Document::Comparison(comparison) => paired = Some(of_comparison(self.format, &comparison)?),
                Document::Sweep(sweep) => paired = Some(of_sweep(self.format, &sweep)?),
            }
        }
        let parts = match paired {
            Some(parts) => parts,
            None if self.over_time => {
                let runs: Vec<Report> = files.into_iter().flat_map(|(_, runs)| runs).collect();
                vec![Part { name: "", content: csv::over_time(&runs)? }]
            }
            // Several runs of one benchmark are what benchstat has its spread from, and a table its lines.
            None => render(
                self.format,
                match self.format {
                    Format::Benchfmt | Format::Csv => files.into_iter().flat_map(|(_, runs)| runs).collect(),
                    _ => together(files, self.environment_may_change)?,
                },
            )?,
        };
        match self.to {
            Destination::Stdout => print(&parts[0].content),
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

impl ConversionError {
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

fn render(format: Format, runs: Vec<Report>) -> Result<Vec<Part>, ConversionError> {
    let content: Vec<u8> = match format {
        Format::Text => {
            let texts = runs.iter().map(text::render).collect::<Result<Vec<_>, _>>()?;
            texts.join("\n").into_bytes()
        }
        Format::Json if runs.len() == 1 => json(&runs[0]),
        Format::Json => json(&Runs::from(runs)),
        Format::Markdown => markdown::render(&runs)?.into_bytes(),
        Format::Html => html::render(&runs)?.into_bytes(),
        Format::Csv => csv::render(&runs),
        Format::Hgrm if runs.len() == 1 => hgrm::render(&runs[0])?.into_bytes(),
        Format::Hgrm => return Err(ConversionError::OneRun(runs.len())),
        Format::Junit => junit::render(&runs),
        Format::Benchfmt => benchfmt::render(&runs)?.into_bytes(),
        Format::Bmf => bmf::render(&runs)?,
        Format::GithubActionBenchmark => {
            return Ok(two_files(action_benchmark::render(&runs)?));
        }
        Format::Openmetrics => openmetrics::render(&runs)?.into_bytes(),
    };
    Ok(vec![Part { name: "", content }])
}

/// A comparison in every format but the one of a single distribution.
fn of_comparison(format: Format, comparison: &Comparison) -> Result<Vec<Part>, ConversionError> {
    let content = match format {
        Format::Text => comparison::text::render(comparison).into_bytes(),
        Format::Json => json(comparison),
        Format::Markdown => comparison::markdown::render(comparison).into_bytes(),
        Format::Html => html::render_comparison(comparison).into_bytes(),
        Format::Csv => comparison::csv::render(comparison),
        Format::Hgrm => return Err(ConversionError::NoDistribution),
        Format::Junit => comparison::junit::render(comparison),
        Format::Benchfmt => comparison::benchfmt::render(comparison).into_bytes(),
        Format::Bmf => comparison::lists::bmf(comparison),
        Format::GithubActionBenchmark => return Ok(two_files(comparison::lists::action_benchmark(comparison))),
        Format::Openmetrics => comparison::openmetrics::render(comparison).into_bytes(),
    };
    Ok(vec![Part { name: "", content }])
}

/// A sweep likewise.
fn of_sweep(format: Format, sweep: &Sweep) -> Result<Vec<Part>, ConversionError> {
    let content = match format {
        Format::Text => sweep::text::render(sweep).into_bytes(),
        Format::Json => json(sweep),
        Format::Markdown => sweep::markdown::render(sweep).into_bytes(),
        Format::Html => html::render_sweep(sweep).into_bytes(),
        Format::Csv => sweep::csv::render(sweep),
        Format::Hgrm => return Err(ConversionError::NoDistribution),
        Format::Junit => sweep::junit::render(sweep),
        Format::Benchfmt => sweep::lists::benchfmt(sweep).into_bytes(),
        Format::Bmf => sweep::lists::bmf(sweep),
        Format::GithubActionBenchmark => return Ok(two_files(sweep::lists::action_benchmark(sweep))),
        Format::Openmetrics => sweep::openmetrics::render(sweep).into_bytes(),
    };
    Ok(vec![Part { name: "", content }])
}

fn two_files([smaller, bigger]: [Vec<u8>; 2]) -> Vec<Part> {
    vec![
        Part { name: "smaller-is-better.json", content: smaller },
        Part { name: "bigger-is-better.json", content: bigger },
    ]
}

/// To a file, whose old content stays where this fails.
fn write(to: &Path, content: &[u8]) -> Result<(), ConversionError> {
    let written = Sink::open(to).and_then(|mut sink| sink.replace(content));
    written.map_err(|source| ConversionError::Write { to: to.to_owned(), source })
}

/// To stdout; a reader that closed its end had enough and is no error.
fn print(content: &[u8]) -> Result<(), ConversionError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(content).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(ConversionError::Write { to: "stdout".into(), source })
        }
        _ => Ok(()),
    }
}
