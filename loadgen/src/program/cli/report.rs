//! The command line of `loadgen report`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::output::is_stdout;
use super::refusal;
use crate::program::conversion::{Conversion, Destination};
use crate::report::formats::{FORMATS, Format, csv};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 written; 1 it could not be written; 2 usage, files that are no reports or not of one \
    plan included."
)]
pub(super) struct ReportArgs {
    /// Saved reports, as --format json or -o writes them (- is stdin); several are merged, which must be of one plan
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What to write
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = Formats)]
    to: &'static Format,
    /// With --to csv: a line for each second of each run instead of one for each run
    #[arg(long)]
    over_time: bool,
    /// Write to FILE instead of stdout (- is stdout); a directory for github-action-benchmark, which is two files
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Append the markdown to the job's summary, the file that $GITHUB_STEP_SUMMARY names
    #[arg(long, conflicts_with = "output")]
    github: bool,
    /// Merge even if the runs were made on different machines, kernels, compilers or versions
    #[arg(long)]
    allow_environment_change: bool,
}

impl ReportArgs {
    pub(super) fn lower(self) -> Result<Conversion, clap::Error> {
        let output = self.output.filter(|output| !is_stdout(output));
        let to = match (self.github, self.to.name, output) {
            (true, "markdown", _) => Destination::GithubSummary,
            (true, _, _) => return Err(refusal("--github appends to a summary in markdown; expected --to markdown")),
            (false, name, None) if self.to.is_two_files => {
                return Err(refusal(&format!("--to {name} writes two files; expected --output DIRECTORY")));
            }
            (false, _, Some(directory)) if self.to.is_two_files => Destination::Directory(directory),
            (false, _, Some(file)) => Destination::File(file),
            (false, _, None) => Destination::Stdout,
        };
        if self.over_time && self.to.name != "csv" {
            return Err(refusal("--over-time is a table of the seconds of a run; expected --to csv"));
        }
        if self.files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
            return Err(refusal("stdin (-) is given twice; it can be read once"));
        }
        let environment_may_change = self.allow_environment_change;
        let format = if self.over_time { &csv::OVER_TIME } else { self.to };
        Ok(Conversion { files: self.files, format, to, environment_may_change })
    }
}

/// Reads the name of a format.
#[derive(Clone)]
struct Formats;

impl TypedValueParser for Formats {
    type Value = &'static Format;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let known = PossibleValuesParser::new(FORMATS.iter().map(|format| format.name));
        let name = known.parse_ref(command, argument, value)?;
        Ok(Format::named(&name).expect("only names of formats are accepted"))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.help))))
    }
}
