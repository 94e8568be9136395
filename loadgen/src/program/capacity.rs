//! `loadgen capacity`: from the arguments to the report and its exit code.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use server::printing::print;

use super::failure::{Failure, failed};
use super::output::Sinks;
use super::progress::SearchProgress;
use super::run::{file_content, interrupt};
use crate::host::cores::Cores;
use crate::host::environment;
use crate::host::interrupt::Interrupt;
use crate::host::limits;
use crate::host::running::Shares;
use crate::host::target::Spec;
use crate::judge::outcome::Outcome;
use crate::plan::Plan;
use crate::plan::messages::Corpus;
use crate::program::cli::{Along, Planning};
use crate::report::capacities::{Capacities, CapacityPoint};
use crate::report::capacity::CapacityReport;
use crate::report::formats::text;
use crate::trials::capacity::{self, Experiment, Site};
use crate::trials::course::Arm;
use crate::units;

pub(super) fn run(planning: Planning, cores: &Cores) -> Result<Outcome, Failure> {
    let Planning { experiment, plan, server, thresholds, need, over, plan_only, output } = planning;
    if plan_only {
        let times = over.as_ref().map_or(1, |over| over.points.len());
        print(io::stdout(), course(&experiment, times).as_bytes()).context("writing to stdout").map_err(failed)?;
        return Ok(Outcome::Ok);
    }
    let mut sinks = Sinks::open(&output, io::stdout())?;
    let interrupt = interrupt()?;
    let search = |plan: Plan, server: Spec| -> Result<CapacityReport, Failure> {
        let report = look(&experiment, plan, server, cores, &interrupt, output.quiet)?;
        Ok(match &need {
            Some(need) => report.sized_for(need),
            None => report,
        })
    };
    let Some(Along { axis, points }) = over else {
        let report = search(plan, server)?.judged_by(&thresholds);
        sinks.document(&text::capacity(&report), &report)?;
        return Ok(report.outcome());
    };
    let mut found = Vec::new();
    for (value, plan, server) in points {
        match search(plan, server) {
            Ok(capacity) => found.push(CapacityPoint { value, capacity }),
            // What was found at the values before is kept.
            Err(failure) if found.is_empty() => return Err(failure),
            Err(failure) => {
                let _ = writeln!(io::stderr(), "error: {}={value}: {:#}", axis.name(), failure.error);
                let report = Capacities::new(axis, found).judged_by(&thresholds);
                sinks.document(&text::capacities(&report), &report)?;
                return Ok(failure.outcome);
            }
        }
        if found.last().is_some_and(|point| point.capacity.interrupted) {
            break;
        }
    }
    let report = Capacities::new(axis, found).judged_by(&thresholds);
    sinks.document(&text::capacities(&report), &report)?;
    Ok(report.outcome())
}

/// One search.
fn look(
    experiment: &Experiment,
    plan: Plan,
    server: Spec,
    cores: &Cores,
    interrupt: &Interrupt,
    quiet: bool,
) -> Result<CapacityReport, Failure> {
    limits::make_room(&plan, 1, server.may_take_bytes())?;
    let corpus = Corpus::new(&plan, file_content(&plan).map_err(failed)?.as_deref());
    let shares = Shares::between([&server], cores);
    let arm = Arm { spec: server, plan, corpus };
    let mut progress = SearchProgress::new(experiment.max_time, quiet);
    let mut show = |stage: &capacity::Stage| progress.show(stage);
    let found = capacity::run(experiment, Site { arm: &arm, shares: &shares, interrupt, show: &mut show });
    progress.clear();
    let mut report = found?;
    report.notes.extend(environment::refusals());
    report.notes.extend(arm.plan.connect.tls.note());
    Ok(report)
}

/// What it does and how long that takes, for --plan-only.
fn course(experiment: &Experiment, times: usize) -> String {
    let time = |time: Duration| units::seconds(time.as_secs_f64());
    let limits = experiment.limits.slos.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let lowest = experiment.limits.probe_length(experiment.probe, experiment.limits.min_rate);
    let each = if lowest > experiment.probe {
        format!("{} to {}", time(experiment.probe), time(lowest))
    } else {
        time(lowest)
    };
    format!(
        "capacity: {}{} at most (--max-time), for {limits}\n\
         \u{20} start       the server starts and warms up; --warmup says for how long\n\
         \u{20} generator   1.00 s in a closed loop with the server: what a message costs it\n\
         \u{20} search      probes of {each} from {}/s to {}/s, {} of them if the limit is sharp, until\n\
         \u{20}             the two ends lie at most {} apart, each wrong in at most {}\n\
         \u{20} holdout     {} held to the rate found\n",
        if times == 1 { String::new() } else { format!("{times} searches of ") },
        time(experiment.max_time),
        units::number(experiment.limits.min_rate),
        units::number(experiment.limits.max_rate),
        capacity::usual_probes(experiment),
        units::percent(experiment.limits.precision),
        units::percent(1.0 - experiment.confidence),
        units::counted(experiment.holdout.into(), "fresh start"),
    )
}
