//! `loadgen connections`: from the arguments to the report and its exit code.

use std::io::{self, Write as _};

use super::failure::Failure;
use super::output::Sinks;
use super::progress::Progress;
use super::run::Bench;
use crate::host::cores::Cores;
use crate::host::environment;
use crate::host::limits::{self, held};
use crate::judge::outcome::Outcome;
use crate::load::churning::MOST_AT_ONCE;
use crate::load::live::Live;
use crate::plan::Plan;
use crate::program::cli::Holding;
use crate::report::formats::text;
use crate::trials::connections::{self, Site};

pub(super) fn run(holding: &Holding, cores: &Cores) -> Result<Outcome, Failure> {
    let Holding { experiment, server, thresholds, output } = holding;
    let plan = &experiment.plan;
    let mut sinks = Sinks::open(output, io::stdout())?;
    let coming_and_going = if experiment.churn.is_some() { MOST_AT_ONCE as u32 } else { 0 };
    let most = plan.connections.saturating_add(coming_and_going);
    limits::make_room(&Plan { connections: most, ..plan.clone() }, 1, server.may_take_bytes())?;
    if experiment.storm.is_some() {
        held::make_room_for_a_storm(plan)?;
    }
    let bench = Bench::set_up(plan, server, cores)?;
    let local = bench.server.addresses().in_use().iter().all(|address| address.ip().is_loopback());
    held::make_room(most.get(), bench.server.pids(), local)?;
    let queue = held::queue_note(connections::most_at_once(experiment)).filter(|_| local);
    if let (Some(note), false) = (&queue, output.quiet) {
        // It is in the report too.
        let _ = writeln!(io::stderr(), "note: {note}");
    }
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
    report.trust.notes.extend(plan.connect.tls.note());
    report.trust.notes.extend(queue);
    sinks.document(&text::connections(&report), &report)?;
    Ok(report.outcome())
}
