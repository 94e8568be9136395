//! `loadgen fanout`: from the arguments to the report and its exit code.

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
use crate::load::opening::AT_ONCE;
use crate::plan::{Plan, Stop};
use crate::program::cli::Fanning;
use crate::report::formats::text;
use crate::trials::fanout::{self, Site, is_local};

pub(super) fn run(fanning: Fanning, cores: &Cores) -> Result<Outcome, Failure> {
    let Fanning { experiment, server, thresholds, output } = fanning;
    let (plan, fanout) = (&experiment.plan, &experiment.fanout);
    let mut sinks = Sinks::open(&output, io::stdout())?;
    let visitors = if fanout.churn.is_some() { MOST_AT_ONCE as u32 } else { 0 };
    let most = plan.connections.saturating_add(visitors);
    limits::make_room(&Plan { connections: most, ..plan.clone() }, 1, false)?;
    let bench = Bench::set_up(plan, &server, cores)?;
    let local = is_local(&bench.server.addresses().in_use());
    held::make_room(most.get(), bench.server.pids(), local)?;
    let queue = held::queue_note((AT_ONCE * plan.workers()) as u64).filter(|_| local);
    if let (Some(note), false) = (&queue, output.quiet) {
        // It is in the report too.
        let _ = writeln!(io::stderr(), "note: {note}");
    }
    let (live, tls) = (Live::default(), plan.connect.tls.note());
    let mut progress = Progress::new(&shown(plan, fanout.churn.is_some() || fanout.stall.is_some()), output.quiet);
    let site = Site {
        server: &bench.server,
        target: &bench.target,
        cores: bench.shares.workers(),
        interrupted: bench.interrupt.flag(),
        live: &live,
        show: &mut |phase| progress.show(phase, &live),
    };
    let measured = fanout::run(experiment, site);
    progress.clear();
    let mut report = measured.map_err(|error| error.with_end_of(&bench.server))?.judged_by(&thresholds)?;
    report.trust.notes.extend(environment::refusals());
    report.trust.notes.extend(tls);
    report.trust.notes.extend(queue);
    sinks.document(&text::fanout(&report), &report)?;
    Ok(report.outcome())
}

/// The plan as the progress shows it: what comes before the measured part warms up.
fn shown(plan: &Plan, is_disturbed: bool) -> Plan {
    let mut shown = plan.clone();
    if let (Stop::After(duration), true) = (plan.stop, is_disturbed) {
        shown.warmup += duration;
    }
    shown
}
