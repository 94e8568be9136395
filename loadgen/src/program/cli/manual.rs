//! What the program prints about its own command line: completions for a shell, and manual pages.

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::refusal;

#[derive(Debug, Args)]
#[command(after_help = "For bash: loadgen completions bash > ~/.local/share/bash-completion/completions/loadgen")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "To read it: loadgen man run | man -l -")]
pub(super) struct ManArgs {
    /// The subcommand whose page it is, such as run [default: the program's own]
    subcommand: Option<String>,
}

impl CompletionsArgs {
    pub(super) fn text(&self, mut command: Command) -> String {
        let mut text = Vec::new();
        let name = command.get_name().to_owned();
        clap_complete::generate(self.shell, &mut command, name, &mut text);
        String::from_utf8(text).expect(UTF_8)
    }
}

impl ManArgs {
    pub(super) fn text(&self, mut command: Command) -> Result<String, clap::Error> {
        // Gives the subcommands their full names, such as loadgen-run.
        command.build();
        let page = match &self.subcommand {
            None => command,
            Some(name) => find(&command, name)?.clone(),
        };
        let mut text = Vec::new();
        Man::new(page).render(&mut text).expect("memory takes what is written to it");
        Ok(String::from_utf8(text).expect(UTF_8))
    }
}

fn find<'a>(command: &'a Command, name: &str) -> Result<&'a Command, clap::Error> {
    command.find_subcommand(name).ok_or_else(|| {
        let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        refusal(&format!("'{name}' is no subcommand; expected one of {}", names.join(", ")))
    })
}

/// Why the generated text is a string.
const UTF_8: &str = "it is made of the help, which is UTF-8";
