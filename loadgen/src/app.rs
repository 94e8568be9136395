//! The program: what each command does, with which exit code.

mod compare;
mod sweep;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, str};

use anyhow::{Context as _, bail};

use crate::addresses::Addresses;
use crate::baseline::{BaselineError, Request};
use crate::cli::{self, Invocation};
use crate::compare::CompareError;
use crate::conversion::ConversionError;
use crate::cores::Cores;
use crate::environment::{self, Environment};
use crate::gate::Gate;
use crate::interrupt::Interrupt;
use crate::leftovers;
use crate::limits;
use crate::output::{Output, Sinks};
use crate::payload::Corpus;
use crate::plan::{Arrival, Kind, Load, MAX_MESSAGE_BYTES, Pacing, Payload, Plan, Rate, Stop};
use crate::progress::{Live, Progress};
use crate::report::{Report, Runs};
use crate::resources;
use crate::run::{self, RunError, World};
use crate::server_config;
use crate::sweep::SweepError;
use crate::target::{self, EMBEDDED_PROGRAM, Server, Spec, TargetError};
use crate::threshold::Threshold;
use crate::trust::Verdict;

/// Runs the program with these arguments, its name first.
///
/// Exit codes: 0 measured; 1 the run failed; 2 usage; 98 measured but not to be trusted; 99 a threshold was crossed; 130
/// interrupted.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
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
        Ok(Invocation::Compare(comparing)) => compare::run(comparing, &cores),
        Ok(Invocation::Sweep(sweeping)) => sweep::run(sweeping, &cores),
        Ok(Invocation::Run { plan, server, gate, output }) => once(&plan, &server, &gate, &output, &cores),
        Ok(Invocation::Report(conversion)) => conversion.run().map(|()| Verdict::Ok).map_err(Into::into),
        Ok(Invocation::Print(text)) => cli::print(&text).map(|()| Verdict::Ok),
        Ok(Invocation::Quick { plan, output }) => quick(&plan, &output, &cores),
    };
    leftovers::settled();
    match result {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(error) => {
            let interrupted = matches!(error.downcast_ref(), Some(RunError::Interrupted))
                || matches!(error.downcast_ref(), Some(TargetError::Interrupted { .. }))
                || error.downcast_ref().is_some_and(CompareError::is_interruption)
                || error.downcast_ref().is_some_and(SweepError::is_interruption);
            // Where stderr cannot be written, the exit code is left to tell it.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            // Files that cannot be used are usage: nothing was measured, and trying again changes nothing.
            let unusable = error.is::<BaselineError>()
                || error.downcast_ref().is_some_and(|error: &ConversionError| error.is_usage());
            ExitCode::from(match (interrupted, unusable) {
                (true, _) => Verdict::Interrupted.exit_code(),
                (false, true) => USAGE,
                (false, false) => Verdict::Failed.exit_code(),
            })
        }
    }
}

/// Prints what clap has to say: help and version to stdout, wrong usage to stderr.
fn show(message: &clap::Error) -> ExitCode {
    match message.print().and_then(|()| io::stdout().flush()) {
        // A reader that closed its end had enough; a full disk lacks what was asked for.
        Err(error) if !message.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: writing to stdout: {error}");
            ExitCode::from(Verdict::Failed.exit_code())
        }
        // The exit code says that the usage is wrong, also if stderr cannot be written.
        _ => ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(USAGE)),
    }
}

/// One run.
fn once(plan: &Plan, server: &Spec, gate: &Gate, output: &Output, cores: &Cores) -> anyhow::Result<Verdict> {
    // Before the report's own file is opened: it may be the same.
    let baseline =
        gate.baseline.as_ref().map(|request| Ok::<_, BaselineError>((request, request.read()?))).transpose()?;
    let mut sinks = Sinks::open(output, io::stdout())?;
    let bench = Bench::set_up(plan, server, cores)?;
    let accept = |(request, report): (&Request, Report)| request.accept(report, &bench.environment(plan, None));
    let baseline = baseline.map(accept).transpose()?;
    let mut report = bench.run("run", plan, gate.abort_on(), output.quiet)?.judged_by(&gate.thresholds)?;
    report.baseline = baseline.map(|baseline| baseline.compare(&report)).transpose()?;
    sinks.run(&report)?;
    Ok(report.verdict())
}

/// How fast, and how late at half of that.
fn quick(plan: &Plan, output: &Output, cores: &Cores) -> anyhow::Result<Verdict> {
    let mut sinks = Sinks::open(output, io::stdout())?;
    let fast = Plan { warmup: QUICK_WARMUP, stop: Stop::After(QUICK_DURATION), ..plan.clone() };
    let bench = Bench::set_up(&fast, &Spec::Embedded(Vec::new()), cores)?;
    let first = bench.run("how fast", &fast, &[], output.quiet)?;
    sinks.text(&first);
    let mut verdict = first.verdict();
    let half = round(first.throughput.messages_per_second / 2.0);
    let mut runs = vec![first];
    if let (Ok(rate), Verdict::Ok | Verdict::Untrusted) = (Rate::try_from(half), verdict) {
        // With a core of its own a worker need not sleep, and is the less late for it.
        let pacing = if cores.usable() > 1 { Pacing::Spin } else { Pacing::Sleep };
        let late = Plan { load: Load::Open { rate, arrival: Arrival::Uniform }, pacing, ..fast };
        match bench.run("how late at half of that", &late, &[], output.quiet) {
            Ok(second) => {
                sinks.text(&second);
                verdict = verdict.max(second.verdict());
                runs.push(second);
            }
            // The first run is told all the same.
            Err(RunError::Interrupted) => verdict = Verdict::Interrupted,
            Err(error) => {
                sinks.runs(&Runs::from(runs))?;
                return Err(error.into());
            }
        }
    }
    sinks.runs(&Runs::from(runs))?;
    Ok(verdict)
}

/// Three significant digits: a rate that a person would have chosen.
fn round(rate: f64) -> f64 {
    let scale = 10f64.powf(rate.log10().floor() - 2.0);
    (rate / scale).round() * scale
}

/// A server that is ready, and what it takes to measure it.
struct Bench {
    server: Server,
    addresses: Addresses,
    /// What the report calls it.
    target: String,
    server_pids: Vec<i32>,
    corpus: Corpus,
    /// The workers' cores, where the server was put on others.
    worker_cores: Option<Cores>,
    interrupt: Interrupt,
}

impl Bench {
    fn set_up(plan: &Plan, spec: &Spec, cores: &Cores) -> anyhow::Result<Self> {
        limits::make_room(plan, 1)?;
        let content = file_content(plan)?;
        let corpus = Corpus::new(plan, content.as_deref());
        let interrupt = Interrupt::install().context("cannot handle signals")?;
        let (server_cores, worker_cores) = cores.split();
        let server = Server::start(spec, &server_cores, interrupt.flag())?;
        let addresses = Addresses::find(server.url(), &plan.connect, interrupt.flag()).map_err(RunError::from)?;
        let target = match spec {
            Spec::Url(url) => url.to_string(),
            Spec::Embedded(_) | Spec::Command(_) => format!("{spec} at {}", server.url()),
        };
        let server_pids = resources::of_server(server.pid(), &addresses);
        let apart = !matches!(spec, Spec::Url(_)) && cores.count() > 1;
        let worker_cores = apart.then_some(worker_cores);
        Ok(Self { server, addresses, target, server_pids, corpus, worker_cores, interrupt })
    }

    fn run(&self, name: &str, plan: &Plan, abort_on: &[Threshold], quiet: bool) -> Result<Report, RunError> {
        let live = Live::default();
        let mut progress = Progress::new(plan, quiet);
        let world = World {
            url: self.server.url(),
            addresses: &self.addresses,
            server_pids: &self.server_pids,
            corpus: &self.corpus,
            cores: self.worker_cores.as_ref(),
            interrupted: self.interrupt.flag(),
            abort_on,
            live: &live,
            show: &mut |phase| progress.show(phase, &live),
        };
        let measured = run::measure(plan, world);
        progress.clear();
        let mut measured = measured.map_err(|error| error.with_end_of(&self.server))?;
        run::note_end_of(&self.server, &mut measured);
        // Only now, when its connections are closed: it disturbs nothing, and a place is free for it.
        let config = measured.is_fathom.then(|| self.server_config(plan)).flatten();
        let mut report = Report::new(name, &self.target, &measured, self.environment(plan, config));
        report.trust.notes.extend(environment::refusals());
        Ok(report)
    }

    fn server_config(&self, plan: &Plan) -> Option<serde_json::Value> {
        server_config::fetch(self.server.url(), &self.addresses, &plan.connect)
    }

    fn environment(&self, plan: &Plan, server_config: Option<serde_json::Value>) -> Environment {
        Environment::collect(plan, Some(self.corpus.digest()), server_config)
    }
}

/// The content of `--payload FILE`, fit to be a message of the plan.
fn file_content(plan: &Plan) -> anyhow::Result<Option<Vec<u8>>> {
    let Payload::File(path) = &plan.message.payload else { return Ok(None) };
    let named = || format!("--payload {}", path.display());
    let length = fs::metadata(path).with_context(named)?.len();
    if length > u64::from(MAX_MESSAGE_BYTES) {
        bail!("{}: it has {length} bytes, and a message may have {MAX_MESSAGE_BYTES}", named());
    }
    let content = fs::read(path).with_context(named)?;
    if plan.message.kind == Kind::Text
        && let Err(error) = str::from_utf8(&content)
    {
        bail!("{}: not UTF-8 ({error}), as a text message must be; send it with --binary", named());
    }
    Ok(Some(content))
}

/// The exit code of arguments that cannot be used.
const USAGE: u8 = 2;

/// The warm-up of each of the two quick runs.
const QUICK_WARMUP: Duration = Duration::from_secs(1);

/// The measured phase of each of them: with start and warm-up, both take about 15 seconds.
const QUICK_DURATION: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_rounded_to_three_digits() {
        assert_eq!(round(71_834.2), 71_800.0);
        assert_eq!(round(999.6), 1000.0);
        assert!((round(0.123_45) - 0.123).abs() < 1e-12);
    }
}
