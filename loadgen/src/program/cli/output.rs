//! The flags that say where reports go.

use std::path::{Path, PathBuf};

use clap::Args;

use super::refusal;
use crate::program::output::{Format, Output, place};

#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub(super) struct OutputArgs {
    /// What stdout gets
    #[arg(long, default_value = "text")]
    format: Format,
    /// Write the JSON report to FILE as well (- is stdout, which then gets the JSON alone)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// No progress on stderr, where it is drawn only on a terminal anyway
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Report")]
pub(super) struct FileArgs {
    /// Write the latency's percentiles to FILE, as HdrHistogram's plotters read them, in ms
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    /// Write the latency of each second to FILE, as an HdrHistogram interval log, in ns
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
}

impl OutputArgs {
    pub(super) fn lower(self, files: FileArgs) -> Result<Output, clap::Error> {
        let named: Vec<(&str, &PathBuf)> =
            [("--output", &self.output), ("--hgrm", &files.hgrm), ("--hlog", &files.hlog)]
                .into_iter()
                .filter_map(|(flag, path)| Some((flag, path.as_ref()?)))
                .collect();
        for (i, (flag, path)) in named.iter().enumerate() {
            if let Some((earlier, _)) = named[..i].iter().find(|(_, earlier)| place(earlier) == place(path)) {
                return Err(refusal(&format!("{earlier} and {flag} name the same file: {}", path.display())));
            }
        }
        if let Some((flag, _)) = named.iter().find(|(flag, path)| *flag != "--output" && is_stdout(path)) {
            return Err(refusal(&format!(
                "{flag} -: expected a file, since stdout gets what --format says (./- for a file of that name)"
            )));
        }
        let to_stdout = self.output.as_deref().is_some_and(is_stdout);
        Ok(Output {
            format: if to_stdout { Format::Json } else { self.format },
            json_file: self.output.filter(|_| !to_stdout),
            hgrm: files.hgrm,
            hlog: files.hlog,
            quiet: self.quiet,
        })
    }
}

/// Whether `-` is given in a file's place, as other programs read it.
pub(super) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}
