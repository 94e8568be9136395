//! The program around [`crate::run`]: arguments in, ready lines and an exit code out.

mod args;
mod values;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use self::args::Args;
use crate::config::{Config, Effective};
use crate::drain::ShutdownSignals;
use crate::{Error, allocator, huge_pages, logging};

/// Runs the server as a program named `program` with `args` (without the program's name) until a signal ends it.
///
/// Exit codes: 0 after SIGINT or SIGTERM, 1 if it cannot start or run, 2 for wrong usage, 130 or 143 when a second
/// SIGINT or SIGTERM cuts the draining short.
pub fn main(program: &'static str, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match read(program, args) {
        Ok(args) => args,
        Err(error) => {
            // Nothing is left to tell anybody if stdout or stderr is closed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (log_format, print_config) = (args.log_format(), args.print_config());
    let config = match args.lower() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    logging::init(log_format);
    let outcome = if print_config { print_effective(&config) } else { serve(config) };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Whether the server would take these arguments (without the program's name).
///
/// # Errors
/// What is wrong with them, and what was expected.
pub fn check(args: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    // The usage that follows is of another program than the user called.
    let words = |error: clap::Error| {
        let error = error.to_string();
        let words = error.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
        words.strip_prefix("error: ").unwrap_or(&words).to_owned()
    };
    let args = read("echo-server", args).map_err(words)?;
    args.lower().map(drop).map_err(|error| error.to_string())
}

fn read(program: &'static str, args: impl IntoIterator<Item = OsString>) -> Result<Args, clap::Error> {
    let command = Args::command().name(program).bin_name(program).no_binary_name(true);
    Args::from_arg_matches(&command.try_get_matches_from(args)?)
}

fn print_effective(config: &Config) -> Result<ExitCode, Error> {
    let granted = crate::probe(config)?;
    print(&Effective { config, granted: &granted }.to_json());
    Ok(ExitCode::SUCCESS)
}

fn serve(config: Config) -> Result<ExitCode, Error> {
    raise_descriptor_limit();
    allocator::return_memory_soon();
    if let Err(error) = huge_pages::disable() {
        tracing::debug!("no huge pages to disable: {error}");
    }
    let listeners = crate::bind(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Signals)?;
    runtime.block_on(async {
        // Before the ready line, after which anybody may send a signal.
        let mut signals = ShutdownSignals::install().map_err(Error::Signals)?;
        print(&listeners.addresses.iter().map(|address| format!("listening on ws://{address}/\n")).collect::<String>());
        let (drain, drained) = tokio::sync::oneshot::channel();
        let mut running = std::pin::pin!(crate::run(config, listeners, async {
            // The sender lives until the end of this function, so that only a signal completes this.
            let _ = drained.await;
        }));
        tokio::select! {
            ended = &mut running => return ended.map(|()| ExitCode::SUCCESS),
            _ = signals.next() => {}
        }
        let _ = drain.send(());
        tokio::select! {
            ended = &mut running => ended.map(|()| ExitCode::SUCCESS),
            signal = signals.next() => Ok(ExitCode::from(KILLED_BY + signal)),
        }
    })
}

/// Writes to stdout at once. A reader that has gone away misses it, and that is all.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// A connection is a descriptor: a server takes all that it may have. Where it may not, the limit stays as it is.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Shells report a program ended by signal N as exit code 128 + N.
const KILLED_BY: u8 = 128;
