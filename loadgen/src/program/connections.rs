//! `loadgen connections`: from the arguments to the report and its exit code.

use std::io;

use super::failure::Failure;
use super::output::Sinks;
use super::progress::Progress;
use super::run::Bench;
use crate::host::cores::Cores;
use crate::host::environment;
use crate::host::limits::held;
use crate::judge::outcome::Outcome;
use crate::load::live::Live;
use crate::program::cli::Holding;
use crate::report::formats::text;
use crate::trials::connections::{self, Site};

pub(super) fn run(holding: &Holding, cores: &Cores) -> Result<Outcome, Failure> {
    let Holding { experiment, server, thresholds, output } = holding;
    let plan = &experiment.plan;
    let mut sinks = Sinks::open(output, io::stdout())?;
    let bench = Bench::set_up(plan, server, cores)?;
    let local = bench.server.addresses().in_use().iter().all(|address| address.ip().is_loopback());
    held::make_room(plan.connections.get(), bench.server.pids(), local)?;
    let live = Live::default();
    let mut progress = Progress::new(plan, output.quiet);
    let site = Site {
        server: &bench.server,
        target: &bench.target,
        corpus: &bench.corpus,
        cores: bench.shares.workers(),
        interrupted: bench.interrupt.flag(),
        live: &live,
        show: &mut |phase| progress.show(phase, &live),
    };
    let held = connections::run(experiment, site);
    progress.clear();
    let mut report = held.map_err(|error| error.with_end_of(&bench.server))?.judged_by(thresholds)?;
    report.trust.notes.extend(environment::refusals());
    report.trust.notes.extend(held::queue_note(connections::most_at_once(experiment)).filter(|_| local));
    sinks.document(&text::connections(&report), &report)?;
    Ok(report.outcome())
}
