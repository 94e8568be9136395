//! The command line: what each subcommand does, one file for each, and with which exit code it ends.

mod capacity;
pub mod cli;
mod compare;
mod connections;
pub mod conversion;
mod failure;
mod fanout;
pub mod gate;
pub mod output;
pub mod progress;
mod quick;
mod run;
mod sweep;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use server::printing::{print, unless_closed};
use signal_hook::consts::SIGXFSZ;

use crate::host::cores::Cores;
use crate::host::leftovers;
use crate::host::target::{self, EMBEDDED_PROGRAM};
use crate::judge::outcome::Outcome;
use cli::Invocation;

/// Runs the program with these arguments, its name first.
///
/// Exit codes: 0 measured; 1 the run failed; 2 usage; 95 to 97 a capacity lies where it could not be looked for; 98 measured but
/// not to be trusted; 99 a threshold was crossed; 130 interrupted.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // A file that passes `ulimit -f` is to be an error as a full disk is, and not the end of the process.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    let cores = Cores::allowed();
    let threads = NonZeroUsize::new(cores.usable() / 2).unwrap_or(NonZeroUsize::MIN);
    leftovers::guard_with(target::own_program());
    let result = match cli::parse(arguments, threads) {
        Err(message) => return show(&message),
        Ok(Invocation::EmbeddedServer(arguments)) => {
            // It must not outlive a generator that was killed; where the kernel refuses, it is stopped as any other.
            let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
            return server::cli::main(EMBEDDED_PROGRAM, arguments);
        }
        Ok(Invocation::Guard) => return leftovers::guard(io::stdin().lock()),
        Ok(Invocation::Compare(comparing)) => compare::run(*comparing, &cores),
        Ok(Invocation::Capacity(planning)) => capacity::run(*planning, &cores),
        Ok(Invocation::Connections(holding)) => connections::run(&holding, &cores),
        Ok(Invocation::Fanout(fanning)) => fanout::run(*fanning, &cores),
        Ok(Invocation::Sweep(sweeping)) => sweep::run(sweeping, &cores),
        Ok(Invocation::Run { plan, server, gate, output }) => run::run(&plan, &server, &gate, &output, &cores),
        Ok(Invocation::Report(conversion)) => conversion.run().map(|()| Outcome::Ok).map_err(Into::into),
        Ok(Invocation::Print(text)) => {
            let printed = print(io::stdout(), text.as_bytes()).context("writing to stdout");
            printed.map(|()| Outcome::Ok).map_err(failure::failed)
        }
        Ok(Invocation::Quick { plan, output }) => quick::run(&plan, &output, &cores),
    };
    leftovers::settled();
    let outcome = result.unwrap_or_else(|failure| {
        // Where stderr cannot be written, the exit code is left to tell it.
        let _ = writeln!(io::stderr(), "error: {:#}", failure.error);
        failure.outcome
    });
    ExitCode::from(outcome.exit_code())
}

/// Prints what clap has to say: help and version to stdout, wrong usage to stderr.
fn show(message: &clap::Error) -> ExitCode {
    match unless_closed(message.print().and_then(|()| io::stdout().flush())) {
        // What was asked for is not there.
        Err(error) if !message.use_stderr() => {
            let _ = writeln!(io::stderr(), "error: writing to stdout: {error}");
            ExitCode::from(Outcome::Failed.exit_code())
        }
        // The exit code says that the usage is wrong, also if stderr cannot be written.
        _ => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(Outcome::Usage.exit_code())),
    }
}
