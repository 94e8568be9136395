//! What the program prints about its own command line: completions for a shell, and its manual page.

use std::io;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::printing::{self, complain};
use crate::Error;

#[derive(Debug, Args)]
#[command(next_help_heading = "Completions and manual")]
pub(super) struct ManualArgs {
    /// Print completions of this command line for a shell, and exit
    #[arg(long, value_name = "SHELL", conflicts_with = "man")]
    completions: Option<Shell>,
    /// Print the manual page (in roff, as man reads it) and exit
    #[arg(long)]
    man: bool,
}

impl ManualArgs {
    /// What to print instead of serving, if that was asked for.
    pub(super) fn text(&self, mut command: Command) -> Option<String> {
        let mut text = Vec::new();
        if let Some(shell) = self.completions {
            let name = command.get_name().to_owned();
            clap_complete::generate(shell, &mut command, name, &mut text);
        }
        if self.man {
            Man::new(command).render(&mut text).expect("memory takes what is written to it");
        }
        (!text.is_empty()).then(|| String::from_utf8(text).expect("it is made of the help, which is UTF-8"))
    }
}

/// Prints the text. A reader that closed its end had enough.
pub(super) fn print(text: &str) -> ExitCode {
    match printing::print(io::stdout(), text.as_bytes()) {
        Err(error) => {
            complain(&Error::Stdout(error));
            ExitCode::FAILURE
        }
        Ok(()) => ExitCode::SUCCESS,
    }
}
