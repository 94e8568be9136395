//! `loadgen run`: one run, and what a run needs: a server that is ready, and the messages.

use std::{fs, io, str};

use anyhow::{Context as _, bail};

use super::failure::{Failure, failed};
use super::gate::Gate;
use super::output::{Output, Sinks};
use super::progress::Progress;
use crate::host::cores::Cores;
use crate::host::environment::{self, Environment};
use crate::host::interrupt::Interrupt;
use crate::host::limits;
use crate::host::running::{Running, Shares};
use crate::host::target::Spec;
use crate::judge::outcome::Outcome;
use crate::judge::threshold::Threshold;
use crate::load::error::RunError;
use crate::load::live::Live;
use crate::load::run::{self, World};
use crate::plan::messages::Corpus;
use crate::plan::url::Scheme;
use crate::plan::{Kind, MAX_MESSAGE_BYTES, Payload, Plan};
use crate::report::Report;
use crate::report::baseline::{BaselineError, Request};

/// One run.
pub(super) fn run(plan: &Plan, server: &Spec, gate: &Gate, output: &Output, cores: &Cores) -> Result<Outcome, Failure> {
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
    Ok(report.outcome())
}

/// A server that is ready, and what it takes to measure it.
pub(super) struct Bench {
    pub(super) server: Running,
    /// What the report calls it.
    pub(super) target: String,
    pub(super) corpus: Corpus,
    pub(super) shares: Shares,
    pub(super) interrupt: Interrupt,
}

impl Bench {
    pub(super) fn set_up(plan: &Plan, spec: &Spec, cores: &Cores) -> Result<Self, Failure> {
        limits::make_room(plan, 1, spec.may_take_bytes())?;
        let content = file_content(plan).map_err(failed)?;
        let corpus = Corpus::new(plan, content.as_deref());
        let interrupt = interrupt()?;
        let shares = Shares::between([spec], cores);
        let server = Running::start(spec, &plan.connect, &shares, interrupt.flag())?;
        if let (true, Some(why)) = (server.url().scheme() != Scheme::Wss, plan.connect.tls.unfit_without()) {
            return Err(RunError::Unfit(why).into());
        }
        let target = match spec {
            Spec::Url(url) => url.to_string(),
            Spec::Embedded(_) | Spec::Command(_) => format!("{spec} at {}", server.url()),
        };
        Ok(Self { server, target, corpus, shares, interrupt })
    }

    pub(super) fn run(&self, name: &str, plan: &Plan, abort_on: &[Threshold], quiet: bool) -> Result<Report, RunError> {
        let live = Live::default();
        let mut progress = Progress::new(plan, quiet);
        let world = World {
            url: self.server.url(),
            addresses: self.server.addresses(),
            server_pids: self.server.pids(),
            corpus: &self.corpus,
            cores: self.shares.workers(),
            interrupted: self.interrupt.flag(),
            abort: &|so_far| abort_on.iter().any(|threshold| threshold.crossed_by(so_far)),
            live: &live,
            show: &mut |phase| progress.show(phase, &live),
        };
        let measured = run::measure(plan, world);
        progress.clear();
        let mut measured = measured.map_err(|error| error.with_end_of(&self.server))?;
        run::note_end_of(&self.server, &mut measured);
        // Only now, when its connections are closed: it disturbs nothing, and a place is free for it.
        let config = measured.is_fathom.then(|| self.server.config()).flatten();
        let mut report = Report::new(name, &self.target, &measured, self.environment(plan, config));
        report.trust.notes.extend(environment::refusals());
        report.trust.notes.extend(plan.connect.tls.note());
        Ok(report)
    }

    fn environment(&self, plan: &Plan, server_config: Option<serde_json::Value>) -> Environment {
        Environment::collect(plan, Some(self.corpus.digest()), server_config)
    }
}

/// Takes the signals over.
pub(super) fn interrupt() -> Result<Interrupt, Failure> {
    Interrupt::install(Outcome::Interrupted.exit_code()).context("cannot handle signals").map_err(failed)
}

/// The content of `--payload FILE`, fit to be a message of the plan.
pub(super) fn file_content(plan: &Plan) -> anyhow::Result<Option<Vec<u8>>> {
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
