//! Tips in errors about arguments: those that would not help are replaced by the one that does, and the usage that stands
//! below a refusal is that of its subcommand.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;

/// The error with the tip that helps. Nobody who writes `--url` means a value of that name; there is no flag for a URL.
pub(super) fn made_right(mut error: clap::Error) -> clap::Error {
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag.clone(),
        _ => return error,
    };
    if unknown == "--url" || unknown.starts_with("--url=") {
        let tip = "the server's URL is no flag: write 'loadgen run ws://HOST:PORT/'; compare takes URLs as --a and --b, sweep as \
            --server";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.to_owned().into()]));
    } else if error.get(ContextKind::SuggestedArg).is_none() {
        // That it may be passed as a value is true of commands that take words, and none of ours does.
        error.remove(ContextKind::Suggested);
    }
    error
}

/// A refusal with the usage of the subcommand that was asked for.
pub(super) fn of_subcommand(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let mut program = Cli::command();
    program.build();
    match arguments.get(1).and_then(|name| program.find_subcommand_mut(name)) {
        Some(subcommand) => error.format(subcommand),
        None => error.format(&mut program),
    }
}
