//! The program around [`crate::run`]: arguments in, ready lines and an exit code out.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Arg, Command, CommandFactory, FromArgMatches};

use super::args::Args;
use super::manual;
use super::printing::{READER_PATIENCE, complain, print, unless_closed};
use super::signals::{Hangups, ShutdownSignals};
use super::{huge_pages, logging};
use crate::Error;
use crate::config::{Config, Effective};
use crate::limits::allocator;

/// Runs the server as a program named `program` with `args` (without the program's name) until a signal ends it.
///
/// Exit codes: 0 after SIGINT or SIGTERM, 1 if it cannot start or run, 2 for wrong usage, 130 or 143 when a second
/// SIGINT or SIGTERM cuts the draining short.
pub fn main(program: &'static str, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match read(program, args) {
        Ok(args) => args,
        Err(error) => return show(&error),
    };
    if let Some(text) = args.manual.text(command(program)) {
        return manual::print(&text);
    }
    let (log_format, print_config) = (args.log_format(), args.print_config());
    logging::init(log_format);
    let config = match args.lower() {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            // Every other error is of flags that do not go together, or not with this machine.
            return ExitCode::from(if matches!(error, Error::Name { .. }) { 1 } else { 2 });
        }
    };
    let outcome = if print_config { print_effective(&config) } else { serve(config) };
    outcome.unwrap_or_else(|error| {
        complain(&error);
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
    Args::from_arg_matches(&command(program).no_binary_name(true).try_get_matches_from(args)?)
}

fn command(program: &'static str) -> Command {
    read_dashes(Args::command()).name(program).bin_name(program)
}

/// The command line with every flag that takes a number taking what begins with a dash too: `--rate -5` is a number out
/// of range then, which the flag says itself, and not a flag `-5` that nobody has heard of. The flags are known by the
/// names of their values.
pub fn read_dashes(command: Command) -> Command {
    let is_number = |arg: &Arg| {
        let names = arg.get_value_names().unwrap_or_default();
        // What may stand without a value would take the next flag for it.
        let needs_one = arg.get_num_args().is_none_or(|values| values.min_values() > 0);
        !arg.is_positional() && needs_one && names.iter().any(|name| NUMBERS.contains(&name.as_str()))
    };
    command
        .mut_args(|arg| if is_number(&arg) { arg.allow_hyphen_values(true) } else { arg })
        .mut_subcommands(read_dashes)
}

fn print_effective(config: &Config) -> Result<ExitCode, Error> {
    let granted = crate::probe(config)?;
    let effective = Effective { config, granted: &granted }.to_json();
    print(io::stdout(), effective.as_bytes()).map_err(Error::Stdout)?;
    Ok(ExitCode::SUCCESS)
}

fn serve(config: Config) -> Result<ExitCode, Error> {
    raise_descriptor_limit();
    allocator::return_memory_soon();
    if let Err(error) = huge_pages::disable() {
        tracing::debug!("no huge pages to disable: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Signals)?;
    runtime.block_on(async {
        // Before anybody can connect or read the ready line, and send a signal after that.
        let mut signals = ShutdownSignals::install().map_err(Error::Signals)?;
        let listeners = crate::bind(&config)?;
        let mut hangups = Hangups::install(listeners.identity.clone()).map_err(Error::Signals)?;
        let ready: String =
            listeners.addresses.iter().map(|endpoint| format!("listening on {}\n", endpoint.url())).collect();
        // The server serves whoever connects, also if nobody reads this.
        let _ = logging::write_within(io::stdout(), ready.as_bytes(), READER_PATIENCE);
        let (drain, drained) = tokio::sync::oneshot::channel();
        let mut running = std::pin::pin!(crate::run(config, listeners, async {
            // The sender lives until the end of this function, so that only a signal completes this.
            let _ = drained.await;
        }));
        tokio::select! {
            ended = &mut running => return ended.map(|()| ExitCode::SUCCESS),
            _ = signals.next() => {}
            () = hangups.reload() => {}
        }
        let _ = drain.send(());
        tokio::select! {
            ended = &mut running => ended.map(|()| ExitCode::SUCCESS),
            signal = signals.next() => Ok(ExitCode::from(KILLED_BY + signal)),
        }
    })
}

/// Prints what clap has to say: help and version to stdout, wrong usage to stderr.
fn show(message: &clap::Error) -> ExitCode {
    if message.use_stderr() && !io::stderr().is_terminal() {
        let text = message.render().to_string();
        let _ = logging::write_within(io::stderr(), text.as_bytes(), READER_PATIENCE);
        // The exit code says that the usage is wrong, also if stderr cannot be written.
        return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
    }
    match unless_closed(message.print().and_then(|()| io::stdout().flush())) {
        // As for `--print-config`: what was asked for is not there.
        Err(error) if !message.use_stderr() => {
            complain(&Error::Stdout(error));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2)),
    }
}

/// A connection is a descriptor: a server takes all that it may have. Where it may not, the limit stays as it is.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Shells report a program ended by signal N as exit code 128 + N.
const KILLED_BY: u8 = 128;

/// What values that are numbers are called in the help of both programs.
const NUMBERS: [&str; 11] = ["N", "R", "TIME", "DURATION", "SECONDS", "USEC", "NS", "BYTES", "PCT", "LEVEL", "BITS"];
